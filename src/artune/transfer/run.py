"""Style transfer of one picture: resolve, then size by size build an objective and descend it."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from artune.backbones.base import Image
from artune.backbones.network import Network
from artune.balance.curve import KEPT
from artune.balance.ladder import OnTune, Tuning, tuned
from artune.engine.descend import STILL, End, Method, State, Step, begin, descend
from artune.engine.methods import LBFGS, METHODS, Adam
from artune.errors import OutputError, ResourceError, SpecError
from artune.images.picture import Picture
from artune.images.write import write_picture
from artune.losses import tiled
from artune.machine import give_back_memory, ran_out
from artune.recipes import find_recipe
from artune.record import Record, run_key, versions
from artune.spec.options import with_options
from artune.spec.style import Optimise, Rung, StyleSpec
from artune.transfer.checkpoint import Checkpoint, another_run, begun
from artune.transfer.finish import finished
from artune.transfer.inputs import Masked, Painting, RegionStyle, Source
from artune.transfer.objective import covered_at, photograph_at, place_strengths, place_weights, sized_objective
from artune.transfer.rates import schedule, shares_of
from artune.transfer.sizes import fitted
from artune.transfer.start import carried, enlarged, start
from artune.transfer.task import Task, check_types


@dataclass(frozen=True)
class Progress:
    """What is happening, between two steps.

    Attributes:
        rung: the size at work.
        level: its place among the sizes, from 0.
        done: steps done over all sizes.
        total: steps over all sizes.
        step: the engine's step.
        seconds: since the run began.
        run: the job itself.
    """

    rung: Rung
    level: int
    done: int
    total: int
    step: Step
    seconds: float
    run: "Job"

    def picture(self) -> Picture:
        """The picture so far, at its present size."""
        return finished(self.step.image, self.run.spec, self.run.inputs, self.run.shown)

    def save(self, path: Path) -> None:
        """Write a checkpoint to go on from, atomically."""
        run = self.run
        Checkpoint(run.key, self.level, self.step.state, run.losses, self.seconds, run.tuning).save(path)


OnStep = Callable[[Progress], bool | None]
"""Called after every step; returning true cancels the run."""
OnTile = Callable[[Progress, int, int], bool | None]
"""Called after every tile of a size that is computed in tiles, with the progress until the last step, the tiles done
since, and those of a step; returning true cancels the run there."""


class _CancelledError(Exception):
    """Between two tiles, by the caller."""


@dataclass(frozen=True)
class Result:
    """A picture and its record."""

    picture: Picture
    record: Record

    def save(self, path: Path | str, *, bits: int = 8, replace: bool = True) -> Path:
        """Write the picture with its resolved spec embedded; the format follows from the suffix.

        Args:
            path: where.
            bits: per channel: 8, or 16 for PNG and TIFF.
            replace: whether an existing file may be replaced.

        Raises:
            OutputError: unknown suffix, no permission, no space.
        """
        if not isinstance(path, Path | str):
            raise OutputError(f"a result is saved to a file, not to a {type(path).__name__}; give its name")
        write_picture(self.noted(), path, bits=bits, replace=replace)
        return Path(path)

    def noted(self) -> Picture:
        """The picture with its resolved spec as a note, as it is written."""
        note = {"artune": self.record.versions.get("artune", ""), "spec": self.record.spec.model_dump(mode="json")}
        return dataclasses.replace(self.picture, note=note)


def style(
    content: Source,
    *styles: Source | Masked,
    spec: StyleSpec | None = None,
    regions: Sequence[RegionStyle] = (),
    weights: Path | str | None = None,
    network: Network | str | None = None,
    first: Source | Result | None = None,
    resume: Path | str | None = None,
    on_step: OnStep | None = None,
    on_tile: OnTile | None = None,
    on_tune: OnTune | None = None,
    allow_huge: bool = False,
    recipe: str | None = None,
    **options: Any,
) -> Result:
    """The photograph in the style of the paintings.

    Args:
        content: the photograph: a picture or a file.
        styles: one or more paintings; with ``regions``, they style the rest, and without one the rest stays as it is.
        spec: how; default: all defaults.
        regions: parts of the photograph with styles of their own.
        weights: file with the network's weights.
        network: the name of one, as in the spec; or a loaded one, instead of ``weights``.
        first: what to start from: a picture, a file or an earlier result; instead of the spec's ``start``.
        resume: a checkpoint of the same run to go on from.
        on_step: called after every step; returning true cancels, and the picture so far is the result.
        on_tile: called between the tiles of a picture that does not fit as a whole; returning true cancels.
        on_tune: called while the strength is looked for, with the steps done and all steps of that.
        allow_huge: read pictures above 100 million pixels.
        recipe: a published recipe by name, in place of ``spec``.
        options: fields of the spec or of its method, in place of ``spec``: ``style(a, b, strength=0.7)``.

    Raises:
        InputError: something given cannot be used.
        WeightsError: missing or unfit weights.
        ResourceError: not enough memory.
    """
    check_types(
        ("spec", spec, isinstance(spec, StyleSpec | None), "an artune.StyleSpec, or the options by name"),
        ("network", network, isinstance(network, Network | str | None), "a name, or an artune.Network"),
        ("weights", weights, isinstance(weights, Path | str | None), "a file"),
        ("regions", regions, isinstance(regions, Sequence), "a list of artune.RegionStyle"),
        ("on_step", on_step, on_step is None or callable(on_step), "a function"),
        ("on_tile", on_tile, on_tile is None or callable(on_tile), "a function"),
        ("on_tune", on_tune, on_tune is None or callable(on_tune), "a function"),
        ("resume", resume, isinstance(resume, Path | str | None), "a checkpoint's file"),
    )
    if recipe is not None:
        if spec is not None:
            raise SpecError("spec and recipe are both given, and each says everything; leave out either")
        spec = find_recipe(recipe).spec
    if isinstance(network, str):
        options["network"], network = network, None
    if options:
        spec = with_options(spec or StyleSpec(), options)
    job = Job.prepare(
        content,
        styles,
        spec or StyleSpec(),
        regions=regions,
        weights=weights,
        network=network,
        first=first,
        allow_huge=allow_huge,
        resume=None if resume is None else Path(resume),
        on_tune=on_tune,
    )
    return job.run(on_step=on_step, on_tile=on_tile)


class Job:
    """One run, prepared: everything is read, checked and resolved before the first step.

    Attributes:
        spec: resolved.
        tuning: how the strength was found, where it was.
        key: of the spec and all digests.
        losses: of the steps so far, by name.
        level: place among the sizes of the one at work, from 0.
        state: of the descent there.
        tiled: whether a size is computed in tiles.
        left: a checkpoint of this run to go on from.
    """

    def __init__(self, task: Task, spec: StyleSpec, tuning: Tuning | None = None, left: Path | None = None) -> None:
        self.spec, self.network, self.tuning, self.left, inputs = spec, task.network, tuning, left, task.inputs
        self.inputs = inputs.faded(shares_of(place_strengths(spec, inputs)))  # as they were given
        self.shown = self.inputs.coloured(spec)  # as the network sees them
        # of a start that is not the photograph
        self.first = Painting(task.first) if task.first else self.shown.paintings[0]
        self.digests = inputs.digests
        self.key = run_key(spec, self.digests)
        self.losses: dict[str, list[float]] = {}
        self.level = 0
        self.state: State | None = None
        self.room = task.room(spec)
        self.tiled = any(self.room.side(rung.size) for rung in self.rungs)

    @classmethod
    def prepare(
        cls,
        content: Source,
        styles: Sequence[Source | Masked],
        spec: StyleSpec,
        *,
        regions: Sequence[RegionStyle] = (),
        weights: Path | str | None = None,
        network: Network | None = None,
        first: Source | Result | None = None,
        allow_huge: bool = False,
        resume: Path | None = None,
        kept: float = KEPT,
        on_tune: OnTune | None = None,
    ) -> "Job":
        """Read, check and resolve; the arguments are those of :func:`style` and :func:`artune.tune`.

        The strength of a run to be resumed is the one that it was begun with.
        """
        start = first.picture if isinstance(first, Result) else first
        task = Task.read(
            content,
            styles,
            spec,
            regions=regions,
            weights=weights,
            network=network,
            first=start,
            allow_huge=allow_huge,
        )
        task.room(task.resolved()).checked()  # before the work
        key, tuning = begun(resume) if resume else ("", None)
        if not task.open:
            tuning = None
        elif resume and tuning is None:
            raise another_run(resume)
        elif tuning is None:
            tuning = tuned(task, kept=kept, on_step=on_tune)
        resolved = task.resolved(tuning.balance.strength if tuning else None)
        job = cls(task, task.room(resolved).checked(), tuning, resume)
        if resume and job.key != key:
            raise another_run(resume)
        return job

    @property
    def method(self) -> Optimise:
        """The resolved method."""
        return self.spec.method

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """The sizes and their steps."""
        return self.method.rungs or ()

    def run(self, *, on_step: OnStep | None = None, on_tile: OnTile | None = None) -> Result:
        """Descend size by size; see :func:`style`."""
        began = time.perf_counter()
        if self.left:
            began -= self._go_on_from(self.left)
        end = End.DONE
        nothing_to_do = self.method.start == "content" or self.spec.strength == 0
        styled = any(style for _, style in place_weights(self.spec, self.inputs))
        if nothing_to_do and not (styled or self.method.tv):
            return self._result(self._photograph_at(self.rungs[-1].size), End.DONE, 0, began)

        def progress(step: Step) -> Progress:
            done, total = self._done(), sum(rung.steps for rung in self.rungs)
            seconds = time.perf_counter() - began
            return Progress(self.rungs[self.level], self.level, done, total, step, seconds, self)

        def told(done: int, total: int) -> None:
            assert self.state is not None  # before the first tile
            none = torch.full((1,), torch.nan) if self.state.total is None else self.state.total
            if on_tile and on_tile(progress(Step(self.state.step, none, {}, self.state, 0.0)), done, total):
                raise _CancelledError

        for index in range(self.level, len(self.rungs)):
            ended = self._descended(
                self._size(index, told), lambda step: on_step is not None and on_step(progress(step))
            )
            end = ended or end
            if end in (End.CANCELLED, End.DIVERGED):
                break
        assert self.state is not None  # a resolved spec has rungs
        done, image = self._done(), self.state.image
        self.state = None  # a large picture needs the room
        return self._result(image, end, done, began)

    def _go_on_from(self, path: Path) -> float:
        """Take over what a checkpoint holds; the seconds spent before."""
        shape, memory = self.inputs.photograph.size, self._descent().memory
        left = Checkpoint.load(path, self.key, self.rungs, shape, memory, self.network.device)
        self.level, self.state = left.level, left.state
        self.losses = {name: list(values) for name, values in left.losses.items()}
        return left.seconds

    def _descended(self, steps: Iterator[Step], stop: Callable[[Step], bool | None]) -> End | None:
        """Take the steps of one size, and tell why they ended, if they say so."""
        end = None
        try:
            for step in self._watched(steps):
                if step.end is End.DIVERGED:
                    return End.DIVERGED
                self.state = step.state
                self._note(step)
                if stop(step):
                    return End.CANCELLED
                end = step.end
        except _CancelledError:
            return End.CANCELLED
        return End.STALLED if self.state is not None and self.state.still >= STILL else end

    def _done(self) -> int:
        """Steps over all sizes."""
        return sum(rung.steps for rung in self.rungs[: self.level]) + (self.state.step if self.state else 0)

    def _size(self, index: int, told: tiled.OnTile) -> Iterator[Step]:
        """Descend at a size, from where the one before ended or a checkpoint was written."""
        rung, method, average = self.rungs[index], self._descent(), self.method.average or 0.0
        side = self.room.side(rung.size)
        if side is not None:
            give_back_memory()
        if self.state is not None and index > self.level:
            last = self._photograph_at(self.rungs[self.level].size) if self.method.start == "content" else None
            width, height = fitted(*self.inputs.photograph.size, rung.size)
            slots, image = carried(self.state, method, height, width), self.state.image
            self.state = None  # a large picture needs the room
            content = self._photograph_at(rung.size)
            self.state = begin(enlarged(image, content, last), slots)
            del last, slots, image
        else:
            content = self._photograph_at(rung.size)
        if self.state is None:
            first = start(self.method.start, content, self.first, self.spec.seed)
            covered = covered_at(self.shown, content)
            self.state = begin(first if covered is None else torch.where(covered > 0, first, content))
        self.level = index
        objective = sized_objective(self.spec, self.shown, self.network, content, rung, side=side, on_tile=told)
        del content  # a large picture needs the room
        if side is not None and isinstance(method, Adam):
            method = dataclasses.replace(method, in_place=True)
        yield from descend(
            objective,
            self.state.x,
            method,
            steps=rung.steps,
            average=average,
            state=self.state,
            schedule=schedule(self.method, index),
            in_place=side is not None,
        )

    def _watched(self, steps: Iterator[Step]) -> Iterator[Step]:
        with self._memory():
            yield from steps

    @contextmanager
    def _memory(self) -> Iterator[None]:
        """Say in words that memory ran out."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not ran_out(error):
                raise
            raise ResourceError(
                f"memory ran out on the way to size {self.spec.size}; choose a smaller --size (half of it needs a "
                "quarter of the memory)"
            ) from error

    def _photograph_at(self, longer: int) -> Image:
        return photograph_at(self.shown, longer, self.network.device)

    def _descent(self) -> Method:
        assert self.method.rate is not None
        if self.method.optimiser == "lbfgs":
            return LBFGS(rate=self.method.rate, search=self.method.line_search == "strong-wolfe")
        return METHODS[self.method.optimiser](rate=self.method.rate)

    def _note(self, step: Step) -> None:
        for name, value in {"total": step.total, **step.losses}.items():
            self.losses.setdefault(name, []).append(float(value[0]))

    def _result(self, image: Image, end: End, done: int, began: float) -> Result:
        picture = finished(image, self.spec, self.inputs, self.shown, smoothed=True)
        record = Record(
            key=self.key,
            spec=self.spec,
            digests=self.digests,
            losses=self.losses,
            end=str(end),
            steps=done,
            timings={"total": time.perf_counter() - began, **(self.tuning.timings if self.tuning else {})},
            balance=self.tuning.told() if self.tuning else None,
            versions=versions(),
        )
        return Result(picture, record)
