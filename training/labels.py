"""Pictures that are labelled by looking at them, and what the labels say of the judge.

    python training/labels.py make   --assets DIR --work DIR [--count 208]
    python training/labels.py sheets --work DIR
    python training/labels.py report

``make`` paints and optimises pictures of 512 pixels at strengths from 0.2 to 0.97, and brings some photographs to the
colours of the painting alone. It writes them with photograph and painting, and ``labels.csv`` with the margins that the
judge finds in what the search for the balance sees: the small picture at the same strength. ``sheets`` puts them on
sheets, in an order that does not tell the strength. ``report`` says how well both labels of a picture agree, and how
well the judge's calibration says what was seen.

A label is 1 (recognised), 0.5 (partly) or 0. Content: the photograph's subject and layout are known again. Style: the
picture has the painting's strokes and forms, and not only its colours. A vision model labelled every picture twice,
from the sheets alone, without knowing the strength or the other label.
"""

import argparse
import csv
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy.optimize import minimize

import artune
from artune import api
from artune.balance.curve import LADDER_LOG_ODDS, strength_at
from artune.balance.ladder import Scorer
from artune.images.color import match
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.write import write_picture
from artune.judges.embedding import Calibration, Judge, margin
from artune.spec.style import Instant, Optimise, StyleSpec
from artune.transfer.methods import method_of

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from crowd import Pair, by_turns, shuffled
from quality import files
from quality import pairs as styleid_pairs

LABELS = Path(__file__).parent / "logs" / "judge-labels.csv"
"""The labels, with the margins of what was labelled."""
FIELDS = ("picture", "photograph", "painting", "made", "log_odds", "style_margin", "content_margin")
"""Fields of a picture; those of the labels follow: ``style_1``, ``content_1``, ``style_2``, ``content_2``."""
OF_CROWD = 30
"""Number of StyleID's pairs that the crowd of ``benchmarks/balance.py`` judges; none of them is labelled."""
TILE = 400
"""Side of a picture on a sheet, pixels."""
ROWS = 3
"""Pictures of a sheet."""


