"""Train the painter: a network that paints any photograph in the style of any painting in one pass.

    python training/painter.py train    --assets DIR --work DIR --steps 20000 [--side 128] [--config '{"noise": false}']
    python training/painter.py evaluate --assets DIR --work DIR [--size 192] [--sheet FILE]

``train`` teaches it artune's own objective, with distances relative to the pair, at strengths drawn anew for every
pair, on crops of photographs and paintings. Every step depends on (seed, step) alone; a killed training goes on from
its last checkpoint, ``WORK/painter.checkpoint``, and comes to the same weights. ``evaluate`` paints held-out pairs and
prints the distances of a network that took no part.
"""

import argparse
import json
import math
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as PIL
from torch import Tensor
from torch.nn import functional as F

from artune.backbones.compact import Compact
from artune.backbones.defaults import VGG_DEFAULTS
from artune.backbones.network import Network
from artune.data.folders import read_squares
from artune.fitting import FitSettings, FitStep, Fitting, cosine
from artune.images.find import find_pictures
from artune.images.read import read_picture
from artune.losses.objective import (
    Formulas,
    Objective,
    PaintingImage,
    RegionWeights,
    Terms,
    Weights,
    assemble,
    measure_features,
)
from artune.losses.terms import Wasserstein
from artune.networks.painter import TAPS, Painter, PainterConfig
from artune.spec.style import StyleSpec
from artune.tensors import load_checkpoint
from artune.transfer.sizes import fitted

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from quality import files, pairs, referee

SIDE = 224
"""Side of the pictures that crops are drawn from, pixels."""
ODDS = (-1.5, 3.0)
"""Log odds of the strengths that are trained."""
WARM_UP = 100
"""Steps over which the rate rises."""
OUTSIDE = 10.0
"""Weight of squared values outside [0, 1], where the loss network has never seen a picture."""
WEIGHTS = Weights(VGG_DEFAULTS.content, VGG_DEFAULTS.style)
CONTENT = 0.65
"""Content distance at which pictures are compared."""


@dataclass(frozen=True)
class Batch:
    """Photographs, paintings, log odds of the strengths, and a seed of the noise."""

    photographs: Tensor
    paintings: Tensor
    log_odds: Tensor
    seed: int


def pool(folder: Path, cache: Path) -> np.ndarray:
    """The middle squares of all pictures below a folder, uint8 ``[n, 3, SIDE, SIDE]``, kept in a file."""
    if not cache.exists():
        np.save(cache, read_squares(find_pictures(folder, recursive=True).pictures, SIDE).numpy())
    found: np.ndarray = np.load(cache, mmap_mode="r")
    return found


def crop(squares: np.ndarray, rng: np.random.Generator, side: int) -> Tensor:
    """A random part of a random picture, mirrored in half of the cases, ``[1, 3, side, side]`` in [0, 1]."""
    picture = squares[rng.integers(len(squares))]
    cut = round(SIDE * rng.uniform(0.5, 1.0))
    top, left = rng.integers(SIDE - cut + 1, size=2)
    x = torch.from_numpy(np.array(picture[:, top : top + cut, left : left + cut]))[None].float() / 255
    x = F.interpolate(x, size=(side, side), mode="bilinear", antialias=True)
    return x.flip(3) if rng.random() < 0.5 else x


class Batches:
    """Batches as a function of (seed, step)."""

    def __init__(self, assets: Path, work: Path, size: int, side: int) -> None:
        self.photos, self.paintings = (
            pool(assets / "data" / kind, work / f"{kind}.npy") for kind in ("photos", "paintings")
        )
        self.size, self.side = size, side

    def __call__(self, seed: int, step: int) -> Batch:
        rng = np.random.default_rng((seed, step))
        photographs, paintings = (
            torch.cat([crop(squares, rng, self.side) for _ in range(self.size)])
            for squares in (self.photos, self.paintings)
        )
        odds = torch.from_numpy(rng.uniform(*ODDS, self.size).astype(np.float32))
        return Batch(photographs, paintings, odds, step)


