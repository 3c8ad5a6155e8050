"""How the threads of PyTorch share the processor with other processes.

Several threads compute each layer of a network, and wait for the slowest of them. Where another process needs the
processor too, a thread that the system has put aside holds up the others. This costs far more than the other process
takes: with fewer threads, a run is faster then.
"""

import os
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple, TypeVar

SPIN_COUNT = "10000"
"""Turns that a waiting thread spins before it sleeps. OpenMP's own count, 300,000, is milliseconds, in which a spinning
thread keeps the processor from one that has work. A run alone takes the same time with both; with 3,000, it takes a
twentieth more, and beside other processes as long (``benchmarks/contention.py``)."""
WINDOW = 0.25
"""Seconds over which the free cores are measured. The system counts in hundredths of a second."""

E = TypeVar("E")


def wait_briefly() -> None:
    """Have the threads of PyTorch sleep soon while they wait, in this process and those that it starts.

    OpenMP reads its settings once, when PyTorch is loaded: where it has been, nothing can be changed. What the user has
    set stays.
    """
    if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)


class Usage(NamedTuple):
    """What the cores that this process may use have done so far.

    Attributes:
        seconds: time of the measurement.
        idle: seconds that all these cores together were idle.
        own: seconds that they computed for this process, all threads together.
    """

    seconds: float
    idle: float
    own: float

    @classmethod
    def now(cls) -> "Usage":
        """Measure."""
        import psutil  # late, for importing artune imports this file

        cores = psutil.cpu_times(percpu=True)
        if hasattr(os, "sched_getaffinity"):  # Linux
            allowed = os.sched_getaffinity(0)
            cores = [core for number, core in enumerate(cores) if number in allowed]
        idle = sum(core.idle + getattr(core, "iowait", 0.0) for core in cores)
        return cls(time.perf_counter(), idle, time.process_time())

    def free_since(self, before: "Usage") -> float:
        """Number of cores that were idle or computed for this process, on average since an earlier measurement."""
        return (self.idle - before.idle + self.own - before.own) / (self.seconds - before.seconds)


def on_free_cores(steps: Generator[E, None, None], usage: Callable[[], Usage] = Usage.now) -> Iterator[E]:
    """Compute each of the steps with as many threads as there are free cores: one at least, and at most as many as
    PyTorch uses when the first step begins.

    Between two steps, PyTorch's number of threads is what it was. Nothing changes where the user has fixed the number
    by the environment variable OMP_NUM_THREADS. Only then are the last bits of a result the same whatever other
    processes do.

    Args:
        steps: steps that compute on the processor.
        usage: measures what the cores do.

    Yields:
        what ``steps`` yields.
    """
    import torch

    most = threads = torch.get_num_threads()
    if most == 1 or "OMP_NUM_THREADS" in os.environ:
        yield from steps
        return
    before = usage()
    with closing(steps):
        while True:
            with _threads(threads):
                try:
                    step = next(steps)
                except StopIteration:
                    return
            yield step
            now = usage()
            if now.seconds - before.seconds >= WINDOW:
                threads = min(max(1, round(now.free_since(before))), most)
                before = now


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Compute with that many threads in this block."""
    import torch

    before = torch.get_num_threads()
    if count == before:  # setting it again would cost PyTorch its prepared convolutions
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
