"""What a class judge is trained for, and how: without PyTorch, for the command line."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from artune.errors import SpecError, UnknownNameError

Kind = Literal["resnet18", "gram", "binary"]
Edges = Literal["none", "plain", "denoised"]

TRUNKS: Mapping[Kind, str] = {"resnet18": "resnet18", "gram": "compact", "binary": "mobilenet_v2"}
"""The trunk of each kind, where none is asked for."""


LARGEST = 4096
"""Most pixels of the side of a picture that a judge looks at: it does so at once."""


def find_kind(name: str) -> Kind:
    """A kind by name.

    Raises:
        UnknownNameError: with the kinds there are.
    """
    for kind in get_args(Kind):
        if name == kind:
            return cast(Kind, kind)
    raise UnknownNameError("kind of class judge", name, get_args(Kind))


@dataclass(frozen=True)
class Options:
    """What is trained, and how.

    Attributes:
        kind: ``resnet18`` and ``binary`` take means over positions, ``gram`` the Gram matrix.
        network: the trunk; default: ``TRUNKS``.
        tap: where the head looks; default: the deepest, of ``gram`` ``relu3_1``.
        train_from: the part of the trunk that is trained: ``head`` for none of it, ``all``, or the module where it
            begins; default: ``head`` for ``gram``, ``all`` for ``binary``, the last stage for ``resnet18``.
        positive: the class that ``binary`` tells from the rest.
        size: side of the squares, pixels; best the size of the pictures that will be judged.
        augment: extra pictures, by the changes of ``artune.data.augment.LADDER`` in turn.
        edges: what pictures are reduced to.
        mirror: whether a picture is mirrored one time in two.
        per_class: pictures of each class to train with; default: all.
        epochs: at most.
        patience: epochs without a better validation, at which it ends.
        batch: pictures in a step.
        rate: of the head.
        seed: of every draw.

    Raises:
        SpecError: a value out of range, or one that does not go with the kind.
    """

    kind: Kind
    network: str | None = None
    tap: str | None = None
    train_from: str | None = None
    positive: str | None = None
    size: int = 224
    augment: int = 0
    edges: Edges = "none"
    mirror: bool = True
    per_class: int | None = None
    epochs: int = 30
    patience: int = 5
    batch: int = 16
    rate: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind == "binary" and self.positive is None:
            raise SpecError("kind binary tells one class from all others; name it with --positive CLASS")
        if self.kind != "binary" and self.positive is not None:
            raise SpecError(f"a positive class is for kind binary, not for {self.kind}; leave out --positive")
        if self.kind == "resnet18" and self.network not in (None, "resnet18"):
            raise SpecError(f"kind resnet18 has its own network; leave out --network {self.network}, or use kind gram")
        for name, least in (("size", 1), ("augment", 0), ("epochs", 1), ("patience", 1), ("batch", 2), ("seed", 0)):
            if (value := getattr(self, name)) < least:
                raise SpecError(f"{name} must be at least {least}, not {value}")
        if self.seed >= 2**63:
            raise SpecError(f"seed must be below 2**63, not {self.seed}")
        if self.size > LARGEST:
            raise SpecError(f"size must be at most {LARGEST}, not {self.size}")
        if self.per_class is not None and self.per_class < 1:
            raise SpecError(f"per_class must be at least 1, not {self.per_class}")
        if not 0 < self.rate <= 1:
            raise SpecError(f"rate must be above 0 and at most 1, not {self.rate}")

    @property
    def trunk(self) -> str:
        """Name of the trunk."""
        return self.network or TRUNKS[self.kind]
