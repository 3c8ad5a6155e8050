"""A task: pictures that were read, a spec that was checked, and a network that was loaded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Literal, Protocol, Self, TypeVar, runtime_checkable

from artune.errors import SpecError
from artune.images.picture import Picture
from artune.images.resize import WRAPS
from artune.spec.style import StyleSpec
from artune.threads import FreeCores
from artune.transfer.inputs import Inputs, Keep, Masked, Painting, RegionStyle, Source
from artune.transfer.start import given_start

NO_OPEN_STRENGTH = (
    "there is no strength to be found: `strength` was given, or `content_weight` and `style_weight` were, or `scale` "
    "is not calibrated, or each region has its own strength, or there are no `steps`, or `method` is wct, or "
    "`color_only` was given; leave them out"
)
"""Error message if a balance is asked for, but the task leaves no strength open."""


@runtime_checkable
class Loaded(Protocol):
    """What a method loads once for many pictures, such as a loss network."""

    @property
    def name(self) -> str:
        """Name of the network, as in the spec."""

    @property
    def digest(self) -> str:
        """sha256 of the weights."""

    @property
    def precision(self) -> Literal["fp32", "bf16"]:
        """Precision of the activations."""

    def check(self, spec: StyleSpec) -> None:
        """Raise ``artune.errors.SpecError`` if a spec needs another network."""


N = TypeVar("N", bound=Loaded)


@dataclass(frozen=True, eq=False)
class Task(Generic[N]):
    """One photograph to be styled, and how. ``artune.transfer.plan.Plan`` is the spec of a task with every choice made.

    Attributes:
        spec: the spec as it was given.
        inputs: the pictures.
        regions: strength that each region was given; ``None``: that of the spec.
        styles: number of paintings for the rest of the photograph.
        first: the picture to start from, if one was given.
        network: what the spec's method has loaded.
        cores: the free cores, measured from before the pictures were read.
    """

    spec: StyleSpec
    inputs: Inputs
    regions: tuple[float | None, ...]
    styles: int
    first: Picture | None
    network: N
    cores: FreeCores

    @classmethod
    def read(
        cls,
        content: Source,
        styles: Sequence[Source | Masked | Painting],
        spec: StyleSpec,
        load: Callable[[], N],
        *,
        regions: Sequence[RegionStyle] = (),
        keeps: Sequence[Keep] = (),
        first: Source | None = None,
        allow_huge: bool = False,
    ) -> Self:
        """Read and check the pictures; then load what the spec's method needs.

        Args:
            content: the photograph.
            styles: the paintings.
            spec: how the photograph is to be styled.
            load: function that returns what the spec's method needs, such as a network.
            regions: parts of the photograph with paintings of their own.
            keeps: parts of the photograph of which more is kept.
            first: the picture to start from, instead of the spec's ``start``.
            allow_huge: whether to read pictures above 100 million pixels.

        Raises:
            InputError: a picture, a mask or the spec cannot be used.
            WeightsError: weights are missing or do not fit.
        """
        cores = FreeCores()
        takes = spec.method.takes_paintings
        inputs = Inputs.read(content, styles, regions, keeps, takes_paintings=takes, allow_huge=allow_huge)
        network = load()
        network.check(spec)
        given = given_start(spec.method.start, first, allow_huge)
        digests = {**inputs.digests, "weights": network.digest}
        if given is not None:
            spec = spec.model_copy(update={"method": spec.method.model_copy(update={"start": "file"})})
            digests["start"] = given.digest()
        inputs = replace(inputs, digests=digests).seamless(WRAPS[spec.tile])
        return cls(spec, inputs, inputs.strengths, len(styles), given, network, cores)

    @property
    def open(self) -> bool:
        """Whether a strength must be found: it was left open, the result depends on it, and the method has no usual
        one."""
        method = self.spec.method
        used = self.styles > 0 or (self.spec.region_strengths is None and None in self.regions)
        return self.spec.strength == "auto" and method.leaves_strength and method.usual_strength is None and used


def check_types(*given: tuple[str, object, bool, str]) -> None:
    """Raise if an argument has a wrong type.

    Args:
        given: name, value, whether its type is right, and what is needed; for each argument.

    Raises:
        SpecError: for the first argument of a wrong type.
    """
    for name, value, fits, needed in given:
        if not fits:
            raise SpecError(f"`{name}` is of type {type(value).__name__}; give {needed}")
