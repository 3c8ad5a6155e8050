"""Pictures that are labelled by looking at them, and what the labels say of the judge.

    python training/labels.py make   --assets DIR --work DIR [--count 288]
    python training/labels.py sheets --work DIR
    python training/labels.py see    --assets DIR [--judge FILE]
    python training/labels.py report

``make`` paints and optimises pictures of 512 pixels at strengths from 0.2 to 0.97, and brings some photographs to the
colours of the painting alone. It writes them with photograph and painting, and ``labels.csv``. ``sheets`` puts them on
sheets, in an order that does not tell the strength. ``see`` writes into the table of the labels what the judge sees in
the picture that the search for the balance makes at the same strength. ``report`` says how well both labels of a
picture agree, and how well the judge's calibration says what was seen.

A label is 1 (recognised), 0.5 (partly) or 0. Content: the photograph's subject and layout are known again. Style: the
picture has the painting's strokes and forms, and not only its colours. A vision model labelled every picture twice,
from the sheets alone, without knowing the strength or the other label.
"""

import argparse
import csv
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy.optimize import minimize

import artune
from artune import api
from artune.balance.curve import strength_at
from artune.balance.ladder import Scorer
from artune.files import atomic
from artune.images.color import match
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.write import write_picture
from artune.judges.embedding import Calibrations, ContentCalibration, Judge, StyleCalibration
from artune.spec.style import Instant, Optimise, StyleSpec
from artune.transfer.ladder import PAINTED_LOG_ODDS
from artune.transfer.methods import method_of

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from crowd import Pair, by_turns, shuffled
from quality import files
from quality import pairs as styleid_pairs

LABELS = Path(__file__).parent / "logs" / "judge-labels.csv"
"""The labels, with the margins of what was labelled."""
FIELDS = ("picture", "photograph", "painting", "made", "log_odds")
"""Fields of a picture. In the table of the labels follow what the judge sees, ``margin`` and ``change``, and labels:
``style_1``, ``content_1``, ``style_2``, ``content_2``."""
OF_CROWD = 30
"""Number of StyleID's pairs that the crowd of ``benchmarks/balance.py`` judges; none of them is labelled."""
PAIRS = 60
"""Number of pairs."""
MIXED = 208
"""Number of pictures from which on all are optimised."""
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
    others = [Pair(photographs[500 + k], paintings[k]) for k in range(PAIRS - 40)]
    return by_turns([found[:20], found[20:], others])


def recoloured(photograph: Picture, painting: Picture) -> Picture:
    """A photograph in the colours of a painting alone."""
    return Picture(match(photograph.filled(), painting.filled(), how="histogram", space="lab"))


def seen(judge: Judge, photograph: Picture, painting: Picture, made: str, log_odds: float) -> tuple[float, float]:
    """Margin and change that the judge sees in the picture of the search at a strength."""
    task = api.read(photograph, [painting], StyleSpec(method=Instant() if made == "painted" else Optimise()))
    method = method_of(task.spec)
    assert method.ladder is not None
    plan = method.plan(task, None, None)
    if made == "colours":
        picture = recoloured(photograph, painting)
    else:
        (picture,) = method.ladder(task, plan).pictures([strength_at(log_odds)])
    found = Scorer.of(task.inputs, plan, judge).seen([picture])
    return float(found.margins), float(found.changes)


