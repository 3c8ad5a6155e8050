"""The spec of a run: frozen, validated, serialisable to JSON, and free of torch.

A spec holds what the user chose; ``None`` leaves a choice to artune. A resolved spec has every choice filled in.
"""

import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from immutabledict import immutabledict
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from artune.errors import SpecError

Positive = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Steps = Annotated[int, Field(ge=0, le=1_000_000)]


def _with_weights(names: Any) -> Any:
    """A name, or several, with weight 1 each; other values as they are."""
    if isinstance(names, str):
        return {names: 1.0}
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        return names
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{twice[0]} is given twice")
    return dict.fromkeys(names, 1.0)


def _frozen(weights: Mapping[str, float]) -> Mapping[str, float]:
    return immutabledict(weights)


Layers = Annotated[
    Mapping[str, NotNegative],
    BeforeValidator(_with_weights),
    AfterValidator(_frozen),
    PlainSerializer(dict, return_type=dict[str, float]),
]
"""Names with weights: an immutable mapping, so that a spec can be hashed; a plain object in JSON. Names alone have
weight 1."""

LEVELS = tuple(f"relu{stage}_1" for stage in range(5, 0, -1))
"""Levels of universal style transfer, from deep to shallow: layers of VGG-19."""
LARGEST = 65_536
"""Largest longer side of a result, pixels."""
WEAK = 0.2
"""Strength below which the rate, and the share of the result beside the photograph, fall linearly to 0."""
LEAST_MEMORY = 2**20
"""Smallest `memory` that is accepted, bytes. A smaller value is probably a number without its unit."""

Quality = Literal["draft", "normal", "best"]
Scale = Literal["calibrated", "tutorial", "gatys", "mean", "raw"]
Padding = Literal["replicate", "zeros"]
Color = Literal["style", "content-luminance", "content-match"]
Tile = Literal["none", "x", "y", "both"]
Start = Annotated[str, Field(min_length=1), AfterValidator(os.path.expanduser)]
"""Name of a start, or a picture file, where ``~`` is the user's home."""


class Model(BaseModel):
    """Base of all specs: immutable, and unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _no_flags(cls, data: Any) -> Any:
        for name, value in data.items() if isinstance(data, dict) else ():
            field = cls.model_fields.get(name)
            if (
                isinstance(value, bool) and field is not None and field.annotation not in (bool, bool | None)
            ):  # pydantic would accept true as 1
                raise ValueError(f"`{name}` cannot be {str(value).lower()}")
        return data

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy with some fields replaced, without validation; a dict is made immutable, to keep it hashable."""
        frozen = {
            name: immutabledict(value) if isinstance(value, dict) else value for name, value in (update or {}).items()
        }
        return super().model_copy(update=frozen, deep=deep)


class Rung(Model):
    """One size of the coarse-to-fine pyramid, and its steps."""

    size: Annotated[int, Field(ge=1)]
    """Longer side, pixels."""
    steps: Annotated[int, Field(ge=0)]
    """Steps of descent at this size."""


class MethodSpec(Model):
    """How the picture is made. Every kind is a subclass, and a line in ``METHOD_SPECS``."""

    usual_strength: ClassVar[float | None] = None
    """Strength unless the user gives one; ``None``: it is found for the pictures."""
    kind: str
    """Name of the kind."""
    start: Start = "content"
    """Picture to start from."""
    paints: ClassVar[bool] = True
    """Whether the result is painted; painted ones are blended with the photograph where the strength is low."""

    @property
    def takes_paintings(self) -> bool:
        """Whether the style is that of paintings that are given."""
        return True

    @property
    def leaves_strength(self) -> bool:
        """Whether the picture depends on the spec's strength, and on nothing in its place."""
        return False

    @property
    def strength_fault(self) -> str | None:
        """Why no strength can be given, if none can."""
        return None

    @property
    def one_piece(self) -> str | None:
        """The option that needs the picture as one piece with edges, if one is set; then the result cannot repeat."""
        return None

    def idle_options(self) -> dict[str, str]:
        """Options of the method that others leave without effect: by name, the reason and what to do."""
        return {}


def some_weight(weights: Mapping[str, float] | None) -> Mapping[str, float] | None:
    """Layers or losses with their weights, as they are.

    Raises:
        ValueError: all weights are 0.
    """
    if weights is not None and not any(weights.values()):
        raise ValueError("all weights are 0; give at least one a weight above 0")
    return weights


