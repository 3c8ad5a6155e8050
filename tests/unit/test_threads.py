"""How many threads compute beside other processes."""

import os

import pytest
import torch

from artune.threads import FIRST_WINDOW, WINDOW, FreeCores, Usage, on_free_cores


@pytest.fixture
def four(monkeypatch):
    """A program whose PyTorch uses four threads, and whose user has fixed nothing."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def counts(number):
    """Steps that tell how many threads compute them."""
    for _ in range(number):
        yield torch.get_num_threads()


def measured(*free):
    """Measurements, a window apart, between which that many cores are free."""
    idle = 0.0
    for number, each in enumerate([0, *free]):
        idle += each * WINDOW
        yield Usage(number * WINDOW, idle, own=0.0)


def cores(*free):
    """Free cores that are counted each time when they are used."""
    usages = measured(*free)
    return FreeCores(lambda: next(usages))


def test_a_run_uses_the_free_cores(four):
    free = cores(4, 3.4, 2.6, 0.9, 0, 4, 64, 4, 4)
    assert [*on_free_cores(counts(8), free)] == [4, 3, 3, 1, 1, 4, 4, 4]


@pytest.mark.parametrize("limit", [1, 2])
def test_the_caller_s_limit_is_kept(four, limit):
    free = cores(4, 4)
    torch.set_num_threads(limit)
    with free.in_use():
        assert torch.get_num_threads() == limit
    assert torch.get_num_threads() == limit


def test_before_the_cores_were_counted_the_number_stays(four):
    with FreeCores(lambda: Usage(0.0, 0.0, 0.0)).in_use():
        assert torch.get_num_threads() == 4


def test_one_thread_needs_no_count(four):
    usages = iter([Usage(0.0, 0.0, 0.0)])
    free = FreeCores(lambda: next(usages))
    torch.set_num_threads(1)
    assert [*on_free_cores(counts(2), free)] == [1, 1]


def test_a_system_that_hides_its_counts(four):
    def usage():
        raise PermissionError("/proc/stat")

    assert [*on_free_cores(counts(2), FreeCores(usage))] == [4, 4]


def test_cores_that_the_run_computes_on_are_its_own():
    """Two threads share two cores with another process: of each two seconds, they compute 1.4."""
    assert Usage(10.0, 5.0, 7.0).free_since(Usage(8.0, 4.8, 4.4)) == pytest.approx(1.4)


def test_a_short_time_is_not_counted(four):
    """The first count needs less time than the others."""
    times = [0.0, 0.5 * FIRST_WINDOW, FIRST_WINDOW, FIRST_WINDOW + 0.5 * WINDOW, FIRST_WINDOW + WINDOW]
    usages = iter([Usage(at, idle=2 * min(at, FIRST_WINDOW), own=0.0) for at in times])
    assert [*on_free_cores(counts(3), FreeCores(lambda: next(usages)))] == [4, 2, 2]
    assert not [*usages]


def test_a_number_that_the_user_has_fixed_stays(four, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert [*on_free_cores(counts(3), cores(0, 0, 0, 0))] == [4, 4, 4]


def test_the_caller_keeps_its_number(four):
    steps = on_free_cores(counts(2), cores(4, 1, 1))
    assert [(inside, torch.get_num_threads()) for inside in steps] == [(4, 4), (1, 4)]


def test_a_number_that_the_caller_sets_meanwhile_stays(four):
    steps = on_free_cores(counts(2), cores(4, 1, 1))
    next(steps)
    torch.set_num_threads(3)
    assert next(steps) == 1
    assert torch.get_num_threads() == 3


def test_the_number_is_what_it_was_after_an_error(four):
    def fails():
        yield 1
        raise ValueError(torch.get_num_threads())

    steps = on_free_cores(fails(), cores(4, 1))
    assert next(steps) == 1
    with pytest.raises(ValueError, match=r"^1$"):
        next(steps)
    assert torch.get_num_threads() == 4


def test_steps_are_closed_with_their_user(four):
    closed = []

    def steps():
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    run = on_free_cores(steps(), FreeCores())
    assert next(run) == 1
    run.close()
    assert closed == [True]


def test_usage_is_measured():
    before = Usage.now()
    while Usage.now().own - before.own < 0.1:
        sum(range(10_000))
    now = Usage.now()
    assert now.own - before.own >= 0.1
    assert now.seconds > before.seconds
    assert now.idle >= before.idle
    assert 0 < now.free_since(before) < 1.2 * os.cpu_count()
