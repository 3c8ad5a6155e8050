"""``artune video``: style a film."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from artune.cli.arguments import given_options, read_spec
from artune.cli.display import CANCELLED, counting, download_bar, interruptible, loading, say
from artune.cli.options import (
    LOOK,
    OUTPUT,
    PARTS,
    Color,
    Device,
    Enlarge,
    KeptParts,
    Overwrite,
    Quality,
    Quiet,
    Seed,
    SegmentModel,
    SegmentWeights,
    Size,
    Strength,
    StyleScale,
    StyleWeights,
    Weights,
)
from artune.cli.parts import Parts
from artune.cli.photographs import check_there
from artune.errors import InputError, SpecError
from artune.extras import require
from artune.files import expanded
from artune.spec.options import with_options
from artune.spec.style import Instant, Optimise

if TYPE_CHECKING:
    from artune.images.picture import Picture
    from artune.video.stylise import FilmProgress, FilmRun

FILM = "The film"
EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "artune video film.mp4 styled.mp4 painting.jpg\n\n"
    "artune video film.mp4 styled.mp4 --style a.jpg@0 --style b.jpg@4s\n\n"
    "artune video film.mov styled.mp4 painting.jpg --size original --start 10 --end 20\n\n"
    "artune video frames/%04d.png styled/ painting.jpg --region masks/=other.jpg"
)


def video(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            help="Film, animation (GIF, WebP, APNG), folder of pictures, or pattern such as frames/%04d.png.",
            metavar="IN",
        ),
    ],
    out: Annotated[
        str, typer.Argument(help="Result: a film (mp4, mov, mkv, webm), an animation, or a folder.", metavar="OUT")
    ],
    styles: Annotated[list[str] | None, typer.Argument(help="Paintings, mixed.", metavar="STYLE...")] = None,
    style: Annotated[
        list[str] | None,
        typer.Option(
            help="A painting and when it is the only style; between two times, the styles are blended. Repeatable.",
            metavar="STYLE@SECONDS",
            rich_help_panel=LOOK,
        ),
    ] = None,
    instant: Annotated[
        bool, typer.Option("--instant", help="Paint each frame in a few learned steps (default).", rich_help_panel=LOOK)
    ] = False,
    model: Annotated[
        Path | None, typer.Option(help="Paint each frame in a style made by artune train.", rich_help_panel=LOOK)
    ] = None,
    optimise: Annotated[
        bool,
        typer.Option("--optimise", help="Optimise each frame: nearer to the painting, slow.", rich_help_panel=LOOK),
    ] = False,
    size: Size = None,
    enlarge: Enlarge = None,
    strength: Strength = None,
    style_weights: StyleWeights = None,
    style_scale: StyleScale = None,
    color: Color = None,
    quality: Quality = None,
    weights: Weights = None,
    spec: Annotated[
        Path | None,
        typer.Option(
            help="YAML or JSON file with more options, or a picture made by artune; other options override it.",
            rich_help_panel=LOOK,
        ),
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option(
            help="A part with a style of its own, by a mask, or a folder with a mask for each frame; repeatable.",
            metavar="MASK=STYLE[:STRENGTH]",
            rich_help_panel=PARTS,
        ),
    ] = None,
    segment: Annotated[
        list[str] | None,
        typer.Option(
            help="A part with a style of its own, found in each frame by a segmentation network; repeatable.",
            metavar="NAME=STYLE[:STRENGTH]",
            rich_help_panel=PARTS,
        ),
    ] = None,
    keep: KeptParts = None,
    segment_model: SegmentModel = None,
    segment_weights: SegmentWeights = None,
    start: Annotated[
        str | None, typer.Option(help="Where to begin: seconds, or m:ss.", metavar="TIME", rich_help_panel=FILM)
    ] = None,
    end: Annotated[
        str | None, typer.Option(help="Where to end: seconds, or m:ss.", metavar="TIME", rich_help_panel=FILM)
    ] = None,
    every: Annotated[
        int, typer.Option(help="Style each frame (1), each second one (2) and so on.", rich_help_panel=FILM)
    ] = 1,
    rate: Annotated[
        str | None,
        typer.Option(help="Frames a second of numbered pictures (default: 25).", rich_help_panel=FILM),
    ] = None,
    mute: Annotated[bool, typer.Option("--mute", help="Leave the sound out.", rich_help_panel=FILM)] = False,
    crf: Annotated[
        int | None,
        typer.Option(help="Quality of the film's coding, 0 (lossless) to 51 (default: 18).", rich_help_panel=OUTPUT),
    ] = None,
    device: Device = None,
    seed: Seed = None,
    overwrite: Overwrite = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what is in OUT.partial/.", rich_help_panel=OUTPUT)
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Style a film, without flicker and with its sound."""
    require("video", "styling a film")
    ways = {"--instant": instant, "--optimise": optimise, "--model": model}
    if len(given := [flag for flag, used in ways.items() if used]) > 1:
        raise SpecError(f"{given[0]} and {given[1]} are two ways to style a frame; leave out either")
    if model is not None and (styles or style or weights or spec):
        raise SpecError("--model brings its style along; leave out paintings, --weights and --spec")
    options = given_options({**context.params, "start": None, "rate": None})
    base = read_spec(spec)
    if optimise and not isinstance(base.method, Optimise):
        base = with_options(base, {"method": Optimise()})
    if not optimise and (instant or spec is None):
        base = with_options(base, {"method": Instant()})
    timed = [timed_style(text) for text in style or []]
    if timed and styles:
        raise InputError("paintings are given with and without times; give all with --style, or none")
    paintings = [expanded(each) for each in styles or []] or [painting for painting, _ in timed]
    parts = Parts.parse(
        paintings,
        region or [],
        segment or [],
        [],
        None if segment_model is None else str(expanded(segment_model)),
        segment_weights,
        keep or [],
    )
    for painting in paintings:
        check_there(painting)
    if spec is not None and isinstance(base.method, Optimise) and not (optimise or quiet):
        say(f"{spec} optimises each frame, which takes long; --instant paints them")
    with loading():
        from artune.api import load_style
        from artune.machine import keep_freed_memory
        from artune.video.film import FilmPart, film_run, load_for_film
        from artune.video.read import open_film

    open_film(source, seconds(rate, "--rate"))  # a typing error is told before a network is loaded
    keep_freed_memory()
    of_model: Sequence[Picture] = ()
    if model is None:
        wanted = with_options(base, options)
        with download_bar(quiet) as on_bytes:
            network = load_for_film(wanted, weights, on_bytes)
    else:
        trained = load_style(model, device=options.get("device", "auto"))
        wanted, network, of_model = with_options(trained.spec, options), trained.network, trained.paintings
    part = FilmPart(seconds(start, "--start") or Fraction(0), seconds(end, "--end"), every, not mute)
    segmenter = parts.segmenter(wanted.device, quiet)
    run = film_run(
        source,
        out,
        *paintings,
        *of_model,
        spec=wanted,
        moments=[moment for _, moment in timed] if timed else None,
        regions=[replace(each, mask=str(each.mask)) for each in parts.regions],
        keeps=[replace(each, mask=str(each.mask)) for each in parts.keeps],
        segments=[*parts.segments, *parts.kept_names],
        segmenter=segmenter,
        network=network,
        part=part,
        crf=crf,
        rate=seconds(rate, "--rate"),
    )
    style_all(run, overwrite=overwrite, resume=resume, quiet=quiet)


