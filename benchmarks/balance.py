"""Whether the automatic balance is right, what it costs, and how the pictures look.

    python benchmarks/balance.py --assets DIR pairs -o sheet.png [--count 12]
    python benchmarks/balance.py --assets DIR spread [--count 6]
    python benchmarks/balance.py --assets DIR networks [--count 6]
    python benchmarks/balance.py --assets DIR one-for-all --content-judge FILE --style-judge FILE [--count 30]
    python benchmarks/balance.py --assets DIR crowd --work DIR [--pairs 60] [--size 512] [--method optimise]

DIR holds ``weights`` and ``data``. ``pairs``: strength, safe interval, time with and without the balance, and a sheet
with photograph, result and painting in each row. ``spread``: half the bank, another, twice the bank, crops.
``networks``: the balance on several loss networks. ``one-for-all``: the balance of each pair against one weight for
all, by class judges that took no part. Weight ratios: of style weight over content weight. ``crowd``: the balance
against fixed strengths, by networks that took no part, which are to find the painting and the photograph of each
picture among others (``crowd.py``); beside the controls: photograph, painting, and the photograph in the painting's
colours. It goes on where it was stopped; pictures and measurements are in ``--work``.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from crowd import (
    FOUND,
    PAINTINGS,
    PHOTOGRAPHS,
    REFEREES,
    Case,
    Crowd,
    Line,
    Pair,
    Results,
    aligned,
    choose_crowd,
    choose_pairs,
    digest_of,
    findings,
    recognised,
)
from field import REAL
from PIL import Image
from quality import files, pairs
from scipy.stats import binomtest

from artune import api
from artune.assets import JUDGE
from artune.backbones.network import Network
from artune.balance.curve import log_odds, strength_at
from artune.balance.ladder import Tuning
from artune.images.color import match
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.resize import fitted
from artune.judges.embedding import Judge
from artune.machine import keep_freed_memory
from artune.record import ALGORITHM, run_key
from artune.spec.options import with_options
from artune.spec.style import TUNED_METHODS, StyleSpec
from artune.transfer.methods import method_of
from artune.transfer.task import Loaded

SEARCH = "2"
"""Raised when the search finds other strengths with the same judge; pictures of another version are made again."""
FIXED = (0.2, 0.35, 0.5, 0.6667, 0.8, 0.9)


def row_of(*pictures: Picture, height: int = 320) -> np.ndarray:
    """Pictures side by side, of one height."""
    parts = []
    for picture in pictures:
        width = round(picture.size[0] * height / picture.size[1])
        parts.append((picture.resized(width, height).filled().clip(0, 1) * 255).astype(np.uint8))
    return np.concatenate(parts, 1)


def save_rows(rows: Sequence[np.ndarray], path: Path) -> None:
    """Rows as one picture, padded with white to the widest."""
    widest = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 4), (0, widest - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    Image.fromarray(np.concatenate(padded)).save(path)


def told(tuning: Tuning) -> str:
    found = tuning.balance
    safe = "none" if found.low is None else f"{found.low:.2f} .. {found.high:.2f}"
    return (
        f"strength {found.strength:.2f} safe {safe:12s} {found.reason!s:12s} style {found.style:.2f} "
        f"content {found.content:.2f} confidence {found.confidence:.2f}"
    )


def make_pairs(assets: Path, count: int, size: int, out: Path) -> None:
    """The default command on pairs."""
    spec = with_options(StyleSpec(), {"size": size})
    network, rows, shares = Network.load(spec), [], []
    for pair in pairs(count):
        content, painting = (read_picture(path) for path in files(assets, pair))
        began = time.perf_counter()
        task = api.read(content, [painting], spec, network=network)
        tuning = api.find_strength(task)
        run = api.plan(task, tuning)
        tuned = time.perf_counter()
        result = api.finish(run)
        ended = time.perf_counter()
        assert tuning is not None
        shares.append((tuned - began) / (ended - tuned))
        times = f"{ended - began:.1f} s with, {ended - tuned:.1f} s without"
        print(f"{pair[0]:2d} {pair[1]:2d}  {told(tuning)}  {times}", flush=True)
        rows.append(row_of(content, result.picture, painting))
    print(f"the balance takes {np.median(shares):.2f} of the run (median), at most {max(shares):.2f}")
    couples = [rows[i : i + 2] for i in range(0, len(rows), 2)]
    save_rows([np.concatenate(couple, 1) for couple in couples], out)


def spread(assets: Path, count: int) -> None:
    """How far the crossing moves with the bank, and with a crop of 3 %."""
    judge, rng = Judge.load(), np.random.default_rng(0)
    n = len(judge.styles)
    data = assets / "data"
    more = sorted((data / "paintings").rglob("*.jpg"))
    drawn = [read_picture(more[i]).tensor() for i in rng.choice(len(more), n, replace=False)]
    fresh = torch.cat([judge.style(judge.see(each)) for each in drawn])
    judges = {
        "half the bank": judge.with_bank(range(0, n, 2)),
        "the other half": judge.with_bank(range(1, n, 2)),
        "another bank": replace(judge, styles=fresh),
        "twice the bank": replace(judge, styles=torch.cat([judge.styles, fresh])),
    }
    for i in range(5):
        judges[f"three quarters, draw {i + 1}"] = judge.with_bank(rng.choice(n, 3 * n // 4, replace=False).tolist())
    spec = StyleSpec()
    network = Network.load(spec)
    moved: dict[str, list[float]] = {}
    for pair in pairs(count):
        content, painting = (read_picture(path) for path in files(assets, pair))
        usual = api.tune(content, painting, spec=spec, network=network, judge=judge)
        for name, asked in judges.items():
            other = api.tune(content, painting, spec=spec, network=network, judge=asked).balance
            # the draws are one row
            row = name.partition(", draw")[0]
            moved.setdefault(row, []).append(log_odds(other.strength) - log_odds(usual.balance.strength))
        height, width = content.pixels.shape[:2]
        high, wide = round(0.03 * height), round(0.03 * width)
        for name, part in {
            "3 % cut off right and bottom": content.pixels[: height - high, : width - wide],
            "3 % cut off left and top": content.pixels[high:, wide:],
        }.items():
            cut = Picture(np.ascontiguousarray(part))
            other = api.tune(cut, painting, spec=spec, network=network, judge=judge).balance
            moved.setdefault(name, []).append(log_odds(other.strength) - log_odds(usual.balance.strength))
    for name, values in moved.items():
        factors = np.exp(np.abs(values))
        print(f"{name:28s} weight ratio moves by {np.median(factors):.2f} (median), at most {factors.max():.2f}")


def networks(assets: Path, count: int) -> None:
    """The balance on several loss networks, with the same taps."""
    shallow = {
        "content_layers": {"relu3_1": 1.0},
        "style_layers": {"relu1_1": 2.0, "relu2_1": 3.0, "relu3_1": 1.0},
    }
    found: dict[str, list[float]] = {}
    for name in ("compact", "vgg19-emulator", "vgg19"):
        spec = with_options(StyleSpec(), {"network": name, **shallow})
        weights = REAL[name]
        network = Network.load(spec, weights and assets / "weights" / f"{weights}.safetensors")
        for pair in pairs(count):
            content, painting = (read_picture(path) for path in files(assets, pair))
            strength = api.tune(content, painting, spec=spec, network=network).balance.strength
            found.setdefault(name, []).append(log_odds(strength))
        print(f"{name:15s} {np.round(found[name], 2).tolist()} median {np.median(found[name]):+.2f}", flush=True)
    table = np.array(list(found.values()))
    factors = np.exp(table.max(0) - table.min(0))
    print(f"largest over smallest weight ratio of a pair: median {np.median(factors):.2f}, at most {factors.max():.2f}")


def one_for_all(assets: Path, count: int, size: int, judges: tuple[Path, Path]) -> None:
    """Share of the pairs of which both style and content are recognised by judges of classes that took no part."""
    from artune.judges.classes import ClassJudge

    content_judge, style_judge = (ClassJudge.load(path) for path in judges)
    data, rng = assets / "data", np.random.default_rng(1)
    contents = sorted((data / "animals/test").rglob("*.jpg"))
    styles = sorted((data / "painters/test").rglob("*.jpg"))
    chosen = list(
        zip(
            [contents[i] for i in rng.choice(len(contents), count, replace=False)],
            [styles[i] for i in rng.choice(len(styles), count, replace=False)],
            strict=True,
        )
    )
    spec = with_options(StyleSpec(), {"size": size})
    network = Network.load(spec)

    def recognised(shown: Picture, painted: Picture, content: Path, style: Path) -> tuple[bool, bool]:
        said = content_judge.probabilities(shown.tensor()), style_judge.probabilities(painted.tensor())
        return (
            content_judge.classes[int(said[0].argmax())] == content.parent.name,
            style_judge.classes[int(said[1].argmax())] == style.parent.name,
        )

    strengths: dict[str, list[tuple[bool, bool]]] = {}
    for content, style in chosen:
        photograph, painting = read_picture(content), read_picture(style)
        strengths.setdefault("as they are", []).append(recognised(photograph, painting, content, style))
        rows = {"per pair": api.style(content, style, spec=spec, network=network).picture}
        for odds in (-2.0, -1.0, 0.0, 1.0, 2.0):
            strength = strength_at(odds)
            fixed = with_options(spec, {"strength": strength})
            rows[f"{strength:.2f}"] = api.style(content, style, spec=fixed, network=network).picture
        for name, picture in rows.items():
            strengths.setdefault(name, []).append(recognised(picture, picture, content, style))
        hits = {name: "".join("x" if hit else "-" for hit in found[-1]) for name, found in strengths.items()}
        print(f"{content.parent.name} in the style of {style.parent.name}, content and style: {hits}", flush=True)
    for name, pairs_ in strengths.items():
        both = [a and b for a, b in pairs_]
        low, high = binomtest(sum(both), count).proportion_ci(method="wilson")
        shares = np.mean(pairs_, 0)
        each = f"content {shares[0]:.2f}, style {shares[1]:.2f}"
        print(f"{name:11s} both {np.mean(both):.2f} ({low:.2f} .. {high:.2f}), {each}")


def cases_of(
    pair: Pair, photograph: Picture, painting: Picture, spec: StyleSpec, network: Loaded, fixed: Sequence[float]
) -> list[Case]:
    """The pictures of a pair: at the strength that artune finds, at fixed ones, and controls.

    Args:
        pair: the pair.
        photograph: of the pair.
        painting: of the pair.
        spec: how they are made; its size is a number, and its strength is open.
        network: what the spec's method has loaded.
        fixed: the fixed strengths.
    """
    size = int(spec.size)
    shown = photograph.resized(*fitted(*photograph.size, size))
    digests = {"content": photograph.digest(), "style": painting.digest()}
    used = {**digests, "weights": network.digest}

    def styled(strength: float | None) -> Case:
        asked = spec if strength is None else with_options(spec, {"strength": strength})

        def make() -> tuple[Picture, float | None]:
            task = api.read(photograph, [painting], asked, network=network)
            tuning = api.find_strength(task)
            picture = api.finish(api.plan(task, tuning)).picture
            return picture, strength if tuning is None else tuning.balance.strength

        name = FOUND if strength is None else f"{strength:g}"
        key = run_key(asked, used if strength is not None else {**used, "judge": JUDGE.sha256, "search": SEARCH})
        return Case(pair.name, name, spec.method.kind, size, key, make)

    def control(name: str, picture: Picture) -> Case:
        key = digest_of([name, size, ALGORITHM, *digests.values()])
        return Case(pair.name, name, "control", size, key, lambda: (picture, None))

    def coloured(how: Literal["moments", "histogram"]) -> Picture:
        return Picture(match(shown.filled(), painting.filled(), how=how, space="lab"))

    return [
        *map(styled, (None, *fixed)),
        control("photograph", shown),
        control("painting", painting),
        control("colours, moments", coloured("moments")),
        control("colours, histogram", coloured("histogram")),
    ]


def among_crowd(args: argparse.Namespace) -> None:
    """Share of the pairs of which both style and content are recognised among others."""
    spec = with_options(StyleSpec(), {"method": {"kind": args.method}, "size": args.size})
    network = method_of(spec).load(spec, None, None)
    spec = with_options(spec, {"precision": network.precision})
    args.work.mkdir(parents=True, exist_ok=True)
    results, members = Results(args.work), choose_crowd(args.assets, args.paintings, args.photographs)
    crowds = [
        Crowd.of(REFEREES[name](args.assets), *members, cache=args.work / f"crowd-{name}.safetensors")
        for name in args.referees
    ]
    lines: list[Line] = []
    for pair in choose_pairs(args.assets, args.pairs):
        photograph, painting = (read_picture(path) for path in pair)
        cases = cases_of(pair, photograph, painting, spec, network, args.fixed)
        for line in recognised(photograph, painting, cases, crowds, results):
            print(line, flush=True)
            lines.append(line)
    for name in args.referees:
        of_one = [line for line in lines if line.referee == name]
        found = [line.strength for line in of_one if line.case == FOUND]
        low, median, high = np.quantile(np.array(found, float), [0.25, 0.5, 0.75])
        table = findings(of_one)
        print(f"\n{name}, {args.pairs} pairs, {args.method} at {args.size} pixels: share recognised", end="")
        print(f"; found: strength {median:.2f} (median), half of them {low:.2f} .. {high:.2f}\n")
        print(table.markdown() if args.markdown else aligned(table))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["pairs", "spread", "networks", "one-for-all", "crowd"])
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--count", type=int)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--content-judge", type=Path)
    parser.add_argument("--style-judge", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("balance.png"))
    of_crowd = parser.add_argument_group("crowd")
    of_crowd.add_argument("--work", type=Path, help="folder for pictures and measurements")
    of_crowd.add_argument("--pairs", type=int, default=60)
    of_crowd.add_argument("--method", choices=list(TUNED_METHODS), default="optimise")
    of_crowd.add_argument("--fixed", type=float, nargs="+", default=FIXED, help="strengths to compare with")
    of_crowd.add_argument("--referees", nargs="+", choices=list(REFEREES), default=list(REFEREES))
    of_crowd.add_argument("--paintings", type=int, default=PAINTINGS, help="in the crowd")
    of_crowd.add_argument("--photographs", type=int, default=PHOTOGRAPHS, help="in the crowd")
    of_crowd.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    args = parser.parse_args()
    keep_freed_memory()
    match args.command:
        case "pairs":
            make_pairs(args.assets, args.count or 12, args.size, args.output)
        case "spread":
            spread(args.assets, args.count or 6)
        case "networks":
            networks(args.assets, args.count or 6)
        case "one-for-all":
            if not (args.content_judge and args.style_judge):
                parser.error("one-for-all needs --content-judge and --style-judge")
            one_for_all(args.assets, args.count or 30, args.size, (args.content_judge, args.style_judge))
        case "crowd":
            if not args.work:
                parser.error("crowd needs --work")
            among_crowd(args)


if __name__ == "__main__":
    main()
