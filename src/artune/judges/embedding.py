"""Judges: whose style does a picture have, and whose content?

A small network of our own (``training/judge.py``), which takes no part in making a picture, embeds pictures twice: by
style and by content. A result is recognised as its own style when its embedding is nearer to its painting's than to
those of a bank of other paintings, and to the photograph's; and as its own content likewise, beside other photographs
and its paintings.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from artune.assets import JUDGE, fetch, read_weights
from artune.backbones.base import Image
from artune.backbones.blank import Blank
from artune.errors import InputError, WeightsError
from artune.files import file_digest
from artune.losses.objective import at_tap
from artune.losses.protocol import Mask

SIDE = 128
"""A picture is judged with as many pixels as a square of this side has."""
CONTENT_SIDE = 64
"""Content is looked at in a picture that was brought to this side and back: what is left without the finest strokes."""
SMALLEST = 32
"""Shortest side that is judged; a picture that is longer than wide is judged with more pixels."""
WIDTHS, BLOCKS, EXPANSION = (16, 32, 64, 160), (1, 2, 3, 4), 3
CELLS = {2: (8, 24), 3: (4, 96)}
"""Stages in which content is looked at: cells each way, for a layout belongs to it, and channels."""


class Embedding(NamedTuple):
    """Of pictures, each of length 1.

    Attributes:
        style: ``[b, 128]``.
        content: ``[b, 256]``.
    """

    style: Tensor
    content: Tensor


def structure(features: Float[Tensor, "b c h w"], grid: int) -> Float[Tensor, "b d"]:
    """Where in a picture features are strong: in cells, each channel less its mean, over its deviation; of length 1."""
    cells = F.adaptive_avg_pool2d(features, grid).flatten(2)
    cells = cells - cells.mean(2, keepdim=True)
    return F.normalize((cells / (cells.std(2, keepdim=True, correction=0) + 0.1)).flatten(1), dim=1)


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
    """Embeds pictures by style (moments of the channels at every stage) and by content (where deep features lie)."""

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
        self.cells = nn.ModuleList(nn.Conv2d(WIDTHS[stage], width, 1) for stage, (_, width) in CELLS.items())
        self.content = nn.Linear(sum(grid**2 * width for grid, width in CELLS.values()), 256)

    def maps(self, image: Image) -> list[Tensor]:
        """Outputs of the stages, at strides 2, 4, 8 and 16."""
        x = self.stem((image - 0.5) / 0.25)
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found

    def embed(self, maps: Sequence[Tensor], mask: Mask | None = None) -> Embedding:
        """The embeddings, from the outputs of the stages.

        Args:
            maps: of :meth:`maps`.
            mask: ``[1, 1, h, w]`` in [0, 1]: where the style is looked at; content is that of the whole.
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
        cells = torch.cat(
            [
                structure(conv(maps[stage]).float(), grid)
                for conv, (stage, (grid, _)) in zip(self.cells, CELLS.items(), strict=True)
            ],
            1,
        )
        return Embedding(F.normalize(self.style(torch.cat(moments, 1)), dim=1), F.normalize(self.content(cells), dim=1))

    def forward(self, image: Image, mask: Mask | None = None) -> Embedding:
        return self.embed(self.maps(image), mask)


