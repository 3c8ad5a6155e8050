"""Train the painter: learned steps that paint any photograph in the style of any painting.

    python training/painter.py train    --assets DIR --work DIR --steps 20000 [--config '{"revision": 48}']
    python training/painter.py evaluate --assets DIR --work DIR [--plan 128x2,256x1,512x1] [--sheet FILE]
    python training/painter.py bundle   --work DIR -o FILE [--mix FILE --share 0.6]
    python training/painter.py ablate   --assets DIR --work DIR [--minutes 12]

``train`` teaches the steps artune's own objective, with distances relative to the pair, at strengths drawn anew for
every pair, on crops of photographs and paintings. A batch goes through steps at half of its size, then at its whole
size; the objective is measured after each. Gradients do not go from one step to the one before: each step learns from
the pictures that the steps before it make. Every batch depends on (seed, step) alone; a killed training goes on from
its last checkpoint, ``WORK/painter.checkpoint``, and comes to the same weights.

``evaluate`` paints held-out pairs and prints the distances of a network that took no part. ``ablate`` trains painters
that differ in one thing each, from nothing, for equally long, and evaluates them.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as PIL
from torch import Tensor
from torch.nn import functional as F

from artune.data.folders import read_squares
from artune.files import atomic, file_digest
from artune.fitting import FitSettings, FitStep, Fitting, cosine
from artune.images.find import find_pictures
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.resize import fitted
from artune.judges.embedding import bundled_encoder
from artune.learning.motion import draw_motion, next_frames
from artune.learning.pairs import CLIP, WARM_UP, PairBatch, Pairs, draw_course, enlarged, losses
from artune.networks.loaded import read_painter, write_painter
from artune.networks.painter import CONTENT, LOG_ODDS, Painter, PainterConfig
from artune.tensors import load_checkpoint

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from quality import files, pairs, referee

SIDE = 224
"""Side of the pictures that crops are drawn from, pixels."""
SIDES = {96: 5, 128: 3, 208: 1}
"""Sides of the crops in pixels, each with the pairs of a batch: about as many pixels each."""
EQUAL = 0.65
"""Content distance at which pictures are compared."""
TILE = 288
"""Side of the pictures of a sheet, pixels."""
SOFTNESS = 0.05
"""Difference of cosines by which a neighbour's weight falls by a factor of e."""
NOISE = 0.5
"""Standard deviation of the noise that a decoder sees, in units of each tap."""
SPEED_STEPS = 12
"""Steps by which the speed of a training is measured."""


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

    def __init__(self, assets: Path, work: Path, sides: dict[int, int], frames: bool = False) -> None:
        self.photos, self.paintings = (
            pool(assets / "data" / kind, work / f"{kind}.npy") for kind in ("photos", "paintings")
        )
        self.sides, self.frames = sides, frames

    def __call__(self, seed: int, step: int) -> PairBatch:
        rng = np.random.default_rng((seed, step))
        side = int(rng.choice([*self.sides]))
        size = self.sides[side]
        photographs, paintings = (
            torch.cat([crop(squares, rng, side) for _ in range(size)]).contiguous(memory_format=torch.channels_last)
            for squares in (self.photos, self.paintings)
        )
        odds = torch.from_numpy(rng.uniform(*LOG_ODDS, size).astype(np.float32))
        course = draw_course(rng, side)
        if not self.frames:
            return PairBatch(photographs, paintings, odds, *course)
        motion = draw_motion(rng, size, side)
        photographs = torch.cat([photographs, next_frames(photographs, motion, rng)])
        paintings, odds = (torch.cat([each, each]) for each in (paintings, odds))
        photographs, paintings = (x.contiguous(memory_format=torch.channels_last) for x in (photographs, paintings))
        return PairBatch(photographs, paintings, odds, *course, motion)


