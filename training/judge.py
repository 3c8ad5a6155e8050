"""Train the judge: a small network that tells whose style and whose content a picture has.

    python training/judge.py styled --assets DIR --work DIR [--count 3200]
    python training/judge.py train --assets DIR --work DIR -o judge.safetensors
    python training/judge.py banks --assets DIR --work DIR -o judge.safetensors
    python training/judge.py evaluate --assets DIR [--work DIR]

``styled`` makes pictures of known style and content at many strengths, in blocks of two photographs times two
paintings: those of a block differ in one of the two alone. ``train`` teaches both embeddings by contrast, and the trunk
by MobileNetV2, which is its only teacher. ``banks`` draws the distractors and fits the scales of the probabilities to
labels; ``evaluate`` prints what is reported. Every part can be killed and goes on where it was.

Held out of all training: a tenth of the photographs and paintings, the painters and animals of ``val`` and ``test``.
"""

import argparse
import csv
import itertools
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image as PIL
from safetensors.torch import load_file, save_file
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.nn import functional as F

from artune.engine.descend import descend
from artune.engine.methods import Adam
from artune.losses.objective import Formulas, Region, Styled, Weights, build
from artune.metrics.judges import SIDE, WIDTHS, Judge, JudgeNetwork, Scale
from artune.spec import StyleSpec, with_options
from artune.transfer.network import Network
from artune.transfer.resolve import Recipe

