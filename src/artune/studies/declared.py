"""Studies in files: YAML, with the line of whatever is wrong, and the studies that are published with the package."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from artune.errors import SpecError, UnknownNameError
from artune.files import expanded
from artune.spec.checked import faults, shortened
from artune.spec.study import Choice, StudySpec
from artune.studies.inputs import NAMED_BY_TEXT
from artune.studies.keys import RANDOM
from artune.studies.lined import NOT_YAML, Lined, Loader
from artune.studies.points import PointError, check_names, points_of

EXAMPLE = "title: Which start"
"""A line of a study, for messages."""


@dataclass(frozen=True)
class Declared:
    """A study that was read from a file.

    Attributes:
        name: of the file, without its suffix.
        spec: the study.
        text: of the file.
    """

    name: str
    spec: StudySpec
    text: str


def published() -> dict[str, Declared]:
    """The studies that are published with the package, by name."""
    home = resources.files("artune.studies") / "published"
    files = sorted((file for file in home.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    found = {}
    for file in files:
        name, text = file.name.removesuffix(".yaml"), file.read_text(encoding="utf-8")
        found[name] = Declared(name, parse_study(text, f"the study {name}"), text)
    return found


def find_study(name: str) -> Declared:
    """A study by its file, or by the name of a published one.

    Raises:
        UnknownNameError: there is no such study.
        SpecError: the file cannot be read, or is wrong; with the line.
    """
    path = expanded(name)
    if path.suffix in (".yaml", ".yml", ".json") or path.is_file():
        lined = Lined.read(path, str(name), EXAMPLE)
        return Declared(path.stem, _spec_of(lined, str(name), path.parent), lined.text)
    if name not in (known := published()):
        raise UnknownNameError("published study", name, known)
    return known[name]


def parse_study(text: str, where: str) -> StudySpec:
    """A study from YAML; relative paths are from the working directory.

    Args:
        text: the YAML; JSON is YAML, too.
        where: where it was read, for messages.

    Raises:
        SpecError: naming the line, what was given and what is needed.
    """
    return _spec_of(Lined.parse(text, where, EXAMPLE), where)


def _spec_of(lined: Lined, where: str, folder: Path | None = None) -> StudySpec:
    """The study. With a folder, relative paths are from there, and networks, layers and starts are looked up."""
    try:
        spec = StudySpec.model_validate(lined.data)
        if folder is not None:
            spec = _moved(spec, folder)
        points = points_of(spec)
        if folder is not None:
            check_names(spec, points)
    except ValidationError as error:
        found = [f"line {lined.line(place)}: {words}" for place, words in faults(error, StudySpec, ".".join)]
        raise SpecError(f"{where}, {'; '.join(dict.fromkeys(found))}".replace("`", "")) from None
    except PointError as error:
        raise SpecError(f"{where}, line {lined.line(error.place)}: {error}") from None
    return spec


def value_of(text: str) -> Any:
    """A value as YAML writes it: a number, true or false, a list, or text.

    Raises:
        SpecError: the text is not YAML.
    """
    try:
        return yaml.load(text, Loader)
    except NOT_YAML as error:
        raise SpecError(f"{shortened(text)} is not a value: {getattr(error, 'problem', None) or error}") from error


def _moved(spec: StudySpec, folder: Path) -> StudySpec:
    """The study with its relative paths taken from a folder."""

    def at(path: Path) -> Path:
        return path if path.is_absolute() else folder / path

    def choice(given: Choice) -> Choice:
        files = None if given.files is None else tuple(map(at, given.files))
        moved = {name: value and at(value) for name, value in (("folder", given.folder), ("classes", given.classes))}
        return given.model_copy(update={"files": files, **moved})

    def weights(given: str) -> str:
        return given if given == RANDOM else str(at(expanded(given)))

    return spec.model_copy(
        update={
            "contents": choice(spec.contents),
            "styles": choice(spec.styles),
            "weights": {name: weights(file) for name, file in spec.weights.items()},
            "judges": {side: at(file) for side, file in spec.judges.items()},
            "base": _with_files(spec.base, spec.weights, weights),
            "axes": {
                axis: {label: _with_files(options, spec.weights, weights) for label, options in points.items()}
                for axis, points in spec.axes.items()
            },
        }
    )


def _with_files(options: Mapping[str, Any], names: Mapping[str, str], moved: Callable[[str], str]) -> Mapping[str, Any]:
    """Options whose weights and start, where they are a file and no name, are taken from the folder."""
    files = {name: options.get(name) for name in NAMED_BY_TEXT}
    own = {
        name: moved(given)
        for name, given in files.items()
        if isinstance(given, str) and given not in names and Path(given).suffix
    }
    return {**options, **own}
