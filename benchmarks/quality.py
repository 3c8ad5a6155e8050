"""How good the pictures are: distances in a network that took no part, over pairs of a standard set.

    python benchmarks/quality.py --assets DIR run artune emulator --pairs 24
    python benchmarks/quality.py --assets DIR run long --pairs 6
    python benchmarks/quality.py --assets DIR run vgg16 --size 256 --pairs 12 --candidate NAME=FILE
    python benchmarks/quality.py --assets DIR time
    python benchmarks/quality.py --assets DIR table [--size 256] [--methods vgg16 artune]
    python benchmarks/quality.py --assets DIR sheet artune --strength 0.667 -o sheet.png
    python benchmarks/quality.py --assets DIR sizes

``run`` adds a line per picture to ``results/quality.jsonl`` and skips what is there; ``table`` compares the methods at
equal content distance, pair by pair. The controls are the untouched photograph and the painting itself.

Methods: ``artune`` (the defaults), ``draft``, ``best``, ``vgg16`` (the defaults with that network), ``instant`` (the
painter, also ``"instant, draft"`` and ``"instant, best"``), and candidates:
weights of a compact network that ``training/distill.py`` made. References, by a plain loop with the usual Adam:
``emulator``: Wasserstein-2 on the 16 times smaller VGG-19 in bf16, sizes 128, 256, 512 with 100, 60, 60 steps at 0.03,
average 0.95; ``long``: the same loss in fp32, sizes growing by sqrt 2 from 128, 1000 steps and then 500 per size at
0.02, average 0.99.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from objectives import objective_at
from PIL import Image
from safetensors.torch import load_file
from torch.nn import functional as F

from artune import api
from artune.api import style
from artune.backbones.network import Network
from artune.images.picture import Picture, from_tensor
from artune.images.read import read_picture
from artune.images.resize import fitted
from artune.images.write import write_picture
from artune.machine import keep_freed_memory
from artune.metrics.perceptual import Referee
from artune.networks.loaded import PainterNetwork
from artune.spec.style import Instant, Optimise, StyleSpec, optimise_of
from artune.transfer.methods import plan_run

RESULTS = Path(__file__).parent / "results" / "quality.jsonl"
LADDER = (0.182, 0.333, 0.667, 0.889, 0.974, 0.995)
SHALLOW: dict[str, Any] = {
    "content_layers": {"relu3_1": 1.0},
    "style_layers": {"relu1_1": 1.0, "relu2_1": 1.0, "relu3_1": 1.0},
}
AT = (0.5, 0.7, 0.85)
Row = dict[str, Any]
"""A line of the results: method, size, pair, strength, seconds, precision, fine, strokes, content, key, digest of the
weights."""
Precision = Literal["fp32", "bf16", "auto"]
SIZE = 512
"""Longer side of the pictures, where a line of the results names none."""


@dataclass(frozen=True)
class Reference:
    """A plain descent on the emulator, as others do it; nothing of artune's engine is in it, only the loss.

    Attributes:
        rungs: longer sides and their steps.
        rate: of Adam, whose other settings are (0.9, 0.99) and 1e-8.
        average: decay of the average of the iterates.
        precision: of the network.
    """

    rungs: Sequence[tuple[int, int]]
    rate: float
    average: float
    precision: Literal["fp32", "bf16"]

    def run(self, network: Network, content: Picture, painting: Picture, strength: float) -> Picture:
        method = Optimise(
            network=network.name,
            content_layers={"relu4_1": 1.0},
            style_layers={f"relu{block}_1": 1.0 for block in range(1, 6)},
            tv=0.0,
        )
        spec = StyleSpec(size=self.rungs[-1][0], strength=strength, method=method)
        x = mean = first = second = torch.empty(0)
        count = 0
        for size, steps in self.rungs:
            objective, photograph = objective_at(size, content, painting, spec, network)
            side = photograph.shape[-2:]
            if count == 0:
                x, first, second = photograph, torch.zeros_like(photograph), torch.zeros_like(photograph)
            else:
                x = F.interpolate(mean, side, mode="bicubic").clamp(0, 1)
                first = F.interpolate(first, side, mode="bicubic")
                second = F.interpolate(second, side, mode="bilinear")
            mean, mass = torch.zeros_like(x), 0.0
            for step in range(steps):
                gradient = objective(x, step).gradient
                count += 1
                first = first.lerp(gradient, 0.1)
                second = second.lerp(gradient.square(), 0.01)
                root = (second / (1 - 0.99**count)).sqrt() + 1e-8
                x = (x - self.rate * first / (1 - 0.9**count) / root).clamp(0, 1)
                mean = mean.lerp(x, 1 - self.average)
                mass += (1 - mass) * (1 - self.average)
            mean = mean / mass
        return from_tensor(mean)


REFERENCES = {
    "emulator": Reference(((128, 100), (256, 60), (512, 60)), 0.03, 0.95, "bf16"),
    "long": Reference(((128, 1000), (181, 500), (256, 500), (362, 500), (512, 500)), 0.02, 0.99, "fp32"),
}
SPECS = {
    "artune": StyleSpec(strength=2 / 3),
    "start content": StyleSpec(strength=2 / 3, method=Optimise(start="content")),
    "vgg16": StyleSpec(strength=2 / 3, method=Optimise(network="vgg16")),
    "draft": StyleSpec(strength=2 / 3, method=Optimise(quality="draft")),
    "best": StyleSpec(strength=2 / 3, method=Optimise(quality="best")),
    "instant": StyleSpec(strength=2 / 3, method=Instant()),
    "instant, draft": StyleSpec(strength=2 / 3, method=Instant(quality="draft")),
    "instant, best": StyleSpec(strength=2 / 3, method=Instant(quality="best")),
    "same taps, compact": StyleSpec(strength=2 / 3, method=Optimise(**SHALLOW)),
    "same taps, emulator": StyleSpec(strength=2 / 3, method=Optimise(**SHALLOW, network="vgg19-emulator")),
    "same taps, vgg19": StyleSpec(strength=2 / 3, method=Optimise(**SHALLOW, network="vgg19")),
}


def pairs(count: int) -> list[tuple[int, int]]:
    """Photographs and paintings spread over the 20 and the 40 of the set."""
    return [((i * 7) % 20, (i * 5 + 3 * (i // 8) + 1) % 40) for i in range(count)]


def files(assets: Path, pair: tuple[int, int]) -> tuple[Path, Path]:
    folder = assets / "data/styleid"
    return folder / f"content/{pair[0]:02d}.jpg", folder / f"style/{pair[1]:02d}.jpg"


def referee(assets: Path) -> Referee:
    photographs = [read_picture(p).tensor() for p in sorted((assets / "data/styleid/content").iterdir())]
    return Referee(load_file(assets / "weights/squeezenet1_1-features.safetensors"), photographs)


def rows() -> list[Row]:
    """The last row of each method, size, pair and strength: earlier ones are of other recipes.

    Rows of a method whose weights or precision are not those of its last row are left out.
    """
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    found = [json.loads(line) for line in lines]
    last = {row["method"]: (row.get("weights"), row.get("precision")) for row in found}
    found = [row for row in found if (row.get("weights"), row.get("precision")) == last[row["method"]]]
    return list({(row["method"], row.get("size", SIZE), *row["pair"], row["strength"]): row for row in found}.values())


def candidate(path: Path, precision: Precision = "auto") -> Network:
    """A compact network of any shape, from a file of ``training/distill.py``."""
    return Network.load(StyleSpec(precision=precision), path)


def network_of(method: str, assets: Path, precision: Precision = "auto") -> Network | PainterNetwork:
    files_of = {
        "vgg19-emulator": "vgg19-emulator-16x.safetensors",
        "vgg19": "vgg19-blocks1-3.safetensors",
        "vgg16": "vgg16-features.safetensors",
    }
    spec = SPECS.get(method)
    if spec is not None:
        spec = spec.model_copy(update={"precision": precision})
        if isinstance(spec.method, Instant):
            return PainterNetwork.load(spec)
    else:
        precision = REFERENCES[method].precision
        spec = StyleSpec(strength=2 / 3, method=Optimise(network="vgg19-emulator"), precision=precision)
    name = optimise_of(spec).network
    return Network.load(spec, assets / "weights" / files_of[name] if name in files_of else None)


def measured(judge: Referee, pictures: Sequence[Picture]) -> dict[str, float]:
    """Distances of (result, photograph, painting)."""
    d = judge.distances(*(picture.tensor() for picture in pictures))
    return {"fine": round(d.fine, 4), "strokes": round(d.strokes, 4), "content": round(d.content, 4)}


def write(row: Row) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)


def run(args: argparse.Namespace) -> None:
    judge = referee(args.assets)
    done = {(row["method"], row["key"]) for row in rows()}
    if wrong := next((text for text in args.candidate if "=" not in text), None):
        raise SystemExit(f"--candidate {wrong}: write NAME=FILE")
    candidates = dict(text.split("=", 1) for text in args.candidate)
    if args.size != SIZE and {*args.methods} & REFERENCES.keys():
        raise SystemExit(f"the references are made at {SIZE} pixels; leave out --size")
    if unknown := {*args.methods} - SPECS.keys() - REFERENCES.keys():
        raise SystemExit(f"no such method: {', '.join(sorted(unknown))}; there are {', '.join([*SPECS, *REFERENCES])}")
    for method in (*args.methods, *candidates):
        kind = args.precision
        network = (
            candidate(Path(candidates[method]), kind) if method in candidates else network_of(method, args.assets, kind)
        )
        for pair in pairs(args.pairs):
            content, painting = (read_picture(p) for p in files(args.assets, pair))
            for strength in args.strengths:
                base = SPECS.get(method, StyleSpec())
                spec = base.model_copy(update={"strength": strength, "size": args.size, "precision": kind})
                planned = (
                    None if method in REFERENCES else plan_run(api.read(content, [painting], spec, network=network))
                )
                key = planned.key if planned else f"{method} {pair} {strength}"
                if (method, key) in done:
                    continue
                began = time.perf_counter()
                if planned is not None:
                    picture = api.finish(planned).picture
                elif isinstance(network, Network):
                    picture = REFERENCES[method].run(network, content, painting, strength)
                seconds = round(time.perf_counter() - began, 2)
                row = {"method": method, "size": args.size, "pair": pair, "strength": strength, "seconds": seconds}
                row["precision"] = network.precision
                found = measured(judge, (picture, content, painting))
                write(row | found | {"key": key, "weights": network.digest})
                if args.pictures:
                    args.pictures.mkdir(parents=True, exist_ok=True)
                    write_picture(
                        picture, args.pictures / f"{method}-{args.size}-{pair[0]:02d}-{pair[1]:02d}-{strength}.png"
                    )
    if ("controls", "controls") not in done:
        for pair in pairs(24):
            content, painting = (read_picture(p) for p in files(args.assets, pair))
            for name, picture in (("content", content), ("style", painting)):
                row = {"method": "controls", "pair": pair, "strength": name, "seconds": 0.0}
                write(row | measured(judge, (picture, content, painting)) | {"key": "controls"})


def sizes(args: argparse.Namespace) -> None:
    """The same strength at several sizes of both pictures, and on several networks; judged at 256 pixels."""
    judge = referee(args.assets)
    for method in ("artune", "same taps, compact", "same taps, emulator", "same taps, vgg19"):
        network = network_of(method, args.assets)
        medians = []
        for size in (128, 256, 512):
            found = []
            for pair in pairs(args.pairs):
                both = [read_picture(p) for p in files(args.assets, pair)]
                both = [picture.resized(*fitted(*picture.size, size)) for picture in both]
                spec = SPECS[method].model_copy(update={"size": size})
                result = style(both[0], *both[1:], spec=spec, network=network).picture
                shown = [picture.resized(*fitted(*picture.size, 256)) for picture in (result, *both)]
                found.append(list(measured(judge, shown).values()))
            medians.append(np.median(found, 0))
            print(f"{method:20} {size:4} px: fine {medians[-1][0]:.3f} strokes {medians[-1][1]:.3f} ", end="")
            print(f"content {medians[-1][2]:.3f}", flush=True)
        middle = medians[1]
        apart = np.abs(np.array(medians) / middle - 1).max(0)
        print(f"{method:20} apart from 256 px: fine {apart[0]:.0%} strokes {apart[1]:.0%} content {apart[2]:.0%}")


def clock(args: argparse.Namespace) -> None:
    """Seconds of artune and of the emulator's 220 steps by turns, so that a busy machine slows both."""
    taken: dict[str, list[float]] = {"artune": [], "emulator": []}
    networks = {method: network_of(method, args.assets) for method in taken}
    for pair in pairs(args.pairs):
        content, painting = (read_picture(p) for p in files(args.assets, pair))
        for method, network in networks.items():
            began = time.perf_counter()
            if method in REFERENCES and isinstance(network, Network):
                REFERENCES[method].run(network, content, painting, 0.5)
            else:
                style(content, painting, spec=SPECS[method], network=network)
            taken[method].append(time.perf_counter() - began)
    ours, theirs = (float(np.median(seconds)) for seconds in taken.values())
    ratios = np.divide(taken["artune"], taken["emulator"])
    print(f"artune {ours:.2f} s, emulator {theirs:.2f} s, ratio {np.median(ratios):.3f}, over {args.pairs} pairs")