STYLED_SIDE = 160
LOSSES = ("w2", "w2", "w2", "gram", "moments")
ODDS = 3.5
"""Strengths of the styled pictures: log odds within plus and minus this."""
STYLED, KEPT = -1.5, 0.0
"""Log odds from which the style is recognised by looking in eight pictures of ten, and up to which the content is."""
PLAIN, LOST = -2.5, 1.5
"""Log odds below which the style is recognised in fewer than two of ten, and above which the content is in four."""


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
        names = sorted({path.parent.name for path in paintings})
        return cls(
            [_pixels(p) for p in photos],
            [_pixels(p) for p in paintings],
            [names.index(p.parent.name) for p in paintings],
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


def make_styled(assets: Path, work: Path, count: int, seed: int, *, held: bool) -> None:
    """Write ``styled-NNNN.npz``: ``pixels [8, side, side, 3]``, ``content``, ``style`` (places in the pools), ``odds``.

    A file holds two blocks of two photographs times two paintings. Of pictures held out: ``held-NNNN.npz``.
    """
    work.mkdir(parents=True, exist_ok=True)
    pools = Pools.read(assets)
    small = with_options(StyleSpec(), {"network": "vgg19-emulator"})
    networks = [Network.load(StyleSpec()), Network.load(small, assets / "weights/vgg19-emulator-16x.safetensors")]
    began = time.perf_counter()
    photos, painted_by = (pools.other_photos, pools.other_paintings) if held else (pools.photos, pools.paintings)
    for number in range(count // 8):
        path = work / f"{'held' if held else 'styled'}-{number:04d}.npz"
        if path.exists():
            continue
        rng = np.random.default_rng((seed, number, 1) if held else (seed, number))
        backbone = networks[int(rng.random() < 0.3)].backbone
        loss = str(rng.choice(LOSSES))
        content, style = (
            np.concatenate([rng.choice(len(pool), 2, replace=False)[order] for _ in range(2)])
            for pool, order in ((photos, [0, 0, 1, 1]), (painted_by, [0, 1, 0, 1]))
        )
        odds = rng.uniform(-ODDS, ODDS, 8)
        strength = torch.from_numpy(1 / (1 + np.exp(-odds))).float()
        recipe = Recipe()
        weights = Weights(
            recipe.content,
            recipe.style,
            content_total=1 - strength,
            style_total=recipe.balance_of({loss: 1.0}) * strength,
            tv=0.05,
        )
        photographs = to_image([square(photos[i], STYLED_SIDE) for i in content])
        paintings = to_image([square(painted_by[i], STYLED_SIDE) for i in style])
        x = photographs
        for size, steps in ((80, 24), (STYLED_SIDE, 24)):
            last = F.interpolate(photographs, (x.shape[-1],) * 2, mode="bicubic", antialias=True).clamp(0, 1)
            here, painted = (
                F.interpolate(i, (size, size), mode="bicubic", antialias=True).clamp(0, 1)
                for i in (photographs, paintings)
            )
            x = (here + F.interpolate(x - last, (size, size), mode="bicubic")).clamp(0, 1)
            f = build(backbone, here, [Region([Styled(painted)])], weights, Formulas(style={loss: 1.0}))
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
        return vectors @ torch.diag_embed(values**power) @ vectors.transpose(1, 2)

    changed = root(y - my, 0.5) @ root(x - mx, -0.5) @ (x - mx) + my
    return changed.view_as(image).float().clamp(0, 1)


class Batches:
    """Pictures with what is known of them, as a function of (seed, step).

    Every picture has a number for its style and one for its content, equal numbers mean the same; -1 says that a person
    could not tell.
    """

    def __init__(self, assets: Path, work: Path, seed: int) -> None:
        self.pools, self.seed = Pools.read(assets), seed
        self.styled = [dict(np.load(path)) for path in sorted(work.glob("styled-[0-9]*.npz"))]
        self.kept = max(len(self.styled) // 20, 1)  # held out

    def at(self, step: int, blocks: int = 2, more: int = 6) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pictures, styles, contents, and the class of each painting (or -1)."""
        rng = np.random.default_rng((self.seed, 1, step))
        pools = self.pools
        images: list[Tensor] = []
        labels: list[tuple[int, int, int]] = []

        def add(pictures: Tensor, styles: Sequence[int], contents: Sequence[int], classes: Sequence[int]) -> None:
            images.append(pictures)
            labels.extend(zip(styles, contents, classes, strict=True))

        photo_style = len(pools.paintings)  # photographs: each has a style of its own, and paintings a content
        painting_content = len(pools.photos)
        nobody = itertools.count(len(pools.photos) + len(pools.paintings))  # of what is past recognition: like no other
        for number in rng.choice(len(self.styled) - self.kept, blocks, replace=False) + self.kept:
            block = self.styled[number]
            content, style, odds = block["content"], block["style"], block["odds"]
            results = to_image([near(p, rng) for p in block["pixels"]])
            add(
                disturbed(results, rng, 0.04),
                [s if o >= STYLED else ~s if o >= PLAIN else next(nobody) for s, o in zip(style, odds, strict=True)],
                [c if o <= KEPT else ~c if o <= LOST else next(nobody) for c, o in zip(content, odds, strict=True)],
                [pools.classes[s] if o >= STYLED else -1 for s, o in zip(style, odds, strict=True)],
            )
            for index, other in zip((0, 2, 4, 6), (0, 1, 4, 5), strict=True):
                c, s = int(content[index]), int(style[other])
                photographs = to_image([near(pools.photos[c], rng) for _ in range(2)])
                paintings = to_image([view(pools.paintings[s], rng, 0.5) for _ in range(2)])
                add(
                    torch.cat(
                        [
                            disturbed(photographs[:1], rng, 0.02),
                            recoloured(photographs[1:], paintings[:1]),
                            disturbed(paintings, rng, 0.08),
                        ]
                    ),
                    [photo_style + c, ~(photo_style + c), s, s],
                    [c, c, painting_content + s, painting_content + s],
                    [-1, -1, pools.classes[s], pools.classes[s]],
                )
        for c in rng.choice(len(pools.photos), more, replace=False).tolist():
            views = to_image([near(pools.photos[c], rng) for _ in range(2)])
            views[1:] = disturbed(views[1:], rng, 0.5)
            add(views, [photo_style + c, ~(photo_style + c)], [c] * 2, [-1] * 2)
        for s in rng.choice(len(pools.paintings), more, replace=False).tolist():
            views = disturbed(to_image([view(pools.paintings[s], rng, 0.45) for _ in range(2)]), rng, 0.12)
            add(views, [s] * 2, [painting_content + s] * 2, [pools.classes[s]] * 2)
        styles, contents, classes = torch.tensor(labels).unbind(1)
        return torch.cat(images), styles, contents, classes


def contrast(embedding: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020, equation 2).

    A label ``~n`` says: perhaps n. Such a picture is no one's pair, and not held against those with n.
    """
    similar = embedding @ embedding.T / temperature
    known = torch.where(labels < 0, ~labels, labels)
    same = known[:, None] == known[None]
    sure = (labels >= 0)[:, None] & (labels >= 0)[None]
    oneself = torch.eye(len(labels), dtype=torch.bool)
    similar = similar.masked_fill(oneself | (same & ~sure), -torch.inf)
    pairs = same & sure & ~oneself
    chosen = (similar.log_softmax(1).masked_fill(~pairs, 0).sum(1) / pairs.sum(1).clamp(min=1))[pairs.any(1)]
    return -chosen.mean()


class Teacher(nn.Module):
    """MobileNetV2's features, standardised per channel: what the trunk learns beside the contrasts."""

    TAPS: ClassVar = {"layer_3": 1, "layer_6": 2, "layer_13": 3, "layer_17": 4}

    def __init__(self, assets: Path) -> None:
        super().__init__()
        spec = with_options(StyleSpec(), {"network": "mobilenet_v2", "precision": "fp32"})
        self.backbone = Network.load(spec, assets / "weights/mobilenet_v2.safetensors").backbone
        self.stats: dict[str, tuple[Tensor, Tensor]] = {}

    @torch.no_grad()
    def forward(self, image: Tensor) -> dict[str, Tensor]:
        found = self.backbone(image, self.TAPS)
        if not self.stats:
            self.stats = {
                t: (v.mean((0, 2, 3), keepdim=True), v.std((0, 2, 3), keepdim=True) + 0.05) for t, v in found.items()
            }
        return {t: (v - self.stats[t][0]) / self.stats[t][1] for t, v in found.items()}


class Student(nn.Module):
    """The judge, and what is trained along and then dropped: maps to the teacher's features, a classifier."""

    def __init__(self, teacher: Teacher, classes: int) -> None:
        super().__init__()
        self.judge = JudgeNetwork()
        channels = {tap: teacher.backbone.taps[tap].channels for tap in Teacher.TAPS}
        self.maps = nn.ModuleDict({t: nn.Conv2d(WIDTHS[i], channels[t], 1) for t, i in Teacher.TAPS.items()})
        self.classes = nn.Linear(128, classes)

    def losses(self, batch: tuple[Tensor, Tensor, Tensor, Tensor], teacher: Teacher, taught: int) -> dict[str, Tensor]:
        image, styles, contents, classes = batch
        maps = self.judge.maps(image)
        embedding = self.judge.embed(maps)
        some = torch.linspace(0, len(image) - 1, taught).long()
        wanted = teacher(image[some])
        error = torch.stack(
            [(self.maps[t](maps[i][some]) - wanted[t]).square().mean() for t, i in Teacher.TAPS.items()]
        ).mean()
        painted = classes >= 0
        return {
            "style": contrast(embedding.style, styles, 0.1),
            "content": contrast(embedding.content, contents, 0.1),
            "teacher": error,
            "class": F.cross_entropy(8 * self.classes(embedding.style[painted]), classes[painted]),
        }


PARTS = {"style": 1.0, "content": 1.0, "teacher": 2.0, "class": 0.2}


def train(assets: Path, work: Path, output: Path, steps: int, rate: float, seed: int) -> None:
    """Teach; writes the network's weights at the end, a log beside it, and a state to go on from."""
    torch.manual_seed(seed)
    batches, teacher = Batches(assets, work, seed), Teacher(assets)
    teacher(batches.at(0)[0])  # the statistics that it is standardised with
    student = Student(teacher, max(batches.pools.classes) + 1).to(memory_format=torch.channels_last)
    adam = torch.optim.AdamW(student.parameters(), lr=rate, weight_decay=0.02)
    state, log, first = work / "train.state", output.with_suffix(".jsonl"), 0
    if state.exists():
        kept = torch.load(state, weights_only=True)
        student.load_state_dict(kept["student"])
        adam.load_state_dict(kept["adam"])
        first = kept["step"]
    began, sums = time.perf_counter(), dict.fromkeys(PARTS, 0.0)
    for step in range(first, steps):
        share = min((step + 1) / 200, 0.5 * (1 + math.cos(math.pi * step / steps)) + 1e-3)
        for group in adam.param_groups:
            group["lr"] = rate * share
        batch = batches.at(step)
        with torch.autocast("cpu", torch.bfloat16):
            losses = student.losses((batch[0].to(memory_format=torch.channels_last), *batch[1:]), teacher, 24)
            total = torch.stack([PARTS[name] * value for name, value in losses.items()]).sum()
        adam.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        adam.step()
        sums = {name: value + losses[name].item() for name, value in sums.items()}
        if (step + 1) % 100 == 0 or step + 1 == steps:
            row = {"step": step + 1, "seconds": round(time.perf_counter() - began)}
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


LABELS = Path(__file__).parent / "logs" / "judge-labels.csv"
"""Whether content and style were recognised (0, 0.5 for in part, 1) in 128 pictures held out, by looking at photograph,
result and painting without knowing the strength."""


@dataclass(frozen=True)
class Labelled:
    """The labelled pictures.

    Attributes:
        cosines: ``[n, 2 + bank]``, of ``style`` and of ``content``: with the own one, the counterpart and the bank.
        seen: ``[n]``: labels of either.
        odds: log odds of the strengths.
    """

    cosines: dict[str, Tensor]
    seen: dict[str, Tensor]
    odds: Tensor

    @classmethod
    def read(cls, judge: Judge, pools: Pools, work: Path) -> "Labelled":
        with LABELS.open(newline="") as file:
            rows = list(csv.DictReader(file))
        cosines: dict[str, list[Tensor]] = {"style": [], "content": []}
        odds = []
        for row in rows:
            block, i = np.load(work / f"held-{int(row['file']):04d}.npz"), int(row["picture"])
            result, photo, painting = (
                judge.embed(to_image([pixels]))
                for pixels in (
                    block["pixels"][i],
                    square(pools.other_photos[block["content"][i]]),
                    square(pools.other_paintings[block["style"][i]]),
                )
            )
            candidates = torch.cat([painting.style, photo.style, judge.styles])
            cosines["style"].append(result.style @ candidates.T)
            candidates = torch.cat([photo.content, painting.content, judge.contents])
            cosines["content"].append(result.content @ candidates.T)
            odds.append(float(block["odds"][i]))
        seen = {name: torch.tensor([float(row[name]) for row in rows]) for name in cosines}
        return cls({name: torch.cat(values) for name, values in cosines.items()}, seen, torch.tensor(odds))


def spread_over(names: Sequence[object], count: int, rng: np.random.Generator) -> list[int]:
    """``count`` places, as many of each name as can be."""
    order = rng.permutation(len(names)).tolist()
    seen: dict[object, int] = {}
    rank = []
    for place in order:
        seen[names[place]] = seen.get(names[place], 0) + 1
        rank.append((seen[names[place]], place))
    return sorted(place for _, place in sorted(rank)[:count])


def bank(judge: JudgeNetwork, pools: Pools, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Embeddings of distractors: paintings, evenly over movements and painters, and photographs."""
    rng = np.random.default_rng((seed, 2))
    whole = Judge(judge, torch.empty(0, 128), torch.empty(0, 192), Scale(1, 1), Scale(1, 1))
    paintings = [pools.paintings[i] for i in spread_over(pools.classes, count, rng)]
    photos = [pools.photos[i] for i in rng.choice(len(pools.photos), count, replace=False)]
    return (
        torch.cat([whole.embed(to_image([square(p)])).style for p in paintings]),
        torch.cat([whole.embed(to_image([square(p)])).content for p in photos]),
    )


def fitted_scale(cosines: Tensor, seen: Tensor) -> Scale:
    """The scale under which what was recognised is most likely."""

    def surprise(at: np.ndarray) -> float:
        p = Scale(math.exp(at[0]), at[1]).probabilities(cosines)[:, 0].clamp(1e-6, 1 - 1e-6)
        return -(seen * p.log() + (1 - seen) * (1 - p).log()).mean().item()

    starts = [(math.log(sharpness), none) for sharpness in (5, 15, 40) for none in (0.2, 0.5, 0.8)]
    best = min((minimize(surprise, start, method="Nelder-Mead") for start in starts), key=lambda found: found.fun)
    return Scale(math.exp(best.x[0]), float(best.x[1]))


def make_banks(assets: Path, work: Path, trained: Path, output: Path, count: int, seed: int) -> None:
    """Add the banks and the sharpness, fitted on one half of the pictures held out, to a trained network."""
    pools, network = Pools.read(assets), JudgeNetwork()
    network.load_state_dict(load_file(trained))
    network.eval().requires_grad_(False)
    styles, contents = bank(network, pools, count, seed)
    judge = Judge(network, styles.half().float(), contents.half().float(), Scale(1, 1), Scale(1, 1))
    labelled = Labelled.read(judge, pools, work)
    scales = {name: fitted_scale(labelled.cosines[name], labelled.seen[name]) for name in labelled.cosines}
    print(scales)
    tensors = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    tensors |= {"bank.style": styles.half(), "bank.content": contents.half()}
    tensors |= {f"scale.{name}": torch.tensor(value) for name, value in scales.items()}
    save_file(tensors, output, metadata={"role": "judge"})


# ------------------------------------------------------------------------------------------- evaluation


def evaluate(assets: Path, work: Path, path: Path | None, seed: int) -> None:
    """Print what is reported of a judge."""
    judge, pools, rng = Judge.load(path), Pools.read(assets), np.random.default_rng(seed)
    data = assets / "data"
    paintings = [_pixels(p) for p in _files(data / "painters/test")] + pools.other_paintings[:230]
    photos = [_pixels(p) for p in _files(data / "animals/test")] + pools.other_photos[:260]
    print(f"of {len(judge.styles) + 1} candidates, never trained with:")
    for name, pictures, cut, amount in (
        ("paintings, by a crop of 50 to 100 %", paintings, lambda p: view(p, rng, 0.5), 0.05),
        ("photographs, recoloured", photos, lambda p: near(p, rng), 0.5),
    ):
        right = []
        for picture in pictures:
            seen = disturbed(to_image([cut(picture)]), rng, amount)
            found, own = judge.embed(seen), judge.embed(to_image([square(picture)]))
            one, others = (0, judge.styles) if pictures is paintings else (1, judge.contents)
            right.append(bool((found[one] @ own[one].T > found[one] @ others.T).all()))
        print(f"  {name}: top-1 {np.mean(right):.3f} of {len(right)}")
    labelled = Labelled.read(judge, pools, work)
    for name, cosines in labelled.cosines.items():
        seen, scale = labelled.seen[name], judge.style_scale if name == "style" else judge.content_scale
        first = (cosines.argmax(1) == 0).float()
        print(
            f"{name} of {len(seen)} styled pictures held out: recognised by looking {seen.mean():.2f}; nearest "
            f"to its own {first.mean():.3f}, {first[seen == 1].mean():.3f} of those; sharpness {scale.sharpness:.1f}, "
            f"none at {scale.none:.2f}"
        )
        says = torch.empty_like(seen)
        for part in (0, 1):  # fitted on one half, read on the other
            half = fitted_scale(cosines[part::2], seen[part::2])
            says[1 - part :: 2] = half.probabilities(cosines[1 - part :: 2])[:, 0]
        error = 0.0
        for low in np.arange(0, 1, 0.2):
            some = (says > low) & (says <= low + 0.2)
            if some.any():
                said, so = says[some].mean().item(), seen[some].mean().item()
                error += some.float().mean().item() * abs(said - so)
                print(f"    says {said:.2f}: recognised {so:.2f} ({int(some.sum())})")
        print(f"    expected calibration error {error:.3f}")
        odds = scale.probabilities(cosines)[:, 0]
        for low in np.arange(-ODDS, ODDS, 1.0):
            some = (labelled.odds > low) & (labelled.odds <= low + 1)
            print(
                f"    log odds of the strength {low:+.1f} .. {low + 1:+.1f}: says {odds[some].mean():.2f}, recognised "
                f"{seen[some].mean():.2f}"
            )
    contents, styles = (_files(data / f"styleid/{kind}") for kind in ("content", "style"))
    rows = []
    for a, b in zip(contents * 2, styles, strict=True):
        photo, painting = (judge.embed(to_image([_pixels(p)])) for p in (a, b))
        rows.append(
            [
                judge.style_odds(photo.style, painting.style, photo.style).item(),
                judge.style_odds(photo.style, painting.style, photo.style[:0]).item(),
                judge.content_odds(photo.content, photo.content, painting.content).item(),
                judge.style_odds(painting.style, painting.style, photo.style).item(),
                judge.content_odds(painting.content, photo.content, painting.content).item(),
            ]
        )
    style_0, alone, content_1, style_1, content_0 = np.mean(rows, 0)
    print(
        f"untouched photograph: style {style_0:.3f} ({alone:.3f} beside paintings alone), content {content_1:.3f}  "
        f"({len(rows)} pairs, 0 is chance)"
    )
    print(f"the painting itself: style {style_1:.3f}, content {content_0:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["styled", "train", "banks", "evaluate"])
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("out/judge"), help="folder of the styled pictures")
    parser.add_argument("--count", type=int, default=3200, help="styled pictures")
    parser.add_argument("--held-out", action="store_true", help="styled: of the pictures that are not trained with")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--bank", type=int, default=240, help="distractors in either bank")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("-o", "--output", type=Path, default=Path("out/judge/judge.safetensors"))
    args = parser.parse_args()
    trained = args.output.with_name("judge-trained.safetensors")
    if args.command == "styled":
        make_styled(args.assets, args.work, args.count, args.seed, held=args.held_out)
    elif args.command == "train":
        train(args.assets, args.work, trained, args.steps, args.rate, args.seed)
    elif args.command == "banks":
        make_banks(args.assets, args.work, trained, args.output, args.bank, args.seed)
    else:
        evaluate(args.assets, args.work, args.output if args.output.exists() else None, args.seed)


if __name__ == "__main__":
    main()
