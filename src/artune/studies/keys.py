"""Keys of runs, which say when two runs make the same picture, and the settings that all runs of a study share."""

import json
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from artune.errors import InputError, PictureError
from artune.files import file_digest
from artune.machine import choose_device, choose_precision, precision_of
from artune.record import ALGORITHM, run_key
from artune.spec.study import Example, RunSpec
from artune.spec.style import StyleSpec
from artune.studies.axis import weight_of


def pinned(spec: StyleSpec) -> StyleSpec:
    """The spec with the device and the precision that ``auto`` stands for on this machine.

    Raises:
        UnknownNameError: there is no such device in PyTorch.
        SpecError: the machine has no such device.
    """
    if "auto" not in (spec.device, spec.precision):
        return spec
    device = choose_device(spec.device)
    precision = precision_of(choose_precision(spec.precision, device))
    return spec.model_copy(update={"device": str(device), "precision": precision})


def keyed(runs: Iterable[RunSpec], weights: Path | None = None) -> dict[str, RunSpec]:
    """Runs by key, with device and precision ``pinned``.

    A key is a digest of the spec as it was given, with the type of the device (``cuda`` for ``cuda:1``) and the
    precision; of the bytes of all files; and of artune's ``ALGORITHM``. No network is loaded, and every file is read
    once.

    Args:
        runs: what is asked for.
        weights: file of the network's weights; default: the published ones, which the network's name stands for.

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

    found: dict[str, RunSpec] = {}
    owners: dict[tuple[str, str], Example] = {}
    for asked in runs:
        run = asked.model_copy(update={"spec": pinned(asked.spec)})
        digests = {side: digest(example.file) for side, example in (("content", run.content), ("style", run.style))}
        for side, example in (("content", run.content), ("style", run.style)):
            other = owners.setdefault((side, digests[side]), example)
            if other.label != example.label:
                raise InputError(
                    f"{other.file} and {example.file} are the same picture in two classes; remove it from one of them"
                )
        if weights is not None:
            digests["weights"] = digest(weights)
        if os.path.isfile(run.spec.method.start):
            digests["start"] = digest(Path(run.spec.method.start))
        found.setdefault(run_key(_on_any(run.spec), digests), run)
    return found


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
