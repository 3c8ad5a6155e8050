"""A study, from what is asked for to its pictures and values."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
from jaxtyping import Float

from artune.backbones.registry import NETWORKS, OTHERS
from artune.errors import InputError, SpecError, UnknownNameError
from artune.images.read import decode_picture
from artune.machine import largest_memory, restart_largest_memory
from artune.spec.study import Example, RunSpec, Selection, StudySpec
from artune.spec.style import METHOD_SPECS
from artune.studies.bootstrap import Array
from artune.studies.entries import SIDES, Failure, Measured
from artune.studies.keys import RANDOM, keys_of
from artune.studies.measured import Scene, Tools, labelled, measured
from artune.studies.pictures import Pair, paired, spread
from artune.studies.points import Point, check_names, network_of, points_of, selects
from artune.studies.run import Outcome, Task, Transfer, run
from artune.studies.store import Store
from artune.words import counted

FEWEST = 2
"""Smallest number of pairs that are compared, and have an interval."""
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
            limit: largest number of pictures; they are spread over all points, or are one of each of the first points.

        Raises:
            InputError: options, pictures, layers, weights or measures cannot be used.
        """
        points = tuple(points_of(spec))
        tools = _tools(spec)
        tools.check(spec.measures)
        check_names(spec, points)
        check_given(points)
        _check_weights(spec, points)
        pairs = paired(spec, sample)
        for place, side in enumerate(SIDES):
            if f"{side}_class" in spec.measures:
                tools.check_classes(side, sorted({pair[place].label for pair in pairs}))
        if limit is not None:
            pairs = spread(pairs)[: max(1, limit // len(points))]
            points = points[:limit]
        asked = [(point, _run_of(point, pair)) for point in points for pair in pairs]
        keys = keys_of(run for _, run in asked)
        cells = tuple(Cell(key, point, run) for (point, _), (key, run) in zip(asked, keys, strict=True))
        return cls(spec, points, cells, tools)

    @classmethod
    def kept(cls, spec: StudySpec, pairs: Sequence[Pair], keys: Sequence[str], points: int) -> Self:
        """A study as it was prepared before, from what was kept of it; no picture is looked for.

        Args:
            spec: the study.
            pairs: of photograph and painting.
            keys: of its cells.
            points: number of its points that were made.
        """
        made = tuple(points_of(spec, files=False)[:points])
        asked = [(point, _run_of(point, pair)) for point in made for pair in pairs]
        cells = tuple(Cell(key, point, run) for key, (point, run) in zip(keys, asked, strict=True))
        return cls(spec, made, cells, _tools(spec))

    @property
    def pairs(self) -> list[Pair]:
        """The pairs of photograph and painting, each once."""
        return list(dict.fromkeys((cell.run.content, cell.run.style) for cell in self.cells))

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

        Photographs are the rows and paintings the columns. Pairs that have nothing in common are rows alone, because
        drawing photographs and paintings anew, independently of each other, would leave most of the draws empty.
        """
        pairs = [(content.file, style.file) for content, style in self.pairs]
        if len(pairs) == len(self.contents) == len(self.styles):
            return {pair: (place, 0) for place, pair in enumerate(pairs)}
        contents = {example.file: place for place, example in enumerate(self.contents)}
        styles = {example.file: place for place, example in enumerate(self.styles)}
        return {pair: (contents[pair[0]], styles[pair[1]]) for pair in pairs}

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the values of a point; see ``places``."""
        rows, columns = zip(*self.places.values(), strict=True)
        return 1 + max(rows), 1 + max(columns)

    def tasks(self, store: Store) -> dict[str, Task]:
        """What is missing in a store: pictures, or values of measures of finished ones."""
        runs, names = self.runs, self.spec.measures
        wanted = {name: self.tools.by(name) for name in names}
        there = store.missing(runs)
        found = {key: Task(run, names) for key, run in there.items()}
        whole = store.measured(wanted)
        unmeasured = [key for key in runs if key not in there and key not in whole]
        values = store.values(unmeasured)
        lacking = {
            key: tuple(name for name in names if (name, wanted[name]) not in _had(values.get(key, ())))
            for key in unmeasured
        }
        for entry in store.entries(unmeasured):
            found[entry.key] = Task(runs[entry.key], lacking[entry.key], store.picture(entry.key), entry.record)
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
            made = Outcome(task.picture.read_bytes(), task.record)
        if made.picture is None or made.record is None:
            return made
        scene = Scene(decode_picture(made.picture), task.run, made.record, self.tools, peak)
        return Outcome(made.picture, made.record, measured(task.measures, scene), made.failed)


@dataclass(frozen=True)
class Along:
    """The values along an axis; see ``StudyResult.along``.

    Attributes:
        cells: of each photograph and painting, by the label of a point; NaN where a point has no value.
        common: the points of the other axes that all have, in words; empty where these are all.
        left_out: labels of points that have too few values to be compared.
    """

    cells: Mapping[str, Float[Array, "contents styles"]]
    common: str
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class StudyResult:
    """The pictures and values of a study.

    Attributes:
        study: what was asked for.
        values: of each measure: at each point for each photograph and each painting; NaN where there is none.
        details: what was measured on each picture, by key and measure.
        finished: keys of the pictures that are there.
        failures: why pictures are missing, or could not be measured.
        made: number of pictures that were made now.
        seconds: of all runs.
        losses: of all steps, by key, where they were kept.
    """

    study: Study
    values: Mapping[str, Float[Array, "points contents styles"]]
    details: Mapping[str, Mapping[str, Measured]] = field(default_factory=dict)
    finished: frozenset[str] = frozenset()
    failures: tuple[Failure, ...] = ()
    made: int = 0
    seconds: float = 0.0
    losses: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Number of pictures that failed."""
        return sum(len(failure.runs) for failure in self.failures)

    @property
    def unmeasured(self) -> dict[str, int]:
        """Why values are missing, and of how many pictures."""
        reasons = (
            str(value.detail["why"]) for own in self.details.values() for value in own.values() if "why" in value.detail
        )
        return dict(Counter(reasons))

    def select(self, measure: str, selection: Selection) -> Float[Array, "contents styles"]:
        """The mean value over the points of a selection, for each photograph and painting that all of them have."""
        chosen = np.array([selects(selection, point.labels) for point in self.study.points])
        return _whole_mean(self.values[measure][chosen])

    def difference(self, measure: str, one: Selection, other: Selection) -> Float[Array, "contents styles"]:
        """The mean difference between two selections, for each photograph and painting.

        What both have in common is compared: the same points of the axes that neither names, where all pictures are.
        """
        apart = []
        for same in self._common([one, other]):
            parts = []
            for selection in (one, other):
                chosen = [
                    selects(selection, p.labels) and self._rest(p, [one, other]) == same for p in self.study.points
                ]
                parts.append(_whole_mean(self.values[measure][np.array(chosen)]))
            apart.append(parts[0] - parts[1])
        return _mean(np.stack(apart)) if apart else np.full(self.values[measure].shape[1:], np.nan)

    def along(self, measure: str, axis: str) -> "Along":
        """The values at each point of an axis, where all of these points have one: of the same photograph and painting,
        and at the same points of the other axes."""
        labels = [each for each in self.study.spec.axes[axis] if any(p.labels[axis] == each for p in self.study.points)]
        selections: list[Selection] = [{axis: (label,)} for label in labels]
        common = self._common(selections)
        places = {(p.labels[axis], self._rest(p, selections)): place for place, p in enumerate(self.study.points)}
        cells = {
            label: self.values[measure][[places[label, rest] for rest in common]] for label in labels
        }  # of each label: other points, contents, styles
        pairs = {label: int((~np.isnan(own)).any(0).sum()) for label, own in cells.items()}
        least = min(FEWEST, max(pairs.values(), default=0))
        enough = [label for label in labels if pairs[label] >= max(1, least)]
        lacking = np.any([np.isnan(cells[label]) for label in enough], axis=0) if enough else np.array(False)
        every = {self._rest(point, selections) for point in self.study.points}
        others = [name for name in self.study.spec.axes if name != axis]
        named = [", ".join(f"{name} {label}" for name, label in zip(others, labels, strict=True)) for labels in common]
        return Along(
            {label: _mean(np.where(lacking, np.nan, cells[label])) for label in enough},
            "" if every == set(common) else " and ".join(named) or "no point that all have",
            tuple(label for label in labels if label not in enough),
        )

    @property
    def missing(self) -> int:
        """Number of pictures that are neither there nor failed."""
        return len(self.study.runs) - len(self.finished) - self.failed

    def _rest(self, point: Point, selections: Sequence[Selection]) -> tuple[str, ...]:
        """Labels of a point on the axes that no selection names."""
        named = {axis for selection in selections for axis in selection}
        return tuple(label for axis, label in point.labels.items() if axis not in named)

    def _common(self, selections: Sequence[Selection]) -> list[tuple[str, ...]]:
        """The labels on the other axes that points of all selections have."""
        sets = [
            {self._rest(point, selections) for point in self.study.points if selects(selection, point.labels)}
            for selection in selections
        ]
        return sorted(set.intersection(*sets))


def _mean(cells: Float[Array, "k c s"]) -> Float[Array, "c s"]:
    """The mean over the first axis without NaN; NaN where there is nothing."""
    count = (~np.isnan(cells)).sum(0)
    return np.asarray(np.nansum(cells, 0) / np.where(count, count, np.nan), np.float64)


def _whole_mean(cells: Float[Array, "k c s"]) -> Float[Array, "c s"]:
    """The mean over the first axis; NaN where one is missing, or there is nothing."""
    return np.asarray(cells.mean(0) if len(cells) else np.full(cells.shape[1:], np.nan), np.float64)


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
    if on_progress:
        on_progress(0, len(tasks))
    made, unmeasured = 0, []
    for done, entry in enumerate(run(tasks, store, executor, MakeAndMeasure(study.tools, study.spec.curves)), 1):
        if tasks[entry.key].picture is None:
            made += entry.record is not None
        elif entry.failed:
            unmeasured.append(Failure(entry.failed, (entry.run,)))
        if on_progress:
            on_progress(done, len(tasks))
    result = outcome_of(study, store)
    if not result.finished:
        raise InputError(f"all {counted(result.failed, 'picture')} failed:{listed(result.failures)}")
    return replace(result, made=made, failures=(*result.failures, *unmeasured))


def outcome_of(study: Study, store: Store) -> StudyResult:
    """What a store holds of a study.

    Args:
        study: the study.
        store: the store.
    """
    runs = study.runs
    failed = store.missing(runs)
    finished = frozenset(key for key in runs if key not in failed)
    places = {id(point): place for place, point in enumerate(study.points)}
    wanted = {name: _by(study, name) for name in study.spec.measures}
    where, shape = study.places, (len(study.points), *study.shape)
    values = {name: np.full(shape, np.nan) for name in study.spec.measures}
    found = store.values(finished)
    details: dict[str, dict[str, Measured]] = {}
    for cell in study.cells:
        at = places[id(cell.point)], *where[cell.run.content.file, cell.run.style.file]
        for name, value in found.get(cell.key, ()):
            if name in values and wanted[name] in (value.by, None):
                own = labelled(name, value, cell.run)
                values[name][at] = own.value
                details.setdefault(cell.key, {})[name] = own
    losses: dict[str, Sequence[float]] = {}
    if study.spec.curves:
        for entry in store.entries(finished):
            if entry.record and len(entry.record.losses.get("total", ())) > 1:
                losses[entry.key] = entry.record.losses["total"]
    failures = tuple(store.failures(failed))
    return StudyResult(study, values, details, finished, failures, 0, store.seconds(finished), losses)


def _by(study: Study, measure: str) -> str | None:
    """What makes the values of a measure its own; ``None`` where the file of its network is no longer there."""
    try:
        return study.tools.by(measure)
    except InputError:
        return None


def listed(failures: Sequence[Failure]) -> str:
    """The first reasons of failed pictures, each on a line of its own."""
    more = [f"further reasons: {len(failures) - MAX_REASONS}"] if len(failures) > MAX_REASONS else []
    return "".join(f"\n  {line}" for line in [*map(str, failures[:MAX_REASONS]), *more])


def _tools(spec: StudySpec) -> Tools:
    """What measures the pictures of a study."""
    return Tools({name: Path(file) for name, file in spec.weights.items() if file != RANDOM}, spec.judges)


def _run_of(point: Point, pair: tuple[Example, Example]) -> RunSpec:
    return RunSpec(content=pair[0], style=pair[1], spec=point.spec, weights=point.weights)


def check_given(points: Sequence[Point]) -> None:
    """Raise unless the weights of all points are there.

    Raises:
        SpecError: weights must be given.
        InputError: a file is missing.
    """
    for point in points:
        if point.wanted:
            raise SpecError(f"the study needs the weights {point.wanted!r}: give `weights` {point.wanted}=FILE")
        if point.weights not in ("", RANDOM) and not Path(point.weights).is_file():
            raise InputError(f"there is no file {point.weights} with weights; give another as `weights` NAME=FILE")


def _check_weights(spec: StudySpec, points: Sequence[Point]) -> None:
    """Raise if the name of weights is that of no network, no method, and nothing that points choose.

    Raises:
        UnknownNameError: naming the first.
    """
    options = [spec.base, *(options for axis in spec.axes.values() for options in axis.values())]
    chosen = {str(each["weights"]) for each in options if "weights" in each}
    known = {*NETWORKS, *METHOD_SPECS, *chosen, *(network_of(point.spec) for point in points)}
    for name in spec.weights:
        if name not in known and not name.startswith(OTHERS):
            raise UnknownNameError("network, method or name of the study's weights", name, sorted(known))


def _had(values: Sequence[tuple[str, Measured]]) -> set[tuple[str, str]]:
    """The measures that there are, each with what measured it."""
    return {(name, value.by) for name, value in values}
