"""The files that a call names, for machines that may not share a disk: found in its arguments, and replaced there."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from artune.files import file_digest

NAMED_BY_TEXT = ("weights", "start")
"""Fields whose text may be the name of a file or something else; a ``Path`` is found whatever its field is called."""


@dataclass(frozen=True)
class Input:
    """What is in a file.

    Attributes:
        digest: sha256.
        size: bytes.
    """

    digest: str
    size: int


def inputs_of(value: Any) -> dict[str, Input]:
    """The files that a value names, by path: in tuples, lists, mappings, dataclasses, models and bound functions."""
    paths: dict[str, Input] = {}

    def look(path: str) -> str:
        if found := input_at(path):
            paths[path] = found
        return path

    _mapped(value, look)
    return paths


def with_paths(value: Any, places: Mapping[str, str]) -> Any:
    """The value with other paths in place of some; the same object where nothing changes."""
    return _mapped(value, lambda path: places.get(path, path)) if places else value


def input_at(path: str) -> Input | None:
    """What is in a file; ``None`` where there is none that can be read."""
    try:
        there = os.stat(path)
        return _input(path, there.st_size, there.st_mtime_ns) if os.path.isfile(path) else None
    except (OSError, ValueError):  # a text that is no name of a file
        return None


@lru_cache(maxsize=65536)
def _input(path: str, size: int, changed: int) -> Input:
    return Input(file_digest(Path(path)), size)


def _mapped(value: Any, change: Any, name: str = "") -> Any:
    """The value with ``change`` applied to each path; unchanged parts stay the same objects."""
    if isinstance(value, Path):
        changed = change(str(value))
        return value if changed == str(value) else Path(changed)
    if isinstance(value, str):
        return change(value) if name in NAMED_BY_TEXT and value else value
    if isinstance(value, partial):
        parts = (value.func, value.args, value.keywords)
        func, args, keywords = (_mapped(part, change) for part in parts)
        same = func is parts[0] and args is parts[1] and keywords is parts[2]
        return value if same else partial(func, *args, **keywords)
    if isinstance(value, Mapping):
        new = {key: _mapped(each, change, str(key)) for key, each in value.items()}
        return value if all(new[key] is each for key, each in value.items()) else new
    if isinstance(value, tuple | list) and type(value) in (tuple, list):
        items = [_mapped(each, change) for each in value]
        return value if all(a is b for a, b in zip(items, value, strict=True)) else type(value)(items)
    if isinstance(value, BaseModel):
        own = {field: getattr(value, field) for field in type(value).model_fields}
        update = {field: _mapped(each, change, field) for field, each in own.items()}
        update = {field: each for field, each in update.items() if each is not own[field]}
        return value.model_copy(update=update) if update else value
    if is_dataclass(value) and not isinstance(value, type):
        own = {field.name: getattr(value, field.name) for field in fields(value) if field.init}
        update = {field: _mapped(each, change, field) for field, each in own.items()}
        update = {field: each for field, each in update.items() if each is not own[field]}
        return replace(value, **update) if update else value
    return value
