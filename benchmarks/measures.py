"""What each measure says of pictures whose answer is known, and of results.

    python benchmarks/measures.py --assets DIR [--pairs 3] [--size 256]

It prints a table for docs/measures.md: means over pairs of the StyleID set, at the given longer side. The controls are
the untouched photograph, the painting itself, another photograph and another painting; the results are those of the
painter (``instant``) and of the default recipe, at a strength of 2/3. DIR holds ``weights`` and ``data``.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from quality import files, pairs

from artune.api import style
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.resize import fitted
from artune.metrics import colours, outlines, sharpness, similarity, texture
from artune.metrics.lpips import LPIPS
from artune.metrics.perceptual import Referee
from artune.spec.style import Instant, StyleSpec

Measure = Callable[[Picture, Picture, Picture], float]
"""Of a result, its photograph and its painting."""


def measures(assets: Path) -> dict[str, Measure]:
    """The measures, by their names in the table."""
    weights = assets / "weights"
    referee = Referee.load(weights / "squeezenet1_1-features.safetensors")
    vgg = LPIPS.load("vgg16", weights / "vgg16-features.safetensors")
    squeeze = LPIPS.load("squeezenet1_1", weights / "squeezenet1_1-features.safetensors")
    return {
        "fine": lambda r, c, s: referee.measure(r, c, s).fine,
        "strokes": lambda r, c, s: referee.measure(r, c, s).strokes,
        "content": lambda r, c, s: referee.measure(r, c, s).content,
        "LPIPS (VGG-16)": lambda r, c, s: vgg.measure(r, c),
        "LPIPS (SqueezeNet)": lambda r, c, s: squeeze.measure(r, c),
        "SSIM, content": lambda r, c, s: similarity.ssim(r, c),
        "SSIM, style": lambda r, c, s: similarity.ssim(r, s),
        "PSNR": lambda r, c, s: similarity.psnr(r, c),
        "outlines kept": lambda r, c, s: outlines.outlines_kept(r, c),
        "palette": colours.relative_palette_distance,
        "palette, L*a*b*": lambda r, c, s: colours.palette_distance(r, s),
        "texture": texture.relative_texture_distance,
        "colourfulness": lambda r, c, s: colours.colourfulness(r),
        "sharpness": lambda r, c, s: sharpness.sharpness(r),
        "sharpness, relative": lambda r, c, s: sharpness.relative_sharpness(r, c),
    }


def pictures(assets: Path, pair: tuple[int, int], size: int) -> dict[str, Picture]:
    """The pictures of a pair by the names of the rows, and under ``style`` the painting."""

    def read(path: Path) -> Picture:
        picture = read_picture(path)
        return picture.resized(*fitted(*picture.size, size))

    content, painting = (read(path) for path in files(assets, pair))
    others = (read(path) for path in files(assets, ((pair[0] + 10) % 20, (pair[1] + 20) % 40)))
    rows = dict(zip(("another photograph", "another painting"), others, strict=True))
    specs = {
        "instant": StyleSpec(strength=2 / 3, size=size, method=Instant()),
        "optimised": StyleSpec(strength=2 / 3, size=size),
    }
    return (
        {"photograph": content, "painting": painting, **rows}
        | {name: style(content, painting, spec=spec).picture for name, spec in specs.items()}
        | {"style": painting}
    )


def table(found: Mapping[str, Mapping[str, list[float]]], seconds: Mapping[str, float]) -> str:
    """A line for each measure, a column for each kind of picture, and the milliseconds that a picture takes."""
    columns = list(next(iter(found.values())))
    lines = [f"| measure | {' | '.join(columns)} | ms |", "|---|" + "---|" * (len(columns) + 1)]
    for name, values in found.items():
        means = [statistics.mean(values[column]) for column in columns]
        digits = 1 if max(means) > 10 else 3
        cells = [f"{round(mean, digits) + 0.0:.{digits}f}" for mean in means]
        lines.append(f"| {name} | {' | '.join(cells)} | {1000 * seconds[name]:.0f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--size", type=int, default=256)
    args = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {}
    seconds: dict[str, float] = {}
    known = measures(args.assets)
    for pair in pairs(args.pairs):
        rows = pictures(args.assets, pair, args.size)
        painting = rows.pop("style")
        for name, measure in known.items():
            began = time.perf_counter()
            for row, picture in rows.items():
                value = measure(picture, rows["photograph"], painting)
                found.setdefault(name, {}).setdefault(row, []).append(value)
            seconds[name] = (time.perf_counter() - began) / len(rows)
    print(table(found, seconds))


if __name__ == "__main__":
    main()
