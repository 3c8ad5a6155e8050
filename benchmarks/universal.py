"""Universal style transfer: how well its stages make a picture again, and its three transforms side by side.

    python benchmarks/universal.py --assets DIR stages
    python benchmarks/universal.py --assets DIR transforms --pairs 6 -o sheet.png
    python benchmarks/universal.py --assets DIR transforms --pairs 6 --methods wct transport instant

``stages`` encodes and decodes the 20 photographs of the StyleID set, and prints the PSNR of each stage. ``transforms``
makes pictures with the same encoders and decoders, by whitening and colouring, by the mean and deviation of each
channel, and by the optimal transport, beside the painter's. It prints medians of the referee's distances
(``artune.metrics.perceptual``) for each strength, and at equal content distance over the pairs that all methods reach.
The sheet has a row for each pair: photograph, painting, and the results at the middle strength of each method.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from quality import SIZE, Row, files, interpolated, measured, pairs, referee

from artune.api import style
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.machine import keep_freed_memory
from artune.networks.loaded import PainterNetwork
from artune.networks.transforms import TRANSFORMS
from artune.networks.wct import WCTNetwork
from artune.spec.style import LEVELS, WCT, Instant, StyleSpec

SIDE = 256
"""Side of a picture of the sheet, pixels."""
STRENGTHS = (0.3, 0.6, 1.0)
PAINTED = (0.25, 0.4, 0.667, 0.889, 0.974)
"""Strengths of the painter."""
METHODS = (*TRANSFORMS, "instant")
AT = (0.5, 0.55, 0.6)
"""Content distances at which the methods are compared."""


def universal(assets: Path) -> WCTNetwork:
    return WCTNetwork.load(StyleSpec(method=WCT()), assets / "weights/wct-16x.safetensors")


def reconstructions(network: WCTNetwork, photographs: list[Picture]) -> dict[str, list[float]]:
    """PSNR of each photograph, encoded and decoded at each level, in decibels."""
    found: dict[str, list[float]] = {level: [] for level in LEVELS}
    for photograph in photographs:
        image = photograph.tensor()
        for level, values in found.items():
            with torch.no_grad():
                again = network.network.decode(network.network.encode(image, level), level).clamp(0, 1)
            values.append(-10 * float((again - image).square().mean().log10()))
    return found


def stages(args: argparse.Namespace) -> None:
    photographs = [read_picture(path) for path in sorted((args.assets / "data/styleid/content").iterdir())]
    for level, values in reconstructions(universal(args.assets), photographs).items():
        print(f"{level}: mean {np.mean(values):.1f} dB, {min(values):.1f} .. {max(values):.1f}")


def transforms(args: argparse.Namespace) -> None:
    judge, network, painter = referee(args.assets), universal(args.assets), PainterNetwork.load(StyleSpec())
    strengths = {name: PAINTED if name == "instant" else STRENGTHS for name in args.methods}
    found: list[Row] = []
    sheet = []
    for pair in pairs(args.pairs):
        content, painting = (read_picture(path) for path in files(args.assets, pair))
        row = [content, painting]
        for name, each in strengths.items():
            method = WCT.model_validate({"transform": name}) if name in TRANSFORMS else Instant()
            for strength in each:
                spec = StyleSpec(method=method, strength=strength, size=args.size)
                picture = style(content, painting, spec=spec, network=painter if name == "instant" else network).picture
                distances = measured(judge, (picture, content, painting))
                found.append({"method": name, "pair": pair, "strength": strength, **distances})
                if strength == each[len(each) // 2]:
                    row.append(picture)
        sheet.append(row)
        print(f"pair {pair} done", file=sys.stderr, flush=True)
    print(f"{'method':10} {'strength':>8} {'fine':>6} {'strokes':>7} {'content':>7}")
    for name, each in strengths.items():
        for strength in each:
            some = [row for row in found if (row["method"], row["strength"]) == (name, strength)]
            fine, strokes, content = (np.median([row[key] for row in some]) for key in ("fine", "strokes", "content"))
            print(f"{name:10} {strength:8} {fine:6.3f} {strokes:7.3f} {content:7.3f}")
    for at in args.at:
        nearest = {name: interpolated([row for row in found if row["method"] == name], at) for name in strengths}
        common = set.intersection(*(set(reached) for reached in nearest.values()))
        for name, reached in nearest.items():
            if common:
                fine, strokes = np.median([reached[pair] for pair in common], 0)
                print(f"content {at}: {name:10} fine {fine:.3f} strokes {strokes:.3f} ({len(common)} pairs)")
    if args.output:
        write_sheet(sheet, args.output)


def write_sheet(rows: list[list[Picture]], path: Path) -> None:
    """Rows of pictures, side by side."""
    page = Image.new("RGB", (SIDE * len(rows[0]), SIDE * len(rows)))
    for down, row in enumerate(rows):
        for right, picture in enumerate(row):
            page.paste(picture.to_pil().resize((SIDE, SIDE), Image.Resampling.LANCZOS), (right * SIDE, down * SIDE))
    page.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, required=True)
    commands = parser.add_subparsers(required=True)
    commands.add_parser("stages").set_defaults(do=stages)
    of_transforms = commands.add_parser("transforms")
    of_transforms.add_argument("--pairs", type=int, default=6)
    of_transforms.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    of_transforms.add_argument("--size", type=int, default=SIZE)
    of_transforms.add_argument("--at", type=float, nargs="+", default=AT, help="content distances to compare at")
    of_transforms.add_argument("-o", "--output", type=Path, help="sheet of pictures")
    of_transforms.set_defaults(do=transforms)
    args = parser.parse_args()
    keep_freed_memory()
    args.do(args)


if __name__ == "__main__":
    main()
