"""What a command needs besides its steps: PyTorch's import, artune's imports, and all the rest.

    python benchmarks/startup.py [--runs 5] [--source DIR ...]

Milliseconds, medians of the runs, each a process of its own: ``import torch``; after that, all that ``artune style``
imports before it reads a picture, other libraries included; and a whole command with one step at 64 pixels, which reads
two pictures of about 512 pixels and writes one. With several ``--source`` (folders to put on PYTHONPATH) they take
turns.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from artune.assets import sample_photo, sample_style

IMPORTS = """
import json, time
began = time.perf_counter()
import torch
middle = time.perf_counter()
import artune.cli, artune.api, artune.transfer.methods
print(json.dumps([1e3 * (middle - began), 1e3 * (time.perf_counter() - middle)]))
"""
ONE_STEP = ["--size", "64", "--no-pyramid", "--steps", "1", "--strength", "0.5", "--overwrite", "--quiet"]


def measured(source: str | None, folder: Path) -> list[float]:
    """The three times."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPATH": source} if source else {}

    def run(*command: str) -> str:
        return subprocess.run(
            [sys.executable, *command], env=environment, check=True, capture_output=True, text=True
        ).stdout

    imports: list[float] = json.loads(run("-c", IMPORTS))
    began = time.perf_counter()
    pictures = (str(sample_photo("cat")), str(sample_style("strokes")))
    run("-m", "artune", "style", *pictures, "-o", str(folder / "out.png"), *ONE_STEP)
    return [*imports, 1e3 * (time.perf_counter() - began)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--source", action="append", default=None)
    args = parser.parse_args()
    found: dict[str | None, list[list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for run in range(args.runs + 1):
            for source in args.source or [None]:
                times = measured(source, Path(folder))
                if run:  # the first one compiles the sources
                    found.setdefault(source, []).append(times)
    for source, rows in found.items():
        torch, ours, whole = (median(row[part] for row in rows) for part in range(3))
        where = f"  {source}" if source else ""
        print(f"import torch {torch:.0f}, artune's imports {ours:.0f}, command with one step {whole:.0f} ms{where}")


if __name__ == "__main__":
    main()
