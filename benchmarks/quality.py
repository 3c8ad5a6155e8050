"""How good the pictures are: distances in a network that took no part, over pairs of a standard set.

    python benchmarks/quality.py --assets DIR run artune emulator --pairs 24
    python benchmarks/quality.py --assets DIR run long --pairs 6
    python benchmarks/quality.py --assets DIR table
    python benchmarks/quality.py --assets DIR sheet artune --strength 0.5 -o sheet.png

``run`` adds a line per picture to ``results/quality.jsonl`` and skips what is there; ``table`` compares the methods at
equal content distance, pair by pair. The controls are the untouched photograph and the painting itself.

Methods: ``artune`` (the defaults), ``draft`` and ``best``; ``emulator``: Wasserstein-2 on the 16 times smaller VGG-19,
sizes 128, 256, 512 with 100, 60, 60 steps of Adam at 0.03, average 0.95; ``long``: the same loss in fp32, sizes growing
by sqrt 2 from 128, Adam at 0.02, average 0.99, 1000 steps and then 500 per size.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.torch import load_file

from artune.images import read_picture
from artune.metrics.perceptual import Referee
from artune.spec import Optimise, Rung, StyleSpec
from artune.transfer.style import Network, style

RESULTS = Path(__file__).parent / "results" / "quality.jsonl"
LADDER = {
    "artune": (0.1, 0.25, 0.5, 0.75, 0.9),
    "draft": (0.1, 0.25, 0.5, 0.75, 0.9),
    "best": (0.1, 0.25, 0.5, 0.75, 0.9),
    "emulator": (0.1, 0.25, 0.5, 0.75, 0.9),
    "long": (0.1, 0.25, 0.5, 0.75, 0.9),
}
AT = (0.5, 0.7, 0.85)
EMULATOR = {"network": "vgg19-emulator", "tv": 0.0, "content_layers": {"relu4_1": 1.0}}
SPECS = {
    "artune": StyleSpec(),
    "draft": StyleSpec(method=Optimise(quality="draft")),
    "best": StyleSpec(method=Optimise(quality="best")),
    "emulator": StyleSpec(
        method=Optimise(
            **EMULATOR,
            rate=0.03,
            average=0.95,
            rungs=(Rung(size=128, steps=100), Rung(size=256, steps=60), Rung(size=512, steps=60)),
        )
    ),
    "long": StyleSpec(
        precision="fp32",
        method=Optimise(
            **EMULATOR,
            rate=0.02,
            average=0.99,
            rungs=tuple(Rung(size=side, steps=500 if side > 128 else 1000) for side in (128, 181, 256, 362, 512)),
        ),
    ),
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


def rows() -> list[dict]:
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def run(args: argparse.Namespace) -> None:
    judge = referee(args.assets)
    done = {(r["method"], r["pair"][0], r["pair"][1], r["strength"]) for r in rows()}
    RESULTS.parent.mkdir(exist_ok=True)
    for method in args.methods:
        weights = args.assets / "weights/vgg19-emulator-16x.safetensors" if method in ("emulator", "long") else None
        network = Network.load(SPECS[method], weights)
        for pair in pairs(args.pairs):
            content, painting = (read_picture(p) for p in files(args.assets, pair))
            for strength in args.strengths or LADDER[method]:
                if (method, *pair, strength) in done:
                    continue
                spec = SPECS[method].model_copy(update={"strength": strength})
                began = time.perf_counter()
                result = style(content, painting, spec=spec, network=network)
                seconds = time.perf_counter() - began
                d = judge.distances(result.picture.tensor(), content.tensor(), painting.tensor())
                row = {"method": method, "pair": pair, "strength": strength, "seconds": round(seconds, 2)}
                row |= {"fine": round(d.fine, 4), "strokes": round(d.strokes, 4), "content": round(d.content, 4)}
                row["key"] = result.record.key
                with RESULTS.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row), flush=True)
                if args.pictures:
                    result.save(args.pictures / f"{method}-{pair[0]:02d}-{pair[1]:02d}-{strength}.png")
    if not any(r["method"] == "controls" for r in rows()):
        with RESULTS.open("a") as file:
            for pair in pairs(24):
                content, painting = (read_picture(p).tensor() for p in files(args.assets, pair))
                for name, picture in (("content", content), ("style", painting)):
                    d = judge.distances(picture, content, painting)
                    row = {"method": "controls", "pair": pair, "strength": name, "seconds": 0.0}
                    row |= {"fine": round(d.fine, 4), "strokes": round(d.strokes, 4), "content": round(d.content, 4)}
                    file.write(json.dumps(row) + "\n")


def table(args: argparse.Namespace) -> None:
    """Medians at the ladder's strengths, and at equal content distance, interpolated pair by pair."""
    kept = rows()
    methods = [m for m in (*SPECS, "controls") if any(r["method"] == m for r in kept)]
    print(f"{'method':10} {'strength':>8} {'pairs':>5} {'fine':>6} {'strokes':>7} {'content':>7} {'seconds':>7}")
    for method in methods:
        for strength in sorted({str(r["strength"]) for r in kept if r["method"] == method}):
            some = [r for r in kept if r["method"] == method and str(r["strength"]) == strength]
            fine, strokes, content, seconds = (
                np.median([r[k] for r in some]) for k in ("fine", "strokes", "content", "seconds")
            )
            print(f"{method:10} {strength:>8} {len(some):5} {fine:6.3f} {strokes:7.3f} {content:7.3f} {seconds:7.2f}")
    print("\nat equal content distance, medians over the pairs where every method reaches it")
    ladders = [m for m in methods if m != "controls"]
    for at in AT:
        found = {m: interpolated([r for r in kept if r["method"] == m], at) for m in ladders}
        for group in (ladders, *([m for m in ladders if m != "long"],) * ("long" in ladders)):
            common = set.intersection(*(set(found[m]) for m in group)) if group else set()
            for m in group:
                if common:
                    fine, strokes = np.median([found[m][p] for p in common], 0)
                    print(f"content {at}: {m:10} fine {fine:.3f} strokes {strokes:.3f} ({len(common)} pairs)")


def interpolated(kept: list[dict], at: float) -> dict[tuple[int, int], tuple[float, float]]:
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
    network = Network.load(SPECS[args.method])
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
    one.add_argument("methods", nargs="+", choices=list(SPECS))
    one.add_argument("--pairs", type=int, default=24)
    one.add_argument("--strengths", type=float, nargs="+")
    one.add_argument("--pictures", type=Path, help="folder to keep the pictures in")
    one.set_defaults(do=run)
    two = commands.add_parser("table")
    two.set_defaults(do=table)
    three = commands.add_parser("sheet")
    three.add_argument("method", choices=list(SPECS))
    three.add_argument("--pairs", type=int, default=24)
    three.add_argument("--strength", type=float, default=0.5)
    three.add_argument("-o", "--output", type=Path, required=True)
    three.set_defaults(do=sheet)
    args = parser.parse_args()
    args.do(args)


if __name__ == "__main__":
    main()
