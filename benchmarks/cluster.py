"""Studies on a cluster: what failures cost, how it scales, what a run costs beside the bare function.

    python benchmarks/cluster.py matrix [--tasks 120] [--seconds 0.5] [--only worker,network]
    python benchmarks/cluster.py scaling
    python benchmarks/cluster.py overhead [--tasks 100000]

``matrix`` needs root on Linux: a scheduler, and two workers in network namespaces with addresses of their own, which do
not see the folder of the pictures. In the middle of a study something is killed, cut or filled. Counted are the results
that were lost, those that were kept twice, and the runs that workers finished more than once; the values are compared
with those of an undisturbed study in this process.
``scaling`` makes pictures in one pass, by 1, 2 and 4 workers of one thread. ``overhead`` carries out tasks of nothing.
"""

import argparse
import collections
import contextlib
import hashlib
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from artune.errors import ArtuneError, InputError
from artune.files import file_digest
from artune.images.picture import Picture
from artune.images.write import encoded, write_picture
from artune.record import Record
from artune.spec.study import Example, RunSpec
from artune.spec.style import Instant, StyleSpec
from artune.studies.cluster import cluster
from artune.studies.entries import Measured
from artune.studies.executors import InProcess
from artune.studies.keys import keyed
from artune.studies.run import CarryOut, Outcome, Task, Transfer, run
from artune.studies.store import Store, open_for_reading

PORT = 8786
BRIDGE, GATEWAY = "artune0", "10.77.0.1"
PLACES = {"artune-a": "10.77.0.2", "artune-b": "10.77.0.3"}
"""Network namespaces, and the address of each."""
CUT = 30.0
"""Seconds for which the network is cut."""
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1] / "src"), os.environ.get("PYTHONPATH", "")]),
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "300s",
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "2",
}


# ------------------------------------------------------------------------------------------- a study of small tasks


@dataclass(frozen=True)
class Small:
    """A task that reads its two files, waits, and says on its worker when it begins and ends."""

    seconds: float
    logs: str

    def __call__(self, task: Task) -> Outcome:
        content, style = task.run.content.file, task.run.style.file
        self.say("begun", f"{content.stem}-{style.stem}")
        digest = hashlib.sha256(content.read_bytes() + style.read_bytes()).digest()
        time.sleep(self.seconds)
        noise = np.random.default_rng([*digest]).random((48, 48, 3), np.float32)
        record = Record(key="key", spec=task.run.spec, digests={})
        self.say("finished", f"{content.stem}-{style.stem}")
        return Outcome(encoded(Picture(noise), ".png"), record, {"mean": Measured(float(noise.mean()))})

    def say(self, what: str, name: str) -> None:
        with open(f"{self.logs}/{os.getpid()}.log", "a") as file:
            file.write(f"{what} {name}\n")


def pictures(folder: Path, number: int) -> list[Example]:
    """Small pictures."""
    rng = np.random.default_rng(0)
    paths = [folder / f"{place}.png" for place in range(number)]
    for path in paths:
        if not path.exists():
            write_picture(Picture(rng.random((32, 32, 3), np.float32)), path)
    return [Example(file=path, label="noise") for path in paths]


def tasks(folder: Path, number: int) -> dict[str, Task]:
    """Every pair of ten photographs and some paintings."""
    examples = pictures(folder, 10 + math.ceil(number / 10))
    pairs = [(content, style) for style in examples[10:] for content in examples[:10]][:number]
    spec = StyleSpec(strength=0.5)
    runs = keyed([RunSpec(content=content, style=style, spec=spec) for content, style in pairs])
    return {key: Task(each) for key, each in runs.items()}


def carry_out(where: str, inputs: Path, folder: Path, work: CarryOut, number: int) -> None:
    """Carry out what the store does not hold yet."""
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(Store.open(folder))
        executor = stack.enter_context(cluster(where)) if where else InProcess()
        for entry in run(tasks(inputs, number), store, executor, work):
            if entry.failed:
                raise InputError(entry.failed)


