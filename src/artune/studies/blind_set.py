"""A blind set: pictures of a study that people are to recognise, with a page to answer on.

Nothing tells what a picture of the set shows, whose style it has, or at which weight it was made. The pictures are
numbered in random order, and their files have the same time and hold pixels alone. They are not compressed, because a
compressed file is larger the more style is in it.
"""

import os
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, FiniteFloat, model_validator

from artune.errors import InputError, OutputError
from artune.files import atomic_folder, check_writable, expanded, file_digest, write
from artune.images.border import without_border
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.write import encoded
from artune.report.page import page, picture_uri
from artune.report.tables import Table
from artune.spec.study import Example
from artune.studies.axis import weight_of
from artune.studies.classes import verdicts
from artune.studies.entries import (
    SIDES,
    Entry,
    Side,
    Verdict,
    picture_file,
    read_result,
)
from artune.studies.keys import differences
from artune.studies.store import open_for_reading

SHEET, CHOICES, PAGE, PICTURES = "answers.csv", "choices.csv", "index.html", "pictures"
UNKNOWN = "cannot tell"
"""The choice of those who recognise nothing; it is never right."""
SHOWN = 512
"""Longer side of the pictures on the page, pixels."""
REFERENCE = 160
"""Longer side of the reference paintings on the page, pixels."""
REFERENCES = 3
"""Number of reference paintings of each class."""


class Question(BaseModel):
    """A picture of the set, and the right answers to it.

    Attributes:
        picture: key of the picture in the study.
        place: place of its weight on the axis.
        weight: how people write its weight.
        content: class of its photograph.
        style: class of its painting.
        machine: answers of the judges, by side; without those of judges that have not seen the picture.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    picture: str
    place: FiniteFloat
    weight: str
    content: str
    style: str
    machine: dict[Side, str] = {}


class Key(BaseModel):
    """The key of a set: all right answers.

    Attributes:
        choices: the classes to choose from, by side.
        questions: by the name of the picture in the set.
        judges: sha256 of the files of the judges, by side.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    choices: dict[Side, tuple[str, ...]]
    questions: dict[str, Question]
    judges: dict[Side, str] = {}

    @model_validator(mode="after")
    def _checked(self) -> Self:
        for side in SIDES:
            if not {getattr(question, side) for question in self.questions.values()} <= {*self.choices.get(side, ())}:
                raise ValueError("every right answer is one of the choices")
        return self


def key_file(folder: Path) -> Path:
    """Default place of a set's key: beside its folder, so that the folder can be handed out as it is."""
    folder = expanded(folder).resolve()
    return folder.with_name(f"{folder.name}.key.json")


def make_blind_set(
    folder: Path,
    study: Path,
    *,
    per_weight: int | None = None,
    seed: int = 0,
    key: Path | None = None,
    references: Sequence[Example] = (),
    content_judge: Path | None = None,
    style_judge: Path | None = None,
) -> Key:
    """Write a blind set (pictures, choices, an answer sheet, a page to answer on) and, apart from it, its key.

    Args:
        folder: for the set; new or empty.
        study: folder of the results of a study.
        per_weight: pictures at each weight; as few as possible share photograph and painting. Default: all.
        seed: of the choice and the order of the pictures.
        key: file of the key; default: ``key_file``.
        references: paintings, of which the page shows some of each class; those that the study used are left out.
        content_judge: file of the judge whose answers are compared with people's, on the content; needed only where
            several judges have seen the pictures.
        style_judge: the same for the style.

    Raises:
        InputError: there are no results or too few, they belong to several studies, or it is open which judge is meant
            or that judge has not seen them.
        OutputError: the folder is not empty, the key exists, or there is no space.
    """
    folder, key = expanded(folder), expanded(key or key_file(folder))
    if os.path.lexists(key):
        raise OutputError(f"{key} exists, and may be the key of a set that is in use; choose another place")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} exists and is not an empty folder; choose a new one")
    if key.resolve().is_relative_to(folder.resolve()):
        raise OutputError(f"the key {key} would be handed out with the set; choose a place outside {folder}")
    check_writable(key)
    with open_for_reading(study) as store:
        entries = [entry for entry in store.entries() if entry.record is not None]
        answers = [*verdicts(store).values()]
    if not entries:
        raise InputError(f"there is no finished picture in {study}; run the study first")
    if names := differences(entry.settings for entry in entries):  # these would tell the pictures apart
        raise InputError(
            f"{study} holds pictures of several studies, which differ in {', '.join(names)}; make the set from a "
            "folder that holds one study"
        )
    chosen = _chosen(entries, per_weight, seed)
    machine = _answers(chosen, answers, {"content": content_judge, "style": style_judge})
    questions = _questions(chosen, machine, seed)
    runs = [entry.run for entry in entries]
    choices: dict[Side, tuple[str, ...]] = {
        "content": tuple(sorted({run.content.label for run in runs})),
        "style": tuple(sorted({run.style.label for run in runs})),
    }
    found = Key(choices=choices, questions=questions, judges={verdict.side: verdict.judge for verdict in machine})
    pictures = {
        name: Picture(read_result(picture_file(expanded(study), question.picture)).pixels)
        for name, question in questions.items()
    }
    used = {entry.record.digests.get("style 0", "") for entry in entries if entry.record}
    shown = _references(references, used, seed)
    sheet = Table(("picture", *SIDES), tuple((name, "", "") for name in questions))
    rows = tuple((side, choice) for side in SIDES for choice in (*choices[side], UNKNOWN))
    with atomic_folder(folder) as unfinished:
        for name, picture in pictures.items():
            write(unfinished / PICTURES / name, encoded(picture, ".bmp"))
        write(unfinished / SHEET, sheet.csv().encode())
        write(unfinished / CHOICES, Table(("side", "choice"), rows).csv().encode())
        write(unfinished / PAGE, _page(found, pictures, shown).encode())
        now = int(time.time())
        for path in (*(unfinished / PICTURES).iterdir(), *unfinished.iterdir()):
            os.utime(path, (now, now))
        write(key, found.model_dump_json(indent=1).encode())
    return found


