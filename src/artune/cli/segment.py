"""``artune segment``: the masks of what is in a picture."""

from pathlib import Path
from typing import Annotated

import typer

from artune.cli.display import loading, say


def segment(
    picture: Annotated[Path, typer.Argument(help="Photograph.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the masks, one PNG per part.")],
    model: Annotated[
        str, typer.Option(help="deeplabv3, or the name or folder of a SegFormer from Hugging Face.")
    ] = "deeplabv3",
    weights: Annotated[Path | None, typer.Option(help="File with the network's weights.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace existing masks.")] = False,
    allow_huge: Annotated[bool, typer.Option("--allow-huge", help="Read pictures above 100 million pixels.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Find the parts of a picture, for artune style --region."""
    with loading():
        from artune.images import read_picture
        from artune.segmentation import load_segmenter

    photograph = read_picture(picture, allow_huge=allow_huge)
    segmenter = load_segmenter(model, weights=weights)
    for path, share in segmenter.write_masks(photograph, out, overwrite=overwrite):
        if not quiet:
            say(f"{path}: {share:.1%} of the picture")