def check_scale(scale: str, loss: Mapping[str, float]) -> None:
    """Raise unless the units of the losses are made for the style losses.

    Raises:
        ValueError: they are those of code that has another loss.
    """
    if scale in ("tutorial", "gatys") and set(loss) != {"gram"}:
        raise ValueError(f"`scale` {scale} is for Gram matrices; use `loss` gram, or `scale` calibrated or raw")
    if scale == "mean" and set(loss) != {"w2"}:
        raise ValueError("`scale` mean is for w2; use `loss` w2, or `scale` calibrated or raw")


class Optimise(MethodSpec):
    """Optimisation in the image (Gatys 2016)."""

    kind: Literal["optimise"] = "optimise"
    network: str = "compact"
    """Loss network: see `artune networks`."""
    pooling: Literal["max", "average", "l2"] = "max"
    """Replacement for max pooling; average and l2 are rescaled to keep activation levels."""
    padding: Padding = "replicate"
    """What the first convolution sees beyond the border: replicate (the border's pixels) or zeros, as in most published
    code, which may paint a frame."""
    smooth: bool | None = None
    """Softmax over the activations (SWAG); default: for networks like ResNet."""
    content_layers: Layers | None = None
    """Taps that keep the content, each with its weight; default: those of the network."""
    style_layers: Layers | None = None
    """Taps that carry the style, each with its weight; default: those of the network."""
    loss: Layers = immutabledict(w2=1.0)
    """Style loss, or several with their weights: w2 (Wasserstein-2 of Gaussians), gram, moments (mean and standard
    deviation), sliced (Wasserstein), histogram, nearest (neighbours), remd (relaxed earth mover), mrf (patches)."""
    content_loss: str = "mse"
    """Content loss: mse, relative (to the target's energy), or self-similarity (STROTSS)."""
    scale: Scale = "calibrated"
    """Units of the losses: calibrated (relative, so that weights mean the same everywhere), or those of published code:
    tutorial and gatys for Gram matrices, mean (over channels and positions) for w2, raw (sums)."""
    content_weight: NotNegative | None = None
    """Weight of all content losses; default: from the strength, or 1 for scale tutorial and gatys."""
    style_weight: NotNegative | None = None
    """Weight of all style losses; default: from the strength, or 1e6 for scale tutorial, 1e3 for gatys."""
    tv: NotNegative | None = None
    """Weight of total variation; default: that of the network, times the strength."""
    variation: str = "l2"
    """Total variation: l2 (squared differences), l1 (absolute ones), or nine-point (squared ones to all eight
    neighbours)."""
    photoreal: NotNegative = 0.0
    """Weight of the matting Laplacian, which keeps straight lines straight (Deep Photo Style Transfer)."""
    photoreal_smoothing: NotNegative = 0.0
    """Strength of the photorealistic smoothing of the result along the photograph's edges; 0 for none."""
    balance_gradients: bool = False
    """Give the gradient of every term the same size at its tap, before its weight."""
    optimiser: Literal["auto", "adam", "lbfgs", "sgd"] = "auto"
    """Optimiser; auto: lbfgs with a line search, and after the start instant at sizes up to 1024 without a limit of
    memory; else adam."""
    line_search: Literal["none", "strong-wolfe"] = "none"
    """Line search of L-BFGS."""
    history: Annotated[int, Field(ge=1, le=1000)] = 10
    """Pairs of differences that L-BFGS remembers; published code often keeps 100, and each takes four copies of the
    picture."""
    rate: Positive | None = None
    """Step size: for adam and lbfgs in units of the pixel range, for sgd the factor of the gradient; default: that of
    the optimiser or the network."""
    decay: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 1.0
    """Factor of the rate after every `decay_every` steps."""
    decay_every: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """Steps between two decays."""
    average: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Decay of the average of the iterates; default: that of the network, or less after the start instant."""
    quality: Quality = "normal"
    """Steps, and so time, against quality."""
    steps: Steps | None = None
    """Steps over all sizes; default: by quality."""
    pyramid: bool = True
    """Run through several sizes, from coarse to fine; else at the last size only."""
    smallest_size: Annotated[int, Field(ge=1, le=LARGEST)] = 96
    """Smallest size before the last one: longer side, pixels."""
    size_factor: Annotated[float, Field(ge=1.01, le=1000, allow_inf_nan=False)] = 2.0
    """Factor from each size to the next."""
    size_steps: tuple[Steps, ...] = ()
    """Steps at the first size, at each size between, and at the last; default: by quality."""
    rungs: Annotated[tuple[Rung, ...], Field(min_length=1)] | None = None
    """Sizes and their steps; they are scaled if the last is not the size of the result, or if `steps` is not their sum.
    Default: by `smallest_size`, `size_factor` and `size_steps`."""
    start: Start = "auto"
    """Where to start: instant (the painter's picture, at each size), content, style (resized), gaussian or uniform
    (noise), grey, colours (noise with the mean and covariance of the first style), or a picture file; auto: instant for
    the network compact with loss w2, content loss mse and scale calibrated, without photoreal; else content."""
    # a resolved spec names no paths: it says file

    @property
    def has_steps(self) -> bool:
        """Whether there is any step."""
        counts = (
            (self.steps,) if self.steps is not None else self.size_steps or [rung.steps for rung in self.rungs or ()]
        )
        return any(counts) or not counts  # without counts the steps follow from the quality

    @property
    def leaves_strength(self) -> bool:
        """Whether content and style are weighed by the strength, and not by weights of their own; and in any step."""
        moves = self.has_steps or self.start == "instant"
        return moves and self.scale == "calibrated" and None in (self.content_weight, self.style_weight)

    @property
    def strength_fault(self) -> str | None:
        """A strength belongs to the calibrated scale."""
        if self.scale == "calibrated":
            return None
        return (
            f"`strength` needs `scale` calibrated; with `scale` {self.scale}, give `content_weight` and "
            "`style_weight` instead"
        )

    @property
    def one_piece(self) -> str | None:
        """The matting Laplacian ends at the edges, and smoothing compares all positions."""
        options = ("photoreal", "photoreal_smoothing", "smooth")
        return next((name for name in options if getattr(self, name)), None)

    def idle_options(self) -> dict[str, str]:
        """Options that others leave without effect: by name, the reason and what to do."""
        counted = self.rungs is not None or bool(self.size_steps) or (self.steps is not None and not self.pyramid)
        by_rungs = "where every size is given (`rungs`); leave out either"
        faults = {
            "variation": (self.tv == 0, "with `tv` 0; give it a weight, or leave it out"),
            "decay_every": (self.decay == 1, "with `decay` 1; give a decay below 1, or leave it out"),
            "pyramid": (self.rungs is not None, by_rungs),
            "smallest_size": (self.rungs is not None, by_rungs),
            "size_factor": (self.rungs is not None, by_rungs),
            "size_steps": (self.rungs is not None, by_rungs),
            "quality": (counted, "where the steps are given; leave out either"),
        }
        return {name: why for name, (idle, why) in faults.items() if idle}

    @field_validator("size_steps")
    @classmethod
    def _for_three(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(value) not in (0, 3):
            raise ValueError(
                "must be three whole numbers: the steps at the first size, at each size between, and at the last; not "
                f"{len(value)}"
            )
        return value

    @field_validator("content_layers", "style_layers", "loss")
    @classmethod
    def _some_weight(cls, value: Layers | None) -> Layers | None:
        return some_weight(value)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        check_scale(self.scale, self.loss)
        if self.line_search != "none" and self.optimiser not in ("auto", "lbfgs"):
            raise ValueError(f"`line_search` {self.line_search} is for lbfgs; use `optimiser` lbfgs, or leave it out")
        if self.line_search != "none" and self.decay != 1:
            raise ValueError("`line_search` finds the length of each step, so `decay` has no effect; leave out either")
        if self.line_search != "none" and self.balance_gradients:
            raise ValueError(
                "`line_search` needs the true gradient, but `balance_gradients` changes it; leave out either"
            )
        return self


class Instant(MethodSpec):
    """A few learned steps of the painter that is installed with the package."""

    kind: Literal["instant"] = "instant"
    quality: Quality = "normal"
    """Steps, and so time, against quality."""
    photoreal_smoothing: NotNegative = 0.0
    """Strength of the photorealistic smoothing of the result along the photograph's edges; 0 for none."""
    rungs: Annotated[tuple[Rung, ...], Field(min_length=1)] | None = None
    """Sizes and their steps; they are scaled if the last is not the size of the result. Default: by quality."""

    @property
    def leaves_strength(self) -> bool:
        """The picture depends on the strength, if there is any step."""
        return self.rungs is None or any(rung.steps for rung in self.rungs)

    @property
    def one_piece(self) -> str | None:
        """The matting Laplacian ends at the edges."""
        return "photoreal_smoothing" if self.photoreal_smoothing else None

    def idle_options(self) -> dict[str, str]:
        """The quality chooses the steps, unless they are given."""
        if self.rungs is None:
            return {}
        return {"quality": "where every size is given (`rungs`); leave out either"}


class ColorOnly(MethodSpec):
    """The colours of the paintings alone: nothing is painted, and every detail stays."""

    usual_strength: ClassVar[float | None] = 1.0
    paints: ClassVar[bool] = False
    kind: Literal["color"] = "color"
    start: Literal["content"] = "content"
    """The photograph."""
    color_only: Literal["transport", "moments", "histogram"] = "transport"
    """Give the photograph the colours of the painting and nothing else: by transport (as many pixels of each colour as
    in the painting), moments (mean and covariance of the colours), or histogram (each channel by itself)."""


class WCT(MethodSpec):
    """Universal style transfer: at each of five levels, a linear map gives the photograph's features the statistics of
    the painting's (Li et al. 2017).

    It needs a file with encoders and decoders.
    """

    usual_strength: ClassVar[float | None] = 0.6
    kind: Literal["wct"] = "wct"
    transform: Literal["wct", "adain", "transport"] = "wct"
    """How features get the painting's statistics: wct (whitening and colouring), adain (mean and standard deviation of
    each channel), transport (the map that moves them least)."""
    levels: Layers = immutabledict(dict.fromkeys(LEVELS, 1.0))
    """Levels, each with its share of the strength, from 0 to 1; they are made from relu5_1 to relu1_1."""
    photoreal_smoothing: NotNegative = 0.0
    """Strength of the photorealistic smoothing of the result along the photograph's edges; 0 for none."""

    @property
    def leaves_strength(self) -> bool:
        """The picture depends on the strength."""
        return True

    @field_validator("levels")
    @classmethod
    def _in_order(cls, value: Mapping[str, float]) -> Mapping[str, float]:
        """The levels from deep to shallow, without those of share 0."""
        if unknown := [name for name in value if name not in LEVELS]:
            raise ValueError(f"there is no level {unknown[0]!r}; there are {', '.join(LEVELS)}")
        if large := [name for name, share in value.items() if share > 1]:
            raise ValueError(f"the share of {large[0]} is {value[large[0]]:g}; give at most 1")
        if not any(value.values()):
            raise ValueError("all shares are 0; give at least one level a share above 0")
        return immutabledict({name: value[name] for name in LEVELS if value.get(name)})


class Trained(MethodSpec):
    """One pass of Johnson's network, which was trained for one style; its file is given as weights."""

    kind: Literal["trained"] = "trained"

    @property
    def takes_paintings(self) -> bool:
        """The network brings its style along."""
        return False

    @property
    def strength_fault(self) -> str | None:
        """The network has no slider."""
        return (
            "this style was trained at one strength and has no slider; leave out `strength` (a style that was trained "
            "by artune train --from painter has one)"
        )


METHOD_SPECS: Mapping[str, type[MethodSpec]] = {
    "optimise": Optimise,
    "instant": Instant,
    "trained": Trained,
    "wct": WCT,
    "color": ColorOnly,
}
"""The kinds of methods. What each does is in ``artune.transfer.methods``."""
TUNED_METHODS = tuple(
    kind
    for kind, method in METHOD_SPECS.items()
    if method.usual_strength is None and method.model_validate({}).leaves_strength
)
"""The kinds whose strength is found for the pictures."""
METHOD_FIELDS: Mapping[str, FieldInfo] = {
    name: field for method in [*METHOD_SPECS.values()][::-1] for name, field in method.model_fields.items()
}
"""Fields of the methods of all kinds, by name; of two with the same name, that of the first kind."""


class ByKind:
    """Annotation of a field: a method of any kind, told by its ``kind``, which is ``optimise`` if left out."""

    @staticmethod
    def kind_of(method: Any) -> str:
        """The kind that a method, or plain data for one, has."""
        found = method.get("kind", "optimise") if isinstance(method, Mapping) else getattr(method, "kind", "optimise")
        return str(found)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices = {kind: handler.generate_schema(method) for kind, method in METHOD_SPECS.items()}
        return core_schema.tagged_union_schema(choices, discriminator=cls.kind_of)


class StyleSpec(Model):
    """How a photograph is to be styled."""

    method: Annotated[MethodSpec, ByKind] = Optimise()
    """How the picture is made."""
    size: Annotated[int, Field(ge=1, le=LARGEST)] | Literal["original"] = 512
    """Longer side of the result, pixels; or `original`."""
    enlarge: bool = True
    """Enlarge a photograph that is smaller than the size."""
    strength: Share | Literal["auto"] = "auto"
    """0 is the photograph, 1 is style alone; `auto`: the balance of both, found for these pictures (0.6 with `method`
    wct)."""
    style_weights: tuple[NotNegative, ...] | None = None
    """Weights of several styles; default: equal."""
    region_strengths: tuple[Share, ...] | None = None
    """Strength in each region; default: the strength."""
    style_scale: Annotated[float, Field(gt=0, le=4, allow_inf_nan=False)] = 1.0
    """Size of the strokes: longer side of the painting over that of the result. A painting is never enlarged."""
    color: Color = "style"
    """Colours of the result: those of the style (style); those of the photograph, of which only the luminance is styled
    (content-luminance); or those of a style whose colours were matched to the photograph first (content-match)."""
    color_space: Literal["lab", "yiq"] = "lab"
    """Colour space in which luminance and colours are separated."""
    color_match: Literal["moments", "histogram"] = "moments"
    """How colours are matched: mean and covariance, or histograms."""
    tile: Tile = "none"
    """Make a result that repeats without a seam: side by side (x), one above the other (y), or both. The photograph's
    opposite edges are blended with each other first."""
    memory: Annotated[str, Field(examples=["4GiB"])] = "all"
    """Memory that a run may take, such as 4GiB; a picture that needs more is computed tile by tile."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of all random numbers."""
    device: str = "auto"
    """Device: auto, cpu, cuda, cuda:1, mps."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Precision of the network's activations; statistics are always fp32."""
    automatic: tuple[str, ...] = ()
    """In a resolved spec: the fields that were chosen for the user."""

    @field_validator("memory", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        """A number of bytes as text."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return str(value) if isinstance(value, int | float) else value

    @field_validator("memory")
    @classmethod
    def _in_bytes(cls, value: str) -> str:
        if value != "all" and (size := bytes_of(value)) < LEAST_MEMORY:
            number = value.strip()
            meant = f"{number}{'GiB' if size <= 1024 else 'MiB'}" if re.fullmatch("[0-9.]+", number) else "4GiB"
            raise ValueError(f"{number} is {size} bytes, too few for any picture; did you mean {meant}?")
        return value

    @field_validator("automatic")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted({*value} - {*cls.model_fields, *METHOD_FIELDS}):
            raise ValueError(f"a spec has no fields {', '.join(unknown)}")
        return value

    @model_validator(mode="after")
    def _strength_counts(self) -> Self:
        fault = self.method.strength_fault
        if fault and self.strength != "auto" and "strength" not in self.automatic:
            raise ValueError(fault)
        return self

    @model_validator(mode="after")
    def _repeats(self) -> Self:
        if self.tile != "none" and (option := self.method.one_piece):
            raise ValueError(f"`tile` makes a result without edges, but `{option}` needs them; leave out either")
        return self

    @model_validator(mode="after")
    def _has_colours(self) -> Self:
        if self.color != "style" and isinstance(self.method, ColorOnly):
            raise ValueError(
                f"`color_only` takes the painting's colours, and `color` {self.color} does not; leave out either"
            )
        return self

    @field_validator("style_weights")
    @classmethod
    def _some_weight(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value and not any(value):
            raise ValueError("all are 0; give at least one style a weight above 0")
        return value

    def idle_options(self) -> dict[str, str]:
        """Options of spec and method that others leave without effect: by name, the reason and what to do."""
        only = isinstance(self.method, ColorOnly)
        if self.color == "content-match":
            space = self.color_match == "moments", "on moments, which are the same in all; take `color_match` histogram"
        else:
            space = (
                self.color == "style" and not only,
                "with `color` style; take content-luminance or content-match, or leave it out",
            )
        match = self.color != "content-match", f"with `color` {self.color}; take content-match, or leave it out"
        sized = only, "on the colours of a painting, which are the same at every size; leave it out"
        faults = {"color_space": space, "color_match": match, "style_scale": sized}
        return {name: why for name, (idle, why) in faults.items() if idle} | self.method.idle_options()


def optimise_of(spec: StyleSpec) -> Optimise:
    """The method of a spec whose picture is optimised.

    Raises:
        SpecError: it is of another kind.
    """
    if not isinstance(spec.method, Optimise):
        raise SpecError(f"the spec's method is {spec.method.kind}; this needs a spec whose method is optimise")
    return spec.method


def bytes_of(size: str) -> int:
    """Number of bytes of a size such as 4GiB, 500MB or 6e9.

    Raises:
        ValueError: the text is not such a size.
    """
    found = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([kmgt]?)(i?)b?\s*", size, re.IGNORECASE)
    try:
        number = float(found[1]) if found else -1.0
    except ValueError:
        number = -1.0
    if found is None or not 0 < number < 1e18:
        raise ValueError(f"{size!r} is no size; write 4GiB or 500MB")
    return int(number * (1024 if found[3] else 1000) ** " kmgt".index(found[2].lower() or " "))
