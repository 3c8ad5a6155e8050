"""What a run says where nobody watches a bar: in a log."""

import os
import signal
import sys
import time

import pytest
import typer

from artune.cli.display import BAD_INPUT, CANCELLED, balancing, counting, guarded


def test_a_log_is_told_once_a_minute_how_much_is_left(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with counting("pictures", quiet=False) as count:
        count(0, 100)
        for done in range(1, 101):
            now[0] += 10
            count(done, 100)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "pictures: 6 of 100, about 16 min left"  # 94 at 10 seconds
    assert lines[-1] == "pictures: 96 of 100, about 1 min left"
    assert len(lines) == 16


def test_short_work_and_quiet_runs_say_nothing(monkeypatch, capsys):
    for quiet in (False, True):
        with counting("pictures", quiet) as count:
            count(100, 100)
    monkeypatch.setattr(sys, "stderr", None)
    with counting("pictures", quiet=False) as count:
        count(1, 1)
    monkeypatch.undo()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("steps", [0, 3])
def test_ctrl_c_ends_the_search_for_a_balance_with_a_word(capsys, steps):
    begun = []

    def search():
        with balancing(quiet=False) as told:
            os.kill(os.getpid(), signal.SIGINT)
            for done in range(steps):
                begun.append(done)
                told(done, steps)

    with pytest.raises(typer.Exit) as ended:
        search()
    assert ended.value.exit_code == CANCELLED
    assert len(begun) <= 1
    assert capsys.readouterr().err == "cancelled; nothing was written\n"


def test_memory_that_runs_out_in_a_library_is_told_of(capsys):
    def command(message):
        raise RuntimeError(message)

    with pytest.raises(typer.Exit) as ended:
        guarded(command)("[enforce fail] DefaultCPUAllocator: can't allocate memory")
    assert ended.value.exit_code == BAD_INPUT
    assert "memory ran out" in capsys.readouterr().err
    with pytest.raises(RuntimeError, match="something else"):
        guarded(command)("something else")