@dataclass(frozen=True, eq=False)
class Judge:
    """The judge with its distractors.

    Attributes:
        network: embeds.
        styles: ``[n, 128]``: embeddings of other paintings.
        contents: ``[n, 256]``: of other photographs.
        style_calibration: how cosines of styles become probabilities.
        content_calibration: the same of contents.
        digest: sha256 of the file.
    """

    network: JudgeNetwork
    styles: Float[Tensor, "n 128"]
    contents: Float[Tensor, "n 256"]
    style_calibration: "Calibration"
    content_calibration: "Calibration"
    digest: str = ""

    @classmethod
    def load(cls, path: Path | None = None) -> "Judge":
        """The judge that travels with the package, or that of a file made by ``training/judge.py``.

        Raises:
            WeightsError: damaged, missing, or something else.
        """
        path = path or fetch(JUDGE, network="the judge")
        found = {name: value.float() for name, value in read_weights(path).items()}
        try:
            styles, contents = found.pop("bank.style"), found.pop("bank.content")
            of_style, of_content = (
                Calibration(*found.pop(f"calibration.{name}").tolist()) for name in ("style", "content")
            )
            with Blank():
                network = JudgeNetwork()
            network.load_state_dict({n: v.long() if n.endswith("num_batches_tracked") else v for n, v in found.items()})
        except (KeyError, RuntimeError, TypeError) as error:
            raise WeightsError(f"{path} holds no judge; leave it out, or give one made by training/judge.py") from error
        network.eval().requires_grad_(False)
        return cls(network, styles, contents, of_style, of_content, file_digest(path))

    def with_bank(self, places: Sequence[int]) -> "Judge":
        """The same with some of the distractors, two at least.

        Raises:
            InputError: fewer.
        """
        if len(places) < 2:
            raise InputError(f"a bank of {len(places)} distractors says nothing of chance; keep two at least")
        index = torch.as_tensor(places)
        return replace(self, styles=self.styles[index], contents=self.contents[index])

    @torch.no_grad()
    def embed(self, image: Image, mask: Mask | None = None) -> Embedding:
        """Embeddings of pictures of any size, at the size at which they are judged.

        Args:
            image: ``[b, 3, h, w]``.
            mask: ``[1, 1, h, w]``: where the style is looked at.
        """
        image = image.float().cpu()
        seen = resized(image, judged_size(image, SIDE))
        blurred = resized(resized(image, judged_size(image, CONTENT_SIDE)), seen.shape[-2:])
        style, _ = self.network(seen.contiguous(memory_format=torch.channels_last), mask)
        _, content = self.network(blurred.contiguous(memory_format=torch.channels_last))
        return Embedding(style, content)

    def style_odds(self, found: Tensor, own: Tensor, others: Tensor) -> Float[Tensor, "b"]:
        """How surely embeddings of style are those of ``own``, ``[1, 128]``, and not of ``others`` or of the bank."""
        return chance_corrected(found, own, others, self.styles, self.style_calibration)

    def content_odds(self, found: Tensor, own: Tensor, others: Tensor) -> Float[Tensor, "b"]:
        """The same of embeddings of content."""
        return chance_corrected(found, own, others, self.contents, self.content_calibration)


def judged_size(image: Image, side: int) -> tuple[int, int]:
    """Height and width of a picture with as many pixels as a square of ``side``, no side below :data:`SMALLEST`."""
    height, width = image.shape[-2:]
    scale = max(side / (height * width) ** 0.5, SMALLEST / min(height, width))
    return max(SMALLEST, round(height * scale)), max(SMALLEST, round(width * scale))


def resized(image: Image, size: tuple[int, ...]) -> Image:
    """Bicubic, in [0, 1]."""
    if tuple(size) == tuple(image.shape[-2:]):
        return image
    return F.interpolate(image, tuple(size), mode="bicubic", antialias=True).clamp(0, 1)


class Calibration(NamedTuple):
    """How cosines become the probability that a picture is recognised; fitted to labels of pictures held out.

    The log odds of one candidate over another are the difference of their cosines times ``sharpness``.

    Attributes:
        sharpness: inverse of the temperature.
        none: cosine of one more candidate, which says that nothing is recognised: a picture may be nearest to its own
            and yet past recognition.
        mass: how many candidates the bank counts for, whatever its size: its mean odds, times this.
    """

    sharpness: float
    none: float
    mass: float

    def probability(self, own: Tensor, others: Tensor, bank: Tensor) -> Float[Tensor, "b"]:
        """Of the first candidate, from cosines ``[b, 1]``, ``[b, n]`` and ``[b, m]``."""
        odds = [(self.sharpness * cosines).exp() for cosines in (own, others, bank)]
        rest = odds[1].sum(1) + self.mass * odds[2].mean(1) + math.exp(self.sharpness * self.none)
        return odds[0][:, 0] / (odds[0][:, 0] + rest)


def chance_corrected(
    found: Tensor, own: Tensor, others: Tensor, bank: Tensor, calibration: Calibration
) -> Float[Tensor, "b"]:
    """Probability ``p`` that each of some embeddings is recognised as ``own``, brought to 0 at chance.

    Chance ``c`` is what the same judge says, on average, of pictures that have nothing to do with it: those of the
    bank, each beside the others. Returned is ``(p - c) / (1 - c)``, not below 0.

    Args:
        found: ``[b, c]``, of length 1.
        own: ``[1, c]``.
        others: ``[n, c]``.
        bank: ``[m, c]``, two at least.
        calibration: from cosines to probabilities.
    """
    apart = ~torch.eye(len(bank), dtype=torch.bool)
    beside = (bank @ bank.T)[apart].view(len(bank), -1)
    chance = calibration.probability(bank @ own.T, bank @ others.T, beside).mean()
    p = calibration.probability(found @ own.T, found @ others.T, found @ bank.T)
    return ((p - chance) / (1 - chance)).clamp(min=0)
