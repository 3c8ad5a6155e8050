"""The photographs and paintings of a study, drawn so that a larger number holds every smaller one."""

import random
from collections.abc import Sequence
from pathlib import Path

from artune.assets import SAMPLE_PHOTOS, SAMPLE_STYLES, sample_photo, sample_style
from artune.errors import InputError
from artune.files import expanded, without_copies
from artune.images.find import find_pictures
from artune.spec.study import Choice, Example, StudySpec
from artune.studies.grid import examples
from artune.studies.nprgeneral import PICTURES, nprgeneral
from artune.words import counted


def chosen(choice: Choice, count: int | None = None) -> tuple[Example, ...]:
    """The pictures of a choice, without copies.

    Args:
        choice: where they come from.
        count: pictures, of each class where there are classes, in place of the choice's own number; with fewer, all.

    Raises:
        InputError: a folder is missing or empty, a class has too few pictures, or there is no such sample.
    """
    wanted = choice.count if count is None else count
    if choice.classes is not None:
        return examples(choice.classes, wanted, choice.seed)
    found = _files(choice)
    if count is None and wanted is not None and wanted > len(found):
        raise InputError(f"{counted(wanted, 'picture')} are asked for, and there are {len(found)}; ask for fewer")
    order = random.Random(choice.seed).sample(range(len(found)), len(found))
    return tuple(Example(file=found[place], label="") for place in sorted(order[:wanted]))


Pair = tuple[Example, Example]
"""A photograph and a painting."""


def paired(study: StudySpec, count: int | None = None) -> list[Pair]:
    """The pairs of photograph and painting of a study.

    Args:
        study: the study.
        count: pictures of each side, or of each of its classes; of pairs in turn the pairs. A larger number holds every
            smaller one. Default: the study's numbers.

    Raises:
        InputError: see ``chosen``.
    """
    if study.pairs == "in turn":
        contents, styles = chosen(study.contents), chosen(study.styles)
        pairs = [(content, styles[place % len(styles)]) for place, content in enumerate(contents)]
        drawn = random.Random(study.contents.seed).sample(range(len(pairs)), len(pairs))
        return [pairs[place] for place in sorted(drawn[:count])]
    contents, styles = chosen(study.contents, count), chosen(study.styles, count)
    return [(content, style) for content in contents for style in styles]


def spread(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs in an order in which the first ones have as many photographs and paintings as there can be."""
    contents, styles = (list(dict.fromkeys(pair[side] for pair in pairs)) for side in (0, 1))

    def turn(pair: Pair) -> tuple[int, int]:
        content, style = contents.index(pair[0]), styles.index(pair[1])
        return (style - content) % len(styles), content

    return sorted(pairs, key=turn)


def _files(choice: Choice) -> list[Path]:
    if choice.folder is not None:
        return without_copies(find_pictures(choice.folder).pictures)
    files = _given(choice)
    once = without_copies(dict.fromkeys(files))
    if twice := [file for number, file in enumerate(files) if number >= len(once) or file != once[number]]:
        raise InputError(f"{twice[0]} is given twice, or is a copy of another picture; give each picture once")
    return files


def _given(choice: Choice) -> list[Path]:
    if choice.samples is not None:
        return [sample(name) for name in choice.samples]
    if choice.nprgeneral is not None:
        names = [*PICTURES] if choice.nprgeneral == ("all",) else choice.nprgeneral
        return [nprgeneral(name) for name in names]
    files = [expanded(file) for file in choice.files or ()]
    if missing := [file for file in files if not file.is_file()]:
        raise InputError(f"there is no picture {missing[0]}")
    return files


def sample(name: str) -> Path:
    """The file of a picture that is installed with the package.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name in SAMPLE_PHOTOS or name not in SAMPLE_STYLES:
        return sample_photo(name)
    return sample_style(name)
