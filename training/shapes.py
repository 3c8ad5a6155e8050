"""Which shape for the compact network: each is distilled equally long, then makes pictures.

    python training/shapes.py --assets DIR --work DIR --start FILE [--steps 600] [--only "first stage 24" ...]

A line per shape: multiply-adds per pixel, the share of the teachers' variance that is missed on held-out crops, and
fine and strokes in SqueezeNet of twelve pairs, at equal content distance. ``--work`` is the folder of the targets
(``distill.py targets``); finished shapes are kept there, and not trained again. ``--compare LOG`` prints the medians
over the pairs that all shapes in a log of such lines have, or all of ``--only``.
"""

import argparse
import json
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from distill import parser as options
from distill import stages, train
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from artune.api import style
from artune.backbones.base import Image, PlainPass
from artune.backbones.compact import MARGIN, Compact, CompactConfig
from artune.backbones.network import Network
from artune.images.read import read_picture
from artune.machine import choose_precision
from artune.spec.style import StyleSpec

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from quality import Row, candidate, files, interpolated, measured, pairs, referee

CONTENT = 0.65
"""Content distance at which the pictures are compared."""
BASE = "16/32-32/64-64-64/96-96-128/128-128"
POOLINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "average": lambda x: F.avg_pool2d(x, 2),
    "max": lambda x: F.max_pool2d(x, 2),
}


@dataclass(frozen=True)
class Shape:
    """What is varied; the taps are five throughout.

    Attributes:
        channels: of every convolution, stage by stage.
        pooling: a key of ``POOLINGS``.
        border: what the convolutions see around a picture.
        slope: of the activation below zero.
        dilation: of the convolutions of the last stage.
        moments: weight of the error in mean and covariance.
        gradients: weight of the error in the style gradient.
        muon: whether Muon trains the convolutions.
        start: whether it begins with the weights of ``--start``.
    """

    channels: str = BASE
    pooling: str = "average"
    border: Literal["zeros", "replicate"] = "replicate"
    slope: float = 0.0
    dilation: int = 1
    moments: float = 0.1
    gradients: float = 0.0
    muon: bool = False
    start: bool = False

    @property
    def plain(self) -> bool:
        """Whether it is one that ``Compact`` has."""
        return (self.pooling, self.border, self.dilation) == ("average", "replicate", 1)


BEST: dict[str, Any] = {"slope": 0.1, "moments": 0.0, "muon": True, "start": True}
"""What won on ``BASE``: the tries after it differ in what is named."""
DEEP_WIDER = "16/32-32/64-64-64/128-128-192/192-192"

SHAPES = {
    "base": Shape(),
    "narrow": Shape("12/24-24/48-48-48/64-64-96/96-96"),
    "wide": Shape("24/32-32/64-64-64/128-128-128/128-128"),
    "shallow": Shape("16/32/64-64/128-128/128-128"),
    "max": Shape(pooling="max"),
    "zeros": Shape(border="zeros"),
    "leaky": Shape(slope=0.1),
    "features alone": Shape(moments=0.0),
    "both": Shape(slope=0.1, moments=0.0),
    "both, Muon": Shape(slope=0.1, moments=0.0, muon=True),
    "both, Muon, inherited": Shape(**BEST),
    "deep taps wider": Shape(DEEP_WIDER, **BEST),
    "deep taps twice as wide": Shape("16/32-32/64-64-64/128-128-256/256-256", **BEST),
    "deep taps wider, moments": Shape(DEEP_WIDER, **{**BEST, "moments": 0.1}),
    "deep taps wider, gradients": Shape(DEEP_WIDER, gradients=1.0, **BEST),
    "deep taps wider, dilated": Shape(DEEP_WIDER, dilation=2, **BEST),
    "first stage 24": Shape("24/32-32/64-64-64/96-96-128/128-128", **BEST),
    "all taps wider": Shape("24/32-48/64-64-96/128-128-192/192-192", **BEST),
}


