"""LPIPS, a perceptual distance whose weights were fitted to people's judgements (Zhang et al. 2018).

The linear heads, a weight for each channel, are those of version 0.1 of the authors' package ``lpips``, which installs
them. The trunks are networks of artune.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple, Self

import torch
from jaxtyping import Float
from torch import Tensor

from artune.assets import OnBytes, read_weights
from artune.backbones.base import Backbone, Features, Image
from artune.backbones.registry import load_network
from artune.errors import PictureError, WeightsError
from artune.extras import require
from artune.images.picture import Picture
from artune.spec.style import Padding

Trunk = Literal["vgg16", "squeezenet1_1", "alexnet"]
"""Networks for which there are heads."""


class Heads(NamedTuple):
    """Where the heads of a trunk are.

    Attributes:
        file: name of the package's file, without its suffix.
        taps: the trunk's taps, in the order of the heads.
        padding: of the trunk's first convolution: zeros, as in the package, where it pads at all.
    """

    file: str
    taps: tuple[str, ...]
    padding: Padding = "zeros"


HEADS: Mapping[Trunk, Heads] = MappingProxyType(
    {
        "vgg16": Heads("vgg", ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")),
        "squeezenet1_1": Heads(
            "squeeze", tuple(f"features.{index}" for index in (1, 4, 7, 9, 10, 11, 12)), "replicate"
        ),
        "alexnet": Heads("alex", tuple(f"relu{index}" for index in range(1, 6))),
    }
)
"""The heads by the name of their trunk."""
LEAST = 1e-10
"""Added to the length of a feature vector before it is divided by it."""


class LPIPS:
    """LPIPS with one trunk: 0 for equal pictures, about 0.7 for unrelated ones.

    Args:
        trunk: the network, padded as ``HEADS`` says.
        name: of the network.
        heads: a weight for each channel of each tap, ``[c]``.
        digest: sha256 of the file of the trunk's weights.
    """

    def __init__(self, trunk: Backbone, name: Trunk, heads: Mapping[str, Float[Tensor, "c"]], digest: str = "") -> None:
        self.trunk, self.name, self.heads, self.digest = trunk, name, heads, digest
        self._last: tuple[str, tuple[int, int], Features] | None = None

    @classmethod
    def load(cls, name: Trunk = "vgg16", weights: Path | None = None, *, on_bytes: OnBytes | None = None) -> Self:
        """The measure with a trunk of artune's networks.

        Args:
            name: of the trunk.
            weights: a file with its weights; default: cached or downloaded.
            on_bytes: called during a download.

        Raises:
            MissingExtraError: the package ``lpips`` is not installed.
            UnknownNameError: the weights end before the last tap.
            WeightsError: missing, damaged or unfit weights.
        """
        heads = read_heads(name)
        trunk, digest = load_network(name, weights=weights, padding=HEADS[name].padding, on_bytes=on_bytes)
        trunk.check(HEADS[name].taps)
        return cls(trunk, name, heads, digest)

    def measure(self, picture: Picture, reference: Picture) -> float:
        """The distance of two pictures; the features of the last reference are kept for the next picture.

        Args:
            picture: a picture.
            reference: resized to the size of ``picture``.

        Raises:
            PictureError: the picture is smaller than the trunk takes.
        """
        width, height = picture.size
        if min(width, height) < self.trunk.smallest:
            raise PictureError(
                f"LPIPS of a picture of {width}x{height}: {self.name} needs sides of {self.trunk.smallest} pixels or "
                "more"
            )
        key = reference.digest(), picture.size
        if self._last is None or self._last[:2] != key:
            self._last = (*key, self.features(reference.resized(width, height).tensor()))
        return float(self.compared(self.features(picture.tensor()), self._last[2]))

    def distance(self, image: Image, other: Image) -> Float[Tensor, "b"]:
        """The distance of images of one size, ``[b, 3, h, w]``."""
        return self.compared(self.features(image), self.features(other))

    @torch.no_grad()
    def features(self, image: Image) -> Features:
        """Feature vectors of length 1 at each tap."""
        features = self.trunk(image, tuple(self.heads))
        return {tap: _directions(features[tap].float()) for tap in self.heads}

    def compared(self, one: Features, other: Features) -> Float[Tensor, "b"]:
        """The distance from the features of two images; equation 1 of the paper."""
        apart = [
            torch.einsum("bchw,c->bhw", (one[tap] - other[tap]).square(), weights).mean((1, 2))
            for tap, weights in self.heads.items()
        ]
        return torch.stack(apart).sum(0)


def read_heads(name: Trunk) -> dict[str, Tensor]:
    """The heads for a trunk: tap -> a weight for each channel, ``[c]``, at least 0.

    They are read from the installed package, of which no code is run.

    Raises:
        MissingExtraError: the package is not installed.
        WeightsError: its file is missing or has other tensors.
    """
    require("studies", "LPIPS")
    file, taps, _ = HEADS[name]
    home = find_spec("lpips")
    assert home is not None
    assert home.origin is not None
    path = Path(home.origin).parent / "weights" / "v0.1" / f"{file}.pth"
    tensors = read_weights(path)
    keys = [f"lin{index}.model.1.weight" for index in range(len(taps))]
    if missing := [key for key in keys if key not in tensors]:
        raise WeightsError(f"{path} has no {missing[0]}; reinstall the package lpips")
    return {tap: tensors[key].float().flatten() for tap, key in zip(taps, keys, strict=True)}


def _directions(features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Feature vectors of length 1."""
    return features / (features.square().sum(1, keepdim=True).sqrt() + LEAST)
