"""``artune reconstruct``: the picture, or the texture, that each layer of a network still holds."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from artune.cli.display import CANCELLED, counting, download_bar, interruptible, loading, say
from artune.errors import SpecError

if TYPE_CHECKING:
    from artune.analysis.reconstruct import Reconstruction
    from artune.analysis.reconstruct_page import Row

WHAT, RUN = "What is made again", "The run"


def reconstruct(
    picture: Annotated[Path, typer.Argument(help="Photograph or painting.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the page; unfinished work in it is continued.")],
    network: Annotated[str, typer.Option(help="Network (artune networks lists them).")] = "compact",
    weights: Annotated[Path | None, typer.Option(help="File with the network's weights.")] = None,
    layers: Annotated[
        str | None,
        typer.Option(help="Layers (default: the network's style layers).", metavar="LAYER,...", rich_help_panel=WHAT),
    ] = None,
    of: Annotated[
        str,
        typer.Option(
            help="content: the picture; style: its texture.", metavar="content | style | both", rich_help_panel=WHAT
        ),
    ] = "content",
    plain: Annotated[
        bool, typer.Option("--plain", help="Also without regularisation, from one seed.", rich_help_panel=WHAT)
    ] = False,
    inverse: Annotated[
        Path | None,
        typer.Option(help="Also by learned inverses: weights of universal style transfer.", rich_help_panel=WHAT),
    ] = None,
    size: Annotated[
        int, typer.Option(help="Longer side, pixels; nothing is enlarged.", min=1, rich_help_panel=RUN)
    ] = 224,
    steps: Annotated[int, typer.Option(help="Steps of each descent.", min=1, rich_help_panel=RUN)] = 120,
    seeds: Annotated[int, typer.Option(help="Pictures for each layer.", min=1, rich_help_panel=RUN)] = 3,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.", rich_help_panel=RUN)] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Show what the layers of a network still hold of a picture: it is made again from noise, by its features alone.

    Every finished picture is kept. The same command continues where it was stopped, and makes no picture twice.
    """
    if of not in ("content", "style", "both"):
        raise SpecError(f"--of is {of!r}; choose content, style or both")
    if of == "style" and inverse is not None:
        raise SpecError("--inverse makes pictures again, not textures; leave it out, or give --of content or both")
    with loading():
        from artune.analysis.reconstruct import Inverse, Reconstruction, check_folder
        from artune.analysis.reconstruct_page import write_page
        from artune.backbones.registry import defaults_of, find_network, load_network
        from artune.files import file_digest
        from artune.images.read import read_picture
        from artune.machine import choose_device, keep_freed_memory
        from artune.networks.wct import read_autoencoders

    find_network(network)
    original, where = read_picture(picture), choose_device(device)
    named = None if layers is None else [part.strip() for part in layers.split(",") if part.strip()]
    keep_freed_memory()
    with download_bar(quiet) as on_bytes:
        backbone, digest = load_network(
            network, weights=weights, smooth=False, device=where, on_bytes=on_bytes, taps=named or ()
        )
    if named is None:
        named = [tap for tap in defaults_of(network, backbone.taps).style if backbone.taps[tap].reachable]
    learned = None
    if inverse is not None:
        learned = Inverse(read_autoencoders(inverse).to(where), file_digest(inverse))
    asked = Reconstruction.prepare(
        original,
        backbone,
        digest,
        named,
        of=of,
        size=size,
        steps=steps,
        seeds=seeds,
        plain=plain,
        inverse=learned,
        device=where,
    )
    check_folder(out, asked)
    _make(asked, out, quiet)
    words: list[object] = ["artune", "reconstruct", picture, "--network", network]
    words += ["--weights", weights] if weights else []
    words += ["--layers", ",".join(asked.layers), "--of", of, *["--plain"] * plain]
    words += ["--inverse", inverse] if inverse else []
    words += ["--size", size, "--steps", steps, "--seeds", seeds, "-o", out]
    command = shlex.join(map(str, words))
    rows = write_page(out, asked, name=picture.name, network=network, command=command)
    if not quiet:
        say(_summary(rows, out))


def _make(asked: "Reconstruction", out: Path, quiet: bool) -> None:
    """Make the pictures that are missing, with progress."""
    from artune.analysis.reconstruct import reconstruct as steps

    count = len(asked.items())
    with interruptible() as interrupted, counting("steps", quiet) as show:
        for progress in steps(asked, out):
            show(progress.done, progress.total)
            if interrupted() and progress.pictures < count:
                kept = f"{progress.pictures} of {count} pictures are kept in {out}"
                say(f"stopped; {kept}, and the same command continues")
                raise typer.Exit(CANCELLED)


def _summary(rows: "list[Row]", out: Path) -> str:
    from artune.analysis.reconstruct_page import sentence

    return f"{sentence(rows)} The page is at {(out / 'index.html').resolve()}"
