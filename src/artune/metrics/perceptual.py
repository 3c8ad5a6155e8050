"""Style distance and content distance of a result, by a network that took no part in making it.

Style distance: with mean mu and covariance C of a tap's features over positions,
``d(a, b) = |mu_a - mu_b|^2 / |mu_b|^2 + |C_a - C_b|_F^2 / |C_b|_F^2``. The style distance is
``d(result, style) / d(content, style)``, averaged over taps: 1 for the unchanged photograph, 0 for the painting.

Content distance: 1 - cosine of the features, which are centred per channel; divided by the mean of this for unrelated
photographs, and averaged over taps: 0 for the unchanged photograph, 1 for an unrelated one.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

import torch
from immutabledict import immutabledict
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from artune.assets import OnBytes
from artune.backbones.base import Features, Image
from artune.backbones.conventions import IMAGENET
from artune.backbones.registry import load_network
from artune.errors import InputError
from artune.images.picture import Picture
from artune.losses.moments import mean_and_covariance, moments

SIDE = 384
"""Height and width to which pictures are resized, pixels."""
FINE, STROKES, CONTENT = (1, 3), (6, 7, 9, 11), (10, 12)
"""Taps of SqueezeNet 1.1, as indices of its ``features``: shallow taps and deep taps for style, and taps for
content."""
APART: Mapping[int, float] = immutabledict({10: 0.9387102723121643, 12: 0.9801207184791565})
"""1 - cosine of unrelated photographs at the taps for content: mean over neighbours of the 20 photographs of the
StyleID set, with torchvision's weights."""
LEAST = 1e-3
"""Distance d of a photograph from its painting below which they are taken for the same picture."""
FLAT = 1e-12
"""Squared length of a mean or a covariance, in units of the features, that is taken for none."""
KEPT = 16
"""Number of pictures whose features a referee keeps for the next result; about 4 MB each."""


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


class Seen(NamedTuple):
    """What a referee compares of a picture.

    Attributes:
        statistics: mean ``[1, c]`` and covariance ``[1, c, c]`` at each tap for style.
        layout: features less their mean, ``[1, c, h, w]``, at each tap for content.
    """

    statistics: Mapping[int, tuple[Tensor, Tensor]]
    layout: Mapping[int, Tensor]


class Referee:
    """Measures distances with SqueezeNet 1.1 (Iandola 2016).

    It must not have taken part in making the results: neither as the loss network, nor in training it.

    Args:
        weights: weights of the ``features`` of torchvision's squeezenet1_1.
        unrelated: photographs without a common subject, ``[1, 3, h, w]`` in [0, 1] each. Neighbours in the list are
            compared, for the distance of unrelated photographs; default: ``APART``.
        digest: sha256 of the file of the weights.

    Raises:
        InputError: one photograph alone, which has no neighbour.
    """

    def __init__(self, weights: Mapping[str, Tensor], unrelated: Sequence[Image] = (), *, digest: str = "") -> None:
        from torchvision.models import squeezenet1_1

        if len(unrelated) == 1:
            raise InputError("one photograph has no unrelated neighbour; give two or more as `unrelated`, or none")
        self.digest = digest
        self.network: nn.Sequential = squeezenet1_1(weights=None).features.eval().requires_grad_(False)
        self.network.load_state_dict({k.removeprefix("features."): v for k, v in weights.items()})
        self.apart: Mapping[int, float] = APART
        if unrelated:
            layouts = [self._seen(self.features(image)).layout for image in unrelated]
            self.apart = {
                tap: float(torch.stack([_unlike(a[tap], b[tap]) for a, b in pairwise(layouts)]).mean())
                for tap in CONTENT
            }
        self._known: OrderedDict[str, Seen] = OrderedDict()

    @classmethod
    def load(
        cls, weights: Path | None = None, unrelated: Sequence[Image] = (), *, on_bytes: OnBytes | None = None
    ) -> Self:
        """The referee with the weights of a file.

        Args:
            weights: a file with weights of torchvision's squeezenet1_1, whole or its ``features``; default: cached or
                downloaded.
            unrelated: see the class.
            on_bytes: called during a download.

        Raises:
            WeightsError: missing, damaged or unfit weights.
        """
        deepest = f"features.{max(*FINE, *STROKES, *CONTENT)}"
        backbone, digest = load_network("squeezenet1_1", weights=weights, on_bytes=on_bytes)
        backbone.check([deepest])
        tensors = {key: value for key, value in backbone.weights(deepest).items() if key.startswith("features.")}
        return cls(tensors, unrelated, digest=digest)

    def measure(self, result: Picture, content: Picture, style: Picture) -> Distances:
        """All three distances of one result.

        Features of the last ``KEPT`` photographs and paintings are kept, so that many results of the same cost one
        pass each.

        Args:
            result: a picture of any size.
            content: the photograph that it was made of.
            style: the painting.
        """
        return self._compared(self._seen(self.features(result.tensor())), *map(self._once, (content, style)))

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
        """All three distances of one result, of tensors."""
        return self.compared(*(self.features(image) for image in (result, content, style)))

    def compared(self, r: Features, c: Features, s: Features) -> Distances:
        """All three distances of one result, from the features of result, photograph and painting."""
        return self._compared(*map(self._seen, (r, c, s)))

    def _once(self, picture: Picture) -> Seen:
        """What is compared of a photograph or a painting, kept for the next result."""
        key = picture.digest()
        if key not in self._known:
            self._known[key] = self._seen(self.features(picture.tensor()))
        self._known.move_to_end(key)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return self._known[key]

    @staticmethod
    def _seen(features: Features) -> Seen:
        return Seen(
            {tap: mean_and_covariance(moments(features[str(tap)])) for tap in (*FINE, *STROKES)},
            {tap: features[str(tap)] - features[str(tap)].mean((2, 3), keepdim=True) for tap in CONTENT},
        )

    def _compared(self, r: Seen, c: Seen, s: Seen) -> Distances:
        def styled(taps: tuple[int, ...]) -> float:
            target = s.statistics
            shares = [
                _apart(r.statistics[t], target[t]) / _apart(c.statistics[t], target[t]).clamp(min=LEAST) for t in taps
            ]
            return float(torch.stack(shares).mean())

        kept = [_unlike(r.layout[tap], c.layout[tap]).item() / self.apart[tap] for tap in CONTENT]
        return Distances(styled(FINE), styled(STROKES), sum(kept) / len(kept))


def _apart(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> Tensor:
    """The distance d of means and covariances."""
    (ma, ca), (mb, cb) = a, b
    means = (ma - mb).square().sum() / mb.square().sum().clamp(min=FLAT)
    return means + (ca - cb).square().sum() / cb.square().sum().clamp(min=FLAT)


def _unlike(a: Float[Tensor, "1 c h w"], b: Float[Tensor, "1 c h w"]) -> Tensor:
    """1 - cosine of centred features."""
    return 1 - F.cosine_similarity(a.flatten(), b.flatten(), dim=0)
