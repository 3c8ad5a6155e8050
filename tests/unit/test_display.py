"""Messages, warnings and logs of a command."""

import os
import signal
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import pytest
import typer

from artune.cli.display import (
    BAD_INPUT,
    CANCELLED,
    balancing,
    counting,
    download_bar,
    flags_of,
    guarded,
    show_warnings,
    step_display,
    time_left,
    training_display,
    with_flags,
)
from artune.engine.descend import PartDone
from artune.errors import ArtuneWarning, InputError
from artune.fitting import FitStep
from artune.spec.style import Rung

# ------------------------------------------------------------------------------------- logs


@pytest.fixture
def clock(monkeypatch):
    """The time in seconds, which stands still until it is changed."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_log_has_a_line_a_minute_with_the_time_left(clock, capsys):
    with counting("pictures", quiet=False) as count:
        count(0, 100)
        for done in range(1, 101):
            clock[0] += 10
            count(done, 100)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "pictures: 6 of 100, about 16 min left"  # 94 at 10 seconds
    assert lines[-1] == "pictures: 96 of 100, about 1 min left"
    assert len(lines) == 16


def steps(sizes, done, part=None, **losses):
    """The progress of a run over sizes with so many steps each."""
    rungs = tuple(Rung(size=size, steps=count) for size, count in sizes)
    level, before = 0, 0
    while done > before + rungs[level].steps:
        before += rungs[level].steps
        level += 1
    tiles = part.done / part.total if part else 0
    work = [rung.steps * rung.size**2 for rung in rungs]
    return SimpleNamespace(
        rung=rungs[level],
        share=(sum(work[:level]) + (done - before + tiles) * rungs[level].size ** 2) / sum(work),
        done=done,
        total=sum(rung.steps for rung in rungs),
        latest={"total": 9.0} | {name.replace("_", " "): value for name, value in losses.items()},
        part=part,
    )


def test_the_log_of_a_run(clock, capsys):
    """64 px for 60 steps and 128 px for 60, of four times the cost: a step of the first takes 2 seconds."""
    sizes = ((64, 60), (128, 60))
    with step_display(quiet=False) as show:
        for done in range(1, 121):
            clock[0] += 2 if done <= 60 else 8
            show(steps(sizes, done, content=0.5, style_relu1_1=0.25, style_relu2_1=0.75))
    assert capsys.readouterr().err.splitlines()[:4] == [
        "64 px: step 31 of 120, content 0.500  style 0.500, about 9 min left",  # 29 at 2 seconds, 60 at 8
        "128 px: step 61 of 120, content 0.500  style 0.500, about 8 min left",
        "128 px: step 69 of 120, content 0.500  style 0.500, about 7 min left",
        "128 px: step 77 of 120, content 0.500  style 0.500, about 6 min left",
    ]


def test_the_log_of_a_run_in_tiles(clock, capsys):
    """A step may take minutes: its tiles are in the log, with the losses of the last step."""
    with step_display(quiet=False) as show:
        show(steps([(2048, 4)], 1, content=0.5))
        clock[0] = 100.0
        show(steps([(2048, 4)], 2, PartDone(4, 16), content=0.25))
        clock[0] = 130.0
        show(steps([(2048, 4)], 2, PartDone(5, 16), content=0.25))
    assert capsys.readouterr().err == ("2048 px: step 2 of 4, tile 4/16, content 0.250, about 3 min left\n")


def test_the_log_of_a_resumed_run_counts_from_where_it_began(clock, capsys):
    with step_display(quiet=False) as show:
        for done in range(81, 101):
            show(steps([(64, 100)], done, content=0.5))
            clock[0] += 10
    assert "step 87 of 100, content 0.500, about 3 min left" in capsys.readouterr().err  # 13 at 10 seconds


def test_the_log_of_a_training(clock, capsys):
    with training_display(quiet=False, steps=100, epoch=10) as show:
        for step in range(1, 13):
            clock[0] += 10
            show(FitStep(step, {"loss": 0.5}, (0.75, 0.25) if step > 10 else (), None))
    assert capsys.readouterr().err.splitlines() == [
        "epoch 1: step 6 of at most 100, loss 0.500, about 16 min left",
        "epoch 2: step 12 of at most 100, loss 0.500  validation 0.250, best 0.250, about 15 min left",
    ]


def test_the_log_of_a_download(clock, capsys):
    with download_bar(quiet=False) as on_bytes:
        on_bytes(1_000_000, 100_000_000)
        clock[0] = 60.0
        on_bytes(20_000_000, 100_000_000)
        clock[0] = 120.0
        on_bytes(40_000_000, 0)
    assert capsys.readouterr().err.splitlines() == ["weights: 20 of 100 MB, about 4 min left", "weights: 40 MB"]


def test_times_in_words():
    assert [time_left(seconds) for seconds in (1, 60, 61, 3600, 7200, 20000)] == [
        "about 1 min", "about 1 min", "about 2 min", "about 60 min", "about 2 h", "about 6 h",
    ]  # fmt: skip


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


# ------------------------------------------------------------------------------------- messages


def command(
    pictures: list[Path],
    allow_huge: Annotated[bool, typer.Option("--allow-huge")] = False,
    smooth: Annotated[bool | None, typer.Option("--smooth/--no-smooth")] = None,
    style_scale: Annotated[float | None, typer.Option(help="no flag is given")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o")] = None,
    model: Annotated[str, typer.Option("--model", "--segment-model")] = "",
) -> list[Path]:
    return [*pictures, out]


def test_parameters_in_messages_become_flags_of_the_command():
    flags = flags_of(command)
    assert flags == {
        "allow_huge": "--allow-huge",
        "smooth": "--smooth",
        "style_scale": "--style-scale",
        "out": "--out",
        "model": "--model",
    }
    for message, shown in {
        "leave out `style_scale` or `allow_huge`": "leave out --style-scale or --allow-huge",
        "where every size is given (`rungs`)": "where every size is given (`rungs`)",  # no flag of this command
        "`smooth`: no": "--smooth: no",
        "a file named x`smooth`y and ``smooth``": "a file named x`smooth`y and ``smooth``",
        "`smooth is not closed": "`smooth is not closed",
    }.items():
        assert with_flags(message, flags) == shown


def test_errors_and_warnings_speak_of_flags(capsys):
    def refuse(smooth: Annotated[bool, typer.Option("--smooth/--no-smooth")] = False) -> None:
        for _ in range(2):
            warnings.warn("`smooth` was mended", ArtuneWarning, stacklevel=1)
        raise InputError("leave out `smooth` and `tv`")

    with pytest.raises(typer.Exit) as ended:
        guarded(refuse)()
    assert ended.value.exit_code == BAD_INPUT
    assert capsys.readouterr().err == "artune: --smooth was mended\nartune: leave out --smooth and `tv`\n"


def test_other_warnings_go_their_usual_way(recwarn, capsys):
    show_warnings({})
    warnings.simplefilter("always")
    warnings.warn("of another library", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == ""
    assert [str(warning.message) for warning in recwarn] == ["of another library"]


def test_the_home_folder_is_expanded_in_every_path(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert guarded(command)(pictures=[Path("~/a.jpg"), Path("b.jpg")], out=Path("~/c")) == [
        Path("/home/me/a.jpg"), Path("b.jpg"), Path("/home/me/c"),
    ]  # fmt: skip


def test_memory_that_runs_out_in_a_library_is_told_of(capsys):
    def command(message):
        raise RuntimeError(message)

    with pytest.raises(typer.Exit) as ended:
        guarded(command)("[enforce fail] DefaultCPUAllocator: can't allocate memory")
    assert ended.value.exit_code == BAD_INPUT
    assert "memory ran out" in capsys.readouterr().err
    with pytest.raises(RuntimeError, match="something else"):
        guarded(command)("something else")
