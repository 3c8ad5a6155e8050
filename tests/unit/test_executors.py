"""Executors: in this process and in several; whatever ends the block ends the processes."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context

import pytest

from artune.studies.executors import InProcess, workers


def test_this_process_calls_at_once():
    executor, calls = InProcess(), []
    future = executor.submit(lambda x: calls.append(x) or 2 * x, 3)
    assert calls == [3]
    assert future.done()
    assert future.result() == 6
    with pytest.raises(ZeroDivisionError):
        executor.submit(lambda: 1 / 0).result()


def test_ctrl_c_is_not_a_result():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        InProcess().submit(interrupted)


def test_one_worker_is_this_process():
    with workers(1) as executor:
        assert isinstance(executor, InProcess)


@pytest.mark.slow
def test_an_exception_ends_the_processes_without_a_word():
    """An exception in a thread of the pool would be a warning, and fail this test."""
    others = active_children()

    def stopped():
        with workers(2) as executor:
            waiting = [executor.submit(time.sleep, 0.1) for _ in range(50)]
            next(as_completed(waiting)).result()
            for future in waiting:
                future.cancel()
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        stopped()
    assert active_children() == others


@pytest.mark.slow
def test_no_thread_outlives_a_pool_whose_process_was_killed():
    """One that did would close its pipe while the interpreter, at its end, writes to it."""
    threads = set(threading.enumerate())

    def broken():
        with workers(2) as executor:
            waiting = [executor.submit(time.sleep, 0.1) for _ in range(20)]
            next(as_completed(waiting)).result()
            active_children()[0].kill()
            for future in waiting:
                future.result()

    for _ in range(3):
        with pytest.raises(BrokenProcessPool):
            broken()
        assert set(threading.enumerate()) <= threads


@pytest.mark.slow
def test_other_processes_of_the_program_go_on():
    """Also one that another thread began while the pool was at work."""
    other = get_context("spawn").Process(target=time.sleep, args=(60,))

    def stopped():
        with workers(2) as executor:
            executor.submit(time.sleep, 0).result()
            with ThreadPoolExecutor(1) as thread:
                thread.submit(other.start).result()
            raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            stopped()
        assert active_children() == [other]
    finally:
        other.terminate()
        other.join()
