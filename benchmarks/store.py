"""How large a study the store holds: seconds and memory to add runs, to start again, and to read all values.

    python benchmarks/store.py -o FOLDER [--runs 100000] [--journal] [--unsynced]

FOLDER is new. Every run leaves a picture of 64 pixels and five values; nothing is styled. ``--journal`` does the same
with the store of before, in which each line of a file was an entry, as far as its times depend on the number of runs.
``--unsynced`` does not wait for the disk when it adds, which takes most of that time, to see the other steps sooner.
Each step is a process of its own; its memory is what it takes beyond the imports.
"""

import argparse
import json
import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from artune.files import write
from artune.images.picture import Picture
from artune.images.write import encoded, write_picture
from artune.record import ALGORITHM, Record
from artune.spec.study import Example, RunSpec
from artune.spec.style import StyleSpec
from artune.studies.axis import with_strengths
from artune.studies.entries import Entry, Measured
from artune.studies.grid import grid
from artune.studies.keys import keyed
from artune.studies.store import Store, open_for_reading

PHOTOGRAPHS, PAINTINGS = 10, 100
VALUES = {
    **{name: Measured(0.123456789, "window 7") for name in ("ssim", "lpips", "sharpness", "seconds")},
    "style_class": Measured(1.0, "0123456789abcdef" * 4, {"classes": list("abcde"), "probabilities": [0.2] * 5}),
}
PNG_END = b"IEND\xaeB`\x82"
UNSYNCED = "ARTUNE_BENCHMARK_UNSYNCED"
Step = Callable[[Path, int], None]


@contextmanager
def of_it(what: str) -> Iterator[None]:
    """Print what a part of a step takes."""
    begun, worked = time.perf_counter(), time.process_time()
    yield
    seconds, worked = time.perf_counter() - begun, time.process_time() - worked
    print(f"  of the next step, {what}: {seconds:.3f} s, {worked:.3f} s of them the processor's", flush=True)


def inputs(folder: Path) -> tuple[list[Example], list[Example]]:
    """Photographs and paintings, each a file of its own."""
    found = []
    for kind, count in (("photographs", PHOTOGRAPHS), ("paintings", PAINTINGS)):
        files = [folder / kind / f"{number}.png" for number in range(count)]
        for number, file in enumerate(files):
            if not file.exists():
                level = (number + (kind == "paintings") * PHOTOGRAPHS) / (PHOTOGRAPHS + PAINTINGS)
                write_picture(Picture(np.full((8, 8, 3), level, np.float32)), file)
        found.append([Example(file=file, label=kind) for file in files])
    return found[0], found[1]


