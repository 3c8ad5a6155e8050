"""What to do: frozen, checked, JSON-able, and free of torch.

A spec says what the user said; ``None`` stands for "choose for me". A resolved spec has every choice filled in.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from artune.errors import SpecError

Positive = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Layers = dict[str, NotNegative]

Quality = Literal["draft", "normal", "best"]
Scale = Literal["calibrated", "tutorial", "gatys", "raw"]


class Model(BaseModel):
    """A frozen model that knows all its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


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
    """Weight of the content side; default: from the strength, or 1 in the units of the literature."""
    style_weight: NotNegative | None = None
    """Weight of the style side; default: from the strength, or 1e6 in the units of the literature."""
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
    rungs: tuple[Rung, ...] | None = None
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
    size: Annotated[int, Field(ge=1, le=65_536)] | Literal["original"] = 512
    """Longer side of the result, pixels; or `original`."""
    enlarge: bool = True
    """Enlarge a photograph that is smaller than the size."""
    strength: Share = 0.5
    """0 is the photograph, 1 is style alone."""
    style_weights: tuple[NotNegative, ...] | None = None
    """Proportions of several styles; default: equal."""
    style_scale: Annotated[float, Field(gt=0, le=4, allow_inf_nan=False)] = 1.0
    """Size of the style's strokes: longer side of the painting over that of the result."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of everything random."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the network's activations; statistics are always fp32."""

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


DERIVED = {
    "strength": ("content_weight", "style_weight"),
    "loss": ("content_weight", "style_weight"),
    "scale": ("content_weight", "style_weight"),
    "network": ("content_layers", "style_layers", "content_weight", "style_weight", "tv", "rate", "average"),
    "optimiser": ("rate",),
    "size": ("rungs", "steps"),
    "enlarge": ("rungs", "steps"),
    "quality": ("rungs", "steps"),
    "steps": ("rungs",),
    "rungs": ("steps",),
}
"""What follows from a field, and must be chosen anew when that field is replaced in a resolved spec."""


def with_options(spec: StyleSpec, options: Mapping[str, Any]) -> StyleSpec:
    """The spec with some of its fields, or its method's, replaced and checked.

    What had been derived from a replaced field is open again, unless it is given too.

    Raises:
        SpecError: an unknown field or a bad value.
    """
    data = spec.model_dump()
    for name in options:
        for derived in DERIVED.get(name, ()):
            data["method"][derived] = None
    for name, value in options.items():
        place = data["method"] if name in Optimise.model_fields and name != "kind" else data
        place[name] = value
    return parse_spec(data, where="the options")


def explain(error: ValidationError) -> str:
    """One line for each thing that is wrong in a spec."""
    from difflib import get_close_matches

    lines = []
    for item in error.errors():
        place = ".".join(str(part) for part in item["loc"] if not str(part).startswith("function-"))
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            known = list(StyleSpec.model_fields) + list(Optimise.model_fields)
            close = get_close_matches(str(item["loc"][-1]), known, n=1)
            message = "there is no such field" + (f"; did you mean {close[0]}?" if close else "")
            lines.append(f"{place}: {message}")
        elif item["type"] == "value_error":
            lines.append(f"{place}: {message}" if place else message)
        else:
            lines.append(f"{place}: {message}, not {item['input']!r}")
    return "; ".join(lines)
