"""How a network is trained for one style; free of torch, so that the command line can read it."""

from typing import Annotated, Literal, Self

from immutabledict import immutabledict
from pydantic import Field, field_validator, model_validator

from artune.spec.style import Layers, Model, NotNegative, Positive, Scale, Share, check_scale, some_weight

Base = Literal["johnson", "painter"]
Width = Literal["slim", "full"]
Count = Annotated[int, Field(ge=1, le=10_000_000)]
LARGEST = 2048
"""Largest side of the squares that are trained on, and largest size of their paintings, pixels."""


class StyleTrainSpec(Model):
    """Which network is trained for a style, by which losses, on which squares of photographs, for how long."""

    base: Base = "johnson"
    """Network that is trained: johnson (Johnson's residual network, from nothing), or painter (the painter that is
    installed with the package, fine-tuned)."""
    width: Width = "slim"
    """Width of Johnson's network: slim (16, 32 and 64 channels) or full (32, 64 and 128, the authors')."""
    network: str = "compact"
    """Loss network: see `artune networks`."""
    content_layers: Layers | None = None
    """Taps that keep the content, each with its weight; default: those of the network."""
    style_layers: Layers | None = None
    """Taps that carry the style, each with its weight; default: those of the network."""
    loss: Layers = immutabledict(w2=1.0)
    """Style loss, or several with their weights, as in `artune style`."""
    content_loss: str = "mse"
    """Content loss, as in `artune style`."""
    scale: Scale = "calibrated"
    """Units of the losses: calibrated (relative), or those of published code, as in `artune style`."""
    strength: Share = 0.67
    """How much style: 0 is the photograph, 1 is style alone. The painter learns all strengths, and previews show this
    one."""
    content_weight: NotNegative | None = None
    """Weight of all content losses; default: from the strength."""
    style_weight: NotNegative | None = None
    """Weight of all style losses; default: from the strength."""
    tv: NotNegative | None = None
    """Weight of total variation; default: that of the network, times the strength."""
    size: Annotated[int, Field(ge=32, le=LARGEST)] = 256
    """Side of the squares of photographs, pixels."""
    style_size: Annotated[int, Field(ge=32, le=LARGEST)] = 384
    """Longer side of the paintings, pixels, which sets the size of the strokes; a painting is never enlarged."""
    augment: bool = True
    """Take a random part of each photograph, and mirror half of them; else the middle square."""
    batch: Annotated[int, Field(ge=1, le=1024)] = 4
    """Photographs in a step."""
    rate: Positive = 2e-3
    """Step size of Adam."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """Rate over the steps: constant, or cosine (falling to 0)."""
    passes: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = 2.0
    """How often all photographs are seen."""
    steps: Count | None = None
    """Number of steps; default: by `passes`."""
    every: Count = 100
    """Steps from one preview and validation to the next."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of everything random."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Precision of activations: bf16 where the hardware multiplies it, else fp32; weights and statistics are always
    fp32."""

    @field_validator("content_layers", "style_layers", "loss")
    @classmethod
    def _some_weight(cls, value: Layers | None) -> Layers | None:
        return some_weight(value)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        check_scale(self.scale, self.loss)
        if self.scale != "calibrated" and None in (self.content_weight, self.style_weight):
            raise ValueError(f"`scale` {self.scale} has no strength; give `content_weight` and `style_weight`")
        if self.base == "painter":
            own = StyleTrainSpec.model_fields
            for name in (
                "network",
                "content_layers",
                "style_layers",
                "loss",
                "content_loss",
                "scale",
                "content_weight",
                "style_weight",
                "tv",
                "width",
            ):
                if getattr(self, name) != own[name].default:
                    raise ValueError(
                        f"`{name}` is for Johnson's network; the painter keeps its own shape and losses: leave it out"
                    )
        return self


STYLE_DEFAULTS = {
    "johnson": StyleTrainSpec(),
    "painter": StyleTrainSpec(base="painter", size=208, style_size=512, batch=1, rate=3e-4, steps=1500),
}
"""What is trained without a recipe, by the network that is trained."""
