"""Style transfer of one picture: resolve, then size by size build an objective and descend it."""

import dataclasses
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from artune.backbones.base import Image
from artune.engine.descend import STILL, End, Step, begin, descend
from artune.engine.methods import METHODS, Method
from artune.errors import InputError, PictureError, ResourceError, SpecError
from artune.images import Picture, from_tensor, read_picture, write_picture
from artune.losses.objective import Formulas, Objective, Region, Styled, Weights, build
from artune.losses.terms import Draws
from artune.record import ALGORITHM, Record, run_key
from artune.spec import Optimise, Rung, StyleSpec, with_options
from artune.transfer.checkpoint import Checkpoint
from artune.transfer.network import Network
from artune.transfer.resolve import STARTS, recipe_of, resolve, with_own_names
from artune.transfer.sizes import check_sizes, fitted, painting_size
from artune.transfer.start import enlarged, start

Source = Picture | Path | str


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
        return from_tensor(self.step.image)

    def save(self, path: Path) -> None:
        """Write a checkpoint to go on from, atomically."""
        Checkpoint(self.run.key, self.level, self.step.state, self.run.losses, self.seconds).save(path)


OnStep = Callable[[Progress], bool | None]
"""Called after every step; returning true cancels the run."""


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
        note = {"artune": self.record.versions.get("artune", ""), "spec": self.record.spec.model_dump(mode="json")}
        write_picture(dataclasses.replace(self.picture, note=note), path, bits=bits, replace=replace)
        return Path(path)


def style(
    content: Source,
    *styles: Source,
    spec: StyleSpec | None = None,
    weights: Path | str | None = None,
    network: Network | None = None,
    resume: Path | str | None = None,
    on_step: OnStep | None = None,
    allow_huge: bool = False,
    **options: Any,
) -> Result:
    """The photograph in the style of the paintings.

    Args:
        content: the photograph: a picture or a file.
        styles: one or more paintings.
        spec: how; default: all defaults.
        weights: file with the network's weights.
        network: a loaded network, instead of ``weights``.
        resume: a checkpoint of the same run to go on from.
        on_step: called after every step; returning true cancels, and the picture so far is the result.
        allow_huge: read pictures above 100 million pixels.
        options: fields of the spec or of its method, in place of ``spec``: ``style(a, b, strength=0.7)``.

    Raises:
        InputError: something given cannot be used.
        WeightsError: missing or unfit weights.
        ResourceError: not enough memory.
    """
    if not isinstance(spec, StyleSpec | None):
        raise SpecError(f"spec is a {type(spec).__name__}; give an artune.StyleSpec, or the options by name")
    if options:
        spec = with_options(spec or StyleSpec(), options)
    job = Job.prepare(content, styles, spec or StyleSpec(), weights=weights, network=network, allow_huge=allow_huge)
    return job.run(resume=None if resume is None else Path(resume), on_step=on_step)


