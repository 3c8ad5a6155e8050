"""``artune tune``: the balance of two pictures, as a page."""

import os
from pathlib import Path
from typing import Annotated

import typer

from artune.cli.arguments import INSTANT, by_method, given_options, read_spec, spec_option
from artune.cli.display import CANCELLED, balancing, download_bar, interruptible, loading, say, step_display
from artune.cli.options import KeptParts, SegmentModel, SegmentWeights
from artune.cli.parts import Parts
from artune.cli.photographs import check_there
from artune.errors import InputError, OutputError
from artune.files import expanded
from artune.spec.options import with_options


def tune(
    context: typer.Context,
    content: Annotated[Path, typer.Argument(help="Photograph.")],
    style: Annotated[Path, typer.Argument(help="Painting.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the page, the picture, the record, the curve and the chart.")
    ],
    size: Annotated[str | None, spec_option("size")] = None,
    network: Annotated[str | None, spec_option("network")] = None,
    weights: Annotated[Path | None, typer.Option(help="File with the network's weights.")] = None,
    loss: Annotated[str | None, spec_option("loss", metavar="LOSS[:W],...")] = None,
    color: Annotated[str | None, spec_option("color")] = None,
    style_scale: Annotated[float | None, spec_option("style_scale")] = None,
    tile: Annotated[str | None, spec_option("tile")] = None,
    keep: KeptParts = None,
    segment_model: SegmentModel = None,
    segment_weights: SegmentWeights = None,
    kept: Annotated[
        float | None,
        typer.Option(
            help="Share of its best score that each of style and content keeps in the safe interval (default: 0.8)."
        ),
    ] = None,
    instant: Annotated[bool, typer.Option("--instant", help=INSTANT)] = False,
    quality: Annotated[str | None, spec_option("quality")] = None,
    device: Annotated[str | None, spec_option("device")] = None,
    precision: Annotated[str | None, spec_option("precision")] = None,
    spec: Annotated[
        Path | None,
        typer.Option(help="YAML or JSON file with more options, or a picture made by artune; options override it."),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing page.")] = False,
    allow_huge: Annotated[
        bool, typer.Option("--allow-huge", help="Read pictures of more than 100 million pixels.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Find the strength at which photograph and painting balance, and write a page that shows how it was found."""
    wanted = with_options(by_method(read_spec(spec), instant=instant), given_options(context.params))
    model = None if segment_model is None else str(expanded(segment_model))
    parts = Parts.parse([style], [], [], [], model, segment_weights, keep or [])
    for picture in (content, style):
        check_there(picture)
    with loading():
        from artune import api
        from artune.balance.curve import KEPT_SHARE, check_kept
        from artune.balance.page import FILES, write_tuning
        from artune.files import check_writable
        from artune.machine import keep_freed_memory
        from artune.transfer.methods import method_of, steps
        from artune.transfer.result import result_of
        from artune.transfer.task import NO_OPEN_STRENGTH

    if kept is not None:
        check_kept(kept)
    there = [out / name for name in FILES if os.path.exists(out / name)]
    if there and not overwrite:
        raise OutputError(f"{there[0]} exists; --overwrite replaces it")
    if out.name in {"", ".."}:
        raise OutputError(f"the page needs a folder of its own, not {str(out)!r}; give one with -o")
    if os.path.isfile(out):
        raise OutputError(f"{out} is a file; give a folder with -o")
    for source in (content, *parts.files()):
        if any(os.path.exists(source) and os.path.samefile(source, path) for path in there):
            raise OutputError(f"{source} is one of the inputs, and would be lost; choose another folder with -o")
    check_writable(out / FILES[-1])
    keep_freed_memory()
    with download_bar(quiet) as on_bytes:
        loaded = method_of(wanted).load(wanted, weights, on_bytes)
    _, keeps = parts.of(content, parts.segmenter(wanted.device, quiet), allow_huge)
    task = api.read(content, [style], wanted, keeps=keeps, network=loaded, allow_huge=allow_huge)
    with balancing(quiet) as on_step:
        tuning = api.find_strength(task, kept=KEPT_SHARE if kept is None else kept, on_step=on_step)
    if tuning is None:
        raise InputError(NO_OPEN_STRENGTH)
    if not quiet:
        say(f"{tuning.balance} (found in {tuning.seconds:.1f} s)")
    run = api.plan(task, tuning)
    with interruptible() as interrupted, step_display(quiet) as show:
        for progress in steps(run):
            show(progress)
            if interrupted() and progress.event != "ends":
                say("cancelled; nothing was written")
                raise typer.Exit(CANCELLED)
    pictures = run.inputs.photograph, run.inputs.paintings[0].picture
    write_tuning(out, tuning, result_of(progress), pictures, (content.name, style.name))
    if not quiet:
        say(f"The page is at {(out / FILES[-1]).resolve()}")
