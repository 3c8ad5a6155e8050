"""What the machine can do."""

import platform

import pytest
import torch

from artune import machine


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
