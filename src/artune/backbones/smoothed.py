"""Softmax over activations, which takes the peaks from the features of residual networks.

Stylization With Activation smoothinG (SWAG; Wang, Li and Vasconcelos, CVPR 2021, arXiv 2104.05623): residual
connections make features peaky, and a distance between Gram matrices then heeds the few peaks alone.
"""

from collections.abc import Collection, Mapping

from jaxtyping import Float
from torch import Tensor

from artune.backbones.base import Backbone, Features, Image, TapInfo

RESIDUAL, OTHERS = 3.0, 10.0
"""Temperatures, by looking, for networks like ResNet and for others, whose activations are larger. At the paper's 1 the
cheapest way to the painting's few peaks is coloured noise."""


def smooth(x: Float[Tensor, "b c h w"], temperature: float = 1.0) -> Float[Tensor, "b c h w"]:
    """What is above the mean of the softmax over all channels and positions of a layer, times their number n.

    ``t (n exp(F_ik / t) / sum_mn exp(F_mn / t) - 1)``, with i, m over channels and k, n over positions; in fp32,
    whatever the features are in. Departures: the paper's softmax, which has no temperature t, sums to 1, so that its
    values fall with the size of the picture; and all its features have one mean, which would outweigh what varies
    wherever a distance is relative to the features' energy. At a high temperature it is ``F`` less its mean.
    """
    flat = x.float().flatten(1) / temperature
    return (temperature * (flat.shape[1] * flat.softmax(1) - 1)).view(x.shape)


class Smoothed(Backbone):
    """A backbone whose activations are smoothed, all but the picture itself.

    Args:
        inner: the backbone.
        temperature: of the softmax; default: ``RESIDUAL`` or ``OTHERS``.
    """

    local = False

    def __init__(self, inner: Backbone, temperature: float | None = None) -> None:
        super().__init__()
        self.temperature = temperature or (RESIDUAL if inner.residual else OTHERS)
        self.inner = inner
        self.name, self.smallest, self.residual = inner.name, inner.smallest, inner.residual
        self.aliases = inner.aliases

    @property
    def taps(self) -> Mapping[str, TapInfo]:  # type: ignore[override]
        """Those of the backbone; loading weights may change what is in reach."""
        return self.inner.taps

    def forward(self, image: Image, taps: Collection[str]) -> Features:
        features = self.inner(image, taps)
        return {tap: x if tap == "image" else smooth(x, self.temperature) for tap, x in features.items()}

    def load(self, weights: Mapping[str, Tensor], where: str) -> None:
        self.inner.load(weights, where)

    def weights(self, tap: str) -> dict[str, Tensor]:
        return self.inner.weights(tap)