def objective_of(
    encoder: Compact, batch: Batch, photographs: dict[str, Tensor], paintings: dict[str, Tensor]
) -> Objective:
    """The objective of each pair of a batch, with weights whose sum is 1.

    Args:
        encoder: the loss network.
        batch: the pictures.
        photographs: their features.
        paintings: their features.
    """
    style = Wasserstein.balance * batch.log_odds.exp()
    regions = [RegionWeights(None, style=style / (1 + style), content=1 / (1 + style))]
    terms = Terms.of(WEIGHTS, Formulas())
    of_photographs = measure_features(photographs, terms.of_photograph(regions))
    image = PaintingImage(batch.paintings)
    read = terms.measured(image, measure_features(paintings, terms.of_painting(image)))
    return assemble(encoder, terms, regions, [[read]], of_photographs, WEIGHTS)


def losses(painter: Painter, batch: Batch) -> dict[str, Tensor]:
    """The objective of what the painter makes of a batch."""
    taps = [*VGG_DEFAULTS.style, "image"]
    with torch.no_grad():
        photographs, paintings = (painter.encoder(x, taps) for x in (batch.photographs, batch.paintings))
        objective = objective_of(painter.encoder, batch, photographs, paintings)
        read = painter.read([paintings[tap] for tap in TAPS])
        views = painter.views([photographs[tap] for tap in TAPS], read)
    generator = torch.Generator().manual_seed(batch.seed)
    made = painter.decode(batch.photographs, views, read, batch.log_odds, generator)
    inside = made.clamp(0, 1)
    output = objective.network_pass(inside)
    found = objective.total({term.name: term.loss(output, 0) for term in objective.terms})
    return {"objective": found.mean(), "outside": OUTSIDE * (made - inside).square().mean()}


@torch.no_grad()
def measure_units(painter: Painter, batches: Batches) -> None:
    """Set the unit of each tap: the root mean square of its features over photographs and paintings."""
    batch = batches(-1 % 2**32, 0)
    both = torch.cat([batch.photographs, batch.paintings])
    painter.units[:] = torch.stack([features.square().mean().sqrt() for features in painter.features(both)])


def new_painter(config: dict[str, Any], seed: int) -> Painter:
    """A painter with new weights on the bundled loss network."""
    torch.manual_seed(seed)
    encoder = Network.load(StyleSpec(precision="fp32")).backbone
    assert isinstance(encoder, Compact)
    shape: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
    return Painter(encoder, PainterConfig(**shape)).to(memory_format=torch.channels_last)


def train(args: argparse.Namespace) -> None:
    """Train, with a line of the log and a checkpoint every ``--every`` steps."""
    args.work.mkdir(parents=True, exist_ok=True)
    painter = new_painter(args.config, args.seed)
    batches = Batches(args.assets, args.pools or args.work, args.batch, args.side)
    measure_units(painter, batches)
    own = [parameter for parameter in painter.parameters() if parameter.requires_grad]
    fitting = Fitting(
        painter,
        torch.optim.AdamW(own, args.rate, betas=(0.9, 0.99), weight_decay=1e-3),
        FitSettings(args.steps, args.seed),
        batch=batches,
        loss=lambda batch: losses(painter, batch),
        rate=lambda share: min(1.0, (share * args.steps + 1) / WARM_UP) * cosine(share),
    )
    run = {"config": asdict(painter.config), "side": args.side, "batch": args.batch, "rate": args.rate}
    run = json.loads(json.dumps(run))
    checkpoint, log = args.work / "painter.checkpoint", args.work / "painter.jsonl"
    if checkpoint.exists():
        fitting.resume(checkpoint, run)
    began, some = time.time(), list[FitStep]()
    for step in fitting.run():
        some.append(step)
        if step.step % args.every == 0 or step.end is not None:
            means = {name: round(float(np.mean([each.losses[name] for each in some])), 5) for name in step.losses}
            line = {"step": step.step, "seconds": round(time.time() - began, 1), **means}
            with log.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)
            fitting.save(checkpoint, run)
            some.clear()
            if time.time() - began > 60 * args.minutes:
                return


