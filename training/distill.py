"""Make the compact network: distil VGG-19 and VGG-16 into it.

    python training/distill.py targets  --assets DIR --work DIR [--crops 4000]
    python training/distill.py train    --assets DIR --work DIR --steps 12000 -o compact.safetensors
    python training/distill.py evaluate --assets DIR [--weights compact.safetensors]

``targets`` draws crops (photographs, paintings, many scales, noise, and pictures that an optimisation with
an earlier network has half finished), runs the teachers on them once and keeps the principal components of their
features. ``train`` fits the network to them, from a random start or from the weights of an earlier network of the same
shape or a narrower one. Every step depends on (seed, step) alone, and a killed training goes on from its last
checkpoint. ``evaluate`` fits a linear map from each tap to the teachers' whole features on training
pictures and prints the share of their variance that it misses on pictures never trained on.

The commands that made the bundled weights are in ``src/artune/bundled/compact.md``; the defaults are not theirs.

Teachers: the Oxford VGG-19 for relu1_1 .. relu3_1, and the Oxford VGG-16 for relu3_3 .. relu5_1.
"""

import argparse
import contextlib
import copy
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image as PIL
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from artune.assets import fetch, read_metadata
from artune.backbones.compact import GAIN, RGB, Compact, CompactConfig
from artune.backbones.registry import COMPACT
from artune.backbones.vgg import VGG, VGG16, VGG19
from artune.files import atomic, file_digest
from artune.machine import choose_precision

SIDE = 192
MOMENTS_EVERY = 4  # statistics are dear to compare and slow to change


@dataclass(frozen=True)
class Target:
    """A layer of a teacher that a tap of the network learns to predict.

    Attributes:
        tap: the tap.
        teacher: ``vgg19`` or ``vgg16``.
        components: number of principal components that are kept.
    """

    tap: str
    teacher: str
    components: int


TARGETS = {
    "relu1_1": Target("relu1_1", "vgg19", 24),
    "relu2_1": Target("relu2_1", "vgg19", 48),
    "relu3_1": Target("relu3_1", "vgg19", 96),
    "relu3_3": Target("relu3_1", "vgg16", 96),
    "relu4_1": Target("relu4_1", "vgg16", 192),
    "relu5_1": Target("relu5_1", "vgg16", 192),
}
"""By the teacher's layer."""


# ------------------------------------------------------------------------------------------- teachers


def teacher(assets: Path, name: str) -> VGG:
    """A teacher, with reflected borders throughout so that no frame is taught, in the machine's best precision."""
    blocks, file = {"vgg19": (VGG19[:3], "vgg19-blocks1-3"), "vgg16": (VGG16, "vgg16-features")}[name]
    made = VGG(name, blocks, reflect=True)
    made.load(load_file(assets / f"weights/{file}.safetensors"), file)
    dtype = choose_precision("auto", torch.device("cpu"))
    return made.requires_grad_(False).to(dtype).to(memory_format=torch.channels_last)


class Teachers(nn.Module):
    """All teachers."""

    def __init__(self, assets: Path) -> None:
        super().__init__()
        self.networks = nn.ModuleDict({name: teacher(assets, name) for name in ("vgg19", "vgg16")})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Features after ReLU, ``[b, c, h, w]``, of pictures ``[b, 3, h, w]`` in [0, 1]."""
        found: dict[str, Tensor] = {}
        for name, network in self.networks.items():
            found |= network(image, [layer for layer, target in TARGETS.items() if target.teacher == name])
        return {layer: found[layer] for layer in TARGETS}


# ---------------------------------------------------------------------------------------------- crops


def pictures(folder: Path) -> list[np.ndarray]:
    """Every picture below a folder, as uint8 arrays ``[h, w, 3]``."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    return [np.asarray(PIL.open(p).convert("RGB")) for p in files]


