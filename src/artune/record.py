"""What happened: enough to tell, repeat or skip it."""

import hashlib
import json
import platform
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel, ConfigDict

from artune import __version__
from artune.spec.style import StyleSpec

ALGORITHM = 9
"""Raised by hand when the same spec gives other results."""


class Record(BaseModel):
    """A finished run.

    Attributes:
        key: of the resolved spec, the digests and the algorithm: the same key, the same picture.
        spec: resolved: every default and automatic choice filled in.
        digests: sha256 of each picture (its pixels) and of the weights.
        losses: of each step, by name; relative where they are calibrated.
        end: why the run ended: done, stalled, diverged or cancelled.
        steps: steps done.
        timings: seconds: ``total`` of the run, ``balance`` before it.
        balance: how the strength was found, where it was: strength, safe interval, reason, confidence and curves.
        versions: of artune, its algorithm, Python, and the libraries that compute.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    spec: StyleSpec
    digests: dict[str, str]
    losses: dict[str, list[float]] = {}
    end: str = "done"
    steps: int = 0
    timings: dict[str, float] = {}
    balance: dict[str, Any] | None = None
    versions: dict[str, str] = {}


def run_key(spec: StyleSpec, digests: dict[str, str]) -> str:
    """``sha256`` of the resolved spec, the digests and ``ALGORITHM``."""
    parts: dict[str, Any] = {
        "spec": spec.model_dump(mode="json", exclude={"automatic"}),
        "digests": dict(sorted(digests.items())),
        "algorithm": ALGORITHM,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Of the libraries that decide on the bits of a result, beside the processor and its number of threads."""
    import torch

    return {
        "artune": __version__,
        "algorithm": str(ALGORITHM),
        "torch": torch.__version__,  # with its build, which the metadata may leave out
        "numpy": version("numpy"),
        "pillow": version("pillow"),
        "python": platform.python_version(),
    }
