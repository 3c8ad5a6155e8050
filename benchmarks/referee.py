"""Style distance and content distance of a result, by a network that took no part in making it.

Style distance: with mean mu and covariance C of a tap's features over positions,
``d(a, b) = |mu_a - mu_b|^2 / |mu_b|^2 + |C_a - C_b|_F^2 / |C_b|_F^2``. The style distance is
``d(result, style) / d(content, style)``, averaged over taps: 1 for the unchanged photograph, 0 for the painting.

Content distance: 1 - cosine of the features, which are centred per channel; divided by the mean of this for unrelated
photographs, and averaged over taps: 0 for the unchanged photograph, 1 for an unrelated one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from artune.backbones.base import Features, Image
from artune.backbones.conventions import IMAGENET
from artune.losses.moments import mean_and_covariance, moments

SIDE = 384
"""Height and width to which pictures are resized, pixels."""
FINE, STROKES, CONTENT = (1, 3), (6, 7, 9, 11), (10, 12)
"""Taps of SqueezeNet 1.1, as indices of its ``features``: shallow taps and deep taps for style, and taps for
content."""


@dataclass(frozen=True)
class Distances:
    """The distances of one result.

    Attributes:
        fine: style distance over shallow taps.
        strokes: style distance over deep taps.
        content: content distance.
    """

    fine: float
    strokes: float
    content: float


class Referee:
    """Measures distances with SqueezeNet 1.1 (Iandola 2016).

    It must not have taken part in making the results: neither as the loss network, nor in training it.

    Args:
        weights: weights of the ``features`` of torchvision's squeezenet1_1.
        unrelated: photographs without a common subject, ``[1, 3, h, w]`` in [0, 1] each. Neighbours in the list are
            compared, for the distance of unrelated photographs.
    """

    def __init__(self, weights: Mapping[str, Tensor], unrelated: Sequence[Image]) -> None:
        from torchvision.models import squeezenet1_1

        self.network: nn.Sequential = squeezenet1_1(weights=None).features.eval().requires_grad_(False)
        self.network.load_state_dict({k.removeprefix("features."): v for k, v in weights.items()})
        photographs = [self.features(image) for image in unrelated]
        self.apart = {
            tap: float(torch.stack([_unlike(a[str(tap)], b[str(tap)]) for a, b in pairwise(photographs)]).mean())
            for tap in CONTENT
        }

    @torch.no_grad()
    def features(self, image: Image) -> Features:
        """Features of a picture at all taps, after resizing it to 384x384."""
        x = image
        if x.shape[-2:] != (SIDE, SIDE):
            x = F.interpolate(x, (SIDE, SIDE), mode="bicubic", antialias=True).clamp(0, 1)
        x = (x - x.new_tensor(IMAGENET.mean).view(3, 1, 1)) / x.new_tensor(IMAGENET.std).view(3, 1, 1)
        out = {}
        for index, layer in enumerate(self.network):
            x = layer(x)
            if index in (*FINE, *STROKES, *CONTENT):
                out[str(index)] = x
        return out

    def distances(self, result: Image, content: Image, style: Image) -> Distances:
        """All three distances of one result."""
        return self.compared(*(self.features(image) for image in (result, content, style)))

    def compared(self, r: Features, c: Features, s: Features) -> Distances:
        """All three distances of one result, from the features of result, photograph and painting."""

        def styled(taps: tuple[int, ...]) -> float:
            shares = [_apart(r[str(t)], s[str(t)]) / _apart(c[str(t)], s[str(t)]) for t in taps]
            return float(torch.stack(shares).mean())

        kept = [_unlike(r[str(tap)], c[str(tap)]).item() / self.apart[tap] for tap in CONTENT]
        return Distances(styled(FINE), styled(STROKES), sum(kept) / len(kept))


def _apart(a: Float[Tensor, "1 c h w"], b: Float[Tensor, "1 c i j"]) -> Tensor:
    (ma, ca), (mb, cb) = (mean_and_covariance(moments(x)) for x in (a, b))
    return ((ma - mb).square().sum() / mb.square().sum()) + ((ca - cb).square().sum() / cb.square().sum())


def _unlike(a: Float[Tensor, "1 c h w"], b: Float[Tensor, "1 c h w"]) -> Tensor:
    a, b = (x - x.mean((2, 3), keepdim=True) for x in (a, b))
    return 1 - F.cosine_similarity(a.flatten(), b.flatten(), dim=0)
