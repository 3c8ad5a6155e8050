"""Specs from plain data and from options, with messages that say what is wrong in them."""

import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from artune.errors import SpecError
from artune.spec.style import LARGEST, METHOD_SPECS, Optimise, StyleSpec


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
        place, fields = data["method"], of_method
        if name in StyleSpec.model_fields:
            place, fields = data, StyleSpec.model_fields
        place[name] = fields[name].default
    data["automatic"] = ()
    for name, value in options.items():
        place = data["method"] if name in of_method and name != "kind" else data
        place[name] = value
    try:
        wanted = StyleSpec.model_validate(data)
    except ValidationError as error:
        raise SpecError("; ".join(_option(place, text) for place, text in _faults(error).items())) from None
    for name, (idle, why) in _idle(wanted).items():
        if name in options and idle:
            raise SpecError(f"`{name}` has no effect {why}")
    return wanted


def _option(place: tuple[str, ...], text: str) -> str:
    """What is wrong with an option, given by its name alone, wherever in the spec it belongs."""
    names = place[1:] if place[:1] == ("method",) else place
    return ": ".join([*(f"`{name}`" for name in names[:1]), *names[1:], text])


def _idle(spec: StyleSpec) -> dict[str, tuple[bool, str]]:
    """Whether others leave an option without effect, and what to do then."""
    method = spec.method
    if not isinstance(method, Optimise):
        return {}
    counted = method.rungs is not None or bool(method.size_steps) or (method.steps is not None and not method.pyramid)
    stated = method.rungs is not None, "where every size is given (`rungs`); leave out either"
    if spec.color == "content-match":
        space = spec.color_match == "moments", "on moments, which are the same in all; take `color_match` histogram"
    else:
        space = spec.color == "style", "with `color` style; take content-luminance or content-match, or leave it out"
    return {
        "color_space": space,
        "variation": (method.tv == 0, "with `tv` 0; give it a weight, or leave it out"),
        "color_match": (
            spec.color != "content-match",
            f"with `color` {spec.color}; take content-match, or leave it out",
        ),
        "decay_every": (method.decay == 1, "with `decay` 1; give a decay below 1, or leave it out"),
        "pyramid": stated,
        "smallest_size": stated,
        "size_factor": stated,
        "size_steps": stated,
        "quality": (counted, "where the steps are given; leave out either"),
    }


def _faults(error: ValidationError) -> dict[tuple[str, ...], str]:
    """What is wrong in a spec: for each field what is needed and what was given. Names of fields are in backticks."""
    faults: dict[tuple[str, ...], str] = {}
    for item in error.errors():
        place = tuple(str(part) for part in item["loc"])
        if place[:1] == ("method",) and place[1:2] and place[1] in METHOD_SPECS:  # pydantic names the kind, too
            place = place[:1] + place[2:]
        if place[:1] == ("size",):  # a number or a word: pydantic reports both
            place, message = ("size",), f"must be a whole number from 1 to {LARGEST}, or original"
        elif place[:1] == ("strength",):
            place, message = ("strength",), "must be a number from 0 to 1, or auto"
        else:
            message = item["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        if item["type"] == "extra_forbidden":
            close = _closest(place[-1], [*StyleSpec.model_fields, *Optimise.model_fields])
            hint = f"; did you mean `{close}`?" if close else ""
            if len(place) == 1 and place[0] in Optimise.model_fields:
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
