"""The painter's slider beside that of the optimisation: style against content, by a network that took no part.

    python benchmarks/slider.py --assets DIR chart --work DIR [--pairs 800] [--optimised 40] [-o FILE.png]
    python benchmarks/slider.py --assets DIR steps [--pair 0 1]

``chart``: medians of strokes and content at five strengths over pairs of StyleID, each photograph with each painting,
at 512 pixels; with the photograph, the painting, and the photograph in the painting's colours alone as controls. It
goes on where it was stopped; measurements are in ``--work``. ``steps``: eleven strengths of one pair, and whether both
distances are monotone.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

import numpy as np
from quality import SIZE, files, measured, pairs, referee

import artune
from artune.backbones.base import Features
from artune.backbones.network import Network
from artune.images.color import match
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.resize import fitted
from artune.machine import keep_freed_memory
from artune.metrics.perceptual import Distances, Referee
from artune.report.charts import Series, line_chart
from artune.report.tables import Table
from artune.spec.style import StyleSpec

STRENGTHS = (0.2, 0.35, 0.5, 0.667, 0.85)
CONTROLS = ("the photograph", "the painting", "the painting's colours alone")
PHOTOGRAPHS, PAINTINGS = 20, 40
"""Number of StyleID's pictures."""
Figures = dict[str, list[Distances]]
"""Distances of all pairs, by what was made."""
Makers = Mapping[str, Callable[[], Picture]]
"""Functions that make a picture, by its name."""


def named(method: str, strength: float) -> str:
    """The name of a picture of a method."""
    return f"{method}, strength {strength:g}"


class Measured:
    """Distances of pictures, kept in a file.

    Args:
        judge: measures them.
        kept: the file.
    """

    def __init__(self, judge: Referee, kept: Path) -> None:
        self.judge, self.kept = judge, kept
        self.found: dict[tuple[int, int], dict[str, Distances]] = {}
        for line in kept.read_text().splitlines() if kept.exists() else []:
            row = json.loads(line)
            self.found.setdefault(tuple(row["pair"]), {})[row["name"]] = Distances(*row["distances"])

    def add(self, pair: tuple[int, int], both: tuple[Features, Features], makers: Makers) -> None:
        """Make and measure what was not measured yet.

        Args:
            pair: numbers of photograph and painting.
            both: features of photograph and painting.
            makers: make the pictures.
        """
        known = self.found.setdefault(pair, {})
        for name, make in makers.items():
            if name in known:
                continue
            found = self.judge.compared(self.judge.features(make().tensor()), *both)
            known[name] = found
            row = {"pair": pair, "name": name, "distances": [found.fine, found.strokes, found.content]}
            with self.kept.open("a") as file:
                file.write(json.dumps(row) + "\n")

    def figures(self) -> Figures:
        """Distances of all pairs, by what was made."""
        figures: Figures = {}
        for known in self.found.values():
            for name, distances in known.items():
                figures.setdefault(name, []).append(distances)
        return figures


def controls(photograph: Picture, painting: Picture) -> Makers:
    """The pictures that show where the scales begin and end."""
    small = photograph.resized(*fitted(*photograph.size, SIZE))
    coloured = match(small.filled(), painting.filled(), how="histogram", space="lab")
    return dict(zip(CONTROLS, (lambda: photograph, lambda: painting, lambda: Picture(coloured)), strict=True))


