"""An executor whose calls are made on a cluster, by Dask."""

import asyncio
import contextlib
import signal
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import BrokenExecutor, Executor, Future
from concurrent.futures import wait as wait_for
from functools import partial
from itertools import count
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, TypeVar

from distributed import Client, KilledWorker
from distributed.client import ClosedClientError, FutureCancelledError
from distributed.comm.core import CommClosedError
from distributed.protocol.pickle import dumps

from artune.errors import ArtuneError, InputError, ResourceError, WorkersLostError
from artune.studies.inputs import Input, inputs_of
from artune.studies.on_worker import Call, Lacking, Prepare, answer, file_bytes

T = TypeVar("T")

GPU = {"GPU": 1.0}
"""What a run on a GPU needs of its worker, in Dask's words."""


class SchedulerLostError(ResourceError, BrokenExecutor):
    """The scheduler of a cluster did not come back: all calls end."""


class Background:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        if hasattr(signal, "pthread_sigmask"):
            resource_tracker.ensure_running()  # else the thread below starts it, which would unblock Ctrl-C there
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda loop, context: None)  # what matters comes to a call, or to a run
        self._thread = threading.Thread(target=self._run, name="artune-cluster", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        if hasattr(signal, "pthread_sigmask"):  # processes that are started here inherit that Ctrl-C is blocked
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """What a coroutine returns; Ctrl-C ends the waiting, and the coroutine."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End what still runs in the loop, and the thread."""
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(_end_others(), self.loop).result(timeout=10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


async def _end_others() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.wait(others, timeout=5) if others else None


class ClusterExecutor(Executor):
    """Makes calls on the workers of a cluster.

    A worker that dies costs what it was doing: that begins again on another one. A call whose workers died too often
    (Dask's ``allowed-failures``) fails alone, by ``WorkersLostError``. Where the scheduler is gone it is waited for,
    and every call that has not ended is submitted again.

    Files that a call names (``artune.studies.inputs``) are sent to a worker that does not find them by their path:
    once to each worker, when it first needs them.

    Args:
        background: the loop that talks to the scheduler.
        connect: a new connection; raises ``OSError`` where there is no scheduler.
        threads: PyTorch's threads in each process of a worker; default: the worker's own number.
        patience: seconds for which a scheduler that is gone is waited for.
    """

    def __init__(
        self,
        background: Background,
        connect: Callable[[], Awaitable[Client]],
        threads: int | None = None,
        patience: float = 600.0,
    ) -> None:
        self._background, self._connect, self._threads, self._patience = background, connect, threads, patience
        self._session, self._numbers = uuid.uuid4().hex[:12], count()
        self._answers: set[Future[Any]] = set()
        self._shut = False
        self._client = background.call(self._connected())
        self._reconnecting = asyncio.Lock()
        self._offered = False
        self._gone: SchedulerLostError | None = None

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Submit a call; its keyword arguments are the function's, not Dask's.

        Raises:
            RuntimeError: after ``shutdown``.
        """
        if self._shut:
            raise RuntimeError("cannot submit after shutdown")
        function = partial(fn, **kwargs) if kwargs else fn
        future: Future[T] = Future()
        inputs = inputs_of((function, args))
        call = dumps(Call(function, args, inputs), protocol=5)
        working = asyncio.run_coroutine_threadsafe(
            self._answer(future, call, inputs, GPU if needs_gpu(args) else None), self._background.loop
        )
        self._answers.add(future)
        future.add_done_callback(partial(self._ended, working))
        return future

    def _ended(self, working: Future[None], future: Future[Any]) -> None:
        self._answers.discard(future)
        if future.cancelled():
            working.cancel()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As usual. A call that a worker has begun goes on there when it is cancelled, and its result is dropped."""
        self._shut = True
        answers = list(self._answers)
        if cancel_futures:
            for future in answers:
                future.cancel()
        if wait:
            wait_for(answers)

    async def has_workers(self, seconds: float) -> bool:
        """Whether there is a worker, or one comes within that time."""
        until = time.monotonic() + seconds
        while not (found := await _resources(self._client)) and time.monotonic() < until:
            await asyncio.sleep(0.1)
        return bool(found)

    def close(self) -> None:
        """Cancel what has not ended, and leave the cluster."""
        self.shutdown(wait=False, cancel_futures=True)
        self._background.call(_close(self._client))

    async def _answer(
        self, future: Future[T], call: bytes, inputs: dict[str, Input], resources: dict[str, float] | None
    ) -> None:
        """Find what a call returns, however often it has to be submitted."""
        try:
            outcome = await self._outcome(call, inputs, resources)
        except asyncio.CancelledError:
            future.cancel()
            future.set_running_or_notify_cancel()
            raise
        except BaseException as error:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
        else:
            if future.set_running_or_notify_cancel():
                future.set_result(outcome)

    async def _outcome(self, call: bytes, inputs: dict[str, Input], resources: dict[str, float] | None) -> Any:
        sent: dict[str, bytes] = {}
        while True:
            client = self._client
            try:
                if resources and not self._offered:
                    self._offered = await check_offered(client, resources)
                outcome = await self._once(client, call, sent, resources)
            except KilledWorker as error:
                raise WorkersLostError(
                    f"the {error.allowed_failures + 1} workers that carried it out died, perhaps for lack of memory; "
                    "try a smaller size, or workers with more memory"
                ) from error
            except (FutureCancelledError, ClosedClientError, CommClosedError):
                await self._reconnected(client)
                continue
            if not isinstance(outcome, Lacking):
                return outcome
            for path, each in inputs.items():
                if each.digest in outcome.digests:
                    sent[each.digest] = await asyncio.to_thread(_read, path)

    async def _once(
        self, client: Client, call: bytes, sent: dict[str, bytes], resources: dict[str, float] | None
    ) -> Any:
        files = [
            client.submit(file_bytes, data, key=f"artune-file-{digest}", retries=0) for digest, data in sent.items()
        ]
        key = (f"artune-{self._session}", next(self._numbers))  # a group: the scheduler keeps what no worker can begin
        future = client.submit(answer, call, tuple(sent), *files, key=key, pure=False, retries=0, resources=resources)
        try:
            return await future
        finally:
            future.release()

    async def _connected(self) -> Client:
        client = await self._connect()
        try:
            await client.register_plugin(Prepare(self._threads))
        except ModuleNotFoundError as error:
            await _close(client)
            raise InputError(
                f"a worker of the cluster cannot import {error.name}; install the same artune on every worker"
            ) from error
        return client

    async def _reconnected(self, lost: Client) -> None:
        """Wait until there is another connection than the one that was lost; one caller makes it for all.

        Raises:
            SchedulerLostError: the scheduler did not come back.
        """
        async with self._reconnecting:
            if self._gone:
                raise self._gone
            if self._client is not lost:
                return
            await _close(lost)
            until = time.monotonic() + self._patience
            while True:
                try:
                    self._client = await self._connected()
                    return
                except (OSError, CommClosedError) as error:
                    if isinstance(error, ArtuneError):
                        raise
                    if time.monotonic() > until:
                        self._gone = SchedulerLostError(
                            f"the cluster's scheduler has been gone for {self._patience / 60:.0f} minutes; what is "
                            "finished is kept: start the scheduler again, then the same command continues"
                        )
                        raise self._gone from error
                    await asyncio.sleep(0.5)


def needs_gpu(args: tuple[Any, ...]) -> bool:
    """Whether a call is a run on a GPU (``device: cuda``)."""
    specs = (getattr(getattr(each, "run", each), "spec", None) for each in args)
    return any(str(getattr(spec, "device", "")).startswith("cuda") for spec in specs)


async def check_offered(client: Client, resources: dict[str, float]) -> bool:
    """Whether a worker offers what a run needs; not yet where no worker has come.

    Raises:
        InputError: none of those that are there does.
    """
    workers = await _resources(client)
    if workers and not any(resources.keys() <= each.keys() for each in workers):
        raise InputError(
            "`device` is cuda, but no worker of the cluster offers a GPU; start them by "
            "dask worker ADDRESS --resources GPU=1"
        )
    return bool(workers)


async def _resources(client: Client) -> list[dict[str, float]]:
    """What each worker offers."""
    scheduler: Any = client.scheduler
    identity = await scheduler.identity(n_workers=-1)
    return [worker["resources"] for worker in identity["workers"].values()]


def _read(path: str) -> bytes:
    return Path(path).read_bytes()


async def _close(client: Client) -> None:
    with contextlib.suppress(Exception):  # the scheduler may be gone, which is why it is closed
        await asyncio.wait_for(client.close(timeout=2), 5)
