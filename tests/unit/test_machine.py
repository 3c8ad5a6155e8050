"""What the machine can do."""

import platform

import pytest
import torch

from artune.errors import ResourceError
from artune.transfer import machine


def test_a_size_that_fits_fits(monkeypatch):
    monkeypatch.setattr(machine, "memory_free", lambda: machine.OVERHEAD + 100_000_000)
    cpu = torch.device("cpu")
    with pytest.raises(ResourceError, match=r"4000x2000 pixels need .* --size (\d+) fits") as error:
        machine.check_memory(4000, 2000, 8e9, cpu)
    fits = int(str(error.value).split("--size ")[1].split()[0])
    assert fits > 300
    machine.check_memory(fits, fits // 2, fits * (fits // 2) * 1000.0, cpu)


def test_no_size_fits_in_nothing(monkeypatch):
    monkeypatch.setattr(machine, "memory_free", lambda: 1_000_000)
    with pytest.raises(ResourceError, match="no size fits"):
        machine.check_memory(64, 64, 4e6, torch.device("cpu"))


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
    assert faults() < 2**13  # the pages of one of the ten
