"""The class studies of docs/studies/balance.md, and the training of their judges.

    python benchmarks/class_study.py --assets DIR -o FOLDER [judges] [curve] [ratios] [sizes] [robust] [natural]

DIR holds ``weights`` and ``data``. A part prints its ``artune`` commands and a table; without a name all parts are
done. Judges and pictures that are in FOLDER already are not made again.

``judges``: class judges of animals and painters on unchanged pictures. ``curve``: accuracy against the strength, by
ResNet-18 and by the Gram classifier. ``ratios``: the same in the tutorial's units. ``sizes``: size of the training
pictures against that of the results. ``robust``: judges of animals trained on styled pictures, changed ones and edges.
``natural``: natural against unnatural styles at one weight.
"""

import argparse
import csv
import json
import random
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps

from artune.files import atomic, file_digest
from artune.spec.options import with_options
from artune.spec.study import Example, RunSpec
from artune.spec.style import StyleSpec
from artune.studies.classes import verdicts
from artune.studies.executors import workers
from artune.studies.grid import examples
from artune.studies.keys import keyed
from artune.studies.run import Task, Transfer, run
from artune.studies.store import Store, open_for_reading

STRENGTHS = "0.03,0.08,0.18,0.35,0.5,0.65,0.82,0.92,0.97"
FEWER = "0.08,0.35,0.65,0.92"
RATIOS = "1,1e1,1e2,1e3,1e4,5e4,1e5,1e6,1e7,1e6:10,1e6:100"
SIZE, QUALITY = 128, "draft"
MADE = ("--size", SIZE, "--quality", QUALITY)
STYLED = 300
"""Number of styled pictures to train on."""
ROBUST = {
    "plain": [],
    "styled": ["--styled"],
    **{f"augmented {n}": ["--augment", str(n)] for n in (250, 500, 1000, 2000)},
    **{f"styled augmented {n}": ["--augment", str(n), "--styled"] for n in (250, 500, 1000, 2000)},
    "edges": ["--edges"],
    "edges after denoising": ["--edges-after-denoising"],
}
NATURAL, UNNATURAL = ("rococo", "impressionism"), ("fauvism", "cubism")


