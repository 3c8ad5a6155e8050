"""A study, from what is asked for to its pictures and values."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from jaxtyping import Float

from artune.backbones.base import Backbone
from artune.backbones.registry import structure
from artune.errors import InputError, SpecError
from artune.machine import largest_memory, restart_largest_memory
from artune.spec.study import Example, RunSpec, Selection, StudySpec
from artune.spec.style import Optimise
from artune.studies.bootstrap import Array
from artune.studies.entries import SIDES, Entry, Failure, Measured
from artune.studies.keys import RANDOM, keys_of
from artune.studies.measured import Scene, Tools, check_measures, measured, picture_of
from artune.studies.pictures import paired
from artune.studies.points import Point, network_of, points_of, selects
from artune.studies.run import Outcome, Task, Transfer, run
from artune.studies.store import Store

MAX_REASONS = 5
"""Largest number of reasons in a message about failed pictures."""

OnProgress = Callable[[int, int], None]
"""Called with the number of pictures that are done, and of all that are to be done."""


@dataclass(frozen=True)
class Cell:
    """A picture of a study.

    Attributes:
        key: of its run.
        point: where on the axes it is.
        run: what makes it.
    """

    key: str
    point: Point
    run: RunSpec


@dataclass(frozen=True)
class Study:
    """A study that is checked and ready to run.

    Attributes:
        spec: what is asked for.
        points: the combinations of its axes.
        cells: its pictures, those of a point together.
        tools: what measures.
        tested: in a study of judges: the pictures that they are tested on.
    """

    spec: StudySpec
    points: tuple[Point, ...]
    cells: tuple[Cell, ...]
    tools: Tools
    tested: tuple[Example, ...] = ()

    @classmethod
    def prepare(cls, spec: StudySpec, sample: int | None = None, limit: int | None = None) -> Self:
        """Choose the pictures and list the runs; nothing is computed yet.

        Args:
            spec: the study.
            sample: photographs and paintings, of each class where there are classes; default: as the study says.
            limit: largest number of pictures; they are spread over all points.

        Raises:
            InputError: options, pictures, layers, weights or measures cannot be used.
        """
        check_measures([*spec.measures, *(finding.measure for finding in spec.findings)])
        points = tuple(points_of(spec))
        files = {name: Path(file) for name, file in spec.weights.items() if file != RANDOM}
        tools = Tools(files, spec.judges)
        tools.check(spec.measures)
        _check_points(points)
        pairs = paired(spec, sample)
        for place, side in enumerate(SIDES):
            if f"{side}_class" in spec.measures:
                tools.check_classes(side, sorted({pair[place].label for pair in pairs}))
        if limit is not None:
            pairs = pairs[: max(1, limit // len(points))]
            points = points[:limit]
        asked = [(point, _run_of(point, pair)) for point in points for pair in pairs]
        keys = keys_of(run for _, run in asked)
        cells = tuple(Cell(key, point, run) for (point, _), (key, run) in zip(asked, keys, strict=True))
        return cls(spec, points, cells, tools)

    @property
    def runs(self) -> dict[str, RunSpec]:
        """What makes each picture, by key."""
        return {cell.key: cell.run for cell in self.cells}

    @property
    def untrained(self) -> tuple[str, ...]:
        """Networks that run with random weights."""
        found = (network_of(point.spec) for point in self.points if point.weights == RANDOM)
        return tuple(dict.fromkeys(found))

    @property
    def contents(self) -> tuple[Example, ...]:
        """The photographs, each once."""
        return tuple(dict.fromkeys(cell.run.content for cell in self.cells))

    @property
    def styles(self) -> tuple[Example, ...]:
        """The paintings, each once."""
        return tuple(dict.fromkeys(cell.run.style for cell in self.cells))

    @property
    def places(self) -> dict[tuple[Path, Path], tuple[int, int]]:
        """Row and column of each pair of photograph and painting among the values of a point.

        Photographs are the rows and paintings the columns; of pairs in turn each is a row, because drawing photographs
        and paintings anew, independently of each other, would leave most of the draws empty.
        """
        pairs = list(dict.fromkeys((cell.run.content.file, cell.run.style.file) for cell in self.cells))
        if self.spec.pairs == "in turn":
            return {pair: (place, 0) for place, pair in enumerate(pairs)}
        contents = {example.file: place for place, example in enumerate(self.contents)}
        styles = {example.file: place for place, example in enumerate(self.styles)}
        return {pair: (contents[pair[0]], styles[pair[1]]) for pair in pairs}

    def tasks(self, store: Store) -> dict[str, Task]:
        """What is missing in a store: pictures, or values of measures of finished ones."""
        runs, names = self.runs, self.spec.measures
        wanted = {name: self.tools.by(name) for name in names}
        there = store.missing(runs)
        found = {key: Task(run, names) for key, run in there.items()}
        finished = [key for key in runs if key not in there]
        values = store.values(finished)
        records = {entry.key: entry.record for entry in store.entries(finished)}
        for key in finished:
            has = {(name, value.by) for name, value in values.get(key, ())}
            lacking = tuple(name for name in names if (name, wanted[name]) not in has)
            if lacking:
                found[key] = Task(runs[key], lacking, store.picture(key).read_bytes(), records[key])
        return found


@dataclass(frozen=True)
class MakeAndMeasure:
    """Makes the picture of a task, unless it is there, and measures it.

    Attributes:
        tools: what measures.
        curves: whether the record keeps the losses of all steps, and not of the last alone.
    """

    tools: Tools
    curves: bool = False

    def __call__(self, task: Task, /) -> Outcome:
        """The outcome of a task.

        Raises:
            ArtuneError: as ``artune.style``.
        """
        peak = None
        if task.picture is None:
            restart_largest_memory()
            made = Transfer(self.curves)(task)
            peak = largest_memory()
        else:
            made = Outcome(task.picture, task.record)
        if made.picture is None or made.record is None:
            return made
        scene = Scene(picture_of(made.picture), task.run, made.record, self.tools, peak)
        return Outcome(made.picture, made.record, measured(task.measures, scene), made.failed)


@dataclass(frozen=True)
class StudyResult:
    """The pictures and values of a study.

    Attributes:
        study: what was asked for.
        values: of each measure: at each point for each photograph and each painting; NaN where there is none.
        entries: what is known of each picture, by key.
        failures: why pictures are missing.
        made: number of pictures that were made now.
    """

    study: Study
    values: Mapping[str, Float[Array, "points contents styles"]]
    details: Mapping[str, Mapping[str, Measured]]
    entries: Mapping[str, Entry]
    failures: tuple[Failure, ...]
    made: int = 0

    @property
    def failed(self) -> int:
        """Number of pictures that failed."""
        return sum(len(failure.runs) for failure in self.failures)

    def select(self, measure: str, selection: Selection) -> Float[Array, "contents styles"]:
        """The mean value over the points of a selection, for each photograph and painting."""
        chosen = [selects(selection, point.labels) for point in self.study.points]
        cells = self.values[measure][np.array(chosen)]
        count = (~np.isnan(cells)).sum(0)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.nansum(cells, 0) / np.where(count, count, np.nan), np.float64)


def run_study(study: Study, store: Store, executor: Executor, on_progress: OnProgress | None = None) -> StudyResult:
    """Make and measure what is missing, and return everything.

    Args:
        study: what is to be done.
        store: where pictures and values are kept.
        executor: where runs are carried out.
        on_progress: called as the work goes on.

    Raises:
        InputError: every picture failed.
        OutputError: the store cannot be written.
        ResourceError: a process of the executor died.
    """
    tasks = study.tasks(store)
    new = [key for key, task in tasks.items() if task.picture is None]
    if on_progress:
        on_progress(0, len(tasks))
    for done, _ in enumerate(run(tasks, store, executor, MakeAndMeasure(study.tools, study.spec.curves)), 1):
        if on_progress:
            on_progress(done, len(tasks))
    result = outcome_of(study, store, len(new))
    if not result.entries:
        raise InputError(f"all {result.failed} pictures failed:{listed(result.failures)}")
    return result


def outcome_of(study: Study, store: Store, made: int = 0) -> StudyResult:
    """What a store holds of a study.

    Args:
        study: the study.
        store: the store.
        made: number of pictures that were made now.
    """
    runs = study.runs
    failed = store.missing(runs)
    entries = {entry.key: entry for entry in store.entries([key for key in runs if key not in failed])}
    places = {id(point): place for place, point in enumerate(study.points)}
    wanted = {name: study.tools.by(name) for name in study.spec.measures}
    where = study.places
    shape = (
        len(study.points),
        1 + max(row for row, _ in where.values()),
        1 + max(column for _, column in where.values()),
    )
    values = {name: np.full(shape, np.nan) for name in study.spec.measures}
    found = store.values([*entries])
    details: dict[str, dict[str, Measured]] = {}
    for cell in study.cells:
        at = places[id(cell.point)], *where[cell.run.content.file, cell.run.style.file]
        for name, value in found.get(cell.key, ()):
            if name in values and value.by == wanted[name]:
                values[name][at] = value.value
                details.setdefault(cell.key, {})[name] = value
    failures = tuple(store.failures([key for key in failed if _tried(store, key)]))
    return StudyResult(study, values, details, entries, failures, made - len(failures))


def _tried(store: Store, key: str) -> bool:
    return any(entry.failed for entry in store.entries([key]))


def listed(failures: Sequence[Failure]) -> str:
    """The first reasons of failed pictures, each on a line of its own."""
    more = [f"further reasons: {len(failures) - MAX_REASONS}"] if len(failures) > MAX_REASONS else []
    return "".join(f"\n  {line}" for line in [*map(str, failures[:MAX_REASONS]), *more])


def _run_of(point: Point, pair: tuple[Example, Example]) -> RunSpec:
    return RunSpec(content=pair[0], style=pair[1], spec=point.spec, weights=point.weights)


def _check_points(points: Sequence[Point]) -> None:
    """Raise unless the weights of all points are there, and their layers are those of their networks.

    Raises:
        SpecError: weights must be given.
        UnknownNameError: there is no such network or layer.
    """
    built: dict[str, Backbone] = {}
    for point in points:
        if point.wanted:
            raise SpecError(f"the study needs the weights {point.wanted!r}: give `weights` {point.wanted}=FILE")
        if point.weights not in ("", RANDOM) and not Path(point.weights).is_file():
            raise InputError(f"there is no file {point.weights} with weights")
        method = point.spec.method
        if isinstance(method, Optimise):
            if method.network not in built:
                built[method.network] = structure(method.network)
            for tap in (*(method.content_layers or ()), *(method.style_layers or ())):
                built[method.network].tap(tap)


def finished_cells(result: StudyResult) -> Iterator[Cell]:
    """The pictures that are there."""
    return (cell for cell in result.study.cells if cell.key in result.entries)
