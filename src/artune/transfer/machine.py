"""What the machine can do: device, precision, memory."""

from pathlib import Path

import torch

from artune.errors import SpecError, UnknownNameError
from artune.memory import memory_free

OVERHEAD = 256 * 2**20
"""Bytes that a run takes at any size: kernels, threads, the network."""


def choose_device(name: str) -> torch.device:
    """The device of that name; ``auto`` takes a GPU where there is one.

    Raises:
        UnknownNameError: there is no such device in PyTorch.
        SpecError: the machine has none.
    """
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


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Precision of activations; ``auto`` takes bf16 where the hardware multiplies it, else fp32."""
    if name == "auto":
        name = "bf16" if has_bf16(device) else "fp32"
    return {"bf16": torch.bfloat16, "fp32": torch.float32}[name]


def has_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies bf16 faster than fp32."""
    if device.type == "cuda":
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


def device_memory_free(device: torch.device) -> int | None:
    """Bytes that a device can still give; ``None`` where the system does not say."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else memory_free()
