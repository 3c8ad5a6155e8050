"""What people recognise: a blind set of an experiment's pictures, and the answers beside those of the judges.

Nothing about a picture of the set says at which weight, of what or after whom it was made: names are numbers in an
order that was drawn, all files are of one time and hold pixels alone, uncompressed, for compressed they are the larger
the more style is in them.
"""

import csv
import io
import os
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError, model_validator

from artune.errors import InputError, OutputError, UnknownNameError
from artune.files import atomic_folder, check_writable, file_digest, write
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.write import encoded
from artune.metrics.intervals import wilson
from artune.report.page import page, picture_uri
from artune.report.tables import Table
from artune.spec.study import Example
from artune.studies.grid import weight_of
from artune.studies.store import (
    SIDES,
    Entry,
    Side,
    Verdict,
    differing,
    picture_file,
    read_entries,
    read_result,
    read_verdicts,
)

SHEET, CHOICES, PAGE, PICTURES = "answers.csv", "choices.csv", "index.html", "pictures"
UNKNOWN = "cannot tell"
"""A choice that is never right."""
SHOWN, REFERENCE, REFERENCES = 512, 160, 3
"""Longer sides of the pictures on the page, and of those that show what a style is; how many of the latter for each."""


class Question(BaseModel):
    """A picture of a set, and what is right.

    Attributes:
        picture: key of the original.
        place: of its weight on the axis.
        weight: as people write it.
        content: class of its photograph.
        style: of its painting.
        machine: what the judges said, by side, where they saw it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    picture: str
    place: FiniteFloat
    weight: str
    content: str
    style: str
    machine: dict[Side, str] = {}


class Key(BaseModel):
    """What is right in a set.

    Attributes:
        choices: classes, by side.
        questions: by the name of the picture in the set.
        judges: digests of the files of those judges, by side.
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
    """Where the key of a set is by default: beside its folder, which can be handed out as it is."""
    folder = folder.resolve()
    return folder.with_name(f"{folder.name}.key.json")


def make(
    folder: Path,
    experiment: Path,
    *,
    per_weight: int | None = None,
    seed: int = 0,
    key: Path | None = None,
    references: Sequence[Example] = (),
    judges: Mapping[Side, Path] | None = None,
) -> Key:
    """Prepare a blind set: pictures, the choices, an answer sheet, a page to answer on; and, apart from it, the key.

    Args:
        folder: of the set; new or empty.
        experiment: folder of the results of an experiment.
        per_weight: pictures at each weight; as far as it goes, no two of one photograph and one painting. Default: all.
        seed: of choice and order.
        key: file of the key; default: :func:`key_file`.
        references: paintings of which some show, on the page, what a class is; those that styled a picture of the
            experiment are left out.
        judges: files of those whose answers stand beside the people's, by side; needed for a side on which several
            have spoken.

    Raises:
        InputError: there are no results, or too few; or it is open which judge is meant, or the one that is has not
            seen them.
        OutputError: the folder holds something, the key exists, or there is no space.
    """
    key = key or key_file(folder)
    if os.path.lexists(key):
        raise OutputError(f"{key} exists, and is perhaps the key of a set that is still out; choose another place")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} exists and is no empty folder; choose a new one")
    if key.resolve().is_relative_to(folder.resolve()):
        raise OutputError(f"the key {key} would be handed out with the set; choose a place outside of {folder}")
    check_writable(key)
    entries = [entry for entry in read_entries(experiment).values() if entry.record is not None]
    if not entries:
        raise InputError(f"there is no finished picture in {experiment}; run artune classes first")
    if names := differing(entry.manner for entry in entries):  # these would tell the pictures apart
        raise InputError(
            f"{experiment} holds pictures of several experiments, which differ in {', '.join(names)}; make a set of a "
            "folder that holds one"
        )
    chosen = _chosen(entries, per_weight, seed)
    verdicts = _heard(chosen, experiment, judges or {})
    questions = _questions(chosen, verdicts, seed)
    runs = [entry.run for entry in entries]
    choices: dict[Side, tuple[str, ...]] = {
        "content": tuple(sorted({run.content.label for run in runs})),
        "style": tuple(sorted({run.style.label for run in runs})),
    }
    found = Key(choices=choices, questions=questions, judges={verdict.side: verdict.judge for verdict in verdicts})
    pictures = {
        name: Picture(read_result(picture_file(experiment, question.picture)).pixels)
        for name, question in questions.items()
    }
    used = {entry.record.digests.get("style 0") for entry in entries if entry.record}
    shown = _references(references, used, seed)
    sheet = Table(("picture", *SIDES), tuple((name, "", "") for name in questions))
    rows = tuple((side, choice) for side in SIDES for choice in (*choices[side], UNKNOWN))
    with atomic_folder(folder) as begun:
        for name, picture in pictures.items():
            write(begun / PICTURES / name, encoded(picture, ".bmp"))
        write(begun / SHEET, sheet.csv().encode())
        write(begun / CHOICES, Table(("side", "choice"), rows).csv().encode())
        write(begun / PAGE, _page(found, pictures, shown).encode())
        now = int(time.time())
        for path in (*(begun / PICTURES).iterdir(), *begun.iterdir()):
            os.utime(path, (now, now))
        write(key, found.model_dump_json(indent=1).encode())
    return found


