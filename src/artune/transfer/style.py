"""Style transfer of one picture: resolve, then size by size build an objective and descend it."""

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, ValidationError
from torch import Tensor
from torch.nn import functional as F

from artune.backbones.base import Backbone, Image
from artune.backbones.load import load_network
from artune.engine.descend import STILL, End, State, Step, begin, descend
from artune.engine.methods import LBFGS, METHODS, Method
from artune.errors import CheckpointError, InputError, PictureError, ResourceError, SpecError
from artune.files import load_checkpoint, save_checkpoint
from artune.images import Picture, from_tensor, read_picture, write_picture
from artune.losses.objective import Objective, Weights, build
from artune.record import ALGORITHM, Record, run_key
from artune.spec import LARGEST, Optimise, Rung, StyleSpec, with_options
from artune.transfer.machine import check_memory, choose_device, choose_precision
from artune.transfer.resolve import STARTS, fitted, resolve
from artune.transfer.start import start

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
        state = self.step.state
        tensors = {"x": state.x, "average": state.average, **{f"slot.{k}": v for k, v in state.slots.items()}}
        if state.total is not None:
            tensors["total"] = state.total
        about = {
            "key": self.run.key,
            "level": self.level,
            "step": state.step,
            "mass": state.mass,
            "still": state.still,
            "losses": self.run.losses,
            "seconds": self.seconds,
        }
        save_checkpoint(path, tensors, about)


OnStep = Callable[[Progress], bool | None]
"""Called after every step; returning true cancels the run."""


@dataclass(frozen=True)
class Result:
    """A picture and its record."""

    picture: Picture
    record: Record

    def save(self, path: Path | str, *, bits: int = 8) -> Path:
        """Write the picture with its resolved spec embedded; the format follows from the suffix.

        Raises:
            OutputError: unknown suffix, no permission, no space.
        """
        note = {"artune": self.record.versions.get("artune", ""), "spec": self.record.spec.model_dump(mode="json")}
        write_picture(replace(self.picture, note=note), path, bits=bits)
        return Path(path)


@dataclass(frozen=True)
class Network:
    """A loss network, loaded once for many pictures.

    Attributes:
        backbone: ready to run.
        name: as in the spec.
        pooling: as in the spec.
        digest: sha256 of its weights.
        device: where it is.
        dtype: of its activations.
    """

    backbone: Backbone
    name: str
    pooling: str
    digest: str
    device: torch.device
    dtype: torch.dtype

    @classmethod
    def load(
        cls, spec: StyleSpec, weights: Path | str | None = None, progress: Callable[[int, int], None] | None = None
    ) -> "Network":
        """The network that a spec asks for.

        Raises:
            UnknownNameError: no such network or device.
            WeightsError: missing or unfit weights.
        """
        device = choose_device(spec.device)
        dtype = choose_precision(spec.precision, device)
        backbone, digest = load_network(
            spec.method.network,
            weights=None if weights is None else Path(weights),
            pooling=spec.method.pooling,
            device=device,
            dtype=dtype,
            progress=progress,
        )
        return cls(backbone, spec.method.network, spec.method.pooling, digest, device, dtype)


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
        precision = "bf16" if network.dtype == torch.bfloat16 else "fp32"
        for name, asked, has in (
            ("precision", spec.precision, precision),
            ("device", spec.device, str(network.device)),
        ):
            if asked not in ("auto", has, has.split(":")[0]):
                raise SpecError(f"the spec asks for {name} {asked}, the network given has {has}; make them equal")
        resolved = resolve(spec, photograph.size, len(paintings), device=str(network.device), precision=precision)
        method = resolved.method
        taps = [*(method.content_layers or {}), *(method.style_layers or {})]
        network.backbone.check(taps)
        _check_sizes(resolved, photograph, paintings, network)
        digests = {"content": photograph.digest(), "weights": network.digest}
        digests |= {f"style {i}": painting.digest() for i, painting in enumerate(paintings)}
        first = paintings[0]
        if spec.method.start not in STARTS:
            if not Path(spec.method.start).exists():
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
        began = time.perf_counter()
        level, state, before = self._load(resume) if resume else (0, None, 0.0)
        rungs = self.method.rungs or ()
        total = sum(rung.steps for rung in rungs)
        done, end = 0, End.DONE
        nothing_to_do = self.method.start == "content" or self.spec.strength == 0
        if nothing_to_do and not (self.method.style_weight or self.method.tv):
            return self._result(self._content(rungs[-1].size).tensor(), End.DONE, 0, began)
        method = self._descent()
        for index, rung in enumerate(rungs):
            if index < level:
                done += rung.steps
                continue
            size = fitted(*self.content.size, rung.size)
            if state is None or index > level:
                state = self._enter(size, state, method)
            objective = self._objective(rung)
            average = self.method.average or 0.0
            if state.still >= STILL:
                end = End.STALLED
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

    def _content(self, longer: int) -> Picture:
        return self.content.resized(*fitted(*self.content.size, longer))

    def _objective(self, rung: Rung) -> Objective:
        method, device = self.method, self.network.device
        content = self._content(rung.size).tensor().to(device)
        paintings = []
        for painting in self.styles:
            sized = painting.resized(*_painting_size(painting, rung, self.spec)).tensor().to(device)
            paintings.append(_at_least(sized, self.network.backbone.smallest))
        weights = Weights(
            method.content_layers or {},
            method.style_layers or {},
            method.content_weight or 0.0,
            method.style_weight or 0.0,
            method.tv or 0.0,
        )
        with self._memory():
            return build(
                self.network.backbone,
                content,
                paintings,
                weights,
                loss=method.loss,
                scale=method.scale,
                style_weights=self.spec.style_weights,
            )

    def _descent(self) -> Method:
        assert self.method.rate is not None
        return METHODS[self.method.optimiser](rate=self.method.rate)

    def _enter(self, size: tuple[int, int], state: State | None, method: Method) -> State:
        """The state at the beginning of a size: the start, or the last size's picture and memory enlarged.

        Where the photograph was the start, what the last size changed of it is enlarged, and added to the photograph
        at the new size: its edges and grain are nearer to the end than a blurred picture is.
        """
        width, height = size
        content = self.content.resized(width, height).tensor().to(self.network.device)
        if state is None:
            return begin(start(self.method.start, content, self.first, self.spec.seed))

        def resize(x: Tensor) -> Tensor:
            return F.interpolate(x, (height, width), mode="bilinear", align_corners=False)

        image, base = state.image, torch.zeros_like(content)
        if self.method.start == "content":
            before = self.content.resized(image.shape[3], image.shape[2]).tensor().to(image)
            image, base = image - before, content
        image = base + F.interpolate(image, (height, width), mode="bicubic", align_corners=False)
        return begin(image.clamp(0, 1), method.carry(state.slots, resize))

    def _note(self, step: Step) -> None:
        for name, value in {"total": step.total, **step.losses}.items():
            self.losses.setdefault(name, []).append(float(value[0]))

    def _load(self, path: Path) -> tuple[int, State, float]:
        tensors, data = load_checkpoint(path)
        try:
            about = _Saved.model_validate(data)
        except ValidationError as error:
            raise _damaged(path, f"{error.error_count()} of its fields are wrong") from None
        if about.key != self.key:
            raise CheckpointError(
                f"{path} belongs to another run: its pictures, options or weights are others; give the same ones, "
                "or remove it to start anew"
            )
        rungs = self.method.rungs or ()
        if about.level >= len(rungs) or about.step > rungs[about.level].steps:
            raise _damaged(path, "it is further than the run goes")
        width, height = fitted(*self.content.size, rungs[about.level].size)
        pictures = ("x", "average", "slot.first", "slot.second", "slot.x", "slot.gradient")
        if not {"x", "average"} <= tensors.keys() or any(
            tensors[name].shape != (1, 3, height, width) for name in pictures if name in tensors
        ):
            raise _damaged(path, f"it holds no picture of {width}x{height} pixels")
        slots_there = {name.removeprefix("slot.") for name in tensors if name.startswith("slot.")}
        if about.step and slots_there != METHODS[self.method.optimiser].memory:
            raise _damaged(path, "the optimiser's memory is not whole")
        if not all(tensor.isfinite().all() for tensor in tensors.values()):
            raise _damaged(path, "it holds values that are not finite")
        device = self.network.device
        slots = {name.removeprefix("slot."): t.to(device) for name, t in tensors.items() if name.startswith("slot.")}
        if "count" in slots:
            slots["count"] = slots["count"].cpu()
        state = State(
            tensors["x"].to(device),
            tensors["average"].to(device),
            about.mass,
            about.step,
            slots,
            about.still,
            tensors["total"].to(device) if "total" in tensors else None,
        )
        self.losses = about.losses
        return about.level, state, about.seconds

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


