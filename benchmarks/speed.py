"""How fast: one table, in one run, on the same inputs, with two threads. Takes some minutes.

    python benchmarks/speed.py [--threads 2]

(a) the machine's peaks; (b) a whole step at 512x512 (loss, gradient, update), its share of the peak, and its ratio to
a step of PyTorch's tutorial, which is also shown with artune's setting of the memory allocator; (c) the whole command
in both precisions, beside 300 L-BFGS steps of the tutorial; (d) time against size. Weights do not change the time, so
VGG-19's are random.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import torch
from objectives import objective_at
from torch import Tensor, nn

from artune.assets import sample_photo, sample_style
from artune.backbones.network import Network
from artune.backbones.vgg import VGG
from artune.engine.descend import descend
from artune.engine.optimisers import Adam
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.machine import has_bf16, keep_freed_memory
from artune.spec.style import Optimise, StyleSpec

KINDS: dict[Literal["fp32", "bf16"], torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


def median_time(f: Callable[[], object], runs: int = 7) -> float:
    f()
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        f()
        times.append(time.perf_counter() - began)
    return sorted(times)[len(times) // 2]


def peak(dtype: torch.dtype) -> float:
    """Multiply-adds per second of a matrix product."""
    a, b = (torch.randn(2048, 2048).to(dtype) for _ in range(2))
    return 2048**3 / median_time(lambda: a @ b)


def inputs(size: int) -> tuple[Picture, Picture]:
    files = (sample_photo("astronaut"), sample_style("strokes"))
    content, painting = (read_picture(file).resized(size, size) for file in files)
    return content, painting


OURS = Optimise()
TUTORIAL = Optimise(
    content_layers={"conv2_2": 1.0},
    style_layers=dict.fromkeys(("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"), 1.0),
    loss={"gram": 1.0},
    tv=0.0,
)
"""The taps of PyTorch's tutorial."""
DEEP = ((1, 6, 11, 20, 29), 20)
"""artune's taps, relu1_1 .. relu5_1 with the content at relu4_1, as the tutorial numbers them."""


def step_time(network: Network, size: int, runs: int = 7, method: Optimise = OURS) -> float:
    """Seconds of a whole step of artune."""
    spec = StyleSpec(size=size, strength=0.5, method=method.model_copy(update={"network": network.name}))
    objective, photograph = objective_at(size, *inputs(size), spec, network)
    steps = descend(objective, photograph, Adam(), steps=runs + 2, average=0.95)
    next(steps)
    return median_time(lambda: next(steps), runs)


class Tutorial:
    """PyTorch's tutorial, as it stands: NCHW, fp32, mean squared errors of Gram matrices, L-BFGS.

    Args:
        size: side of the square picture, pixels.
        style: indices of torchvision's ``features``; the tutorial's are its conv_1 .. conv_5.
        content: one of these.
    """

    def __init__(self, size: int, style: tuple[int, ...] = (0, 2, 5, 7, 10), content: int = 7) -> None:
        from torchvision.models import vgg19

        layers = vgg19(weights=None).features.eval().requires_grad_(False)
        for layer in layers:
            if isinstance(layer, nn.ReLU):
                layer.inplace = False
        self.layers, self.taps, self.place = layers[: style[-1] + 1], style, style.index(content)
        photograph, painting = (picture.tensor() for picture in inputs(size))
        self.styles = [self.gram(f) for f in self.features(painting)]
        self.content = self.features(photograph)[self.place]
        self.image = photograph.clone().requires_grad_()
        self.optimiser = torch.optim.LBFGS([self.image], max_iter=1)

    def features(self, x: Tensor) -> list[Tensor]:
        out = []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in self.taps:
                out.append(x)
        return out

    def gram(self, f: Tensor) -> Tensor:
        rows = f.flatten(2)[0]
        return rows @ rows.T / rows.numel()

    def closure(self) -> Tensor:
        self.optimiser.zero_grad()
        features = self.features(self.image)
        errors = [(self.gram(f) - s).square().mean() for f, s in zip(features, self.styles, strict=True)]
        loss = 1e6 * torch.stack(errors).sum() + (features[self.place] - self.content).square().mean()
        torch.autograd.backward(loss)
        return loss

    def step_time(self, runs: int = 5) -> float:
        """Seconds of one of its L-BFGS steps, of the first few: later ones have a longer history to work through."""
        return median_time(lambda: self.optimiser.step(self.closure), runs)  # type: ignore[no-untyped-call]


def tutorial_step(*, keep: bool, deep: bool) -> float:
    if keep:
        keep_freed_memory()
    return Tutorial(512, *DEEP).step_time(3) if deep else Tutorial(512).step_time()


