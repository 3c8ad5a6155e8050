"""The network that is bundled with the package: it replaces VGG-19 in style transfer, at a fraction of the cost.

A plain chain of 3x3 convolutions, leaky ReLU and average pooling, distilled from VGG (``training/distill.py``). Its
taps have the names of the layers of VGG that they imitate.

In a new network and in the bundled one the first tap contains the picture's own red, green and blue, so that no colour
is invisible to the losses.
"""

import itertools
import math
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artune.backbones.base import NO_METADATA, Backbone, Features, Image, Pass, PassOutput, TapInfo, without_prefix
from artune.backbones.chain import ChainPass, Core
from artune.backbones.sums import sums_of
from artune.blank import Blank
from artune.errors import ArtuneWarning, WeightsError

RGB = 3
"""Number of channels of the first tap that hold the picture itself, times ``GAIN``."""
GAIN = 4.0
"""Factor of the colours in the first tap, which gives them the variance of the other channels."""
STAGES = 5
"""Number of stages, and of taps."""
MARGIN = 4
"""Width in pixels of the border that is repeated around a picture: enough that no frame appears in results."""
ALIGNED = 8
"""Pixels that the height and width of the padded picture are a multiple of, so that no stride skips a row."""


@dataclass(frozen=True)
class CompactConfig:
    """The shape of a compact network.

    Attributes:
        stages: channels of every 3x3 convolution, stage by stage; a stage after the first begins with 2x2 average
            pooling, and the tap ``reluS_1`` is the output of stage S.
        slope: slope of the activation below zero, in [0, 1); 0 is a ReLU.
    """

    stages: tuple[tuple[int, ...], ...] = ((24,), (32, 48), (64, 64, 96), (128, 128, 192), (192, 192))
    slope: float = 0.1

    @classmethod
    def of_file(cls, weights: Mapping[str, Tensor], metadata: Mapping[str, str], where: str) -> Self:
        """The shape of the network in a file: its tensors tell the channels, its metadata the slope.

        Args:
            weights: tensors by name.
            metadata: ``slope`` counts; a file without it is taken for one with a ReLU.
            where: the file, for messages.

        Raises:
            WeightsError: the slope is not a number from 0 to below 1.
        """
        stages: list[tuple[int, ...]] = []
        while widths := tuple(_widths(weights, len(stages))):
            stages.append(widths)
        try:
            slope = float(metadata.get("slope", 0))
        except ValueError:
            slope = math.nan
        if not 0 <= slope < 1:
            raise WeightsError(f"{where}: its metadata have slope {metadata['slope']!r}; it must be from 0 to below 1")
        return cls(tuple(stages), slope)

    def misfit(self, weights: Mapping[str, Tensor]) -> str:
        """What keeps tensors from being weights of a network of this shape; empty if nothing does."""
        if len(self.stages) != STAGES:
            return f"it has {len(self.stages)} stages (stages.0.0.weight and so on), needed are {STAGES}"
        if self.stages[0][0] < RGB:
            return f"its first convolution has {self.stages[0][0]} channels, needed are {RGB} or more"
        shapes: dict[str, tuple[int, ...]] = {}
        channels = RGB
        for stage, widths in enumerate(self.stages):
            for place, width in enumerate(widths):
                name = f"stages.{stage}.{place}"
                shapes |= {f"{name}.weight": (width, channels, 3, 3), f"{name}.bias": (width,)}
                channels = width
        if strange := sorted(weights.keys() - shapes.keys()):
            return f"it has {strange[0]}, which is no part of one, or lacks what comes before"
        for name, needed in shapes.items():
            tensor = weights.get(name)
            if tensor is None or tuple(tensor.shape) != needed or not tensor.is_floating_point():
                has = "none" if tensor is None else f"{tensor.dtype} of shape {tuple(tensor.shape)}"
                return f"needed is {name}, floating-point of shape {needed}, it has {has}"
        return ""


def _widths(weights: Mapping[str, Tensor], stage: int) -> Iterator[int]:
    """Channels of the convolutions of a stage of a file."""
    for place in itertools.count():
        weight = weights.get(f"stages.{stage}.{place}.weight")
        if weight is None or not weight.dim():
            return
        yield len(weight)


