"""What a study asks for: which pictures are made, how they vary, what is measured, and what is compared."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from immutabledict import immutabledict
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from artune.files import expanded
from artune.spec.style import METHOD_FIELDS, Model, StyleSpec

UserPath = Annotated[Path, AfterValidator(expanded)]
"""A path; ``~`` is the user's home."""

SIZE = 128
"""Default longer side of a class study's results, pixels."""


class Example(Model):
    """A picture of a known class."""

    file: UserPath
    """Where it is."""
    label: str
    """Its class: the name of its folder."""


class RunSpec(Model):
    """One picture to be made."""

    content: Example
    """The photograph."""
    style: Example
    """The painting."""
    spec: StyleSpec
    """How the photograph is styled."""
    weights: str = ""
    """File with the weights of its network or method; `random` for untrained ones; empty for the published ones."""


class ClassStudySpec(Model):
    """A class study: photographs and paintings of known classes, every pair of them styled at every weight.

    The weights are either ``strengths`` or ``ratios``.
    """

    contents: UserPath
    """Photographs: a folder with a folder for each class."""
    styles: UserPath
    """Paintings: a folder with a folder for each class."""
    per_class: Annotated[int, Field(ge=1)] | None = None
    """Photographs, and paintings, of each class; default: all."""
    styles_per_class: Annotated[int, Field(ge=1)] | None = None
    """Paintings of each class; default: as `per_class`."""
    choice: Annotated[int, Field(ge=0)] = 0
    """Seed of the choice of pictures."""
    strengths: Annotated[tuple[float, ...], Field(min_length=1)] | None = None
    """Strengths, between 0 and 1."""
    ratios: Annotated[tuple[tuple[float, float], ...], Field(min_length=1)] | None = None
    """Pairs of style weight and content weight, in the units of the spec's scale."""
    spec: StyleSpec = StyleSpec(size=SIZE)
    """What all pictures share."""
    weights: UserPath | None = None
    """File with the network's weights; default: the published ones."""

    @model_validator(mode="after")
    def _weights_given(self) -> Self:
        if (self.strengths is None) == (self.ratios is None):
            raise ValueError("give either `strengths` such as 0.1,0.5,0.9 or `ratios` such as 1e4,1e5")
        _ = self.size  # raises
        return self

    @property
    def size(self) -> int:
        """Longer side of the results, pixels."""
        if self.spec.size == "original":
            raise ValueError("the results of a study are of one size; give `size` in pixels")
        return self.spec.size


SOURCES = ("files", "folder", "classes", "samples", "nprgeneral")
"""Fields of a choice, of which one is given."""


def _many(names: Any) -> Any:
    """One name as a list."""
    return (names,) if isinstance(names, str) else names


class Choice(Model):
    """Where a study's photographs, or its paintings, come from."""

    files: Annotated[tuple[UserPath, ...], Field(min_length=1)] | None = None
    """Picture files."""
    folder: UserPath | None = None
    """A folder of pictures."""
    classes: UserPath | None = None
    """A folder with a folder of pictures for each class."""
    samples: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Names of pictures that are installed with the package; of photographs such as `cat`, of paintings such as
    `strokes`."""
    nprgeneral: Annotated[tuple[str, ...], BeforeValidator(_many), Field(min_length=1)] | None = None
    """Photographs of NPRgeneral (Mould and Rosin 2017) by name, or `all`; they are downloaded."""
    count: Annotated[int, Field(ge=1)] | None = None
    """Number of pictures, of each class where there are classes; default: all. They are drawn at random, and a larger
    number holds every smaller one."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the drawing."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of {', '.join(SOURCES)}, not {' and '.join(given) or 'none'}")
        return self


RESERVED = ("recipe", "weights", "tap", "standardised")
"""What a point of an axis may set beside the fields of a spec and of its method."""
SETTABLE = tuple(
    name for name in (*StyleSpec.model_fields, *METHOD_FIELDS, *RESERVED) if name not in ("kind", "automatic")
)
"""Everything that a point of an axis may set."""
Options = Annotated[Mapping[str, Any], PlainSerializer(dict)]
"""Fields of a spec and of its method by name; `recipe` for a published recipe; `weights` for a name of the study's
`weights`, a file, or `random`. For a study of judges, `tap` for the layer, and `standardised` for whether each entry of
its Gram matrix is brought to mean 0 and deviation 1."""
Selection = Mapping[str, tuple[str, ...]]
"""Some of the pictures: labels of points by the name of their axis; axes that are left out take all points."""


def _pointed(axes: Any) -> Any:
    """Axes with a label for each point; a list of values gets its labels from them."""
    if not isinstance(axes, Mapping):
        return axes
    return {name: _points(str(name), values) for name, values in axes.items()}


