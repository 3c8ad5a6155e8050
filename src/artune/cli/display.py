"""What a run shows while it goes on, and how it is stopped: messages, bars, Ctrl-C, checkpoints."""

import functools
import math
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

import typer

from artune.errors import ArtuneError, ArtuneWarning, OutputError
from artune.machine import ran_out

if TYPE_CHECKING:
    from artune.fitting import Progress as Training
    from artune.transfer.run import Progress

P = ParamSpec("P")
R = TypeVar("R")

CANCELLED, BAD_INPUT = 130, 2


def say(message: str) -> None:
    """Tell the user: on the error stream, for the other may be a file. Nobody may be there to be told."""
    try:
        typer.echo(message, err=True)
    except OSError:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - so that the interpreter's last flush cannot fail again


@contextmanager
def _warnings_told() -> Iterator[None]:
    """Warnings of artune are lines for the user, each said once."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", ArtuneWarning)
        shown = warnings.showwarning

        def tell(message: Warning | str, category: type[Warning], *rest: Any) -> None:
            if issubclass(category, ArtuneWarning):
                say(f"artune: {message}")
            else:
                shown(message, category, *rest)

        warnings.showwarning = tell  # type: ignore[assignment]
        yield


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Turn errors raised on purpose into one message and exit code 2."""

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with _warnings_told():
                return command(*args, **kwargs)
        except ArtuneError as error:
            say(f"artune: {error}")
            raise typer.Exit(BAD_INPUT) from None
        except (MemoryError, RuntimeError) as error:
            if not ran_out(error):
                raise
            say("artune: memory ran out; choose a smaller --size, or reduce the pictures")
            raise typer.Exit(BAD_INPUT) from None

    return guarded


class Saves(Protocol):
    """Something that can be gone on with from a file."""

    def save(self, path: Path) -> None: ...


class Checkpoints:
    """Writes a checkpoint at most once a second and in at most a twentieth of the time."""

    def __init__(self, path: Path) -> None:
        self.path, self.due, self.well = path, time.monotonic() + 1, True

    def __call__(self, progress: Saves, *, now: bool) -> None:
        began = time.monotonic()
        if not now and (began < self.due or not self.well):
            return
        try:
            progress.save(self.path)
        except OutputError as error:  # the picture is worth more than its checkpoint
            say(f"artune: going on without checkpoints: {error}")
            self.well = False
        ended = time.monotonic()
        self.due = ended + max(1.0, 20 * (ended - began))


def partial_of(out: Path) -> Path:
    """The checkpoint of a result that is not finished."""
    return out.with_name(out.name + ".partial")


def check_unfinished(out: Path, *, resume: bool, overwrite: bool) -> None:
    """Raise where a result or its checkpoint would be lost, or there is nothing to go on with.

    Raises:
        OutputError: with what to do.
    """
    partial = partial_of(out)
    if resume and not overwrite and out.exists() and not partial.exists():
        raise OutputError(f"{out} is finished: there is no {partial.name} to resume; --overwrite makes it anew")
    if not (resume or overwrite):
        if out.exists():
            raise OutputError(f"{out} exists; --overwrite replaces it")
        if partial.exists():
            raise OutputError(
                f"{partial} is left of an earlier run; go on with --resume, or start anew with --overwrite"
            )


@contextmanager
def loading() -> Iterator[None]:
    """Ctrl-C ends the process on the spot: an exception out of a library's loading can abort it with a traceback."""
    try:
        before = signal.signal(signal.SIGINT, lambda number, frame: os._exit(CANCELLED))
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Ctrl-C once asks to stop after the step, or the tile; twice stops at once."""
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


@contextmanager
def step_display(quiet: bool) -> "Iterator[Callable[[Progress], None]]":
    """A line with size, step, losses and time left; and what is said of the step at work."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda progress: None
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
            losses: dict[str, list[float]] = {}
            for name, value in progress.latest.items():
                if name != "total":
                    losses.setdefault(name.split()[0], []).append(value)
            within = f"tile {progress.part.done}/{progress.part.total}" if progress.part else ""
            text = "  ".join(f"{name} {sum(values) / len(values):.3f}" for name, values in losses.items())
            if losses:
                bar.update(task, losses=text)
            bar.update(task, completed=progress.done, total=progress.total, size=progress.rung.size, within=within)

        yield show


class _Log:
    """Says how many are done of how many, and the time left, at most every so many seconds."""

    def __init__(self, what: str, every: float = 60.0) -> None:
        self.what, self.every = what, every
        self.began = self.said = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if not done or now - self.said < self.every:
            return
        self.said = now
        left = (now - self.began) / done * (total - done)
        say(f"{self.what}: {done} of {total}, about {math.ceil(left / 60)} min left")


@contextmanager
def counting(what: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A line with how many are done of how many, and the time left; in a log, one every minute."""
    if quiet or sys.stderr is None:
        yield lambda done, total: None
        return
    if not sys.stderr.isatty():
        yield _Log(what)
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
def balancing(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """The line of a search for the balance. Ctrl-C ends it after a step, and there is nothing to go on with."""
    try:
        with interruptible() as interrupted, counting("finding the balance", quiet) as count:

            def told(done: int, total: int) -> None:
                count(done, total)
                if interrupted():
                    raise KeyboardInterrupt

            yield told
            if interrupted():
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        say("cancelled; nothing was written")
        raise typer.Exit(CANCELLED) from None


@contextmanager
def training_display(quiet: bool, steps: int, epoch: int) -> "Iterator[Callable[[Training], None]]":
    """A line with epoch, loss, the best validation so far and time left.

    Args:
        quiet: show nothing.
        steps: at most.
        epoch: steps of one.
    """
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda progress: None
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

        def show(progress: "Training") -> None:
            text = "  ".join(f"{name} {value:.3f}" for name, value in progress.losses.items())
            if progress.found:
                text += f"  validation {progress.found[-1]:.3f}, best {min(progress.found):.3f}"
            bar.update(task, completed=progress.step, epoch=1 + progress.step // epoch, losses=text)

        yield show


@contextmanager
def download_bar(quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A bar for the weights that are downloaded; ``None`` where nobody watches."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
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

        def told(done: int, total: int) -> None:
            nonlocal task
            if task is None:
                task = bar.add_task("weights", total=total or None)
            bar.update(task, completed=done)

        yield told
