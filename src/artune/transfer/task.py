"""What is asked for: pictures that were read, a spec that was checked, and a network that was loaded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Literal, Protocol, Self, TypeVar, runtime_checkable

from artune.errors import SpecError
from artune.images.picture import Picture
from artune.spec.style import StyleSpec
from artune.transfer.inputs import Inputs, Masked, RegionStyle, Source
from artune.transfer.start import given_start

NO_OPEN_STRENGTH = (
    "there is no strength to be found: it was given, or the weights of content and style were, or the scale is not "
    "calibrated, or each region has its own; leave them out"
)
"""Message to who asks for the balance of a task that leaves no strength open."""


@runtime_checkable
class Loaded(Protocol):
    """What a method of making pictures loads once for many of them, such as a loss network."""

    @property
    def digest(self) -> str:
        """sha256 of its weights."""

    @property
    def precision(self) -> Literal["fp32", "bf16"]:
        """Of its activations."""

    def check(self, spec: StyleSpec) -> None:
        """Raise ``artune.errors.SpecError`` if a spec asks for another one."""


N = TypeVar("N", bound=Loaded)


@dataclass(frozen=True, eq=False)
class Task(Generic[N]):
    """One photograph to be styled, and how; a ``artune.transfer.plan.Plan`` of it has every choice made.

    Attributes:
        spec: as it was given.
        inputs: the pictures.
        regions: the strength that each region came with, if it did.
        styles: number of paintings that style the rest.
        first: the picture to start from, where one was given.
        network: what the spec's method has loaded.
    """

    spec: StyleSpec
    inputs: Inputs
    regions: tuple[float | None, ...]
    styles: int
    first: Picture | None
    network: N

    @classmethod
    def read(
        cls,
        content: Source,
        styles: Sequence[Source | Masked],
        spec: StyleSpec,
        load: Callable[[], N],
        *,
        regions: Sequence[RegionStyle] = (),
        first: Source | None = None,
        allow_huge: bool = False,
    ) -> Self:
        """Read and check the pictures; then load what the spec's method needs.

        Args:
            content: the photograph.
            styles: paintings.
            spec: how.
            load: loads, or hands over, what the spec's method needs.
            regions: parts of the photograph with styles of their own.
            first: the picture to start from, in place of the spec's ``start``.
            allow_huge: read pictures above 100 million pixels.

        Raises:
            InputError: something given cannot be used.
            WeightsError: missing or unfit weights.
        """
        inputs = Inputs.read(content, styles, regions, allow_huge=allow_huge)
        network = load()
        network.check(spec)
        given = given_start(spec.method.start, first, allow_huge)
        digests = {**inputs.digests, "weights": network.digest}
        if given is not None:
            spec = spec.model_copy(update={"method": spec.method.model_copy(update={"start": "file"})})
            digests["start"] = given.digest()
        inputs = replace(inputs, digests=digests)
        return cls(spec, inputs, inputs.strengths, len(styles), given, network)

    @property
    def open(self) -> bool:
        """Whether a strength is to be found: it was left open, and something depends on it."""
        method = self.spec.method
        stated = method.content_weight is not None and method.style_weight is not None
        used = self.styles > 0 or (self.spec.region_strengths is None and None in self.regions)
        return self.spec.strength == "auto" and method.scale == "calibrated" and used and not stated


def check_types(*given: tuple[str, object, bool, str]) -> None:
    """Raise for the first argument that is of a wrong type.

    Args:
        given: name, value, whether it fits, and what is needed.

    Raises:
        SpecError: naming it.
    """
    for name, value, fits, needed in given:
        if not fits:
            raise SpecError(f"`{name}` is of type {type(value).__name__}; give {needed}")
