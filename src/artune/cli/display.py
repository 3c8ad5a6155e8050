"""What commands share: messages, progress bars and logs, Ctrl-C, checkpoints."""

import functools
import gc
import inspect
import math
import os
import re
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, runtime_checkable

import typer
from typer.models import OptionInfo

from artune.errors import ArtuneError, ArtuneWarning, OutputError
from artune.files import expanded, free_name
from artune.machine import ran_out

if TYPE_CHECKING:
    from artune.fitting import FitStep
    from artune.transfer.run import Progress

P = ParamSpec("P")
R = TypeVar("R")

CANCELLED, BAD_INPUT = 130, 2
LOG_EVERY = 60.0
"""Seconds between two lines of a log."""


def say(message: str) -> None:
    """Print a line to the error stream, which may be closed; standard output may be a file."""
    try:
        typer.echo(message, err=True)
    except OSError:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - so that the interpreter's last flush cannot fail again


# ------------------------------------------------------------------------------------- messages


def flags_of(command: Callable[..., Any]) -> dict[str, str]:
    """The flag of each option of a command, by the name of its parameter."""
    flags = {}
    for name, parameter in inspect.signature(command).parameters.items():
        for option in getattr(parameter.annotation, "__metadata__", ()):
            if isinstance(option, OptionInfo):
                named = (option.default, *(option.param_decls or ()))  # to typer the first is the default, at first
                long = [flag.split("/")[0] for flag in named if isinstance(flag, str) and flag.startswith("--")]
                flags[name] = long[0] if long else "--" + name.replace("_", "-")
    return flags


def with_flags(message: str, flags: Mapping[str, str]) -> str:
    """A message of the library in terms of the command line: parameters in backticks become flags.

    Args:
        message: ``leave out `style_scale` ``.
        flags: those of the running command; other names stay as they are.
    """
    return re.sub(r"(?<![\w`])`(\w+)`(?![\w`])", lambda found: flags.get(found[1], found[0]), message)


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """A command that expands ``~`` in paths and prints warnings as lines; artune's own errors end it with a message and
    exit code 2."""
    flags = flags_of(command)

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        show_warnings(flags)
        for name, value in kwargs.items():
            kwargs[name] = _expanded(value)
        try:
            return command(*args, **kwargs)
        except ArtuneError as error:
            say(with_flags(f"artune: {error}", flags))
            raise typer.Exit(BAD_INPUT) from None
        except (MemoryError, RuntimeError) as error:
            if not ran_out(error):
                raise
            say(with_flags("artune: memory ran out; choose a smaller `size`, or reduce the pictures", flags))
            raise typer.Exit(BAD_INPUT) from None

    return guarded


def _expanded(value: Any) -> Any:
    if isinstance(value, Path):
        return expanded(value)
    if isinstance(value, list):
        return [_expanded(each) for each in value]
    return value


def show_warnings(flags: Mapping[str, str]) -> None:
    """From now on print each warning of artune once, as a line; for the whole process, because a command owns it."""
    warnings.simplefilter("always", ArtuneWarning)
    usual, shown = warnings.showwarning, set[str]()

    def show(message: Warning | str, category: type[Warning], *rest: Any) -> None:
        if not issubclass(category, ArtuneWarning):
            usual(message, category, *rest)
        elif (text := str(message)) not in shown:
            shown.add(text)
            say(with_flags(f"artune: {text}", flags))

    warnings.showwarning = show  # type: ignore[assignment]


# ------------------------------------------------------------------------------------- checkpoints


@runtime_checkable
class Saves(Protocol):
    """A run that can be saved, to be resumed later."""

    def save(self, path: Path) -> None: ...


class Checkpoints:
    """Writes checkpoints: at most one a second, and in at most a twentieth of the time.

    Another run with the same result may write the same file. Only what this run has written, or has found at its
    beginning, is removed.

    Args:
        path: the file.
        resumed: whether the run goes on from the file that is there.
    """

    def __init__(self, path: Path, *, resumed: bool = False) -> None:
        self.path, self.due, self.works = path, time.monotonic() + 1, True
        self._resumable, self._stamp = resumed, _stamp(path)

    def __call__(self, progress: Saves, *, now: bool) -> None:
        began = time.monotonic()
        if not now and (began < self.due or not self.works):
            return
        try:
            progress.save(self.path)
            self.works, self._resumable, self._stamp = True, True, _stamp(self.path)
        except OutputError as error:  # the picture is worth more than its checkpoint
            if self.works:
                say(f"artune: {'no new checkpoint' if now else 'continuing without checkpoints'}: {error}")
            self.works = False
        ended = time.monotonic()
        self.due = ended + max(1.0, 20 * (ended - began))

    @property
    def _is_own(self) -> bool:
        return self._stamp is not None and self._stamp == _stamp(self.path)

    def remove(self) -> None:
        """Remove the checkpoint of a run that is finished, unless another run has written it."""
        if self._is_own:
            self.path.unlink(missing_ok=True)

    def move(self, path: Path) -> None:
        """Give the checkpoint of this run another name, unless another run has written it."""
        if self._is_own:
            os.replace(self.path, path)
        self.path = path

    def advice(self) -> str:
        """How a cancelled run can be continued, as a sentence without a full stop."""
        if not (self._resumable and self._is_own):
            return "There is no checkpoint to go on from"
        return "Go on with --resume" if self.works else "An older checkpoint is left; go on from it with --resume"


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What tells a file from one that has taken its place; ``None`` if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def partial_of(out: Path) -> Path:
    """The file of the checkpoint of an unfinished result."""
    return out.with_name(out.name + ".partial")


