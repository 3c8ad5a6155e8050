"""Clusters, by the text that ``--cluster`` takes: ``local:4``, ``tcp://HOST:PORT``, or a file for a job queue."""

import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any

from artune.errors import InputError, ResourceError, SpecError, UnknownNameError
from artune.extras import require
from artune.files import expanded
from artune.studies.lined import Lined

if TYPE_CHECKING:
    from distributed import Client

    from artune.studies.cluster_executor import Background

STOPPED = "runs that workers of the cluster have begun go on to their end there, and are made again next time"
"""What a command that was stopped says where the workers are not its own."""

NO_SCHEDULER = 10.0
"""Seconds after which an address is taken to have no scheduler, and then no worker."""

FAILURES = 2
"""Dask's ``allowed-failures`` of the schedulers that are started here: a run is given up when 3 workers died of it."""

SETTINGS = {
    "distributed.scheduler.allowed-failures": FAILURES,
    "distributed.comm.timeouts.tcp": "300s",  # a network that is cut for less costs nothing but the time
    "distributed.admin.large-graph-warning-threshold": "4GB",  # weights that are sent are large
}

KINDS = {
    "slurm": "SLURM",
    "pbs": "PBS",
    "sge": "SGE",
    "lsf": "LSF",
    "oar": "OAR",
    "htcondor": "HTCondor",
}
"""Job queues, and their names in dask-jobqueue."""

OWN = ("kind", "jobs")
NOT_FOR_FILES = (
    *("self", "scheduler", "name", "config_name", "nanny", "security", "protocol", "args", "kwargs"),
    *("base_class_kwargs", "extra", "job_extra", "env_extra", "header_skip", "project"),  # some are old names
)
"""Arguments of dask-jobqueue that a file does not give."""


