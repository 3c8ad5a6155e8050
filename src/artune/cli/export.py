"""``artune export``: write a network as ONNX files."""

from pathlib import Path
from typing import Annotated

import typer

from artune.cli.display import counting, loading, say


def export(
    model: Annotated[str, typer.Argument(help="painter; or a file with a trained style, or with a painter's weights.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files: a new or an empty one.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write into a folder that holds something, over files of these names.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Write a network as ONNX files, which run without artune and without PyTorch.

    ONNX Runtime computes every file at several sizes before anything is written. If the pictures differ from PyTorch's,
    nothing is written. It takes a few minutes.
    """
    with loading():
        from artune.networks.export import export as exported

    with counting("exported", quiet) as on_graph:
        files = exported(model, out, overwrite=overwrite, on_graph=on_graph)
    if not quiet:
        for file in files:
            say(f"{file}: {file.stat().st_size / 1e6:.1f} MB")
