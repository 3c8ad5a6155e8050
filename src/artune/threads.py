"""How the threads of PyTorch share the processor with other processes.

Several threads compute each layer of a network, and wait for the slowest of them. Where another process needs the
processor too, a thread that the system has put aside holds up the others. This costs far more than the other process
takes: with fewer threads, a run is faster then.
"""

import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from typing import NamedTuple, Self, TypeVar

import psutil
import torch

WINDOW = 0.25
"""Seconds over which the free cores are counted. The system counts in hundredths of a second."""
FIRST_WINDOW = 0.05
"""Seconds that are enough for the first count, which comes before the first computation: a rough one is better than
none, for beside another process a step with too many threads can take seconds."""

E = TypeVar("E")
R = TypeVar("R")


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
    def now(cls) -> Self:
        """Measure."""
        cores = psutil.cpu_times(percpu=True)
        if hasattr(os, "sched_getaffinity"):  # Linux
            allowed = os.sched_getaffinity(0)
            cores = [core for number, core in enumerate(cores) if number in allowed] or cores
        idle = sum(core.idle + getattr(core, "iowait", 0.0) for core in cores)
        return cls(time.perf_counter(), idle, time.process_time())

    def free_since(self, before: "Usage") -> float:
        """Number of cores that were idle or computed for this process, on average since an earlier measurement."""
        return (self.idle - before.idle + self.own - before.own) / (self.seconds - before.seconds)


class FreeCores:
    """The cores that other processes leave free, counted again and again, for the number of PyTorch's threads.

    Nothing changes where the user has fixed the number by the environment variable OMP_NUM_THREADS, or where the system
    does not tell what the cores do. Only where it is fixed are the last bits of a result the same whatever other
    processes do.

    The first count spans the time since the object was made: make it early, so that the first computation already has
    the right number of threads.

    Args:
        usage: measures what the cores do.
    """

    def __init__(self, usage: Callable[[], Usage] = Usage.now) -> None:
        self._usage = usage
        self._count: int | None = None
        self._measured: Usage | None = None
        if "OMP_NUM_THREADS" not in os.environ:
            with suppress(OSError, psutil.Error):  # a sandbox may hide the system's counts
                self._measured = usage()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Context in which PyTorch uses as many threads as there are free cores: one at least, and at most as many as
        before. Afterwards, it uses as many as before."""
        before = torch.get_num_threads()
        try:
            if before > 1:
                _set_threads(min(self._counted() or before, before))
            yield
        finally:
            _set_threads(before)

    def _counted(self) -> int | None:
        """Number of free cores, counted again if the last measurement is a window old; ``None`` if it is not known."""
        before = self._measured
        if before is not None:
            now = self._usage()
            if now.seconds - before.seconds >= (FIRST_WINDOW if self._count is None else WINDOW):
                self._count = max(1, round(now.free_since(before)))
                self._measured = now
        return self._count


def on_free_cores(steps: Generator[E, None, R], cores: FreeCores) -> Generator[E, None, R]:
    """Compute each of the steps with as many threads as there are free cores.

    Args:
        steps: steps that compute on the processor.
        cores: the free cores.

    Yields:
        what ``steps`` yields.

    Returns:
        what ``steps`` returns.
    """
    with closing(steps):
        while True:
            with cores.in_use():
                try:
                    step = next(steps)
                except StopIteration as end:
                    result: R = end.value
                    return result
            yield step


def _set_threads(count: int) -> None:
    if count != torch.get_num_threads():  # setting it again would cost PyTorch its prepared convolutions
        torch.set_num_threads(count)