class NeighbourPairs(Pairs):
    """At the content tap, the decoder sees the mean of two displacements: by the transport, and to the features of the
    painting that are most like each feature.
    """

    def __init__(self, painter: Painter, photographs: Tensor, paintings: Tensor, log_odds: Tensor) -> None:
        super().__init__(painter, photographs, paintings, log_odds)
        with torch.no_grad():
            self.theirs = painter.features(paintings)[CONTENT].flatten(2)

    @torch.no_grad()
    def shown(self) -> list[Tensor]:
        """The displacements that the decoder sees."""
        here = self.features[CONTENT]
        centre = self.theirs.mean(2, keepdim=True)
        one, other = (F.normalize(each - centre, dim=1) for each in (here.flatten(2), self.theirs))
        shares = (one.transpose(1, 2) @ other / SOFTNESS).softmax(2)
        nearest = (self.theirs @ shares.transpose(1, 2)).view_as(here)
        mixed = [*self.displacements]
        mixed[CONTENT] = (mixed[CONTENT] + nearest - here) / 2
        return mixed


class NoisePairs(Pairs):
    """The decoder sees noise beside the displacements, from which it could make the grain that a painting has."""

    @torch.no_grad()
    def shown(self) -> list[Tensor]:
        """The displacements that the decoder sees."""
        generator = torch.Generator().manual_seed(int(1e6 * float(self.log_odds.abs().sum())))
        return [
            each + NOISE * unit * torch.randn(each.shape, generator=generator)
            for each, unit in zip(self.displacements, self.painter.units, strict=True)
        ]


SEEN: dict[str, type[Pairs]] = {"transports": Pairs, "neighbours": NeighbourPairs, "noise": NoisePairs}
"""What decoders see, by name."""
ABLATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "as it is": ({}, "transports"),
    "deviations of channels alone (AdaIN)": ({"whitening": False}, "transports"),
    "with neighbours": ({}, "neighbours"),
    "with noise": ({}, "noise"),
    "revision of 16 channels": ({"revision": 16}, "transports"),
    "revision of 64 channels": ({"revision": 64}, "transports"),
}
"""Painters that are compared: fields of the shape, and what the decoder sees."""


@torch.no_grad()
def measure_units(painter: Painter, batches: Batches) -> None:
    """Set the unit of each tap: the root mean square of its features over photographs and paintings."""
    found = []
    for step in range(16):
        batch = batches(2**32 - 1, step)
        both = zip(*(painter.features(each) for each in (batch.photographs, batch.paintings)), strict=True)
        found.append(torch.stack([torch.cat(each).square().mean() for each in both]))
    painter.set_units(torch.stack(found).mean(0).sqrt())


def new_painter(config: dict[str, Any], seed: int) -> Painter:
    """A painter with new weights on the bundled loss network."""
    torch.manual_seed(seed)
    return Painter(bundled_encoder(), PainterConfig.of(config)).to(memory_format=torch.channels_last)


def started(path: Path) -> Painter:
    """A painter with the weights of a file, to be trained further."""
    painter = read_painter(path, bundled_encoder()).train()
    for part in (painter.whole, painter.revision):
        part.requires_grad_(True)
    return painter.to(memory_format=torch.channels_last)


def train(args: argparse.Namespace) -> None:
    """Train, with a line of the log and a checkpoint every ``--every`` steps."""
    args.work.mkdir(parents=True, exist_ok=True)
    batches = Batches(args.assets, args.pools or args.work, args.sides, frames=args.steady > 0)
    if args.start is None:
        painter = new_painter(args.config, args.seed)
        measure_units(painter, batches)
    else:
        painter = started(args.start)
    own = [parameter for parameter in painter.parameters() if parameter.requires_grad]
    fitting = Fitting(
        painter,
        torch.optim.AdamW(own, args.rate, betas=(0.9, 0.99), weight_decay=1e-3),
        FitSettings(args.steps, args.seed, clip=CLIP),
        batch=batches,
        loss=lambda batch: losses(painter, batch, SEEN[args.sees], args.steady),
        rate=lambda share: min(1.0, (share * args.steps + 1) / WARM_UP) * cosine(share),
    )
    run = {
        "config": painter.config.plain(),
        "sides": [[*each] for each in args.sides.items()],
        "rate": args.rate,
        "start": args.start and file_digest(args.start),
        "sees": args.sees,
        "steady": args.steady,
    }
    checkpoint, log = args.work / "painter.checkpoint", args.work / "painter.jsonl"
    if checkpoint.exists():
        fitting.resume(checkpoint, run)
        _forget_after(log, fitting.step)
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


