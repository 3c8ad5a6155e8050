"""Whether networks that took no part recognise, in a result, its painting's style and its photograph's content.

A referee recognises the style where the pair's own painting is nearer to the result than every other painting of a
crowd, and than the pair's photograph: strokes that are still the photograph's are not the painting's. It recognises the
content where the own photograph is nearer than every other photograph. Every picture is seen at 384x384 pixels.

Style distance: with mean mu and covariance C of a tap's features over positions,
``d(a, b) = |mu_a - mu_b|^2 / m + |C_a - C_b|_F^2 / n``, averaged over taps; m is the mean of ``|mu_a|^2`` and
``|mu_b|^2``, n that of ``|C_a|_F^2`` and ``|C_b|_F^2``. It is in [0, 4]. Departure from ``artune.metrics.perceptual``:
there both are the norms of b alone, by which paintings of high contrast would be near to everything.

Content distance: 1 - cosine of the features, which are centred per channel, averaged over taps; in [0, 2].

The margin of a side is (distance to the nearest other - distance to the own) / (sum of both). It is in [-1, 1], and
positive where the side is recognised.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from quality import files
from quality import pairs as styleid_pairs
from torch import Tensor
from torch.nn import functional as F

from artune.backbones.base import Features, Image
from artune.backbones.registry import load_network
from artune.files import file_digest
from artune.images.find import find_pictures
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.write import write_picture
from artune.losses.moments import mean_and_covariance, moments
from artune.metrics.perceptual import CONTENT, SIDE, STROKES
from artune.report.tables import Table
from artune.studies.bootstrap import band_of
from artune.tensors import load_checkpoint, save_checkpoint

T = TypeVar("T")
PAINTINGS, PHOTOGRAPHS = 100, 300
"""Number of pictures in a crowd."""
OF_STYLEID = 2 / 5, 1 / 15
"""Shares of StyleID's paintings and photographs in a crowd: all 40 of 100, and all 20 of 300."""
THUMBNAIL = 16
"""Side to which pictures are reduced to find duplicates, pixels."""
DUPLICATE = 0.95
"""Least cosine of the thumbnails, centred per channel, of two copies of a picture. In ``photos``, five pairs reach it,
three of which are equal; different paintings of one motif reach 0.946."""
DRAWS = 10_000
"""Number of bootstrap draws."""
AT_ONCE = 8
"""Number of photographs that are compared at once."""
VERSION = 2
"""Raised when what is recognised changes; measurements of another version are not taken."""
UNTOUCHED = "the photograph"
"""Name of the pair's photograph among the paintings that a result's style may be taken for."""
FOUND = "found"
"""The case whose strength is found by artune."""


# ------------------------------------------------------------------------------------- pairs, crowd


class Pair(NamedTuple):
    """Files of a photograph and of the painting in whose style it is painted."""

    photograph: Path
    painting: Path

    @property
    def name(self) -> str:
        """The names of both files."""
        return f"{self.photograph.stem} x {self.painting.stem}"


def shuffled(folder: Path) -> list[Path]:
    """Pictures of a folder and its sub-folders, in an order that depends on their names and number alone."""
    found = find_pictures(folder, recursive=True).pictures
    return [found[place] for place in np.random.default_rng(0).permutation(len(found))]


def by_turns(rows: Iterable[Sequence[T]]) -> list[T]:
    """The first of each row, then the second of each, and so on."""
    return [each for turn in zip_longest(*rows) for each in turn if each is not None]


def by_painter(data: Path, *splits: str) -> list[Path]:
    """Paintings of some splits of ``painters``, of each painter by turns."""
    names = sorted(folder.name for folder in (data / "painters" / splits[0]).iterdir())
    return by_turns(by_turns(shuffled(data / "painters" / split / name) for split in splits) for name in names)


