"""The bundled judge: does a picture have the style of one painting, and the content of one photograph?

A small network of our own (trained by ``training/judge.py``), which never takes part in making a picture, embeds
pictures twice: by style and by content. A result's style is recognised if its style embedding is nearer to that of its
painting than to those of its photograph and of a bank of other paintings. Its content is recognised if its content
embedding is nearer to that of its photograph than to those of its paintings and of a bank of other photographs.
"""

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
from artune.blank import Blank
from artune.errors import InputError, WeightsError
from artune.files import file_digest
from artune.losses.objective import at_tap
from artune.losses.protocol import Mask

SIDE = 128
"""Size at which a picture is judged: that of a square of this side, by number of pixels."""
CONTENT_SIDE = 64
"""Size to which a picture is reduced before its content is embedded, which removes the finest strokes."""
SMALLEST = 32
"""Shortest side of a picture as it is judged, pixels; a very long picture is judged at more pixels than ``SIDE``."""
WIDTHS, BLOCKS, EXPANSION = (16, 32, 64, 160), (1, 2, 3, 4), 3
"""Channels and blocks of the four stages, and the factor by which a block widens its channels."""
COPY = 0.95
"""Cosine from which on a picture of the bank is taken for a copy of the own one."""
CELLS = {2: (8, 24), 3: (4, 96)}
"""Stages from which content is embedded: number of cells in each direction (which keep the layout), and channels."""


class Embedding(NamedTuple):
    """Embeddings of pictures, each of length 1.

    Attributes:
        style: ``[b, 128]``.
        content: ``[b, 256]``.
    """

    style: Tensor
    content: Tensor


def layout(features: Float[Tensor, "b c h w"], grid: int) -> Float[Tensor, "b d"]:
    """Layout of features: their means in ``grid x grid`` cells, standardised per channel, as one vector of length 1."""
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
    """Embeds pictures by style (moments of the channels of every stage) and by content (layout of deep features)."""

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
            maps: what ``maps`` returns.
            mask: ``[1, 1, h, w]`` in [0, 1]: the part of the picture whose style counts; content is always that of the
                whole picture.
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
                layout(conv(maps[stage]).float(), grid)
                for conv, (stage, (grid, _)) in zip(self.cells, CELLS.items(), strict=True)
            ],
            1,
        )
        return Embedding(F.normalize(self.style(torch.cat(moments, 1)), dim=1), F.normalize(self.content(cells), dim=1))

    def forward(self, image: Image, mask: Mask | None = None) -> Embedding:
        return self.embed(self.maps(image), mask)


@dataclass(frozen=True, eq=False)
class Judge:
    """The judge and its bank of other pictures, which a result must not be taken for.

    Attributes:
        network: embeds pictures.
        styles: style embeddings of other paintings, ``[n, 128]``.
        contents: content embeddings of other photographs, ``[n, 256]``.
        style_calibration: from margins of styles to probabilities.
        content_calibration: from margins of contents to probabilities.
        digest: sha256 of the judge's file.
    """

    network: JudgeNetwork
    styles: Float[Tensor, "n 128"]
    contents: Float[Tensor, "n 256"]
    style_calibration: "Calibration"
    content_calibration: "Calibration"
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
        return cls(network, styles, contents, of_style, of_content, digest)

    def with_bank(self, places: Sequence[int]) -> "Judge":
        """The same judge with a part of its bank.

        Args:
            places: which pictures of the bank to keep; at least two.

        Raises:
            InputError: fewer than two.
        """
        if len(places) < 2:
            raise InputError(f"a bank of {len(places)} pictures does not tell what chance is; keep at least two")
        index = torch.as_tensor(places)
        return replace(self, styles=self.styles[index], contents=self.contents[index])

    @torch.no_grad()
    def embed(self, image: Image, mask: Mask | None = None) -> Embedding:
        """Embeddings of pictures of any size, which are brought to the judge's size first.

        Args:
            image: ``[b, 3, h, w]``, sRGB in [0, 1].
            mask: ``[1, 1, h, w]`` in [0, 1]: the part of the picture whose style counts.
        """
        image = image.float().cpu()
        seen = resized(image, judged_size(image, SIDE))
        blurred = resized(resized(image, judged_size(image, CONTENT_SIDE)), seen.shape[-2:])
        style, _ = self.network(seen.contiguous(memory_format=torch.channels_last), mask)
        _, content = self.network(blurred.contiguous(memory_format=torch.channels_last))
        return Embedding(style, content)

    def style_score(self, found: Tensor, own: Tensor, others: Tensor) -> Float[Tensor, "b"]:
        """Probability that embeddings are recognised as the style ``own``, by their ``margin``."""
        return self.style_calibration.probability(margin(found, own, others, self.styles))

    def content_score(self, found: Tensor, own: Tensor, others: Tensor) -> Float[Tensor, "b"]:
        """Probability that embeddings are recognised as the content ``own``, likewise."""
        return self.content_calibration.probability(margin(found, own, others, self.contents))


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


class Calibration(NamedTuple):
    """From margins to the probability that people recognise a side; fitted to labels of pictures.

    Attributes:
        sharpness: rise of the log odds of the probability with the margin.
        level: margin at which half of the pictures are recognised.
    """

    sharpness: float
    level: float

    def probability(self, margins: Float[Tensor, "b"]) -> Float[Tensor, "b"]:
        """Probability that a side with these margins is recognised."""
        return torch.sigmoid(self.sharpness * (margins - self.level))


def margin(found: Tensor, own: Tensor, others: Tensor, bank: Tensor) -> Float[Tensor, "b"]:
    """How much nearer each embedding is to its own one than to any other: (d - o) / (d + o), in [-1, 1].

    o is the distance to the own one, d the distance to the nearest of the others and the bank, each 1 less the cosine.
    Pictures of the bank that are copies of the own one are left out.

    Args:
        found: embeddings ``[b, d]`` of length 1.
        own: the embedding that they should be recognised as, ``[1, d]``.
        others: embeddings that they could be taken for, ``[n, d]``; each counts, however near to the own one.
        bank: embeddings of pictures that have nothing to do with them, ``[m, d]``.
    """
    strangers = bank[(bank @ own[0]) < COPY]
    away = 1 - found @ own[0]
    other = 1 - (found @ torch.cat([others, strangers]).T).amax(1)
    return (other - away) / (other + away).clamp(min=1e-9)
