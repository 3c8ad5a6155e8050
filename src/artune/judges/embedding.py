"""The bundled judge: how surely is a picture recognised as painted like one painting, and as showing one photograph?

It sees three things. The *margin* of the style: a small network of our own (trained by ``training/judge.py``) embeds
pictures by style, and a picture in the style of its painting is nearer to this painting than to the photograph and to a
bank of other paintings. The *change* of the layout: how far the deep features of the loss network have moved from where
they lie in the photograph. And the strength. Fits to labels make probabilities of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from artune.assets import JUDGE, fetch, read_weights
from artune.backbones.base import Image
from artune.backbones.compact import Compact
from artune.backbones.registry import load_network
from artune.blank import Blank
from artune.errors import InputError, WeightsError
from artune.files import file_digest
from artune.losses.objective import at_tap
from artune.losses.protocol import Mask
from artune.spec.style import METHOD_SPECS

SIDE = 128
"""Size at which the style of a picture is judged: that of a square of this side, by number of pixels."""
SMALLEST = 32
"""Shortest side of a picture as it is judged, pixels; a very long picture is judged at more pixels than ``SIDE``."""
LAYOUT_SIDE = 256
"""Height and width at which the layout of a picture is seen, whatever its shape: so layouts can be compared."""
LAYOUT_TAP = "relu5_1"
"""Tap of the compact network whose features have the layout."""
COPY = 0.95
"""Cosine from which on two pictures are taken for copies, or to have the same style."""
WIDTHS, BLOCKS, EXPANSION = (16, 32, 64, 160), (1, 2, 3, 4), 3
"""Channels and blocks of the four stages, and the factor by which a block widens its channels."""


class _Residual(nn.Module):
    """Inverted residual (Sandler et al. 2018): widen, a 3x3 convolution per channel, narrow."""

    def __init__(self, channels: int, out: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = expansion * channels
        self.body = nn.Sequential(
            nn.Conv2d(channels, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
            nn.Conv2d(wide, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.same = channels == out and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y if self.same else y


class JudgeNetwork(nn.Module):
    """Embeds pictures by style: by the moments of the channels of every stage."""

    def __init__(self) -> None:
        super().__init__()
        first = WIDTHS[0]
        self.stem = nn.Sequential(
            nn.Conv2d(3, first, 3, 2, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU(inplace=True)
        )
        self.stages = nn.ModuleList()
        channels = first
        for index, (width, blocks) in enumerate(zip(WIDTHS, BLOCKS, strict=True)):
            layers = []
            for block in range(blocks):
                layers.append(_Residual(channels, width, 2 if index and not block else 1, EXPANSION if index else 1))
                channels = width
            self.stages.append(nn.Sequential(*layers))
        moments = 2 * sum(WIDTHS)
        self.style = nn.Sequential(
            nn.BatchNorm1d(moments), nn.Linear(moments, 256), nn.ReLU(inplace=True), nn.Linear(256, 128)
        )

    def maps(self, image: Image) -> list[Tensor]:
        """Outputs of the stages, at strides 2, 4, 8 and 16."""
        x = self.stem((image - 0.5) / 0.25)
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found

    def of_style(self, maps: Sequence[Tensor], mask: Mask | None = None) -> Float[Tensor, "b 128"]:
        """The embedding by style, from the outputs of the stages.

        Args:
            maps: what ``maps`` returns.
            mask: ``[1, 1, h, w]`` in [0, 1]: the part of the picture that counts.
        """
        moments = []
        for x in maps:
            flat = x.flatten(2).float()
            if mask is None:
                mean, var = flat.mean(2), flat.var(2, correction=0)
            else:
                weight = at_tap(mask, *x.shape[-2:]).flatten(2)  # type: ignore[union-attr]
                weight = weight / weight.sum(2, keepdim=True).clamp(min=1e-9)
                mean = (flat * weight).sum(2)
                var = ((flat - mean[..., None]).square() * weight).sum(2)
            moments += [mean, (var + 1e-4).log()]
        return F.normalize(self.style(torch.cat(moments, 1)), dim=1)

    def forward(self, image: Image, mask: Mask | None = None) -> Float[Tensor, "b 128"]:
        return self.of_style(self.maps(image), mask)


class Calibration(NamedTuple):
    """From what is seen to the probability that one side of a picture is recognised; fitted to labels.

    Its log odds are a weighted sum.

    Attributes:
        margin: weight of the margin of the style.
        change: weight of the change of the layout.
        log_odds: weight of the log odds of the strength.
        bias: added.
    """

    margin: float
    change: float
    log_odds: float
    bias: float

    def probability(
        self, margins: Float[Tensor, "b"], changes: Float[Tensor, "b"], log_odds: Float[Tensor, "b"]
    ) -> Float[Tensor, "b"]:
        """Probability that the side is recognised."""
        return torch.sigmoid(self.margin * margins + self.change * changes + self.log_odds * log_odds + self.bias)


class Calibrations(NamedTuple):
    """The calibrations of both sides."""

    style: Calibration
    content: Calibration


@dataclass(frozen=True, eq=False)
class Judge:
    """The judge, its bank of other paintings, and its calibrations.

    Attributes:
        network: embeds pictures by style.
        encoder: the compact network, which sees layouts.
        styles: style embeddings of other paintings, ``[n, 128]``.
        calibrations: by the kind of the method that makes the result; what is judged is always painted.
        digest: sha256 of the judge's file.
    """

    network: JudgeNetwork
    encoder: Compact
    styles: Float[Tensor, "n 128"]
    calibrations: Mapping[str, Calibrations]
    digest: str = ""

    @classmethod
    def load(cls, path: Path | None = None) -> "Judge":
        """The judge that travels with the package, or one from a file made by ``training/judge.py``.

        Raises:
            WeightsError: the file is damaged, missing, or holds something else.
        """
        if path is None:
            path, digest = fetch(JUDGE, network="the judge")
            tensors = read_weights(path)
        else:
            tensors, digest = read_weights(path), file_digest(path)
        found = {name: value.float() for name, value in tensors.items()}
        try:
            styles = found.pop("bank.style")
            calibrations = {
                kind: Calibrations(
                    *(Calibration(*found.pop(f"calibration.{kind}.{side}").tolist()) for side in Calibrations._fields)
                )
                for kind in METHOD_SPECS
            }
            with Blank():
                network = JudgeNetwork()
            network.load_state_dict({n: v.long() if n.endswith("num_batches_tracked") else v for n, v in found.items()})
        except (KeyError, RuntimeError, TypeError) as error:
            raise WeightsError(f"{path} holds no judge; leave it out, or give one made by training/judge.py") from error
        network.eval().requires_grad_(False)
        encoder, _ = load_network("compact", dtype=torch.float32)
        assert isinstance(encoder, Compact)
        return cls(network, encoder, styles, calibrations, digest)

    def with_bank(self, places: Sequence[int]) -> "Judge":
        """The same judge with a part of its bank.

        Args:
            places: which paintings of the bank to keep; at least two.

        Raises:
            InputError: fewer than two.
        """
        if len(places) < 2:
            raise InputError(f"a bank of {len(places)} paintings tells no style; keep at least two")
        return replace(self, styles=self.styles[torch.as_tensor(places)])

    @torch.no_grad()
    def style(self, image: Image, mask: Mask | None = None) -> Float[Tensor, "b 128"]:
        """Style embeddings of pictures of any size, of length 1.

        Args:
            image: ``[b, 3, h, w]``, sRGB in [0, 1].
            mask: ``[1, 1, h, w]`` in [0, 1]: the part of the picture that counts.
        """
        image = image.float().cpu()
        seen = resized(image, judged_size(image, SIDE))
        found: Tensor = self.network(seen.contiguous(memory_format=torch.channels_last), mask)
        return found

    @torch.no_grad()
    def layout(self, image: Image) -> Float[Tensor, "b n"]:
        """Layouts of pictures of any size: deep features less their mean over the picture, of length 1."""
        square = resized(image.float().cpu(), (LAYOUT_SIDE, LAYOUT_SIDE))
        deep = self.encoder(square.contiguous(memory_format=torch.channels_last), (LAYOUT_TAP,))[LAYOUT_TAP]
        return F.normalize((deep - deep.mean((2, 3), keepdim=True)).flatten(1), dim=1)


def judged_size(image: Image, side: int) -> tuple[int, int]:
    """Height and width at which a picture has the pixels of a square of ``side``, and no side below ``SMALLEST``."""
    height, width = image.shape[-2:]
    scale = max(side / (height * width) ** 0.5, SMALLEST / min(height, width))
    return max(SMALLEST, round(height * scale)), max(SMALLEST, round(width * scale))


def resized(image: Image, size: tuple[int, ...]) -> Image:
    """Pictures brought to another height and width; bicubic, in [0, 1]."""
    if tuple(size) == tuple(image.shape[-2:]):
        return image
    return F.interpolate(image, tuple(size), mode="bicubic", antialias=True).clamp(0, 1)


def margin(found: Tensor, own: Tensor, others: Tensor, bank: Tensor) -> Float[Tensor, "b"]:
    """How much nearer each embedding is to its own one than to any other: (d - o) / (d + o), in [-1, 1].

    o is the distance to the own one, d the distance to the nearest of the others and the bank, each 1 less the cosine.
    Pictures of the bank that are copies of the own one are left out.

    Args:
        found: embeddings ``[b, d]`` of length 1.
        own: the embedding that they should be recognised as, ``[1, d]``.
        others: embeddings that they could be taken for, such as the photograph's, ``[n, d]``; each counts.
        bank: embeddings of pictures that have nothing to do with them, ``[m, d]``.
    """
    strangers = bank[(bank @ own[0]) < COPY]
    away = 1 - found @ own[0]
    other = 1 - (found @ torch.cat([others, strangers]).T).amax(1)
    return (other - away) / (other + away).clamp(min=1e-9)


def change(layouts: Tensor, own: Tensor) -> Float[Tensor, "b"]:
    """How far layouts ``[b, n]`` have moved from that of the photograph ``[1, n]``: 1 less the cosine, in [0, 2]."""
    return 1 - layouts @ own[0]
