"""``artune dissect``: what the units of networks are active on."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from artune.cli.display import CANCELLED, counting, loading, say
from artune.errors import InputError, SpecError
from artune.extras import require

if TYPE_CHECKING:
    from artune.analysis.crossed import OnProgress

SIZE = 224
"""Longer side of the pictures, pixels: that of the classifiers' training."""
ANSWERS = "Styles and contents"
EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "artune dissect mobilenet_v2 --data clothing --data animals/test -o units/\n\n"
    "artune dissect mobilenet_v2 tuned=mobilenet_v2 --weights tuned=tuned.safetensors --data clothing -o units/"
)


def dissect(
    networks: Annotated[
        list[str],
        typer.Argument(help="Networks; LABEL=NETWORK gives one a label, so that it may come with several weights."),
    ],
    data: Annotated[
        list[Path],
        typer.Option(help="Folder of pictures: of classes, with masks/ beside another folder, or without labels."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results; what is in it is kept.")],
    weights: Annotated[
        list[str] | None,
        typer.Option(help="File of a network's weights, or random.", metavar="LABEL=FILE", show_default=False),
    ] = None,
    layers: Annotated[
        str | None, typer.Option(help="Layers (default: those of the losses).", metavar="LAYER,...")
    ] = None,
    size: Annotated[int, typer.Option(help="Longer side of the pictures, pixels.", min=32, max=4096)] = SIZE,
    limit: Annotated[
        int | None, typer.Option(help="Pictures in all, drawn evenly from folders and classes.", min=2)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draw, and of the halves.", min=0)] = 0,
    controls: Annotated[
        bool, typer.Option("--controls/--no-controls", help="Dissect each network with random weights, too.")
    ] = True,
    styles: Annotated[Path | None, typer.Option(help="Folder of paintings, CLASS/*.", rich_help_panel=ANSWERS)] = None,
    contents: Annotated[
        Path | None, typer.Option(help="Folder of photographs, CLASS/*.", rich_help_panel=ANSWERS)
    ] = None,
    per_class: Annotated[
        int, typer.Option(help="Paintings and photographs of each class.", min=1, rich_help_panel=ANSWERS)
    ] = 2,
    triples: Annotated[
        Path | None,
        typer.Option(
            help="Folder of folders with content.*, style.* and result.*, to be shown (default: painted ones).",
            rich_help_panel=ANSWERS,
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Find what the units of networks are active on: colours, edges, labelled parts, classes.

    With --styles and --contents, photographs are painted like paintings, all by all: which units answer to the
    painting, and which to the photograph?

    The same command continues where it was stopped.
    """
    require("report", "the page")
    if (styles is None) != (contents is None):
        raise InputError("--styles and --contents belong together; give both, or leave out both")
    given = _by_label(weights or [])
    with loading():
        from artune.analysis.concepts import Collection
        from artune.analysis.crossed import Crossed
        from artune.analysis.dissect import Dissection, subjects
        from artune.analysis.dissect import dissect as run
        from artune.analysis.dissect_page import summary, write_dissection
        from artune.analysis.folder import Results
        from artune.analysis.triples import read_triples
        from artune.machine import keep_freed_memory
    keep_freed_memory()
    try:
        named = None if layers is None else [layer.strip() for layer in layers.split(",")]
        asked = subjects(networks, given, named or (), controls=controls)
        collection = Collection.read(data, size, limit, seed)
        crossed = Crossed.read(contents, styles, per_class) if contents and styles else None
        shown = read_triples(triples) if triples else ()
        results = Results.open(out)
        with _progress(quiet) as on_progress:
            found = run(Dissection(tuple(asked), collection, crossed, shown), results, on_progress)
        write_dissection(out, found)
    except KeyboardInterrupt:
        say(f"stopped; what is finished is kept in {out}, and the same command continues")
        raise typer.Exit(CANCELLED) from None
    if not quiet:
        say(f"{summary(found)} The page is at {(out / 'index.html').resolve()}")


def _by_label(texts: list[str]) -> dict[str, str]:
    """Files by label, from ``LABEL=FILE``."""
    given = {}
    for text in texts:
        label, equals, file = text.partition("=")
        if not (equals and label and file):
            raise SpecError(f"--weights: {text!r} names no network and file; write mobilenet_v2=FILE")
        if label in given:
            raise SpecError(f"--weights: {label} is given twice; leave out either")
        given[label] = file
    return given


@contextmanager
def _progress(quiet: bool) -> Iterator["OnProgress"]:
    """A line that counts what is being done; one thing after the other."""
    with ExitStack() as shown:
        counts = {}

        def on_progress(what: str, done: int, total: int) -> None:
            if what not in counts:
                shown.close()
                counts[what] = shown.enter_context(counting(what, quiet))
            counts[what](done, total)

        yield on_progress
