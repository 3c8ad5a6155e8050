"""The points of a study: every combination of its axes, as a spec."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import product
from typing import Any

from artune.backbones.base import Backbone
from artune.backbones.registry import structure
from artune.errors import InputError, PictureError, SpecError, UnknownNameError
from artune.files import expanded
from artune.recipes import find_recipe
from artune.spec.checked import Loc
from artune.spec.options import with_options
from artune.spec.study import RESERVED, SETTABLE, Selection, StudySpec
from artune.spec.style import Optimise, StyleSpec
from artune.studies.keys import RANDOM
from artune.studies.measured import LOSS, MEASURES, is_measure
from artune.transfer.start import given_start

SIZE = 256
"""Default longer side of a study's results, pixels."""
STRENGTH = 0.5
"""Default strength: searching it for every picture would hide what is compared."""


class PointError(SpecError):
    """A point of a study cannot be made.

    Args:
        text: what is wrong.
        place: in the study's data.
    """

    def __init__(self, text: str, place: Loc) -> None:
        super().__init__(text)
        self.place = place


@dataclass(frozen=True, eq=False)
class Point:
    """A combination of the points of all axes.

    Attributes:
        labels: label of the point on each axis, by its name.
        spec: how pictures are made there.
        weights: a file, ``random``, or empty for the published weights.
        wanted: name of the weights, where the study has none of that name: they must be given to run it.
        tap: for a study of judges: the layer.
        standardised: for a study of judges: see ``artune.spec.study.Options``.
    """

    labels: Mapping[str, str]
    spec: StyleSpec
    weights: str = ""
    wanted: str = ""
    tap: str = ""
    standardised: bool = True


def points_of(study: StudySpec, *, files: bool = True) -> list[Point]:
    """All points of a study, without those that are left out.

    Args:
        study: the study.
        files: whether files of weights that points name must be there.

    Raises:
        PointError: options cannot be used, or a name is unknown.
    """
    _check_measures(study)
    _check_options(study.base, ("base",))
    for name, points in study.axes.items():
        if not points:
            raise PointError(f"the axis {name} has no points; give at least one", ("axes", name))
        for label, options in points.items():
            if {*options} == {name} and name not in SETTABLE:  # a list of values
                own = "(for points of your own, give each a name and its fields)"
                raise PointError(f"there is no field {name}{_meant(name, SETTABLE)} {own}", ("axes", name))
            _check_options(options, ("axes", name, label))
    _check_axes_named(study)
    found = [_point(study, labels, files) for labels in combinations_of(study)]
    if not found:
        raise PointError("every combination is left out; leave out fewer", ("leave_out",))
    return found


def combinations_of(study: StudySpec) -> list[dict[str, str]]:
    """The labels of each point by axis, without those that are left out."""
    every = (dict(zip(study.axes, labels, strict=True)) for labels in product(*study.axes.values()))
    return [labels for labels in every if not any(selects(selection, labels) for selection in study.leave_out)]


def check_names(study: StudySpec, points: Iterable[Point]) -> None:
    """Raise unless the networks and the starts of points are known, and the networks have the layers that are named.

    Args:
        study: the study.
        points: some of its points.

    Raises:
        PointError: naming the first that is not, or a picture to start from that cannot be read.
    """
    built: dict[str, Backbone] = {}
    starts: set[str] = set()
    for point in points:
        method = point.spec.method
        if method.start not in starts:
            with _placed(study, point, "start"):
                given_start(method.start)
            starts.add(method.start)
        if not isinstance(method, Optimise):
            continue
        if method.network not in built:
            with _placed(study, point, "network"):
                built[method.network] = structure(method.network)
        layers = {"content_layers": method.content_layers, "style_layers": method.style_layers}
        for field, taps in {**layers, "tap": [point.tap] if point.tap else None}.items():
            with _placed(study, point, field):
                for tap in taps or ():
                    built[method.network].tap(tap)


@contextmanager
def _placed(study: StudySpec, point: Point, field: str) -> Iterator[None]:
    """Give unknown names, and pictures that cannot be read, the place where a point's field comes from."""
    try:
        yield
    except (UnknownNameError, PictureError) as error:
        places = [place for place, options in _parts(study, point.labels) if field in options]
        raise PointError(str(error), (*places[-1], field) if places else ("axes",)) from None


def selects(selection: Selection, labels: Mapping[str, str]) -> bool:
    """Whether a selection holds a point."""
    return all(labels[axis] in wanted for axis, wanted in selection.items())


def check_selection(study: StudySpec, selection: Selection, place: Loc) -> None:
    """Raise unless the axes and the labels of a selection are those of a study.

    Raises:
        PointError: naming the first that is not.
    """
    for axis, labels in selection.items():
        if axis not in study.axes:
            raise PointError(f"there is no axis {axis}{_meant(axis, study.axes)}", (*place, axis))
        for label in labels:
            if label not in study.axes[axis]:
                raise PointError(f"the axis {axis} has no {label}{_meant(label, study.axes[axis])}", (*place, axis))


def _check_axes_named(study: StudySpec) -> None:
    """Raise unless all axes and labels that a study speaks of are its own, and it names no axis of the sheet twice."""
    for field, names in (("answer", [study.answer] if study.answer else []), ("rows", study.rows or ())):
        for number, name in enumerate(names):
            if name not in study.axes:
                raise PointError(f"there is no axis {name}{_meant(name, study.axes)}", (field,))
            if name in names[:number]:
                raise PointError(f"the axis {name} is given twice; leave out either", (field,))
    for place, selection in _selections(study):
        check_selection(study, selection, place)