def _chosen(entries: Sequence[Entry], per_weight: int | None, seed: int) -> list[Entry]:
    """As many pictures of each weight, by turns, of the pairs that were taken least often so far."""
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


def _heard(entries: Sequence[Entry], experiment: Path, judges: Mapping[Side, Path]) -> list[Verdict]:
    """What one judge of each side said of some pictures."""
    keys = {entry.key for entry in entries}
    verdicts = [verdict for verdict in read_verdicts(experiment).values() if verdict.picture in keys]
    heard: list[Verdict] = []
    for side in SIDES:
        spoken = {verdict.judge for verdict in verdicts if verdict.side == side}
        if side in judges:
            try:
                wanted = file_digest(judges[side])
            except OSError as error:
                raise InputError(f"cannot read the judge {judges[side]}: {error.strerror}") from error
            if wanted not in spoken:
                raise InputError(
                    f"{judges[side]} has not seen these pictures; give it to artune classes as --{side}-judge first"
                )
            spoken = {wanted}
        if len(spoken) > 1:
            raise InputError(
                f"{len(spoken)} judges said what the {side} of these pictures is; name the file of one with "
                f"--{side}-judge"
            )
        heard += [verdict for verdict in verdicts if verdict.side == side and verdict.judge in spoken]
    return heard


def _questions(entries: Sequence[Entry], verdicts: Iterable[Verdict], seed: int) -> dict[str, Question]:
    """In an order that was drawn, by names that differ from set to set."""
    said: dict[str, dict[Side, str]] = {}
    for verdict in verdicts:
        said.setdefault(verdict.picture, {})[verdict.side] = verdict.answer
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
            machine=said.get(entry.key, {}),
        )
        for number, entry in enumerate(order, 1)
    }


def _references(examples: Sequence[Example], used: set[str | None], seed: int) -> dict[str, list[Picture]]:
    shown: dict[str, list[Picture]] = {}
    order = sorted(examples, key=lambda example: example.file)
    random.Random(seed).shuffle(order)
    for example in order:
        own = shown.setdefault(example.label, [])
        if len(own) < REFERENCES and (picture := read_picture(example.file)).digest() not in used:
            own.append(picture)
    return dict(sorted(shown.items()))


def _page(key: Key, pictures: Mapping[str, Picture], references: Mapping[str, Sequence[Picture]]) -> str:
    return page(
        "human.html",
        pictures=[{"name": name, "uri": picture_uri(picture, SHOWN)} for name, picture in pictures.items()],
        choices={side: [*key.choices[side], UNKNOWN] for side in SIDES},
        references={label: [picture_uri(each, REFERENCE) for each in own] for label, own in references.items()},
        sheet=SHEET,
    )


# -------------------------------------------------------------------------------------------- scoring


@dataclass(frozen=True)
class Score:
    """How often a side was recognised at a weight.

    Attributes:
        weight: as people write it.
        side: content or style.
        who: people or machine.
        right: right answers.
        count: all answers.
    """

    weight: str
    side: Side
    who: str
    right: int
    count: int

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.right / self.count

    def __str__(self) -> str:
        if not self.count:
            return "-"
        low, high = wilson(self.right, self.count)
        return f"{self.accuracy:.2f} [{low:.2f}, {high:.2f}]"


def read_key(path: Path) -> Key:
    """The key of a set.

    Raises:
        InputError: there is none, or it is no key.
    """
    try:
        return Key.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read the key {path}: {error.strerror}; name it with --key") from error
    except ValidationError as error:
        raise InputError(f"{path} is no key of a set of pictures; name it with --key") from error


