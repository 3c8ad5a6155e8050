"""How long a process needs before it can work: PyTorch's import, and what artune adds to it.

    python benchmarks/startup.py [--runs 5] [--source DIR ...]

Milliseconds, medians of the runs, each a process of its own. With several ``--source`` (folders to put on PYTHONPATH)
they take turns. artune's part holds everything that ``artune style`` imports, other libraries than PyTorch included.
"""

import argparse
import json
import os
import subprocess
import sys
from statistics import median

CODE = """
import json, time
began = time.perf_counter()
import torch
middle = time.perf_counter()
import artune.cli, artune.api, artune.transfer.methods
print(json.dumps([1e3 * (middle - began), 1e3 * (time.perf_counter() - middle)]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--source", action="append", default=None)
    args = parser.parse_args()
    found: dict[str | None, list[list[float]]] = {}
    for run in range(args.runs + 1):
        for source in args.source or [None]:
            environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
            environment |= {"PYTHONPATH": source} if source else {}
            text = subprocess.run([sys.executable, "-c", CODE], env=environment, check=True, capture_output=True).stdout
            if run:  # the first one compiles the sources
                found.setdefault(source, []).append(json.loads(text))
    for source, rows in found.items():
        torch, ours = (median(row[part] for row in rows) for part in (0, 1))
        print(f"PyTorch {torch:.0f} ms, artune {ours:.0f} ms{f'  {source}' if source else ''}")


if __name__ == "__main__":
    main()
