"""Carrying out runs: each picture is kept as soon as it is finished, and none is made twice."""

import functools
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import artune
from artune.backbones.network import Network
from artune.backbones.smoothed import Smoothed
from artune.backbones.untrained import untrained
from artune.errors import ArtuneError, ArtuneWarning, InputError, ResourceError, SpecError
from artune.files import expanded
from artune.images.write import encoded
from artune.machine import choose_device, choose_precision
from artune.record import Record
from artune.spec.study import RunSpec
from artune.spec.style import Optimise, StyleSpec
from artune.studies.entries import Entry, Values
from artune.studies.keys import RANDOM
from artune.studies.store import Store
from artune.transfer.methods import method_of

WINDOW = 256
"""Largest number of tasks that the executor holds at a time; so a million of them need no memory."""
NETWORKS = 2
"""Number of networks that a process keeps loaded."""


@dataclass(frozen=True)
class Task:
    """A picture to be made, to be measured, or both.

    Attributes:
        run: what is asked for.
        measures: names of what is to be measured.
        picture: the file of the picture, if it is there and is only to be measured.
        record: of that picture's run.
    """

    run: RunSpec
    measures: tuple[str, ...] = ()
    picture: Path | None = None
    record: Record | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a task: a picture and its record, values, or the reason why there are none.

    Attributes:
        picture: the result as a PNG file; ``None`` where the run failed, or the picture was there.
        record: what happened; ``None`` likewise.
        values: what was measured, by the name of the measure.
        failed: why there is no picture; empty where there is one.
        warnings: what was warned of, perhaps in another process.
    """

    picture: bytes | None = None
    record: Record | None = None
    values: Values = field(default_factory=dict)
    failed: str = ""
    warnings: tuple[str, ...] = ()


CarryOut = Callable[[Task], Outcome]
"""A function that carries out a task; it must be picklable where it is to work in other processes."""


@dataclass(frozen=True)
class Transfer:
    """Makes pictures by ``artune.style``; networks are loaded once in each process.

    Attributes:
        curves: whether the record keeps the losses of every step; else the last ones.
    """

    curves: bool = False

    def __call__(self, task: Task, /) -> Outcome:
        """The picture of a run.

        Raises:
            ArtuneError: as ``artune.style``, and where the descent diverged.
        """
        run = task.run
        paintings = (run.style.file,) if run.spec.method.takes_paintings else ()
        network = loaded(run.spec, run.weights)
        result = artune.style(run.content.file, *paintings, spec=run.spec, network=network)
        record = result.record
        if record.end == "diverged":
            raise InputError(
                f"the descent diverged after {record.steps} steps; choose smaller weights or a smaller rate"
            )
        if not self.curves:
            record = record.model_copy(update={"losses": {name: each[-1:] for name, each in record.losses.items()}})
        return Outcome(encoded(result.noted(), ".png"), record)


def loaded(spec: StyleSpec, weights: str = "") -> Any:
    """What a method loads for many pictures, such as its network; this process keeps the last ones.

    Args:
        spec: how pictures are made.
        weights: as in a ``RunSpec``.

    Raises:
        SpecError: untrained weights for a method without a loss network.
        WeightsError: missing or unfit weights.
    """
    return _loaded(_of_network(spec).model_dump_json(), weights)


def _of_network(spec: StyleSpec) -> StyleSpec:
    """What a spec says of its network, and nothing else: runs that share it load it once."""
    method = spec.method
    if isinstance(method, Optimise):
        fields = ("network", "pooling", "padding", "smooth", "content_layers", "style_layers")
        method = Optimise().model_copy(update={name: getattr(method, name) for name in fields})
    return StyleSpec(device=spec.device, precision=spec.precision).model_copy(update={"method": method})


@functools.lru_cache(maxsize=NETWORKS)
def _loaded(text: str, weights: str) -> Any:
    spec = StyleSpec.model_validate_json(text)
    if weights == RANDOM:
        return _untrained(spec)
    return method_of(spec).load(spec, expanded(weights) if weights else None, None)


def _untrained(spec: StyleSpec) -> Network:
    method = spec.method
    if not isinstance(method, Optimise):
        raise SpecError(f"the method {method.kind} has no untrained weights; give a file, or leave `weights` out")
    device = choose_device(spec.device)
    dtype = choose_precision(spec.precision, device)
    backbone, digest = untrained(
        method.network,
        seed=0,
        pooling=method.pooling,
        padding=method.padding,
        smooth=method.smooth,
        device=device,
        dtype=dtype,
    )
    smooth = isinstance(backbone, Smoothed)
    return Network(backbone, method.network, method.pooling, digest, device, dtype, smooth, method.padding)


def run(tasks: Mapping[str, Task], store: Store, executor: Executor, carry_out: CarryOut) -> Iterator[Entry]:
    """Carry out tasks, and keep the outcome of each as soon as it ends.

    Tasks whose pictures are finished are left out, unless they bring the picture along to be measured. A task that
    fails does not stop the others; its reason is kept, and it is tried again next time. If the caller stops, tasks that
    have not begun are dropped.

    Args:
        tasks: by key (``artune.studies.keys.keyed``); one after the other is taken, as there is room for it.
        store: where pictures are kept.
        executor: where tasks are carried out: one of the standard library, or one with the same interface.
        carry_out: carries out a task.

    Yields:
        The entry of each task, in the order in which they end.

    Raises:
        OutputError: the store cannot be written.
        ResourceError: a process of the executor died.
    """
    waiting: dict[Future[Outcome], tuple[str, Task]] = {}
    ended: SimpleQueue[Future[Outcome]] = SimpleQueue()
    try:
        for key, task in tasks.items():
            if task.picture is None and store.finished(key):
                continue
            future = executor.submit(_attempt, carry_out, task)
            waiting[future] = key, task
            future.add_done_callback(ended.put)
            while len(waiting) >= WINDOW or not ended.empty():  # in this process: kept before the next one begins
                yield _kept(store, waiting, ended.get())
        while waiting:
            yield _kept(store, waiting, ended.get())
    except BrokenExecutor as error:
        waiting.clear()  # the executor itself ends them
        if isinstance(error, ArtuneError):
            raise
        raise ResourceError(
            "a process died, perhaps for lack of memory; finished pictures are kept. Continue with fewer processes, or "
            "at a smaller size"
        ) from error
    finally:
        for future in waiting:
            future.cancel()


def _attempt(carry_out: CarryOut, task: Task) -> Outcome:
    """An outcome in any case: not every exception can be passed from one process to another."""
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always", ArtuneWarning)
        try:
            outcome = carry_out(task)
        except Exception as error:
            outcome = _failed(error)
    ours = (str(each.message) for each in given if issubclass(each.category, ArtuneWarning))
    return replace(outcome, warnings=tuple(dict.fromkeys(ours)))


def _failed(error: Exception) -> Outcome:
    return Outcome(failed=str(error) if isinstance(error, ArtuneError) else f"{type(error).__name__}: {error}")


def _kept(store: Store, waiting: dict[Future[Outcome], tuple[str, Task]], future: Future[Outcome]) -> Entry:
    """Keep the outcome of a task that ended."""
    key, task = waiting.pop(future)
    try:
        outcome = future.result()
    except BrokenExecutor:
        raise
    except Exception as error:  # the task did not come back, such as from a worker of a cluster that was lost
        outcome = _failed(error)
    for text in outcome.warnings:
        warnings.warn(text, ArtuneWarning, stacklevel=2)
    entry = Entry(key=key, run=task.run, record=outcome.record, failed=outcome.failed)
    if task.picture is None:
        store.add(entry, outcome.picture, outcome.values)
    elif not outcome.failed:  # the picture's own entry stays as it is
        store.add_values(key, outcome.values)
    return entry
