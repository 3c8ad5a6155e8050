"""Clusters: what is given is read or refused in words; calls reach workers, and what fails there fails alone."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import wait
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from distributed import Client, KilledWorker, LocalCluster, Status
from distributed.client import FutureCancelledError
from distributed.protocol.pickle import dumps

from artune.errors import InputError, MissingExtraError, PictureError, SpecError, WorkersLostError
from artune.studies import cluster as clusters
from artune.studies import on_worker
from artune.studies.cluster import JobQueue, cluster, job_script
from artune.studies.cluster_executor import Background, ClusterExecutor, SchedulerLostError, check_offered, needs_gpu
from artune.studies.inputs import inputs_of
from artune.studies.on_worker import Call, Lacking, Prepare, answer

SLURM = """\
kind: slurm
jobs: 10
cores: 8
memory: 16GB
processes: 2
walltime: "02:00:00"
queue: normal
"""


def queue_file(folder, text):
    file = folder / "queue.yaml"
    file.write_text(text)
    return file


# ------------------------------------------------------------------------------------------- what is given


@pytest.mark.parametrize("where", ["local:0", "local:x", "local", "local:-1", "local:2000", "slurm", "tcp:host", ""])
def test_what_is_no_cluster_is_refused(where):
    with pytest.raises(SpecError, match=r"is no cluster; give .*local:4"), cluster(where):
        pass


def test_a_missing_extra_is_named_before_anything_begins(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(MissingExtraError, match=r"artune\[cluster\]"), cluster("local:1"):
        pass
    with pytest.raises(MissingExtraError, match=r"artune\[cluster\]"):
        job_script(queue_file(tmp_path, SLURM))


def test_an_address_without_a_scheduler_is_named(monkeypatch):
    monkeypatch.setattr(clusters, "NO_SCHEDULER", 0.3)
    with (
        pytest.raises(InputError, match=r"no scheduler at tcp://127\.0\.0\.1:9; start one"),
        cluster("tcp://127.0.0.1:9"),
    ):
        pass


def test_the_script_of_a_job_asks_for_what_the_file_says(tmp_path):
    file = queue_file(tmp_path, SLURM)
    script = job_script(file)
    for line in ("#SBATCH --cpus-per-task=8", "#SBATCH -t 02:00:00", "#SBATCH -p normal", "#SBATCH --mem=15G"):
        assert line in script.splitlines()
    bare = queue_file(tmp_path, SLURM.replace('"02:00:00"', "12:00:00"))
    assert "#SBATCH -t 12:00:00" in job_script(bare).splitlines()
    command = script.splitlines()[-1].split()
    assert command[command.index("--nworkers") + 1] == "2"
    assert command[-2:] == ["--nthreads", "1"]  # the last counts: a run at a time
    queue = JobQueue.read(file)
    assert (queue.jobs, queue.threads) == (10, 4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SLURM.replace("slurm", "slrum"), r"line 1; did you mean slurm\?"),
        (SLURM.replace("walltime", "waltime"), r"line 6; did you mean walltime\?"),
        (SLURM.replace("kind: slurm\n", ""), "does not say `kind`"),
        (SLURM.replace("cores: 8\n", ""), "does not say `cores`"),
        (SLURM.replace("jobs: 10", "jobs: many"), r"`jobs` .*\(line 2\) is 'many'; give a number"),
        (SLURM.replace("processes: 2", "processes: 9"), "9 processes on 8 cores"),
        (SLURM.replace("16GB", "much"), "dask-jobqueue cannot use"),
        (SLURM.replace("slurm", "[slurm]"), "line 1"),
        (SLURM + "worker_extra_args: null\n", "line 8: worker_extra_args must be a list, not None"),
        (SLURM + "scheduler_options: [a]\n", "line 8: scheduler_options must be names and values"),
        ("kind: &a [*a]", "line 1: an alias holds itself"),
        ("- slurm", "must hold names and values"),
        ("kind: [", r"line 2: this is not YAML"),
        ("kind: slurm\ncores: 8\ncores: 9", r"line 3: cores is given twice"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_line(text, said, tmp_path):
    with pytest.raises(InputError, match=said):
        job_script(queue_file(tmp_path, text))


def test_a_queue_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(InputError, match="there is no sbatch on this machine; run this where SLURM takes jobs"),
        cluster(str(queue_file(tmp_path, SLURM))),
    ):
        pass


def test_a_queue_that_refuses_a_job_is_told(tmp_path, monkeypatch):
    (tmp_path / "sbatch").write_text("#!/bin/sh\necho no such partition >&2\nexit 1\n")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(InputError, match="no such partition"), cluster(str(queue_file(tmp_path, SLURM))):
        pass


def test_a_file_that_is_missing_is_named(tmp_path):
    with (
        pytest.raises(InputError, match=r"cannot read .*none\.yaml: No such file"),
        cluster(str(tmp_path / "none.yaml")),
    ):
        pass


# ------------------------------------------------------------------------------------------- on a worker


@dataclass(frozen=True)
class Result:
    """What a call returns."""

    place: Path
    failed: str = ""


def read_text(path):
    return Result(path, f"{path} holds {path.read_text()}")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(on_worker, "_cache", lambda: tmp_path / "cache")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path / "cache"


def test_a_file_that_is_not_there_is_asked_for_once_and_then_kept(tmp_path, cache):
    file = tmp_path / "a.txt"
    file.write_text("hello")
    inputs = inputs_of(file)
    digest = inputs[str(file)].digest
    call = dumps(Call(read_text, (file,), inputs))
    assert answer(call) == Result(file, f"{file} holds hello")  # a shared folder
    assert not cache.exists()
    file.write_text("other")  # another file of the same name
    assert answer(call) == Lacking(frozenset({digest}))
    assert answer(call, (digest,), b"hello") == Result(file, f"{file} holds hello")  # with the caller's paths
    assert answer(call) == Result(file, f"{file} holds hello")
    assert [path.name for path in cache.rglob("*.*")] == ["a.txt"]


def test_a_worker_of_another_version_is_refused(cache):
    with pytest.raises(InputError, match=r"has artune .*, and this is 0\.0; install the same"):
        answer(dumps(Call(read_text, (), {}, "0.0")))


@pytest.mark.usefixtures("untyped")
def test_a_worker_is_prepared_for_one_run_at_a_time(monkeypatch):
    called = []
    monkeypatch.setenv("OMP_NUM_THREADS", "9")
    monkeypatch.setattr("artune.machine.keep_freed_memory", lambda: called.append("kept"))
    monkeypatch.setattr(on_worker, "use_threads", called.append)
    memory = SimpleNamespace(memory_pause_fraction=0.8, memory_spill_fraction=0.7)
    worker = SimpleNamespace(state=SimpleNamespace(nthreads=3), memory_manager=memory)
    for plugin in (Prepare(), Prepare(2)):
        plugin.setup(worker)
    assert called == [3, "kept", 2, "kept"]
    assert os.environ["OMP_NUM_THREADS"] == "2"
    assert not memory.memory_pause_fraction


@pytest.mark.usefixtures("untyped")
def test_a_worker_that_closes_gives_up_what_it_cannot_deliver(monkeypatch):
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)
    closing = SimpleNamespace(status=Status.closing, nanny="tcp://there")
    plugin = Prepare()
    plugin.teardown(closing)
    with on_worker._ONE_AT_A_TIME:
        plugin.teardown(SimpleNamespace(status=Status.running, nanny="tcp://there"))  # the plugin is replaced
        plugin.teardown(SimpleNamespace(status=Status.closing, nanny=None))  # in a process with something else
        assert ended == []
        plugin.teardown(closing)
    assert ended == [1]


# ------------------------------------------------------------------------------------------- failures


class Answered:
    """A future of Dask's that ends as it is told."""

    def __init__(self, what):
        self.what = what

    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        if self.what is None:
            yield from asyncio.sleep(60).__await__()
        if isinstance(self.what, Exception):
            raise self.what
        return self.what

    def release(self):
        pass


