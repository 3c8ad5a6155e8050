"""Specs from plain data and from options, with messages that say what is wrong in them."""

import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from artune.errors import SpecError
from artune.spec.style import LARGEST, METHOD_FIELDS, METHOD_SPECS, MethodSpec, StyleSpec


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
        faults = [(".".join(place), text.replace("`", "")) for place, text in _faults(error).items()]
        raise SpecError(
            f"{where}: " + "; ".join(f"{place}: {text}" if place else text for place, text in faults)
        ) from None


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
    if not isinstance(method, MethodSpec | Mapping):
        raise SpecError(f"`method` is of type {type(method).__name__}; give an artune.Optimise, or its fields")
    data["method"] = method.model_dump() if isinstance(method, MethodSpec) else {**method}
    for name, value in options.items():
        if name != "method":
            (data["method"] if name in METHOD_FIELDS and name != "kind" else data)[name] = value
    try:
        wanted = StyleSpec.model_validate(data)
    except ValidationError as error:
        raise SpecError("; ".join(_option(place, text) for place, text in _faults(error).items())) from None
    for name, why in wanted.idle_options().items():
        if name in options:
            raise SpecError(f"`{name}` has no effect {why}")
    return wanted


def _option(place: tuple[str, ...], text: str) -> str:
    """What is wrong with an option, given by its name alone, wherever in the spec it belongs."""
    names = place[1:] if place[:1] == ("method",) else place
    return ": ".join([*(f"`{name}`" for name in names[:1]), *names[1:], text])


def _faults(error: ValidationError) -> dict[tuple[str, ...], str]:
    """What is wrong in a spec: for each field what is needed and what was given. Names of fields are in backticks."""
    faults: dict[tuple[str, ...], str] = {}
    for item in error.errors():
        place, fields = tuple(str(part) for part in item["loc"]), [*StyleSpec.model_fields, *METHOD_FIELDS]
        if place[:1] == ("method",) and place[1:2] and place[1] in METHOD_SPECS:  # pydantic names the kind, too
            place, fields = place[:1] + place[2:], [*METHOD_SPECS[place[1]].model_fields]
        if place[:1] == ("size",):  # a number or a word: pydantic reports both
            place, message = ("size",), f"must be a whole number from 1 to {LARGEST}, or original"
        elif place[:1] == ("strength",):
            place, message = ("strength",), "must be a number from 0 to 1, or auto"
        else:
            message = item["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        if item["type"] == "extra_forbidden":
            close = _closest(place[-1], fields)
            hint = f"; did you mean `{close}`?" if close else ""
            if len(place) == 1 and place[0] in METHOD_FIELDS:
                hint = f"; it belongs under method (method: {{{place[0]}: ...}})"
            faults[place] = "there is no such field" + hint
        elif item["type"] == "union_tag_invalid":
            kind = item["ctx"]["tag"]
            close = _closest(kind, [*METHOD_SPECS])
            hint = f"; did you mean {close}?" if close else f"; there are {', '.join(METHOD_SPECS)}"
            faults[(*place, "kind")] = f"there is no method {kind!r}{hint}"
        elif item["type"] == "value_error":
            faults[place] = message
        else:
            close = None
            if item["type"] == "literal_error":
                close = _closest(str(item["input"]), re.findall(r"'([\w-]+)'", item["ctx"]["expected"]))
            faults[place] = f"{message}, not {reprlib.repr(item['input'])}" + (
                f"; did you mean {close}?" if close else ""
            )
    return faults


def _closest(given: str, known: Sequence[str]) -> str | None:
    """The known name that is most like the given one, if any is."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(given, known, n=1)), None)
