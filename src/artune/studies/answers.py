"""The answers of people to a blind set, and their scores beside those of the judges."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from artune.errors import InputError, UnknownNameError
from artune.files import expanded
from artune.judges.accuracy import Accuracy
from artune.report.tables import Table
from artune.studies.blind_set import UNKNOWN, Key
from artune.studies.entries import SIDES, Side

Who = Literal["people", "machine"]
WHO: tuple[Who, Who] = ("people", "machine")


@dataclass(frozen=True)
class Score:
    """How often one side was recognised at one weight.

    Attributes:
        weight: how people write the weight.
        side: content or style.
        who: who answered: ``people`` or the ``machine`` (a judge).
        accuracy: right answers among all answers.
    """

    weight: str
    side: Side
    who: Who
    accuracy: Accuracy

    def __str__(self) -> str:
        if not self.accuracy.count:
            return "-"
        low, high = self.accuracy.interval
        return f"{self.accuracy.share:.2f} [{low:.2f}, {high:.2f}]"


def read_key(path: Path) -> Key:
    """Read the key of a set.

    Raises:
        InputError: the file cannot be read, or is not a key.
    """
    try:
        return Key.model_validate_json(expanded(path).read_bytes())
    except OSError as error:
        raise InputError(f"cannot read the key {path}: {error.strerror}; give its file with `key`") from error
    except ValidationError as error:
        raise InputError(f"{path} is not the key of a set of pictures; give its file with `key`") from error


Answer = tuple[str, dict[Side, str]]
"""Name of a picture, and the class that was chosen for each side; a side that was left open is missing."""


def read_answers(path: Path, key: Key) -> list[Answer]:
    """Read an answer sheet that was filled in: CSV with commas or semicolons.

    Args:
        path: the sheet.
        key: of its set.

    Raises:
        InputError: the sheet cannot be read, a column is missing, or a picture belongs to another set or comes twice.
        UnknownNameError: an answer is not one of the choices.
    """
    try:
        text = expanded(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read the answers {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is not text in UTF-8; save the sheet as CSV in UTF-8") from error
    first = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text), delimiter=";" if first.count(";") > first.count(",") else ",")
    try:
        columns, whole = rows.fieldnames or (), [*filter(_filled, rows)]
    except csv.Error as error:
        raise InputError(f"{path} is not a table of answers: {error}; save the sheet as CSV") from error
    if missing := [name for name in ("picture", *SIDES) if name not in columns]:
        raise InputError(f"{path} has no column {missing[0]}; the answer sheet has picture, content and style")
    answers: dict[str, dict[Side, str]] = {}
    for row in whole:
        name = (row["picture"] or "").strip()
        if name not in key.questions:
            raise InputError(f"{path}: there is no picture {name!r} in this set; does the key belong to it?")
        if name in answers:
            raise InputError(f"{path}: {name} is answered twice; leave one of them out")
        answers[name] = {side: given for side in SIDES if (given := _choice(row[side], key.choices[side], side, path))}
    if not any(answers.values()):
        raise InputError(f"{path} holds no answers")
    return list(answers.items())


def _filled(row: Mapping[str, object]) -> bool:
    """Whether a row is not blank."""
    return any(isinstance(cell, str) and cell.strip() for cell in row.values())


def _choice(given: str | None, choices: Sequence[str], side: Side, path: Path) -> str:
    """The choice that was meant, in any case of letters; empty for no answer."""
    wanted = (given or "").strip()
    known = {choice.casefold(): choice for choice in (*choices, UNKNOWN)}
    if wanted and wanted.casefold() not in known:
        raise UnknownNameError(f"choice of {side}", wanted, known.values(), where=str(path))
    return known.get(wanted.casefold(), "")


def scores(answers: Iterable[Answer], key: Key) -> list[Score]:
    """Count right answers of people, and of the judges on the same pictures.

    Args:
        answers: of one person or of several.
        key: of the set.

    Returns:
        For each weight and each side the score of people and that of the machine.
    """
    given = list(answers)
    weights = sorted({(question.place, question.weight) for question in key.questions.values()})
    found = []
    for _, weight in weights:
        for side in SIDES:
            answered = [
                (name, chosen[side])
                for name, chosen in given
                if side in chosen and key.questions[name].weight == weight
            ]
            people = [answer == getattr(key.questions[name], side) for name, answer in answered]
            judged = [key.questions[name] for name in {name for name, _ in answered}]
            machine = [q.machine[side] == getattr(q, side) for q in judged if side in q.machine]
            found.append(Score(weight, side, "people", Accuracy(sum(people), len(people))))
            found.append(Score(weight, side, "machine", Accuracy(sum(machine), len(machine))))
    return found


def score_table(found: Sequence[Score]) -> Table:
    """A table with a row for each weight: people beside the machine."""
    by = {(score.weight, score.side, score.who): score for score in found}
    weights = list(dict.fromkeys(score.weight for score in found))
    columns = [(side, who) for side in SIDES for who in WHO]
    rows = (
        (
            weight,
            " / ".join(str(by[weight, side, "people"].accuracy.count) for side in SIDES),
            *(str(by[weight, side, who]) for side, who in columns),
        )
        for weight in weights
    )
    head = f"answers ({' / '.join(SIDES)})"
    return Table(("weight", head, *(f"{side}, {who}" for side, who in columns)), tuple(rows))


def score_rows(found: Sequence[Score]) -> Table:
    """A table with a row for each score, for programs."""
    rows = []
    for score in found:
        right, count = score.accuracy.right, score.accuracy.count
        numbers = (score.accuracy.share, *score.accuracy.interval)
        cells = [f"{number:.4f}" for number in numbers] if count else [""] * len(numbers)
        rows.append((score.weight, score.side, score.who, str(right), str(count), *cells))
    return Table(("weight", "side", "who", "right", "answers", "accuracy", "low", "high"), tuple(rows))