def see(assets: Path, path: Path | None) -> None:
    """Write what the judge sees into the table of the labels."""
    judge = Judge.load(path)
    with LABELS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        photograph, painting = (read_picture(assets / "data" / row[name]) for name in ("photograph", "painting"))
        found = seen(judge, photograph, painting, row["made"], float(row["log_odds"]))
        row["margin"], row["change"] = (f"{value:.4f}" for value in found)
        print(row["picture"], row["made"], row["margin"], row["change"], flush=True)
    with atomic(LABELS) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def make(assets: Path, work: Path, count: int) -> None:
    """Write the pictures and ``labels.csv``; what is there already is not made again."""
    rng, table = np.random.default_rng(0), work / "labels.csv"
    (work / "pictures").mkdir(parents=True, exist_ok=True)
    rows = [*csv.reader(table.read_text().splitlines())] if table.exists() else [[*FIELDS]]
    for number in range(count):
        pair = pairs(assets)[number % PAIRS]
        photograph, painting = (read_picture(path) for path in pair)
        made = str(rng.choice(["painted", "optimised", "colours"], p=[0.65, 0.25, 0.1]))
        made = "optimised" if number >= MIXED else made
        odds = float(rng.uniform(PAINTED_LOG_ODDS[0], PAINTED_LOG_ODDS[-1]))
        if number < len(rows) - 1:
            continue
        if made == "colours":
            picture, odds = recoloured(photograph, painting), math.nan
        else:
            method = Instant() if made == "painted" else Optimise()
            picture = artune.style(photograph, painting, method=method, strength=strength_at(odds)).picture
        for name, each in (("photograph", photograph), ("painting", painting), ("result", picture)):
            write_picture(each.resized(TILE, TILE), work / "pictures" / f"{number:03d}-{name}.png")
        names = (path.relative_to(assets / "data").as_posix() for path in pair)
        rows.append([f"{number:03d}", *names, made, f"{odds:.4f}"])
        print(*rows[-1], flush=True)
        with atomic(table) as temporary, temporary.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


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


MADE = {"instant": "painted", "optimise": "optimised"}
"""What the pictures of each method are called in the table."""
EFFORT = 0.25
"""What a content counts that is known again with effort alone: such a picture has nearly failed. (A style that is
partly there counts as a half.) Of 0, 0.25 and 0.5 it is the value with which, over 60 pairs that ``crowd`` does not
judge, the found strengths have the larger gain over 2/3 by that of its referees which sees the lesser gain."""
RIDGE = 1e-4
"""Weight of the squared parameters of a fit."""


@dataclass(frozen=True)
class Labelled:
    """The labelled pictures.

    Attributes:
        made: how each was made.
        seen: margin, change and log odds of each, ``[n, 3]``; a photograph in other colours has no strength, and counts
            as one of strength 0.5.
        labels: both labels of ``style`` and of ``content``, ``[2, n]`` each.
    """

    made: np.ndarray
    seen: np.ndarray
    labels: dict[str, np.ndarray]

    @classmethod
    def read(cls, path: Path = LABELS) -> "Labelled":
        """The labels of a table."""
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        seen = np.array([[float(row[name]) for name in ("margin", "change", "log_odds")] for row in rows])
        labels = {
            side: np.array([[float(row[f"{side}_{time}"]) for row in rows] for time in (1, 2)])
            for side in Calibrations._fields
        }
        return cls(np.array([row["made"] for row in rows]), np.nan_to_num(seen), labels)

    def some(self, places: np.ndarray) -> "Labelled":
        """The pictures at some places."""
        return Labelled(self.made[places], self.seen[places], {k: v[:, places] for k, v in self.labels.items()})

    def fitted(self) -> dict[str, Calibrations]:
        """The calibrations of both methods under which the mean labels are most likely.

        The style depends on the margin alone, the content on the change and the strength. Pictures in other colours
        count for both methods.
        """
        found = {}
        style, content = (self.seen_as(side) for side in Calibrations._fields)
        for kind, name in MADE.items():
            some = np.isin(self.made, (name, "colours"))
            found[kind] = Calibrations(
                StyleCalibration(*_logistic(self.seen[some, :1], style[some])),
                ContentCalibration(*_logistic(self.seen[some, 1:], content[some])),
            )
        return found

    def said(self, side: str, calibrations: dict[str, Calibrations]) -> np.ndarray:
        """What calibrations say of each picture; those of the painter of pictures in other colours."""
        margins, changes, log_odds = torch.from_numpy(self.seen).T
        by_kind = {
            kind: (style.probability(margins) if side == "style" else content.probability(changes, log_odds)).numpy()
            for kind, (style, content) in calibrations.items()
        }
        return np.where(self.made == MADE["optimise"], by_kind["optimise"], by_kind["instant"])

    def seen_as(self, side: str) -> np.ndarray:
        """Share of the labels of each picture that say that a side is recognised; see ``EFFORT``."""
        labels = self.labels[side]
        shares: np.ndarray = (np.where(labels == 0.5, EFFORT, labels) if side == "content" else labels).mean(0)
        return shares

    def agreement(self, side: str) -> tuple[float, float]:
        """Share of pictures whose labels are equal, and Cohen's kappa with linear weights."""
        one, two = (2 * self.labels[side]).astype(int)
        together = np.zeros((3, 3))
        np.add.at(together, (one, two), 1 / len(one))
        apart = np.abs(np.subtract.outer(range(3), range(3))) / 2
        chance = np.outer(together.sum(1), together.sum(0))
        return float(np.trace(together)), float(1 - (apart * together).sum() / (apart * chance).sum())


