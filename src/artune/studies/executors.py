"""Where runs are computed: in this process, or in several."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, InvalidStateError, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from typing import Any, TypeVar

T = TypeVar("T")


class InProcess(Executor):
    """Does what it is given at once, in this process."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """A future that is done; Ctrl-C is no result, and goes through."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Pool(ProcessPoolExecutor):
    """Processes that do not hear Ctrl-C: it is the parent's, who ends them."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """As usual; a process is begun here when there is need of one, and inherits the signals that are blocked."""
        if not hasattr(signal, "pthread_sigmask"):  # another system than Unix
            return super().submit(fn, *args, **kwargs)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def workers(count: int) -> Iterator[Executor]:
    """So many processes at work, this one alone for 1; they share the threads that PyTorch would take.

    Where the block ends by an exception, Ctrl-C among them, they are ended at once; where this process is killed, they
    end themselves.
    """
    if count == 1:
        yield InProcess()
        return
    import torch

    threads = max(1, torch.get_num_threads() // count)
    others = active_children()
    pool = Pool(count, get_context("spawn"), _begin, (threads,))
    try:
        yield pool
    except BaseException:
        with _unspoken(InvalidStateError):  # a cancelled future fails again in Python before 3.12.8
            for child in active_children():
                if child not in others:
                    child.terminate()
            pool.shutdown(cancel_futures=True)
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _unspoken(kind: type[Exception]) -> Iterator[None]:
    """Threads that end by such an exception say nothing of it."""
    usual = threading.excepthook

    def told(args: threading.ExceptHookArgs) -> None:
        if not issubclass(args.exc_type, kind):
            usual(args)

    threading.excepthook = told
    try:
        yield
    finally:
        threading.excepthook = usual


def _begin(threads: int) -> None:
    """What a process does before its first run."""
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