def runs_of(folder: Path, count: int) -> dict[str, RunSpec]:
    """A grid of runs, by key."""
    photographs, paintings = inputs(folder)
    pairs = len(photographs) * len(paintings)
    strengths = [(number + 1) / (count // pairs + 1) for number in range(count // pairs)]
    return keyed(grid(photographs, paintings, with_strengths(StyleSpec(device="cpu", precision="fp32"), strengths)))


def made(runs: dict[str, RunSpec]) -> Iterator[tuple[Entry, bytes]]:
    """What a run leaves."""
    picture = encoded(Picture(np.random.default_rng(0).random((8, 8, 3)).astype(np.float32)), ".png")
    versions = {"artune": "0.1.0", "algorithm": str(ALGORITHM), "torch": "2.8.0", "python": "3.11.7", "numpy": "2.3.0"}
    for key, run in runs.items():
        digests = {"content": key, "style 0": key, "weights": key}
        losses = {name: [0.123456789] for name in ("total", "content", "style", "tv")}
        record = Record(key=key, spec=run.spec, digests=digests, losses=losses, steps=50, versions=versions)
        yield Entry(key=key, run=run, record=record), picture


# ------------------------------------------------------------------------------------------- the store


def make_keys(folder: Path, count: int) -> None:
    assert len(runs_of(folder, count)) == count


def add(folder: Path, count: int) -> None:
    runs = runs_of(folder, count)
    with Store.open(folder / "store", "benchmark") as store:
        if UNSYNCED in os.environ:
            store.database.execute("PRAGMA synchronous = OFF")
        for entry, picture in made(runs):
            store.add(entry, picture, VALUES)


def start_again(folder: Path, count: int) -> None:
    runs = runs_of(folder, count)
    with of_it("opening and asking for what is missing"), Store.open(folder / "store", "benchmark") as store:
        assert store.missing(runs) == {}


def add_one(folder: Path, count: int) -> None:
    with Store.open(folder / "store", "benchmark") as store:
        entry, picture = next(made(runs_of(folder, count)))
        with of_it("adding"):
            store.add(entry, picture, VALUES)


def read_values(folder: Path, count: int) -> None:
    with open_for_reading(folder / "store") as store:
        assert sum(map(len, store.values().values())) == count * len(VALUES)


def read_entries(folder: Path, count: int) -> None:
    with open_for_reading(folder / "store") as store:
        assert sum(1 for _ in store.entries()) == count


# ------------------------------------------------------------------------------------------- the journal of before


def add_to_journal(folder: Path, count: int) -> None:
    runs = runs_of(folder, count)
    (folder / "journal").mkdir()
    with (
        (folder / "journal" / "records.jsonl").open("ab", 0) as records,
        (folder / "journal" / "judged.jsonl").open("ab", 0) as judged,
    ):
        for entry, picture in made(runs):
            write(folder / "journal" / "pictures" / f"{entry.key}.png", picture)
            records.write(entry.model_dump_json().encode() + b"\n")
            os.fsync(records.fileno())
            lines = ({"picture": entry.key, "measure": name, "value": each.value} for name, each in VALUES.items())
            judged.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
            os.fsync(judged.fileno())


def journal_again(folder: Path, count: int) -> None:
    runs, pictures = runs_of(folder, count), folder / "journal" / "pictures"
    with of_it("opening and asking for what is missing"):
        for name in ("records.jsonl", "judged.jsonl"):  # an unfinished last line was cut off
            with (folder / "journal" / name).open("rb+") as file:
                file.truncate(file.read().rfind(b"\n") + 1)
        lines = (folder / "journal" / "records.jsonl").read_bytes().split(b"\n")[:-1]
        entries = {entry.key: entry for entry in map(Entry.model_validate_json, lines)}
        values = [json.loads(line) for line in (folder / "journal" / "judged.jsonl").read_bytes().split(b"\n")[:-1]]
        assert all(map(is_whole, sorted(pictures.glob("*.png"))))  # pictures without a line were looked for
        assert all(key in entries and is_whole(pictures / f"{key}.png") for key in runs)
    assert len(values) == count * len(VALUES)


def is_whole(path: Path) -> bool:
    """Whether a PNG file has its end."""
    with path.open("rb") as file:
        file.seek(-len(PNG_END), os.SEEK_END)
        return file.read() == PNG_END


# ------------------------------------------------------------------------------------------- the table

STORE: dict[str, Step] = {
    "make the keys": make_keys,
    "make the keys, and add all": add,
    "make the keys, and start again": start_again,
    "add one more time": add_one,
    "read all values": read_values,
    "read all entries": read_entries,
}
JOURNAL: dict[str, Step] = {"journal: add all": add_to_journal, "journal: start again": journal_again}


def peak() -> float:
    """Largest memory of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(step: Step, folder: Path, count: int) -> tuple[float, float, float]:
    """Seconds, seconds of the processor, and MiB of a step."""
    keyed([])
    if UNSYNCED in os.environ:
        os.fsync = lambda fd: None
    before, begun, worked = peak(), time.perf_counter(), time.process_time()
    step(folder, count)
    return time.perf_counter() - begun, time.process_time() - worked, peak() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--journal", action="store_true")
    parser.add_argument("--unsynced", action="store_true")
    args = parser.parse_args()
    if args.runs % (PHOTOGRAPHS * PAINTINGS):
        parser.error(f"--runs is a multiple of {PHOTOGRAPHS * PAINTINGS}")
    if args.output.exists():
        parser.error(f"{args.output} is there; give a new folder")
    args.output.mkdir()
    if args.unsynced:
        os.environ[UNSYNCED] = "1"
    inputs(args.output)
    print(f"{args.runs} runs, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    try:
        for name, step in {**STORE, **(JOURNAL if args.journal else {})}.items():
            with ProcessPoolExecutor(1, get_context("spawn")) as executor:
                seconds, worked, mib = executor.submit(partial(measured, step, args.output, args.runs)).result()
            print(f"{name}: {seconds:.2f} s, {worked:.2f} s of them the processor's, {mib:.0f} MiB", flush=True)
        for file in ("store/study.sqlite", "journal/records.jsonl"):
            if (args.output / file).exists():
                print(f"{file}: {(args.output / file).stat().st_size / 2**20:.0f} MiB")
    finally:
        shutil.rmtree(args.output)


if __name__ == "__main__":
    main()