def _selections(study: StudySpec) -> Iterable[tuple[Loc, Selection]]:
    """All selections of a study, with their places."""
    for number, selection in enumerate(study.leave_out):
        yield ("leave_out", number), selection
    for number, finding in enumerate(study.findings):
        for name in ("lower", "higher", "than"):
            if (selection := getattr(finding, name)) is not None:
                yield ("findings", number, name), selection
        for part, selection in enumerate(finding.alike or ()):
            yield ("findings", number, "alike", part), selection
    for number, figures in enumerate(study.figures):
        yield ("figures", number, "at"), figures.at


def _check_measures(study: StudySpec) -> None:
    """Raise unless all measures are known, and those of findings and figures are among the study's.

    Raises:
        PointError: naming the first that is not.
    """
    for number, name in enumerate(study.measures):
        if not is_measure(name):
            raise PointError(f"there is no measure {name}{_meant(name, [*MEASURES, LOSS])}", ("measures", number))
        if name in study.measures[:number]:
            raise PointError(f"the measure {name} is given twice; leave out either", ("measures", number))
    for number, finding in enumerate(study.findings):
        if finding.measure not in study.measures:
            raise PointError(
                f"the finding's measure {finding.measure} is not among the study's measures"
                + _meant(finding.measure, study.measures),
                ("findings", number, "measure"),
            )
    for number, figures in enumerate(study.figures):
        for name in figures.values:
            if name not in study.measures:
                raise PointError(
                    f"{name} is not among the study's measures{_meant(name, study.measures)}",
                    ("figures", number, "values", name),
                )


def _check_options(options: Mapping[str, Any], place: Loc) -> None:
    for name in options:
        if name not in SETTABLE:
            raise PointError(f"there is no field {name}{_meant(name, SETTABLE)}", (*place, name))


def _point(study: StudySpec, labels: Mapping[str, str], files: bool) -> Point:
    parts, options = _parts(study, labels), dict[str, Any]()
    for _, part in parts:
        options |= part
    try:
        return _of_options(study, labels, options, files)
    except InputError as error:
        named = ", ".join(f"{axis} {label}" for axis, label in labels.items())
        raise PointError(f"{named}: {str(error).replace('`', '')}", _guilty(error, parts)) from None


def _parts(study: StudySpec, labels: Mapping[str, str]) -> list[tuple[Loc, Mapping[str, Any]]]:
    """What a point's options come from, each with its place; later ones count."""
    parts: list[tuple[Loc, Mapping[str, Any]]] = [(("base",), study.base)]
    return parts + [(("axes", axis, label), study.axes[axis][label]) for axis, label in labels.items()]


def _guilty(error: InputError, parts: list[tuple[Loc, Mapping[str, Any]]]) -> Loc:
    """The place of the last option that an error names."""
    for place, options in reversed(parts):
        for name in options:
            if name in str(error):
                return (*place, name)
    return parts[-1][0]


def _made(options: Mapping[str, Any]) -> StyleSpec:
    """The spec that options ask for.

    Raises:
        InputError: they cannot be used.
    """
    fields = {name: value for name, value in options.items() if name not in RESERVED}
    if isinstance(recipe := options.get("recipe"), str):
        base = find_recipe(recipe).spec
    elif recipe is None:
        base = StyleSpec(size=SIZE)
    else:
        raise SpecError(f"recipe must be the name of a recipe, not {recipe!r}")
    spec = with_options(base, fields)
    if spec.size == "original":
        raise SpecError("the results of a study are of one size; give `size` in pixels")
    open_strength = spec.method.usual_strength is None and spec.method.leaves_strength and "strength" not in fields
    return spec.model_copy(update={"strength": STRENGTH}) if open_strength and spec.strength == "auto" else spec


def _of_options(study: StudySpec, labels: Mapping[str, str], options: Mapping[str, Any], files: bool) -> Point:
    """The point with some options.

    Raises:
        InputError: they cannot be used, or there is no such file of weights.
    """
    spec, given = _made(options), options.get("weights")
    tap = options.get("tap", "")
    if not isinstance(tap, str) or (study.judge is not None) != bool(tap):
        raise SpecError("a study of judges needs a `tap` at each point, and only such a study has one")
    point = Point(labels, spec, tap=tap, standardised=bool(options.get("standardised", True)))
    if not isinstance(given, str | None):
        raise SpecError(f"`weights` is a name or a file, not {given!r}")
    if given is None:
        return replace(point, weights=study.weights.get(network_of(spec), ""))
    if given in study.weights:
        return replace(point, weights=study.weights[given])
    if given == RANDOM or not files or expanded(given).is_file():
        return replace(point, weights=given)
    if "." not in given:
        return replace(point, wanted=given)
    raise SpecError(f"there are no weights {given!r}; give a file, or a name of the study's `weights`")


def network_of(spec: StyleSpec) -> str:
    """The name of the network that makes the pictures of a spec; of a method without a choice its kind."""
    return spec.method.network if isinstance(spec.method, Optimise) else spec.method.kind


def _meant(given: str, known: Iterable[str]) -> str:
    close = get_close_matches(given, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}"
