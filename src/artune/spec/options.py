"""Specs from plain data and from options, with messages that say what is wrong in them."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from artune.errors import SpecError
from artune.spec.checked import explained
from artune.spec.style import METHOD_FIELDS, MethodSpec, StyleSpec


def parse_spec(data: Any, *, where: str = "the spec") -> StyleSpec:
    """A spec from plain data.

    Args:
        data: names and values, those of the method under ``method``.
        where: where they were read, for messages.

    Raises:
        SpecError: naming each field that is wrong, what was given and what is needed.
    """
    try:
        return StyleSpec.model_validate(data)
    except ValidationError as error:
        raise SpecError(f"{where}: " + explained(error, StyleSpec, ".".join).replace("`", "")) from None


def with_options(spec: StyleSpec, options: Mapping[str, Any]) -> StyleSpec:
    """The spec with some of its fields, or its method's, replaced and checked.

    What had been chosen for the user may follow from what is replaced, and is open again.

    Raises:
        SpecError: an unknown field, a bad value, or an option that the others leave without effect.
    """
    if not options:
        return spec
    data, of_method = spec.model_dump(), type(spec.method).model_fields
    for name in spec.automatic:
        if name in StyleSpec.model_fields:
            data[name] = StyleSpec.model_fields[name].default
        elif name in of_method:
            data["method"][name] = of_method[name].default
    data["automatic"] = ()
    method = options.get("method", data["method"])
    if isinstance(method, str):
        method = data["method"] if method == spec.method.kind else {"kind": method}
    if not isinstance(method, MethodSpec | Mapping):
        raise SpecError(f"`method` is of type {type(method).__name__}; give its kind, or an artune.Optimise")
    data["method"] = method.model_dump() if isinstance(method, MethodSpec) else {**method}
    for name, value in options.items():
        if name != "method":
            (data["method"] if name in METHOD_FIELDS and name != "kind" else data)[name] = value
    try:
        wanted = StyleSpec.model_validate(data)
    except ValidationError as error:
        raise SpecError(explained(error, StyleSpec, _name)) from None
    for name, why in wanted.idle_options().items():
        if name in options:
            raise SpecError(f"`{name}` has no effect {why}")
    return wanted


def _name(path: Sequence[str]) -> str:
    """The name of an option, wherever in the spec it belongs."""
    return "`method`" if path == ("method", "kind") else "".join(f"`{name}`" for name in path if name != "method")