def check_unfinished(out: Path, *, resume: bool, overwrite: bool) -> None:
    """Raise if a result or its checkpoint would be lost, or if there is nothing to resume.

    Raises:
        OutputError: with what to do.
    """
    partial = partial_of(out)
    if resume and not overwrite and out.exists() and not partial.exists():
        raise OutputError(f"{out} is finished, there is nothing to resume; --overwrite computes it again")
    if not (resume or overwrite):
        if out.exists():
            raise OutputError(f"{out} exists; --overwrite replaces it")
        if partial.exists():
            raise OutputError(
                f"{partial} is left of an earlier run; go on with --resume, or start anew with --overwrite"
            )


def write_beside(write: Callable[[Path], None], out: Path, *, replace: bool) -> Path:
    """Write a finished result to its place, or beside it if there is a file by now; returns where.

    Args:
        write: writes the result to a path; raises ``OutputError`` if there is a file, unless it may be replaced.
        out: the place that was chosen.
        replace: whether ``write`` may replace a file.
    """
    place = out
    while True:
        try:
            write(place)
        except OutputError:
            if replace or not os.path.lexists(place):
                raise
            place = free_name(out)
        else:
            return place


def taken(out: Path, written: Path) -> OutputError:
    """Error for a result that was written beside its place."""
    return OutputError(f"{out} was written by another run meanwhile; the result of this run is {written}")


# ------------------------------------------------------------------------------------- Ctrl-C


