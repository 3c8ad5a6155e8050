"""The published studies on the pictures and weights of a folder, and the page docs/studies/reports.md.

    python benchmarks/published.py --assets DIR -o FOLDER [NAME ...]     # conducts them; resumable
    python benchmarks/published.py -o FOLDER --page docs/studies/reports.md

DIR holds ``weights`` and ``data``. Six photographs of StyleID (``PAIRS``: otherwise) meet as many
paintings in turn, at sizes that fit hours of two cores. Networks whose weights are not in DIR run with random ones, and
are named. FOLDER may hold weights that were made for the studies: ``tuned.safetensors`` and
``tuned-residual.safetensors`` (training/finetune_mobilenet.py, the flat network and the other), and
``style.safetensors`` (artune train, StyleID's painting 03).
"""

import argparse
import csv
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from artune.studies.declared import Declared, published
from artune.studies.measured import shown, title_of
from artune.studies.points import network_of, points_of

CONTENTS = ("00", "03", "05", "08", "11", "15", "17", "18")
STYLES = ("01", "06", "13", "21", "27", "33", "36", "39")
WEIGHTS = {
    "vgg16": "vgg16-features",
    "vgg19-emulator": "vgg19-emulator-16x",
    "mobilenet_v2": "mobilenet_v2",
    "mobilenet_v2_flat": "mobilenet_v2",
    "inception_v3": "inception_v3-to-6e",
    "squeezenet1_1": "squeezenet1_1-features",
    "wct": "wct-16x",
}
RANDOM = ("vgg19", "resnet50", "resnext50_32x4d", "alexnet")
OWN = ("tuned", "tuned-residual", "style")
SMALLER: dict[str, tuple[str, ...]] = {
    "ratio": ("size=96", "steps=150"),
    "networks": ("size=128", "steps=60"),
    "resnet-taps": ("size=128", "steps=40"),
    "content-layer": ("size=128", "steps=40"),
    "style-layers": ("size=128", "steps=40"),
    "starts": ("size=128", "steps=50"),
    "rates": ("size=96", "steps=60", "decay_every=12"),
    "variation": ("size=128", "steps=50"),
    "iterations": ("size=96",),
    "methods": ("size=192",),
    "layers": ("steps=30",),
    "devices": ("steps=30",),
}
"""What is set to fit the time at hand; the others are run as they are."""
USUAL = 6
"""Number of pairs of photograph and painting."""
PAIRS = {
    "devices": 4,
    "flat": 4,
    "layers": 8,
    "methods": 4,
    "rates": 4,
    "starts": 4,
    "variation": 4,
}
"""Other numbers: fewer for studies that have many points or many steps, more for ours."""
COMMENTS = Path(__file__).parent / "published.json"
"""Why a finding is not found again, by the name of the study; written by hand."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", help="Studies; default: all.")
    parser.add_argument("--assets", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--page", type=Path)
    arguments = parser.parse_args()
    known = published()
    names = arguments.names or [*known]
    if arguments.page is not None:
        comments = json.loads(COMMENTS.read_text(encoding="utf-8"))
        sections = [section(known[name], arguments.out / name, comments.get(name, "")) for name in names]
        head = arguments.page.read_text(encoding="utf-8").partition("\n## ")[0].rstrip()
        arguments.page.write_text("\n\n".join([head, *filter(None, sections)]) + "\n", encoding="utf-8")
        return
    for name in names:
        began = time.perf_counter()
        command = command_of(name, arguments.assets, arguments.out)
        print("$", shlex.join(command), flush=True)
        done = subprocess.run([sys.executable, "-m", *command], check=False)
        print(f"{name}: status {done.returncode}, {time.perf_counter() - began:.0f} s", flush=True)


def command_of(name: str, assets: Path, out: Path) -> list[str]:
    """The command that conducts a study on the pictures at hand."""
    data, words = assets / "data", ["artune", "study", "run", name]
    if name == "gram-tap":
        words += ["--styles", str(data / "painters"), "--sample", "40"]
    else:
        count = PAIRS.get(name, USUAL)
        contents = [str(data / "styleid" / "content" / f"{number}.jpg") for number in CONTENTS[:count]]
        numbers = ("03",) if name == "methods" else STYLES[:count]
        styles = [str(data / "styleid" / "style" / f"{number}.jpg") for number in numbers]
        words += [word for file in contents for word in ("--contents", file)]
        words += [word for file in styles for word in ("--styles", file)]
        words += [] if name == "methods" else ["--pairs", "in-turn"]
    files = {name: assets / "weights" / f"{file}.safetensors" for name, file in WEIGHTS.items()}
    if name == "layers":
        files["vgg19"] = assets / "weights" / "vgg19-blocks1-3.safetensors"
    files |= {own: out / f"{own}.safetensors" for own in OWN if (out / f"{own}.safetensors").exists()}
    given = {**dict.fromkeys(RANDOM, "random"), **{network: str(file) for network, file in files.items()}}
    points = points_of(published()[name].spec)
    used = {network_of(point.spec) for point in points} | {point.wanted for point in points}
    given = {network: file for network, file in given.items() if network in {*used, "squeezenet1_1"}}
    words += [word for network, file in given.items() for word in ("--weights", f"{network}={file}")]
    words += [word for setting in SMALLER.get(name, ()) for word in ("--set", setting)]
    return [*words, "-o", str(out / name)]


def section(study: Declared, folder: Path, comment: str) -> str:
    """A section of the page; empty where the study has not been conducted."""
    if not (folder / "summary.json").exists():
        return ""
    spec, summary = study.spec, json.loads((folder / "summary.json").read_text())
    lines = [
        f"## {spec.title}",
        "",
        f"`{study.name}` · {spec.source}. {spec.question}",
        "",
        f"**{summary['answer']}**",
        "",
    ]
    if settings := ", ".join(SMALLER.get(study.name, ())):
        lines += [f"Made at {settings.replace('=', ' ')}; {summary['made']}", ""]
    else:
        lines += [summary["made"], ""]
    if summary["random weights"]:
        lines += [f"Random weights, in place of real ones: {', '.join(summary['random weights'])}.", ""]
    if summary["findings"]:
        lines += ["| finding | here | figures |", "|---|---|---|"]
        lines += [f"| {each['claim']} | {each['verdict']} | {each['words']} |" for each in summary["findings"]]
        lines += [""]
    if comment:
        lines += [comment, ""]
    return "\n".join([*lines, *means(folder, spec.measures, [*spec.axes])])


def means(folder: Path, measures: Sequence[str], axes: Sequence[str]) -> list[str]:
    """The table of means, with the source's figures in brackets."""
    with (folder / "means.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        measure = row["measure"]
        value = shown(measure, float(row["mean"])) if row["mean"] else "-"
        cell = f"{value} ({row['source']})" if row["source"] else value
        found.setdefault(tuple(row[axis] for axis in axes), {})[measure] = cell
    head = [*axes, *map(title_of, measures)]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(axes) + "--:|" * len(measures)]
    return [*lines, *(f"| {' | '.join([*labels, *(cells[m] for m in measures)])} |" for labels, cells in found.items())]


if __name__ == "__main__":
    main()