class Compact(Backbone):
    """The compact network; see the top of this file.

    Args:
        config: its shape; the bundled weights fit the default one.
        margin: width in pixels of the border that is repeated around a picture.
    """

    name = "compact"
    smallest = 16

    def __init__(self, config: CompactConfig = CompactConfig(), margin: int = MARGIN) -> None:
        super().__init__()
        self.margin = margin
        self._build(config)

    def _build(self, config: CompactConfig) -> None:
        """Make the convolutions of a shape, with new weights."""
        self.config = config
        self.stages = nn.ModuleList()
        self.taps: dict[str, TapInfo] = {}
        channels, stride, field, cost, values = 3, 1, 1, 0.0, 3.0
        for number, widths in enumerate(config.stages, start=1):
            if number > 1:
                field += stride
                stride *= 2
                values += channels / stride**2
            stage = nn.ModuleList()
            for width in widths:
                # zeros would paint a frame; the picture itself is padded by padded()
                is_first = number == 1 and not stage
                border = {} if is_first else {"padding": 1, "padding_mode": "replicate"}
                stage.append(nn.Conv2d(channels, width, 3, **border))  # type: ignore[arg-type]
                field += 2 * stride
                cost += 9 * channels * width / stride**2
                values += (channels + width) / stride**2
                channels = width
            self.stages.append(stage)
            seen = field + 2 * (self.margin % stride)  # features begin up to a stride before the picture does
            self.taps[f"relu{number}_1"] = TapInfo(channels, stride, seen, cost, values)
        self.pin_colour()

    def pin_colour(self) -> None:
        """Make the first three channels of the first tap the picture itself, times ``GAIN``."""
        first = self.stages[0][0]  # type: ignore[index]
        with torch.no_grad():
            first.weight[:RGB] = 0
            first.bias[:RGB] = 0
            for channel in range(RGB):
                first.weight[channel, channel, 1, 1] = GAIN

    def padded(self, image: Image) -> Tensor:
        """The picture with its border repeated, in the network's precision: the input of the first convolution.

        Without a margin fewer features depend on a pixel at the border than on one inside, most of all in the deep taps
        that keep the content, and bright frames appear. Sides become multiples of ``ALIGNED``, so that no row is
        skipped. Padding comes before the change of precision: that is faster for three channels.
        """
        down, right = (self.margin + -(side + 2 * self.margin) % ALIGNED for side in image.shape[-2:])
        x = F.pad(image, (self.margin + 1, right + 1, self.margin + 1, down + 1), mode="replicate")
        return x.to(self.stages[0][0].weight.dtype, memory_format=torch.channels_last)  # type: ignore[index]

    def forward(self, image: Image, taps: Collection[str]) -> Features:
        features: dict[str, Tensor] = {"image": image} if "image" in taps else {}
        wanted = set(taps) - {"image"}
        x = self.padded(image)
        for tap, stage in zip(self.taps, self.stages, strict=True):
            if not wanted:
                break
            for conv in cast(Iterable[nn.Conv2d], stage):
                x = self.activated(conv(x))
            features[tap] = x
            wanted.discard(tap)
            x = self.pooled(x) if wanted else x
        return {tap: self.cropped(value, tap, image) for tap, value in features.items() if tap in taps}

    def activated(self, x: Tensor) -> Tensor:
        """The activation of a convolution's output, which is overwritten."""
        return F.leaky_relu(x, self.config.slope, inplace=True)

    def pooled(self, x: Tensor) -> Tensor:
        """The input of the stage after."""
        return F.avg_pool2d(x, 2)

    def cropped(self, features: Tensor, tap: str, image: Image) -> Tensor:
        """The features of the picture itself, without those of the margin."""
        return features if tap == "image" else features[(..., *self.core(tap, image))]

    def core(self, tap: str, image: Image) -> Core:
        """Rows and columns of a tap that are features of the picture itself."""
        stride = self.taps[tap].stride
        first = self.margin // stride
        rows, columns = (slice(first, first - (-side // stride)) for side in image.shape[-2:])
        return rows, columns

    def make_pass(self, taps: Collection[str], summed: Collection[str]) -> Pass:
        if next(self.parameters()).device.type != "cpu":  # there PyTorch's own kernels are faster than strips
            return super().make_pass(taps, summed)
        return CompactPass(self, taps, summed)

    def load(self, weights: Mapping[str, Tensor], where: str, metadata: Mapping[str, str] = NO_METADATA) -> None:
        """Copy the weights of a file; the network takes its shape, and keeps its device and precision.

        A file whose metadata do not tell the slope is taken for one with a ReLU, with a warning.

        Raises:
            WeightsError: the weights, or the metadata, are not those of a compact network; it is left as it was.
        """
        weights = without_prefix(weights, "stages.0.0.weight")
        config = CompactConfig.of_file(weights, metadata, where)
        if wrong := config.misfit(weights):
            raise WeightsError(
                f"{where}: these are not weights of the compact network: {wrong}; leave out `weights`, or give a file "
                "made by training/distill.py"
            )
        if "slope" not in metadata:
            warnings.warn(
                f"{where}: its metadata do not tell the slope, so the activation is taken for a ReLU; give the "
                "safetensors file that training/distill.py has written",
                ArtuneWarning,
                stacklevel=2,
            )
        if config != self.config:
            like = next(self.parameters())
            with Blank():
                self._build(config)
            self.to(like).requires_grad_(like.requires_grad)
        self.load_state_dict(dict(weights))

    @property
    def metadata(self) -> Mapping[str, str]:  # type: ignore[override]
        """The slope, which the tensors do not tell."""
        return {"slope": str(self.config.slope)}

    def weights(self, tap: str) -> dict[str, Tensor]:
        return self.state_dict(keep_vars=True)


class CompactPass:
    """The pass of the compact network on a CPU, in one function; see ``artune.backbones.chain``.

    The gradient of a call must be taken before the next call. Weights that are loaded later count, but a network that
    has changed its shape needs a new pass.

    Args:
        network: the network.
        taps: taps whose activations it finds.
        summed: taps whose sums over positions it finds.
    """

    def __init__(self, network: Compact, taps: Collection[str], summed: Collection[str]) -> None:
        self.network, self.taps, self.summed = network, {*taps}, {*summed}
        self.names, self.stages = list(network.taps), network.stages
        stages = [[*cast(Iterable[nn.Conv2d], stage)] for stage in network.stages]
        places = [[self.names.index(tap) for tap in some - {"image"}] for some in (self.taps, self.summed)]
        self.chain = ChainPass(stages, network.config.slope, *places) if any(places) else None

    def __call__(self, image: Image) -> PassOutput:
        if self.network.stages is not self.stages:
            raise RuntimeError("the network was given another shape since this pass was made; make a new pass")
        features, sums = {}, {}
        if self.chain is not None:
            cores = [self.network.core(tap, image) for tap in self.names]
            by_stage, summed = self.chain(self.network.padded(image), cores)
            features = {self.names[stage]: value for stage, value in by_stage.items()}
            sums = {self.names[stage]: value for stage, value in summed.items()}
        if "image" in self.taps:
            features["image"] = image
        if "image" in self.summed:
            sums["image"] = sums_of(image)
        return PassOutput(features, sums)