class Job:
    """One run, prepared: everything is read, checked and resolved before the first step.

    Attributes:
        spec: resolved.
        key: of the spec and all digests.
        losses: of the steps so far, by name.
    """

    def __init__(
        self,
        spec: StyleSpec,
        content: Picture,
        styles: Sequence[Picture],
        first: Picture,
        network: Network,
        digests: dict[str, str],
    ) -> None:
        self.spec, self.content, self.styles, self.network = spec, content, tuple(styles), network
        self.first = first  # where a start that is neither content nor noise comes from
        self.digests = digests
        self.key = run_key(spec, digests)
        self.losses: dict[str, list[float]] = {}

    @classmethod
    def prepare(
        cls,
        content: Source,
        styles: Sequence[Source],
        spec: StyleSpec,
        *,
        weights: Path | str | None = None,
        network: Network | None = None,
        allow_huge: bool = False,
    ) -> "Job":
        """Read, check and resolve; the arguments are those of :func:`style`."""
        if not styles:
            raise InputError("no style picture was given; give at least one")
        photograph, *paintings = (_read(source, allow_huge) for source in (content, *styles))
        if network is not None and weights is not None:
            raise SpecError("both a network and weights are given; leave out either")
        network = network or Network.load(spec, weights)
        if (network.name, network.pooling) != (spec.method.network, spec.method.pooling):
            raise SpecError(
                f"the spec asks for network {spec.method.network} with {spec.method.pooling} pooling, the one given is "
                f"{network.name} with {network.pooling} pooling; make them equal"
            )
        if spec.method.smooth not in (None, network.smooth):
            raise SpecError(
                f"the spec asks for smooth {spec.method.smooth}, the network given has {network.smooth}; "
                "make them equal"
            )
        precision = "bf16" if network.dtype == torch.bfloat16 else "fp32"
        for name, asked, has in (
            ("precision", spec.precision, precision),
            ("device", spec.device, str(network.device)),
        ):
            if asked not in ("auto", has, has.split(":")[0]):
                raise SpecError(f"the spec asks for {name} {asked}, the network given has {has}; make them equal")
        resolved = resolve(
            with_own_names(spec, network.backbone),
            photograph.size,
            len(paintings),
            device=str(network.device),
            precision=precision,
            smallest=network.backbone.smallest,
            smooth=network.smooth,
            recipe=recipe_of(spec.method.network, network.backbone.taps),
        )
        method = resolved.method
        taps = [*(method.content_layers or {}), *(method.style_layers or {})]
        network.backbone.check(taps)
        check_sizes(resolved, photograph, paintings, network)
        digests = {"content": photograph.digest(), "weights": network.digest}
        digests |= {f"style {i}": painting.digest() for i, painting in enumerate(paintings)}
        first = paintings[0]
        if spec.method.start not in STARTS:
            if not os.path.exists(spec.method.start):
                raise SpecError(
                    f"start {spec.method.start!r} is neither {', '.join(STARTS)} nor a picture file"
                    + ("; the spec of a run names no files: give the file again" if spec.method.start == "file" else "")
                )
            first = read_picture(spec.method.start, allow_huge=allow_huge)
            digests["start"] = first.digest()
        return cls(resolved, photograph, paintings, first, network, digests)

    @property
    def method(self) -> Optimise:
        """The resolved method."""
        return self.spec.method

    def run(self, *, resume: Path | None = None, on_step: OnStep | None = None) -> Result:
        """Descend size by size; see :func:`style`."""
        began, before = time.perf_counter(), 0.0
        rungs, method = self.method.rungs or (), self._descent()
        level, state = 0, None
        if resume:
            left = Checkpoint.load(resume, self.key, rungs, self.content.size, method.memory, self.network.device)
            level, state, before = left.level, left.state, left.seconds
            self.losses = {name: list(values) for name, values in left.losses.items()}
        total, done = sum(rung.steps for rung in rungs), sum(rung.steps for rung in rungs[:level])
        end = End.DONE
        nothing_to_do = self.method.start == "content" or self.spec.strength == 0
        if nothing_to_do and not (self.method.style_weight or self.method.tv):
            return self._result(self._photograph(rungs[-1].size), End.DONE, 0, began)
        for index, rung in enumerate(rungs[level:], start=level):
            content = self._photograph(rung.size)
            if state is None:
                state = begin(start(self.method.start, content, self.first, self.spec.seed))
            elif index > level:
                last = self._photograph(rungs[index - 1].size) if self.method.start == "content" else None
                state = enlarged(state, method, content, last)
            objective = self._objective(content, rung)
            if state.still >= STILL:
                end = End.STALLED
            average = self.method.average or 0.0
            steps = descend(objective, state.x, method, steps=rung.steps, average=average, state=state)
            for step in self._watched(steps):
                state = step.state
                if step.end is End.DIVERGED:
                    end = End.DIVERGED
                    break
                self._note(step)
                seconds = before + time.perf_counter() - began
                progress = Progress(rung, index, done + step.index, total, step, seconds, self)
                if on_step and on_step(progress):
                    end = End.CANCELLED
                    break
                end = step.end or end
            done += state.step
            if end in (End.CANCELLED, End.DIVERGED):
                break
        assert state is not None  # a resolved spec has rungs
        return self._result(state.image, end, done, began, before)

    def _watched(self, steps: Iterator[Step]) -> Iterator[Step]:
        with self._memory():
            yield from steps

    @contextmanager
    def _memory(self) -> Iterator[None]:
        """Say in words that memory ran out."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            signs = ("can't allocate memory", "out of memory", "bad_alloc", "could not create a memory")
            if not (isinstance(error, MemoryError) or any(sign in str(error) for sign in signs)):
                raise
            raise ResourceError(
                f"memory ran out on the way to size {self.spec.size}; choose a smaller --size (half of it needs a "
                "quarter of the memory)"
            ) from error

    def _photograph(self, longer: int) -> Image:
        return self.content.resized(*fitted(*self.content.size, longer)).tensor().to(self.network.device)

    def _objective(self, content: Image, rung: Rung) -> Objective:
        method, device = self.method, self.network.device
        paintings = []
        for painting in self.styles:
            sized = painting.resized(*painting_size(painting, rung, self.spec)).tensor().to(device)
            paintings.append(_at_least(sized, self.network.backbone.smallest))
        weights = Weights(
            method.content_layers or {},
            method.style_layers or {},
            method.content_weight or 0.0,
            method.style_weight or 0.0,
            method.tv or 0.0,
        )
        formulas = Formulas(
            style=method.loss,
            content=method.content_loss,
            variation=method.variation,
            scale=method.scale,
            draws=Draws(self.spec.seed, fixed=method.optimiser == "lbfgs"),
            balance=method.balance_gradients,
        )
        proportions = self.spec.style_weights or ()
        styles = [Styled(image, share) for image, share in zip(paintings, proportions, strict=True)]
        with self._memory():
            return build(self.network.backbone, content, [Region(styles)], weights, formulas)

    def _descent(self) -> Method:
        assert self.method.rate is not None
        return METHODS[self.method.optimiser](rate=self.method.rate)

    def _note(self, step: Step) -> None:
        for name, value in {"total": step.total, **step.losses}.items():
            self.losses.setdefault(name, []).append(float(value[0]))

    def _result(self, image: Image, end: End, done: int, began: float, before: float = 0.0) -> Result:
        height, width = image.shape[-2:]
        picture = from_tensor(image, like=self.content.resized(width, height))
        record = Record(
            key=self.key,
            spec=self.spec,
            digests=self.digests,
            losses=self.losses,
            end=str(end),
            steps=done,
            timings={"total": before + time.perf_counter() - began},
            versions=versions(),
        )
        return Result(picture, record)


def versions() -> dict[str, str]:
    """Of the libraries that decide on the bits of a result, beside the processor and its number of threads."""
    return {
        "artune": version("artune"),
        "algorithm": str(ALGORITHM),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "pillow": version("pillow"),
        "python": platform.python_version(),
    }


def _read(source: Source, allow_huge: bool) -> Picture:
    if isinstance(source, str | Path):
        return read_picture(source, allow_huge=allow_huge)
    if not isinstance(source, Picture):
        raise PictureError(f"a {type(source).__name__} is no picture; give a path or an artune.Picture")
    for array in (source.pixels, source.alpha):
        if array is not None and not (array.min() >= -1e-3 and array.max() <= 1.001):  # nor NaN
            raise PictureError("a picture has values beyond [0, 1], or not finite; divide 8-bit values by 255")
    return source


def _at_least(image: Image, side: int) -> Image:
    """Repeat the border of a style picture that is too small for the network."""
    height, width = image.shape[-2:]
    down, right = max(0, side - height), max(0, side - width)
    return F.pad(image, (0, right, 0, down), mode="replicate") if down or right else image
