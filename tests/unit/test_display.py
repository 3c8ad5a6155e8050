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
    Checkpoints,
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
    write_beside,
)
from artune.engine.descend import PartDone
from artune.errors import ArtuneWarning, InputError, OutputError
from artune.files import write
from artune.fitting import FitStep
from artune.spec.style import Rung


@pytest.fixture
def clock(monkeypatch):
    """The time in seconds, which stands still until it is changed."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


# ------------------------------------------------------------------------------------- checkpoints


class Saved:
    """A run whose checkpoint holds its name; on a full disk, none."""

    def __init__(self, name: str, *, full: bool = False) -> None:
        self.name, self.full = name, full

    def save(self, path: Path) -> None:
        if self.full:
            raise OutputError(f"cannot write {path}: no space")
        write(path, self.name.encode())


def test_a_run_removes_its_own_checkpoint_only(tmp_path):
    path = tmp_path / "out.png.partial"
    first, second = Checkpoints(path), Checkpoints(path)
    first(Saved("first"), now=True)
    second(Saved("second"), now=True)
    first.remove()
    assert path.read_bytes() == b"second"
    first.move(tmp_path / "out-2.png.partial")
    assert [each.name for each in tmp_path.iterdir()] == ["out.png.partial"]
    assert first.advice() == "There is no checkpoint to go on from"
    assert second.advice() == "Go on with --resume"
    second.move(tmp_path / "out-2.png.partial")
    assert [each.name for each in tmp_path.iterdir()] == ["out-2.png.partial"]
    assert second.advice() == "Go on with --resume"
    second.remove()
    assert not [*tmp_path.iterdir()]


def test_what_was_there_at_the_beginning_is_removed_at_the_end(tmp_path):
    path = tmp_path / "out.png.partial"
    path.write_bytes(b"of an earlier run")
    checkpoints = Checkpoints(path)  # with --overwrite
    assert checkpoints.advice() == "There is no checkpoint to go on from"  # from which this run did not begin
    checkpoints.remove()
    assert not path.exists()


def test_a_checkpoint_that_cannot_be_written_is_told_once(tmp_path, clock, capsys):
    checkpoints = Checkpoints(tmp_path / "out.png.partial")
    clock[0] = 2.0
    checkpoints(Saved("old"), now=False)
    clock[0] = 10.0
    checkpoints(Saved("new", full=True), now=False)
    checkpoints(Saved("new", full=True), now=True)
    said = capsys.readouterr().err
    assert said.count("no space") == 1
    assert "continuing without checkpoints" in said
    assert checkpoints.advice() == "An older checkpoint is left; go on from it with --resume"
    checkpoints(Saved("new"), now=True)  # there is space again
    assert checkpoints.advice() == "Go on with --resume"


def test_the_only_checkpoint_cannot_be_written(tmp_path, capsys):
    checkpoints = Checkpoints(tmp_path / "out.png.partial")
    checkpoints(Saved("new", full=True), now=True)
    assert "no new checkpoint: cannot write" in capsys.readouterr().err
    assert checkpoints.advice() == "There is no checkpoint to go on from"


def test_a_result_whose_place_is_taken_is_written_beside_it(tmp_path):
    def new(path):
        if path.exists():
            raise OutputError("taken")
        path.write_bytes(b"mine")

    places = [write_beside(new, tmp_path / "out.png", replace=False).name for _ in range(3)]
    assert places == ["out.png", "out-2.png", "out-3.png"]

    def refuse(path):
        raise OutputError("no space")

    with pytest.raises(OutputError, match="no space"):
        write_beside(refuse, tmp_path / "new.png", replace=False)
    with pytest.raises(OutputError, match="no space"):
        write_beside(refuse, tmp_path / "out.png", replace=True)


# ------------------------------------------------------------------------------------- logs


def test_a_log_has_a_line_a_minute_with_the_time_left(clock, capsys):
    with counting("pictures", quiet=False) as count:
        count(0, 100)
        for done in range(1, 101):
            clock[0] += 10
            count(done, 100)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "pictures: 6 of 100, about 16 min left"  # 94 at 10 seconds
    assert lines[-1] == "pictures: 96 of 100, about 40 s left"
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
    assert [time_left(seconds) for seconds in (7.2, 59.5, 60, 61, 3600, 7200, 20000)] == [
        "about 8 s", "about 1 min", "about 1 min", "about 2 min", "about 60 min", "about 2 h", "about 6 h",
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