def _chosen(entries: Sequence[Entry], per_weight: int | None, seed: int) -> list[Entry]:
    """A number of pictures at each weight; always one of the pair that was chosen least often so far."""
    pools: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: entry.key):
        pools.setdefault(weight_of(entry.run.spec).label, []).append(entry)
    if per_weight is None:
        return [entry for pool in pools.values() for entry in pool]
    if fewer := [label for label, pool in pools.items() if len(pool) < per_weight]:
        raise InputError(f"there are {len(pools[fewer[0]])} pictures at weight {fewer[0]}, not {per_weight}")
    rng, taken, chosen = random.Random(seed), dict[tuple[Path, Path], int](), list[Entry]()
    for pool in pools.values():
        rng.shuffle(pool)
    for _ in range(per_weight):
        for pool in pools.values():
            entry = min(pool, key=lambda entry: taken.get(_pair(entry), 0))
            pool.remove(entry)
            taken[_pair(entry)] = taken.get(_pair(entry), 0) + 1
            chosen.append(entry)
    return chosen


def _pair(entry: Entry) -> tuple[Path, Path]:
    return entry.run.content.file, entry.run.style.file


def _answers(entries: Sequence[Entry], answers: Iterable[Verdict], judges: Mapping[Side, Path | None]) -> list[Verdict]:
    """The answers of one judge of each side to some pictures."""
    keys = {entry.key for entry in entries}
    verdicts = [verdict for verdict in answers if verdict.picture in keys]
    chosen: list[Verdict] = []
    for side, file in judges.items():
        known = {verdict.judge for verdict in verdicts if verdict.side == side}
        if file is not None:
            known &= {_judge_digest(file)}
            if not known:
                raise InputError(f"{file} has not judged these pictures; run the study with it as `{side}_judge` first")
        if len(known) > 1:
            raise InputError(
                f"{len(known)} judges have judged the {side} of these pictures; name the file of one with "
                f"`{side}_judge`"
            )
        chosen += [verdict for verdict in verdicts if verdict.side == side and verdict.judge in known]
    return chosen


def _judge_digest(file: Path) -> str:
    try:
        return file_digest(file)
    except OSError as error:
        raise InputError(f"cannot read the judge {file}: {error.strerror}") from error


def _questions(entries: Sequence[Entry], verdicts: Iterable[Verdict], seed: int) -> dict[str, Question]:
    """Questions in random order, under names that differ from set to set."""
    answers: dict[str, dict[Side, str]] = {}
    for verdict in verdicts:
        answers.setdefault(verdict.picture, {})[verdict.side] = verdict.answer
    rng = random.Random(f"{seed} {sorted(entry.key for entry in entries)}")
    order = list(entries)
    rng.shuffle(order)
    mark, digits = f"{rng.randrange(16**4):04x}", len(str(len(order)))
    return {
        f"{mark}-{number:0{digits}}.bmp": Question(
            picture=entry.key,
            place=weight_of(entry.run.spec).place,
            weight=weight_of(entry.run.spec).label,
            content=entry.run.content.label,
            style=entry.run.style.label,
            machine=answers.get(entry.key, {}),
        )
        for number, entry in enumerate(order, 1)
    }


def _references(examples: Sequence[Example], used: set[str], seed: int) -> dict[str, list[Picture]]:
    """Some paintings of each class, as they are.

    Args:
        examples: to choose from.
        used: digests of the paintings to leave out. As in a record, a digest is that of a painting without its border.
        seed: of the choice.
    """
    shown: dict[str, list[Picture]] = {}
    order = sorted(examples, key=lambda example: example.file)
    random.Random(seed).shuffle(order)
    for example in order:
        own = shown.setdefault(example.label, [])
        if len(own) == REFERENCES:
            continue
        picture = read_picture(example.file)
        if without_border(picture).digest() not in used:
            own.append(picture)
    return dict(sorted(shown.items()))


def _page(key: Key, pictures: Mapping[str, Picture], references: Mapping[str, Sequence[Picture]]) -> str:
    return page(
        "artune.studies",
        "blind_set.html",
        pictures=[{"name": name, "uri": picture_uri(picture, SHOWN)} for name, picture in pictures.items()],
        choices={side: [*key.choices[side], UNKNOWN] for side in SIDES},
        references={label: [picture_uri(each, REFERENCE) for each in own] for label, own in references.items()},
        sheet=SHEET,
    )
