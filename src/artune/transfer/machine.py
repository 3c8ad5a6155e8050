"""What the machine can do: device, precision, memory."""

from pathlib import Path

import torch

from artune.errors import ResourceError, SpecError, UnknownNameError
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


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, where the C library is glibc.

    By default each step's large tensors are given back to the system and asked for again, page by page: a sixth of a
    step's time on a CPU. For a process whose job this is, such as the command line; it then stays as large as its
    largest picture.
    """
    import ctypes

    trim_threshold, mmap_threshold = -1, -3
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return
    mallopt(mmap_threshold, 2**30)
    mallopt(trim_threshold, 2**31 - 1)


def check_memory(width: int, height: int, need: float, device: torch.device) -> None:
    """Raise before the work begins when it cannot fit.

    Args:
        width: of the result, pixels.
        height: of the result, pixels.
        need: bytes that it takes, in proportion to its pixels.
        device: where it will run.

    Raises:
        ResourceError: with the longest side that fits.
    """
    if device.type == "cuda":
        free: int | None = torch.cuda.mem_get_info(device)[0]
    else:
        free = memory_free()
    need += OVERHEAD
    if free is not None and need > free:
        share = max(free - OVERHEAD, 0) / (need - OVERHEAD)
        fits = int(max(width, height) * share**0.5 * 0.95)
        raise ResourceError(
            f"{width}x{height} pixels need about {need / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free; "
            + (f"--size {fits} fits" if fits >= 32 else "no size fits")
        )