def table(args: argparse.Namespace) -> None:
    """Medians at the ladder's strengths, and at equal content distance, interpolated pair by pair."""
    kept = [row for row in rows() if row.get("size", SIZE) == args.size]
    ran = list(dict.fromkeys(row["method"] for row in kept))
    if not ran:
        raise SystemExit(f"nothing was run at {args.size} pixels")
    methods = args.methods or ran
    if unknown := {*methods, *([args.against] if args.against else [])} - {*ran}:
        raise SystemExit(f"not run at {args.size} pixels: {', '.join(sorted(unknown))}; there are {', '.join(ran)}")
    print(f"{'method':10} {'strength':>8} {'pairs':>5} {'fine':>6} {'strokes':>7} {'content':>7} {'seconds':>7}")
    for method in methods:
        for strength in sorted({str(r["strength"]) for r in kept if r["method"] == method}):
            some = [r for r in kept if r["method"] == method and str(r["strength"]) == strength]
            fine, strokes, content, seconds = (
                np.median([r[k] for r in some]) for k in ("fine", "strokes", "content", "seconds")
            )
            print(f"{method:10} {strength:>8} {len(some):5} {fine:6.3f} {strokes:7.3f} {content:7.3f} {seconds:7.2f}")
    print("\nat equal content distance, medians over the pairs where every method reaches it")
    ladders = [m for m in methods if m not in ("controls", "long")]
    for at in args.at:
        found = {m: interpolated([r for r in kept if r["method"] == m], at) for m in ladders}
        common = set.intersection(*(set(found[m]) for m in ladders)) if ladders else set()
        for m in ladders:
            if common:
                fine, strokes = np.median([found[m][p] for p in common], 0)
                print(f"content {at}: {m:10} fine {fine:.3f} strokes {strokes:.3f} ({len(common)} pairs)")
    if args.against:
        compare(args.against, [m for m in ladders if m != args.against], kept, args.at)
    long = [r for r in kept if r["method"] == "long" and r["strength"] == 0.5]
    if long:
        print("\nbeside the long reference at strength 0.5, each pair at its content distance: fine, strokes")
        print(f"{'pair':10} {'content':>7}" + "".join(f"{m:>16}" for m in ("long", *ladders)))
    lines = []
    for r in long:
        mine = [o for o in kept if o["pair"] == r["pair"]]
        others = [interpolated([o for o in mine if o["method"] == m], r["content"]) for m in ladders]
        lines.append([(r["fine"], r["strokes"]), *(o.get(tuple(r["pair"]), (np.nan, np.nan)) for o in others)])
        print(f"{r['pair']!s:10} {r['content']:7.3f}" + "".join(f"{f:9.3f} {s:.3f} " for f, s in lines[-1]))
    if lines:
        print(f"{'median':10} {'':7}" + "".join(f"{f:9.3f} {s:.3f} " for f, s in np.median(lines, 0)))


