"""Runs that were asked for, done, and kept as they are finished."""

import functools
from collections.abc import Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from artune.api import style
from artune.backbones.network import Network
from artune.errors import ArtuneError, InputError, ResourceError
from artune.images.picture import Picture
from artune.record import Record
from artune.spec.study import RunSpec
from artune.spec.style import Optimise, StyleSpec
from artune.studies.store import Entry, Store


@dataclass(frozen=True)
class Made:
    """A picture and its record; or why there are none."""

    picture: Picture | None = None
    record: Record | None = None
    failed: str = ""


class Maker(Protocol):
    """What makes the picture of a run, in any process."""

    def __call__(self, run: RunSpec, /) -> Made: ...


@dataclass(frozen=True)
class Make:
    """Makes pictures by :func:`artune.style`; the network is loaded once in each process.

    Attributes:
        weights: file of the network's weights.
    """

    weights: Path | None = None

    def __call__(self, run: RunSpec, /) -> Made:
        """The picture of a run, and its record with the last of each loss.

        Raises:
            ArtuneError: as :func:`artune.style`, and where the descent diverged.
        """
        spec = run.spec
        fields = {"network", "pooling", "smooth", "content_layers", "style_layers"}
        network = _network(spec.method.model_dump_json(include=fields), spec.device, spec.precision, self.weights)
        result = style(run.content.file, run.style.file, spec=spec, network=network)
        record = result.record
        if record.end == "diverged":
            raise InputError(
                f"the descent diverged after {record.steps} steps; choose smaller weights or a smaller rate"
            )
        last = {name: values[-1:] for name, values in record.losses.items()}
        return Made(result.picture, record.model_copy(update={"losses": last}))


@functools.lru_cache(maxsize=1)
def _network(method: str, device: str, precision: str, weights: Path | None) -> Network:
    data = {"method": Optimise.model_validate_json(method), "device": device, "precision": precision}
    return Network.load(StyleSpec.model_validate(data), weights)


def run(runs: Mapping[str, RunSpec], store: Store, executor: Executor, make: Maker | None = None) -> Iterator[Entry]:
    """Make the pictures that the store does not hold, and keep each as soon as it is finished.

    One that fails does not stop the others; its reason is kept, and it is tried again next time. Where the caller
    stops, what has not begun is dropped.

    Args:
        runs: by key (:func:`artune.studies.store.keyed`).
        store: open.
        executor: of the standard library, or one like it.
        make: what makes a picture; default: :class:`Make`.

    Raises:
        OutputError: the store cannot be written.
        ResourceError: a process of the executor died.
    """
    make = make or Make()
    waiting: dict[Future[Made], str] = {}
    try:
        for key, each in store.missing(runs).items():
            future = executor.submit(_attempt, make, each)
            if future.done():  # in this process: kept before the next begins
                yield _kept(store, key, each, future)
            else:
                waiting[future] = key
        for future in as_completed(waiting):
            key = waiting.pop(future)
            yield _kept(store, key, runs[key], future)
    except BrokenExecutor as error:
        raise ResourceError(
            "a process died, perhaps for want of memory; what is finished is kept. Go on with fewer processes, or at a "
            "smaller size"
        ) from error
    finally:
        for future in waiting:
            future.cancel()


def _attempt(make: Maker, each: RunSpec) -> Made:
    """A picture, or the reason in words: not every exception finds its way out of a process."""
    try:
        return make(each)
    except ArtuneError as error:
        return Made(failed=str(error))
    except Exception as error:
        return Made(failed=f"{type(error).__name__}: {error}")


def _kept(store: Store, key: str, each: RunSpec, future: Future[Made]) -> Entry:
    made = future.result()
    entry = Entry(key=key, run=each, record=made.record, failed=made.failed)
    store.add(entry, made.picture)
    return entry
