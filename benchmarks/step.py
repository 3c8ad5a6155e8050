"""A step of the bundled network against its convolutions: time and memory, one or several versions by turns.

    python benchmarks/step.py [--sizes 128 256 512 1024] [--runs 3] [--source DIR ...] [--plain]

For each size and precision: milliseconds of a whole step (loss, gradient, update); of its convolutions alone, forward
and for the gradient of the picture, as PyTorch computes them; of as many multiply-adds at the speed of the fastest
matrix product in any process; the share of this in the step; and the peak of the process's memory. Medians of the runs,
each a process of its own. With several ``--source`` (folders to put on PYTHONPATH) they take turns; each has the
network that it bundles. ``--plain`` adds the last one with the pass of any network, by autograd.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Literal, cast

import torch
from objectives import objective_at
from torch.nn import functional as F

from artune.assets import sample_photo, sample_style
from artune.backbones.base import Backbone
from artune.backbones.compact import Compact
from artune.backbones.network import Network
from artune.engine.descend import descend
from artune.engine.optimisers import Adam
from artune.images.read import read_picture
from artune.machine import has_bf16, keep_freed_memory
from artune.spec.style import StyleSpec

PRODUCT = 1536
"""Side of the matrices whose product stands for the machine's peak."""


def median_time(f: Callable[[], object], seconds: float) -> float:
    """Median time of one call; the first ones warm up."""
    f()
    times: list[float] = []
    while sum(times) < seconds or len(times) < 5:
        began = time.perf_counter()
        f()
        times.append(time.perf_counter() - began)
    return median(times)


def convolutions(network: Network, height: int, width: int) -> tuple[Callable[[], object], float]:
    """All convolutions of a step, and their multiply-adds.

    They have the size of the picture: the margin around it is what a step does besides.
    """
    calls: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    count = 0.0
    for number, stage in enumerate(cast(Sequence[Sequence[torch.nn.Conv2d]], network.backbone.stages)):
        h, w = height >> number, width >> number
        for conv in stage:
            out, channels = conv.weight.shape[:2]
            x, slope = (
                torch.randn(shape).to(network.dtype).contiguous(memory_format=torch.channels_last)
                for shape in ((1, channels, h + 2, w + 2), (1, out, h, w))
            )
            calls.append((x, conv.weight, slope))
            count += 2 * 9 * channels * out * h * w

    def run() -> None:
        for x, weight, slope in calls:
            F.conv2d(x, weight)
            torch.ops.aten.convolution_backward(
                slope, x, weight, None, (1, 1), (0, 0), (1, 1), False, (0, 0), 1, (True, False, False)
            )

    return run, count


def measure(size: int, precision: Literal["fp32", "bf16"], seconds: float, *, plain: bool) -> dict[str, float]:
    """The figures of one process."""
    keep_freed_memory()
    if plain:
        Compact.make_pass = Backbone.make_pass  # type: ignore[method-assign]
    spec = StyleSpec(size=size, strength=0.5, precision=precision)
    network = Network.load(spec)
    content, painting = (
        read_picture(file).resized(size, size * 3 // 4) for file in (sample_photo("cat"), sample_style("strokes"))
    )
    objective, photograph = objective_at(size, content, painting, spec, network)
    steps = descend(objective, photograph, Adam(), steps=10**6, average=0.95)
    step = median_time(lambda: next(steps), seconds)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    run, count = convolutions(network, *photograph.shape[-2:])
    with torch.no_grad():
        alone = median_time(run, seconds)
        a, b = (torch.randn(PRODUCT, PRODUCT).to(network.dtype) for _ in range(2))
        product = median_time(lambda: a @ b, seconds / 2)
    return {
        "step": 1e3 * step,
        "convolutions": 1e3 * alone,
        "products": count / PRODUCT**3,
        "product": 1e3 * product,
        "memory": memory,
    }


def alone(source: str | None, size: int, precision: str, seconds: float, *, plain: bool) -> dict[str, float]:
    """The figures of a new process."""
    command = [sys.executable, __file__, "--one", str(size), precision, "--seconds", str(seconds)]
    command += ["--plain"] if plain else []
    environment = dict(os.environ) | ({"PYTHONPATH": source} if source else {})
    done = subprocess.run(command, env=environment, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"a process of {size} pixels in {precision} failed: see above")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512, 1024])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each figure of a process")
    parser.add_argument("--source", action="append", default=None)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(int(args.one[0]), args.one[1], args.seconds, plain=args.plain)))
        return
    versions = [(source, False) for source in args.source or [None]]
    versions += [(versions[-1][0], True)] if args.plain else []
    print(f"{'':24} step ms  convolutions  at peak   share    MB")
    for size in args.sizes:
        for precision in ("fp32", "bf16") if has_bf16(torch.device("cpu")) else ("fp32",):
            found: dict[tuple[str | None, bool], list[dict[str, float]]] = {}
            for _ in range(args.runs):
                for source, plain in versions:
                    figures = alone(source, size, precision, args.seconds, plain=plain)
                    found.setdefault((source, plain), []).append(figures)
            fastest = min(each["product"] for some in found.values() for each in some)
            for (source, plain), some in found.items():
                step, convolutions, products, memory = (
                    median(each[name] for each in some) for name in ("step", "convolutions", "products", "memory")
                )
                peak = products * fastest
                where = (f"  {Path(source)}" if source else "") + ("  plain" if plain else "")
                print(
                    f"{size:5} x {size * 3 // 4:4} px  {precision:8} {step:8.1f} {convolutions:12.1f} {peak:9.1f} "
                    f"{peak / step:7.0%} {memory:6.0f}{where}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