def compare(against: str, methods: Sequence[str], kept: list[Row], contents: Sequence[float]) -> None:
    """Median difference from a method, pair by pair, at equal content distance, with its bootstrap interval (95 %)."""
    print(
        f"\nhow much nearer to the painting than {against}, pair by pair: median, 95 % interval of 10,000 resamplings"
    )
    for at in contents:
        found = {m: interpolated([r for r in kept if r["method"] == m], at) for m in (against, *methods)}
        for method in methods:
            common = sorted(found[method].keys() & found[against].keys())
            if not common:
                continue
            apart = np.array([np.subtract(found[against][pair], found[method][pair]) for pair in common])
            rng = np.random.default_rng(0)  # the same draws whatever else is compared
            drawn = np.median(apart[rng.integers(len(apart), size=(10_000, len(apart)))], 1)
            texts = [
                f"{name} {np.median(apart[:, i]):+.3f} ({low:+.3f} to {high:+.3f})"
                for i, (name, (low, high)) in enumerate(
                    zip(("fine", "strokes"), np.percentile(drawn, (2.5, 97.5), 0).T, strict=True)
                )
            ]
            print(f"content {at}: {method:10} {', '.join(texts)}, {len(common)} pairs")


def interpolated(kept: list[Row], at: float) -> dict[tuple[int, int], tuple[float, float]]:
    """Fine and strokes of each pair at a content distance, between the two strengths around it."""
    out = {}
    for pair in {tuple(r["pair"]) for r in kept}:
        ladder = sorted((r["content"], r["fine"], r["strokes"]) for r in kept if tuple(r["pair"]) == pair)
        content, fine, strokes = zip(*ladder, strict=True)
        if content[0] <= at <= content[-1]:
            out[pair] = (float(np.interp(at, content, fine)), float(np.interp(at, content, strokes)))
    return out


