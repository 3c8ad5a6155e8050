"""The exported painter in ONNX Runtime beside the same module in PyTorch, and beside the method ``instant``.

    artune export painter -o FOLDER
    python benchmarks/exported.py FOLDER [--sizes 256 512 1024] [--runs 5] [--threads 2]

Milliseconds to read a painting and to paint a photograph of 4:3, which are the package's samples: medians of the runs,
by turns, after one that does not count. ``instant`` reads both pictures before, as ``artune.prepare`` does. Then how
far the pictures are from each other: peak signal-to-noise ratio in dB. Up to 640 pixels the files for small pictures
run, above it those for large ones.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

import artune
from artune.assets import sample_photo, sample_style
from artune.images.read import read_picture
from artune.networks.loaded import PainterNetwork
from artune.networks.portable import LARGE, SMALL, PortablePainter, PortablePainting, PortableReading, PortableStep
from artune.spec.style import StyleSpec

STRENGTH = 0.7
LARGEST_SMALL = 640
"""Largest size of the files for small pictures, pixels."""
Array = NDArray[np.float32]


def psnr(a: Array, b: Array) -> float:
    """Of two pictures, dB."""
    return float(-10 * np.log10(np.square(a - b).mean()))


def milliseconds(calls: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Median time of each call; all by turns, so that what else the machine does falls on all."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for run in range(runs + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if run:
                times[name].append(1e3 * (time.perf_counter() - began))
    return {name: median(each) for name, each in times.items()}


def measure(folder: Path, size: int, runs: int, threads: int) -> tuple[dict[str, float], dict[str, float]]:
    """Times, and distances of the pictures, at one size."""
    photo = read_picture(sample_photo("cat")).resized(size, size * 3 // 4)
    painting = read_picture(sample_style("strokes")).resized(size, size * 3 // 4)
    small = size <= LARGEST_SMALL
    painter = PainterNetwork.load(StyleSpec(device="cpu")).painter
    sizes, suffix = (SMALL, "") if small else (LARGE, "-large")
    taps = {each.taps for each in sizes}
    read = PortablePainting(sizes, {each: PortableReading(painter, each) for each in taps})
    paint = PortablePainter(painter, sizes, {each: PortableStep(painter, each) for each in taps})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    reader, runtime = (
        onnxruntime.InferenceSession(folder / f"{name}{suffix}.onnx", options, providers=["CPUExecutionProvider"])
        for name in ("painting", "painter")
    )
    image, strokes, strength = photo.tensor(), painting.tensor(), torch.tensor([STRENGTH])
    whole = artune.Masked(painting, np.ones(painting.size[::-1]))  # of which no border is cut off
    prepared = artune.prepare(photo, whole, size=size)
    style = read(strokes)
    (style_read,) = reader.run(None, {"painting": strokes.numpy()})  # so that what differs in either file counts
    inputs = {"photograph": image.numpy(), "style": style_read, "strength": strength.numpy()}
    calls: dict[str, Callable[[], object]] = {
        "read: ONNX Runtime": lambda: reader.run(None, {"painting": strokes.numpy()}),
        "read: PyTorch": lambda: read(strokes),
        "paint: ONNX Runtime": lambda: runtime.run(None, inputs),
        "paint: PyTorch": lambda: paint(image, style, strength),
        "paint: instant": lambda: prepared(STRENGTH),
    }
    (made,) = runtime.run(None, inputs)
    distances = {
        "PyTorch": psnr(made, paint(image, style, strength).numpy()),
        "instant": psnr(made, prepared(STRENGTH).picture.tensor().numpy()),
    }
    return milliseconds(calls, runs), distances


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for size in args.sizes:
        times, distances = measure(args.folder, size, args.runs, args.threads)
        print(f"{size} px, {args.threads} threads")
        for name, value in times.items():
            print(f"  {name:20} {value:8.1f} ms")
        for name, value in distances.items():
            print(f"  from {name:15} {value:8.1f} dB", flush=True)


if __name__ == "__main__":
    main()
