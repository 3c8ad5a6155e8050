"""Studies in files: YAML, with the line of whatever is wrong, and the studies that are published with the package."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from artune.errors import SpecError, UnknownNameError
from artune.files import expanded
from artune.spec.checked import Loc, faults
from artune.spec.study import RESERVED, Choice, StudySpec
from artune.studies.keys import RANDOM
from artune.studies.points import PointError, points_of


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
    if path.suffix in (".yaml", ".yml", ".json") or path.exists():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            raise SpecError(f"cannot read the study {path}: {why}; give a YAML file") from error
        return Declared(path.stem, parse_study(text, str(name), path.parent), text)
    if name not in (known := published()):
        raise UnknownNameError("published study", name, known)
    return known[name]


def parse_study(text: str, where: str, folder: Path | None = None) -> StudySpec:
    """A study from YAML.

    Args:
        text: the YAML; JSON is YAML, too.
        where: where it was read, for messages.
        folder: from which relative paths are; default: the working directory.

    Raises:
        SpecError: naming the line, what was given and what is needed.
    """
    try:
        node = yaml.compose(text, _Loader)
        if not isinstance(node, yaml.MappingNode):
            raise SpecError(f"{where} must hold names and values, such as title: Which start")
        if twice := _twice(node):
            raise SpecError(f"{where}, line {twice[1]}: {twice[0]} is given twice; leave out either")
        loader = _Loader("")
        data = loader.construct_document(node)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise SpecError(f"{where}{line}: this is not YAML: {getattr(error, 'problem', None) or error}") from error
    line_of = partial(_line, node)
    try:
        spec = StudySpec.model_validate(data)
        points_of(spec)
    except ValidationError as error:
        found = [f"line {line_of(place)}: {words}" for place, words in faults(error, StudySpec, ".".join)]
        raise SpecError(f"{where}, {'; '.join(dict.fromkeys(found))}".replace("`", "")) from None
    except PointError as error:
        raise SpecError(f"{where}, line {line_of(error.place)}: {error}") from None
    return spec if folder is None else _moved(spec, folder)


def value_of(text: str) -> Any:
    """A value as YAML writes it: a number, true or false, a list, or text.

    Raises:
        SpecError: the text is not YAML.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise SpecError(f"{text!r} is not a value: {getattr(error, 'problem', None) or error}") from error


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
            "base": _with_file(spec.base, spec.weights, weights),
            "axes": {
                axis: {label: _with_file(options, spec.weights, weights) for label, options in points.items()}
                for axis, points in spec.axes.items()
            },
        }
    )


def _with_file(options: Mapping[str, Any], names: Mapping[str, str], moved: Callable[[str], str]) -> Mapping[str, Any]:
    """Options whose weights, where they are a file and no name, are taken from the folder."""
    given = options.get(RESERVED[1])
    if not isinstance(given, str) or given in names or Path(given).suffix == "":
        return options
    return {**options, RESERVED[1]: moved(given)}


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML whose numbers may be written as 1e5, which PyYAML takes for text."""


_Loader.yaml_implicit_resolvers = {key: [*found] for key, found in yaml.SafeLoader.yaml_implicit_resolvers.items()}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), [*"-+0123456789"]
)


def _twice(node: yaml.Node) -> tuple[str, int] | None:
    """The first name that a mapping has twice, and its line."""
    if isinstance(node, yaml.SequenceNode):
        return next(filter(None, map(_twice, node.value)), None)
    if not isinstance(node, yaml.MappingNode):
        return None
    seen: set[str] = set()
    for key, value in node.value:
        if str(key.value) in seen:
            return str(key.value), key.start_mark.line + 1
        seen.add(str(key.value))
        if found := _twice(value):
            return found
    return None


def _line(node: yaml.Node, place: Loc) -> int:
    """The line of a place in the data, or of what holds it."""
    line: int = node.start_mark.line + 1
    for step in place:
        if isinstance(node, yaml.MappingNode):
            inner = next((pair for pair in node.value if str(pair[0].value) == str(step)), None)
            if inner is None:
                continue  # a step that pydantic or a label adds
            line, node = inner[0].start_mark.line + 1, inner[1]
        elif isinstance(node, yaml.SequenceNode):
            number = step if isinstance(step, int) else _number(node, str(step))
            if number is None or not 0 <= number < len(node.value):
                continue
            node = node.value[number]
            line = node.start_mark.line + 1
    return line


def _number(node: yaml.SequenceNode, label: str) -> int | None:
    """The place in a list of the value with a label."""
    values = [getattr(each, "value", None) for each in node.value]
    return values.index(label) if label in values else None