def results(folder: Path) -> dict[str, tuple[str, str]]:
    """What the store holds: of each run the digest of its picture, and its values."""
    with open_for_reading(folder) as store:
        values = store.values()
        kept = [entry.key for entry in store.entries() if store.finished(entry.key)]
        return {key: (file_digest(store.picture(key)), str(values[key])) for key in kept}


# ------------------------------------------------------------------------------------------------- matrix


def sh(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True)


@contextlib.contextmanager
def network() -> Iterator[None]:
    """A bridge in this namespace, and a namespace with an address of its own for each place."""
    with contextlib.ExitStack() as stack:
        sh("ip", "link", "add", BRIDGE, "type", "bridge")
        stack.callback(sh, "ip", "link", "del", BRIDGE)
        sh("ip", "addr", "add", f"{GATEWAY}/24", "dev", BRIDGE)
        sh("ip", "link", "set", BRIDGE, "up")
        for place, address in PLACES.items():
            sh("ip", "netns", "add", place)
            stack.callback(sh, "ip", "netns", "del", place)
            sh("ip", "link", "add", place, "type", "veth", "peer", "name", "eth0", "netns", place)
            stack.callback(sh, "ip", "link", "del", place)  # a namespace lives as long as its last process
            sh("ip", "link", "set", place, "master", BRIDGE)
            sh("ip", "link", "set", place, "up")
            for words in (f"addr add {address}/24 dev eth0", "link set eth0 up", "link set lo up"):
                sh("ip", "-n", place, *words.split())
        yield


@dataclass
class Kept:
    """A command that is started again when it ends, as by a job queue or by systemd."""

    command: list[str]
    log: Path
    ending: bool = False
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self._start()
        threading.Thread(target=self._watch, daemon=True).start()

    def _start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, env=ENVIRONMENT, start_new_session=True
            )

    def _watch(self) -> None:
        while not self.ending:
            self.process.wait()
            time.sleep(2)
            if not self.ending:
                self._start()

    def end(self) -> None:
        self.ending = True
        found = psutil.Process(self.process.pid)
        for each in (*found.children(recursive=True), found):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()


