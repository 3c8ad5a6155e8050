"""One call that styles photographs: what all of them share, and how each is styled, written and told."""

import json
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from artune.cli.arguments import format_from
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
from artune.cli.parts import Parts
from artune.cli.photographs import Photographs, is_folder, name_results, names_picture
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

KEEP_EVERY = 10
"""Steps from one kept picture to the next."""
FILM_RATE = 10
"""Steps a second, in a film of them."""
FILM_HOLD = 2.0
"""How long the last picture stays in it, seconds."""


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


def check_tiled(*, many: bool, spec: StyleSpec) -> None:
    """Raise unless there is one result that repeats, to be shown 2 x 2."""
    if many or spec.tile == "none":
        raise InputError("--show-tiled is for one result that repeats; give one photograph, and --tile x, y or both")


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
        self._check_steps(content)
        self._check_film(content, out)
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
        if checkpoint is not None and self.film is not None and not self.quiet:
            say(f"{self.film} will show the steps from here on")
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
            if os.path.lexists(self.show_tiled) and not (self.overwrite or self.resume):
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
        from artune.images.resize import fitted
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
