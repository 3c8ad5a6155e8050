"""A class study, from what is asked for to what was found."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import artune
from artune.errors import InputError
from artune.spec.study import Example, RunSpec, StudySpec
from artune.spec.style import StyleSpec
from artune.studies.axis import weighted_specs
from artune.studies.entries import SIDES, Failure, Side
from artune.studies.findings import Findings, Judged, findings, matched
from artune.studies.grid import examples, grid
from artune.studies.keys import keyed, settings
from artune.studies.measures import StudyJudge, Untouched, judge_pictures
from artune.studies.run import Transfer, run
from artune.studies.store import Store
from artune.transfer.start import given_start

MAX_REASONS = 5
"""Largest number of reasons in a message about failed pictures."""

OnProgress = Callable[[str, int, int], None]
"""Called with what is being done (such as ``pictures``), how much of it is done, and how much there is to do."""
LoadNetwork = Callable[[StyleSpec, Path | None], "artune.Network"]
"""Loads the network of a spec, from a file of weights or the published ones."""


@dataclass(frozen=True)
class ClassStudy:
    """A class study that is checked and ready to run.

    Attributes:
        spec: what is asked for.
        judges: one for each side; they know all classes of the study.
        pictures: the photographs and the paintings.
        runs: the pictures to be made, by key.
    """

    spec: StudySpec
    judges: Mapping[Side, StudyJudge]
    pictures: Mapping[Side, Sequence[Example]]
    runs: Mapping[str, RunSpec]

    @classmethod
    def prepare(cls, spec: StudySpec, judges: Mapping[Side, StudyJudge]) -> Self:
        """Choose the pictures, and list the runs.

        Raises:
            InputError: a folder, a weight or a picture cannot be used.
            UnknownNameError: a judge does not know a class.
        """
        specs = weighted_specs(spec)
        photographs = examples(spec.contents, spec.per_class, spec.choice)
        paintings = examples(spec.styles, spec.styles_per_class or spec.per_class, spec.choice)
        pictures: dict[Side, Sequence[Example]] = {"content": photographs, "style": paintings}
        for side in SIDES:
            judges[side].check_classes(sorted({example.label for example in pictures[side]}))
        return cls(spec, judges, pictures, keyed(grid(photographs, paintings, specs), spec.weights))


@dataclass(frozen=True)
class StudyResult:
    """The outcome of a class study.

    Attributes:
        findings: what was found.
        judged: the results that both judges have seen, with their answers.
        untouched: how well each judge recognises the unchanged pictures.
        failures: why pictures are missing.
        made: number of pictures that were made now; the others had been there.
    """

    findings: Findings
    judged: tuple[Judged, ...]
    untouched: Mapping[Side, Untouched]
    failures: tuple[Failure, ...]
    made: int

    @property
    def failed(self) -> int:
        """Number of pictures that failed."""
        return sum(len(failure.runs) for failure in self.failures)


def run_classes(
    study: ClassStudy,
    store: Store,
    executor: Executor,
    on_progress: OnProgress = lambda what, done, total: None,
    load_network: LoadNetwork | None = None,
) -> StudyResult:
    """Style every photograph like every painting at every weight, and let two judges recognise both.

    What the store holds is not made again, and a judge sees every picture once.

    Args:
        study: what is to be done.
        store: where pictures and answers are kept.
        executor: where pictures are made.
        on_progress: called as the work goes on.
        load_network: default: ``artune.Network.load``. It is called once, before the first picture is made, because
            what it refuses would be refused for every picture; and not at all if no picture is missing.

    Raises:
        InputError: the store holds another study, or every picture failed.
        WeightsError: the network's weights are missing or do not fit.
        OutputError: the store cannot be written.
        ResourceError: a process of the executor died.
    """
    missing = store.missing(study.runs)
    if missing:
        spec = next(iter(missing.values())).spec
        digest = (load_network or artune.Network.load)(spec, study.spec.weights).digest
        store.check_settings(settings(spec, {"weights": digest, **_start(spec)}))
        on_progress("pictures", 0, len(missing))
        for done, _ in enumerate(run(missing, store, executor, Transfer(study.spec.weights)), 1):
            on_progress("pictures", done, len(missing))

    failed = store.missing(study.runs)
    failures = store.failures(failed)
    finished = [key for key in study.runs if key not in failed]
    if not finished:
        raise InputError(f"all {len(failed)} pictures failed:{listed(failures)}")

    untouched: dict[Side, Untouched] = {}
    for side, judge in study.judges.items():
        on_judged = partial(on_progress, f"the judge of {side}")
        untouched[side] = judge_pictures(judge, finished, study.pictures[side], study.spec.size, store, on_judged)
    judged = matched(study.runs, store.verdicts, {side: judge.digest for side, judge in study.judges.items()})
    return StudyResult(findings(judged), tuple(judged), untouched, tuple(failures), len(missing) - len(failed))


def listed(failures: Sequence[Failure]) -> str:
    """The first reasons of failed pictures, each on a line of its own."""
    more = [f"further reasons: {len(failures) - MAX_REASONS}"] if len(failures) > MAX_REASONS else []
    return "".join(f"\n  {line}" for line in [*map(str, failures[:MAX_REASONS]), *more])


def _start(spec: StyleSpec) -> dict[str, str]:
    """Digest of the picture to start from, if there is one."""
    given = given_start(spec.method.start)
    return {} if given is None else {"start": given.digest()}
