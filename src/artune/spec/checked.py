"""Specs from their fields, with errors in words: for each wrong field what is needed, and what was given."""

import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from artune.errors import SpecError
from artune.spec.style import METHOD_FIELDS, METHOD_SPECS, MethodSpec, Model, StyleSpec

M = TypeVar("M", bound=Model)

PLACES = ("the first", "the second", "the third")
"""Words for the first parts of a list; those after are counted."""


def checked(model: type[M], /, **fields: Any) -> M:
    """A spec from its fields, as ``checked(TrainSpec, kind="gram", size=64)``.

    Raises:
        SpecError: naming each field that is wrong, what is needed and what was given.
    """
    try:
        return model(**fields)
    except ValidationError as error:
        raise SpecError(explained(error, model, lambda path: f"`{'.'.join(path)}`")) from None


def explained(error: ValidationError, model: type[Model], named: Callable[[Sequence[str]], str]) -> str:
    """What is wrong with a spec, in words that follow from the types of its fields.

    Args:
        error: what pydantic found.
        model: the spec's class.
        named: makes the name of a field from the names on the way to it, such as ``("method", "tv")``. The names of
            other fields in the text are in backticks.
    """
    return "; ".join(dict.fromkeys(text for _, text in faults(error, model, named)))  # unions are reported twice


Loc = tuple[int | str, ...]
"""Place of a value in plain data: names, and places in lists, from the outside in."""


def faults(error: ValidationError, model: type[Model], named: Callable[[Sequence[str]], str]) -> list[tuple[Loc, str]]:
    """Each fault of a spec: its place in the data, and what is wrong; see ``explained``."""
    items = error.errors()
    places = {item["loc"][:end] for item in items for end in range(len(item["loc"]))}
    inmost = [item for item in items if item["loc"] not in places]  # a list whose parts are wrong is called short, too
    return [(item["loc"], _fault(item, model, named)) for item in inmost]


def shortened(value: Any) -> str:
    """A value as it is written in Python, cut short where it is long."""
    return reprlib.repr(value)


def choices(field: FieldInfo) -> list[str]:
    """All values of a field that takes one of a few words; empty for other fields."""
    kind = _Type.of_field(field)
    return kind.choices() if get_origin(kind.plain) is Literal else []


class _Place(NamedTuple):
    """Where in a spec a value stands."""

    path: tuple[str, ...]
    """Names of fields, from the outside in."""
    parts: tuple[str, ...]
    """Part of the field's value: a place in a list, or a key."""
    owner: type[Model]
    """Class of the innermost spec."""
    type: "_Type | None"
    """Type of the value; ``None`` if there is no such field."""


class _Type(NamedTuple):
    """A type without ``Annotated`` and ``None``."""

    plain: Any
    limits: Mapping[str, Any]
    """Limits by pydantic's names: ``ge``, ``gt``, ``le``, ``lt``, ``min_length``."""
    example: str = ""
    """Words with a text that the field may hold, or nothing."""

    @classmethod
    def of(cls, annotation: Any, metadata: Iterable[Any] = ()) -> "_Type":
        """The type that an annotation stands for."""
        found = [*metadata]
        while True:
            if get_origin(annotation) is Annotated:
                annotation, *more = get_args(annotation)
                found += more
                continue
            choices = [choice for choice in _union(annotation) if choice is not NoneType]
            if len(choices) != 1 or choices[0] is annotation:
                break
            annotation = choices[0]
        found = [limit for one in found for limit in (one.metadata if isinstance(one, FieldInfo) else [one])]
        names = ("ge", "gt", "le", "lt", "min_length")
        return cls(annotation, {name: getattr(one, name) for one in found for name in names if hasattr(one, name)})

    @classmethod
    def of_field(cls, field: FieldInfo) -> "_Type":
        """The type of a field."""
        text = next(iter(field.examples or [field.default]))
        example = f" such as {text!r}" if isinstance(text, str) else ""
        return cls.of(field.annotation, field.metadata)._replace(example=example)

    def words(self, *, many: bool = False) -> str:
        """What a value must be, as in "a number from 0 to 1"; of several values with ``many``."""
        plain, arguments = self.plain, get_args(self.plain)
        some = "non-empty " if "min_length" in self.limits else ""
        if plain is bool:
            return "true or false"
        if plain in (int, float):
            noun = "whole number" if plain is int else "number"
            return " ".join(filter(None, [f"{noun}s" if many else f"a {noun}", _range(self.limits)]))
        if get_origin(plain) is Literal:
            *others, last = map(repr, arguments)
            return f"{', '.join(others)} or {last}" if others else last
        if len(choices := _union(plain)) > 1:
            return ", or ".join(_Type.of(choice).words(many=many) for choice in choices if choice is not NoneType)
        if get_origin(plain) is tuple:
            count = "" if arguments[-1] is ... else f"{len(arguments)} "
            return f"{'' if many else 'a '}{some}list{'s' * many} of {count}{_Type.of(arguments[0]).words(many=True)}"
        if isinstance(get_origin(plain), type) and issubclass(get_origin(plain), Mapping):
            held = _Type.of(arguments[1])
            if held.plain is not float:  # else they are Layers, which take names alone, too
                return "names and values"
            return f"a name, a list of names, or names with their weights ({held.words(many=True)})"
        if isinstance(plain, type) and issubclass(plain, Model):
            needed = ", ".join(name for name, field in plain.model_fields.items() if field.is_required())
            return f"{'objects' if many else 'an object'} with {needed or 'names and values'}"
        noun = "path" if plain is Path else "string"
        return f"{some}{noun}s" if many else f"a {some}{noun}{self.example}"

    def choices(self) -> list[str]:
        """The words among the values of that type."""
        return [word for one in _union(self.plain) if get_origin(one) is Literal for word in get_args(one)]