Answer = tuple[str, dict[Side, str]]
"""Name of a picture, and what was answered, by side; what was left open is missing."""


def read_answers(path: Path, key: Key) -> list[Answer]:
    """An answer sheet that was filled in, with commas or semicolons.

    Raises:
        InputError: it cannot be read, a column is missing, a picture is of another set or comes twice, or a choice is
            none.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read the answers {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is no text in UTF-8; save the sheet as CSV in UTF-8") from error
    first = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text), delimiter=";" if first.count(";") > first.count(",") else ",")
    try:
        columns, whole = rows.fieldnames or (), [*filter(_says, rows)]
    except csv.Error as error:
        raise InputError(f"{path} is no table of answers: {error}; save the sheet as CSV") from error
    if missing := [name for name in ("picture", *SIDES) if name not in columns]:
        raise InputError(f"{path} has no column {missing[0]}; the answer sheet has picture, content and style")
    answers: dict[str, dict[Side, str]] = {}
    for row in whole:
        name = (row["picture"] or "").strip()
        if name not in key.questions:
            raise InputError(f"{path}: there is no picture {name!r} in this set; does the key belong to it?")
        if name in answers:
            raise InputError(f"{path}: {name} is answered twice; leave out either")
        answers[name] = {side: given for side in SIDES if (given := _choice(row[side], key.choices[side], side, path))}
    if not any(answers.values()):
        raise InputError(f"{path} holds no answers")
    return list(answers.items())


def _says(row: Mapping[str, object]) -> bool:
    """Whether a row holds something."""
    return any(isinstance(cell, str) and cell.strip() for cell in row.values())


def _choice(given: str | None, choices: Sequence[str], side: Side, path: Path) -> str:
    """One of the choices, however it is written; empty for none."""
    wanted = (given or "").strip()
    known = {choice.casefold(): choice for choice in (*choices, UNKNOWN)}
    if wanted and wanted.casefold() not in known:
        raise UnknownNameError(f"choice of {side}", wanted, known.values(), where=str(path))
    return known.get(wanted.casefold(), "")


def scores(answers: Iterable[Answer], key: Key) -> list[Score]:
    """What people and, of the same pictures, the judges recognised, weight by weight.

    Args:
        answers: of one person or several.
        key: what is right.
    """
    given = list(answers)
    weights = sorted({(question.place, question.weight) for question in key.questions.values()})
    return [
        score
        for _, weight in weights
        for side in SIDES
        for score in (
            _score(weight, side, "people", _asked(given, key, weight, side)),
            _score(weight, side, "machine", _judged({name for name, said in given if side in said}, key, weight, side)),
        )
    ]


def _asked(given: Iterable[Answer], key: Key, weight: str, side: Side) -> Iterator[bool]:
    for name, said in given:
        question = key.questions[name]
        if question.weight == weight and side in said:
            yield said[side] == getattr(question, side)


def _judged(names: Iterable[str], key: Key, weight: str, side: Side) -> Iterator[bool]:
    for question in (key.questions[name] for name in names):
        if question.weight == weight and side in question.machine:
            yield question.machine[side] == getattr(question, side)


def _score(weight: str, side: Side, who: str, right: Iterable[bool]) -> Score:
    found = list(right)
    return Score(weight, side, who, sum(found), len(found))


def score_table(found: Sequence[Score]) -> Table:
    """A row for each weight: people beside the machine."""
    by = {(score.weight, score.side, score.who): score for score in found}
    weights = list(dict.fromkeys(score.weight for score in found))
    columns = [(side, who) for side in SIDES for who in ("people", "machine")]
    rows = (
        (
            weight,
            " / ".join(str(by[weight, side, "people"].count) for side in SIDES),
            *(str(by[weight, side, who]) for side, who in columns),
        )
        for weight in weights
    )
    head = f"answers ({' / '.join(SIDES)})"
    return Table(("weight", head, *(f"{side}, {who}" for side, who in columns)), tuple(rows))


def score_rows(found: Sequence[Score]) -> Table:
    """A row for each score, with its numbers apart."""
    rows = []
    for score in found:
        ends = (score.accuracy, *wilson(score.right, score.count)) if score.count else ()
        cells = [f"{end:.4f}" for end in ends] or ["", "", ""]
        rows.append((score.weight, score.side, score.who, str(score.right), str(score.count), *cells))
    return Table(("weight", "side", "who", "right", "answers", "accuracy", "low", "high"), tuple(rows))
