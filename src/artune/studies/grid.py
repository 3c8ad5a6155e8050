"""The grid of a study: every photograph in the style of every painting at every weight."""

import random
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from artune.data.folders import class_folder
from artune.errors import InputError
from artune.files import without_copies
from artune.spec.study import Example, RunSpec
from artune.spec.style import StyleSpec
from artune.words import counted


def examples(folder: Path, count: int | None = None, seed: int = 0) -> tuple[Example, ...]:
    """Pictures of each class, without copies, chosen at random.

    A larger choice holds every smaller one, and the choice in one class does not depend on the other classes.

    Args:
        folder: holds a folder for each class.
        count: pictures of each class; default: all.
        seed: of the choice.

    Raises:
        InputError: a class has fewer pictures; else as ``artune.data.folders.class_folder``.
    """
    chosen: list[Example] = []
    for label, those in class_folder(folder).items():
        files = without_copies(those)
        if count is not None and count > len(files):
            there = counted(len(files), "picture")
            raise InputError(f"{folder / label} holds {there}, not {count}; ask for fewer of each class")
        if count is not None:
            random.Random(f"{seed} {label}").shuffle(files)
        chosen += [Example(file=file, label=label) for file in sorted(files[:count])]
    return tuple(chosen)


def grid(
    contents: Sequence[Example], styles: Sequence[Example], specs: Sequence[StyleSpec], weights: str = ""
) -> list[RunSpec]:
    """Every content in every style by every spec, with the same weights."""
    return [
        RunSpec(content=content, style=style, spec=spec, weights=weights)
        for content, style, spec in product(contents, styles, specs)
    ]