def choose_pairs(assets: Path, count: int) -> list[Pair]:
    """Different pairs by turns: of StyleID, and of ``painters`` (test) and ``photos``.

    Each picture is used about equally often. More pairs are the same ones, and others.

    Args:
        assets: folder with ``data``.
        count: number of pairs.
    """
    known = [Pair(*files(assets, pair)) for pair in styleid_pairs(count - count // 2)]
    photographs, paintings = shuffled(assets / "data/photos"), by_painter(assets / "data", "test")
    drawn = [Pair(photographs[i % len(photographs)], paintings[i % len(paintings)]) for i in range(count // 2)]
    return by_turns([known, drawn])


def choose_crowd(
    assets: Path, paintings: int = PAINTINGS, photographs: int = PHOTOGRAPHS
) -> tuple[list[Path], list[Path]]:
    """Paintings and photographs among which the own ones are to be recognised.

    Among the paintings are others by the painters of the pairs, from ``painters`` (train, val); these six painters are
    of three movements. Photographs of ``photos`` are the last of the order of which pairs take the first.

    Args:
        assets: folder with ``data``.
        paintings: their number.
        photographs: their number.
    """
    data = assets / "data"
    of_style, of_content = (round(share * n) for share, n in zip(OF_STYLEID, (paintings, photographs), strict=True))
    styles, contents = (find_pictures(data / "styleid" / kind).pictures for kind in ("style", "content"))
    others, unused = by_painter(data, "train", "val"), shuffled(data / "photos")[::-1]
    return (
        [*styles[:of_style], *others[: paintings - of_style]],
        [*contents[:of_content], *unused[: photographs - of_content]],
    )


def thumbnail(picture: Picture) -> Float[Tensor, "d"]:
    """A picture at 16x16 pixels, centred per channel, as a vector of length 1."""
    small = F.interpolate(picture.tensor(), (THUMBNAIL, THUMBNAIL), mode="area")
    return F.normalize((small - small.mean((2, 3), keepdim=True)).flatten(), dim=0)


# ------------------------------------------------------------------------------------- what is seen


class Seen(NamedTuple):
    """What a referee sees in a picture.

    Attributes:
        strokes: mean ``[c]`` and covariance ``[c * (c + 1) / 2]`` of the features of each tap for style, one after the
            other; of the covariance the ``triangle``.
        layout: centred features of the taps for content, as one vector ``[n]`` of length 1. The product of two is the
            mean of the taps' cosines.
    """

    strokes: tuple[Tensor, ...]
    layout: Tensor


class Trunk(Protocol):
    """A network: a picture ``[1, 3, h, w]`` and names of taps -> their features."""

    def __call__(self, image: Image, taps: Sequence[str]) -> Features: ...


@dataclass(frozen=True)
class Referee:
    """A network that takes no part in making pictures.

    Attributes:
        name: its name.
        trunk: the network.
        strokes: taps for style.
        content: taps for content.
        digest: sha256 of its weights.
        side: height and width at which it sees pictures, pixels.
    """

    name: str
    trunk: Trunk
    strokes: tuple[str, ...]
    content: tuple[str, ...]
    digest: str
    side: int = SIDE

    @torch.no_grad()
    def see(self, picture: Picture) -> Seen:
        """What the network sees in a picture."""
        image = F.interpolate(picture.tensor(), (self.side, self.side), mode="bicubic", antialias=True).clamp(0, 1)
        features = self.trunk(image, [*{*self.strokes, *self.content}])
        strokes: list[Tensor] = []
        for tap in self.strokes:
            mean, covariance = mean_and_covariance(moments(features[tap]))
            strokes += [mean[0], triangle(covariance[0])]
        centred = [features[tap] - features[tap].mean((2, 3), keepdim=True) for tap in self.content]
        layout = torch.cat([F.normalize(each.flatten(), dim=0) for each in centred]) / len(centred) ** 0.5
        return Seen(tuple(strokes), layout)


def triangle(matrix: Float[Tensor, "c c"]) -> Float[Tensor, "d"]:
    """Upper triangle of a symmetric matrix, as a vector whose norm is the Frobenius norm of the matrix."""
    row, column = torch.triu_indices(*matrix.shape)
    return matrix[row, column] * torch.where(row == column, 1.0, 2**0.5)


def squeezenet(assets: Path) -> Referee:
    """SqueezeNet 1.1, with the taps of ``artune.metrics.perceptual``."""
    trunk, digest = load_network("squeezenet1_1", weights=assets / "weights/squeezenet1_1-features.safetensors")
    strokes, content = (tuple(f"features.{tap}" for tap in taps) for taps in (STROKES, CONTENT))
    return Referee("squeezenet", trunk, strokes, content, digest)


def resnet18(assets: Path) -> Referee:
    """ResNet-18; the tap for content has a stride of 16 pixels, as those of SqueezeNet."""
    weights = assets / "weights/resnet18-layer1-3.safetensors"
    trunk, digest = load_network("resnet18", weights=weights, padding="zeros", smooth=False)
    return Referee("resnet18", trunk, ("layer1", "layer2", "layer3"), ("layer3",), digest)


REFEREES: Mapping[str, Callable[[Path], Referee]] = {"squeezenet": squeezenet, "resnet18": resnet18}
"""Referees by name, each loaded from the folder with ``weights``."""


# ------------------------------------------------------------------------------------- distances


def apart(own: Float[Tensor, "n"], others: Float[Tensor, "m n"]) -> Float[Tensor, "m"]:
    """Squared distance from each of some vectors, over the mean of both squared norms; in [0, 4]."""
    between = torch.cdist(own[None], others, compute_mode="donot_use_mm_for_euclid_dist")[0]  # exact at 0
    norms = (own.norm().square() + others.norm(dim=1).square()) / 2
    shares: Tensor = between.square() / norms.clamp(min=1e-30)
    return shares


def style_distances(strokes: Sequence[Tensor], others: Sequence[Tensor]) -> Float[Tensor, "m"]:
    """Style distance of a picture from each of some others, in [0, 4].

    Args:
        strokes: see ``Seen``.
        others: likewise, with a first axis for the others.
    """
    parts = [apart(own, other) for own, other in zip(strokes, others, strict=True)]
    return torch.stack(parts).sum(0) / (len(parts) / 2)


def content_distances(layout: Float[Tensor, "n"], others: Float[Tensor, "m n"]) -> Float[Tensor, "m"]:
    """Content distance of a picture from each of some others, in [0, 2].

    Args:
        layout: see ``Seen``.
        others: likewise; of any precision.
    """
    cosines = torch.cat([part.float() @ layout for part in torch.split(others, AT_ONCE)])
    return (1 - cosines).clamp(min=0)


class Match(NamedTuple):
    """How well one side of a picture is recognised.

    Attributes:
        own: distance to the own painting or photograph.
        other: distance to the nearest other.
        nearest: name of this other.
    """

    own: float
    other: float
    nearest: str

    @property
    def margin(self) -> float:
        """In [-1, 1], positive where the own one is nearest; 0 where the other is as near."""
        whole = self.own + self.other
        return (self.other - self.own) / whole if whole > 0 else 0.0


class Target(NamedTuple):
    """What is to be recognised in the results of a pair.

    Attributes:
        painting: what the referee sees in the pair's painting.
        photograph: what it sees in the pair's photograph.
        paintings: whether a painting of the crowd is another one, ``[m]``; the photograph is another one, too.
        photographs: whether a photograph of the crowd is another one, ``[k]``.
    """

    painting: Seen
    photograph: Seen
    paintings: Bool[Tensor, "m"]
    photographs: Bool[Tensor, "k"]


@dataclass(frozen=True, eq=False)
class Crowd:
    """Paintings and photographs, as a referee sees them.

    Attributes:
        referee: sees the pictures.
        key: digest of the referee and of the files of the pictures.
        paintings: names of the paintings.
        photographs: names of the photographs.
        strokes: of the paintings, see ``Seen``; ``[m, n]`` each.
        layouts: of the photographs, ``[k, n]``, fp16.
        thumbnails: of the paintings ``[m, d]`` and of the photographs ``[k, d]``.
    """

    referee: Referee
    key: str
    paintings: tuple[str, ...]
    photographs: tuple[str, ...]
    strokes: tuple[Tensor, ...]
    layouts: Float[Tensor, "k n"]
    thumbnails: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, referee: Referee, paintings: Sequence[Path], photographs: Sequence[Path], cache: Path) -> "Crowd":
        """Look at the pictures, or read what was seen from the cache.

        Args:
            referee: sees the pictures.
            paintings: their files; at least one.
            photographs: their files; at least one.
            cache: file to keep what was seen; one of another crowd is replaced.
        """
        files = [*paintings, *photographs]
        about = (VERSION, referee.digest, referee.strokes, referee.content, referee.side, len(paintings))
        key = digest_of([*about, *(file_digest(path) for path in files)])
        tensors, kept = load_checkpoint(cache) if cache.exists() else ({}, {})
        if kept.get("key") != key:
            tensors = _looked_at(referee, paintings, photographs)
            save_checkpoint(cache, tensors, {"key": key})
        strokes = tuple(tensors[f"strokes.{place}"] for place in range(2 * len(referee.strokes)))
        names = [f"{path.parent.name}/{path.stem}" for path in files]
        return cls(
            referee,
            key,
            tuple(names[: len(paintings)]),
            tuple(names[len(paintings) :]),
            strokes,
            tensors["layouts"],
            (tensors["thumbnails.paintings"], tensors["thumbnails.photographs"]),
        )

    def target(self, photograph: Picture, painting: Picture) -> Target:
        """What is to be recognised in the results of a pair; copies of its pictures are no others."""
        others = [
            known @ thumbnail(picture) < DUPLICATE
            for known, picture in zip(self.thumbnails, (painting, photograph), strict=True)
        ]
        if not all(each.any() for each in others):
            raise SystemExit("the crowd holds copies of the pair alone; more pictures are needed")
        return Target(self.referee.see(painting), self.referee.see(photograph), *others)

    def recognise(self, result: Picture, target: Target) -> tuple[Match, Match]:
        """How well the style and the content of a result are recognised."""
        seen = self.referee.see(result)
        own, untouched = ([each[None] for each in of.strokes] for of in (target.painting, target.photograph))
        style = _match(
            style_distances(seen.strokes, own),
            torch.cat([style_distances(seen.strokes, self.strokes), style_distances(seen.strokes, untouched)]),
            torch.cat([target.paintings, torch.ones(1, dtype=torch.bool)]),
            [*self.paintings, UNTOUCHED],
        )
        own_layout = target.photograph.layout[None]
        content = _match(
            content_distances(seen.layout, own_layout),
            content_distances(seen.layout, self.layouts),
            target.photographs,
            self.photographs,
        )
        return style, content


def _looked_at(referee: Referee, paintings: Sequence[Path], photographs: Sequence[Path]) -> dict[str, Tensor]:
    """What a referee sees in the pictures of a crowd, by name."""
    thumbnails, strokes, layouts = [], [], []
    for path in paintings:
        picture = read_picture(path)
        thumbnails.append(thumbnail(picture))
        strokes.append(referee.see(picture).strokes)
    found = {f"strokes.{place}": torch.stack(each) for place, each in enumerate(zip(*strokes, strict=True))}
    found["thumbnails.paintings"] = torch.stack(thumbnails)
    thumbnails = []
    for path in photographs:
        picture = read_picture(path)
        thumbnails.append(thumbnail(picture))
        layouts.append(referee.see(picture).layout.half())
    return {**found, "thumbnails.photographs": torch.stack(thumbnails), "layouts": torch.stack(layouts)}


def _match(
    own: Float[Tensor, "1"], crowd: Float[Tensor, "m"], others: Bool[Tensor, "m"], names: Sequence[str]
) -> Match:
    nearest = int(crowd.where(others, torch.inf).argmin())
    return Match(float(own), float(crowd[nearest]), names[nearest])


# ------------------------------------------------------------------------------------- results


def digest_of(data: Any) -> str:
    """sha256 of plain data."""
    return hashlib.sha256(json.dumps(data).encode()).hexdigest()


class Case(NamedTuple):
    """A picture that is to be made of a pair.

    Attributes:
        pair: name of the pair.
        name: what distinguishes it from the other pictures of the pair.
        method: how it is made.
        size: longer side, pixels.
        key: digest of all on which the picture depends.
        make: makes it; returns it with its strength, if it has one.
    """

    pair: str
    name: str
    method: str
    size: int
    key: str
    make: Callable[[], tuple[Picture, float | None]]


@dataclass(frozen=True)
class Line:
    """What a referee recognises in a picture.

    Attributes:
        key: key of the case.
        crowd: key of the crowd.
        referee: name of the referee.
        pair: see ``Case``.
        case: name of the case.
        method: see ``Case``.
        size: see ``Case``.
        strength: of the picture, if it has one.
        style: how well its style is recognised.
        content: how well its content is recognised.
    """

    key: str
    crowd: str
    referee: str
    pair: str
    case: str
    method: str
    size: int
    strength: float | None
    style: Match
    content: Match

    def __str__(self) -> str:
        strength = "" if self.strength is None else f"{self.strength:.2f}"
        margins = f"style {self.style.margin:+.3f} content {self.content.margin:+.3f}"
        return f"{self.pair:40.40s} {self.case:18s} {strength:5s} {self.referee:10s} {margins}"


class Results:
    """A folder of pictures and of what was recognised in them, to which more is added.

    An unfinished last line, which a killed process leaves, is cut off.

    Args:
        folder: with ``lines.jsonl`` and ``pictures``; made if missing.
    """

    def __init__(self, folder: Path) -> None:
        self.pictures, self.file = folder / "pictures", folder / "lines.jsonl"
        self.pictures.mkdir(parents=True, exist_ok=True)
        self.lines: dict[tuple[str, str], Line] = {}
        self.strengths: dict[str, float | None] = {}
        with self.file.open("ab+") as file:
            file.seek(0)
            data = file.read()
            file.truncate(data.rfind(b"\n") + 1)
        for text in data.split(b"\n")[:-1]:
            found = json.loads(text)
            self._keep(Line(**{**found, "style": Match(*found["style"]), "content": Match(*found["content"])}))

    def _keep(self, line: Line) -> None:
        self.lines[line.key, line.crowd] = line
        self.strengths[line.key] = line.strength

    def add(self, line: Line) -> None:
        """Write a line to the disk."""
        with self.file.open("a") as file:
            file.write(json.dumps(vars(line)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._keep(line)

    def picture(self, case: Case) -> tuple[Picture, float | None]:
        """A picture with 8 bits per channel, and its strength; made if it is not there."""
        path = self.pictures / f"{case.key}.png"
        if case.key in self.strengths and path.exists():
            return read_picture(path), self.strengths[case.key]
        picture, strength = case.make()
        write_picture(picture, path)
        return read_picture(path), strength


def recognised(
    photograph: Picture, painting: Picture, cases: Iterable[Case], crowds: Sequence[Crowd], results: Results
) -> Iterator[Line]:
    """What each referee recognises in each picture of a pair; what is in the results is not made or seen again.

    Args:
        photograph: of the pair.
        painting: of the pair.
        cases: the pictures.
        crowds: one of each referee.
        results: has what is known, and gets the rest.

    Yields:
        a line for each case and referee.
    """
    targets: dict[str, Target] = {}
    for case in cases:
        for crowd in crowds:
            known = case.key, crowd.key
            if known not in results.lines:
                if crowd.key not in targets:
                    targets[crowd.key] = crowd.target(photograph, painting)
                picture, strength = results.picture(case)
                style, content = crowd.recognise(picture, targets[crowd.key])
                about = (crowd.referee.name, case.pair, case.name, case.method)
                results.add(Line(*known, *about, case.size, strength, style, content))
            yield results.lines[known]


# ------------------------------------------------------------------------------------- findings


def outcomes(lines: Iterable[Line]) -> dict[str, Float[np.ndarray, "4 n"]]:
    """Of each case and each of its n pictures, in their order: whether style, content and both are recognised, and the
    lesser margin.
    """
    margins: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        margins.setdefault(line.case, []).append((line.style.margin, line.content.margin))
    found = {}
    for case, values in margins.items():
        both = np.array(values).T
        lesser = both.min(0)
        found[case] = np.stack([*(both > 0), lesser > 0, lesser]).astype(np.float64)
    return found


def paired(ours: Float[np.ndarray, "n"], theirs: Float[np.ndarray, "n"]) -> tuple[float, float, float]:
    """Mean difference of two series over the same pairs, and the ends of its 95 % bootstrap interval."""
    band = band_of((ours - theirs)[None, :, None], DRAWS, 0)
    return band.value[0], band.low[0], band.high[0]


def findings(lines: Sequence[Line]) -> Table:
    """How often a referee recognises the pictures of each case, and how the found strength compares with fixed ones.

    Args:
        lines: of one referee, in the same order of pairs for each case.
    """
    found = outcomes(lines)
    fixed = {line.case for line in lines if line.strength is not None} - {FOUND}
    rows = []
    for case, values in found.items():
        style, content, both, lesser = values.mean(1)
        texts = ["", ""]
        if case in fixed:
            texts = [
                f"{mean:+.{digits}f} ({low:+.{digits}f} .. {high:+.{digits}f})"
                for place, digits in ((2, 2), (3, 3))
                for mean, low, high in [paired(found[FOUND][place], values[place])]
            ]
        rows.append((case, f"{style:.2f}", f"{content:.2f}", f"{both:.2f}", f"{lesser:+.3f}", *texts))
    head = (
        "strength",
        "style",
        "content",
        "both",
        "lesser margin",
        "found - fixed: both",
        "found - fixed: lesser margin",
    )
    return Table(head, tuple(rows))


def aligned(table: Table) -> str:
    """A table as text; the first column is aligned to the left, others to the right."""
    lines = [table.head, *table.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
