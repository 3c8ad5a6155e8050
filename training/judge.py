"""Make the file of the judge: the bank of other paintings, and the calibrations by labels.

    python training/judge.py bank --assets DIR -o FILE [--count 240]
    python training/judge.py calibrate -o FILE
    python training/judge.py evaluate --assets DIR [--judge FILE]

``bank`` finds the directions in which the deep features of the compact network differ most over paintings and
photographs, and embeds paintings in them by their style. ``calibrate`` fits the calibrations to the labels
(``labels.py``) and adds them to the file. ``evaluate`` prints how well the judge tells paintings by a crop, and its
margins of photographs, of photographs in other colours, and of paintings, with pictures that are not in the bank.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from labels import Labelled
from safetensors.torch import load_file, save_file
from torch import Tensor

from artune.files import atomic
from artune.images.color import match
from artune.images.find import find_pictures
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.judges.embedding import (
    STYLE_TAP,
    Calibrations,
    ContentCalibration,
    Judge,
    StyleCalibration,
    bundled_encoder,
    margin,
    style_of,
)
from artune.losses import moments as fn
from artune.spec.style import JUDGED_METHODS

DIRECTIONS = 64
"""Number of the directions."""
EVERY = 10
"""One of so many paintings is held out."""
PHOTOGRAPHS = 100
"""Number of photographs that the directions are found with."""


def paintings(assets: Path, *, held_out: bool = False) -> list[Path]:
    """Paintings of ``paintings``: those that the bank may hold, or the others."""
    found = find_pictures(assets / "data/paintings", recursive=True).pictures
    return [path for place, path in enumerate(found) if (place % EVERY == 0) == held_out]


def spread_over(paths: Sequence[Path], count: int) -> list[Path]:
    """``count`` files, as many of each folder as can be."""
    order = np.random.default_rng(0).permutation(len(paths))
    seen: dict[Path, int] = {}
    ranked = []
    for place in order:
        folder = paths[place].parent
        seen[folder] = seen.get(folder, 0) + 1
        ranked.append((seen[folder], int(place)))
    return [paths[place] for _, place in sorted(ranked)[:count]]


def make_bank(assets: Path, count: int, output: Path) -> None:
    """Write the basis and the embeddings."""
    chosen = spread_over(paintings(assets), count)
    photographs = spread_over(find_pictures(assets / "data/photos", recursive=True).pictures, PHOTOGRAPHS)
    judge = Judge(bundled_encoder(), torch.empty(0, 0), torch.empty(0, 0), {})

    def features(paths: Sequence[Path]) -> Iterator[Tensor]:
        return (judge.see(read_picture(path).tensor())[STYLE_TAP] for path in paths)

    whole = fn.mix(
        [fn.moments(each) for each in features([*chosen, *photographs])], [1.0] * (len(chosen) + PHOTOGRAPHS)
    )
    _, vectors = torch.linalg.eigh(fn.mean_and_covariance(whole)[1][0].double())
    basis = vectors[:, -DIRECTIONS:].float()
    styles = torch.cat([style_of(each, basis) for each in features(chosen)])
    nothing = Calibrations(StyleCalibration(0.0, 0.0), ContentCalibration(0.0, 0.0, 0.0))
    none = dict.fromkeys(JUDGED_METHODS, nothing)
    write({"basis": basis.contiguous(), "bank.style": styles.half()}, none, output)


def calibrate(output: Path) -> None:
    """Fit the calibrations to the labels, and put them into the file."""
    tensors = {name: tensor for name, tensor in load_file(output).items() if not name.startswith("calibration.")}
    found = Labelled.read().fitted()
    for kind, calibrations in found.items():
        print(kind, calibrations)
    write(tensors, found, output)


def write(tensors: Mapping[str, Tensor], calibrations: Mapping[str, Calibrations], output: Path) -> None:
    """Write a judge."""
    fits = {
        f"calibration.{kind}.{side}": torch.tensor(fit)
        for kind, both in calibrations.items()
        for side, fit in both._asdict().items()
    }
    with atomic(output) as temporary:
        save_file({**tensors, **fits}, temporary, metadata={"role": "judge"})


def evaluate(assets: Path, path: Path | None) -> None:
    """Print how often the judge tells paintings by a crop, and its margins of photographs and paintings."""
    judge, rng = Judge.load(path), np.random.default_rng(0)

    def style(picture: Picture) -> Tensor:
        return judge.style(judge.see(picture.tensor()))

    right = []
    others = [*paintings(assets, held_out=True), *find_pictures(assets / "data/painters/test", recursive=True).pictures]
    for file in others:
        picture = read_picture(file)
        own, (height, width) = style(picture), picture.pixels.shape[:2]
        part = rng.uniform(0.5, 1, 2) * (height, width)
        top, left = (int(rng.integers(side - int(cut) + 1)) for side, cut in zip((height, width), part, strict=True))
        cut = np.ascontiguousarray(picture.pixels[top : top + int(part[0]), left : left + int(part[1])])
        right.append(margin(style(Picture(cut)), own, own[:0], judge.styles).item() > 0)
    print(f"{len(right)} paintings, by a crop of 50 to 100 % of each side: nearest to its own {np.mean(right):.3f}")
    contents, styles = (find_pictures(assets / f"data/styleid/{kind}").pictures for kind in ("content", "style"))
    rows = []
    for one, two in zip(contents * 2, styles, strict=True):
        photograph, painting = read_picture(one), read_picture(two)
        coloured = Picture(match(photograph.filled(), painting.filled(), how="histogram", space="lab"))
        own, untouched, palette = (style(each) for each in (painting, photograph, coloured))
        rows.append([margin(each, own, untouched, judge.styles).item() for each in (untouched, palette, own)])
    names = ("photographs", "photographs in the painting's colours", "paintings")
    for name, values in zip(names, np.array(rows).T, strict=True):
        print(f"{len(values)} {name}: margin {np.median(values):.2f} (median), above 0 in {np.mean(values > 0):.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["bank", "calibrate", "evaluate"])
    parser.add_argument("--assets", type=Path)
    parser.add_argument("--count", type=int, default=240, help="paintings in the bank")
    parser.add_argument("--judge", type=Path, help="the file to evaluate; default: the bundled one")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/judge.safetensors"))
    args = parser.parse_args()
    if args.command == "calibrate":
        calibrate(args.output)
        return
    if args.assets is None:
        parser.error(f"{args.command} needs --assets")
    if args.command == "bank":
        make_bank(args.assets, args.count, args.output)
    else:
        evaluate(args.assets, args.judge)


if __name__ == "__main__":
    main()
