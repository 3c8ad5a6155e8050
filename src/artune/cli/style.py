"""``artune style`` and ``artune demo``: style photographs."""

import json
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from artune.cli.arguments import (
    INSTANT,
    METHOD,
    METHODS_SHOWN,
    base_spec,
    by_method,
    check_lossy,
    format_from,
    given_options,
    size_from,
    spec_option,
)
from artune.cli.display import (
    CANCELLED,
    Checkpoints,
    balancing,
    check_unfinished,
    download_bar,
    interruptible,
    loading,
    partial_of,
    say,
    step_display,
    taken,
    write_beside,
)
from artune.cli.options import (
    LOOK,
    OUTPUT,
    PARTS,
    RUN,
    AllowHuge,
    AsJson,
    Color,
    ColorMatch,
    ColorSpace,
    Device,
    Enlarge,
    Form,
    JpegQuality,
    KeptParts,
    Memory,
    OneStrength,
    Overwrite,
    Quality,
    Quiet,
    Recursive,
    Seed,
    SegmentModel,
    SegmentWeights,
    Sixteen,
    Size,
    Strength,
    StyleScale,
    StyleWeights,
    Weights,
)
from artune.cli.parts import Parts
from artune.cli.photographs import (
    Photographs,
    check_there,
    divide_pictures,
    find_photographs,
    is_folder,
    is_many,
    name_results,
    names_picture,
)
from artune.errors import ArtuneError, InputError, OutputError, SpecError
from artune.extras import require
from artune.files import expanded, is_full
from artune.spec.options import with_options
from artune.spec.style import StyleSpec

if TYPE_CHECKING:
    from artune.images.picture import Picture
    from artune.regions.segment import Segmenter
    from artune.transfer.checkpoint import Checkpoint
    from artune.transfer.inputs import Masked
    from artune.transfer.result import Result
    from artune.transfer.run import Progress, Run
    from artune.transfer.task import Loaded, Task
    from artune.transfer.trained_style import TrainedStyle
    from artune.video.reel import Reel

DEMO = Path("artune-demo.png")
KEEP_EVERY = 10
FILM_RATE, FILM_HOLD = 10, 2.0  # steps a second of a film of them, and seconds for which the last one stays
EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "artune style photo.jpg painting.jpg -o out.png\n\n"
    "artune style photo.jpg a.jpg b.jpg --style-weights 2,1 --strength 0.7 -o out.png\n\n"
    "artune style photo.jpg rest.jpg --region dress.png=a.jpg:0.7 -o out.png\n\n"
    "artune style photo.jpg --segment person=a.jpg --segment background=b.jpg -o out.png\n\n"
    "artune style photo.jpg painting.jpg --keep person:0.5 -o out.png\n\n"
    "artune style photo.jpg painting.jpg --tile both -o out.png\n\n"
    "artune style holiday/*.jpg painting.jpg --size original --quality best -o styled/\n\n"
    "artune style holiday painting.jpg --recursive --one-strength --format jpg -o styled/"
)