def _fault(item: Any, model: type[Model], named: Callable[[Sequence[str]], str]) -> str:
    """One fault in words."""
    path, parts, owner, kind = _find(item["loc"], model)
    if item["type"] == "value_error":
        text = item["msg"].removeprefix("Value error, ")
    elif item["type"] == "union_tag_invalid":
        path, tag = (*path, "kind"), item["ctx"]["tag"]
        text = f"there is no method {tag!r}" + (_meant(tag, METHOD_SPECS) or f"; there are {', '.join(METHOD_SPECS)}")
    elif item["type"] == "missing":
        text = "must be given"
    elif kind is None:
        text = _no_such_field((*path, *parts)[-1], owner)
    else:
        text = f"must be {kind.words()}, not {shortened(item['input'])}{_meant(item['input'], kind.choices())}"
    name = ": ".join([*([named(path)] if path else []), *parts])
    return f"{name}{' ' if text.startswith('must ') else ': '}{text}" if name.strip("`") else text


def _no_such_field(name: str, owner: type[Model]) -> str:
    """Why a model has no field of a name, and what may have been meant."""
    if owner is StyleSpec and name in METHOD_FIELDS:
        return f"there is no such field; it belongs under method (method: {{{name}: ...}})"
    having = [kind for kind, spec in METHOD_SPECS.items() if name in spec.model_fields]
    without = [kind for kind, spec in METHOD_SPECS.items() if spec is owner]
    if having and without:
        return f"the method {without[0]} has none; leave it out, or take the method {' or '.join(having)}"
    known = [*owner.model_fields, *(METHOD_FIELDS if owner is StyleSpec else ())]
    return "there is no such field" + _meant(name, known, "`")


def _find(where: Sequence[int | str], model: type[Model]) -> _Place:
    """The place of pydantic's names for it, up to the first union: it reports each of its types."""
    path: list[str] = []
    parts: list[str] = []
    owner, found = model, _Type.of(model)
    for step in where:
        plain, arguments = found.plain, get_args(found.plain)
        if plain is MethodSpec and step in METHOD_SPECS:  # the kind of the method, no field
            owner = METHOD_SPECS[str(step)]
            found = _Type.of(owner)
        elif isinstance(plain, type) and issubclass(plain, Model):
            owner = plain
            (parts if parts else path).append(str(step))
            if step not in owner.model_fields:
                return _Place(tuple(path), tuple(parts), owner, None)
            found = _Type.of_field(owner.model_fields[str(step)])
        elif get_origin(plain) is tuple and isinstance(step, int):
            parts.append(PLACES[step] if step < len(PLACES) else f"number {step + 1}")
            found = _Type.of(arguments[0] if arguments[-1] is ... else arguments[step])
        elif step == "[key]":
            found = _Type(str, {})
        elif isinstance(get_origin(plain), type) and issubclass(get_origin(plain), Mapping):
            parts.append(str(step))
            found = _Type.of(arguments[1])
        else:
            break
    return _Place(tuple(path), tuple(parts), owner, found)


def _union(annotation: Any) -> tuple[Any, ...]:
    """The types of a union; of another type itself."""
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _range(limits: Mapping[str, Any]) -> str:
    """Words for the limits of a number."""
    shown = {name: f"{limit:g}" if isinstance(limit, float) else str(limit) for name, limit in limits.items()}
    if {"ge", "le"} <= shown.keys():
        return f"from {shown['ge']} to {shown['le']}"
    words = {"ge": "of at least", "gt": "above", "le": "at most", "lt": "below"}
    return " and ".join(f"{words[name]} {limit}" for name, limit in shown.items())


def _meant(given: Any, known: Iterable[str], quote: str = "") -> str:
    """The known name that is most like the given one, as a question; empty if none is."""
    close = get_close_matches(given, known, n=1) if isinstance(given, str) else []
    return f"; did you mean {quote}{close[0]}{quote}?" if close else ""