def network_of(name: str, kind: Literal["fp32", "bf16"]) -> Network:
    """The bundled network, or VGG-19 with random weights."""
    if name == "compact":
        return Network.load(StyleSpec(precision=kind))
    backbone = VGG().eval().requires_grad_(False).to(KINDS[kind]).to(memory_format=torch.channels_last)
    return Network(backbone, name, "max", "random", torch.device("cpu"), KINDS[kind])


def artune_step(*, name: str, kind: Literal["fp32", "bf16"], tutorial_taps: bool) -> tuple[float, float]:
    """Seconds, and multiply-adds per pixel of a forward pass."""
    keep_freed_memory()
    network = network_of(name, kind)
    method, deepest = (TUTORIAL, "conv3_1") if tutorial_taps else (OURS, "relu5_1")
    runs = 25 if name == "compact" else 7
    return step_time(network, 512, runs, method), network.backbone.taps[deepest].cost


def alone(f: Callable[..., Any], threads: int, **options: object) -> Any:
    """What a function returns in a fresh process: what ran before has left no trace in its memory."""
    with ProcessPoolExecutor(1, get_context("spawn"), torch.set_num_threads, (threads,)) as pool:
        return pool.submit(f, **options).result()


def whole_command(precision: str, threads: int, strength: str) -> tuple[float, float]:
    """Wall seconds and peak memory in MB of the command at 512 pixels."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [
            sys.executable,
            "-m",
            "artune",
            "style",
            str(sample_photo("astronaut")),
            str(sample_style("strokes")),
        ]
        arguments += ["-o", str(Path(folder) / "out.png"), "--precision", precision, "--strength", strength, "--quiet"]
        # a small process starts the command: a child's peak counts from what its parent held
        code = (
            "import resource, subprocess, sys, time; began = time.perf_counter(); "
            "subprocess.run(sys.argv[1:], check=True); seconds = time.perf_counter() - began; "
            "print(seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
        )
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        small = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(small, env=environment, check=True, capture_output=True, text=True)
        seconds, memory = done.stdout.split()
        return float(seconds), float(memory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    kinds = {name: KINDS[name] for name in KINDS if name == "fp32" or has_bf16(torch.device("cpu"))}
    peaks = {name: peak(dtype) for name, dtype in kinds.items()}
    print(f"torch {torch.__version__}, {args.threads} threads")
    print("(a) matrix product 2048: " + ", ".join(f"{n} {2e-9 * p:.0f} GFLOP/s" for n, p in peaks.items()))

    print("(b) one step at 512x512 (forward and backward count as two passes), each in a process of its own")
    tutorial = alone(tutorial_step, args.threads, keep=False, deep=False)
    kept, deep = (alone(tutorial_step, args.threads, keep=keep, deep=not keep) for keep in (True, False))
    print(f"    the tutorial   vgg19    fp32  {1e3 * tutorial:7.0f} ms")
    print(f"    the same, keeping memory      {1e3 * kept:7.0f} ms, {'':16} {kept / tutorial:.3f} of the tutorial")
    print(f"    the tutorial, artune's taps   {1e3 * deep:7.0f} ms, {'':16} {deep / tutorial:.3f} of the tutorial")
    for name, title, tutorial_taps in (
        ("compact", "artune", False),
        ("vgg19", "artune", False),
        ("vgg19", "tutorial's taps", True),
    ):
        for kind in kinds:
            seconds, cost = alone(artune_step, args.threads, name=name, kind=kind, tutorial_taps=tutorial_taps)
            share = 2 * 512**2 * cost / seconds / peaks[kind]
            print(
                f"    {title:14} {name:8} {kind:5} {1e3 * seconds:7.0f} ms, "
                f"{share:4.0%} of the peak, {seconds / tutorial:.3f} of the tutorial"
            )
    keep_freed_memory()  # as the command does; from here on

    print("(c) the whole command at 512 pixels, start-up included")
    for kind in kinds:
        for title, strength in (("artune style", "auto"), ("with --strength 0.5", "0.5")):
            seconds, memory = whole_command(kind, args.threads, strength)
            print(
                f"    {title:24} {kind:5} {seconds:7.1f} s, {memory:5.0f} MB, "
                f"{seconds / (300 * tutorial):.3f} of the tutorial"
            )
    print(f"    the tutorial, 300 steps  fp32  {300 * tutorial:7.1f} s (extrapolated from 5 steps)")

    print("(d) one step of compact against size, in the fastest precision")
    network = network_of("compact", list(kinds)[-1])
    for size in (256, 512, 1024, 2048):
        seconds = step_time(network, size, runs=3)
        print(f"    {size:5} px {1e3 * seconds:8.0f} ms, {1e9 * seconds / size**2:5.0f} ns per pixel")


if __name__ == "__main__":
    main()
