"""What the machine can do: device, precision, memory."""

import platform
import subprocess
import sys

import psutil
import pytest
import torch

from artune import machine
from artune.errors import SpecError, UnknownNameError

GIB = 2**30


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.fixture
def groups(tmp_path):
    """Call it with what the system says of this process; the bytes that its control groups leave it."""

    def left(memberships):
        write(tmp_path, memberships=memberships)
        return list(machine.group_memory_free(tmp_path / "groups", tmp_path / "memberships"))

    return left


def test_a_control_group_of_version_2_leaves_its_limit_less_what_is_taken(groups, tmp_path):
    write(
        tmp_path / "groups/user/job",
        memory__max=str(4 * GIB),
        memory__current=str(3 * GIB),
        memory__stat=f"anon {GIB}\nfile {2 * GIB}\ninactive_file {GIB}\n",
    )
    assert groups("0::/user/job\n") == [2 * GIB]


def test_a_control_group_of_version_1_leaves_its_limit_less_what_is_taken(groups, tmp_path):
    write(
        tmp_path / "groups/memory/job",
        memory__limit_in_bytes=str(4 * GIB),
        memory__usage_in_bytes=str(3 * GIB),
        memory__stat=f"inactive_file 5\ntotal_inactive_file {GIB}\n",
    )
    assert groups("4:cpu,cpuacct:/job\n3:memory:/job\n0::/\n") == [2 * GIB]


def test_the_groups_around_a_group_count_and_one_without_a_limit_does_not(groups, tmp_path):
    stat = {"memory__current": "0", "memory__stat": "inactive_file 0\n"}
    write(tmp_path / "groups/outer", memory__max=str(GIB), **stat)
    write(tmp_path / "groups/outer/inner", memory__max="max", **stat)
    assert groups("0::/outer/inner\n") == [GIB]


def test_inside_a_container_the_path_outside_is_not_there_and_the_root_counts(groups, tmp_path):
    write(tmp_path / "groups", memory__max=str(GIB), memory__current="0", memory__stat="inactive_file 0\n")
    assert groups("0::/known/outside/alone\n") == [GIB]


def test_a_system_without_control_groups_has_no_such_limits(tmp_path):
    assert list(machine.group_memory_free(tmp_path, tmp_path / "nothing")) == []


def test_the_least_of_all_limits_counts(monkeypatch):
    monkeypatch.setattr(machine, "group_memory_free", lambda: iter([12345, 2**60]))
    assert machine.memory_free() == 12345


@pytest.mark.skipif(not hasattr(psutil, "RLIMIT_AS"), reason="this system has no such limit")
def test_the_limit_of_the_process_itself_counts():
    code = (
        "import psutil; from artune.machine import memory_free; own = psutil.Process();"
        f"own.rlimit(psutil.RLIMIT_AS, ({GIB}, {GIB})); print(memory_free(), {GIB} - own.memory_info().vms)"
    )
    free, expected = map(int, subprocess.check_output([sys.executable, "-c", code]).split())
    assert free == pytest.approx(expected, abs=2**24)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("gpu", UnknownNameError, "there is no device 'gpu'"),
        ("cuda:99", SpecError, "`device` is cuda:99, but this machine has "),
        ("meta", SpecError, "`device` is meta, but only auto, cpu, cuda and mps are supported"),
    ],
)
def test_a_device_that_is_not_there_is_refused(name, error, message):
    with pytest.raises(error, match=message):
        machine.choose_device(name)


def test_freed_memory_is_kept():
    """Pages of a large tensor are asked for once, not at every allocation."""
    resource = pytest.importorskip("resource")
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("the C library is not glibc")

    def faults():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(10):
            torch.zeros(2**23)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    machine.keep_freed_memory()
    faults()
    assert faults() <= 2**13  # the pages of at most one of the ten
