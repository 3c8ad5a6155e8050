"""Values of options: paths, specs, numbers, layers. For pictures see ``artune.cli.photographs``."""

import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import typer
from pydantic.fields import FieldInfo

from artune.errors import InputError, OutputError, SpecError
from artune.spec.checked import choices
from artune.spec.options import with_options
from artune.spec.style import METHOD_FIELDS, METHOD_SPECS, StyleSpec

INSTANT = "Paint in a few learned steps, in a fraction of a second: --method instant."
"""Help of ``--instant``."""
METHOD = (
    "How the picture is made: optimise (in the image), instant (in a few learned steps), or wct (universal style "
    "transfer; needs --weights). (default: optimise)"
)
"""Help of ``--method``."""
METHODS_SHOWN = " | ".join(METHOD_SPECS)
"""Its choices."""


def spec_option(name: str, *flags: str, panel: str | None = None, **more: Any) -> Any:
    """An option whose help, choices and default are those of the spec."""
    info = METHOD_FIELDS.get(name) or StyleSpec.model_fields[name]
    text = info.description or ""
    for field in (*StyleSpec.model_fields, *METHOD_FIELDS):
        text = text.replace(f"`{field}`", "--" + field.replace("_", "-"))
    shown = ", ".join(info.default) if isinstance(info.default, Mapping) else info.default
    text = text.replace("`", "") + ("" if shown in (None, ()) else f" (default: {shown})")
    more = {"metavar": choices_shown(info)} | more
    return typer.Option(*flags, help=text, show_default=False, rich_help_panel=panel, **more)


def choices_shown(field: FieldInfo) -> str | None:
    """The choices of a field of the spec, as help shows them; ``None`` if it takes other values, too."""
    return " | ".join(choices(field)) or None  # with blanks, at which help breaks its lines


def given_options(params: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the spec among what was typed, as the spec takes them."""
    fields = {*StyleSpec.model_fields, *METHOD_FIELDS}
    out = {}
    for name, value in params.items():
        if name in fields and value is not None:
            out[name] = PARSERS[name](value, "--" + name.replace("_", "-")) if name in PARSERS else value
    return out


def is_readable(path: Path) -> bool:
    """Whether a file has the suffix of a picture."""
    from artune.images.formats import READABLE

    return path.suffix.lower() in READABLE


def spec_of(picture: Path) -> dict[str, Any]:
    """The spec that a picture carries.

    Raises:
        InputError: there is none in it.
    """
    from artune.images.read import read_picture

    note = read_picture(picture, allow_huge=True).note
    if not isinstance(spec := note.get("spec"), dict):
        raise InputError(f"{picture} carries no spec: artune did not write it, or its format holds none")
    return spec


def read_spec(path: Path | None) -> StyleSpec:
    """The spec of a YAML or JSON file, of a picture that carries one, or of a record."""
    if path is None:
        return StyleSpec()
    import yaml

    from artune.spec.options import parse_spec

    if os.path.exists(path) and not os.path.isfile(path):
        raise SpecError(f"{path} is not a regular file; give a YAML or JSON file, or a picture made by artune")
    if is_readable(path):
        return parse_spec(spec_of(path), where=f"the spec in {path}")
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _unique(yaml.SafeLoader))  # JSON is YAML
    except OSError as error:
        raise SpecError(f"cannot read the spec {path}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SpecError(f"{path} is neither YAML nor JSON: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise SpecError(f"{path} must hold names and values (size: 512), not {type(data).__name__}")
    return parse_spec(data["spec"] if {"spec", "key"} <= data.keys() else data, where=str(path))  # of a run's record


def base_spec(file: Path | None, recipe: str | None) -> StyleSpec:
    """The spec that options override: a file's, a published recipe's, or the defaults."""
    if recipe is None:
        return read_spec(file)
    if file is not None:
        raise SpecError("--spec and --recipe both give a spec; leave out either")
    from artune.recipes import find_recipe

    return find_recipe(recipe).spec


def by_method(
    base: StyleSpec,
    *,
    instant: bool,
    method: str | None = None,
    color_only: bool = False,
    recipe: str | None = None,
) -> StyleSpec:
    """The spec with the method of ``--method``, or of a flag that stands for one.

    Args:
        base: the spec without them.
        instant: whether there is ``--instant``.
        method: value of ``--method``.
        color_only: whether there is ``--color-only``.
        recipe: value of ``--recipe``, from which ``base`` is; it has a method of its own.

    Raises:
        SpecError: there is no such method, or two of the options name different ones.
    """
    flags = {"--instant": (instant, "instant"), "--color-only": (color_only, "color"), "--method": (method, method)}
    flags["--recipe"] = (recipe, base.method.kind)
    named = {flag: kind for flag, (given, kind) in flags.items() if given}
    if len({*named.values()}) > 1:
        one, other = [*named][:2]
        raise SpecError(f"{one} and {other} are two ways to make the picture; leave out either")
    kind = next(iter(named.values()), base.method.kind)
    return base if kind == base.method.kind else with_options(base, {"method": kind})


def _unique(loader: type[Any]) -> type[Any]:
    """A YAML loader that refuses a name given twice, where YAML takes the last value."""

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


def format_from(text: str) -> str:
    """The suffix of results, without its dot.

    Raises:
        OutputError: there is no such format.
    """
    from artune.images.formats import WRITABLE

    form = text.lower().removeprefix(".")
    if f".{form}" not in WRITABLE:
        raise OutputError(f"--format: {text!r} cannot be written; use {', '.join(suffix[1:] for suffix in WRITABLE)}")
    return form


def check_lossy(form: str, quality: int | None) -> None:
    """Raise if a quality was given for a format without loss.

    Raises:
        OutputError: naming the formats that have a quality.
    """
    from artune.images.formats import FORMATS, WRITABLE

    lossy = [suffix[1:] for suffix in WRITABLE if FORMATS[suffix].quality]
    if quality is not None and form.lower() not in lossy:
        raise OutputError(f"--jpeg-quality has no effect on {form} files; leave it out, or write {', '.join(lossy)}")


def quality_from(text: str, flag: str) -> str:
    """The word as it is; a number is refused, because it is meant for ``--jpeg-quality``."""
    if text.strip().rstrip("%").isdecimal():
        raise SpecError(
            f"{flag} sets how long to compute (draft, normal or best), not {text}; the quality of a written JPEG is "
            f"--jpeg-quality {text.strip().rstrip('%')}"
        )
    return text


def numbers_from(text: str, flag: str) -> tuple[float, ...]:
    """The numbers of ``2,1``."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise SpecError(f"{flag}: {text!r} is not a list of numbers such as 2,1") from None


def counts_from(text: str, flag: str) -> tuple[int, ...]:
    """The whole numbers of ``50,36,34``."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise SpecError(f"{flag}: {text!r} is not a list of whole numbers such as 50,36,34") from None


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
    "quality": quality_from,
    "style_weights": numbers_from,
    "size_steps": counts_from,
    "content_layers": layers_from,
    "style_layers": layers_from,
    "loss": layers_from,
    "levels": layers_from,
}
"""Functions that make the value of a field from the text of its option; without one the text is the value."""