class Matrix:
    """A cluster in network namespaces, and what is done to it."""

    def __init__(self, root: Path, number: int, seconds: float) -> None:
        self.root, self.number, self.seconds = root, number, seconds
        self.inputs, self.logs = root / "inputs", root / "logs"
        for folder in (self.inputs, self.logs):
            folder.mkdir()
        dask = [sys.executable, "-m", "dask"]
        self.scheduler = Kept(
            [*dask, "scheduler", "--host", GATEWAY, "--port", str(PORT), "--no-dashboard"], root / "scheduler.txt"
        )
        self.workers = {}
        for place in PLACES:
            worker = f"{sys.executable} -m dask worker tcp://{GATEWAY}:{PORT} --nthreads 1 --memory-limit 0"
            worker += f" --no-dashboard --local-directory {root}/{place}"
            hidden = f"mount -t tmpfs none {self.inputs} && exec {worker}"  # no shared folder: pictures must be sent
            self.workers[place] = Kept(["ip", "netns", "exec", place, "sh", "-c", hidden], root / f"{place}.txt")
        self.client: subprocess.Popen[str]
        self.expected = self.undisturbed()

    def undisturbed(self) -> dict[str, tuple[str, str]]:
        carry_out("", self.inputs, self.root / "expected", Small(0, str(self.logs)), self.number)
        return results(self.root / "expected")

    def begin(self, folder: Path) -> None:
        """Run the command, also again."""
        words = [__file__, "client", folder, "--inputs", self.inputs, "--logs", self.logs]
        words += ["--tasks", self.number, "--seconds", self.seconds]
        self.client = subprocess.Popen(
            [sys.executable, *(str(word) for word in words)], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
        )

    def end(self) -> None:
        for each in (*self.workers.values(), self.scheduler):
            each.end()

    def worker_process(self, place: str) -> psutil.Process:
        """The process that computes: a child of Dask's nanny."""
        found = psutil.Process(self.workers[place].process.pid).children(recursive=True)
        return next(each for each in found if "spawn_main" in " ".join(each.cmdline()))

    def run(self, name: str, disturb: Callable[["Matrix", Path], str]) -> None:
        """One line of the matrix."""
        folder = self.root / name
        folder.mkdir()
        for log in self.logs.iterdir():
            log.unlink()
        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            if name == "disk full":
                sh("mount", "-t", "tmpfs", "-o", "size=1m", "none", folder)
                stack.callback(sh, "umount", "-l", folder)
            self.begin(folder)
            while self.logged("finished").total() < self.number // 6 and self.client.poll() is None:
                time.sleep(0.05)
            said = disturb(self, folder)
            _, errors = self.client.communicate(timeout=600)
            found = results(folder)
        finished, begun = self.logged("finished"), self.logged("begun")
        twice = sum(1 for count in finished.values() if count > 1)
        print(
            f"| {name} | {said} | {self.client.returncode} | {len(self.expected.keys() - found.keys())} | {twice} "
            f"| {begun.total() - len(begun)} | {'the same' if found == self.expected else 'DIFFERENT'} "
            f"| {time.monotonic() - began:.0f} s |",
            flush=True,
        )
        if self.client.returncode:
            print(errors, flush=True)

    def logged(self, what: str) -> collections.Counter[str]:
        lines = [line.split() for log in self.logs.glob("*.log") for line in log.read_text().splitlines()]
        return collections.Counter(line[1] for line in lines if line[0] == what)


def nothing(matrix: Matrix, folder: Path) -> str:
    return "nothing"


def kill_worker(matrix: Matrix, folder: Path) -> str:
    matrix.worker_process("artune-a").kill()
    return "a worker's process killed (-9)"


def kill_machine(matrix: Matrix, folder: Path) -> str:
    for each in (matrix.worker_process("artune-a"), matrix.workers["artune-a"].process):
        each.kill()
    return "a worker and its nanny killed (-9), started again"


def cut_network(matrix: Matrix, folder: Path) -> str:
    sh("ip", "link", "set", "artune-b", "down")
    time.sleep(CUT)
    sh("ip", "link", "set", "artune-b", "up")
    return f"a worker's network cut for {CUT:.0f} s"


def kill_scheduler(matrix: Matrix, folder: Path) -> str:
    matrix.scheduler.process.kill()
    return "the scheduler killed (-9), started again"


def kill_client(matrix: Matrix, folder: Path) -> str:
    matrix.client.kill()
    matrix.client.wait()
    matrix.begin(folder)
    return "the command killed (-9), run again"


def fill_disk(matrix: Matrix, folder: Path) -> str:
    _, errors = matrix.client.communicate(timeout=600)
    first = errors.strip().splitlines()[-1]
    sh("mount", "-o", "remount,size=100m", folder)
    matrix.begin(folder)
    return f'the disk full: "{first}"; freed, run again'


DISTURBANCES: dict[str, Callable[[Matrix, Path], str]] = {
    "nothing": nothing,
    "worker": kill_worker,
    "machine": kill_machine,
    "network": cut_network,
    "scheduler": kill_scheduler,
    "client": kill_client,
    "disk full": fill_disk,
}


def matrix(number: int, seconds: float, only: list[str]) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as root, network():
        cases = Matrix(Path(root), number, seconds)
        try:
            print(f"{number} tasks of {seconds} s on two workers")
            print("| case | done in the middle | status | lost | finished twice | begun again | values | time |")
            print("|---|---|---|---|---|---|---|---|", flush=True)
            for name in only or DISTURBANCES:
                cases.run(name, DISTURBANCES[name])
        finally:
            cases.end()
            if "KEEP" in os.environ:
                shutil.copytree(root, os.environ["KEEP"], dirs_exist_ok=True)


