"""Softmax over activations, which makes the features of residual networks fit for style transfer.

Stylization With Activation smoothinG (SWAG; Wang, Li and Vasconcelos, CVPR 2021, arXiv 2104.05623): residual
connections make features peaky, and a distance between Gram matrices then heeds the few peaks alone.
"""

from collections.abc import Collection, Mapping

from jaxtyping import Float
from torch import Tensor

from artune.backbones.base import Backbone, Features, Image, TapInfo


def smooth(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """The softmax over all channels and positions of a layer, times their number: 1 in the mean, at every size.

    The paper's ``exp(F_ik) / sum_mn exp(F_mn)`` with i, m over channels and k, n over positions. Departure: it sums
    to 1, so that its values fall with the size of the picture. In fp32, whatever the features are in.
    """
    flat = x.float().flatten(1)
    return (flat.shape[1] * flat.softmax(1)).view(x.shape)


class Smoothed(Backbone):
    """A backbone whose activations are smoothed, all but the picture itself.

    Args:
        inner: the backbone.
    """

    local = False

    def __init__(self, inner: Backbone) -> None:
        super().__init__()
        self.inner = inner
        self.name, self.smallest, self.residual = inner.name, inner.smallest, inner.residual
        self.aliases = inner.aliases

    @property
    def taps(self) -> Mapping[str, TapInfo]:  # type: ignore[override]
        """Those of the backbone; loading weights may change what is in reach."""
        return self.inner.taps

    def forward(self, image: Image, taps: Collection[str]) -> Features:
        features = self.inner(image, taps)
        return {tap: x if tap == "image" else smooth(x) for tap, x in features.items()}

    def load(self, weights: Mapping[str, Tensor], where: str) -> None:
        self.inner.load(weights, where)
