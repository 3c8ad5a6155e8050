"""Where runs are carried out: in this process, or in several."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, parent_process
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, TypeVar

T = TypeVar("T")


class InProcess(Executor):
    """Calls each function at once, in this process."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Call a function, and return a finished future; Ctrl-C is not a result, and is raised."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Pool(ProcessPoolExecutor):
    """Processes that ignore Ctrl-C: this process ends them.

    Args:
        count: number of processes.
        threads: number of threads of each.
    """

    def __init__(self, count: int, threads: int) -> None:
        self._started = _Started()
        super().__init__(count, self._started, _prepare, (threads,))

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """As usual; but a process that is started here inherits that Ctrl-C is blocked."""
        if not hasattr(signal, "pthread_sigmask"):  # not on Windows
            return super().submit(fn, *args, **kwargs)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def terminate(self) -> None:
        """End the processes at once, whatever they are doing."""
        manager: threading.Thread | None = getattr(self, "_executor_manager_thread", None)  # `shutdown` forgets it
        self.shutdown(wait=False, cancel_futures=True)  # before its processes end, which it would take for a failure
        for child in active_children():
            if child in self._started.processes:
                child.terminate()
                child.join()
        if manager is not None:  # else it closes its pipe while the interpreter, at its end, writes to it
            manager.join()


class _Started(SpawnContext):
    """Starts processes with a fresh interpreter, and remembers them: the program may have other child processes."""

    def __init__(self) -> None:
        self.processes: list[SpawnProcess] = []

    def Process(self, *args: Any, **kwargs: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802
        process = SpawnProcess(*args, **kwargs)
        self.processes.append(process)
        return process


@contextmanager
def workers(count: int) -> Iterator[Executor]:
    """An executor with a number of processes, which share the threads that PyTorch would use; 1 is this process.

    If the block ends by an exception, such as Ctrl-C, the processes are ended at once. If this process is killed, they
    end themselves.
    """
    if count == 1:
        yield InProcess()
        return
    import torch

    pool = Pool(count, max(1, torch.get_num_threads() // count))
    try:
        yield pool
    except BaseException:
        pool.terminate()
        raise
    finally:
        pool.shutdown()


def _prepare(threads: int) -> None:
    """Prepare a process for its first run."""
    import torch

    from artune.machine import keep_freed_memory

    torch.set_num_threads(threads)
    keep_freed_memory()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
