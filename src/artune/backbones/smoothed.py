"""Smoothing of activations by a softmax, which lowers the peaks of residual networks.

Stylization With Activation smoothinG (SWAG; Wang, Li and Vasconcelos, CVPR 2021, arXiv 2104.05623): residual
connections make features peaky, and a distance between Gram matrices then depends on the few peaks alone.
"""

from collections.abc import Collection, Mapping

from jaxtyping import Float
from torch import Tensor

from artune.backbones.base import NO_METADATA, Backbone, Features, Image, TapInfo

RESIDUAL, OTHERS = 3.0, 10.0
"""Temperatures for residual networks and for others, whose activations are larger; chosen by looking at results. At the
paper's 1 the result is coloured noise, the cheapest way to the painting's few peaks."""


def smooth(x: Float[Tensor, "b c h w"], temperature: float = 1.0) -> Float[Tensor, "b c h w"]:
    """Softmax over all channels and positions of a layer, with the mean 0 and about the range of the features.

    ``t (N exp(F_ik / t) / sum_mn exp(F_mn / t) - 1)``, with i, m over channels, k, n over positions, and N the number
    of terms of the sum. As t grows it tends to ``F`` less its mean.

    Departures from the paper, whose softmax sums to 1 and has no temperature: the factor N makes values independent of
    the size of the picture; and the mean is taken away, for it is the same for every picture and would outweigh what
    differs wherever a distance is relative to the features' energy.

    Args:
        x: activations.
        temperature: t.

    Returns:
        In fp32, of the shape of ``x``.
    """
    flat = x.float().flatten(1) / temperature
    return (temperature * (flat.shape[1] * flat.softmax(1) - 1)).view(x.shape)


class Smoothed(Backbone):
    """A network whose activations are smoothed (``smooth``), all but the picture itself.

    Args:
        inner: the network.
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
        """The taps of the inner network; loading weights may change which are reachable."""
        return self.inner.taps

    @property
    def metadata(self) -> Mapping[str, str]:  # type: ignore[override]
        """Those of the inner network."""
        return self.inner.metadata

    def forward(self, image: Image, taps: Collection[str]) -> Features:
        features = self.inner(image, taps)
        return {tap: x if tap == "image" else smooth(x, self.temperature) for tap, x in features.items()}

    def load(self, weights: Mapping[str, Tensor], where: str, metadata: Mapping[str, str] = NO_METADATA) -> None:
        self.inner.load(weights, where, metadata)

    def weights(self, tap: str) -> dict[str, Tensor]:
        return self.inner.weights(tap)