def chart(args: argparse.Namespace) -> None:
    """Measure, print the table, and draw the chart."""
    args.work.mkdir(parents=True, exist_ok=True)
    judge = referee(args.assets)
    kept = Measured(judge, args.work / "slider.jsonl")
    optimised, network = {*pairs(args.optimised)}, Network.load(StyleSpec(precision="fp32"))
    order = np.random.default_rng(0).permutation(PHOTOGRAPHS * PAINTINGS)[: args.pairs]
    chosen = {(int(place) % PHOTOGRAPHS, int(place) // PHOTOGRAPHS) for place in order}
    contents = [read_picture(files(args.assets, (i, 0))[0]) for i in range(PHOTOGRAPHS)]
    seen = [judge.features(each.tensor()) for each in contents]
    styles: dict[int, tuple[Picture, Features]] = {}
    for pair in sorted({*chosen, *optimised}, key=lambda pair: (pair[1], pair[0])):  # a painting is read once
        if pair[1] not in styles:
            painting = read_picture(files(args.assets, pair)[1])
            styles = {pair[1]: (painting, judge.features(painting.tensor()))}
        photograph, (painting, of_painting) = contents[pair[0]], styles[pair[1]]
        makers: dict[str, Callable[[], Picture]] = {}
        if pair in chosen:
            painter = cache(partial(artune.prepare, photograph, painting, size=SIZE))  # only if something is missing
            for strength in STRENGTHS:
                makers[named("painter", strength)] = lambda s=strength, p=painter: p()(s).picture  # type: ignore[misc]
            makers |= controls(photograph, painting)
        if pair in optimised:
            for strength in STRENGTHS:
                makers[named("optimisation", strength)] = lambda s=strength, of=(photograph, painting): (  # type: ignore[misc]
                    artune.style(*of, strength=s, network=network, size=SIZE).picture
                )
        kept.add(pair, (seen[pair[0]], of_painting), makers)
        print(pair, flush=True)
    figures = kept.figures()
    rows: list[tuple[str, ...]] = []
    lines: dict[str, Series] = {}
    for method in ("painter", "optimisation"):
        names = [named(method, strength) for strength in STRENGTHS]
        middle = [np.median([[d.content, d.strokes] for d in figures[name]], 0) for name in names]
        bands = [np.quantile([d.strokes for d in figures[name]], [0.25, 0.75]) for name in names]
        x, y = ([float(value) for value in values] for values in zip(*middle, strict=True))
        low, high = ([float(value) for value in values] for values in zip(*bands, strict=True))
        lines[f"{method}, {len(figures[names[0]])} pairs"] = Series(x, y, low, high)
    for name in [*(named(m, s) for m in ("painter", "optimisation") for s in STRENGTHS), *CONTROLS]:
        values = np.array([[d.fine, d.strokes, d.content] for d in figures[name]])
        low_, high_ = np.quantile(values[:, 1], [0.25, 0.75])
        middle = np.median(values, 0)
        rows.append((name, f"{len(values)}", *(f"{v:.3f}" for v in middle), f"{low_:.3f} .. {high_:.3f}"))
        if name in CONTROLS:
            lines[name] = Series([float(middle[2])], [float(middle[1])])
    print(
        Table(("picture", "pairs", "fine", "strokes", "content", "strokes of half the pairs"), tuple(rows)).markdown()
    )
    if args.output:
        drawn = line_chart(
            lines,
            x_label="content distance (0: the photograph, 1: another one)",
            y_label="strokes' distance (1: the photograph)",
            top=None,
        )
        args.output.write_bytes(drawn.png)


def steps(args: argparse.Namespace) -> None:
    """Print the distances of eleven strengths."""
    judge = referee(args.assets)
    photograph, painting = (read_picture(file) for file in files(args.assets, tuple(args.pair)))
    painter = artune.prepare(photograph, painting, size=SIZE)
    found = [measured(judge, (painter(step / 10).picture, photograph, painting)) for step in range(11)]
    for number, each in enumerate(found):
        told = ", ".join(f"{name} {value:.3f}" for name, value in each.items())
        print(f"strength {number / 10:.1f}: {told}")
    for name, sign in (("strokes", -1), ("content", 1)):
        rises = np.diff([sign * each[name] for each in found]) >= 0
        print(f"{name}: {'monotone' if rises.all() else 'not monotone'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, required=True)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("chart")
    one.add_argument("--work", type=Path, required=True)
    one.add_argument("--pairs", type=int, default=800)
    one.add_argument("--optimised", type=int, default=40, help="pairs that are optimised, too")
    one.add_argument("-o", "--output", type=Path)
    one.set_defaults(do=chart)
    two = commands.add_parser("steps")
    two.add_argument("--pair", type=int, nargs=2, default=(0, 1), help="numbers of StyleID's photograph and painting")
    two.set_defaults(do=steps)
    args = parser.parse_args()
    keep_freed_memory()
    args.do(args)


if __name__ == "__main__":
    main()
