"""The scripts of ``benchmarks`` and ``training`` as modules, for their tests."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
FOLDERS = [ROOT / "training", ROOT / "benchmarks"]


@contextmanager
def imported(name: str) -> Iterator[ModuleType]:
    """Context in which a script is imported. Afterwards neither it nor the scripts that it imports are there."""
    before = [*sys.path]
    sys.path[:0] = map(str, FOLDERS)
    try:
        yield importlib.import_module(name)
    finally:
        sys.path[:] = before
        for found, module in [*sys.modules.items()]:
            if Path(getattr(module, "__file__", None) or "/").parent in FOLDERS:
                del sys.modules[found]
