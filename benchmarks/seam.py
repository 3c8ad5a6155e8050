"""Seams of results that repeat: differences across the seam beside those inside the picture.

    python benchmarks/seam.py [--size 512] [--tile both] [PHOTO PAINTING]...

For both methods, with ``tile`` and without, of every pair and at the end the means: the mean difference of neighbouring
pixels across the seam and inside; and the largest step between the mean colours of neighbouring lines, near the seam
and inside. The step near the seam finds a line that runs along it, which the difference across it need not show. In a
picture without a seam the first are not above the second.
"""

import argparse
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

import artune
from artune.assets import sample_photo, sample_style
from artune.images.picture import Floats

AXES = {"x": 1, "y": 0}
NEAR = 4
"""Lines to each side of the seam that are near it."""


class Jumps(NamedTuple):
    """Differences of neighbouring pixels, and of the mean colours of neighbouring lines, of all channels.

    Attributes:
        seam_most: the largest across the seam.
        inside_most: the largest inside.
        seam_mean: mean across the seam.
        inside_mean: mean inside.
        seam_step: the largest between two lines of which one is near the seam.
        inside_step: the largest between other lines.
    """

    seam_most: float
    inside_most: float
    seam_mean: float
    inside_mean: float
    seam_step: float
    inside_step: float


def jumps(pixels: Floats, axis: int) -> Jumps:
    """The differences of a picture ``[h, w, 3]`` along an axis: 0 is down, 1 is across."""
    seam = np.abs(np.take(pixels, 0, axis) - np.take(pixels, -1, axis))
    inside = np.abs(np.diff(pixels, axis=axis))
    lines = np.moveaxis(pixels, axis, 0).mean(1)
    near = min(NEAR, len(lines) // 4)
    steps = np.abs(np.diff(lines, axis=0, append=lines[:1])).max(1)  # the last one is that of the seam
    steps = np.roll(steps, near + 1)
    by_seam, farther = steps[: 2 * near + 1], steps[2 * near + 1 :]
    found = seam.max(), inside.max(), seam.mean(), inside.mean(), by_seam.max(), farther.max()
    return Jumps(*map(float, found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="*", help="photographs and paintings in turn; default: the samples")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--tile", choices=["x", "y", "both"], default="both")
    parser.add_argument("--strength", type=float, default=0.7)
    args = parser.parse_args()
    samples = [("astronaut", "strokes"), ("cat", "woodcut"), ("coffee", "mosaic")]
    pictures = args.pictures or [str(file) for a, b in samples for file in (sample_photo(a), sample_style(b))]
    print(f"{'method':9} {'tile':5} {'axis':5} {'seam: mean, step':17} {'inside: mean, step':19} pictures")
    all_found: dict[tuple[str, str], list[Jumps]] = {}
    for photo, painting in zip(pictures[::2], pictures[1::2], strict=True):
        pair = f"{Path(photo).stem}, {Path(painting).stem}"
        for method, tile in product((artune.Instant(), artune.Optimise()), (args.tile, "none")):
            given = {"size": args.size, "strength": args.strength, "method": method, "tile": tile}
            pixels = artune.style(photo, painting, **given).picture.pixels
            for name in AXES if args.tile == "both" else [args.tile]:
                found = jumps(pixels, AXES[name])
                all_found.setdefault((method.kind, tile), []).append(found)
                show(method.kind, tile, name, found, pair)
    for (kind, tile), found_here in all_found.items():
        show(kind, tile, "", Jumps(*np.mean(found_here, axis=0)), "means")


def show(kind: str, tile: str, axis: str, found: Jumps, what: str) -> None:
    """Print a line of the table."""
    seam = f"{found.seam_mean:.3f}, {found.seam_step:.3f}"
    inside = f"{found.inside_mean:.3f}, {found.inside_step:.3f}"
    print(f"{kind:9} {tile:5} {axis:5} {seam:17} {inside:19} {what}", flush=True)


if __name__ == "__main__":
    main()
