"""A study in its folder: what is missing is made and measured, and the page is written."""

import json
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from artune.errors import InputError
from artune.spec.study import Example, StudySpec
from artune.studies.classes import ClassPart, check_settings, class_part, is_class_study, judge_untouched
from artune.studies.conclusion import answer
from artune.studies.judge_study import judged
from artune.studies.pictures import Pair
from artune.studies.run import loaded
from artune.studies.store import Store, open_for_reading
from artune.studies.study import OnProgress, Study, StudyResult, outcome_of, run_study
from artune.studies.study_report import write_study
from artune.words import counted


@dataclass(frozen=True)
class Conducted:
    """A study that was conducted.

    Attributes:
        result: its pictures and values.
        part: the part of its page that class studies have.
    """

    result: StudyResult
    part: ClassPart | None = None

    @property
    def answer(self) -> str:
        """The answer, in a sentence."""
        return answer(self.result) if self.part is None else f"{self.part.sentence}."

    def write(self, folder: Path, command: str) -> None:
        """Write the page and the values.

        Raises:
            OutputError: no permission, no space.
        """
        write_study(folder, self.result, self.answer, command, self.part)

    def __str__(self) -> str:
        result = self.result
        if not result.study.cells:
            return f"{counted(len(result.study.points), 'judge')}. {self.answer}"
        finished, runs = len(result.finished), len(result.study.runs)
        of = f" of {runs}" if finished < runs else ""
        return f"{counted(finished, 'picture')}{of}, {result.made} of them new. {self.answer}"


@dataclass(frozen=True)
class Note:
    """What a folder keeps of a study, to write its page again.

    Attributes:
        spec: the study.
        command: that conducted it.
        pairs: of photograph and painting.
        keys: of its pictures: those of a point together.
        points: number of its points.
    """

    spec: StudySpec
    command: str
    pairs: tuple[Pair, ...] = ()
    keys: tuple[str, ...] = ()
    points: int = 0

    @classmethod
    def of(cls, study: Study, command: str) -> Self:
        """The note of a study."""
        keys = tuple(cell.key for cell in study.cells)
        return cls(study.spec, command, tuple(study.pairs), keys, len(study.points))

    def text(self) -> str:
        """The note as JSON."""
        pairs = [[each.model_dump(mode="json") for each in pair] for pair in self.pairs]
        more = {"command": self.command, "pairs": pairs, "keys": self.keys, "points": self.points}
        return json.dumps({"study": self.spec.model_dump(mode="json"), **more})

    @classmethod
    def parse(cls, text: str, folder: Path) -> Self:
        """A note from JSON.

        Raises:
            InputError: it is none.
        """
        try:
            data: Mapping[str, Any] = json.loads(text)
            pairs = tuple(
                (Example.model_validate(content), Example.model_validate(style)) for content, style in data["pairs"]
            )
            spec = StudySpec.model_validate(data["study"])
            return cls(spec, data["command"], pairs, tuple(data["keys"]), data["points"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{folder} holds no study; give a folder that artune study run wrote") from error


def conduct(study: Study, store: Store, executor: Executor, on_progress: OnProgress | None = None) -> Conducted:
    """Make and measure what is missing in a store, and return everything.

    Args:
        study: what is to be done.
        store: where pictures and values are kept.
        executor: where runs are carried out.
        on_progress: called as the work goes on.

    Raises:
        InputError: every picture failed; of a class study, the store holds pictures that were made otherwise.
        WeightsError: weights are missing or do not fit: they would be refused for every picture.
        OutputError: the store cannot be written.
        ResourceError: a process of the executor died.
    """
    missing = store.missing(study.runs)
    for run in {(run.spec.method.model_dump_json(), run.weights): run for run in missing.values()}.values():
        loaded(run.spec, run.weights)
    judged = is_class_study(study)
    if missing and judged:
        check_settings(study, store)
    result = run_study(study, store, executor, on_progress)
    if judged:
        judge_untouched(study, store)
    return Conducted(result, class_part(result, store))


def reported(folder: Path) -> tuple[Conducted, Note]:
    """What a folder holds of the study that was last conducted in it; nothing is made or measured.

    Raises:
        InputError: there is no study in it, or nothing in it is finished.
    """
    with open_for_reading(folder) as store:
        note = Note.parse(store.study, folder)
        if note.spec.judge:
            return Conducted(judged(note.spec, folder)), note
        study = Study.kept(note.spec, note.pairs, note.keys, note.points)
        result = outcome_of(study, store)
        if not result.finished:
            raise InputError(f"no picture in {folder} is finished; run the study again")
        return Conducted(result, class_part(result, store)), note