def _logistic(seen: np.ndarray, goal: np.ndarray) -> list[float]:
    """Weights of what is seen, ``[n, k]``, and bias of the logistic function that is most likely to give the goal."""
    whole = np.column_stack([seen, np.ones(len(seen))])

    def surprise(place: np.ndarray) -> float:
        p = (1 / (1 + np.exp(-whole @ place))).clip(1e-6, 1 - 1e-6)
        likely = goal * np.log(p) + (1 - goal) * np.log(1 - p)
        return float(RIDGE * np.square(place).sum() - likely.mean())

    found: list[float] = minimize(surprise, np.zeros(whole.shape[1]), method="BFGS").x.tolist()
    return found


def report() -> None:
    """Print the agreement, and what the calibrations say of pairs in two halves, fitted to those of the other."""
    labelled = Labelled.read()
    half = np.arange(len(labelled.made)) % PAIRS % 2  # by pairs
    for side in Calibrations._fields:
        same, kappa = labelled.agreement(side)
        print(f"{side}: {len(half)} pictures, same label {same:.2f}, kappa {kappa:.2f}")
        for kind, calibrations in labelled.fitted().items():
            print(f"    {kind}: {getattr(calibrations, side)}")
        said, seen = np.empty(len(half)), labelled.seen_as(side)
        for part in (0, 1):
            of_half = labelled.some(half == part).fitted()
            said[half != part] = labelled.some(half != part).said(side, of_half)
        error = 0.0
        for low in np.arange(0, 1, 0.2):
            some = (said > low) & (said <= low + 0.2)
            if some.any():
                error += some.mean() * abs(said[some].mean() - seen[some].mean())
                print(f"    says {said[some].mean():.2f}: recognised {seen[some].mean():.2f} ({some.sum()})")
        print(f"    expected calibration error {error:.3f}")
        colours = labelled.made == "colours"
        print(f"    in other colours: says {said[colours].mean():.2f}, recognised {seen[colours].mean():.2f}")
        for low in (-1.2, -0.4, 0.4, 1.2, 2.0, 2.8):
            here = (labelled.seen[:, 2] >= low) & (labelled.seen[:, 2] < low + 0.8)
            parts = [f"{name} {seen[here & (labelled.made == name)].mean():.2f}" for name in MADE.values()]
            print(f"    log odds {low:+.1f} .. {low + 0.8:+.1f}: recognised {', '.join(parts)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["make", "sheets", "see", "report"])
    parser.add_argument("--assets", type=Path)
    parser.add_argument("--work", type=Path, default=Path("out/labels"))
    parser.add_argument("--count", type=int, default=288)
    parser.add_argument("--judge", type=Path, help="file of the judge that sees; default: the bundled one")
    args = parser.parse_args()
    if args.command == "make":
        make(args.assets, args.work, args.count)
    elif args.command == "sheets":
        sheets(args.work)
    elif args.command == "see":
        see(args.assets, args.judge)
    else:
        report()


if __name__ == "__main__":
    main()
