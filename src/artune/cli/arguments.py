"""From what was typed to what is meant: pictures, specs, numbers, layers."""

import glob
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import typer

from artune.errors import InputError, SpecError
from artune.spec.style import Optimise, StyleSpec


def spec_option(name: str, *flags: str, panel: str | None = None, **more: Any) -> Any:
    """An option whose help and default are those of the spec."""
    info = Optimise.model_fields.get(name) or StyleSpec.model_fields[name]
    shown = "" if info.default is None else f" (default: {info.default})"
    text = (info.description or "").replace("`", "")
    return typer.Option(*flags, help=text + shown, show_default=False, rich_help_panel=panel, **more)


def given_options(params: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the spec among what was typed, as the spec takes them."""
    fields = {*StyleSpec.model_fields, *Optimise.model_fields}
    out = {}
    for name, value in params.items():
        if name in fields and value is not None:
            out[name] = PARSERS[name](value, "--" + name.replace("_", "-")) if name in PARSERS else value
    return out


def find_contents(given: str) -> list[Path] | None:
    """The photographs of a folder or a glob; ``None`` for a single file."""
    from artune.images.formats import READABLE
    from artune.images.read import find_pictures

    if not given:
        raise InputError("the photograph's name is empty")
    path = Path(given)
    if os.path.isdir(path):
        return find_pictures(path)
    if os.path.exists(path) or not glob.has_magic(given):
        return None
    found = [Path(p) for p in sorted(glob.glob(given, recursive=True))]
    found = [p for p in found if p.is_file() and p.suffix.lower() in READABLE]
    if not found:
        raise InputError(f"no picture matches {given!r}")
    return found


def name_results(contents: list[Path], folder: Path) -> list[Path]:
    """Where each result goes: its photograph's name, with as much before and after it as makes it the only one."""
    schemes: list[Callable[[Path], str]] = [
        lambda path: f"{path.stem}.png",
        lambda path: f"{path.name}.png",
        lambda path: f"{path.parent.name}/{path.name}.png",
    ]
    counts = [Counter(scheme(path) for path in contents) for scheme in schemes]
    outs = []
    for path in contents:
        alone = (scheme(path) for scheme, count in zip(schemes, counts, strict=True) if count[scheme(path)] == 1)
        outs.append(folder / next(alone, ""))
    if len(set(outs)) < len(outs) or folder in outs:
        raise InputError("photographs of one name would overwrite each other's results; style them one by one")
    return outs


def read_spec(path: Path | None) -> StyleSpec:
    """The spec of a YAML or JSON file."""
    if path is None:
        return StyleSpec()
    import yaml

    from artune.spec.options import parse_spec

    if os.path.exists(path) and not os.path.isfile(path):
        raise SpecError(f"{path} is no regular file; give a YAML or JSON file")
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _unique(yaml.SafeLoader))  # JSON is YAML
    except OSError as error:
        raise SpecError(f"cannot read the spec {path}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SpecError(f"{path} is neither YAML nor JSON: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise SpecError(f"{path} must hold names and values (size: 512), not {type(data).__name__}")
    if {"spec", "key"} <= data.keys():
        raise SpecError(f"{path} is the record of a run, not a spec; give what artune info prints of its picture")
    return parse_spec(data, where=str(path))


def base_spec(file: Path | None, recipe: str | None) -> StyleSpec:
    """What the options are laid on: a file, a published recipe, or the defaults."""
    if recipe is None:
        return read_spec(file)
    if file is not None:
        raise SpecError("--spec and --recipe are both given, and each says everything; leave out either")
    from artune.recipes import find_recipe

    return find_recipe(recipe).spec


def _unique(loader: type[Any]) -> type[Any]:
    """A YAML loader that refuses what is said twice, where YAML takes the last."""

    class Unique(loader):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [str(key.value) for key, _ in node.value]
            if twice := [key for key, count in Counter(keys).items() if count > 1]:
                raise ValueError(f"{', '.join(twice)} is given twice")
            return super().construct_mapping(node, deep)

    return Unique


def size_from(text: str, flag: str = "--size") -> int | str:
    """A number of pixels, or the word as it is."""
    try:
        return int(text)
    except ValueError:
        return text


def strength_from(text: str, flag: str) -> float | str:
    """A number, or the word as it is."""
    try:
        return float(text)
    except ValueError:
        return text


def numbers_from(text: str, flag: str) -> tuple[float, ...]:
    """The numbers of ``2,1``."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise SpecError(f"{flag}: {text!r} is not a list of numbers such as 2,1") from None


def layers_from(text: str, flag: str) -> dict[str, float]:
    """Names with weights, as in ``relu3_1:2,relu4_1``; a weight left out is 1."""
    layers: dict[str, float] = {}
    for part in text.split(","):
        tap, colon, weight = part.strip().partition(":")
        if not tap:
            raise SpecError(f"{flag}: a name is missing in {text!r}; write a, or a:0.5,b")
        if tap in layers:
            raise SpecError(f"{flag}: {tap} is given twice")
        try:
            layers[tap] = float(weight) if colon else 1.0
        except ValueError:
            raise SpecError(f"{flag}: {weight!r} is not a weight; write {tap}:0.5") from None
    return layers


PARSERS: Mapping[str, Callable[[str, str], Any]] = {
    "size": size_from,
    "strength": strength_from,
    "style_weights": numbers_from,
    "content_layers": layers_from,
    "style_layers": layers_from,
    "loss": layers_from,
}
"""How the fields of the spec are read that are not typed as they are."""