def _forget_after(log: Path, last: int) -> None:
    """Drop the lines of a log after a step, as of a run that was killed between its log and its checkpoint."""
    if not log.exists():
        return
    lines = [line for line in log.read_text().splitlines() if json.loads(line)["step"] <= last]
    with atomic(log) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines))


def ablate(args: argparse.Namespace) -> None:
    """Train and evaluate painters that differ in one thing each; each has the same time for its steps."""
    for number, (name, (config, sees)) in enumerate(ABLATIONS.items()):
        work = args.work / f"{number}"
        given = ["train", "--assets", str(args.assets), "--config", json.dumps(config), "--sees", sees]
        given += ["--pools", str(args.work), "--work"]
        if not (work / "painter.checkpoint").exists():
            began = time.process_time()
            train(parser().parse_args([*given, str(work / "speed"), "--steps", str(SPEED_STEPS)]))
            each = (time.process_time() - began) / SPEED_STEPS / torch.get_num_threads()
            (work / "steps").write_text(str(round(60 * args.minutes / each)))
        train(parser().parse_args([*given, str(work), "--steps", (work / "steps").read_text()]))
        print(name, flush=True)
        evaluate(parser().parse_args(["evaluate", "--assets", str(args.assets), "--work", str(work)]))


@torch.no_grad()
def painted(
    painter: Painter,
    photograph: Picture,
    painting: Picture,
    log_odds: Tensor,
    args: argparse.Namespace,
    sees: str = "transports",
) -> Tensor:
    """A pair at several strengths, ``[b, 3, h, w]``."""
    images, before = torch.empty(0), None
    rungs = args.plan if args.plan[-1][0] == args.size else [*args.plan, (args.size, 0)]
    for size, steps in rungs:
        photographs, paintings = (
            each.resized(*(side // 8 * 8 for side in fitted(*each.size, size)))
            .tensor()
            .expand(len(log_odds), -1, -1, -1)
            for each in (photograph, painting)
        )
        photographs, paintings = (x.contiguous(memory_format=torch.channels_last) for x in (photographs, paintings))
        images = photographs if before is None else enlarged(images - before, photographs)
        if steps == 0 and args.no_revision:
            return images
        pairs = SEEN[sees](painter, photographs, paintings, log_odds)
        if before is not None:
            pairs.measure(images)
        for done in range(steps):
            images = pairs.step(images, done, before is None and done == 0).clamp(0, 1)
            pairs.measure(images)
        before = photographs
    return images if steps else pairs.revised(images).clamp(0, 1)


def trained(work: Path) -> tuple[Painter, int, str]:
    """The painter of a checkpoint, the number of its steps, and what its decoder sees."""
    tensors, about = load_checkpoint(work / "painter.checkpoint")
    painter = new_painter(about["run"]["config"], 0)
    weights = {key.removeprefix("module."): value for key, value in tensors.items() if key.startswith("module.")}
    painter.load_state_dict(weights, strict=False)
    return painter.eval(), about["step"], about["run"].get("sees", "transports")


@torch.no_grad()
def mixed_with(painter: Painter, path: Path, share: float) -> None:
    """Mix a painter's weights with those that it began with: what it has learned since is taken for a share (Wortsman
    et al. 2022, "Robust Fine-Tuning of Zero-Shot Models").
    """
    first = read_painter(path, painter.encoder).state_dict()
    for name, tensor in painter.state_dict().items():
        if tensor.is_floating_point():
            tensor.lerp_(first[name].float(), 1 - share)


def bundle(args: argparse.Namespace) -> None:
    """Write the weights of a checkpoint as the package holds them."""
    painter, done, _ = trained(args.work)
    if args.mix is not None:
        mixed_with(painter, args.mix, args.share)
    write_painter(args.out, painter)
    print(f"{args.out}: {args.out.stat().st_size / 2**20:.2f} MiB, after step {done}, sha256 {file_digest(args.out)}")


def evaluate(args: argparse.Namespace) -> None:
    """Print medians of fine, strokes and content at several strengths, and at equal content."""
    painter, done, sees = trained(args.work)
    judge = referee(args.assets)
    log_odds = torch.tensor(args.odds)
    found, tiles = [], []
    for pair in pairs(args.pairs):
        photograph, painting = (read_picture(file) for file in files(args.assets, pair))
        made = painted(painter, photograph, painting, log_odds, args, sees)
        both = (each.resized(*fitted(*each.size, args.size)).tensor() for each in (painting, photograph))
        images = [*both, *(each[None] for each in made)]
        distances = [judge.distances(image, photograph.tensor(), painting.tensor()) for image in images[2:]]
        found.append([(each.content, each.fine, each.strokes) for each in distances])
        tiles.append(
            torch.cat([F.interpolate(image, size=(TILE, TILE), antialias=True, mode="bilinear") for image in images], 3)
        )
    print(f"step {done}; {len(found)} pairs at {args.size} pixels")
    for odds, (content, fine, strokes) in zip(args.odds, np.median(found, 0), strict=True):
        print(f"strength {1 / (1 + math.exp(-odds)):.2f}: fine {fine:.3f} strokes {strokes:.3f} content {content:.3f}")
    equal = []
    for row in found:
        contents, fines, strokes = np.array(sorted(row)).T
        if contents[0] <= EQUAL <= contents[-1]:
            equal.append([np.interp(EQUAL, contents, values) for values in (fines, strokes)])
    if equal:
        fine, strokes = np.median(equal, 0)
        print(f"at content {EQUAL}: fine {fine:.3f} strokes {strokes:.3f} ({len(equal)} pairs)")
    if args.sheet:
        sheet = (torch.cat(tiles, 2)[0].permute(1, 2, 0).numpy() * 255 + 0.5).astype(np.uint8)
        PIL.fromarray(sheet).save(args.sheet)


def _sides(text: str) -> dict[int, int]:
    return {int(side): int(size) for side, size in json.loads(text).items()}


def _plan(text: str) -> list[tuple[int, int]]:
    return [(int(size), int(steps)) for size, steps in (each.split("x") for each in text.split(","))]


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = out.add_subparsers(required=True)
    for name, function in (("train", train), ("evaluate", evaluate), ("bundle", bundle), ("ablate", ablate)):
        command = commands.add_parser(name)
        command.add_argument("--work", type=Path, required=True)
        command.set_defaults(do=function)
        if name == "bundle":
            command.add_argument(
                "--mix", type=Path, help="painter whose weights are mixed with those of the checkpoint"
            )
            command.add_argument(
                "--share", type=float, default=1.0, help="share of the checkpoint's weights in the mix"
            )
            command.add_argument("-o", "--out", type=Path, required=True)
            continue
        command.add_argument("--assets", type=Path, required=True)
        if name == "ablate":
            command.add_argument("--minutes", type=float, default=12, help="of each training")
            continue
        if name == "evaluate":
            command.add_argument("--size", type=int, default=512, help="size of the results, pixels")
            command.add_argument("--plan", type=_plan, default=_plan("128x2,256x1,512x1"), help="sizes and steps")
            command.add_argument("--no-revision", action="store_true", help="enlarge the last picture instead")
            command.add_argument("--pairs", type=int, default=12)
            command.add_argument("--odds", type=float, nargs="+", default=[-1.0, 0.0, 1.0, 2.0, 3.0])
            command.add_argument("--sheet", type=Path)
            continue
        command.add_argument(
            "--pools", type=Path, help="folder of the pictures that crops are drawn from; default: WORK"
        )
        command.add_argument("--steps", type=int, default=20000)
        command.add_argument("--minutes", type=float, default=math.inf, help="stop after these, to be gone on with")
        command.add_argument("--sides", type=_sides, default=SIDES, help="sides of crops and pairs of a batch, JSON")
        command.add_argument("--rate", type=float, default=2e-3)
        command.add_argument("--every", type=int, default=100)
        command.add_argument("--seed", type=int, default=0)
        command.add_argument("--config", type=json.loads, default={}, help="fields of PainterConfig, JSON")
        command.add_argument("--sees", choices=[*SEEN], default="transports", help="what the decoder sees")
        command.add_argument("--steady", type=float, default=0.0, help="weight of what changes from frame to frame")
        command.add_argument("--start", type=Path, help="begin with the weights and the shape of this painter")
    return out


if __name__ == "__main__":
    arguments = parser().parse_args()
    arguments.do(arguments)
