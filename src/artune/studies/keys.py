"""Keys of runs, which say when two runs make the same picture, and the settings that all runs of a study share."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from artune.errors import InputError, PictureError
from artune.files import file_digest
from artune.machine import choose_device, choose_precision, precision_of
from artune.record import ALGORITHM
from artune.spec.study import Example, RunSpec
from artune.spec.style import Optimise, StyleSpec
from artune.studies.axis import weight_of

RANDOM = "random"
"""What stands for untrained weights, in place of a file."""


def pinned(spec: StyleSpec) -> StyleSpec:
    """The spec with the device and the precision that ``auto`` stands for on this machine.

    Raises:
        UnknownNameError: there is no such device in PyTorch.
        SpecError: the machine has no such device.
    """
    if "auto" not in (spec.device, spec.precision):
        return spec
    device = choose_device(spec.device)
    chosen = precision_of(choose_precision(spec.precision, device))
    precision = chosen if isinstance(spec.method, Optimise) else "fp32"  # other methods have no other
    return spec.model_copy(update={"device": str(device), "precision": precision})


def keyed(runs: Iterable[RunSpec]) -> dict[str, RunSpec]:
    """Runs by key, each once; see ``keys_of``."""
    found: dict[str, RunSpec] = {}
    for key, run in keys_of(runs):
        found.setdefault(key, run)
    return found


def keys_of(runs: Iterable[RunSpec]) -> list[tuple[str, RunSpec]]:
    """The key of each run, and the run with device and precision ``pinned``.

    A key is a digest of the spec as it was given, with the type of the device (``cuda`` for ``cuda:1``) and the
    precision; of the bytes of all files; and of artune's ``ALGORITHM``. No network is loaded, every file is read once,
    and so is every spec that runs share. Published weights have no part in it, as the network's name stands for them.

    Args:
        runs: what is asked for.

    Raises:
        PictureError: a file cannot be read.
        InputError: a picture is in two classes.
        SpecError: the machine has no such device.
    """

    @cache
    def digest(path: Path) -> str:
        try:
            return file_digest(path)
        except OSError as error:
            raise PictureError(f"cannot read {path}: {error.strerror}") from error

    @cache
    def of_weights(weights: str) -> str:
        return weights if weights == RANDOM else digest(Path(weights))

    found: list[tuple[str, RunSpec]] = []
    owners: dict[tuple[str, str], Example] = {}
    specs: dict[int, _Spec] = {}
    for asked in runs:
        if (spec := specs.get(id(asked.spec))) is None:
            spec = specs[id(asked.spec)] = _Spec.of(asked.spec)
        run = asked if spec.pinned is asked.spec else asked.model_copy(update={"spec": spec.pinned})
        digests = {}
        for side, example in (("content", run.content), ("style", run.style)):
            digests[side] = digest(example.file)
            other = owners.setdefault((side, digests[side]), example)
            if other.label != example.label:
                raise InputError(
                    f"{other.file} and {example.file} are the same picture in two classes; remove it from one of them"
                )
        if run.weights:
            digests["weights"] = of_weights(run.weights)
        if spec.starts_from_file:
            digests["start"] = digest(Path(run.spec.method.start))
        found.append((spec.key(digests), run))
    return found


@dataclass(frozen=True)
class _Spec:
    """A spec that many runs share.

    Attributes:
        given: the spec; it is kept, so that no other one can take its place in memory.
        pinned: see ``pinned``.
        text: of what the keys hold of it, as JSON.
        starts_from_file: whether it starts from a picture of its own.
    """

    given: StyleSpec
    pinned: StyleSpec
    text: str
    starts_from_file: bool

    @classmethod
    def of(cls, given: StyleSpec) -> Self:
        spec = pinned(given)
        fields = _on_any(spec).model_dump(mode="json", exclude={"automatic"})
        return cls(given, spec, json.dumps(fields, sort_keys=True), os.path.isfile(spec.method.start))

    def key(self, digests: Mapping[str, str]) -> str:
        """``artune.record.run_key``, with the text of the spec made once."""
        parts = f'{{"algorithm": {ALGORITHM}, "digests": {json.dumps(digests, sort_keys=True)}, "spec": {self.text}}}'
        return hashlib.sha256(parts.encode()).hexdigest()


def _on_any(spec: StyleSpec) -> StyleSpec:
    """The spec without the number of its device: two GPUs of a machine make the same picture."""
    return spec.model_copy(update={"device": spec.device.partition(":")[0]})


def settings(spec: StyleSpec, digests: Mapping[str, str], algorithm: str = str(ALGORITHM)) -> dict[str, str]:
    """Everything that decides on a picture except photograph, painting and weight: what one study has in common.

    Args:
        spec: of a run.
        digests: of the network's ``weights``, and of the picture to ``start`` from where there is one.
        algorithm: artune's number of it.

    Returns:
        Values by name, as text.
    """
    fields = {
        **_on_any(spec).model_dump(mode="json", exclude={"method", "strength"}),
        **spec.method.model_dump(mode="json", exclude={"content_weight", "style_weight"}),
    }
    return {
        **{name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()},
        "weights of the network": digests.get("weights", ""),
        "picture to start from": digests.get("start", ""),
        "axis": "ratios" if weight_of(spec).ratio else "strengths",
        "artune's algorithm": algorithm,
    }


LONGEST = 24
"""Characters of the longest value that a message shows; for longer ones only the name is shown."""


def differences(found: Iterable[Mapping[str, str]]) -> list[str]:
    """What differs between settings, in words: the name and, where they are short, the values in their order."""
    seen = list(found)
    texts = []
    for name in seen[0]:
        values = list(dict.fromkeys(each[name] for each in seen))
        if len(values) > 1:
            short = all(0 < len(value) <= LONGEST for value in values)
            texts.append(f"{name} ({', '.join(values)})" if short else name)
    return texts
