"""What the machine can do: device, precision, memory."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psutil

from artune.errors import SpecError, UnknownNameError

if TYPE_CHECKING:
    import torch


def memory_free() -> int:
    """Bytes of main memory that this process can still take: the least that the machine, its containers and its own
    limit (``ulimit -v``) leave it.
    """
    limits = [psutil.virtual_memory().available, *group_memory_free()]
    if hasattr(psutil, "RLIMIT_AS"):  # Linux and FreeBSD
        process = psutil.Process()
        soft, _ = process.rlimit(psutil.RLIMIT_AS)
        if soft != psutil.RLIM_INFINITY:
            limits.append(soft - process.memory_info().vms)
    return min(limits)


GROUP_FILES = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Linux control groups of version 2 and 1, by controller: files of the limit and of what is taken, and the line of
``memory.stat`` that says how much of it are cached files, which the system drops when memory is short."""


def group_memory_free(
    groups: Path = Path("/sys/fs/cgroup"), memberships: Path = Path("/proc/self/cgroup")
) -> Iterator[int]:
    """Bytes that each control group around this process, as containers are, still allows; none where there is none.

    Args:
        groups: folder of all control groups.
        memberships: file that names those of this process.
    """
    try:
        lines = memberships.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for controller in {*controllers.split(",")} & GROUP_FILES.keys():
            limit, taken, cached = GROUP_FILES[controller]
            mount = groups / controller
            group = mount / path.lstrip("/")
            for folder in (group, *group.parents[: len(group.parts) - len(mount.parts)]):
                try:
                    kinds = dict(row.split() for row in (folder / "memory.stat").read_text().splitlines())
                    used = int((folder / taken).read_text()) - int(kinds[cached])
                    yield int((folder / limit).read_text()) - used
                except (OSError, ValueError, KeyError):  # no such group, or no limit
                    continue


def ran_out(error: BaseException) -> bool:
    """Whether an error means that memory ran out; PyTorch raises a ``RuntimeError`` then."""
    signs = ("can't allocate memory", "out of memory", "bad_alloc", "could not create a memory")
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in signs)


OVERHEAD = 256 * 2**20
"""Bytes that a run takes whatever the size of its pictures: kernels, threads, the network."""


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
        raise SpecError(f"`device` is {name}, but this machine has {torch.cuda.device_count()} CUDA devices; use auto")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise SpecError("`device` is mps, but this machine has none; use auto")
    if device.type not in ("cpu", "cuda", "mps"):
        raise SpecError(f"`device` is {name}, but only auto, cpu, cuda and mps are supported")
    return device


def choose_precision(name: str, device: "torch.device") -> "torch.dtype":
    """Precision of activations; ``auto`` takes bf16 where the hardware multiplies it, else fp32."""
    import torch

    if name == "auto":
        name = "bf16" if has_bf16(device) else "fp32"
    return {"bf16": torch.bfloat16, "fp32": torch.float32}[name]


def precision_of(dtype: "torch.dtype") -> Literal["fp32", "bf16"]:
    """Name of the precision that ``choose_precision`` returned."""
    import torch

    return "bf16" if dtype == torch.bfloat16 else "fp32"


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

    By default the large tensors of each step go back to the system and are asked for again, page by page, which takes
    a sixth of a step's time on a CPU. With this, the process stays as large as its largest picture needs: a choice for
    the whole process, so only a program such as the command line makes it.

    Args:
        largest: bytes; tensors above this size are given back all the same.
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
    """Give back to the system the memory that this process has freed but kept, where the C library is glibc."""
    import ctypes

    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # another C library
        return


def device_memory_free(device: "torch.device") -> int:
    """Bytes that can still be taken of a device's memory; mps shares main memory."""
    if device.type != "cuda":
        return memory_free()
    import torch

    return torch.cuda.mem_get_info(device)[0]


def largest_memory() -> int | None:
    """Largest memory of this process since ``restart_largest_memory``, bytes; ``None`` where it is not known."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return None


def restart_largest_memory() -> None:
    """Forget the largest memory of this process so far, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
