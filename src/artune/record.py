"""The record of a run, from which the run can be reported or repeated; and its key, by which it is found again."""

import hashlib
import json
import platform
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import BaseModel, ConfigDict

from artune import __version__
from artune.spec.style import StyleSpec

ALGORITHM = 15
"""Version of the results: it is raised by hand when the same spec gives another picture."""
LIBRARIES = (
    "numpy",
    "scipy",
    "scikit-image",
    "pillow",
    "imagecodecs",
    "tifffile",
    "torchvision",
    "pymatting",
    "pillow-heif",
    "pillow-jxl-plugin",
)
"""Packages beside PyTorch that may change the bits of a result; those of extras need not be there."""


class Record(BaseModel):
    """The record of a finished run.

    Attributes:
        key: digest of the resolved spec, the digests and ``ALGORITHM``; the same key means the same picture.
        spec: the resolved spec: every default and automatic choice is filled in.
        digests: sha256 of the pixels of each picture, and of the weights.
        kept: share of the photograph that is kept in each part where it is, by the part's role in the run.
        borders: pixels that were cut off each painting that has a border, by side, by the painting's role in the run;
            with ``tile`` also off the photograph, ``content``.
        losses: losses of each step, by name; calibrated losses are relative.
        end: why the run ended: done, stalled, diverged or cancelled.
        steps: number of steps done.
        timings: seconds: ``total`` of the run; ``balance`` of the search before it.
        balance: how the strength was found: strength, safe interval, reason, confidence and curves; ``None`` if it was
            given.
        versions: versions of artune, ``ALGORITHM``, Python, and the libraries that compute.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    spec: StyleSpec
    digests: dict[str, str]
    kept: dict[str, float] = {}
    borders: dict[str, dict[str, int]] = {}
    losses: dict[str, list[float]] = {}
    end: str = "done"
    steps: int = 0
    timings: dict[str, float] = {}
    balance: dict[str, Any] | None = None
    versions: dict[str, str] = {}


def run_key(spec: StyleSpec, digests: dict[str, str]) -> str:
    """Key of a run: sha256 of the resolved spec, the digests and ``ALGORITHM``."""
    parts: dict[str, Any] = {
        "spec": spec.model_dump(mode="json", exclude={"automatic"}),
        "digests": dict(sorted(digests.items())),
        "algorithm": ALGORITHM,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Versions of everything that may change the bits of a result, except processor and number of threads."""
    import torch

    return {
        "artune": __version__,
        "algorithm": str(ALGORITHM),
        "torch": torch.__version__,  # with the build, which the package's metadata may lack
        "python": platform.python_version(),
        **_of_libraries(),
    }


@cache
def _of_libraries() -> dict[str, str]:
    """Versions of ``LIBRARIES``; read once, as that takes 10 ms."""
    found = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