def _points(axis: str, values: Any) -> Any:
    if isinstance(values, Mapping):
        if wrong := [label for label, options in values.items() if not isinstance(options, Mapping)]:
            raise ValueError(f"{axis}: {wrong[0]} must hold fields and values, such as {{size: 256}}")
        points = {label_of(label): {**options} for label, options in values.items()}
        if len(points) < len(values):
            raise ValueError(f"{axis}: a point is given twice; give each its own name")
        return points
    if not isinstance(values, list | tuple):
        raise ValueError(f"{axis} must be a list of values, or points by name, each with its fields")
    found = {label_of(value): {axis: value} for value in values}
    if len(found) < len(values):
        raise ValueError(f"{axis}: a value is given twice; give each once")
    return found


def _plain(axes: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, dict[str, Any]]]:
    return {axis: {label: {**options} for label, options in points.items()} for axis, points in axes.items()}


def _as_text(files: Mapping[str, Path]) -> dict[str, str]:
    return {name: str(file) for name, file in files.items()}


def label_of(value: Any) -> str:
    """How a value of an axis is written: numbers as in ``1e5``, names of layers with ``+``."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        if not math.isfinite(value):
            return str(value)
        mantissa, _, exponent = f"{value:.12e}".partition("e")
        short = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
        return short if value and not -3 < int(exponent) < 4 else f"{value:.12g}"
    if isinstance(value, Mapping):
        return "+".join(str(name) for name in value)
    if isinstance(value, list | tuple):
        return "+".join(str(each) for each in value)
    return str(value)


def _selected(selection: Any) -> Any:
    """A selection whose single labels are lists of one."""
    if not isinstance(selection, Mapping):
        return selection
    many = {name: labels if isinstance(labels, list | tuple) else [labels] for name, labels in selection.items()}
    return {name: tuple(label_of(label) for label in labels) for name, labels in many.items()}


Selected = Annotated[Selection, BeforeValidator(_selected)]


class Finding(Model):
    """A finding of the source, to be looked for again; with `lower` and `than`, `higher` and `than`, or `alike`."""

    claim: str
    """The finding in words."""
    measure: str
    """The measure that tells."""
    lower: Selected | None = None
    """Pictures whose measure is lower."""
    higher: Selected | None = None
    """Pictures whose measure is higher."""
    than: Selected | None = None
    """Than those of these pictures, or than the `value`."""
    value: float | None = None
    """A number to compare with, in place of other pictures."""
    alike: Annotated[tuple[Selected, ...], Field(min_length=2)] | None = None
    """Kinds of pictures among which the measure hardly differs."""
    within: Annotated[float, Field(gt=0)] = 0.1
    """Largest difference of means that counts as alike."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [name for name in ("lower", "higher", "alike") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of `lower`, `higher` and `alike`, not {' and '.join(given) or 'none'}")
        if self.alike is None and (self.than is None) == (self.value is None):
            raise ValueError("give either `than` or `value` to compare with")
        return self


class Figures(Model):
    """Figures of the source, shown beside ours."""

    at: Selected
    """The pictures that they belong to."""
    values: Mapping[str, float]
    """By measure, in the source's units."""


class StudySpec(Model):
    """A study: pictures that are made in several ways, measured, and compared."""

    title: Annotated[str, Field(min_length=1)]
    """What is studied, in a few words."""
    question: Annotated[str, Field(min_length=1)]
    """What it is to answer."""
    source: str = ""
    """Where the question comes from: a paper or a report, with its figure or table."""
    contents: Choice = Choice(samples=("astronaut", "cat"))
    """The photographs."""
    styles: Choice = Choice(samples=("strokes", "mosaic"))
    """The paintings."""
    judge: Literal["gram"] | None = None
    """At each point, train and test a class judge of that kind on the `styles`, in place of making pictures."""
    pairs: Literal["all", "in turn"] = "all"
    """Which photograph meets which painting: all, or each photograph one painting, in turn."""
    base: Options = immutabledict()
    """What all pictures share."""
    axes: Annotated[
        Mapping[str, Mapping[str, Options]], BeforeValidator(_pointed), PlainSerializer(_plain), Field(min_length=1)
    ]
    """What varies: by name either a list of values of that field, or points by name, each with its fields."""
    leave_out: tuple[Selected, ...] = ()
    """Combinations of points that are not made."""
    weights: Annotated[Mapping[str, str], PlainSerializer(dict)] = immutabledict()
    """Files with weights, by the name of a network, of a method, or one that points choose as `weights`; `random` for
    untrained ones."""
    measures: Annotated[tuple[str, ...], Field(min_length=1)] = ("strokes", "fine", "content")
    """What is measured (`artune study list --measures`); the first tells which point is best."""
    judges: Annotated[Mapping[Literal["content", "style"], UserPath], PlainSerializer(_as_text)] = immutabledict()
    """Class judges, which tell whether the content and the style are recognised."""
    curves: bool = False
    """Keep the losses of all steps, and show them."""
    answer: str | None = None
    """Axis along which the best point is named; default: the first."""
    rows: tuple[str, ...] | None = None
    """Axes down the contact sheet; the others run across it. Default: all but the last."""
    findings: tuple[Finding, ...] = ()
    """Findings of the source."""
    figures: tuple[Figures, ...] = ()
    """Figures of the source."""
    notes: str = ""
    """What is otherwise here than in the source, and why."""
