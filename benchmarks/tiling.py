"""Tiles: how exact they are, and the memory and the time of a large picture.

    python benchmarks/tiling.py [--size 8192] [--memory 6GiB] [--threads 2] [PHOTO PAINTING OUT]

Exactness is the relative error of the gradient in tiles beside that of the whole, in fp32. The large picture is made by
the command line, in a process of its own, whose peak resident memory the system tells.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from objectives import objective_at

from artune.assets import sample_photo, sample_style
from artune.backbones.network import Network
from artune.backbones.vgg import VGG
from artune.images.read import read_picture
from artune.spec.style import Optimise, StyleSpec


def error(network: Network, height: int, width: int, side: int, loss: str) -> float:
    """Relative error of the gradient at a picture between the photograph and the painting."""
    content = read_picture(sample_photo("astronaut")).resized(width, height)
    painting = read_picture(sample_style("strokes")).resized(width, height)
    size = max(width, height)
    method = Optimise(network=network.name, loss={loss: 1.0})
    given = (size, content, painting, StyleSpec(size=size, strength=0.5, precision="fp32", method=method), network)
    x = content.tensor().lerp(painting.tensor(), 0.3)
    whole, parts = (objective_at(*given, tiles)[0](x, 0).gradient for tiles in (None, side))
    return float((parts - whole).norm() / whole.norm())


def random_vgg() -> Network:
    """VGG-19 with weights that keep the variance from layer to layer (He et al. 2015)."""
    torch.manual_seed(0)
    backbone = VGG()
    for name, parameter in backbone.named_parameters():
        torch.nn.init.kaiming_normal_(parameter) if name.endswith("weight") else torch.nn.init.zeros_(parameter)
    backbone.eval().requires_grad_(False)
    return Network(backbone, "vgg19", "max", "random", torch.device("cpu"), torch.float32)


def large(photo: str, painting: str, out: str, *more: str, threads: int) -> tuple[float, float, dict[str, object]]:
    """Seconds and peak resident GiB of the command, and its record."""
    command = [
        sys.executable,
        "-m",
        "artune",
        "style",
        photo,
        painting,
        "-o",
        out,
        "--strength",
        "0.5",
        "--json",
        "--overwrite",
        *more,
    ]
    # a small process starts the command: a child's peak counts from what its parent held
    code = (
        "import resource, subprocess, sys, time; began = time.perf_counter(); "
        "done = subprocess.run(sys.argv[1:], check=True, capture_output=True, text=True); print(done.stdout); "
        "print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20)"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    small = [sys.executable, "-c", code, *command]
    said = subprocess.run(small, env=environment, check=True, capture_output=True, text=True).stdout
    record, measured = said.strip().rsplit("\n", 1)
    seconds, memory = map(float, measured.split())
    return seconds, memory, json.loads(record)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="*", help="photograph, painting and result; default: the samples")
    parser.add_argument("--size", default="8192")
    parser.add_argument("--memory", default="6GiB")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", default="auto")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    print("(a) relative error of the gradient in fp32, in tiles beside the whole")
    compact = Network.load(StyleSpec(precision="fp32"))
    for name, network in (("compact", compact), ("vgg19, random", random_vgg())):
        for height, width, side in ((512, 768, 256), (717, 613, 208)):
            found = {loss: error(network, height, width, side, loss) for loss in ("w2", "gram")}
            shown = ", ".join(f"{loss} {value:.1e}" for loss, value in found.items())
            print(f"    {name:14} {width}x{height}, tiles of {side}: {shown}")

    with tempfile.TemporaryDirectory() as folder:
        pictures = args.pictures or [sample_photo("astronaut"), sample_style("strokes"), Path(folder) / "out.png"]
        photo, painting, out = map(str, pictures)
        options = ("--size", args.size, "--memory", args.memory, "--precision", args.precision)
        print(f"(b) {photo} in the style of {painting}, {' '.join(options)}, {args.threads} threads")
        seconds, memory, record = large(photo, painting, out, *options, threads=args.threads)
    print(f"    {seconds:.0f} s, {memory:.2f} GiB resident at the peak, {record['steps']} steps, {record['end']}")


if __name__ == "__main__":
    main()
