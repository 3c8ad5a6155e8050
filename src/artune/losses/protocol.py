"""What a term of an objective is, and where its random numbers come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from artune.backbones.base import Features

Mask = Float[Tensor, "#masks 1 h w"]
Source = Literal["content", "style", "none"]
M = TypeVar("M")
"""What a term measures of a picture."""
T = TypeVar("T")
"""What a term freezes: its target."""


@dataclass(frozen=True)
class Draws:
    """Where a term's random numbers come from: a function of the seed and the step.

    Attributes:
        seed: of the run.
        fixed: the same at every step of a size, for methods that remember gradients (L-BFGS).
    """

    seed: int = 0
    fixed: bool = False

    def generator(self, step: int) -> torch.Generator:
        """For the numbers of one step; always on the CPU, so that they are the same on every device."""
        return torch.Generator().manual_seed((self.seed * 1_000_003 + (0 if self.fixed else step)) % 2**63)


@runtime_checkable
class Term(Protocol[M, T]):
    """One loss at one place of the network.

    Attributes:
        name: its name in a step's losses.
        taps: what it needs of the network.
        source: which picture its target comes from.
        additive: whether what it measures on two tiles, a tuple of tensors, adds up to what it measures on the whole;
            of a term that is ``Pointwise``, its errors do.
    """

    name: str
    taps: tuple[str, ...]
    source: Source
    additive: bool

    def measure(self, features: Features, mask: Mask | None = None) -> M:
        """Statistics of a picture, differentiable, with the batch axis kept."""

    def mix(self, parts: Sequence[M], weights: Sequence[float]) -> M:
        """Statistics of several styles at once."""

    def freeze(self, measured: M) -> T:
        """The target: whatever can be computed once."""

    def distance(self, measured: M, target: T, step: int = 0) -> Float[Tensor, "b"]:
        """How far a picture is from the target; a term that draws does so by the step."""

    def energy(self, measured: M) -> Float[Tensor, "b"]:
        """Size of the features, in the units of ``distance``: what a calibrated distance is floored with."""


AnyTerm = Term[Any, Any]


@runtime_checkable
class StyleTerm(Term[M, T], Protocol):
    """A term that compares with a painting.

    Attributes:
        balance: style weight over content weight at strength 0.5: the median balance of pairs of pictures
            (``docs/balance.md``), at which the content is about as far away as with the other losses
            (``docs/losses.md``).
    """

    balance: ClassVar[float]


@runtime_checkable
class Pointwise(Protocol):
    """What a term has besides that compares position by position: its target is a map, ``[b, c, h, w]``.

    Its ``distance`` is the value of its errors.
    """

    def errors(self, measured: Any, target: Any) -> tuple[Tensor, ...]:
        """Sums over positions, ``[b]`` each: those of two tiles add up."""

    def value(self, errors: Any, target: Any) -> Float[Tensor, "b"]:
        """The distance; ``target`` is that of the whole, of which only the shape counts."""