@dataclass(frozen=True)
class JobQueue:
    """Workers that a job queue starts.

    Attributes:
        kind: one of ``KINDS``.
        jobs: how many jobs are asked for.
        arguments: of a job, in the words of dask-jobqueue; with ``cores``, ``memory`` and ``processes``.
    """

    kind: str
    jobs: int
    arguments: Mapping[str, Any]

    @classmethod
    def read(cls, file: Path) -> "JobQueue":
        """Read a file.

        Raises:
            SpecError: it is no YAML, or something that is needed is missing.
            UnknownNameError: of a kind or an argument that there is not.
            InputError: there is no such file.
        """
        require("cluster", "a cluster")
        lined = Lined.read(file, str(file), "kind: slurm")
        data = lined.data
        kind = data.get("kind")
        if kind is None:
            raise SpecError(f"{file} does not say `kind`; write one of {', '.join(KINDS)}, as in `kind: slurm`")
        if not isinstance(kind, str) or kind not in KINDS:
            raise UnknownNameError("kind of job queue", str(kind), KINDS, where=f"{file}, line {lined.line(('kind',))}")
        known = [*OWN, *_arguments_of(kind)]
        for name in data:
            if name not in known:
                raise UnknownNameError("argument", str(name), known, where=f"{file}, line {lined.line((name,))}")
        if missing := [name for name in ("cores", "memory") if name not in data]:
            raise SpecError(f"{file} does not say `{missing[0]}` of a job; add it, as in `cores: 8`, `memory: 16GB`")
        jobs, cores, processes = data.get("jobs", 1), data["cores"], data.get("processes", 1)
        for name, value in (("jobs", jobs), ("cores", cores), ("processes", processes)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                where = f" (line {lined.line((name,))})" if name in data else ""
                raise SpecError(f"`{name}` in {file}{where} is {value!r}; give a number from 1 on")
        if cores < processes:
            raise SpecError(f"{file} asks for {processes} processes on {cores} cores; give at least one core to each")
        for name, wanted in (("worker_extra_args", list), ("scheduler_options", dict)):
            if not isinstance(data.get(name, wanted()), wanted):
                what = "a list" if wanted is list else "names and values"
                raise SpecError(f"{file}, line {lined.line((name,))}: {name} must be {what}, not {data[name]!r}")
        arguments = {name: value for name, value in data.items() if name not in OWN}
        given = list(arguments.get("worker_extra_args", []))
        arguments |= {
            "processes": processes,
            "worker_extra_args": [*given, "--nthreads", "1"],  # the last one counts: a run at a time in each process
            "scheduler_options": {"dashboard_address": ":0", **arguments.get("scheduler_options", {})},
        }
        return cls(kind, jobs, arguments)

    @property
    def threads(self) -> int:
        """Cores of a process: a process makes one picture at a time, on all of its cores."""
        return int(self.arguments["cores"]) // int(self.arguments["processes"])

    def script(self) -> str:
        """The script that the queue is given for each job."""
        job = _cluster_class(self.kind).job_cls("tcp://SCHEDULER:PORT", name="artune-0", **self._of_job())
        return str(job.job_script())

    def _of_job(self) -> dict[str, Any]:
        return {name: value for name, value in self.arguments.items() if name not in ("scheduler_options",)}


def job_script(file: Path) -> str:
    """The script that a job queue would be given for each job, for a dry run; nothing is started.

    Raises:
        InputError: as ``JobQueue.read``; dask-jobqueue is not installed.
    """
    queue = JobQueue.read(expanded(file))
    with _in_words(file):
        return queue.script()


@contextmanager
def cluster(where: str, *, threads: int | None = None, patience: float = 600.0) -> Iterator[Executor]:
    """An executor whose calls are made on a cluster.

    If the block ends by an exception, such as Ctrl-C, what no worker has begun is cancelled. Workers that were started
    here are ended at once; those of a scheduler that was there go on with what they have begun (``STOPPED``).

    Args:
        where: ``local:N`` for N processes on this machine; ``tcp://HOST:PORT`` (or ``tls://``) of a scheduler of Dask's
            that is there; or a YAML file for a job queue: ``kind``, ``jobs`` and the arguments of dask-jobqueue.
        threads: PyTorch's threads in each process; default: for ``local`` the machine's, shared; for an address the
            ``--nthreads`` of each worker; for a job queue the cores of a process.
        patience: seconds for which a scheduler that is gone is waited for.

    Raises:
        SpecError: ``where`` is none of these.
        InputError: there is no scheduler or no worker at the address; as ``JobQueue.read``.
        MissingExtraError: Dask is not installed.
    """
    require("cluster", "a cluster")
    kind, _, rest = where.partition(":")
    if kind == "local":
        yield from _local(_number(where, rest), threads)
    elif kind in ("tcp", "tls") and rest.startswith("//"):
        yield from _there(where, threads, patience)
    elif where.endswith((".yaml", ".yml")):
        yield from _queued(JobQueue.read(expanded(where)), where, threads)
    else:
        raise SpecError(
            f"{where!r} is no cluster; give local:4 for four processes, tcp://HOST:8786 for a scheduler that is there, "
            "or a YAML file for a job queue"
        )


def _number(where: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1024):
        raise SpecError(f"{where!r} is no cluster; give a number of processes from 1 to 1024, as in local:4")
    return int(text)


def _local(number: int, threads: int | None) -> Iterator[Executor]:
    import torch
    from distributed import LocalCluster

    threads = threads or max(1, torch.get_num_threads() // number)

    async def start() -> Any:
        return await LocalCluster(
            n_workers=number,
            threads_per_worker=1,
            memory_limit=0,  # artune keeps within the free memory itself; what it keeps of freed memory is no leak
            dashboard_address=":0",  # any free port: its own default may be taken
            resources={"GPU": 1.0},
            silence_logs=logging.CRITICAL,
            asynchronous=True,
        )

    yield from _started_here(start, threads)


def _queued(queue: JobQueue, where: str, threads: int | None) -> Iterator[Executor]:
    command = _cluster_class(queue.kind).job_cls.submit_command
    if which(command) is None:
        raise InputError(f"there is no {command} on this machine; run this where {KINDS[queue.kind]} takes jobs")

    async def start() -> Any:
        with _in_words(where):
            started = await _cluster_class(queue.kind)(
                **queue.arguments, silence_logs=logging.CRITICAL, asynchronous=True
            )
            started.scale(jobs=queue.jobs)
            try:
                return await started  # until the jobs are submitted
            except BaseException:
                await _end(started)
                raise

    yield from _started_here(start, threads or queue.threads)


def _started_here(start: Callable[[], Awaitable[Any]], threads: int) -> Iterator[Executor]:
    """An executor on workers that are started, and ended, here."""
    import dask
    from distributed import Client

    from artune.studies.cluster_executor import ClusterExecutor

    with dask.config.set(SETTINGS), _quiet(), _background() as background:
        started = background.call(_in(start))

        async def connect() -> "Client":
            client: Client = await Client(started, asynchronous=True, set_as_default=False)
            return client

        try:
            executor = ClusterExecutor(background, connect, threads, patience=0)
            try:
                yield executor
            except BaseException:
                executor.shutdown(wait=False, cancel_futures=True)
                background.call(_kill(started))
                raise
            finally:
                executor.close()
        finally:
            background.call(_end(started))


def _there(where: str, threads: int | None, patience: float) -> Iterator[Executor]:
    """An executor on the workers of a scheduler that is there."""
    import dask
    from distributed import Client

    from artune.studies.cluster_executor import ClusterExecutor

    async def connect() -> "Client":
        client: Client = await Client(where, asynchronous=True, set_as_default=False, timeout=NO_SCHEDULER)
        return client

    with dask.config.set(SETTINGS), _quiet(), _background() as background:
        try:
            executor = ClusterExecutor(background, connect, threads, patience)
        except (OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"there is no scheduler at {where}; start one by `dask scheduler`, and give the address that it prints"
            ) from error
        try:
            if not background.call(executor.has_workers(NO_SCHEDULER)):
                raise InputError(
                    f"the scheduler at {where} has no worker; start them by `dask worker {where} --nthreads 1`"
                )
            yield executor
        finally:
            executor.close()


async def _in(start: Callable[[], Awaitable[Any]]) -> Any:
    return await start()


async def _kill(started: Any) -> None:
    """End the workers at once, whatever they are doing; those of a job queue end with their jobs."""
    for nanny in started.workers.values():
        process = getattr(getattr(nanny, "process", None), "process", None)
        if process is not None and process.pid:
            nanny.auto_restart = False
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM if not hasattr(signal, "SIGKILL") else signal.SIGKILL)


async def _end(started: Any) -> None:
    with contextlib.suppress(Exception):  # of processes that were killed
        await started.close()


@contextmanager
def _background() -> Iterator["Background"]:
    from artune.studies.cluster_executor import Background

    background = Background()
    try:
        yield background
    finally:
        background.close()


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask's loggers silent: what matters is an error of ours, or a run that failed."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client", "tornado.application")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _cluster_class(kind: str) -> Any:
    return getattr(import_module("dask_jobqueue"), f"{KINDS[kind]}Cluster")


def _arguments_of(kind: str) -> list[str]:
    """The arguments of a job of this kind, and of the cluster around it."""
    kinds = _cluster_class(kind).job_cls.__mro__
    found = [name for each in kinds[:-1] for name in signature(each.__init__).parameters]
    return [name for name in dict.fromkeys([*found, "scheduler_options"]) if name not in NOT_FOR_FILES]


@contextmanager
def _in_words(file: Path | str) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError, RuntimeError, OSError) as error:  # RuntimeError: a job was refused
        if isinstance(error, InputError | ResourceError):
            raise
        raise SpecError(f"dask-jobqueue cannot use {file}: {error}") from error