def style(
    context: typer.Context,
    content: Annotated[
        str, typer.Argument(help="Photograph. Or several, a folder or a quoted glob; then OUT is a folder.")
    ],
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            help="File for the result; its suffix chooses the format. Or a folder, which exists or ends in /.",
        ),
    ],
    styles: Annotated[
        list[str] | None,
        typer.Argument(
            help="Paintings. After several photographs only the last picture is one. With --region or --segment they "
            "style the rest, and may be left out.",
            metavar="STYLE...",
        ),
    ] = None,
    size: Size = None,
    enlarge: Enlarge = None,
    strength: Strength = None,
    style_weights: StyleWeights = None,
    style_scale: StyleScale = None,
    region: Annotated[
        list[str] | None,
        typer.Option(
            help="A part with a style of its own, by a mask or by a label of a label map (map.png#person); repeatable.",
            metavar="MASK=STYLE[:STRENGTH]",
            rich_help_panel=PARTS,
        ),
    ] = None,
    segment: Annotated[
        list[str] | None,
        typer.Option(
            help="A part with a style of its own, found by a segmentation network; repeatable.",
            metavar="NAME=STYLE[:STRENGTH]",
            rich_help_panel=PARTS,
        ),
    ] = None,
    segment_model: SegmentModel = None,
    segment_weights: SegmentWeights = None,
    style_mask: Annotated[
        list[str] | None,
        typer.Option(
            help="The part of a painting whose style is taken; repeatable.",
            metavar="STYLE=MASK",
            rich_help_panel=PARTS,
        ),
    ] = None,
    keep: KeptParts = None,
    color: Color = None,
    color_space: ColorSpace = None,
    color_match: ColorMatch = None,
    color_only: Annotated[str | None, spec_option("color_only", panel=LOOK)] = None,
    tile: Annotated[str | None, spec_option("tile", panel=LOOK)] = None,
    show_tiled: Annotated[
        Path | None,
        typer.Option(
            help="File for the result of --tile, repeated 2 x 2 to look at its seams.", rich_help_panel=OUTPUT
        ),
    ] = None,
    network: Annotated[str | None, spec_option("network", panel=LOOK)] = None,
    weights: Weights = None,
    pooling: Annotated[str | None, spec_option("pooling", panel=LOOK)] = None,
    padding: Annotated[str | None, spec_option("padding", panel=LOOK)] = None,
    content_layers: Annotated[str | None, spec_option("content_layers", panel=LOOK, metavar="TAP[:W],...")] = None,
    style_layers: Annotated[str | None, spec_option("style_layers", panel=LOOK, metavar="TAP[:W],...")] = None,
    smooth: Annotated[bool | None, spec_option("smooth", "--smooth/--no-smooth", panel=LOOK)] = None,
    loss: Annotated[str | None, spec_option("loss", panel=LOOK, metavar="LOSS[:W],...")] = None,
    content_loss: Annotated[str | None, spec_option("content_loss", panel=LOOK)] = None,
    scale: Annotated[str | None, spec_option("scale", panel=LOOK)] = None,
    content_weight: Annotated[float | None, spec_option("content_weight", panel=LOOK)] = None,
    style_weight: Annotated[float | None, spec_option("style_weight", panel=LOOK)] = None,
    tv: Annotated[float | None, spec_option("tv", panel=LOOK)] = None,
    variation: Annotated[str | None, spec_option("variation", panel=LOOK)] = None,
    photoreal: Annotated[float | None, spec_option("photoreal", panel=LOOK)] = None,
    photoreal_smoothing: Annotated[float | None, spec_option("photoreal_smoothing", panel=LOOK)] = None,
    transform: Annotated[str | None, spec_option("transform", panel=LOOK)] = None,
    levels: Annotated[str | None, spec_option("levels", panel=LOOK, metavar="LEVEL[:SHARE],...")] = None,
    balance_gradients: Annotated[
        bool | None, spec_option("balance_gradients", "--balance-gradients/--no-balance-gradients", panel=LOOK)
    ] = None,
    method: Annotated[str | None, typer.Option(help=METHOD, metavar=METHODS_SHOWN, rich_help_panel=RUN)] = None,
    instant: Annotated[bool, typer.Option("--instant", help=INSTANT, rich_help_panel=RUN)] = False,
    quality: Quality = None,
    steps: Annotated[int | None, spec_option("steps", panel=RUN)] = None,
    optimiser: Annotated[str | None, spec_option("optimiser", panel=RUN)] = None,
    line_search: Annotated[str | None, spec_option("line_search", panel=RUN)] = None,
    rate: Annotated[float | None, spec_option("rate", panel=RUN)] = None,
    decay: Annotated[float | None, spec_option("decay", panel=RUN)] = None,
    decay_every: Annotated[int | None, spec_option("decay_every", panel=RUN)] = None,
    average: Annotated[float | None, spec_option("average", panel=RUN)] = None,
    history: Annotated[int | None, spec_option("history", panel=RUN)] = None,
    pyramid: Annotated[bool | None, spec_option("pyramid", "--pyramid/--no-pyramid", panel=RUN)] = None,
    smallest_size: Annotated[int | None, spec_option("smallest_size", panel=RUN)] = None,
    size_factor: Annotated[float | None, spec_option("size_factor", panel=RUN)] = None,
    size_steps: Annotated[str | None, spec_option("size_steps", panel=RUN, metavar="FIRST,BETWEEN,LAST")] = None,
    start: Annotated[str | None, spec_option("start", panel=RUN)] = None,
    seed: Seed = None,
    device: Device = None,
    precision: Annotated[str | None, spec_option("precision", panel=RUN)] = None,
    memory: Memory = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Published recipe (artune recipes lists them); options override it.", rich_help_panel=RUN),
    ] = None,
    spec: Annotated[
        Path | None,
        typer.Option(
            help="YAML or JSON file with options, or a picture made by artune; other options override it.",
            rich_help_panel=RUN,
        ),
    ] = None,
    recursive: Recursive = False,
    one_strength: OneStrength = False,
    form: Form = None,
    overwrite: Overwrite = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the checkpoint OUT.partial.", rich_help_panel=OUTPUT)
    ] = False,
    jpeg_quality: JpegQuality = None,
    keep_steps: Annotated[
        Path | None,
        typer.Option(help="Folder in which to keep the picture after every tenth step.", rich_help_panel=OUTPUT),
    ] = None,
    film: Annotated[
        Path | None,
        typer.Option(help="Film of the picture after each step: mp4, webm, gif, a folder ...", rich_help_panel=OUTPUT),
    ] = None,
    sixteen: Sixteen = False,
    allow_huge: AllowHuge = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Style a photograph, or many."""
    options = given_options(context.params)
    base = by_method(
        base_spec(spec, recipe), instant=instant, method=method, color_only=color_only is not None, recipe=recipe
    )
    wanted = with_options(base, options)
    parted = bool(region or segment)
    weighed = None if wanted.style_weights is None else len(wanted.style_weights)
    given, paintings = divide_pictures([content, *(styles or [])], out, weights=weighed, regions=parted)
    many, place = is_folder(out) or is_many(given[0]), expanded(out)
    parts = Parts.parse(
        [expanded(painting) for painting in paintings],
        region or [],
        segment or [],
        style_mask or [],
        None if segment_model is None else str(expanded(segment_model)),
        segment_weights,
        keep or [],
    )
    found = find_photographs(given, recursive=recursive, out=place) if many else None
    for picture in paintings if found else (given[0], *paintings):
        check_there(picture)
    if not (paintings or parted):
        raise InputError("no style picture was given; give one: artune style photo.jpg painting.jpg -o out.png")
    if film is not None and found is not None:
        raise InputError("--film is for one photograph; leave it out, or style one")
    if film is not None and not wanted.method.paints:
        raise InputError("--film shows the steps of a painting, and --color-only takes none; leave out either")
    if options.get("strength") == "auto" and not wanted.method.paints:
        raise InputError(
            "--strength auto: with --color-only no strength is searched for; give a number, or leave it out"
        )
    for flag, used in (("--recursive", recursive), ("--one-strength", one_strength), ("--format", form)):
        if used and found is None:
            raise InputError(f"{flag} is for photographs that go into a folder; give one: -o styled/")
    if show_tiled and (found is not None or wanted.tile == "none"):
        raise InputError("--show-tiled is for one result that repeats; give one photograph, and --tile x, y or both")
    suffix = result_format(out) if found is None else results_format(out, form)
    check_lossy(suffix, jpeg_quality)
    call = Call(
        wanted,
        parts,
        weights,
        overwrite=overwrite,
        resume=resume,
        keep_steps=keep_steps,
        film=film,
        show_tiled=show_tiled,
        bits=16 if sixteen else 8,
        jpeg_quality=jpeg_quality,
        allow_huge=allow_huge,
        quiet=quiet,
        as_json=as_json,
        auto=options.get("strength") == "auto",
    )
    if found is None:
        if len(parts.styles) > 1 and not quiet:
            say(f"{given[0]} in a mix of {len(parts.styles)} styles: {', '.join(map(str, parts.styles))}")
        call.one(expanded(given[0]), place)
    else:
        call.many(found, place, suffix, one_strength=one_strength)


def result_format(out: str) -> str:
    """The suffix of one result, without its dot."""
    place = expanded(out)
    if place.name and not place.suffix:
        raise OutputError(f"cannot write {out}: it names no format; give {out}.png for a picture, {out}/ for a folder")
    return place.suffix.lower().removeprefix(".")


def results_format(out: str, form: str | None) -> str:
    """The suffix of results in a folder, without its dot."""
    if names_picture(out) and not is_folder(out):
        raise OutputError(f"a folder or a glob of photographs needs a folder as OUT, not {out}; give one: -o styled/")
    return format_from(form or "png")


@dataclass(frozen=True)
class Call:
    """The options that all pictures of a call share."""

    spec: StyleSpec
    parts: Parts
    weights: Path | None = None
    overwrite: bool = False
    resume: bool = False
    keep_steps: Path | None = None
    film: Path | None = None
    show_tiled: Path | None = None
    bits: int = 8
    jpeg_quality: int | None = None
    allow_huge: bool = False
    quiet: bool = False
    as_json: bool = False
    auto: bool = False
    """Whether the user wrote ``--strength auto``; then it is an error if there is no strength to find."""
    trained: "TrainedStyle | None" = None
    """A trained style, which brings its network and its paintings along; ``weights`` is then its file."""

    def one(
        self, content: Path, out: Path, network: "Loaded | None" = None, segmenter: "Segmenter | None" = None
    ) -> "Result":
        """Style one picture; what can be refused is refused before the work begins."""
        self._check_out(content, out)
        begun, there = partial_of(out), os.path.lexists(out)  # an older result, or a part of this one
        resumed = self.resume and begun.exists()
        checkpoints = Checkpoints(begun, resumed=resumed)
        network = network or self.network()
        from artune import api
        from artune.images.write import check_suffix
        from artune.machine import keep_freed_memory
        from artune.transfer.checkpoint import Checkpoint
        from artune.transfer.methods import method_of
        from artune.transfer.task import NO_OPEN_STRENGTH

        checkpoint = Checkpoint.load(begun) if resumed else None
        if self.resume and checkpoint is None and not self.quiet:
            say(f"there is no {begun} to resume; starting anew")
        segmenter = segmenter or self.parts.segmenter(self.spec.device, self.quiet)
        task = self._read(content, network, segmenter)
        with balancing(self.quiet) as on_step:
            tuning = api.find_strength(task, checkpoint=checkpoint, on_step=on_step)
        if self.auto and tuning is None:
            raise SpecError(NO_OPEN_STRENGTH)
        if tuning and not self.quiet:
            say(f"{tuning.balance} (found in {tuning.seconds:.1f} s)")
        run = api.plan(task, tuning, checkpoint=checkpoint)
        check_suffix(out, self.bits, run.plan.size)
        self._check_steps(content)
        self._check_film(content, out)
        if method_of(run.plan).in_tiles(run):
            # freed tensors as large as the picture would leave gaps that nothing else fits into
            keep_freed_memory(2**24)
        else:  # the photograph before this one may have been computed in tiles
            keep_freed_memory()
        result, written = self._run(run, checkpoint, checkpoints, out, replace=there or self.overwrite)
        if written != out:
            checkpoints.move(partial_of(written))
            if result.record.end == "cancelled":
                say(f"artune: {taken(out, written)}")
        if self.show_tiled:
            result.picture.repeated().save(self.show_tiled, bits=self.bits, quality=self.jpeg_quality)
        self._end(result, written, checkpoints)
        if written != out:
            raise taken(out, written)
        return result

    def _read(self, content: Path, network: "Loaded", segmenter: "Segmenter | None") -> "Task[Any]":
        """Read a photograph, and what belongs to it."""
        from artune import api

        regions, keeps = self.parts.of(content, segmenter, self.allow_huge)
        return api.read(
            content,
            self._paintings(),
            self.spec,
            regions=regions,
            keeps=keeps,
            network=network,
            allow_huge=self.allow_huge,
        )

    def _check_out(self, content: Path, out: Path) -> None:
        """Raise unless the result can be written without losing anything."""
        from artune.files import check_writable
        from artune.images.write import check_suffix

        if not out.name:
            raise OutputError(f"the name of the result is missing in {str(out)!r}; give one such as -o out.png")
        check_writable(out)
        check_suffix(out, self.bits, self.spec.size if self.spec.enlarge and self.spec.size != "original" else 1)
        check_writable(partial_of(out))
        outs = {"-o": out} | ({"--show-tiled": self.show_tiled} if self.show_tiled else {})
        for source in (*self._inputs(content), Path(self.spec.method.start)):
            for flag, file in outs.items():
                if os.path.exists(source) and os.path.exists(file) and os.path.samefile(source, file):
                    raise OutputError(f"{file} is one of the inputs and would be lost; choose another file with {flag}")
        if self.show_tiled:
            check_suffix(self.show_tiled, self.bits, 1)
            check_writable(self.show_tiled)
            if os.path.lexists(self.show_tiled) and not self.overwrite:
                raise OutputError(f"{self.show_tiled} exists; --overwrite replaces it")
            if os.path.abspath(self.show_tiled) == os.path.abspath(out):
                raise OutputError(f"{out} is given for the result and for --show-tiled; choose two files")
        check_unfinished(out, resume=self.resume, overwrite=self.overwrite)

    def _run(
        self, run: "Run[Any, Any]", checkpoint: "Checkpoint | None", keep: Checkpoints, out: Path, *, replace: bool
    ) -> "tuple[Result, Path]":
        """Run with progress and checkpoints, and write the picture, also of a cancelled run; returns its file, too."""
        from artune.images.write import write_picture
        from artune.transfer.methods import steps
        from artune.transfer.result import result_of

        cancelled = False
        with interruptible() as interrupted, step_display(self.quiet) as show, self._reel(run) as reel:
            for progress in steps(run, checkpoint):
                show(progress)
                if progress.event == "step":
                    self._keep(progress)
                    if reel is not None:
                        reel.add(progress.picture())
                cancelled = progress.event in ("step", "part") and interrupted()
                if cancelled or progress.event == "step":
                    keep(progress, now=cancelled)
                if cancelled:
                    break
            result = result_of(progress, cancelled=cancelled)
            write = partial(write_picture, result.noted(), bits=self.bits, quality=self.jpeg_quality, replace=replace)
            return result, write_beside(write, out, replace=replace)

    def _end(self, result: "Result", out: Path, checkpoints: Checkpoints) -> None:
        """Print how the run ended; remove the checkpoint unless the run can continue."""
        if result.record.end == "cancelled":
            steps = result.record.steps
            say(f"cancelled after {steps} steps; {out} is the picture so far. {checkpoints.advice()}")
            if self.as_json:
                self._report(result, out)
            raise typer.Exit(CANCELLED)
        checkpoints.remove()
        if result.record.end == "diverged":
            raise InputError(
                f"the descent diverged after {result.record.steps} steps; {out} is the last good picture. Choose "
                "smaller weights or a smaller --rate"
            )
        self._report(result, out)

    def many(self, photographs: Photographs, folder: Path, form: str = "png", *, one_strength: bool = False) -> None:
        """Style every photograph into a folder; a failure does not stop the others, unless the disk is full."""
        from artune.files import check_writable

        if len(photographs.files) > 1:
            photographs = photographs.without(self.parts.files())
        contents, outs = photographs.files, name_results(photographs, folder, form)
        if not self.quiet:
            for note in photographs.notes():
                say(note)
        if not contents:
            raise InputError("no photograph is left to style")
        if os.path.exists(folder) and any(os.path.samefile(folder, content.parent) for content in contents):
            raise OutputError(f"{folder} is the folder of the photographs; choose another folder with -o")
        check_writable(outs[0])
        network, segmenter = self.network(), self.parts.segmenter(self.spec.device, self.quiet)
        shared = self
        if one_strength:
            strength = self._shared_strength(contents, network, segmenter)
            shared = replace(self, spec=with_options(self.spec, {"strength": strength}), auto=False)
        failed: list[str] = []
        left = ""
        for number, (content, out) in enumerate(zip(contents, outs, strict=True), start=1):
            call = shared
            if call.keep_steps:
                call = replace(call, keep_steps=call.keep_steps / out.relative_to(folder).with_suffix(""))
            begun = partial_of(out).exists()
            if begun and not (self.resume or self.overwrite):
                failed.append(f"{content}: begun and not finished; go on with --resume, or start anew with --overwrite")
                continue
            if out.exists() and not (self.overwrite or begun):
                if not self.quiet:
                    say(f"{out} exists, left as it is")
                continue
            try:
                call.one(content, out, network, segmenter)
            except ArtuneError as error:
                if len(contents) == 1:
                    raise
                failed.append(f"{content}: {error}")
                if isinstance(error, OutputError) and is_full(error):
                    again = "give the same command again" if self.overwrite else "go on with --resume"
                    left = (
                        f"\nthe disk is full, and {len(contents) - number} more are left: free some space, and {again}"
                    )
                    break
            except typer.Exit:
                say("\n".join(["cancelled; failed before:", *failed] if failed else ["cancelled"]))
                raise
        if failed:
            raise InputError(f"{len(failed)} of {len(contents)} pictures failed:\n  " + "\n  ".join(failed) + left)

    def _shared_strength(self, photographs: Sequence[Path], network: "Loaded", segmenter: "Segmenter | None") -> float:
        """One strength for all photographs, found on a few of them."""
        from artune import api
        from artune.balance.shared import SAMPLED_PHOTOGRAPHS, shared_strength
        from artune.transfer.task import NO_OPEN_STRENGTH

        count, asked = min(SAMPLED_PHOTOGRAPHS, len(photographs)), iter(range(1, SAMPLED_PHOTOGRAPHS + 1))

        def find(photograph: Path) -> float:
            with balancing(self.quiet, f"finding one strength, photograph {next(asked)} of {count}") as on_step:
                found = api.find_strength(self._read(photograph, network, segmenter), on_step=on_step)
            if found is None:
                raise InputError(NO_OPEN_STRENGTH)
            if not self.quiet:
                say(f"{photograph}: {found.balance}")
            return found.balance.strength

        strength = shared_strength(photographs, find)
        if not self.quiet:
            say(f"one strength for {len(photographs)} photographs: {strength}")
        return strength

    def network(self) -> "Loaded":
        """The loss network, or what else the spec's method needs; a download shows a progress bar."""
        if self.trained is not None:
            return self.trained.network
        with loading():
            from artune.machine import keep_freed_memory
            from artune.transfer.methods import method_of

        keep_freed_memory()
        with download_bar(self.quiet) as on_bytes:
            loaded: Loaded = method_of(self.spec).load(self.spec, self.weights, on_bytes)
        return loaded

    def _paintings(self) -> "Sequence[Path | Masked | Picture]":
        return self.parts.paintings() if self.trained is None else self.trained.paintings

    def _inputs(self, content: Path) -> list[Path]:
        return [content, *self.parts.files(), *([self.weights] if self.weights else [])]

    def _check_steps(self, content: Path) -> None:
        """Raise unless the folder of steps can be written without losing anything."""
        from artune.files import check_writable

        if self.keep_steps is None:
            return
        check_writable(self.keep_steps / "00010.png")
        there = sorted(self.keep_steps.glob("[0-9]*.png")) if self.keep_steps.is_dir() else []
        if there and not (self.overwrite or self.resume):
            raise OutputError(f"{there[0]} exists; --overwrite replaces what is in {self.keep_steps}")
        for source in self._inputs(content):
            if any(os.path.samefile(source, picture) for picture in there):
                raise OutputError(f"{source} is one of the inputs, and would be lost; choose another --keep-steps")

    def _check_film(self, content: Path, out: Path) -> None:
        """Raise unless the film can be written without losing anything."""
        if self.film is None:
            return
        require("video", "--film")
        from artune.video.place import check_place

        if expanded(self.film) == out:
            raise OutputError(f"--film and -o are both {out}; choose another file for the film")
        check_place(self.film, self._inputs(content), replace=self.overwrite or self.resume)

    def _reel(self, run: "Run[Any, Any]") -> "AbstractContextManager[Reel | None]":
        """What films the steps, if they are to be filmed."""
        if self.film is None:
            return nullcontext()
        from artune.transfer.sizes import fitted
        from artune.video.reel import Reel

        photograph = run.inputs.photograph
        size = fitted(*photograph.size, run.plan.size)
        return Reel(self.film, size, FILM_RATE, FILM_HOLD, alpha=photograph.alpha is not None)

    def _keep(self, progress: "Progress") -> None:
        last = progress.state.step == progress.rung.steps
        if self.keep_steps and (progress.done % KEEP_EVERY == 0 or last):
            from artune.images.write import write_picture

            write_picture(progress.picture(), self.keep_steps / f"{progress.done:05d}.png")

    def _report(self, result: "Result", out: Path) -> None:
        if self.as_json:
            typer.echo(json.dumps({"out": str(out), **result.record.model_dump(mode="json")}))
        elif not self.quiet:
            width, height = result.picture.size
            seconds, end = result.record.timings["total"], result.record.end
            steps = f"{result.record.steps} step{'s' * (result.record.steps != 1)}"
            say(f"{out}: {width}x{height}, {steps} in {seconds:.1f} s, {end}")


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="File for the result.")] = DEMO,
    photo: Annotated[str, typer.Option(help="A sample photograph by name.")] = "astronaut",
    style: Annotated[str, typer.Option(help="A sample painting by name.")] = "strokes",
    size: Annotated[str, typer.Option(help="Longer side, pixels.")] = "512",
    overwrite: Annotated[
        bool, typer.Option(help="Replace an existing result; the default file is always replaced.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Style a sample photograph: no file and no download needed."""
    from artune.assets import sample_photo, sample_style

    spec = with_options(StyleSpec(), {"size": size_from(size)})
    painting = sample_style(style)
    photograph = sample_photo(photo)
    if not quiet:
        say(f"{photo} in the style {style}")
    Call(spec, Parts((painting,)), overwrite=overwrite or out == DEMO, quiet=quiet).one(photograph, out)
    if not quiet:
        say(f"The picture is at {out.resolve()}")
