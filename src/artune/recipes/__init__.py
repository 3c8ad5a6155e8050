"""Published recipes: what others did, stated as exactly as artune can, with source and departures.

A file is a recipe; its ``variants`` are more of them, each with what it changes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Generic, TypeVar

from artune.errors import UnknownNameError
from artune.spec.options import parse_spec
from artune.spec.style import StyleSpec
from artune.spec.train_style import StyleTrainSpec

S = TypeVar("S", StyleSpec, StyleTrainSpec)


@dataclass(frozen=True)
class Published(Generic[S]):
    """A recipe from the literature.

    Attributes:
        name: for ``--recipe``, of ``artune style`` or ``artune train``.
        title: what it is, in a line.
        source: where it was published.
        departures: what is otherwise here, and why.
        spec: the recipe itself.
    """

    name: str
    title: str
    source: str
    departures: tuple[str, ...]
    spec: S


def published() -> dict[str, Published[StyleSpec]]:
    """All recipes by name."""
    return {recipe.name: recipe for recipe in _read()}


def find_recipe(name: str) -> Published[StyleSpec]:
    """The recipe of that name.

    Raises:
        UnknownNameError: with the names there are.
    """
    recipes = published()
    if name not in recipes:
        raise UnknownNameError("recipe", name, recipes)
    return recipes[name]


@cache
def _read() -> tuple[Published[StyleSpec], ...]:
    return tuple(_parsed())


def _parsed() -> Iterator[Published[StyleSpec]]:
    import yaml

    files = (file for file in resources.files(__package__).iterdir() if file.name.endswith(".yaml"))
    for file in sorted(files, key=lambda file: file.name):
        base = yaml.safe_load(file.read_text(encoding="utf-8"))
        stem, variants = file.name.removesuffix(".yaml"), base.pop("variants", {})
        if "content_layers" in base["spec"]["method"]:  # else the file is only what its variants share
            yield _recipe(stem, base)
        for variant, changes in variants.items():
            yield _recipe(f"{stem}-{variant}", _merged(base, changes))


def _recipe(name: str, data: dict[str, Any]) -> Published[StyleSpec]:
    spec = parse_spec(data["spec"], where=f"recipe {name}")
    return Published(name, data["title"], data["source"], tuple(data["departures"]), spec)


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The base with changes; layers are replaced as a whole."""
    out = dict(base)
    for key, value in changes.items():
        nested = key in ("spec", "method")
        out[key] = _merged(base[key], value) if nested else value
    return out