def pairs(assets: Path) -> list[Pair]:
    """Pairs whose pictures are labelled: of StyleID, and of the photographs and paintings of training."""
    known, found = set(styleid_pairs(OF_CROWD)), []
    for j in range(40):
        i = (j * 3 + j // 20 + 5) % 20
        while (i, j) in known:
            i = (i + 1) % 20
        found.append(Pair(*files(assets, (i, j))))
    photographs, paintings = shuffled(assets / "data/photos"), shuffled(assets / "data/paintings")
    others = [Pair(photographs[500 + k], paintings[k]) for k in range(20)]
    return by_turns([found[:20], found[20:], others])


def margins(judge: Judge, photograph: Picture, painting: Picture, seen: Sequence[Picture]) -> list[tuple[float, float]]:
    """The judge's margins of style and content, of pictures of one size."""
    task = api.read(photograph, [painting], StyleSpec())
    scorer = Scorer.of(task.inputs, method_of(task.spec).plan(task, None, None), judge)
    found = judge.embed(torch.cat([picture.tensor() for picture in seen]))
    (own, here), *_ = scorer.own
    style = margin(found.style, own, here, judge.styles)
    content = margin(found.content, scorer.content, scorer.paintings, judge.contents)
    return list(zip(style.tolist(), content.tolist(), strict=True))


def make(assets: Path, work: Path, count: int) -> None:
    """Write the pictures and ``labels.csv``."""
    rng, judge = np.random.default_rng(0), Judge.load()
    (work / "pictures").mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        pair = pairs(assets)[number % 60]
        photograph, painting = (read_picture(path) for path in pair)
        made = str(rng.choice(["painted", "optimised", "colours"], p=[0.65, 0.25, 0.1]))
        odds = float(rng.uniform(LADDER_LOG_ODDS[0], LADDER_LOG_ODDS[-1]))
        strength = strength_at(odds)
        if made == "colours":
            picture = Picture(match(photograph.filled(), painting.filled(), how="histogram", space="lab"))
            (style, content), odds = margins(judge, photograph, painting, [picture])[0], math.nan
        else:
            method = Instant() if made == "painted" else Optimise()
            picture = artune.style(photograph, painting, method=method, strength=strength).picture
            task = api.read(photograph, [painting], StyleSpec(method=Instant()))
            ladder = method_of(task.spec).ladder
            assert ladder is not None
            small = ladder(task, method_of(task.spec).plan(task, None, None)).pictures([strength])
            style, content = margins(judge, photograph, painting, small)[0]
        for name, each in (("photograph", photograph), ("painting", painting), ("result", picture)):
            write_picture(each.resized(TILE, TILE), work / "pictures" / f"{number:03d}-{name}.png")
        names = (path.relative_to(assets / "data").as_posix() for path in pair)
        rows.append((f"{number:03d}", *names, made, f"{odds:.3f}", f"{style:.4f}", f"{content:.4f}"))
        print(*rows[-1], flush=True)
    with (work / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([FIELDS, *rows])


def sheets(work: Path) -> None:
    """Write sheets with a row for each picture: its number, photograph, painting, and result."""
    numbers = sorted({path.stem.split("-")[0] for path in (work / "pictures").glob("*.png")})
    order = [numbers[place] for place in np.random.default_rng(1).permutation(len(numbers))]
    for first in range(0, len(order), ROWS):
        sheet = Image.new("RGB", (3 * TILE + 60, ROWS * (TILE + 6)), "white")
        for row, number in enumerate(order[first : first + ROWS]):
            top = row * (TILE + 6)
            ImageDraw.Draw(sheet).text((8, top + TILE // 2), number, fill="black", font_size=24)
            for place, name in enumerate(("photograph", "painting", "result")):
                with Image.open(work / "pictures" / f"{number}-{name}.png") as picture:
                    sheet.paste(picture, (60 + place * TILE, top))
        sheet.save(work / f"sheet-{first // ROWS:02d}.png")


# ------------------------------------------------------------------------------------- fit


@dataclass(frozen=True)
class Labelled:
    """Margins and labels of one side.

    Attributes:
        margins: the judge's, ``[n]``.
        labels: both of each picture, ``[2, n]``: 0, 0.5 or 1.
    """

    margins: np.ndarray
    labels: np.ndarray

    @classmethod
    def read(cls, side: str, path: Path = LABELS) -> "Labelled":
        """The labels of ``style`` or of ``content``."""
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        given = [[float(row[f"{side}_{time}"]) for row in rows] for time in (1, 2)]
        return cls(np.array([float(row[f"{side}_margin"]) for row in rows]), np.array(given))

    def calibration(self, some: slice = slice(None)) -> Calibration:
        """The calibration under which the mean label of each picture is most likely."""
        margins, seen = torch.from_numpy(self.margins[some]), torch.from_numpy(self.labels.mean(0)[some])

        def surprise(place: np.ndarray) -> float:
            p = Calibration(math.exp(place[0]), float(place[1])).probability(margins).clamp(1e-6, 1 - 1e-6)
            return -float((seen * p.log() + (1 - seen) * (1 - p).log()).mean())

        starts = [(math.log(sharpness), level) for sharpness in (3.0, 15.0) for level in (-0.2, 0.1, 0.4)]
        best = min((minimize(surprise, start, method="Nelder-Mead") for start in starts), key=lambda each: each.fun)
        return Calibration(math.exp(best.x[0]), float(best.x[1]))

    def agreement(self) -> tuple[float, float]:
        """Share of pictures whose labels are equal, and Cohen's kappa with linear weights."""
        one, two = (2 * self.labels).astype(int)
        together = np.zeros((3, 3))
        np.add.at(together, (one, two), 1 / len(one))
        apart = np.abs(np.subtract.outer(range(3), range(3))) / 2
        chance = np.outer(together.sum(1), together.sum(0))
        return float(np.trace(together)), float(1 - (apart * together).sum() / (apart * chance).sum())


def report() -> None:
    """Print the agreement, and what the calibration says of one half if it is fitted to the other."""
    for side in ("style", "content"):
        found = Labelled.read(side)
        same, kappa = found.agreement()
        print(f"{side}: {len(found.margins)} pictures, same label {same:.2f}, kappa {kappa:.2f}, {found.calibration()}")
        said, seen = np.empty(len(found.margins)), found.labels.mean(0)
        for part in (0, 1):
            half = found.calibration(slice(part, None, 2))
            said[1 - part :: 2] = half.probability(torch.from_numpy(found.margins[1 - part :: 2])).numpy()
        error = 0.0
        for low in np.arange(0, 1, 0.2):
            some = (said > low) & (said <= low + 0.2)
            if some.any():
                error += some.mean() * abs(said[some].mean() - seen[some].mean())
                print(f"    says {said[some].mean():.2f}: recognised {seen[some].mean():.2f} ({some.sum()})")
        print(f"    expected calibration error {error:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["make", "sheets", "report"])
    parser.add_argument("--assets", type=Path)
    parser.add_argument("--work", type=Path, default=Path("out/labels"))
    parser.add_argument("--count", type=int, default=208)
    args = parser.parse_args()
    if args.command == "make":
        make(args.assets, args.work, args.count)
    elif args.command == "sheets":
        sheets(args.work)
    else:
        report()


if __name__ == "__main__":
    main()