class Shaped(Compact):
    """A compact network with another pooling, border or dilation, in plain operations."""

    def __init__(self, shape: Shape, margin: int = 0) -> None:
        stages_of = tuple(tuple(map(int, s.split("-"))) for s in shape.channels.split("/"))
        super().__init__(CompactConfig(stages_of, shape.slope), margin)
        self.pool = POOLINGS[shape.pooling]
        for stage in stages(self):
            for conv in stage:
                if conv.padding != (0, 0):
                    conv.padding_mode = shape.border
        wide: dict[str, Any] = {"padding": shape.dilation, "dilation": shape.dilation, "padding_mode": shape.border}
        last = (nn.Conv2d(conv.in_channels, conv.out_channels, 3, **wide) for conv in stages(self)[-1])
        self.stages[-1] = nn.ModuleList(last)
        self.border = shape.border

    def padded(self, image: Image) -> Tensor:
        x = super().padded(image)
        if self.border == "zeros":  # in place of what was repeated
            frame = self.margin + 1
            x = F.pad(image, (frame, x.shape[3] - image.shape[3] - frame, frame, x.shape[2] - image.shape[2] - frame))
        return x.to(next(self.parameters()).dtype, memory_format=torch.channels_last)

    def make_pass(self, taps: Collection[str], summed: Collection[str]) -> PlainPass:
        return PlainPass(self, taps, summed)  # the pass in one function knows no other pooling or border

    def pooled(self, x: Tensor) -> Tensor:
        return self.pool(x)


def ready(backbone: Shaped) -> Network:
    """A trained network of a shape that ``Compact`` does not have, in the machine's best precision."""
    dtype = choose_precision("auto", torch.device("cpu"))
    backbone = backbone.eval().requires_grad_(False).to(dtype).to(memory_format=torch.channels_last)
    return Network(backbone, "compact", "max", "", torch.device("cpu"), dtype)


def distances(network: Network, assets: Path) -> dict[str, tuple[float, float]]:
    """Fine and strokes of each of twelve pairs at 256 pixels, where its content distance is ``CONTENT``."""
    judge = referee(assets)
    found: list[Row] = []
    for pair in pairs(12):
        content, painting = (read_picture(path) for path in files(assets, pair))
        for strength in (0.3, 0.6, 0.9):
            result = style(content, painting, spec=StyleSpec(strength=strength, size=256), network=network)
            found.append({"pair": pair, **measured(judge, (result.picture, content, painting))})
    reached = sorted(interpolated(found, CONTENT).items())
    return {f"{a} {b}": (round(fine, 3), round(strokes, 3)) for (a, b), (fine, strokes) in reached}


def compare(lines: Sequence[str], only: Collection[str] | None) -> None:
    """Print the medians of fine and strokes over the pairs that all of some shapes in a log have."""
    rows = {row["shape"]: row for row in map(json.loads, lines) if "pairs" in row}
    if lacking := sorted({*(only or [])} - rows.keys()):
        raise SystemExit(f"the log has no pictures of {', '.join(lacking)}")
    rows = {shape: row for shape, row in rows.items() if only is None or shape in only}
    common = sorted(set.intersection(*(set(row["pairs"]) for row in rows.values()))) if rows else []
    if not common:
        raise SystemExit("no pair of which all shapes have pictures")
    print(f"{len(common)} pairs")
    for name, row in rows.items():
        fine, strokes = np.median([row["pairs"][pair] for pair in common], 0)
        print(f"{name:28} {row['cost']:6} fine {fine:.3f} strokes {strokes:.3f} {row['error']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--compare", type=Path)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--start", type=Path, help="weights of BASE, for the tries that begin with them")
    parser.add_argument("--only", nargs="+", choices=list(SHAPES), help="default: all")
    args = parser.parse_args()
    if args.compare:
        if not args.compare.is_file():
            parser.error(f"there is no log {args.compare}")
        compare(args.compare.read_text().splitlines(), args.only)
        return
    wanted = args.only or list(SHAPES)
    if args.assets is None or args.work is None:
        parser.error("--assets and --work are needed")
    if args.start is None and any(SHAPES[name].start for name in wanted):
        parser.error("--start is needed, or --only with tries that begin with nothing")
    for name in wanted:
        shape, output = SHAPES[name], args.work / f"shape-{name.replace(' ', '-')}-{args.steps}.safetensors"
        line = f"train --steps {args.steps} --every {args.steps} --first 1000 --moments {shape.moments}".split()
        line += ["--muon"] if shape.muon else []
        line += ["--start", str(args.start)] if shape.start else []
        line += ["--gradients", str(shape.gradients)] if shape.gradients else []
        places = ["--assets", str(args.assets), "--work", str(args.work), "--output", str(output)]
        line += ["--shape", shape.channels, "--slope", str(shape.slope)]
        model = None if shape.plain else Shaped(shape)
        train(options().parse_args(line + places), model)
        if shape.plain:
            network = candidate(output)
        else:
            shown = Shaped(shape, MARGIN)
            shown.load_state_dict(load_file(output))
            network = ready(shown)
        last = json.loads(output.with_suffix(".jsonl").read_text().splitlines()[-1])
        row = {"shape": name, **vars(shape), "cost": last["cost"], "error": last["error"]}
        print(json.dumps(row | {"pairs": distances(network, args.assets)}), flush=True)


if __name__ == "__main__":
    main()
