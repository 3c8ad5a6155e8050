"""How much memory the system can still give."""

import os
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
    for top, used in (("memory.max", "memory.current"),):  # a container's own limit
        folder = Path("/sys/fs/cgroup")
        try:
            limits.append(int((folder / top).read_text()) - int((folder / used).read_text()))
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
