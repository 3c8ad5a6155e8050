"""Seams of results that repeat: differences across the seam beside those inside the picture.

    python benchmarks/seam.py [--size 512] [--tile both] [PHOTO PAINTING]...

For both methods, with ``tile`` and without: largest and mean difference of neighbouring pixels, across the seam and
inside. In a picture without a seam the first are not above the second.
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


class Jumps(NamedTuple):
    """Differences of neighbouring pixels, of all channels.

    Attributes:
        seam_most: the largest across the seam.
        inside_most: the largest inside.
        seam_mean: mean across the seam.
        inside_mean: mean inside.
    """

    seam_most: float
    inside_most: float
    seam_mean: float
    inside_mean: float


def jumps(pixels: Floats, axis: int) -> Jumps:
    """The differences of a picture ``[h, w, 3]`` along an axis: 0 is down, 1 is across."""
    seam = np.abs(np.take(pixels, 0, axis) - np.take(pixels, -1, axis))
    inside = np.abs(np.diff(pixels, axis=axis))
    return Jumps(float(seam.max()), float(inside.max()), float(seam.mean()), float(inside.mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="*", help="photographs and paintings in turn; default: the samples")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--tile", choices=["x", "y", "both"], default="both")
    parser.add_argument("--strength", type=float, default=0.7)
    args = parser.parse_args()
    samples = [("astronaut", "strokes"), ("cat", "woodcut"), ("coffee", "mosaic")]
    pictures = args.pictures or [str(file) for a, b in samples for file in (sample_photo(a), sample_style(b))]
    print(f"{'method':9} {'tile':5} {'axis':5} {'seam: most, mean':17} {'inside: most, mean':19} pictures")
    for photo, painting in zip(pictures[::2], pictures[1::2], strict=True):
        pair = f"{Path(photo).stem}, {Path(painting).stem}"
        for method, tile in product((artune.Instant(), artune.Optimise()), (args.tile, "none")):
            given = {"size": args.size, "strength": args.strength, "method": method, "tile": tile}
            pixels = artune.style(photo, painting, **given).picture.pixels
            for name in AXES if args.tile == "both" else [args.tile]:
                found = jumps(pixels, AXES[name])
                seam = f"{found.seam_most:.2f}, {found.seam_mean:.3f}"
                inside = f"{found.inside_most:.2f}, {found.inside_mean:.3f}"
                print(f"{method.kind:9} {tile:5} {name:5} {seam:17} {inside:19} {pair}", flush=True)


if __name__ == "__main__":
    main()