class Study:
    """A folder of judges and results, and the parts that fill it."""

    def __init__(self, assets: Path, folder: Path, epochs: int) -> None:
        self.data, self.weights, self.folder, self.epochs = assets / "data", assets / "weights", folder, epochs
        (folder / "judges").mkdir(parents=True, exist_ok=True)

    def artune(self, *words: object) -> str:
        """Print and run a command, and return what it printed."""
        command = [str(word) for word in words]
        print("$ artune", shlex.join(command), flush=True)
        done = subprocess.run([sys.executable, "-m", "artune", *command], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        return done.stdout

    def judge(
        self, data: Path, name: str, kind: str = "resnet18", size: int = SIZE, options: Sequence[object] = ()
    ) -> Path:
        """Train a class judge unless it is there, and print its accuracy on unchanged pictures."""
        path = self.folder / "judges" / f"{name.replace(' ', '-')}.safetensors"
        if not path.exists():
            trunk = ["--weights", self.weights / "resnet18-layer1-3.safetensors"] if kind == "resnet18" else []
            given = ["--kind", kind, "--data", data, "--size", size, "--epochs", self.epochs, "--seed", 0]
            self.artune("judge", "train", *given, *trunk, *options, "--quiet", "--resume", "-o", path)
        found = json.loads(self.artune("judge", "evaluate", path, "--data", data, "--json"))
        low, high = found["interval"]
        print(f"  {name}: {found['accuracy']:.3f} ({low:.3f} .. {high:.3f}) of {found['pictures']} test pictures")
        return path

    def animals(self) -> Path:
        return self.judge(self.data / "animals", "animals plain")

    def painters(self, size: int = SIZE) -> Path:
        return self.judge(self.data / "painters", f"painters {size}", size=size)

    def gram(self) -> Path:
        return self.judge(self.data / "painters", f"painters gram {SIZE}", "gram")

    def study(
        self,
        name: str,
        judges: tuple[Path, Path],
        *options: object,
        contents: Path | None = None,
        styles: Path | None = None,
    ) -> list[dict[str, str]]:
        """Run a class study; its table of accuracies."""
        photographs, paintings = contents or self.data / "animals/test", styles or self.data / "painters/test"
        folders = ["--contents", photographs, "--styles", paintings]
        by = ["--content-judge", judges[0], "--style-judge", judges[1]]
        out = self.folder / name
        print(self.artune("classes", *folders, *by, *options, "--workers", 2, "-o", out), end="")
        summary = json.loads((out / "summary.json").read_text())
        print(f"  {summary['pictures']} pictures, {summary['failed']} failed; equilibrium {summary['equilibrium']}")
        print(f"  unchanged pictures: {summary['untouched']}")
        with (out / "accuracy.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    # ------------------------------------------------------------------------------------------- parts

    def judges(self) -> None:
        """Judges, on unchanged pictures."""
        self.animals()
        for size in (64, 128, 224):
            self.painters(size)
        self.gram()

    def curve(self) -> None:
        """Both accuracies against the strength; ResNet-18 beside the Gram classifier on the same pictures."""
        given = ["--per-class", 2, *MADE, "--strengths", STRENGTHS]
        by_gram = self.study("curve", (self.animals(), self.gram()), *given)
        by_resnet = self.study("curve", (self.animals(), self.painters()), *given)
        table(
            ("strength", "content", "", "style, ResNet-18", "", "style, Gram", ""),
            [
                (row["weight"], *banded(row, "content"), *banded(row, "style"), *banded(other, "style"))
                for row, other in zip(by_resnet, by_gram, strict=True)
            ],
        )

    def ratios(self) -> None:
        """The tutorial's recipe, in its own units, on the small VGG-19."""
        network = ["--network", "vgg19-emulator", "--weights", self.weights / "vgg19-emulator-16x.safetensors"]
        given = ["--per-class", 1, "--styles-per-class", 1, "--recipe", "tutorial", *network, "--ratios", RATIOS]
        rows = self.study("ratios", (self.animals(), self.painters()), *given)
        table(("ratio", "content", "", "style", ""), [ratio_row(row) for row in rows])

    def sizes(self) -> None:
        """Size of the judge's training pictures against that of the results; squares, which a judge sees whole."""
        sizes, rows = (64, 128, 224), []
        contents, styles = (self.squares(kind) for kind in ("animals", "painters"))
        for size in sizes:
            row = [f"results {size}"]
            for trained in sizes:
                judges = self.animals(), self.painters(trained)
                made = ("--size", size, "--quality", QUALITY)
                given = ["--per-class", 1, "--styles-per-class", 2, *made, "--strengths", "0.82"]
                found = self.study(f"size-{size}", judges, *given, contents=contents, styles=styles)
                row.append(f"{float(found[0]['style']):.2f}")
            rows.append(row)
        table(("style recognised at strength 0.82", *(f"trained at {size}" for size in sizes)), rows)

    def squares(self, kind: str) -> Path:
        """The middle squares of test pictures."""
        out = self.folder / "squares" / kind
        for file in sorted((self.data / kind / "test").glob("*/*.jpg")):
            place = out / file.parent.name / f"{file.stem}.png"
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                with Image.open(file) as picture, atomic(place) as temporary:
                    ImageOps.fit(picture, (min(picture.size),) * 2).save(temporary, "PNG")
        return out

    def robust(self) -> None:
        """Judges of animals with training that prepares for styled pictures, on the same styled pictures."""
        styled, rows = self.styled(), []
        for name, words in ROBUST.items():
            options = [*words, *([styled] if "--styled" in words else [])]
            judge = self.judge(self.data / "animals", f"animals {name}", options=options)
            given = ["--per-class", 2, *MADE, "--strengths", FEWER]
            found = self.study("robust", (judge, self.painters()), *given)
            shares = [float(row["content"]) for row in found]
            rows.append((name, f"{sum(shares) / len(shares):.3f}", *(f"{share:.2f}" for share in shares)))
        table(("trained with", "mean", *FEWER.split(",")), rows)

    def styled(self) -> Path:
        """Training photographs in the style of training paintings, at strengths drawn between 0.1 and 0.97."""
        rng = random.Random(0)
        photographs, paintings = (examples(self.data / f"{kind}/train") for kind in ("animals", "painters"))
        chosen = rng.sample(photographs, STYLED)
        base = with_options(StyleSpec(), {"size": SIZE, "quality": QUALITY})
        runs = keyed(
            RunSpec(
                content=each,
                style=rng.choice(paintings),
                spec=with_options(base, {"strength": round(rng.uniform(0.1, 0.97), 3)}),
            )
            for each in chosen
        )
        out = self.folder / "styled"
        with Store.open(self.folder / "styled-results") as store, workers(2) as executor:
            for _ in run({key: Task(each) for key, each in runs.items()}, store, executor, Transfer()):
                pass
            for key, each in runs.items():
                linked(store.picture(key), out / each.content.label)
        return out

    def natural(self) -> None:
        """Natural against unnatural styles at one strength."""
        folder = self.folder / "movements"
        for name in (*NATURAL, *UNNATURAL):
            for place, file in enumerate(sorted((self.data / "paintings" / name).glob("*.jpg"))):
                split = {0: "test", 1: "val"}.get(place % 10, "train")
                linked(file, folder / split / name)
        judges = self.animals(), self.judge(folder, "movements")
        given = ["--per-class", 2, "--styles-per-class", 6, *MADE, "--strengths", "0.5"]
        self.study("natural", judges, *given, styles=folder / "test")
        hits: dict[tuple[str, str], list[bool]] = {}
        with open_for_reading(self.folder / "natural") as store:
            answers = verdicts(store)
            for entry in store.entries():
                for side, judge in zip(("content", "style"), judges, strict=True):
                    example: Example = getattr(entry.run, side)
                    answer = answers[entry.key, side, file_digest(judge)].answer
                    hits.setdefault((entry.run.style.label, side), []).append(answer == example.label)
        rows = []
        for name in (*NATURAL, *UNNATURAL):
            found = (hits[name, side] for side in ("content", "style"))
            rows.append((name, *(f"{sum(each) / len(each):.2f}" for each in found)))
        table(("style of", "content recognised", "style recognised"), rows)


def linked(file: Path, folder: Path) -> None:
    """A link to a file in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / file.name
    if not place.is_symlink():
        place.symlink_to(file.resolve())


def banded(row: dict[str, str], side: str) -> tuple[str, str]:
    return f"{float(row[side]):.2f}", f"{float(row[f'{side}_low']):.2f} .. {float(row[f'{side}_high']):.2f}"


def ratio_row(row: dict[str, str]) -> tuple[str, ...]:
    return (row["weight"], *banded(row, "content"), *banded(row, "style"))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table in Markdown."""
    for row in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(row) + " |")
    print(flush=True)


PARTS = ("judges", "curve", "ratios", "sizes", "robust", "natural")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=12)
    args = parser.parse_args()
    if unknown := [part for part in args.parts if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]}; known: {', '.join(PARTS)}")
    study = Study(args.assets, args.output, args.epochs)
    for part in args.parts or PARTS:
        print(f"== {part}", flush=True)
        getattr(study, part)()


if __name__ == "__main__":
    main()