def sheet(args: argparse.Namespace) -> None:
    """Photograph, painting and result, side by side, for every pair."""
    side, columns = 256, 2
    network = network_of(args.method, args.assets)
    todo = pairs(args.pairs)
    page = Image.new("RGB", (3 * side * columns, side * -(-len(todo) // columns)))
    for index, pair in enumerate(todo):
        content, painting = (read_picture(p) for p in files(args.assets, pair))
        spec = SPECS[args.method].model_copy(update={"strength": args.strength})
        result = style(content, painting, spec=spec, network=network)
        for column, picture in enumerate((content, painting, result.picture)):
            tile = Image.fromarray((picture.pixels * 255 + 0.5).astype(np.uint8)).resize(
                (side, side), Image.Resampling.LANCZOS
            )
            page.paste(tile, (((index % columns) * 3 + column) * side, index // columns * side))
    page.save(args.output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, required=True)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("run")
    one.add_argument("methods", nargs="*", help=", ".join([*SPECS, *REFERENCES]))
    one.add_argument("--candidate", nargs="*", default=[], help="weights of a compact network, as NAME=FILE")
    one.add_argument("--pairs", type=int, default=24)
    one.add_argument("--size", type=int, default=SIZE, help="longer side of the pictures")
    one.add_argument("--strengths", type=float, nargs="+", default=LADDER)
    one.add_argument(
        "--precision",
        choices=["fp32", "bf16", "auto"],
        default="fp32",
        help="of artune's methods; the references have theirs",
    )
    one.add_argument("--pictures", type=Path, help="folder to keep the pictures in")
    one.set_defaults(do=run)
    five = commands.add_parser("time")
    five.add_argument("--pairs", type=int, default=8)
    five.set_defaults(do=clock)
    two = commands.add_parser("table")
    two.add_argument("--size", type=int, default=SIZE)
    two.add_argument("--methods", nargs="*", help="default: all that were run")
    two.add_argument("--at", type=float, nargs="+", default=AT, help="content distances to compare at")
    two.add_argument("--against", help="a method whose difference from the others is printed")
    two.set_defaults(do=table)
    three = commands.add_parser("sheet")
    three.add_argument("method", choices=list(SPECS))
    three.add_argument("--pairs", type=int, default=24)
    three.add_argument("--strength", type=float, default=2 / 3)
    three.add_argument("-o", "--output", type=Path, required=True)
    three.set_defaults(do=sheet)
    four = commands.add_parser("sizes")
    four.add_argument("--pairs", type=int, default=8)
    four.set_defaults(do=sizes)
    args = parser.parse_args()
    if not (args.assets / "weights").is_dir():
        parser.error(f"--assets {args.assets}: needed is a folder with weights and data")
    keep_freed_memory()
    args.do(args)


if __name__ == "__main__":
    main()
