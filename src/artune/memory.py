"""How much memory the system can still give."""

import os
import re
from pathlib import Path


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
