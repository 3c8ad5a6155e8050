"""Specs from their fields, with errors in words."""

from typing import Any, TypeVar

from pydantic import ValidationError

from artune.errors import SpecError
from artune.spec.style import Model

M = TypeVar("M", bound=Model)

LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
"""Words for pydantic's constraints."""


def checked(model: type[M], /, **fields: Any) -> M:
    """A spec from its fields, as ``checked(TrainSpec, kind="gram", size=64)``.

    Raises:
        SpecError: naming each field that is wrong, what is needed and what was given.
    """
    try:
        return model(**fields)
    except ValidationError as error:
        raise SpecError("; ".join(map(_explained, error.errors()))) from None


def _explained(item: Any) -> str:
    name, limits = ".".join(map(str, item["loc"])), item.get("ctx", {})
    for key, word in LIMITS.items():
        if key in limits:
            limit = f"{limits[key]:g}" if isinstance(limits[key], float) else limits[key]
            return f"`{name}` must be {word} {limit}, not {item['input']}"
    if item["type"] == "value_error":
        return str(item["msg"]).removeprefix("Value error, ")
    return f"`{name}`: {item['msg'].replace('Input should be', 'must be')}, not {item['input']!r}"
