"""What the machine can do: device, precision, memory."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from artune.errors import SpecError, UnknownNameError

if TYPE_CHECKING:
    import torch


def memory_free() -> int | None:
    """Bytes of main memory that can still be taken; ``None`` where the system does not say."""
    limits = []
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                limits.append(int(line.split()[1]) * 1024)
    except OSError:
        pass
    group = Path("/sys/fs/cgroup")  # a container's own limit; files that it has read can be forgotten again
    try:
        taken = int((group / "memory.current").read_text())
        files = re.search(r"^inactive_file (\d+)$", (group / "memory.stat").read_text(), re.MULTILINE)
        limits.append(int((group / "memory.max").read_text()) - taken + (int(files[1]) if files else 0))
    except (OSError, ValueError):
        pass
    try:
        import resource

        soft = resource.getrlimit(resource.RLIMIT_AS)[0]
        if soft != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            limits.append(soft - pages * os.sysconf("SC_PAGE_SIZE"))
    except (ImportError, OSError):
        pass
    return min(limits) if limits else None


def ran_out(error: BaseException) -> bool:
    """Whether an error says that memory ran out; PyTorch says it in a ``RuntimeError``."""
    signs = ("can't allocate memory", "out of memory", "bad_alloc", "could not create a memory")
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in signs)


OVERHEAD = 256 * 2**20
"""Bytes that a run takes at any size: kernels, threads, the network."""


def choose_device(name: str) -> "torch.device":
    """The device of that name; ``auto`` takes a GPU where there is one.

    Raises:
        UnknownNameError: there is no such device in PyTorch.
        SpecError: the machine has none.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UnknownNameError("device", name, ("auto", "cpu", "cuda", "cuda:1", "mps")) from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SpecError(f"device {name}: this machine has {torch.cuda.device_count()} CUDA devices; use --device auto")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise SpecError("device mps: this machine has none; use --device auto")
    if device.type not in ("cpu", "cuda", "mps"):
        raise SpecError(f"device {name}: only cpu, cuda and mps are supported")
    return device


def choose_precision(name: str, device: "torch.device") -> "torch.dtype":
    """Precision of activations; ``auto`` takes bf16 where the hardware multiplies it, else fp32."""
    import torch

    if name == "auto":
        name = "bf16" if has_bf16(device) else "fp32"
    return {"bf16": torch.bfloat16, "fp32": torch.float32}[name]


def has_bf16(device: "torch.device") -> bool:
    """Whether the hardware multiplies bf16 faster than fp32."""
    if device.type == "cuda":
        import torch

        return bool(torch.cuda.is_bf16_supported())
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return device.type == "cpu" and any(flag in flags for flag in ("avx512_bf16", "amx_bf16"))


def keep_freed_memory(largest: int = 2**30) -> None:
    """Let this process keep the memory that it frees, where the C library is glibc.

    By default each step's large tensors are given back to the system and asked for again, page by page: a sixth of a
    step's time on a CPU. For a process whose job this is, such as the command line; it then stays as large as its
    largest picture.

    Args:
        largest: bytes above which a tensor is given back all the same.
    """
    import ctypes

    trim_threshold, mmap_threshold = -1, -3
    try:
        library = ctypes.CDLL(None)
        library.mallopt(mmap_threshold, largest)
        library.mallopt(trim_threshold, 2**31 - 1)
    except (AttributeError, OSError, TypeError):  # another C library
        return


def give_back_memory() -> None:
    """Give what this process has freed and kept back to the system, where the C library is glibc."""
    import ctypes

    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # another C library
        return


def device_memory_free(device: "torch.device") -> int | None:
    """Bytes that a device can still give; ``None`` where the system does not say."""
    if device.type != "cuda":
        return memory_free()
    import torch

    return torch.cuda.mem_get_info(device)[0]
