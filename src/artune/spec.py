"""What to do: frozen, checked, JSON-able, and free of torch.

A spec says what the user said; ``None`` stands for "choose for me". A resolved spec has every choice filled in.
"""

import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from artune.errors import SpecError

Positive = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Layers = dict[str, NotNegative]

LARGEST = 65_536
"""Longest side of a result, pixels."""

Quality = Literal["draft", "normal", "best"]
Scale = Literal["calibrated", "tutorial", "gatys", "raw"]


class Model(BaseModel):
    """A frozen model that knows all its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _no_flags(cls, data: Any) -> Any:
        for name, value in data.items() if isinstance(data, dict) else ():
            field = cls.model_fields.get(name)
            if isinstance(value, bool) and field is not None and field.annotation is not bool:  # to pydantic, true is 1
                raise ValueError(f"{name} takes no {str(value).lower()}")
        return data


class Rung(Model):
    """One size of the coarse-to-fine pyramid."""

    size: Annotated[int, Field(ge=1)]
    """Longer side, pixels."""
    steps: Annotated[int, Field(ge=0)]
    """Steps of descent at this size."""


class Optimise(Model):
    """Optimisation in the image (Gatys 2016)."""

    kind: Literal["optimise"] = "optimise"
    network: str = "compact"
    """Loss network: see `artune networks`."""
    pooling: Literal["max", "average", "l2"] = "max"
    """How a VGG network hands on from block to block; the others are rescaled to answer as strongly."""
    content_layers: Layers | None = None
    """Taps that keep the content, each with its weight; default: the network's recipe."""
    style_layers: Layers | None = None
    """Taps that carry the style, each with its weight; default: the network's recipe."""
    loss: Literal["w2", "gram"] = "w2"
    """Style loss: Wasserstein-2 between Gaussians, or Gram matrices."""
    scale: Scale = "calibrated"
    """Units of the losses: relative, or those of the literature."""
    content_weight: NotNegative | None = None
    """Weight of the content side; default: from the strength; 1 in the units of the literature."""
    style_weight: NotNegative | None = None
    """Weight of the style side; default: from the strength; scale tutorial 1e6, gatys 1e3."""
    tv: NotNegative | None = None
    """Weight of total variation; default: the recipe's."""
    optimiser: Literal["adam", "lbfgs"] = "adam"
    """Method of descent."""
    rate: Positive | None = None
    """Step size, in units of the pixel range; default: the method's."""
    average: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Decay of the average of the iterates; default: the recipe's."""
    quality: Quality = "normal"
    """Cost against quality."""
    steps: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Steps over all sizes; default: by quality."""
    rungs: Annotated[tuple[Rung, ...], Field(min_length=1)] | None = None
    """Sizes and their steps; default: by quality."""
    start: Annotated[str, Field(min_length=1)] = "content"
    """Where to start: content, noise, style, or a picture file (`file` in a resolved spec, which names no paths)."""

    @field_validator("content_layers", "style_layers")
    @classmethod
    def _some_weight(cls, value: Layers | None) -> Layers | None:
        if value is not None and not any(value.values()):
            raise ValueError("at least one layer needs a weight above 0")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.scale in ("tutorial", "gatys") and self.loss != "gram":
            raise ValueError(f"scale {self.scale} is one of Gram matrices; use loss gram, or scale calibrated or raw")
        return self


class StyleSpec(Model):
    """How a photograph is to be styled."""

    method: Optimise = Optimise()
    size: Annotated[int, Field(ge=1, le=LARGEST)] | Literal["original"] = 512
    """Longer side of the result, pixels; or `original`."""
    enlarge: bool = True
    """Enlarge a photograph that is smaller than the size."""
    strength: Share = 0.5
    """0 is the photograph, 1 is style alone."""
    style_weights: tuple[NotNegative, ...] | None = None
    """Proportions of several styles; default: equal."""
    style_scale: Annotated[float, Field(gt=0, le=4, allow_inf_nan=False)] = 1.0
    """Size of the style's strokes: longer side of the painting over that of the result; it is never enlarged."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of everything random."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the network's activations; statistics are always fp32."""
    automatic: tuple[str, ...] = ()
    """In a resolved spec: the fields that were chosen for the user."""

    @field_validator("automatic")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted({*value} - {*cls.model_fields, *Optimise.model_fields}):
            raise ValueError(f"there are no fields {', '.join(unknown)}")
        return value

    @model_validator(mode="after")
    def _strength_counts(self) -> Self:
        if self.method.scale != "calibrated" and self.strength != type(self).model_fields["strength"].default:
            raise ValueError(
                f"strength belongs to scale calibrated; with scale {self.method.scale} give content_weight and "
                "style_weight"
            )
        return self

    @field_validator("style_weights")
    @classmethod
    def _some_weight(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and not any(value):
            raise ValueError("at least one style needs a weight above 0")
        return value


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
        SpecError: an unknown field or a bad value.
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
    return parse_spec(data, where="the options")


def explain(error: ValidationError) -> str:
    """What is wrong in a spec, each field once: where, what is needed, what was given."""
    lines: dict[str, str] = {}
    for item in error.errors():
        parts = [str(part) for part in item["loc"]]
        if parts[:1] == ["size"]:  # a number or a word: pydantic reports both
            parts, message = ["size"], f"must be a whole number from 1 to {LARGEST}, or original"
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
