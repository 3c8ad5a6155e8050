"""Networks that see a picture as one that repeats: beyond an edge they see the edge opposite."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from artune.backbones.base import (
    NO_METADATA,
    WHOLE,
    Backbone,
    Features,
    Image,
    Pass,
    PassOutput,
    TapInfo,
    stride_and_radius,
)
from artune.backbones.sums import sums_of
from artune.errors import SpecError
from artune.images.resize import Wraps


def wrapped(image: Tensor, down: tuple[int, int], across: tuple[int, int]) -> Tensor:
    """A picture or mask with what follows it beyond its edges, as it repeats.

    Args:
        image: ``[b, c, h, w]``.
        down: rows to add above and below; also more than there are.
        across: columns to add to the left and to the right.
    """
    for dim, (before, after) in ((-2, down), (-1, across)):
        side = image.shape[dim]
        if before or after:
            copies, more = -(-before // side), -(-after // side)
            row = torch.cat([image] * (copies + 1 + more), dim)
            image = row.narrow(dim, copies * side - before, before + side + after)
    return image


class Circular(Backbone):
    """A network that sees a picture as one that repeats.

    Every layer is then circular, whatever padding it has of its own: the picture is enlarged by what follows it, by at
    least the radius that the taps see, and the features of the picture itself are cut out.

    Args:
        inner: the network; its features must depend on their receptive field alone.
        wraps: the axes along which pictures repeat.
    """

    def __init__(self, inner: Backbone, wraps: Wraps) -> None:
        super().__init__()
        self.inner, self.wraps = inner, wraps
        self.name, self.smallest, self.residual, self.local = inner.name, inner.smallest, inner.residual, inner.local
        self.aliases = inner.aliases

    @property
    def taps(self) -> Mapping[str, TapInfo]:  # type: ignore[override]
        """The taps of the inner network."""
        return self.inner.taps

    @property
    def metadata(self) -> Mapping[str, str]:  # type: ignore[override]
        """Those of the inner network."""
        return self.inner.metadata

    def forward(self, image: Image, taps: Collection[str]) -> Features:
        return self.cropped(self.inner(self.enlarged(image, taps), {*taps} - {"image"}), image, taps)

    def make_pass(self, taps: Collection[str], summed: Collection[str]) -> Pass:
        return CircularPass(self, taps, summed)

    def enlarged(self, image: Image, taps: Collection[str]) -> Image:
        """A picture with as much beyond its edges as some taps see."""
        margin = margin_of(self.inner, taps)
        down, across = ((margin, margin) if repeats else (0, 0) for repeats in self.wraps)
        return wrapped(image, down, across)

    def cropped(self, features: Features, image: Image, taps: Collection[str]) -> Features:
        """The features of the picture itself.

        Args:
            features: of the enlarged picture.
            image: the picture.
            taps: those that the picture was enlarged for.
        """
        margin, (height, width) = margin_of(self.inner, taps), image.shape[-2:]
        found = {"image": image} if "image" in taps else {}
        for tap, value in features.items():
            stride = self.taps[tap].stride
            rows, columns = (
                slice(margin // stride, margin // stride - (-side // stride)) if repeats else slice(None)
                for side, repeats in zip((height, width), self.wraps, strict=True)
            )
            found[tap] = value[..., rows, columns]
        return found

    def load(self, weights: Mapping[str, Tensor], where: str, metadata: Mapping[str, str] = NO_METADATA) -> None:
        self.inner.load(weights, where, metadata)

    def weights(self, tap: str) -> dict[str, Tensor]:
        return self.inner.weights(tap)


class CircularPass:
    """The pass of a circular network: that of its inner network over the enlarged picture.

    Args:
        backbone: the network.
        taps: taps whose activations it finds.
        summed: taps whose sums over positions it finds.
    """

    def __init__(self, backbone: Circular, taps: Collection[str], summed: Collection[str]) -> None:
        self.backbone, self.taps, self.summed = backbone, {*taps}, {*summed}
        self.inner = backbone.inner.make_pass((self.taps | self.summed) - {"image"}, ())

    def __call__(self, image: Image) -> PassOutput:
        every = self.taps | self.summed
        found = self.inner(self.backbone.enlarged(image, every)).features
        features = self.backbone.cropped(found, image, every)
        return PassOutput(
            {tap: features[tap] for tap in self.taps}, {tap: sums_of(features[tap]) for tap in self.summed}
        )


def margin_of(backbone: Backbone, taps: Collection[str]) -> int:
    """Pixels beyond an edge that some taps see, rounded up to a multiple of their strides."""
    return stride_and_radius(backbone, taps)[1]


def check_circular(backbone: Backbone, taps: Collection[str]) -> None:
    """Raise if a network looks at the picture as a whole.

    Raises:
        SpecError: it does.
    """
    if not backbone.local:
        raise SpecError(
            "`tile` cannot be had with smoothing (`smooth`), which compares all positions; switch either off"
        )
    for tap in taps:
        if tap in backbone.taps and backbone.taps[tap].receptive_field >= WHOLE:
            raise SpecError(
                f"`tile` cannot be had with {tap} of {backbone.name}, which sees the whole picture; choose other "
                "layers, or another `network`"
            )