def evaluate(args: argparse.Namespace) -> None:
    """Print medians of fine, strokes and content at several strengths, and at equal content."""
    tensors, about = load_checkpoint(args.work / "painter.checkpoint")
    painter = new_painter(about["run"]["config"], 0)
    weights = {key.removeprefix("module."): value for key, value in tensors.items() if key.startswith("module.")}
    painter.load_state_dict(weights, strict=False)
    painter.eval()
    judge = referee(args.assets)
    found, tiles = [], []
    for pair in pairs(args.pairs):
        photograph, painting = (read_picture(file) for file in files(args.assets, pair))
        content, style = (each.resized(*fitted(*each.size, args.size)).tensor() for each in (photograph, painting))
        row, images = [], [style, content]
        for odds in args.odds:
            with torch.no_grad():
                made = painter(content, style, torch.tensor([odds]), torch.Generator().manual_seed(0)).clamp(0, 1)
            distances = judge.distances(made, photograph.tensor(), painting.tensor())
            row.append((distances.content, distances.fine, distances.strokes))
            images.append(made)
        found.append(row)
        tiles.append(torch.cat([F.interpolate(image, size=(args.size, args.size)) for image in images], 3))
    print(f"step {about['step']}; {len(found)} pairs at {args.size} pixels")
    for odds, (content, fine, strokes) in zip(args.odds, np.median(found, 0), strict=True):
        print(f"strength {1 / (1 + math.exp(-odds)):.2f}: fine {fine:.3f} strokes {strokes:.3f} content {content:.3f}")
    equal = []
    for row in found:
        contents, fines, strokes = np.array(sorted(row)).T
        if contents[0] <= CONTENT <= contents[-1]:
            equal.append([np.interp(CONTENT, contents, values) for values in (fines, strokes)])
    if equal:
        fine, strokes = np.median(equal, 0)
        print(f"at content {CONTENT}: fine {fine:.3f} strokes {strokes:.3f} ({len(equal)} pairs)")
    if args.sheet:
        sheet = (torch.cat(tiles, 2)[0].permute(1, 2, 0).numpy() * 255 + 0.5).astype(np.uint8)
        PIL.fromarray(sheet).save(args.sheet)


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = out.add_subparsers(required=True)
    for name, function in (("train", train), ("evaluate", evaluate)):
        command = commands.add_parser(name)
        command.add_argument("--assets", type=Path, required=True)
        command.add_argument("--work", type=Path, required=True)
        command.set_defaults(do=function)
        if name == "evaluate":
            command.add_argument("--size", type=int, default=192)
            command.add_argument("--pairs", type=int, default=12)
            command.add_argument("--odds", type=float, nargs="+", default=[-1.0, 0.0, 1.0, 2.0, 3.0])
            command.add_argument("--sheet", type=Path)
            continue
        command.add_argument(
            "--pools", type=Path, help="folder of the pictures that crops are drawn from; default: WORK"
        )
        command.add_argument("--steps", type=int, default=20000)
        command.add_argument("--minutes", type=float, default=math.inf, help="stop after these, to be gone on with")
        command.add_argument("--side", type=int, default=128)
        command.add_argument("--batch", type=int, default=4)
        command.add_argument("--rate", type=float, default=2e-3)
        command.add_argument("--every", type=int, default=100)
        command.add_argument("--seed", type=int, default=0)
        command.add_argument("--config", type=json.loads, default={}, help="fields of PainterConfig, JSON")
    return out


if __name__ == "__main__":
    arguments = parser().parse_args()
    arguments.do(arguments)