class FakeClient(Client):
    """A connection whose calls end as they are told."""

    def __init__(self, *answers):
        self.answers, self.submitted, self.closed = list(answers), [], False

    def __del__(self):
        pass

    async def register_plugin(self, plugin):
        assert isinstance(plugin, Prepare)

    def submit(self, function, *args, **kwargs):
        self.submitted.append((function, args, kwargs))
        return Answered("bytes" if function is on_worker.file_bytes else self.answers.pop(0))

    async def close(self, timeout=0):
        self.closed = True


@pytest.fixture
def background():
    background = Background()
    yield background
    background.close()


def executor(background, *clients, patience=5.0):
    """An executor with these connections, one after the other; then there is no scheduler."""
    left = list(clients)

    async def connect():
        if not left:
            raise OSError("no scheduler")
        return left.pop(0)

    return ClusterExecutor(background, connect, patience=patience)


LOST = FutureCancelledError("key", "scheduler-connection-lost")


def test_a_call_whose_workers_died_fails_alone(background):
    killed = KilledWorker("key", SimpleNamespace(address="there"), 2)
    calls = executor(background, FakeClient(killed, 5))
    first, second = calls.submit(max, 1), calls.submit(max, 5)
    with pytest.raises(WorkersLostError, match="the 3 workers that carried it out died"):
        first.result(5)
    assert second.result(5) == 5


def test_an_unfinished_call_is_submitted_to_a_scheduler_that_came_back(background):
    clients = FakeClient(1, LOST), FakeClient(2)
    calls = executor(background, *clients)
    assert [calls.submit(max, 1).result(5), calls.submit(max, 2).result(5)] == [1, 2]
    assert clients[0].closed
    assert [len(each.submitted) for each in clients] == [2, 1]  # the first call is not made again
    assert len({each[2]["key"] for client in clients for each in client.submitted}) == 3
    assert all((each[2]["retries"], each[2]["pure"]) == (0, False) for each in clients[0].submitted)


