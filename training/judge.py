"""Train the judge: a small network that tells whose style a picture has.

    python training/judge.py styled --assets DIR --work DIR [--count 3200]
    python training/judge.py train --assets DIR --work DIR -o judge.safetensors
    python training/judge.py banks --assets DIR --work DIR -o judge.safetensors
    python training/judge.py calibrate -o judge.safetensors
    python training/judge.py evaluate --assets DIR

``styled`` makes pictures of known style and content at many strengths, in blocks of two photographs times two
paintings: those of a block differ in one of the two alone. ``train`` teaches two embeddings of MobileNetV2, the only
teacher, and by contrast to tell styles apart across contents, and contents across styles. ``banks`` draws the
paintings of the bank and calibrates the probabilities on labels (``labels.py``), ``calibrate`` does the latter alone;
``evaluate`` prints what is reported. Every part can be killed and goes on where it was.

Held out of all training: a tenth of the photographs and paintings, the painters and animals of ``val`` and ``test``.
"""

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from labels import fitted
from PIL import Image as PIL
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from artune.assets import JUDGE, locate
from artune.backbones.defaults import Defaults
from artune.backbones.network import Network
from artune.engine.descend import descend
from artune.engine.optimisers import Adam
from artune.judges.embedding import SIDE, WIDTHS, Judge, JudgeNetwork, margin
from artune.losses.objective import Formulas, PaintingImage, RegionWeights, Terms, Weights, assemble, measure
from artune.losses.terms import balance_of
from artune.spec.options import with_options
from artune.spec.style import StyleSpec

STYLED_SIDE = 160
LOSSES = ("w2", "w2", "w2", "gram", "moments")
ODDS = 3.5
"""Strengths of the styled pictures: log odds within plus and minus this."""
AT_HALF = 2.0
"""Their style weight at strength 0.5, in units of the package's: it was chosen later, by the judge."""


STYLED, KEPT = -1.5, 0.0
"""Log odds from which the style is recognised by looking in eight pictures of ten, and up to which the content is."""
CELLS = {2: (8, 24), 3: (4, 96)}
"""Stages from which content is embedded: number of cells in each direction (which keep the layout), and channels."""
NOTHING = -(10**6)
"""Labels from here down are of single pictures."""


@dataclass(frozen=True)
class Pools:
    """Pictures to train with, and those held out, uint8 ``[h, w, 3]``."""

    photos: list[np.ndarray]
    paintings: list[np.ndarray]
    classes: list[int]
    """Of each painting: its movement or painter."""
    other_photos: list[np.ndarray]
    other_paintings: list[np.ndarray]

    @classmethod
    def read(cls, assets: Path) -> "Pools":
        data = assets / "data"
        photos, other_photos = _parted(_files(data / "photos"))
        photos += _files(data / "animals/train")
        other_photos += _files(data / "animals/val")
        paintings, other_paintings = _parted(_files(data / "paintings"))
        paintings += _files(data / "painters/train")
        other_paintings += _files(data / "painters/val")
        classes = sorted({path.parent.name for path in paintings})
        return cls(
            [_pixels(p) for p in photos],
            [_pixels(p) for p in paintings],
            [classes.index(p.parent.name) for p in paintings],
            [_pixels(p) for p in other_photos],
            [_pixels(p) for p in other_paintings],
        )


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})


def _parted(files: list[Path]) -> tuple[list[Path], list[Path]]:
    return [p for i, p in enumerate(files) if i % 10], files[::10]


def _pixels(path: Path) -> np.ndarray:
    with PIL.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def square(picture: np.ndarray, side: int = SIDE) -> np.ndarray:
    """The middle of a picture, ``[side, side, 3]``."""
    height, width = picture.shape[:2]
    cut = min(height, width)
    left, top = (width - cut) // 2, (height - cut) // 2
    return _cut(picture, left, top, cut, cut, side)


