"""YAML with the line of each place in it, for messages that say where something is wrong."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from artune.errors import SpecError
from artune.spec.checked import Loc


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML with the numbers of YAML 1.2: PyYAML takes 1e5 for text, and the time 12:00:00 for 43200."""


_NUMBERS = {
    "tag:yaml.org,2002:int": r"[-+]?(0|[1-9][0-9]*)",
    "tag:yaml.org,2002:float": r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan",
}
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag not in _NUMBERS]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern in _NUMBERS.items():
    Loader.add_implicit_resolver(_tag, re.compile(f"^({_pattern})$"), [*"-+.0123456789"])


@dataclass(frozen=True)
class Lined:
    """Names and values from YAML.

    Attributes:
        data: the values by name.
        text: the YAML.
        node: what the parser made of it, with lines.
    """

    data: dict[str, Any]
    text: str
    node: yaml.MappingNode

    @classmethod
    def parse(cls, text: str, where: str, example: str) -> Self:
        """Names and values from YAML; JSON is YAML, too.

        Args:
            text: the YAML.
            where: where it was read, for messages.
            example: such a name and value, for messages.

        Raises:
            SpecError: it is no YAML, holds something else, or has a name twice; with the line.
        """
        with _in_words(where):
            node = yaml.compose(text, Loader)
        if not isinstance(node, yaml.MappingNode):
            raise SpecError(f"{where} must hold names and values, such as {example}")
        if twice := _twice(node):
            raise SpecError(f"{where}, line {twice[1]}: {twice[0]} is given twice; leave out either")
        with _in_words(where):
            return cls(Loader("").construct_document(node), text, node)

    @classmethod
    def read(cls, file: Path, where: str, example: str) -> Self:
        """Names and values from a file; see ``parse``.

        Raises:
            SpecError: likewise; or the file cannot be read.
        """
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            raise SpecError(f"cannot read {where}: {why}; give a YAML file") from error
        return cls.parse(text, where, example)

    def line(self, place: Loc) -> int:
        """The line of a place in the values, or of what holds it."""
        node: yaml.Node = self.node
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


@contextmanager
def _in_words(where: str) -> Iterator[None]:
    try:
        yield
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: of a date that there is not
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise SpecError(f"{where}{line}: this is not YAML: {getattr(error, 'problem', None) or error}") from error


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


def _number(node: yaml.SequenceNode, label: str) -> int | None:
    """The place in a list of the value with a label."""
    values = [getattr(each, "value", None) for each in node.value]
    return values.index(label) if label in values else None
