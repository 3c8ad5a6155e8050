"""What styles the frames of one scene, each as a picture of its own that keeps to the frames before it."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from artune import api
from artune.backbones.base import Image
from artune.engine.descend import run_to_end
from artune.errors import ArtuneWarning, EmptyMaskError
from artune.images.picture import Floats, Picture, from_tensor
from artune.images.resize import fitted
from artune.regions.masks import FAINTEST, fitted_mask, read_mask, resized_mask
from artune.spec.style import Optimise, StyleSpec
from artune.transfer.finish import finished
from artune.transfer.frames import EarlierFrame, FrameOptimiser
from artune.transfer.inputs import Keep, Painting, RegionStyle
from artune.transfer.methods import method_of, steps
from artune.transfer.optimise import painted_start, painter_on
from artune.transfer.plan import result_size
from artune.transfer.run import Run
from artune.transfer.task import Loaded, Task
from artune.video.flow import FlowEstimator
from artune.video.frames import Frame
from artune.video.steady import Carried, Earlier, carried_on, smoothed_mask, steadied
from artune.video.timeline import Timeline

Part = RegionStyle | Keep
"""A part of a frame, by its mask."""
PartsOf = Callable[[Frame], Sequence[Part]]
"""The parts of a frame."""
AT_ONCE = (1,)
"""How far back the frames lie to which a frame keeps: the one before it."""
FAR = (1, 2, 4)
"""The same where it is optimised, so that what was hidden for a while comes back as it was (Ruder et al. 2016)."""


def no_parts(frame: Frame) -> Sequence[Part]:
    """No parts, for any frame."""
    return ()


@dataclass(frozen=True, eq=False)
class Look:
    """How a film is styled.

    Attributes:
        spec: how each frame is styled; its strength may be open.
        paintings: for the rest of the picture, beside the regions.
        network: what the spec's method has loaded.
        timeline: weights of the paintings over time; ``None``: those of the spec.
        parts: regions, and parts of which more is kept, by masks.
        found: the same that a network finds in each frame; their masks are smoothed over frames.
    """

    spec: StyleSpec
    paintings: tuple[Painting, ...]
    network: Loaded
    timeline: Timeline | None = None
    parts: PartsOf = no_parts
    found: PartsOf = no_parts

    def task(self, frame: Frame, parts: Sequence[Part]) -> Task[Any]:
        """The task of one frame."""
        regions, keeps = regions_of(parts), [part for part in parts if isinstance(part, Keep)]
        spec = self.spec
        if self.timeline is not None:
            spec = spec.model_copy(update={"style_weights": self.timeline.weights(frame.time)})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ArtuneWarning)  # `read_painting` has said what there is to say
            return api.read(frame.picture, self.paintings, spec, regions=regions, keeps=keeps, network=self.network)

    def at(self, strength: float) -> "Look":
        """The same at a strength, if the frames depend on one."""
        if not self.spec.method.leaves_strength:
            return self
        return replace(self, spec=self.spec.model_copy(update={"strength": strength}))

    @property
    def reach(self) -> tuple[int, ...]:
        """How far back the frames lie to which a frame keeps."""
        return FAR if isinstance(self.spec.method, Optimise) else AT_ONCE


@dataclass(frozen=True)
class StyledFrame:
    """A frame that was styled.

    Attributes:
        picture: the result.
        kept: what later frames keep to.
    """

    picture: Picture
    kept: Earlier


@dataclass
class Styler:
    """Styles the frames of one scene, in order.

    Attributes:
        look: how; its strength is not open.
        estimator: finds the optical flow.
    """

    look: Look
    estimator: FlowEstimator = field(default_factory=FlowEstimator)
    _optimisers: dict[tuple[Picture, ...], FrameOptimiser] = field(default_factory=dict)

    def style(self, frame: Frame, earlier: Sequence[Earlier]) -> StyledFrame:
        """Style a frame.

        Args:
            frame: the frame.
            earlier: the frames before it in this scene, from near to far; none for the first one.
        """
        size = fitted(*frame.picture.size, result_size(self.look.spec, frame.picture.size))
        shown = frame.picture.resized(*size).filled()
        near = [earlier[back - 1] for back in self.look.reach if back <= len(earlier)]
        carried = carried_on(shown, near, self.estimator)
        masks, parts = self._parts(frame, shown, near, carried)
        if not (self.look.paintings or regions_of(parts)) and self.look.spec.method.takes_paintings:
            return StyledFrame(frame.picture.resized(*size), Earlier(shown, shown, masks))
        run = api.plan(self.look.task(frame, parts))
        image = self._image(run, carried)
        last = method_of(run.plan).finish(image, run)
        return StyledFrame(
            finished(last, run.plan, run.inputs, run.shown), Earlier(shown, from_tensor(image).pixels, masks)
        )

    def _image(self, run: Run[Any, Any], carried: Sequence[Carried]) -> Image:
        """The iterate of a frame at the end of its run."""
        if not carried or not isinstance(run.plan.method, Optimise):
            *_, last = steps(run)
            image = last.state.image
            return tensor(steadied(from_tensor(image).pixels, carried[0]), image) if carried else image
        with run.cores.in_use():
            start = self._start(run, carried[0])
            return self._optimiser(run).optimise(run, start, [*map(earlier_frame, carried)])

    def _optimiser(self, run: Run[Any, Any]) -> FrameOptimiser:
        """What has measured the paintings of a run. Regions come and go, and each set of paintings is measured once;
        but where their colours follow the photograph, they are others in each frame.
        """
        if run.plan.color != "style":
            return FrameOptimiser(run)
        paintings = tuple(painting.picture for painting in run.inputs.paintings)
        if paintings not in self._optimisers:
            self._optimisers[paintings] = FrameOptimiser(run)
        return self._optimisers[paintings]

    def _start(self, run: Run[Any, Any], before: Carried) -> Image:
        """Where the optimisation of a frame starts: at the one before, and where that is not valid at its own start."""
        level = len(run.plan.method.rungs) - 1
        if run.plan.method.start == "instant":
            painted = run_to_end(painted_start(run, painter_on(run.plan.device), level))
            return tensor(steadied(from_tensor(painted).pixels, before), painted)
        height, width = before.pixels.shape[:2]
        shown = run.shown.photograph.resized(width, height)
        pixels = shown.filled() + before.valid[..., None] * (before.pixels - shown.filled())
        return tensor(pixels, shown.tensor().to(run.network.device))

    def _parts(
        self, frame: Frame, shown: Floats, near: Sequence[Earlier], carried: Sequence[Carried]
    ) -> tuple[tuple[Floats, ...], list[Part]]:
        """The smoothed masks of the parts that were found, and all parts of a frame in which there is something."""
        height, width = shown.shape[:2]
        found = list(self.look.found(frame))
        masks = [resized_mask(mask_of(part, frame), width, height) for part in found]
        if near and len(near[0].masks) == len(masks) > 0:
            flow, valid = carried[0].flow, carried[0].valid
            masks = [smoothed_mask(*each, flow, valid) for each in zip(masks, near[0].masks, strict=True)]
        smoothed = [replace(part, mask=mask) for part, mask in zip(found, masks, strict=True)]
        return tuple(masks), present([*self.look.parts(frame), *smoothed], frame)


def regions_of(parts: Sequence[Part]) -> list[RegionStyle]:
    """The parts that have a style of their own."""
    return [part for part in parts if isinstance(part, RegionStyle)]


def present(parts: Sequence[Part], frame: Frame) -> list[Part]:
    """The parts of which there is something in a frame."""
    return [part for part in parts if mask_of(part, frame).max() >= FAINTEST]


def mask_of(part: Part, frame: Frame) -> Floats:
    """A part's mask at the size of a frame; zeros where there is nothing of it, as things come and go."""
    try:
        return fitted_mask(read_mask(part.mask), frame.picture.size)
    except EmptyMaskError:
        width, height = frame.picture.size
        return np.zeros((height, width), np.float32)


def earlier_frame(carried: Carried) -> EarlierFrame:
    """An earlier frame as tensors."""
    pixels, valid = torch.from_numpy(carried.pixels), torch.from_numpy(carried.valid)
    return EarlierFrame(pixels.permute(2, 0, 1)[None].contiguous(), valid[None, None])


def tensor(pixels: Floats, like: Image) -> Image:
    """Pixels ``[h, w, 3]`` as a tensor ``[1, 3, h, w]``, where another one is."""
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous().to(like.device)
