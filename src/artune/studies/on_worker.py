"""What happens on a worker of a cluster: it is made ready, the files that a call names are found, the call is made."""

import functools
import os
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any

from distributed import Status, Worker, WorkerPlugin, get_worker

import artune
from artune.errors import InputError
from artune.files import write
from artune.studies.inputs import Input, input_at, with_paths

CACHE = "artune-inputs"
"""Folder for files that were sent, in the worker's own folder, which Dask removes with the worker."""


class Prepare(WorkerPlugin):
    """Prepares a worker for runs, the opposite of what Dask prepares it for: several threads of PyTorch in one run at a
    time, and freed memory is kept.

    Args:
        threads: PyTorch's threads in each process; default: the worker's own number (``dask worker --nthreads``).
    """

    name = "artune"

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads

    def setup(self, worker: Worker) -> None:
        """Called by Dask on each worker, also on those that come later."""
        from artune.machine import keep_freed_memory

        count = self.threads or worker.state.nthreads
        os.environ["OMP_NUM_THREADS"] = str(count)  # fixed: `artune.threads` does not look for free cores then
        use_threads(count)
        keep_freed_memory()
        memory = worker.memory_manager  # it takes kept memory for a leak, and would wait for ever for its end
        memory.memory_pause_fraction = memory.memory_spill_fraction = False

    def teardown(self, worker: Worker) -> None:
        """Called by Dask when a worker closes, as it does where its scheduler is gone: what it was doing can no longer
        be delivered. Dask would wait for its end.
        """
        if worker.status == Status.closing and worker.nanny and _ONE_AT_A_TIME.locked():
            os._exit(1)


@dataclass(frozen=True)
class Call:
    """A function and its arguments, with what is in the files that they name.

    Attributes:
        function: is called with ``args``.
        args: positional arguments.
        inputs: by path, as the caller's machine knows it.
        version: artune's where the call comes from.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    inputs: Mapping[str, Input]
    version: str = artune.__version__


@dataclass(frozen=True)
class Lacking:
    """The answer of a worker that cannot make a call yet.

    Attributes:
        digests: of the files that it does not have.
    """

    digests: frozenset[str]


_ONE_AT_A_TIME = threading.Lock()
"""A network's buffers serve one run at a time; Dask's workers may have several threads."""


def answer(call: bytes, digests: tuple[str, ...] = (), *contents: bytes) -> Any:
    """Make a call in this process.

    A file that is there by its own path with the same bytes, as in a shared folder, is used there. Another one must
    have been sent: once to each process, which keeps it.

    Args:
        call: a pickled ``Call``.
        digests: of files that are sent with the call.
        contents: their bytes.

    Returns:
        what the function returns; or ``Lacking``.

    Raises:
        InputError: artune has another version here.
    """
    from distributed.protocol.pickle import loads

    asked: Call = loads(call)
    if asked.version != artune.__version__:
        raise InputError(
            f"the worker on {socket.gethostname()} has artune {artune.__version__}, and this is {asked.version}; "
            "install the same version on both"
        )
    sent = dict(zip(digests, contents, strict=True))
    places: dict[str, str] = {}
    lacking = set()
    for path, wanted in asked.inputs.items():
        if input_at(path) == wanted:
            continue
        place = _cache() / wanted.digest[:32] / Path(path).name
        if wanted.digest in sent and not place.exists():
            write(place, sent[wanted.digest])
        if place.exists():
            places[path] = str(place)
        else:
            lacking.add(wanted.digest)
    if lacking:
        return Lacking(frozenset(lacking))
    with _ONE_AT_A_TIME:
        use_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))  # PyTorch counts for each thread of its caller
        outcome = with_paths(asked.function, places)(*with_paths(asked.args, places))
    return _as_named_by_caller(outcome, {place: path for path, place in places.items()})


def file_bytes(data: bytes) -> bytes:
    """Bytes of a file as a task of Dask's, which the scheduler can give to another worker when one dies."""
    return data


def use_threads(count: int) -> None:
    """Set the number of PyTorch's threads for this thread."""
    import torch

    if count != torch.get_num_threads():  # setting it again would cost PyTorch its prepared convolutions
        torch.set_num_threads(count)


def _cache() -> Path:
    return _cache_of(get_worker().local_directory)


@functools.cache
def _cache_of(folder: str) -> Path:
    return Path(folder) / CACHE / str(os.getpid())


def _as_named_by_caller(outcome: Any, paths: Mapping[str, str]) -> Any:
    """The outcome with the caller's paths, also in the sentence that says why a run failed."""
    outcome = with_paths(outcome, paths)
    failed = getattr(outcome, "failed", "")
    if failed and is_dataclass(outcome) and not isinstance(outcome, type):
        for place, path in paths.items():
            failed = failed.replace(place, path)
        outcome = replace(outcome, failed=failed)
    return outcome