def test_a_scheduler_that_stays_away_ends_all_calls(background):
    calls = executor(background, FakeClient(LOST, LOST, LOST), patience=0)
    for each in [calls.submit(max, number) for number in range(3)]:
        with pytest.raises(SchedulerLostError, match="the same command continues"):
            each.result(10)


def test_files_that_a_worker_lacks_are_sent_with_the_call(background, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"hello")
    digest = inputs_of(path)[str(path)].digest
    client = FakeClient(Lacking(frozenset({digest})), "done")
    assert executor(background, client).submit(read_text, path).result(5) == "done"
    first, file, second = client.submitted
    assert (first[1][1], file[1], second[1][1]) == ((), (b"hello",), (digest,))
    assert file[2]["key"] == f"artune-file-{digest}"


def test_cancelled_calls_are_given_up_and_shutdown_knows_cancel_futures(background):
    calls = executor(background, FakeClient(None, None, None))
    futures = [calls.submit(max, number) for number in range(3)]
    assert futures[0].cancel()
    calls.shutdown(wait=True, cancel_futures=True)
    assert all(each.cancelled() for each in futures)
    assert not wait(futures, timeout=5).not_done
    with pytest.raises(RuntimeError, match="after shutdown"):
        calls.submit(max, 1)


def test_a_run_on_a_gpu_needs_a_worker_that_offers_one(background):
    run = SimpleNamespace(spec=SimpleNamespace(device="cuda:0"))
    assert needs_gpu((SimpleNamespace(run=run),))
    assert needs_gpu((1, run))
    assert not needs_gpu((SimpleNamespace(spec=SimpleNamespace(device="cpu")), "cuda"))
    client, workers = FakeClient(), {}

    async def identity(n_workers):
        return {"workers": workers}

    def offered():
        return background.call(check_offered(client, {"GPU": 1.0}))

    client.scheduler = SimpleNamespace(identity=identity)
    assert not offered()  # workers may still come
    workers["a"] = {"resources": {}}
    with pytest.raises(InputError, match="--resources GPU=1"):
        offered()
    workers["b"] = {"resources": {"GPU": 1.0}}
    assert offered()


# ------------------------------------------------------------------------------------------- Dask itself


@pytest.fixture(scope="module")
def there() -> Iterator[str]:
    """Address of a scheduler with one worker, in this process."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("OMP_NUM_THREADS", "1")
        patched.setattr("artune.machine.keep_freed_memory", lambda: None)
        started = LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, protocol="tcp", dashboard_address=":0", memory_limit=0
        )
        with started:
            yield started.scheduler_address


def where_it_runs(*args, key="", retries=0):
    return args, key, retries, threading.current_thread().name, os.environ["OMP_NUM_THREADS"]


def test_calls_are_made_on_the_workers_with_their_own_keyword_arguments(there):
    with cluster(there, threads=1) as calls:
        args, key, retries, thread, threads = calls.submit(where_it_runs, 1, 2, key="k", retries=3).result(20)
        assert (args, key, retries, threads) == ((1, 2), "k", 3, "1")
        assert "Dask" in thread
        assert sorted(calls.map(abs, range(-20, 0))) == list(range(1, 21))
        with pytest.raises(PictureError, match="torn"):
            calls.submit(torn).result(20)
    assert not [each for each in threading.enumerate() if each.name == "artune-cluster"]


def torn():
    raise PictureError("it is torn")


class _Counts:
    most = now = 0


def count_together(_):
    _Counts.now += 1
    _Counts.most = max(_Counts.most, _Counts.now)
    time.sleep(0.02)
    _Counts.now -= 1


def test_a_process_makes_one_run_at_a_time(there):
    with cluster(there, threads=1) as calls:
        list(calls.map(count_together, range(6)))
    assert _Counts.most == 1


def test_a_file_that_only_this_machine_has_is_sent(there, tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("hello")
    monkeypatch.setattr(on_worker, "input_at", lambda path: None)  # the worker's disk is another one
    with cluster(there, threads=1) as calls:
        found = [calls.submit(read_text, path) for _ in range(3)]
        assert {each.result(20) for each in found} == {Result(path, f"{path} holds hello")}


def test_a_block_that_ends_early_drops_what_has_not_begun(there):
    def stopped():
        with cluster(there, threads=1) as calls:
            futures.extend(calls.submit(time.sleep, 0.05) for _ in range(20))
            raise KeyboardInterrupt

    futures = []
    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert futures[-1].cancelled()
    assert not wait(futures, timeout=10).not_done


def die(_):
    os._exit(1)


@pytest.mark.slow
def test_a_local_cluster_outlives_its_workers_and_ends_with_the_block(monkeypatch):
    monkeypatch.setitem(clusters.SETTINGS, "distributed.scheduler.allowed-failures", 0)
    processes = []

    def stopped():
        with cluster("local:1") as calls:
            with pytest.raises(WorkersLostError, match="the 1 workers"):
                calls.submit(die, 0).result(60)
            assert calls.submit(os.getpid).result(60) != os.getpid()
            calls.submit(time.sleep, 60)
            processes.extend(
                each for each in psutil.Process().children(recursive=True) if "spawn_main" in str(each.cmdline())
            )
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert processes
    assert not [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
