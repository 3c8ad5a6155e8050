"""Carrying out runs: each picture is kept as soon as it is finished, and none is made twice."""

import functools
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from dataclasses import dataclass
from pathlib import Path

import artune
from artune.errors import ArtuneError, InputError, ResourceError
from artune.images.picture import Picture
from artune.record import Record
from artune.spec.study import RunSpec
from artune.spec.style import StyleSpec
from artune.studies.entries import Entry
from artune.studies.store import Store


@dataclass(frozen=True)
class Outcome:
    """What came of a run: a picture and its record, or the reason why there are none.

    Attributes:
        picture: the result; ``None`` where the run failed.
        record: what happened, with the last value of each loss.
        failed: why there is no picture; empty where there is one.
    """

    picture: Picture | None = None
    record: Record | None = None
    failed: str = ""


CarryOut = Callable[[RunSpec], Outcome]
"""A function that makes the picture of a run; it must be picklable where it is to work in other processes."""


@dataclass(frozen=True)
class Transfer:
    """Makes pictures by ``artune.style``; the network is loaded once in each process.

    Attributes:
        weights: file of the network's weights; default: the published ones.
    """

    weights: Path | None = None

    def __call__(self, run: RunSpec, /) -> Outcome:
        """The picture of a run.

        Raises:
            ArtuneError: as ``artune.style``, and where the descent diverged.
        """
        network = _network(_without_weights(run.spec).model_dump_json(), self.weights)
        result = artune.style(run.content.file, run.style.file, spec=run.spec, network=network)
        record = result.record
        if record.end == "diverged":
            raise InputError(
                f"the descent diverged after {record.steps} steps; choose smaller weights or a smaller rate"
            )
        last = {name: values[-1:] for name, values in record.losses.items()}
        return Outcome(result.picture, record.model_copy(update={"losses": last}))


def _without_weights(spec: StyleSpec) -> StyleSpec:
    """What the runs of a study have in common: they share one network."""
    method = spec.method.model_copy(update={"content_weight": None, "style_weight": None})
    return spec.model_copy(update={"strength": "auto", "method": method})


@functools.lru_cache(maxsize=1)
def _network(spec: str, weights: Path | None) -> "artune.Network":
    return artune.Network.load(StyleSpec.model_validate_json(spec), weights)


def run(
    runs: Mapping[str, RunSpec], store: Store, executor: Executor, carry_out: CarryOut | None = None
) -> Iterator[Entry]:
    """Make the pictures that the store does not hold, and keep each as soon as it is finished.

    A run that fails does not stop the others; its reason is kept, and it is tried again next time. If the caller stops,
    runs that have not begun are dropped.

    Args:
        runs: by key (``artune.studies.keys.keyed``).
        store: where pictures are kept.
        executor: where runs are carried out: one of the standard library, or one with the same interface.
        carry_out: makes the picture of a run; default: ``Transfer``.

    Yields:
        The entry of each run, in the order in which they end.

    Raises:
        OutputError: the store cannot be written.
        ResourceError: a process of the executor died.
    """
    carry_out = carry_out or Transfer()
    waiting: dict[Future[Outcome], str] = {}
    try:
        for key, each in store.missing(runs).items():
            future = executor.submit(_attempt, carry_out, each)
            if future.done():  # carried out in this process: kept before the next one begins
                yield _kept(store, key, each, future)
            else:
                waiting[future] = key
        for future in as_completed(waiting):
            key = waiting.pop(future)
            yield _kept(store, key, runs[key], future)
    except BrokenExecutor as error:
        waiting.clear()  # the executor itself ends them
        raise ResourceError(
            "a process died, perhaps for lack of memory; finished pictures are kept. Continue with fewer processes, or "
            "at a smaller size"
        ) from error
    finally:
        for future in waiting:
            future.cancel()


def _attempt(carry_out: CarryOut, each: RunSpec) -> Outcome:
    """An outcome in any case: not every exception can be passed from one process to another."""
    try:
        return carry_out(each)
    except ArtuneError as error:
        return Outcome(failed=str(error))
    except Exception as error:
        return Outcome(failed=f"{type(error).__name__}: {error}")


def _kept(store: Store, key: str, each: RunSpec, future: Future[Outcome]) -> Entry:
    outcome = future.result()
    entry = Entry(key=key, run=each, record=outcome.record, failed=outcome.failed)
    store.add(entry, outcome.picture)
    return entry
