"""Specs from plain data and from options; what is wrong in them, in words."""

import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from artune.errors import SpecError
from artune.spec.style import LARGEST, Optimise, StyleSpec


def parse_spec(data: Any, *, where: str = "the spec") -> StyleSpec:
    """A spec from plain data.

    Raises:
        SpecError: naming each field that is wrong, what was given and what is needed.
    """
    try:
        return StyleSpec.model_validate(data)
    except ValidationError as error:
        raise SpecError(f"{where}: {explain(error)}") from None


def with_options(spec: StyleSpec, options: Mapping[str, Any]) -> StyleSpec:
    """The spec with some of its fields, or its method's, replaced and checked.

    What had been chosen for the user may follow from what is replaced, and is open again.

    Raises:
        SpecError: an unknown field, a bad value, or an option that the others leave without effect.
    """
    if not options:
        return spec
    data = spec.model_dump()
    for name in spec.automatic:
        place, fields = (data["method"], Optimise.model_fields)
        if name in StyleSpec.model_fields:
            place, fields = data, StyleSpec.model_fields
        place[name] = fields[name].default
    data["automatic"] = ()
    for name, value in options.items():
        place = data["method"] if name in Optimise.model_fields and name != "kind" else data
        place[name] = value
    wanted = parse_spec(data, where="the options")
    for name, (idle, why) in _idle(wanted).items():
        if name in options and idle:
            raise SpecError(f"{name} has no effect {why}")
    return wanted


def _idle(spec: StyleSpec) -> dict[str, tuple[bool, str]]:
    """Whether others leave an option without effect, and what to do then."""
    method = spec.method
    counted = method.rungs is not None or (method.steps is not None and not method.pyramid)
    if spec.color == "content-match":
        space = spec.color_match == "moments", "on moments, which are the same in all; take color_match histogram"
    else:
        space = spec.color == "style", "with color style; take content-luminance or content-match, or leave it out"
    return {
        "color_space": space,
        "variation": (method.tv == 0, "with tv 0; give it a weight, or leave it out"),
        "color_match": (
            spec.color != "content-match",
            f"with color {spec.color}; take content-match, or leave it out",
        ),
        "decay_every": (method.decay == 1, "with decay 1; give a decay below 1, or leave it out"),
        "pyramid": (method.rungs is not None, "where every size is given (rungs); leave out either"),
        "quality": (counted, "where the steps are given; leave out either"),
    }


def explain(error: ValidationError) -> str:
    """What is wrong in a spec, each field once: where, what is needed, what was given."""
    lines: dict[str, str] = {}
    for item in error.errors():
        parts = [str(part) for part in item["loc"]]
        if parts[:1] == ["size"]:  # a number or a word: pydantic reports both
            parts, message = ["size"], f"must be a whole number from 1 to {LARGEST}, or original"
        elif parts[:1] == ["strength"]:
            parts, message = ["strength"], "must be a number from 0 to 1, or auto"
        else:
            message = item["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        place = ".".join(parts)
        if item["type"] == "extra_forbidden":
            known = [*StyleSpec.model_fields, *Optimise.model_fields]
            hint = _close(parts[-1], known)
            if len(parts) == 1 and parts[0] in Optimise.model_fields:
                hint = f"; it belongs under method (method: {{{parts[0]}: ...}})"
            lines[place] = "there is no such field" + hint
        elif item["type"] == "value_error":
            lines[place] = message
        else:
            hint = ""
            if item["type"] == "literal_error":
                hint = _close(str(item["input"]), re.findall(r"'(\w+)'", item["ctx"]["expected"]))
            lines[place] = f"{message}, not {reprlib.repr(item['input'])}{hint}"
    return "; ".join(f"{place}: {line}" if place else line for place, line in lines.items())


def _close(given: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(given, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