class _Saved(BaseModel):
    """What a checkpoint says beside its tensors."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    key: str
    level: NonNegativeInt
    step: NonNegativeInt
    mass: NonNegativeFloat
    still: NonNegativeInt
    losses: dict[str, list[float]]
    seconds: NonNegativeFloat


def _damaged(path: Path, why: str) -> CheckpointError:
    return CheckpointError(f"cannot resume from {path}: {why}; remove it to start anew")


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


def _check_sizes(spec: StyleSpec, photograph: Picture, paintings: Sequence[Picture], network: Network) -> None:
    """Raise if a size of a resolved spec is below what the network takes, or the last beyond what memory holds."""
    method, backbone = spec.method, network.backbone
    rungs = method.rungs or ()
    for rung in rungs:
        width, height = fitted(*photograph.size, rung.size)
        if min(width, height) < backbone.smallest:
            longer = -(-backbone.smallest * max(photograph.size) // min(photograph.size))
            shape = f"{photograph.size[0]}x{photograph.size[1]}"
            raise SpecError(
                f"a {shape} picture at size {rung.size} is {width}x{height} pixels; network {network.name} needs "
                f"at least {backbone.smallest} on the shorter side: "
                + (f"--size {longer} or more" if longer <= LARGEST else "crop it to a shape that is less long")
            )
    largest = max(rungs, key=lambda rung: rung.size)
    width, height = fitted(*photograph.size, largest.size)
    painted = sum(w * h for w, h in (_painting_size(painting, largest, spec) for painting in paintings))
    taps = [tap for tap in (*(method.content_layers or {}), *(method.style_layers or {})) if tap != "image"]
    values = max((backbone.taps[tap].values for tap in taps), default=3.0)
    bytes_of_step = width * height * step_bytes(values, network.dtype, method.optimiser)
    bytes_before = (width * height + painted) * (values * network.dtype.itemsize + 36)  # features of all, once
    check_memory(width, height, max(bytes_of_step, bytes_before), network.device)


def step_bytes(values: float, dtype: torch.dtype, optimiser: str) -> float:
    """Bytes per picture pixel at the peak of a step: activations with their gradients, the picture with its copies."""
    copies = 14 + (2 * LBFGS().history + 6 if optimiser == "lbfgs" else 0)
    return 2.2 * values * dtype.itemsize + 3 * 4 * copies


def _painting_size(painting: Picture, rung: Rung, spec: StyleSpec) -> tuple[int, int]:
    """Width and height of a painting beside a result; never enlarged: that would invent a smooth style."""
    longer = max(min(round(rung.size * spec.style_scale), max(painting.size)), 1)
    return fitted(*painting.size, longer)


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