def _cut(picture: np.ndarray, left: float, top: float, width: float, height: float, side: int) -> np.ndarray:
    box = (left, top, left + width, top + height)
    return np.asarray(PIL.fromarray(picture).resize((side, side), PIL.Resampling.BICUBIC, box=box))


def to_image(pixels: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255


# ------------------------------------------------------------------------------------------- styled pictures


def make_styled(assets: Path, work: Path, count: int, seed: int) -> None:
    """Write ``styled-NNNN.npz``: ``pixels [8, side, side, 3]``, ``content``, ``style`` (places in the pools), ``odds``.

    A file holds two blocks of two photographs times two paintings.
    """
    work.mkdir(parents=True, exist_ok=True)
    pools = Pools.read(assets)
    small = with_options(StyleSpec(), {"network": "vgg19-emulator"})
    networks = [Network.load(StyleSpec()), Network.load(small, assets / "weights/vgg19-emulator-16x.safetensors")]
    began = time.perf_counter()
    for number in range(count // 8):
        path = work / f"styled-{number:04d}.npz"
        if path.exists():
            continue
        rng = np.random.default_rng((seed, number))
        backbone = networks[int(rng.random() < 0.3)].backbone
        loss = str(rng.choice(LOSSES))
        content, style = (
            np.concatenate([rng.choice(len(pool), 2, replace=False)[order] for _ in range(2)])
            for pool, order in ((pools.photos, [0, 0, 1, 1]), (pools.paintings, [0, 1, 0, 1]))
        )
        odds = rng.uniform(-ODDS, ODDS, 8)
        strength = torch.from_numpy(1 / (1 + np.exp(-odds))).float()
        defaults, formulas = Defaults(), Formulas(style={loss: 1.0})
        weights = Weights(defaults.content, defaults.style, tv=0.05)
        region = RegionWeights(style=AT_HALF * balance_of({loss: 1.0}) * strength, content=1 - strength)
        photographs = to_image([square(pools.photos[i], STYLED_SIDE) for i in content])
        paintings = to_image([square(pools.paintings[i], STYLED_SIDE) for i in style])
        x = photographs
        for size, steps in ((80, 24), (STYLED_SIDE, 24)):
            last = F.interpolate(photographs, (x.shape[-1],) * 2, mode="bicubic", antialias=True).clamp(0, 1)
            here, painted = (
                F.interpolate(i, (size, size), mode="bicubic", antialias=True).clamp(0, 1)
                for i in (photographs, paintings)
            )
            x = (here + F.interpolate(x - last, (size, size), mode="bicubic")).clamp(0, 1)
            # a batch of eight photographs, each with a painting of its own, which the product never has
            terms, painting = Terms.of(weights, formulas), PaintingImage(painted)
            with torch.no_grad():
                of_painting = measure(backbone, painted, terms.of_painting(painting))
                of_photograph = measure(backbone, here, terms.of_photograph([region]))
            measured = [[terms.measured(painting, of_painting)]]
            f = assemble(backbone, terms, [region], measured, of_photograph, weights, formulas)
            rate = 0.03 * min(1.0, float(strength.min()) / 0.1) if size == 80 else 0.03
            for step in descend(f, x, Adam(rate=rate), steps=steps, average=0.9):
                x = step.image
        pixels = (x.permute(0, 2, 3, 1).numpy() * 255 + 0.5).astype(np.uint8)
        part = path.with_suffix(".part.npz")
        np.savez(part, pixels=pixels, content=content, style=style, odds=odds)
        part.rename(path)
        print(f"{8 * (number + 1)} of {count} pictures, {time.perf_counter() - began:.0f} s", flush=True)


# ------------------------------------------------------------------------------------------- views


def view(picture: np.ndarray, rng: np.random.Generator, least: float) -> np.ndarray:
    """A crop, of at least that share of the shorter side, sometimes stretched a little, mirrored one time in two."""
    height, width = picture.shape[:2]
    share = rng.uniform(least, 1.0)
    stretch = math.exp(rng.uniform(-0.15, 0.15)) ** 0.5
    cut_w, cut_h = (
        min(share * min(height, width) * f, limit) for f, limit in ((stretch, width), (1 / stretch, height))
    )
    left, top = rng.uniform(0, width - cut_w), rng.uniform(0, height - cut_h)
    return _cut(picture, left, top, cut_w, cut_h, SIDE)


def near(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The middle square but for a few percent: the same content, as it lies."""
    height, width = picture.shape[:2]
    cut = min(height, width) * rng.uniform(0.88, 1.0)
    left, top = ((n - cut) * rng.uniform(0.3, 0.7) for n in (width, height))
    return _cut(picture, left, top, cut, cut, SIDE)


def disturbed(image: Tensor, rng: np.random.Generator, amount: float) -> Tensor:
    """Colours mixed by a random matrix near the identity, brightness, contrast, noise and blur."""
    n = len(image)
    mix = torch.eye(3) + amount * torch.from_numpy(rng.normal(0, 0.5, (n, 3, 3))).float()
    shift = amount * torch.from_numpy(rng.normal(0, 0.3, (n, 3, 1, 1))).float()
    contrast = torch.from_numpy(np.exp(amount * rng.normal(0, 0.7, (n, 1, 1, 1)))).float()
    mean = image.mean((2, 3), keepdim=True)
    image = torch.einsum("bij,bjhw->bihw", mix, image - mean) * contrast + mean + shift
    for i in np.flatnonzero(rng.random(n) < 0.3 * min(1.0, 2 * amount)):
        if rng.random() < 0.5:
            image[i] += rng.uniform(0, 0.1) * torch.from_numpy(rng.standard_normal(image[i].shape)).float()
        else:
            side = int(SIDE * rng.uniform(0.4, 0.8))
            small = F.interpolate(image[i : i + 1], (side, side), mode="bilinear", antialias=True)
            image[i] = F.interpolate(small, (SIDE, SIDE), mode="bilinear")[0]
    return image.clamp(0, 1)


def recoloured(image: Tensor, like: Tensor) -> Tensor:
    """The colours of ``image`` brought to mean and covariance of those of ``like``: its palette is not a style."""
    x, y = (i.flatten(2).double() for i in (image, like))
    mx, my = x.mean(2, keepdim=True), y.mean(2, keepdim=True)

    def root(flat: Tensor, power: float) -> Tensor:
        values, vectors = torch.linalg.eigh(flat @ flat.transpose(1, 2) / flat.shape[2] + 1e-5 * torch.eye(3))
        power_of: Tensor = vectors @ torch.diag_embed(values**power) @ vectors.transpose(1, 2)
        return power_of

    changed: Tensor = root(y - my, 0.5) @ root(x - mx, -0.5) @ (x - mx) + my
    return changed.view_as(image).float().clamp(0, 1)


@dataclass(frozen=True)
class Batch:
    """Pictures, and what is known of them.

    Attributes:
        image: ``[n, 3, SIDE, SIDE]``.
        styles: ``[n]``: equal numbers, equal style; ``~k`` says: perhaps k, and -n and below that nothing is known.
        contents: the same of contents.
    """

    image: Tensor
    styles: Tensor
    contents: Tensor


class Batches:
    """Pictures to learn from, as a function of (seed, step).

    Two files of styled pictures with the photographs and paintings that they were made of, which the contrast is about;
    and single ones of every kind.
    """

    def __init__(self, assets: Path, work: Path, seed: int) -> None:
        self.pools, self.seed = Pools.read(assets), seed
        self.styled = [dict(np.load(path)) for path in sorted(work.glob("styled-[0-9]*.npz"))]

    def at(self, step: int) -> Batch:
        """72 pictures: 32 styled ones, 20 photographs, 20 paintings."""
        rng = np.random.default_rng((self.seed, 1, step % 2**32))
        photos, paintings = self.pools.photos, self.pools.paintings
        pixels: list[np.ndarray] = []
        labels: list[tuple[int, int]] = []
        of_photo, of_painting = len(paintings), len(photos)  # photographs have styles, too, and paintings contents
        for number in rng.choice(len(self.styled), 2, replace=False):
            block = self.styled[number]
            for picture, c, s, odds in zip(
                *(block[key] for key in ("pixels", "content", "style", "odds")), strict=True
            ):
                pixels.append(near(picture, rng))
                labels.append((s if odds >= STYLED else ~s, c if odds <= KEPT else ~c))
            for c in dict.fromkeys(block["content"].tolist()):
                pixels.append(near(photos[c], rng))
                labels.append((of_photo + c, c))
            for s in dict.fromkeys(block["style"].tolist()):
                pixels.append(view(paintings[s], rng, 0.5))
                labels.append((s, of_painting + s))
        known = len(labels)
        for number in rng.integers(len(self.styled), size=16):
            pixels.append(view(self.styled[number]["pixels"][rng.integers(8)], rng, 0.6))
        pixels += [view(photos[i], rng, 0.5) for i in rng.integers(len(photos), size=12)]
        pixels += [view(paintings[i], rng, 0.5) for i in rng.integers(len(paintings), size=12)]
        image = to_image(pixels)
        image[-24:-20] = recoloured(image[-24:-20], image[-4:])
        strong = np.concatenate([np.zeros(known, bool), rng.random(len(image) - known) < 0.4])
        image[~strong] = disturbed(image[~strong], rng, 0.05)
        image[strong] = disturbed(image[strong], rng, 0.3)
        styles, contents = torch.tensor([*labels, *[(NOTHING - i,) * 2 for i in range(len(image) - known)]]).unbind(1)
        return Batch(image, styles, contents)


class Taught(NamedTuple):
    """Embeddings that are taught, of length 1.

    Attributes:
        style: ``[b, 128]``.
        content: ``[b, 256]``.
    """

    style: Tensor
    content: Tensor


def layout(features: Tensor, grid: int) -> Tensor:
    """Layout of features: their means in ``grid x grid`` cells, standardised per channel, as one vector of length 1."""
    cells = F.adaptive_avg_pool2d(features, grid).flatten(2)
    cells = cells - cells.mean(2, keepdim=True)
    return F.normalize((cells / (cells.std(2, keepdim=True, correction=0) + 0.1)).flatten(1), dim=1)


class Teacher(nn.Module):
    """MobileNetV2's embeddings, which the judge learns to give.

    Style: means and log deviations of the channels of four taps, standardised over a sample of pictures; content: where
    in a picture the features of two taps lie. Each is brought to length 1 per tap, and projected on the sample's
    principal components.

    Args:
        assets: folder with the weights.
        sample: pictures, ``[n, 3, h, w]``.
    """

    STYLE = ("layer_3", "layer_6", "layer_8", "layer_10")
    CONTENT: ClassVar = {"layer_3": 8, "layer_13": 4}
    DENSE: ClassVar = {"layer_3": 1, "layer_6": 2, "layer_13": 3}

    def __init__(self, assets: Path, sample: Tensor) -> None:
        super().__init__()
        spec = with_options(StyleSpec(), {"network": "mobilenet_v2", "precision": "fp32"})
        self.backbone = Network.load(spec, assets / "weights/mobilenet_v2.safetensors").backbone
        features: dict[str, list[Tensor]] = {}
        raw: list[list[list[Tensor]]] = [[], []]
        for images in torch.split(sample, 24):
            found = self.features(images)
            for index, parts in enumerate(self.parts(found)):
                raw[index].append(parts)
            for tap in self.DENSE:
                features.setdefault(tap, []).append(found[tap])
        self.stats = {}
        for tap, values in features.items():
            flat = torch.cat([v.permute(1, 0, 2, 3).flatten(1) for v in values], 1)
            self.stats[tap] = flat.mean(1)[:, None, None], flat.std(1)[:, None, None] + 0.05
        self.scales: list[list[tuple[Tensor, Tensor]]] = []
        self.bases: list[Tensor] = []
        for some, size in zip(raw, (128, 256), strict=True):
            whole = [torch.cat([parts[i] for parts in some]) for i in range(len(some[0]))]
            plain = size == 256  # content is standardised within each picture
            self.scales.append([(0 * w[0], 0 * w[0] + 1) if plain else (w.mean(0), w.std(0) + 1e-3) for w in whole])
            x = self.standard(whole, self.scales[-1])
            self.bases.append(torch.linalg.svd(x, full_matrices=False)[2][:size])
            kept = (x @ self.bases[-1].T).square().sum() / x.square().sum()
            print(f"{size} components keep {kept:.3f} of the embedding", flush=True)

    @torch.no_grad()
    def features(self, image: Tensor) -> dict[str, Tensor]:
        return dict(self.backbone(image, {*self.STYLE, *self.CONTENT, *self.DENSE}))

    def parts(self, found: dict[str, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        style = []
        for tap in self.STYLE:
            flat = found[tap].flatten(2)
            style.append(torch.cat([flat.mean(2), 0.5 * (flat.var(2, correction=0) + 1e-4).log()], 1))
        return style, [layout(found[tap], grid) for tap, grid in self.CONTENT.items()]

    @staticmethod
    def standard(parts: list[Tensor], scales: list[tuple[Tensor, Tensor]]) -> Tensor:
        each = [F.normalize((x - mean) / std, dim=1) for x, (mean, std) in zip(parts, scales, strict=True)]
        joined: Tensor = torch.cat(each, 1) / len(each) ** 0.5
        return joined

    def forward(self, image: Tensor) -> tuple["Taught", dict[str, Tensor]]:
        """Both embeddings, and the standardised features of ``DENSE``."""
        found = self.features(image)
        style, content = (
            F.normalize(self.standard(parts, scales) @ basis.T, dim=1)
            for parts, scales, basis in zip(self.parts(found), self.scales, self.bases, strict=True)
        )
        dense = {tap: (found[tap] - mean) / std for tap, (mean, std) in self.stats.items()}
        return Taught(style, content), dense


def contrast(embedding: Tensor, labels: Tensor, temperature: float = 0.1) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020, equation 2), of pictures whose labels are known.

    A picture that is perhaps of another's kind is no one's pair, and not held against that other.
    """
    embedding, labels = embedding[labels > NOTHING], labels[labels > NOTHING]
    similar = embedding @ embedding.T / temperature
    kind = torch.where(labels < 0, ~labels, labels)
    same = kind[:, None] == kind[None]
    sure = (labels >= 0)[:, None] & (labels >= 0)[None]
    oneself = torch.eye(len(labels), dtype=torch.bool)
    similar = similar.masked_fill(oneself | (same & ~sure), -torch.inf)
    pairs = same & sure & ~oneself
    mean = similar.log_softmax(1).masked_fill(~pairs, 0).sum(1) / pairs.sum(1).clamp(min=1)
    return -mean[pairs.any(1)].mean()


def unlike(found: Tensor, wanted: Tensor) -> Tensor:
    """How far embeddings are from those wanted: 1 - cosine, and the error of the cosines among them."""
    among = (found @ found.T - wanted @ wanted.T).square().mean()
    return 1 - (found * wanted).sum(1).mean() + 10 * among


class Student(nn.Module):
    """The judge, and what is trained along and then dropped: an embedding by content, and maps to the teacher's
    features.
    """

    def __init__(self, teacher: Teacher) -> None:
        super().__init__()
        self.judge = JudgeNetwork()
        self.cells = nn.ModuleList(nn.Conv2d(WIDTHS[stage], width, 1) for stage, (_, width) in CELLS.items())
        self.content = nn.Linear(sum(grid**2 * width for grid, width in CELLS.values()), 256)
        channels = {tap: teacher.backbone.taps[tap].channels for tap in Teacher.DENSE}
        self.maps = nn.ModuleDict({t: nn.Conv2d(WIDTHS[i], channels[t], 1) for t, i in Teacher.DENSE.items()})

    def losses(self, batch: Batch, wanted: Taught, dense: dict[str, Tensor]) -> dict[str, Tensor]:
        maps = self.judge.maps(batch.image.to(memory_format=torch.channels_last))
        layouts = [
            layout(conv(maps[stage]).float(), grid)
            for conv, (stage, (grid, _)) in zip(self.cells, CELLS.items(), strict=True)
        ]
        found = Taught(self.judge.of_style(maps), F.normalize(self.content(torch.cat(layouts, 1)), dim=1))
        errors = [(self.maps[t](maps[i]) - dense[t]).square().mean() for t, i in Teacher.DENSE.items()]
        return {
            "style": unlike(found.style, wanted.style),
            "content": unlike(found.content, wanted.content),
            "features": torch.stack(errors).mean(),
            "contrast": contrast(found.style, batch.styles) + contrast(found.content, batch.contents),
        }


PARTS = {"style": 1.0, "content": 1.0, "features": 0.3, "contrast": 0.05}


def train(assets: Path, work: Path, output: Path, steps: int, rate: float, seed: int) -> None:
    """Teach; writes the network's weights at the end, a log beside it, and a state to go on from."""
    torch.manual_seed(seed)
    batches = Batches(assets, work, seed)
    sample = torch.cat([batches.at(-1 - n).image for n in range(24)])
    teacher = Teacher(assets, sample)
    student = Student(teacher).to(memory_format=torch.channels_last)
    adam = torch.optim.AdamW(student.parameters(), lr=rate, weight_decay=0.02)
    state, log, first = work / "train.state", output.with_suffix(".jsonl"), 0
    if state.exists():
        kept = torch.load(state, weights_only=True)
        student.load_state_dict(kept["student"])
        adam.load_state_dict(kept["adam"])
        first = kept["step"]
    began = time.perf_counter()
    sums: dict[str, float] = dict.fromkeys(PARTS, 0.0)
    for step in range(first, steps):
        share = min((step + 1) / 200, 0.5 * (1 + math.cos(math.pi * step / steps)) + 1e-3)
        for group in adam.param_groups:
            group["lr"] = rate * share
        batch = batches.at(step)
        wanted, dense = teacher(batch.image)
        with torch.autocast("cpu", torch.bfloat16):
            losses = student.losses(batch, wanted, dense)
            total = torch.stack([PARTS[name] * value for name, value in losses.items()]).sum()
        adam.zero_grad()
        torch.autograd.backward(total)
        nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        adam.step()
        sums = {name: value + losses[name].item() for name, value in sums.items()}
        if (step + 1) % 100 == 0 or step + 1 == steps:
            row: dict[str, float] = {"step": step + 1, "seconds": round(time.perf_counter() - began)}
            row |= {name: round(value / ((step % 100) + 1), 4) for name, value in sums.items()}
            with log.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(row, flush=True)
            sums = dict.fromkeys(PARTS, 0.0)
            part = state.with_suffix(".part")
            torch.save({"student": student.state_dict(), "adam": adam.state_dict(), "step": step + 1}, part)
            part.rename(state)
    save_file({name: value.half().contiguous() for name, value in student.judge.state_dict().items()}, output)


# ------------------------------------------------------------------------------------------- banks


def spread_over(names: Sequence[object], count: int, rng: np.random.Generator) -> list[int]:
    """``count`` places, as many of each name as can be."""
    order = rng.permutation(len(names)).tolist()
    seen: dict[object, int] = {}
    rank = []
    for place in order:
        seen[names[place]] = seen.get(names[place], 0) + 1
        rank.append((seen[names[place]], place))
    return sorted(place for _, place in sorted(rank)[:count])


def bank(judge: JudgeNetwork, pools: Pools, count: int, seed: int) -> Tensor:
    """Style embeddings of other paintings, evenly over movements and painters."""
    rng = np.random.default_rng((seed, 2))
    paintings = [pools.paintings[i] for i in spread_over(pools.classes, count, rng)]
    return torch.cat([judge(to_image([square(p)])) for p in paintings])


def make_banks(assets: Path, trained: Path, output: Path, count: int, seed: int) -> None:
    """Add the bank, and the calibrations by the labels, to a trained network."""
    pools, network = Pools.read(assets), JudgeNetwork()
    network.load_state_dict(load_file(trained))
    network.eval().requires_grad_(False)
    tensors = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    write({**tensors, "bank.style": bank(network, pools, count, seed).half()}, output)


def calibrate(output: Path) -> None:
    """Fit the calibrations of the judge that is installed to the labels again."""
    path = locate(JUDGE)
    assert path is not None
    write({name: value for name, value in load_file(path).items() if not name.startswith("calibration.")}, output)


def write(tensors: dict[str, Tensor], output: Path) -> None:
    """Write a judge, with the calibrations by the labels (``labels.py``)."""
    for kind, calibrations in fitted().items():
        for side, found in calibrations._asdict().items():
            print(f"{kind} {side}: {found}")
            tensors[f"calibration.{kind}.{side}"] = torch.tensor(found)
    save_file(tensors, output, metadata={"role": "judge"})


# ------------------------------------------------------------------------------------------- evaluation


def evaluate(assets: Path, path: Path | None, seed: int) -> None:
    """Print how often the judge tells paintings by a crop, and its margins of photographs and paintings."""
    judge, pools, rng = Judge.load(path), Pools.read(assets), np.random.default_rng(seed)
    data = assets / "data"
    paintings = [_pixels(p) for p in _files(data / "painters/test")] + pools.other_paintings[:230]
    right = []
    for picture in paintings:
        seen = disturbed(to_image([view(picture, rng, 0.5)]), rng, 0.05)
        own = judge.style(to_image([square(picture)]))
        right.append(margin(judge.style(seen), own, own[:0], judge.styles).item() > 0)
    print(f"{len(right)} paintings, by a crop of 50 to 100 %: nearest to its own {np.mean(right):.3f}")
    contents, styles = (_files(data / f"styleid/{kind}") for kind in ("content", "style"))
    rows = []
    for a, b in zip(contents * 2, styles, strict=True):
        photo, painting = (judge.style(to_image([_pixels(p)])) for p in (a, b))
        palette = judge.style(recoloured(to_image([_pixels(a)]), to_image([_pixels(b)])))
        rows.append([margin(each, painting, photo, judge.styles).item() for each in (photo, palette, painting)])
    names = ("photographs", "photographs in the painting's colours", "paintings")
    for name, values in zip(names, np.array(rows).T, strict=True):
        print(f"{len(values)} {name}: margin {np.median(values):.2f} (median), above 0 in {np.mean(values > 0):.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["styled", "train", "banks", "calibrate", "evaluate"])
    parser.add_argument("--assets", type=Path)
    parser.add_argument("--work", type=Path, default=Path("out/judge"), help="folder of the styled pictures")
    parser.add_argument("--count", type=int, default=3200, help="styled pictures")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--bank", type=int, default=240, help="paintings in the bank")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("-o", "--output", type=Path, default=Path("out/judge/judge.safetensors"))
    args = parser.parse_args()
    trained = args.output.with_name("judge-trained.safetensors")
    if args.command == "styled":
        make_styled(args.assets, args.work, args.count, args.seed)
    elif args.command == "train":
        train(args.assets, args.work, trained, args.steps, args.rate, args.seed)
    elif args.command == "banks":
        make_banks(args.assets, trained, args.output, args.bank, args.seed)
    elif args.command == "calibrate":
        calibrate(args.output)
    else:
        evaluate(args.assets, args.output if args.output.exists() else None, args.seed)


if __name__ == "__main__":
    main()
