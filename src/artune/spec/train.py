"""What a class judge is trained for, and how; free of torch, so that the command line can read it."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self, cast, get_args

from pydantic import Field, model_validator

from artune.errors import UnknownNameError
from artune.spec.style import Model

Kind = Literal["resnet18", "gram", "binary"]
Edges = Literal["none", "plain", "denoised"]
Count = Annotated[int, Field(ge=1)]

TRUNKS: Mapping[Kind, str] = {"resnet18": "resnet18", "gram": "compact", "binary": "mobilenet_v2"}
"""Default trunk of each kind."""
LARGEST = 4096
"""Largest side of the squares that a judge looks at, pixels: a square is judged as a whole, not in tiles."""


class TrainSpec(Model):
    """Which class judge is trained, on which pictures, for how long."""

    kind: Kind
    """resnet18: ResNet-18 with a new last layer; gram: a classifier of one layer's Gram matrix; binary: one class
    against all others."""
    network: str | None = None
    """Trunk: the network whose features are classified; default: resnet18, for gram compact, for binary
    mobilenet_v2."""
    tap: str | None = None
    """Layer whose features are classified; default: the deepest, for gram relu3_1."""
    train_from: str | None = None
    """Part of the trunk that is trained: head (none of it), all, or the module where it begins, such as layer4;
    default: the last stage, for gram head, for binary all."""
    positive: str | None = None
    """For binary: the class that is told from all others."""
    size: Annotated[int, Field(ge=1, le=LARGEST)] = 224
    """Side of the squares, pixels; best the size of the pictures that will be judged."""
    augment: Annotated[int, Field(ge=0)] = 0
    """Number of extra training pictures: noise, saturation, contrast, sharpness, mirror, rotation, RGB to BGR in
    turn."""
    edges: Edges = "none"
    """What pictures are reduced to first: none (nothing is changed), plain (their edges), denoised (their edges after
    denoising)."""
    mirror: bool = True
    """Mirror half of the training pictures, chosen anew in each step."""
    per_class: Count | None = None
    """Training pictures of each class; default: all."""
    epochs: Count = 30
    """Largest number of epochs."""
    patience: Count = 5
    """Epochs without a better validation after which the training ends."""
    batch: Annotated[int, Field(ge=2)] = 16
    """Pictures in a step."""
    rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    """Step size of the head; the trunk takes a tenth of it."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of everything random."""

    @model_validator(mode="after")
    def _kind_fits(self) -> Self:
        if self.kind == "binary" and self.positive is None:
            raise ValueError("kind binary tells one class from all others; name that class with `positive`")
        if self.kind != "binary" and self.positive is not None:
            raise ValueError(f"a positive class is for kind binary, not for {self.kind}; leave out `positive`")
        if self.kind == "resnet18" and self.network not in (None, "resnet18"):
            raise ValueError(
                f"kind resnet18 has a trunk of its own; leave out `network` ({self.network}), or use kind gram"
            )
        return self

    @property
    def trunk(self) -> str:
        """Name of the trunk."""
        return self.network or TRUNKS[self.kind]


def find_kind(name: str) -> Kind:
    """The kind of class judge of that name.

    Raises:
        UnknownNameError: listing the kinds there are.
    """
    if name not in get_args(Kind):
        raise UnknownNameError("kind of class judge", name, get_args(Kind))
    return cast(Kind, name)