def style_all(run: "FilmRun", *, overwrite: bool, resume: bool, quiet: bool) -> None:
    """Style all frames of a film, and show how far it is."""
    from artune.video.film import check_result
    from artune.video.stylise import style_frames, write_so_far

    check_result(run, overwrite=overwrite, resume=resume)
    if not quiet:
        for note in (*run.film.info.notes, *run.format.notes):
            say(note)
    with (
        interruptible() as interrupted,
        film_display(quiet) as show,
        closing(style_frames(run, resume=resume)) as frames,
    ):
        for progress in frames:
            show(progress)
            if interrupted() and progress.event != "ends":
                frames.close()
                done = write_so_far(run)
                what = f"{run.out} has the {done} frames so far" if done else "no frame was finished"
                say(f"cancelled; {what}. --resume goes on")
                raise typer.Exit(CANCELLED)
    if not quiet:
        say(f"{run.out}: {progress.total} frames in {progress.seconds:.1f} s")


def timed_style(text: str) -> tuple[Path, Fraction]:
    """A painting and its moment, ``a.jpg@4s``.

    Raises:
        InputError: with the form that is needed.
    """
    painting, at, moment = text.rpartition("@")
    if not (painting and at):
        raise InputError(f"--style {text}: there is no '@'; STYLE@SECONDS is needed, such as a.jpg@4s")
    found = seconds(moment, f"--style {text}")
    assert found is not None
    return expanded(painting), found


TIME = re.compile(r"(\d{1,9}:){0,2}(\d{1,9}(\.\d{0,9})?|\.\d{1,9})s?")
"""Hours, minutes and seconds."""


def seconds(text: str | None, flag: str) -> Fraction | None:
    """A time in seconds: ``4``, ``4.5s``, ``1:30``, ``1:02:03``; ``None`` stays.

    Raises:
        InputError: it is no time.
    """
    if text is None:
        return None
    if not TIME.fullmatch(text):
        raise InputError(f"{flag}: {text[:40]!r} is no time; give seconds, such as 4 or 4.5, or 1:30")
    total = Fraction(0)
    for part in text.removesuffix("s").split(":"):
        total = 60 * total + Fraction(part)
    return total


PHASES = {"scanned": "finding the scenes", "frame": "styling frames"}
"""What is shown while these events come."""


@contextmanager
def film_display(quiet: bool) -> "Iterator[Callable[[FilmProgress], None]]":
    """Show how far a film is, phase by phase."""
    with ExitStack() as stack:
        phase, count = "", None

        def show(progress: "FilmProgress") -> None:
            nonlocal phase, count
            if progress.event == "scene" and not quiet:
                stack.close()
                strength = "" if progress.strength is None else f": strength {progress.strength:.3g}"
                say(f"scene {progress.done} of {progress.total}{strength}")
            if progress.event == "begins" and not quiet:
                say(f"{progress.file} is the beginning of the film, to look at while the rest is made")
            if progress.event not in PHASES:
                return
            if progress.event != phase:
                stack.close()
                phase, count = progress.event, stack.enter_context(counting(PHASES[progress.event], quiet))
            assert count is not None
            count(progress.done, max(progress.total or 0, progress.done))

        yield show