@contextmanager
def loading() -> Iterator[None]:
    """A block in which libraries load.

    Ctrl-C ends the process at once: an exception in an import could end in a traceback.
    """
    try:
        before = signal.signal(signal.SIGINT, lambda number, frame: os._exit(CANCELLED))
    except ValueError:  # not the main thread
        yield
        return
    try:
        with uncollected():
            yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def uncollected() -> Iterator[None]:
    """A block in which libraries load, and the garbage collector waits: what imports make is never garbage."""
    if "torch" in sys.modules:  # they are there already
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """A block in which the first Ctrl-C asks to stop after the step or tile, and the second stops at once.

    Yields:
        Whether it was asked to stop.
    """
    asked = False

    def ask(number: int, frame: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    try:
        before = signal.signal(signal.SIGINT, ask)
    except ValueError:  # not the main thread
        yield lambda: False
        return
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


# ------------------------------------------------------------------------------------- bars and logs


def _watched() -> bool:
    """Whether the error stream is a terminal. Otherwise it is taken for a log."""
    return sys.stderr is not None and sys.stderr.isatty()


class _Log:
    """Prints a line a minute.

    Args:
        every: seconds between two lines, and before the first.
    """

    def __init__(self, every: float = LOG_EVERY) -> None:
        self.every, self.began = every, time.monotonic()
        self.last = self.began

    def due(self) -> bool:
        """Whether it is time for a line."""
        return time.monotonic() - self.last >= self.every

    def line(self, text: str, share: float) -> None:
        """Print a line with the time left.

        Args:
            text: what is done.
            share: of the work that is done, in [0, 1]; 0 if unknown.
        """
        self.last = time.monotonic()
        left = f", {time_left((self.last - self.began) * (1 / share - 1))} left" if share else ""
        say(text + left)


def time_left(seconds: float) -> str:
    """A time in words, rounded up, such as "about 5 min"."""
    whole = math.ceil(round(seconds, 3))  # 40 s that were computed as 40.0000001 are not 41
    if whole < 60:
        return f"about {whole} s"
    minutes = math.ceil(whole / 60)
    return f"about {minutes} min" if minutes < 120 else f"about {minutes / 60:.0f} h"


def _mean_losses(losses: Mapping[str, float]) -> str:
    """The losses of a step, averaged over layers: "content 0.123  style 0.456"."""
    by_kind: dict[str, list[float]] = {}
    for name, value in losses.items():
        if name != "total":
            by_kind.setdefault(name.split()[0], []).append(value)
    return "  ".join(f"{kind} {sum(values) / len(values):.3f}" for kind, values in by_kind.items())


def _part_done(progress: "Progress") -> str:
    """Which tile of the step is done, for a size that is computed in tiles."""
    return f"tile {progress.part.done}/{progress.part.total}" if progress.part else ""


@contextmanager
def step_display(quiet: bool) -> "Iterator[Callable[[Progress], None]]":
    """Shows size, step, losses and time left: on a bar, or in a log once a minute.

    Yields:
        What is called with each progress of a run.
    """
    if quiet or sys.stderr is None:
        yield lambda progress: None
        return
    if not _watched():
        yield _step_log()
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.fields[size]:>5} px"),
        BarColumn(),
        TextColumn("step {task.completed}/{task.total}"),
        TextColumn("{task.fields[within]}"),
        TextColumn("{task.fields[losses]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, size="", within="", losses="")

        def show(progress: "Progress") -> None:
            if losses := _mean_losses(progress.latest):
                bar.update(task, losses=losses)
            within = _part_done(progress)
            bar.update(task, completed=progress.done, total=progress.total, size=progress.rung.size, within=within)

        yield show


def _step_log() -> "Callable[[Progress], None]":
    log: _Log | None = None
    before = 0.0

    def show(progress: "Progress") -> None:
        nonlocal log, before
        if log is None:
            log, before = _Log(), progress.share  # which is not 0 where the run was resumed
        if log.due():
            step = f"{progress.rung.size} px: step {progress.done} of {progress.total}"
            text = ", ".join(part for part in (step, _part_done(progress), _mean_losses(progress.latest)) if part)
            log.line(text, (progress.share - before) / (1 - before or 1))

    return show


@contextmanager
def counting(what: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Shows a count and the time left: on a bar, or in a log once a minute.

    Yields:
        What is called with both numbers.
    """
    if quiet or sys.stderr is None:
        yield lambda done, total: None
        return
    if not _watched():
        log = _Log()

        def show(done: int, total: int) -> None:
            if log.due() and done:
                log.line(f"{what}: {done} of {total}", done / total)

        yield show
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"))
    screen, long = Console(stderr=True), 600  # seconds over which the speed is taken: one picture may need minutes
    with Progress(*columns, TimeRemainingColumn(), console=screen, transient=True, speed_estimate_period=long) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def balancing(quiet: bool, what: str = "finding the balance") -> Iterator[Callable[[int, int], None]]:
    """``counting`` for a search for the balance, which Ctrl-C ends after a step with nothing to resume."""
    try:
        with interruptible() as interrupted, counting(what, quiet) as count:

            def on_step(done: int, total: int) -> None:
                count(done, total)
                if interrupted():
                    raise KeyboardInterrupt

            yield on_step
            if interrupted():
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        say("cancelled; nothing was written")
        raise typer.Exit(CANCELLED) from None


@contextmanager
def training_display(quiet: bool, steps: int, epoch: int) -> "Iterator[Callable[[FitStep], None]]":
    """Shows epoch, step, loss, the best validation so far and the time left: on a bar, or in a log once a minute.

    Args:
        quiet: show nothing.
        steps: at most.
        epoch: steps of one epoch.

    Yields:
        What is called after each step.
    """
    if quiet or sys.stderr is None:
        yield lambda progress: None
        return
    if not _watched():
        yield _training_log(steps, epoch)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(),
        TextColumn("step {task.completed}/{task.total}"),
        TextColumn("{task.fields[losses]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=steps, epoch=1, losses="")

        def show(progress: "FitStep") -> None:
            completed, at = progress.step, 1 + progress.step // epoch
            bar.update(task, completed=completed, epoch=at, losses=_training_losses(progress))

        yield show


def _training_log(steps: int, epoch: int) -> "Callable[[FitStep], None]":
    log, begun = _Log(), None

    def show(progress: "FitStep") -> None:
        nonlocal begun
        begun = progress.step - 1 if begun is None else begun  # not 0 where the training was resumed
        if log.due():
            at = f"epoch {1 + progress.step // epoch}: step {progress.step} of at most {steps}"
            log.line(f"{at}, {_training_losses(progress)}", (progress.step - begun) / (steps - begun))

    return show


def _training_losses(progress: "FitStep") -> str:
    text = "  ".join(f"{name} {value:.3f}" for name, value in progress.losses.items())
    if found := progress.validations:
        text += f"  validation {found[-1]:.3f}, best {min(found):.3f}"
    return text


@contextmanager
def download_bar(quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Shows how much of the weights was downloaded: on a bar, or in a log once a minute.

    Yields:
        What is called with the bytes received and those of the file, 0 if unknown; or ``None``.
    """
    if quiet or sys.stderr is None:
        yield None
        return
    if not _watched():
        log = _Log()

        def show(done: int, total: int) -> None:
            if log.due():
                of = f" of {total / 1e6:.0f}" if total else ""
                log.line(f"weights: {done / 1e6:.0f}{of} MB", done / total if total else 0)

        yield show
        return
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

    with Progress(
        *Progress.get_default_columns(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = None

        def on_bytes(done: int, total: int) -> None:
            nonlocal task
            if task is None:
                task = bar.add_task("weights", total=total or None)
            bar.update(task, completed=done)

        yield on_bytes
