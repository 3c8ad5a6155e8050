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

NOT_YAML = (yaml.YAMLError, ValueError, RecursionError)
"""What a parser raises; ``ValueError`` is for a date that there is not."""
MOST = 100_000
"""Largest number of values that a file may have, with what aliases stand for."""
MERGE = "tag:yaml.org,2002:merge"


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
        with _in_words(where):
            _check(node, where)
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
    except NOT_YAML as error:
        if isinstance(error, SpecError):
            raise
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise SpecError(f"{where}{line}: this is not YAML: {getattr(error, 'problem', None) or error}") from error


def _check(root: yaml.MappingNode, where: str) -> None:
    """Raise if a name is given twice, an alias holds itself, or aliases make too many values.

    Raises:
        SpecError: with the line.
    """
    sizes: dict[int, int] = {}

    def size(node: yaml.Node, inside: frozenset[int]) -> int:
        line = node.start_mark.line + 1
        if id(node) in inside:
            raise SpecError(f"{where}, line {line}: an alias holds itself; write out what it stands for")
        if id(node) not in sizes:
            parts = []
            if isinstance(node, yaml.MappingNode):
                _check_keys(node, where)
                parts = [each for pair in node.value for each in pair]
            elif isinstance(node, yaml.SequenceNode):
                parts = node.value
            sizes[id(node)] = 1 + sum(size(each, inside | {id(node)}) for each in parts)
            if sizes[id(node)] > MOST:
                raise SpecError(f"{where}, line {line}: there are more than {MOST} values; use fewer aliases")
        return sizes[id(node)]

    size(root, frozenset())


def _check_keys(node: yaml.MappingNode, where: str) -> None:
    """Raise if a mapping has a name twice, also if it is written in two ways, as 1000 and 1e3."""
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue  # refused when the values are made
        name = key.value if key.tag == MERGE else Loader("").construct_object(key)
        if name in seen:
            raise SpecError(f"{where}, line {key.start_mark.line + 1}: {key.value} is given twice; leave out either")
        seen.add(name)


def _number(node: yaml.SequenceNode, label: str) -> int | None:
    """The place in a list of the value with a label."""
    values = [getattr(each, "value", None) for each in node.value]
    return values.index(label) if label in values else None
