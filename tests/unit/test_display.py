"""What a run says where nobody watches a bar: in a log."""

import sys
import time

from artune.cli.display import counting


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
