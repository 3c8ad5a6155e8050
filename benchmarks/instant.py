"""The painter beside two other networks that paint: time, memory and share of the machine's peak, at several sizes.

    python benchmarks/instant.py [--sizes 256 512 1024 2048 4096] [--qualities draft normal best] [--runs 3]

The others are built here as their papers say, with random weights, which take the same time: AdaIN (Huang and Belongie
2017: VGG-19 to relu4_1, mirrored decoder) and the network of Johnson et al. (2016, with instance normalisation), which
knows one painting only. Milliseconds of what is done once for a pair (``read``: photograph and painting, or painting
alone), and of a picture once that was read (``paint``); thousands of multiply-adds a pixel of the latter, as PyTorch
counts them; their share of the speed of the fastest matrix product in any process; and the peak of the process's
memory. Medians of the runs, each a process of its own, by turns.
"""

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from statistics import median

import torch
from step import PRODUCT, median_time
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from artune import api
from artune.assets import sample_photo, sample_style
from artune.engine.descend import InParts, run_to_end
from artune.engine.modes import own_mode
from artune.images.read import read_picture
from artune.machine import keep_freed_memory
from artune.spec.style import Instant, StyleSpec
from artune.transfer import instant
from artune.transfer.canvas import Canvas
from artune.transfer.methods import plan_run

OTHERS_LIMIT = 1024
"""Largest size of the others, pixels: they need the picture as a whole, AdaIN 6 GiB at this size."""
Painted = tuple[Callable[[], object] | None, Callable[[], object]]
"""Functions that read a pair, if that is needed, and that paint it."""


def convolution(channels: int, out: int, side: int = 3, stride: int = 1) -> list[nn.Module]:
    """A convolution that repeats the border by reflection."""
    return [nn.ReflectionPad2d(side // 2), nn.Conv2d(channels, out, side, stride)]


def adain(photograph: Tensor, painting: Tensor) -> Painted:
    """AdaIN: VGG-19 to relu4_1, the decoder of the paper's code, and statistics of each channel."""
    encoder: list[nn.Module] = []
    channels = 3
    for stage, widths in enumerate(([64, 64], [128, 128], [256] * 4, [512])):
        encoder += [nn.MaxPool2d(2)] if stage else []
        for width in widths:
            encoder += [*convolution(channels, width), nn.ReLU()]
            channels = width
    decoder: list[nn.Module] = []
    for widths in ([512, 256], [256, 256, 256, 256, 128], [128, 128, 64], [64, 64, 3]):
        decoder += [nn.Upsample(scale_factor=2)] if decoder else []
        for channels, width in pairwise(widths):
            decoder += [*convolution(channels, width), nn.ReLU()]
    see, make = (nn.Sequential(*layers).to(memory_format=torch.channels_last) for layers in (encoder, decoder[:-1]))
    style = see(painting)

    def paint() -> object:
        content = see(photograph)
        deviation, mean = torch.std_mean(content, (2, 3), keepdim=True)
        wanted, centre = torch.std_mean(style, (2, 3), keepdim=True)
        return make((content - mean) / deviation * wanted + centre)

    return lambda: see(painting), paint


class Residual(nn.Module):
    """Two convolutions whose result is added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        parts = [*convolution(width, width), nn.InstanceNorm2d(width), nn.ReLU()]
        self.body = nn.Sequential(*parts, *convolution(width, width), nn.InstanceNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


def johnson(photograph: Tensor, painting: Tensor) -> Painted:
    """Johnson's network, which is trained for each painting."""
    layers: list[nn.Module] = []
    for channels, width, side, stride in ((3, 32, 9, 1), (32, 64, 3, 2), (64, 128, 3, 2)):
        layers += [*convolution(channels, width, side, stride), nn.InstanceNorm2d(width), nn.ReLU()]
    layers += [Residual(128) for _ in range(5)]
    for channels, width in ((128, 64), (64, 32)):
        layers += [nn.Upsample(scale_factor=2), *convolution(channels, width), nn.InstanceNorm2d(width), nn.ReLU()]
    make = nn.Sequential(*layers, *convolution(32, 3, 9)).to(memory_format=torch.channels_last)
    return None, lambda: make(photograph)


def painter(quality: str, size: int) -> Painted:
    """The painter of a quality."""
    spec = StyleSpec(size=size, strength=0.5, method=Instant(quality=quality))  # type: ignore[arg-type]
    pair = (read_picture(file).resized(size, size * 3 // 4) for file in (sample_photo("cat"), sample_style("strokes")))
    photograph, painting = pair
    run = plan_run(api.read(photograph, [painting], spec))

    def read() -> None:
        run.network.readings.clear()
        for rung in run.plan.method.rungs:
            run_to_end(instant.canvas_of(run, rung.size))

    canvases: dict[int, Canvas] = {}

    def kept(side: int) -> InParts[Canvas]:
        if side not in canvases:
            canvases[side] = yield from instant.canvas_of(run, side)
        return canvases[side]

    return read, lambda: [None for _ in instant.painted(run, kept)]


OTHERS: dict[str, Callable[[Tensor, Tensor], Painted]] = {"adain": adain, "johnson": johnson}


def measure(name: str, size: int, seconds: float) -> dict[str, float]:
    """The figures of one process."""
    keep_freed_memory()
    torch.manual_seed(0)
    with torch.no_grad(), own_mode():
        if name in OTHERS:
            image = torch.rand(1, 3, size * 3 // 4, size).contiguous(memory_format=torch.channels_last)
            read, paint = OTHERS[name](image, image.flip(3))
        else:
            read, paint = painter(name, size)
        paint()
        with FlopCounterMode(display=False) as counter:
            paint()
        painted = median_time(paint, seconds)
        before = median_time(read, seconds / 2) if read else 0.0
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        a, b = torch.randn(2, PRODUCT, PRODUCT)
        product = median_time(lambda: a @ b, seconds / 2)
    return {
        "read": 1e3 * before,
        "paint": 1e3 * painted,
        "adds": counter.get_total_flops() / 2,
        "product": 1e3 * product,
        "memory": memory,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024, 2048, 4096])
    parser.add_argument("--qualities", nargs="+", default=["draft", "normal", "best"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each figure of a process")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one[0], int(args.one[1]), args.seconds)))
        return
    print(f"{'':22} read ms  paint ms  k multiply-adds/px  share     MB")
    for size in args.sizes:
        names = [*args.qualities, *(name for name in OTHERS if size <= OTHERS_LIMIT)]
        found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for _ in range(args.runs):
            for name in names:
                command = [sys.executable, __file__, "--one", name, str(size), "--seconds", str(args.seconds)]
                done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
                if done.returncode:
                    raise SystemExit(f"a process of {name} at {size} pixels failed: see above")
                found[name].append(json.loads(done.stdout))
        fastest = min(run["product"] for runs in found.values() for run in runs)
        for name, runs in found.items():
            read, paint, adds, memory = (
                median(run[key] for run in runs) for key in ("read", "paint", "adds", "memory")
            )
            share = adds / PRODUCT**3 * fastest / paint
            print(
                f"{size:5} px  {name:10} {read:9.1f} {paint:9.1f} {adds / (size * (size * 3 // 4)) / 1e3:14.1f} "
                f"{share:11.0%} {memory:6.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
