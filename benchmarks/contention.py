"""How much a busy machine slows a run down: whole commands alone, beside a busy process, and two at once.

The limit is what two at once take with one thread each, for then no thread waits for another.

    python benchmarks/contention.py [--sizes 256 512] [--runs 3] [--source DIR ...]

Prints the median wall time of each, in seconds, and its ratio to the time alone. With several ``--source`` (folders to
put on PYTHONPATH), they take turns, so that a machine whose speed drifts is fair to all.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from artune.assets import sample_photo, sample_style

BUSY = "while True: pass"
FIXING = "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"
"""Settings of threads that the commands must not inherit."""


def begin(size: int, source: str | None, out: Path, settings: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start one command; its result goes to ``out``."""
    pair = str(sample_photo("cat")), str(sample_style("strokes"))
    command = [sys.executable, "-m", "artune", "style", *pair, "--size", str(size), "--overwrite", "-q", "-o", str(out)]
    environment = {name: value for name, value in os.environ.items() if name not in FIXING} | settings
    return subprocess.Popen(command, env=environment | ({"PYTHONPATH": source} if source else {}))


def seconds(
    size: int, source: str | None, folder: Path, *, at_once: int = 1, busy: int = 0, threads: int | None = None
) -> float:
    """Wall time until the slower of the commands has ended."""
    settings = {"OMP_NUM_THREADS": str(threads)} if threads else {}
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(busy)]
    try:
        began = time.perf_counter()
        runs = [begin(size, source, folder / f"{number}.png", settings) for number in range(at_once)]
        codes = [run.wait() for run in runs]
        taken = time.perf_counter() - began
    finally:
        for other in others:
            other.kill()
            other.wait()
    if any(codes):
        raise SystemExit(f"a command failed with exit code {max(codes)}")
    return taken


CASES: Mapping[str, Mapping[str, int]] = {
    "alone": {},
    "one busy process": {"busy": 1},
    "two at once": {"at_once": 2},
    "two, one thread": {"at_once": 2, "threads": 1},
}


def table(sizes: Sequence[int], sources: Sequence[str | None], runs: int, folder: Path) -> None:
    """Measure and print, a line for each size, source and case."""
    for size in sizes:
        taken: dict[tuple[str | None, str], list[float]] = {}
        for _ in range(runs):
            for case, given in CASES.items():
                for source in sources:
                    taken.setdefault((source, case), []).append(seconds(size, source, folder, **given))
        for source in sources:
            alone = median(taken[source, "alone"])
            for case in CASES:
                each = taken[source, case]
                all_ = " ".join(f"{value:.1f}" for value in each)
                where = f"  {source}" if source else ""
                print(f"{size:5d} px  {case:16s}  {median(each):6.1f} s  x{median(each) / alone:.2f}  ({all_}){where}")
        sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--source", action="append", default=None)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table(args.sizes, args.source or [None], args.runs, Path(folder))


if __name__ == "__main__":
    main()