def draw(pool: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """One random crop ``[SIDE, SIDE, 3]``: enlarged, reduced (then a mosaic of four), or as it is."""
    kind = rng.random()
    if kind < 0.25:  # four small ones: the scale of pictures seen from far
        half = SIDE // 2
        rows = [np.concatenate([zoom(pool, rng, half) for _ in range(2)], 1) for _ in range(2)]
        return np.concatenate(rows, 0)
    return zoom(pool, rng, SIDE)


def zoom(pool: list[np.ndarray], rng: np.random.Generator, side: int) -> np.ndarray:
    picture = pool[rng.integers(len(pool))]
    h, w = picture.shape[:2]
    cut = int(min(h, w) * rng.uniform(0.45, 1.0))
    if rng.random() < 0.3:
        cut = min(side, h, w)  # pixels as they are
    top, left = rng.integers(h - cut + 1), rng.integers(w - cut + 1)
    crop = PIL.fromarray(picture[top : top + cut, left : left + cut])
    crop = crop.resize((side, side), PIL.Resampling.LANCZOS)
    array = np.asarray(crop)
    return array[:, ::-1] if rng.random() < 0.5 else array


def disturb(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise of several kinds and strengths on three crops in ten."""
    if rng.random() > 0.3:
        return crop
    x = crop.astype(np.float32) / 255
    kind, amount = rng.integers(4), math.exp(rng.uniform(math.log(0.01), math.log(0.3)))
    grain = rng.standard_normal((SIDE, SIDE, 3)).astype(np.float32)
    if kind == 1:  # colour noise of equal brightness
        grain -= grain.mean(2, keepdims=True)
    elif kind == 2:  # coarser grain
        small = torch.from_numpy(grain[: SIDE // 2, : SIDE // 2]).permute(2, 0, 1)[None]
        grain = F.interpolate(small, scale_factor=2, mode="bilinear")[0].permute(1, 2, 0).numpy()
    elif kind == 3:  # flat tint
        grain = np.broadcast_to(rng.standard_normal(3).astype(np.float32), grain.shape)
    return (np.clip(x + amount * grain, 0, 1) * 255 + 0.5).astype(np.uint8)


def earlier(path: Path | None) -> Compact:
    """A network that this script made, by default the bundled one, in fp32 and without a margin."""
    path = path or fetch(COMPACT, network="compact")[0]
    network = Compact(margin=0)
    network.load(load_file(path), str(path), read_metadata(path))
    return network.requires_grad_(False)


def half_finished(
    network: Compact, photos: list[np.ndarray], paintings: list[np.ndarray], count: int, seed: int
) -> Iterator[np.ndarray]:
    """Pictures seen on the way of an optimisation of means and second moments through a network."""
    network = network.to(choose_precision("auto", torch.device("cpu"))).to(memory_format=torch.channels_last)
    taps = [f"relu{block}_1" for block in range(1, 6)]

    def features(x: Tensor) -> list[Tensor]:
        found = network(x, taps)
        return [found[tap] for tap in taps]

    def moments(x: Tensor) -> tuple[Tensor, Tensor]:
        flat = x.flatten(2).float()
        mean = flat.mean(2)
        return mean, flat @ flat.transpose(1, 2) / flat.shape[2]

    rng = np.random.default_rng(seed)
    batch, snapshots, done = 16, 5, 0
    while done < count:
        draws = [[zoom(pool, rng, SIDE) for _ in range(batch)] for pool in (photos, paintings)]
        content, style = (torch.from_numpy(np.stack(d)).permute(0, 3, 1, 2).float() / 255 for d in draws)
        with torch.no_grad():
            want = [moments(f) for f in features(style)]
            have = features(content)[3]
        start = content.clone()
        start[::4] = torch.from_numpy(rng.random(start[::4].shape, dtype=np.float32))
        x = start.requires_grad_()
        adam = torch.optim.Adam([x], lr=float(rng.uniform(0.02, 0.06)))
        weight = torch.from_numpy(np.exp(rng.uniform(-2, 1.5, batch)).astype(np.float32))
        keep = set(np.unique(np.geomspace(2, 40, snapshots).astype(int)).tolist())
        for step in range(1, 41):
            adam.zero_grad()
            got = features(x)
            content_loss = ((got[3] - have).float() ** 2).mean((1, 2, 3)) / (have.float() ** 2).mean((1, 2, 3))
            loss = content_loss
            for (mean, second), (m, s) in zip(map(moments, got), want, strict=True):
                term = ((mean - m) ** 2).sum(1) / (m**2).sum(1)
                term = term + ((second - s) ** 2).sum((1, 2)) / (s**2).sum((1, 2))
                loss = loss + weight * term
            torch.autograd.backward(loss.sum())
            adam.step()
            with torch.no_grad():
                x.clamp_(0, 1)
            if step in keep:
                for one in (x.detach().permute(0, 2, 3, 1).numpy() * 255 + 0.5).astype(np.uint8):
                    done += 1
                    yield one


def all_crops(args: argparse.Namespace) -> np.ndarray:
    """The crops of both kinds, ``[n, SIDE, SIDE, 3]``, in random order."""
    photos, paintings = (pictures(args.assets / "data" / kind) for kind in ("photos", "paintings"))
    rng = np.random.default_rng(args.seed)
    count, unfinished = args.crops, round(args.crops * args.unfinished)
    crops = np.empty((count, SIDE, SIDE, 3), np.uint8)
    for i in range(count - unfinished):
        crops[i] = disturb(draw(photos if i % 2 else paintings, rng), rng)
    print(f"{count - unfinished} crops of {len(photos)} photographs and {len(paintings)} paintings", flush=True)
    halfway = half_finished(earlier(args.unfinished_by), photos, paintings, unfinished, args.seed + 1)
    for i, crop in zip(range(count - unfinished, count), halfway, strict=False):
        crops[i] = crop
    return crops[rng.permutation(count)]


def digest_of(path: Path | None) -> str:
    """sha256 of a file of weights, by default the bundled ones."""
    return file_digest(path or fetch(COMPACT, network="compact")[0])


def make_targets(args: argparse.Namespace) -> None:
    """Write ``crops.npy``, ``basis.safetensors`` and ``TAP.npy`` (fp16, ``[n, c, h, w]``) to ``args.work``.

    At last comes ``targets.json``, which tells how they were made: a folder without it is not whole. Crops that an
    interrupted call has drawn are kept.
    """
    args.work.mkdir(parents=True, exist_ok=True)
    work = args.work
    whole, drawn = work / "targets.json", work / "crops.json"
    whole.unlink(missing_ok=True)
    made = {"crops": args.crops, "unfinished": args.unfinished, "seed": args.seed, "by": digest_of(args.unfinished_by)}
    if not drawn.exists():
        np.save(work / "crops.npy", all_crops(args))
        write_lines(drawn, [made])
    elif json.loads(drawn.read_text()) != made:
        raise SystemExit(f"{work} holds crops of other options: {drawn.read_text()}; give another folder as --work")
    crops = np.load(work / "crops.npy", mmap_mode="r")
    count = len(crops)
    teachers = Teachers(args.assets)
    batches = [to_image(crops[i : i + 8]) for i in range(0, 320, 8)]
    zero = torch.zeros((), dtype=torch.float64)
    counts: Counter[str] = Counter()
    sums: dict[str, Tensor] = {}
    squares: dict[str, Tensor] = {}
    for image in batches:
        with torch.no_grad():
            found = teachers(image)
        for tap, value in found.items():
            flat = value.permute(1, 0, 2, 3).flatten(1).double()
            counts[tap] += flat.shape[1]
            sums[tap] = sums.get(tap, zero) + flat.sum(1)
            squares[tap] = squares.get(tap, zero) + flat @ flat.T
    basis = {}
    for tap, n in counts.items():
        mean = sums[tap] / n
        values, vectors = torch.linalg.eigh(squares[tap] / n - torch.outer(mean, mean))
        size = TARGETS[tap].components
        variance = values.sum()
        kept = (values[-size:].sum() / variance).item()
        basis[f"{tap}.mean"] = mean.float()
        basis[f"{tap}.project"] = (vectors[:, -size:].flip(1).T / variance.sqrt()).float().contiguous()
        basis[f"{tap}.kept"] = torch.tensor(kept)
        print(f"{tap}: {size} of {len(mean)} components keep {kept:.4f} of the variance", flush=True)
    save_file(basis, work / "basis.safetensors")
    files = {}
    for i in range(0, count, 8):
        with torch.no_grad():
            found = teachers(to_image(crops[i : i + 8]))
        for tap, value in found.items():
            if tap == "relu1_1":
                continue  # cheap enough to make again
            target = project(value, basis, tap).half().numpy()
            if tap not in files:
                shape = (count, *target.shape[1:])
                files[tap] = np.lib.format.open_memmap(work / f"{tap}.npy", mode="w+", dtype=np.float16, shape=shape)
            files[tap][i : i + 8] = target
        if i % 400 == 0:
            print(f"{i} of {count} crops", flush=True)
    for file in files.values():
        file.flush()
    components = {tap: TARGETS[tap].components for tap in counts}
    write_lines(whole, [made | {"components": components, "basis": file_digest(work / "basis.safetensors")}])
    print("targets are ready", flush=True)


def to_image(crops: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(crops)).permute(0, 3, 1, 2).float() / 255


def project(value: Tensor, basis: dict[str, Tensor], tap: str) -> Tensor:
    """Features -> principal components, scaled so that the whole tap has a variance of 1."""
    matrix, mean = basis[f"{tap}.project"], basis[f"{tap}.mean"]
    weight = matrix[:, :, None, None]
    return F.conv2d(value.float(), weight, -(matrix @ mean))


# ------------------------------------------------------------------------------------------- training


def moments_error(x: Tensor, y: Tensor) -> Tensor:
    """Relative squared error of mean and covariance over positions, mean over the batch."""
    x, y = x.flatten(2).float(), y.flatten(2).float()
    mx, my = x.mean(2, keepdim=True), y.mean(2, keepdim=True)
    cx = (x - mx) @ (x - mx).transpose(1, 2) / x.shape[2]
    cy = (y - my) @ (y - my).transpose(1, 2) / y.shape[2]
    # floored: a nearly flat crop has no covariance to be relative to
    cov = ((cx - cy) ** 2).sum((1, 2)) / ((cy**2).sum((1, 2)) + 1e-3)
    return (cov + ((mx - my) ** 2).sum((1, 2)) / ((my**2).sum((1, 2)) + 0.1)).mean()


def style_gradient(features: Callable[[Tensor], list[Tensor]], image: Tensor, *, graph: bool) -> Tensor:
    """Gradient, with respect to the picture, of the distance of its statistics to those of the next in the batch."""
    image = image.detach().requires_grad_()
    with torch.enable_grad():
        error = sum((moments_error(f, f.detach().roll(1, 0)) for f in features(image)), image.new_zeros(()))
        (gradient,) = torch.autograd.grad(error, image, create_graph=graph)
    return gradient


def gradient_error(student: "Student", teachers: "Teachers", image: Tensor) -> Tensor:
    """1 - cosine between the gradients of student and teachers, mean over the batch."""
    taps = [f"relu{block}_1" for block in range(1, 6)]

    def taught(x: Tensor) -> list[Tensor]:
        found = teachers(x)
        return [found[tap] for tap in taps]

    def learned(x: Tensor) -> list[Tensor]:
        found = student.network(x, taps)
        return [found[tap] for tap in taps]

    want = style_gradient(taught, image, graph=False).float().flatten(1)
    have = style_gradient(learned, image, graph=True).float().flatten(1)
    return (1 - F.cosine_similarity(have, want)).mean()


class Batches:
    """Crops and targets as a function of (seed, step)."""

    def __init__(self, assets: Path, work: Path, size: int, seed: int) -> None:
        if not (work / "targets.json").exists():
            raise SystemExit(f"{work} holds no whole targets; call `distill.py targets` with this folder as --work")
        self.made = (work / "targets.json").read_text()
        self.crops = np.load(work / "crops.npy", mmap_mode="r")
        self.basis = load_file(work / "basis.safetensors")
        self.components = {layer: len(self.basis[f"{layer}.project"]) for layer in TARGETS}
        layers = [layer for layer in TARGETS if layer != "relu1_1"]
        self.targets = {layer: np.load(work / f"{layer}.npy", mmap_mode="r") for layer in layers}
        self.vgg = teacher(assets, "vgg19")
        self.size, self.seed = size, seed
        self.held_out = len(self.crops) // 50

    def relu1_1(self, image: Tensor) -> Tensor:
        with torch.no_grad():
            x = self.vgg(image, ["relu1_1"])["relu1_1"]
        matrix, mean = self.basis["relu1_1.project"], self.basis["relu1_1.mean"]
        return F.conv2d(x, matrix[:, :, None, None].to(x), -(matrix @ mean).to(x))

    def at(self, index: np.ndarray) -> tuple[Tensor, dict[str, Tensor]]:
        """Crops and the targets of all taps but the first."""
        index = np.sort(index)
        targets = {tap: torch.from_numpy(t[index]).float() for tap, t in self.targets.items()}
        return to_image(self.crops[index]), targets

    def step(self, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        rng = np.random.default_rng((self.seed, step))
        return self.at(rng.choice(len(self.crops) - self.held_out, self.size, replace=False) + self.held_out)


def zero_conv(channels: int, components: int) -> nn.Conv2d:
    """A 1x1 convolution that begins with zeros: a first guess far off would kill the units below."""
    conv = nn.Conv2d(channels, components, 1)
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(bias_of(conv))
    return conv


def stages(model: Compact) -> list[list[nn.Conv2d]]:
    """The convolutions of each stage."""
    return [list(cast(Iterable[nn.Conv2d], stage)) for stage in model.stages]


def bias_of(conv: nn.Conv2d) -> Tensor:
    """Its bias, which every convolution of the compact network has."""
    assert conv.bias is not None
    return conv.bias


class Student(nn.Module):
    """The compact network and, for the training alone, 1x1 maps from its taps to the teachers' components.

    Args:
        network: the network.
        components: number of each layer's.
    """

    def __init__(self, network: Compact, components: Mapping[str, int]) -> None:
        super().__init__()
        self.network = network
        self.maps = nn.ModuleDict(
            {layer: zero_conv(network.taps[t.tap].channels, components[layer]) for layer, t in TARGETS.items()}
        )

    def forward(self, image: Tensor, targets: Iterable[str]) -> dict[str, Tensor]:
        targets = list(targets)
        features = self.network(image, {TARGETS[target].tap for target in targets})
        return {target: self.maps[target](features[TARGETS[target].tap]) for target in targets}


@torch.no_grad()
def begin(model: Compact, image: Tensor, inherited: Mapping[str, Tensor]) -> None:
    """First weights: every convolution's outputs have mean 0 and variance 1 (LSUV, Mishkin and Matas 2016).

    The channels of an earlier network come first and do not see the new ones. So they compute what they did, as far as
    the slope is the same and the first stage as wide.

    Args:
        model: the network.
        image: pictures whose statistics count.
        inherited: weights of an earlier network, none of whose convolutions is wider; or nothing.

    Raises:
        SystemExit: they do not fit.
    """
    if inherited and (gone := model.state_dict().keys() - inherited.keys()):
        raise SystemExit(
            f"--start lacks {min(gone)}; give a --shape with as many convolutions in every stage as it has"
        )
    for name, value in inherited.items():
        own = model.state_dict().get(name)
        if own is None or any(had > has for had, has in zip(value.shape, own.shape, strict=True)):
            raise SystemExit(
                f"{name} {[*value.shape]} of --start does not fit into {'nothing' if own is None else [*own.shape]}"
            )
    x = model.padded(image)
    for number, stage in enumerate(stages(model)):
        x = model.pooled(x) if number else x
        for place, conv in enumerate(stage):
            nn.init.orthogonal_(conv.weight)
            bias_of(conv).zero_()
            conv.weight /= conv(x).std((0, 2, 3)).view(-1, 1, 1, 1)
            bias_of(conv).copy_(-conv(x).mean((0, 2, 3)))
            if inherited:
                weight, bias = (inherited[f"stages.{number}.{place}.{part}"] for part in ("weight", "bias"))
                out, channels = weight.shape[:2]
                conv.weight[:out, channels:] = 0
                conv.weight[:out, :channels] = weight
                bias_of(conv)[:out] = bias
            model.pin_colour()
            x = model.activated(conv(x))


@torch.no_grad()
def even_out(model: Compact, image: Tensor) -> Compact:
    """The same network with the taps' channels brought halfway to equal variance (a scale passes through ReLU).

    A Wasserstein distance weighs channels by their variance, which distillation leaves to chance.
    """
    model = copy.deepcopy(model)
    convolutions = stages(model)
    for number, stage in enumerate(convolutions, start=1):
        tap = f"relu{number}_1"
        spread = model(image, [tap])[tap].std((0, 2, 3))
        level = spread.square().mean().sqrt()
        scale = (spread.clamp(min=0.03 * level) / level) ** -0.5
        if number == 1:
            scale[:RGB] = 1
        stage[-1].weight *= scale.view(-1, 1, 1, 1)
        bias_of(stage[-1]).mul_(scale)
        if number < len(convolutions):
            convolutions[number][0].weight /= scale.view(1, -1, 1, 1)
    return model


def fit_first(student: Student, batches: Batches, steps: int, *, inherited: bool) -> None:
    """Fit the first stage alone: it sees 3x3 pixels, so small crops do.

    Args:
        student: what is trained.
        batches: crops and targets.
        steps: number of steps.
        inherited: whether the stage was trained before: then its map alone is fitted.
    """
    student.network.stages[0].requires_grad_(not inherited)
    fitted = [*student.network.stages[0].parameters(), *student.maps["relu1_1"].parameters()]
    adam = torch.optim.Adam([parameter for parameter in fitted if parameter.requires_grad], lr=5e-3)
    for step in range(steps):
        for group in adam.param_groups:
            group["lr"] = 5e-3 * 0.5 * (1 + math.cos(math.pi * step / steps))
        rng = np.random.default_rng((batches.seed, 1, step))
        index = np.sort(rng.choice(len(batches.crops) - batches.held_out, 12, replace=False) + batches.held_out)
        top, left = rng.integers(SIDE - 64, size=2)
        image = to_image(batches.crops[index][:, top : top + 64, left : left + 64])
        got = student(image, ["relu1_1"])["relu1_1"]
        loss = ((got - batches.relu1_1(image).float()) ** 2).sum(1).mean()
        adam.zero_grad()
        torch.autograd.backward(loss)
        adam.step()
        student.network.pin_colour()
    student.zero_grad()


def errors(student: Student, batches: Batches) -> dict[str, float]:
    """Held-out share of the teachers' variance that is lost, per tap, cut-off components included."""
    sums: dict[str, list[float]] = {}
    device = next(student.parameters()).device
    with torch.no_grad():
        for i in range(0, batches.held_out, 8):
            image, targets = batches.at(np.arange(i, min(i + 8, batches.held_out)))
            targets["relu1_1"] = batches.relu1_1(image).float()
            with autocast(device):
                got = student(image.to(device), targets)
            for tap, want in targets.items():
                sums.setdefault(tap, []).append(((got[tap].float().cpu() - want) ** 2).sum(1).mean().item())
    cut = {tap: 1 - batches.basis[f"{tap}.kept"].item() for tap in sums}
    return {layer: round(float(np.mean(sums[layer])) + cut[layer], 4) for layer in TARGETS}


def autocast(device: torch.device) -> torch.autocast:
    """bf16 where the hardware multiplies it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=choose_precision("auto", device) == torch.bfloat16)


def config_of(args: argparse.Namespace) -> CompactConfig:
    """The shape that is asked for; what is left open is that of ``--start``, or of the bundled network."""
    config = earlier(args.start).config if args.start else CompactConfig()
    if args.shape:
        stages = tuple(tuple(int(n) for n in stage.split("-")) for stage in args.shape.split("/"))
        config = replace(config, stages=stages)
    return config if args.slope is None else replace(config, slope=args.slope)


class Optimiser:
    """AdamW, or Muon (Jordan 2024) for the weights of the convolutions and AdamW for all else.

    PyTorch's Muon takes matrices alone, and orthogonalises in bf16, which a CPU without it computes slowly.

    Args:
        student: what is trained.
        rate: step size.
        muon: whether Muon takes part.
    """

    def __init__(self, student: Student, rate: float, *, muon: bool) -> None:
        self.weights = [p for p in student.network.parameters() if p.requires_grad and p.dim() == 4] if muon else []
        self.momenta = [torch.zeros_like(weight) for weight in self.weights]
        others = [p for p in student.parameters() if p.requires_grad and not any(p is w for w in self.weights)]
        self.adam = torch.optim.AdamW(others, lr=rate, weight_decay=1e-4)
        self.rate = rate

    @torch.no_grad()
    def step(self, share: float) -> None:
        """Move all parameters along their gradients, which are then dropped.

        Args:
            share: factor of the rate.
        """
        for group in self.adam.param_groups:
            group["lr"] = self.rate * share
        self.adam.step()
        self.adam.zero_grad()
        for weight, momentum in zip(self.weights, self.momenta, strict=True):
            assert weight.grad is not None
            momentum.lerp_(weight.grad, 0.05)
            move = orthogonal(weight.grad.lerp(momentum, 0.95).flatten(1)).view_as(weight)
            # moves as large as Adam's usual ones, so that both share a rate (Liu et al. 2025, arXiv 2502.16982)
            size = 0.2 * max(len(weight), weight[0].numel()) ** 0.5
            weight.mul_(1 - 1e-4 * self.rate * share).sub_(move, alpha=self.rate * share * size)
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        return {"adam": self.adam.state_dict(), "momenta": self.momenta}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.adam.load_state_dict(state["adam"])
        for momentum, kept in zip(self.momenta, state["momenta"], strict=True):
            momentum.copy_(kept)


def orthogonal(matrix: Tensor) -> Tensor:
    """A matrix with the same singular vectors whose singular values are near 1: five steps of Jordan's iteration.

    Every factor of the iteration is a polynomial of ``matrix @ matrix.T``, so only this smaller matrix is iterated.
    """
    if len(matrix) > matrix.shape[1]:
        return orthogonal(matrix.T).T
    matrix = matrix / (matrix.norm() + 1e-12)
    gram = matrix @ matrix.T
    product = eye = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    for _ in range(5):
        factor = 3.4445 * eye - 4.775 * gram + 2.0315 * gram @ gram
        product, gram = factor @ product, factor @ gram @ factor
    return product @ matrix


ASKED = ("steps", "first", "batch", "rate", "muon", "moments", "gradients", "seed")
"""Options that a resumed training must share with the one before, besides shape, start and targets."""


def train(args: argparse.Namespace, network: Compact | None = None) -> None:
    """Fit a network, by default a compact one, to the targets.

    Args:
        args: of ``main``.
        network: another one, of the same taps.
    """
    torch.manual_seed(args.seed)
    batches = Batches(args.assets, args.work, args.batch, args.seed)
    student = Student(network or Compact(config_of(args), margin=0), batches.components)
    cost = max(info.cost for info in student.network.taps.values())
    state, log, first = args.output.with_suffix(".state"), args.output.with_suffix(".jsonl"), 0
    asked = {name: str(getattr(args, name)) for name in ASKED} | {
        "config": str(student.network.config),
        "start": digest_of(args.start) if args.start else "random",
        "targets": batches.made,
    }
    before = 0.0
    if state.exists():
        kept = torch.load(state, weights_only=True, map_location="cpu")
        if kept["asked"] != asked:
            raise SystemExit(f"{state} is of a training with other options: {kept['asked']}; give another output")
        student.load_state_dict(kept["student"])
        first, before = kept["step"], kept["seconds"]
        write_lines(log, [row for row in read_lines(log) if row["step"] <= first])
    else:
        inherited = load_file(args.start) if args.start else {}
        begin(student.network, batches.step(0)[0], inherited)
        same = bool(inherited) and len(inherited["stages.0.0.bias"]) == len(bias_of(stages(student.network)[0][0]))
        write_lines(log, [])
        fit_first(student, batches, args.first, inherited=same)
    student.network.stages[0].requires_grad_(False)
    student.maps["relu1_1"].requires_grad_(False)
    student.to(args.device).to(memory_format=torch.channels_last)
    trained = [parameter for parameter in student.parameters() if parameter.requires_grad]
    optimiser = Optimiser(student, args.rate, muon=args.muon)
    if first:
        optimiser.load_state_dict(kept["optimiser"])
    teachers = Teachers(args.assets).to(args.device) if args.gradients else None
    began = time.perf_counter()
    for step in range(first, args.steps):
        warm = min(1.0, (step + 1) / 100)
        image, targets = batches.step(step)
        image = image.to(args.device)
        with autocast(torch.device(args.device)):
            got = student(image, targets)
        loss = image.new_zeros(())
        for tap, target in targets.items():
            have, want = got[tap].float(), target.to(args.device)
            loss = loss + ((have - want) ** 2).sum(1).mean()
            if args.moments and step % MOMENTS_EVERY == 0:
                loss = loss + MOMENTS_EVERY * args.moments * moments_error(have, want)
        if teachers and step % MOMENTS_EVERY == 0:
            corner = image[:4, :, : SIDE // 2, : SIDE // 2]  # it is dear
            with autocast(torch.device(args.device)):
                loss = loss + MOMENTS_EVERY * args.gradients * gradient_error(student, teachers, corner)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(trained, 20.0)
        optimiser.step(warm * 0.5 * (1 + math.cos(math.pi * step / args.steps)))
        if (step + 1) % args.every == 0 or step + 1 == args.steps:
            row: dict[str, Any] = {
                "step": step + 1,
                "loss": round(loss.item(), 4),
                "seconds": round(before + time.perf_counter() - began, 1),
            }
            row |= {"cost": round(cost), "error": errors(student, batches)}
            finished = even_out(student.network.cpu(), to_image(batches.crops[: batches.held_out]))
            student.to(args.device)
            partial = state.with_suffix(".new")
            # half of the bytes: their rounding is far below what the training leaves
            save_file(
                {k: v.half().contiguous() for k, v in finished.state_dict().items()},
                partial,
                {"slope": str(finished.config.slope)},
            )
            partial.replace(args.output)
            with log.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)
            reached = {"student": student.state_dict(), "optimiser": optimiser.state_dict()}
            torch.save(reached | {"step": step + 1, "seconds": row["seconds"], "asked": asked}, partial)
            partial.replace(state)


def read_lines(log: Path) -> list[dict[str, Any]]:
    """The rows of a log; a last line that a kill has torn is left out."""
    rows = []
    for line in log.read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            rows.append(json.loads(line))
    return rows


def write_lines(log: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replace a file of rows, whole or not at all."""
    with atomic(log) as new:
        new.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


# ----------------------------------------------------------------------------------------- evaluation


def evaluate(args: argparse.Namespace) -> None:
    """Print, per tap, the share of the teachers' variance that a linear map from the network's features misses."""
    model = earlier(args.weights)
    teachers = Teachers(args.assets)
    rng = np.random.default_rng(args.seed)
    photos, paintings = pictures(args.assets / "data/photos"), pictures(args.assets / "data/paintings")
    training = [to_image(draw(pool, rng)[None]) for _ in range(40) for pool in (photos, paintings)]
    maps = {target: linear_map(model, teachers, target, training) for target in TARGETS}
    fresh = {
        f"styleid {kind}": [to_image(zoom([p], rng, SIDE)[None]) for p in pictures(args.assets / "data/styleid" / kind)]
        for kind in ("content", "style")
    }
    contents, styles = (pictures(args.assets / "data/styleid" / kind) for kind in ("content", "style"))
    print(f"half finished by {digest_of(args.unfinished_by)}")
    halfway = half_finished(earlier(args.unfinished_by), contents, styles, 80, args.seed + 9)
    fresh["half finished"] = [to_image(crop[None]) for crop in halfway]
    for name, images in fresh.items():
        lost = {}
        for target, weight in maps.items():
            with torch.no_grad():
                wanted = [teachers(x)[target].float() for x in images]
            rest = [
                (apply_map(model, target, weight, x) - y).square().mean() for x, y in zip(images, wanted, strict=True)
            ]
            mean = torch.stack([y.mean((0, 2, 3)) for y in wanted]).mean(0).view(-1, 1, 1)
            variance = torch.stack([(y - mean).square().mean() for y in wanted]).mean()
            lost[target] = round(float(torch.stack(rest).mean() / variance), 3)
        print(f"{name} ({len(images)} crops of {SIDE} pixels): " + ", ".join(f"{t} {v}" for t, v in lost.items()))
    worst = 0.0
    for images in fresh.values():
        for x in images:
            worst = max(worst, float((model(x, ["relu1_1"])["relu1_1"][:, :RGB] / GAIN - x).abs().max()))
    print(f"colour from the first tap: off by {255 * worst:.4f} / 255 at most")


def rows(model: Compact, target: str, image: Tensor) -> Tensor:
    tap = TARGETS[target].tap
    with torch.no_grad():
        flat = model(image, [tap])[tap].permute(0, 2, 3, 1).flatten(0, 2).double()
    return torch.cat([flat, torch.ones(len(flat), 1, dtype=torch.float64)], 1)


def linear_map(model: Compact, teachers: Teachers, target: str, images: list[Tensor]) -> Tensor:
    """Least squares from a tap to a teacher's features."""
    xx, xy = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for image in images:
        x = rows(model, target, image)
        with torch.no_grad():
            y = teachers(image)[target].permute(0, 2, 3, 1).flatten(0, 2).double()
        xx, xy = xx + x.T @ x, xy + x.T @ y
    ridge = 1e-6 * xx.diagonal().mean() * torch.eye(len(xx), dtype=torch.float64)
    solution: Tensor = torch.linalg.solve(xx + ridge, xy)
    return solution


def apply_map(model: Compact, target: str, weight: Tensor, image: Tensor) -> Tensor:
    tap = TARGETS[target].tap
    stride = model.taps[tap].stride
    height, width = image.shape[-2] // stride, image.shape[-1] // stride
    return (rows(model, target, image) @ weight).view(1, height, width, -1).permute(0, 3, 1, 2).float()


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["targets", "train", "evaluate"])
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument(
        "--work", type=Path, default=Path("out/distill"), help="folder for the targets, about 1 MB a crop"
    )
    parser.add_argument("--crops", type=int, default=4000)
    parser.add_argument(
        "--unfinished", type=float, default=0.2, help="targets: share of crops that an optimisation has half finished"
    )
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--first", type=int, default=3000, help="steps for the first stage alone")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--muon", action="store_true", help="Muon for the weights of the convolutions")
    parser.add_argument("--moments", type=float, default=0.1, help="weight of the error in mean and covariance")
    parser.add_argument("--gradients", type=float, default=0.0, help="weight of the error in the style gradient")
    parser.add_argument("--shape", default="", help="channels of the convolutions, as 16/32-32/64-64/128-128/128")
    parser.add_argument("--slope", type=float, help="slope of the activation below zero")
    parser.add_argument("--start", type=Path, help="train: weights of an earlier network to begin with")
    parser.add_argument("--weights", type=Path, help="evaluate: the network's, by default the bundled ones")
    parser.add_argument(
        "--unfinished-by",
        type=Path,
        help="targets, evaluate: weights of the network that half finishes pictures, by default the bundled ones",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="cpu or cuda, for train")
    parser.add_argument("--every", type=int, default=250)
    parser.add_argument("-o", "--output", type=Path)
    return parser


def main() -> None:
    args = parser().parse_args()
    if args.command == "targets":
        make_targets(args)
    elif args.command == "train":
        train(args)
    else:
        evaluate(args)


if __name__ == "__main__":
    main()