# ------------------------------------------------------------------------------------------------- speed


def timed(executor: Executor, work: CarryOut, given: dict[str, Task]) -> float:
    """Tasks a second, through an executor and a new store."""
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "store") as store:
        began = time.perf_counter()
        for entry in run(given, store, executor, work):
            if entry.failed:
                raise InputError(entry.failed)
        return len(given) / (time.perf_counter() - began)


def scaling(number: int) -> None:
    """Pictures of 192 pixels in one pass, a second."""
    print("| workers of one thread | pictures a second |")
    print("|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        examples = pictures(Path(folder), 20)
        spec = StyleSpec(strength=0.5, size=192, device="cpu", precision="fp32", method=Instant())
        runs = [RunSpec(content=one, style=other, spec=spec) for other in examples for one in examples][: 16 + number]
        given = list(keyed(runs).items())
        first, others = ({key: Task(each) for key, each in part} for part in (given[:16], given[16:]))
        for count in (1, 2, 4):
            with cluster(f"local:{count}", threads=1) as executor:
                timed(executor, Transfer(), first)  # every worker has loaded its network then
                print(f"| {count} | {timed(executor, Transfer(), others):.2f} |", flush=True)


def nothing_done(task: Task) -> Outcome:
    """A task of nothing: a picture of one pixel."""
    return Outcome(PIXEL, Record(key="key", spec=task.run.spec, digests={}))


PIXEL = encoded(Picture(np.zeros((1, 1, 3), np.float32)), ".png")


def overhead(number: int) -> None:
    """What a run costs beside its function."""
    with tempfile.TemporaryDirectory() as folder:
        given = tasks(Path(folder), min(number, 1000))
        task = next(iter(given.values()))
        before = time.perf_counter()
        for _ in range(1000):
            nothing_done(task)
        print(f"bare function: {time.perf_counter() - before:.3f} ms a run")
        with cluster("local:1", threads=1) as executor:
            executor.submit(nothing_done, task).result()
            before = time.perf_counter()
            for _ in range(200):
                executor.submit(nothing_done, task).result()
            print(f"one after the other, through the scheduler: {(time.perf_counter() - before) * 5:.2f} ms a run")
            before = time.perf_counter()
            for future in as_completed([executor.submit(nothing_done, task) for _ in range(1000)]):
                future.result()
            print(f"1000 at once, through the scheduler: {time.perf_counter() - before:.2f} ms a run", flush=True)
            many = {f"{place:064x}": Task(task.run) for place in range(number)}
            start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            speed = timed(executor, nothing_done, many)
            end = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            print(
                f"{number} tasks of nothing, through scheduler and store: {speed:.0f} runs a second, "
                f"{end / 1024:.0f} MB at the most ({(end - start) / 1024:.0f} MB more than before), scheduler included"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["matrix", "scaling", "overhead", "client"])
    parser.add_argument("folder", nargs="?", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--inputs", type=Path)
    parser.add_argument("--logs", default="")
    parser.add_argument("--tasks", type=int)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--only", default="", help="cases of the matrix, by commas")
    args = parser.parse_args()
    if args.part == "client":
        try:
            work = Small(args.seconds, args.logs)
            carry_out(f"tcp://{GATEWAY}:{PORT}", args.inputs, args.folder, work, args.tasks)
        except ArtuneError as error:
            sys.exit(str(error))
    elif args.part == "scaling":
        scaling(args.tasks or 64)
    elif args.part == "overhead":
        overhead(args.tasks or 100_000)
    elif args.part == "matrix":
        matrix(args.tasks or 120, args.seconds, [each for each in args.only.split(",") if each])


if __name__ == "__main__":
    main()
