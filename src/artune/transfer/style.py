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

from artune import color
from artune.backbones.base import Image
from artune.engine.descend import STILL, End, Evaluation, Function, Method, State, Step, begin, descend
from artune.engine.methods import LBFGS, METHODS, Adam
from artune.errors import ResourceError, SpecError, UnknownNameError
from artune.images import Floats, Picture, from_tensor, write_picture
from artune.losses import tiled
from artune.losses.objective import Formulas, Objective, Region, Styled, Weights, build
from artune.losses.photoreal import matting, smooth_like
from artune.losses.protocol import Draws
from artune.record import ALGORITHM, Record, run_key
from artune.regions import composite, resized_mask
from artune.spec import Optimise, Rung, StyleSpec, with_options
from artune.transfer.checkpoint import Checkpoint
from artune.transfer.inputs import Inputs, Masked, Painting, RegionStyle, Source, read_source
from artune.transfer.machine import give_back_memory
from artune.transfer.network import Network
from artune.transfer.rates import GENTLE, schedule
from artune.transfer.resolve import recipe_of, resolve, weights_at, with_own_names
from artune.transfer.sizes import check_sizes, fitted, painting_size
from artune.transfer.start import STARTS, enlarged, start
from artune.transfer.tiles import Room


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
        return self.run.finished(self.step.image)

    def save(self, path: Path) -> None:
        """Write a checkpoint to go on from, atomically."""
        Checkpoint(self.run.key, self.level, self.step.state, self.run.losses, self.seconds).save(path)


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
        note = {"artune": self.record.versions.get("artune", ""), "spec": self.record.spec.model_dump(mode="json")}
        write_picture(dataclasses.replace(self.picture, note=note), path, bits=bits, replace=replace)
        return Path(path)


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
    allow_huge: bool = False,
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
        allow_huge: read pictures above 100 million pixels.
        options: fields of the spec or of its method, in place of ``spec``: ``style(a, b, strength=0.7)``.

    Raises:
        InputError: something given cannot be used.
        WeightsError: missing or unfit weights.
        ResourceError: not enough memory.
    """
    if not isinstance(spec, StyleSpec | None):
        raise SpecError(f"spec is a {type(spec).__name__}; give an artune.StyleSpec, or the options by name")
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
    )
    return job.run(resume=None if resume is None else Path(resume), on_step=on_step, on_tile=on_tile)


class Job:
    """One run, prepared: everything is read, checked and resolved before the first step.

    Attributes:
        spec: resolved.
        key: of the spec and all digests.
        losses: of the steps so far, by name.
        level: place among the sizes of the one at work, from 0.
        state: of the descent there.
        tiled: whether a size is computed in tiles.
    """

    def __init__(self, spec: StyleSpec, inputs: Inputs, first: Picture | None, network: Network) -> None:
        self.spec, self.network = spec, network
        self.inputs = inputs.faded([min(1.0, s / GENTLE) for s in self._strengths(inputs)])  # as they were given
        self.shown = self.inputs.coloured(spec)  # as the network sees them
        self.first = first or self.shown.paintings[0].picture  # where a start that is not the photograph comes from
        self.digests = inputs.digests
        self.key = run_key(spec, self.digests)
        self.losses: dict[str, list[float]] = {}
        self.level = 0
        self.state: State | None = None
        self.room = _room(spec, inputs, network)
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
    ) -> "Job":
        """Read, check and resolve; the arguments are those of :func:`style`."""
        inputs = Inputs.read(content, styles, regions, allow_huge=allow_huge)
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
        given = _given(spec.method.start, first, allow_huge)
        if given is not None:
            spec = spec.model_copy(update={"method": spec.method.model_copy(update={"start": "file"})})
        precision = "bf16" if network.dtype == torch.bfloat16 else "fp32"
        for name, asked, has in (
            ("precision", spec.precision, precision),
            ("device", spec.device, str(network.device)),
        ):
            if asked not in ("auto", has, has.split(":")[0]):
                raise SpecError(f"the spec asks for {name} {asked}, the network given has {has}; make them equal")
        resolved = resolve(
            with_own_names(spec, network.backbone),
            inputs.photograph.size,
            len(styles),
            device=str(network.device),
            precision=precision,
            smallest=network.backbone.smallest,
            regions=[region.strength for region in regions],
            smooth=network.smooth,
            recipe=recipe_of(spec.method.network, network.backbone.taps),
        )
        method = resolved.method
        taps = [*(method.content_layers or {}), *(method.style_layers or {})]
        network.backbone.check(taps)
        check_sizes(resolved, inputs.photograph, network)
        resolved = _room(resolved, inputs, network).checked()
        inputs.digests["weights"] = network.digest
        if given is not None:
            inputs.digests["start"] = given.digest()
        return cls(resolved, inputs, given, network)

    @property
    def method(self) -> Optimise:
        """The resolved method."""
        return self.spec.method

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """The sizes and their steps."""
        return self.method.rungs or ()

    def run(
        self, *, resume: Path | None = None, on_step: OnStep | None = None, on_tile: OnTile | None = None
    ) -> Result:
        """Descend size by size; see :func:`style`."""
        began, before = time.perf_counter(), 0.0
        if resume:
            shape, memory = self.inputs.photograph.size, self._descent().memory
            left = Checkpoint.load(resume, self.key, self.rungs, shape, memory, self.network.device)
            self.level, self.state, before = left.level, left.state, left.seconds
            self.losses = {name: list(values) for name, values in left.losses.items()}
            del left
        end = End.DONE
        nothing_to_do = self.method.start == "content" or self.spec.strength == 0
        if nothing_to_do and not (any(style for _, style in self._weights()) or self.method.tv):
            return self._result(self._photograph(self.rungs[-1].size), End.DONE, 0, began)

        def progress(step: Step) -> Progress:
            done, total = self._done(), sum(rung.steps for rung in self.rungs)
            seconds = before + time.perf_counter() - began
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
        return self._result(image, end, done, began, before)

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
        content = self._photograph(rung.size)
        if self.state is None:
            first = start(self.method.start, content, self.first, self.spec.seed)
            covered = self._covered(content)
            self.state = begin(first if covered is None else torch.where(covered > 0, first, content))
        elif index > self.level:
            last = self._photograph(self.rungs[self.level].size) if self.method.start == "content" else None
            self.state = enlarged(self.state, method, content, last)
            del last
        self.level = index
        objective = self._confined(self._objective(content, rung, side, told), content)
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
            signs = ("can't allocate memory", "out of memory", "bad_alloc", "could not create a memory")
            if not (isinstance(error, MemoryError) or any(sign in str(error) for sign in signs)):
                raise
            raise ResourceError(
                f"memory ran out on the way to size {self.spec.size}; choose a smaller --size (half of it needs a "
                "quarter of the memory)"
            ) from error

    def _photograph(self, longer: int) -> Image:
        shown = self.shown.photograph
        return shown.resized(*fitted(*shown.size, longer)).tensor().to(self.network.device)

    def _covered(self, content: Image) -> torch.Tensor | None:
        """Where the result may differ from the photograph, ``[1, 1, h, w]``; ``None`` for everywhere."""
        height, width = content.shape[-2:]
        covered = self.inputs.covered_at(width, height)
        return None if covered is None else torch.from_numpy(covered).to(content.device)[None, None]

    def _mask(self, mask: Floats, image: Image) -> torch.Tensor:
        height, width = image.shape[-2:]
        return torch.from_numpy(resized_mask(mask, width, height)).to(self.network.device)[None, None]

    def _confined(self, objective: Function, content: Image) -> Function:
        """The same without a gradient where the photograph is to stay."""
        covered = self._covered(content)
        if covered is None:
            return objective

        def confined(x: torch.Tensor, step: int) -> Evaluation:
            value = objective(x, step)
            return value._replace(gradient=value.gradient.mul_(covered > 0))

        return confined

    def _weights(self) -> list[tuple[float, float]]:
        """Weights of content and style in each place; the rest comes last."""
        return [weights_at(self.spec, strength) for strength in self._strengths(self.inputs)]

    def _strengths(self, inputs: Inputs) -> list[float]:
        return [*(self.spec.region_strengths or ()), self.spec.strength][: len(inputs.places)]

    def _objective(self, content: Image, rung: Rung, side: int | None, told: tiled.OnTile) -> Objective | tiled.Tiled:
        method = self.method
        weights = Weights(method.content_layers or {}, method.style_layers or {}, tv=method.tv or 0.0)
        formulas = Formulas(
            style=method.loss,
            content=method.content_loss,
            variation=method.variation,
            scale=method.scale,
            draws=Draws(self.spec.seed, fixed=method.optimiser == "lbfgs"),
            balance=method.balance_gradients,
        )
        regions = []
        for place, (of_content, of_style) in zip(self.shown.places, self._weights(), strict=True):
            mixed = self.spec.style_weights if len(place.paintings) > 1 else None
            proportions = mixed or (1.0,) * len(place.paintings)
            styles = [
                self._styled(painting, share, rung)
                for painting, share in zip(place.paintings, proportions, strict=True)
            ]
            weight = self.shown.weight(place)
            mask = None if weight is None else self._mask(weight, content)
            regions.append(Region(styles, mask, style=of_style, content=of_content))
        backbone = self.network.backbone
        if side is not None:
            return tiled.build(backbone, content, regions, weights, formulas, side=side, on_tile=told)
        extra = [matting(content, method.photoreal)] if method.photoreal else []
        return build(backbone, content, regions, weights, formulas, extra)

    def _styled(self, painting: Painting, share: float, rung: Rung) -> Styled:
        size = painting_size(painting.picture, rung, self.spec)
        image = painting.picture.resized(*size).tensor().to(self.network.device)
        weight = painting.weight()
        mask = None if weight is None else self._mask(weight, image)
        side = self.network.backbone.smallest
        return Styled(_at_least(image, side), share, None if mask is None else _at_least(mask, side))

    def _descent(self) -> Method:
        assert self.method.rate is not None
        if self.method.optimiser == "lbfgs":
            return LBFGS(rate=self.method.rate, search=self.method.line_search == "strong-wolfe")
        return METHODS[self.method.optimiser](rate=self.method.rate)

    def _note(self, step: Step) -> None:
        for name, value in {"total": step.total, **step.losses}.items():
            self.losses.setdefault(name, []).append(float(value[0]))

    def finished(self, image: Image, *, smoothed: bool = False) -> Picture:
        """The picture that an iterate stands for: its colours, and the photograph where it is to stay.

        Args:
            image: the iterate.
            smoothed: also along the photograph's edges, if the spec says so; this takes seconds.
        """
        height, width = image.shape[-2:]
        photograph, covered = self.inputs.photograph, self.inputs.covered_at(width, height)
        if not (photograph.alpha is None and covered is None and self.spec.color == "style"):
            photograph = photograph.resized(width, height)
        picture = from_tensor(image, like=photograph)
        pixels = picture.pixels
        if smoothed and self.method.photoreal_smoothing:
            pixels = smooth_like(
                pixels, self.shown.photograph.resized(width, height).filled(), self.method.photoreal_smoothing
            )
        if self.spec.color == "content-luminance":
            pixels = color.with_luminance_of(pixels, photograph.filled(), self.spec.color_space)
        if covered is not None:
            pixels = composite(pixels, photograph.pixels, covered)
        return dataclasses.replace(picture, pixels=pixels)

    def _result(self, image: Image, end: End, done: int, began: float, before: float = 0.0) -> Result:
        picture = self.finished(image, smoothed=True)
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


def _given(kind: str, first: Source | Result | None, allow_huge: bool) -> Picture | None:
    """The picture to start from, where one was given."""
    if first is not None:
        if kind not in ("content", "file"):
            raise SpecError(f"both start {kind!r} and first, a picture to start from, are given; leave out either")
        return first.picture if isinstance(first, Result) else read_source(first, allow_huge)
    if kind in STARTS:
        return None
    if not os.path.exists(kind):
        why = "a spec names no files: give the picture again" if kind == "file" else "it is no picture file either"
        raise UnknownNameError("start", kind, STARTS, why=why)
    return read_source(kind, allow_huge=allow_huge)


def _at_least(image: torch.Tensor, side: int) -> torch.Tensor:
    """Repeat the border of a style picture that is too small for the network."""
    height, width = image.shape[-2:]
    down, right = max(0, side - height), max(0, side - width)
    return F.pad(image, (0, right, 0, down), mode="replicate") if down or right else image


def _room(spec: StyleSpec, inputs: Inputs, network: Network) -> Room:
    paintings = [painting.picture for painting in inputs.paintings]
    masks = sum(place.mask is not None for place in inputs.places)
    return Room(spec, inputs.photograph, paintings, network, masks)
