"""How the threads of PyTorch wait for each other on a CPU.

Several threads compute each layer of a network, and wait for the slowest of them. OpenMP, which runs them on Linux,
waits by spinning for milliseconds. Where another process needs the processor too, threads spin for one that the system
has put aside, and a run takes several times as long.
"""

import os
import sys

SPIN_COUNT = "1000"
"""Turns that a thread spins before it sleeps. Alone, a run is as fast as with OpenMP's own count, 300,000. With 0 it is
a sixth slower; with 10,000, a busy processor slows it down more (``benchmarks/contention.py``)."""


def wait_briefly() -> None:
    """Have the threads of PyTorch sleep soon while they wait, in this process and those that it starts.

    OpenMP reads its settings once, when PyTorch is loaded: where it has been, nothing can be changed. What the user has
    set stays.
    """
    if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
