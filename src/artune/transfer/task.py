"""What is asked for: pictures that were read and a spec that was checked, but not resolved yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from artune.backbones.network import Network
from artune.errors import SpecError
from artune.images.picture import Picture
from artune.spec.style import StyleSpec
from artune.transfer.budget import Room
from artune.transfer.inputs import Inputs, Masked, RegionStyle, Source
from artune.transfer.plan import recipe_of, resolve, with_own_names
from artune.transfer.sizes import check_sizes
from artune.transfer.start import given_start

DECIDED = (
    "there is no strength to be found: it was given, or the weights of content and style were, or the scale is not "
    "calibrated, or each region has its own; leave them out"
)
"""What those read who ask for the balance of a task that leaves nothing open."""


def check_types(*given: tuple[str, object, bool, str]) -> None:
    """Raise for the first argument that is of a wrong type.

    Args:
        given: name, value, whether it fits, and what is needed.

    Raises:
        SpecError: naming it.
    """
    for name, value, fits, needed in given:
        if not fits:
            raise SpecError(f"{name} is of type {type(value).__name__}; give {needed}")


@dataclass(frozen=True, eq=False)
class Task:
    """One photograph to be styled.

    Attributes:
        spec: as it was given, with the network's own names for its layers.
        inputs: the pictures.
        regions: the strength that each region came with, if it did.
        styles: how many paintings style the rest.
        first: the picture to start from, where one was given.
        network: the loss network.
    """

    spec: StyleSpec
    inputs: Inputs
    regions: tuple[float | None, ...]
    styles: int
    first: Picture | None
    network: Network

    @classmethod
    def read(
        cls,
        content: Source,
        styles: Sequence[Source | Masked],
        spec: StyleSpec,
        *,
        regions: Sequence[RegionStyle] = (),
        weights: Path | str | None = None,
        network: Network | None = None,
        first: Source | None = None,
        allow_huge: bool = False,
    ) -> Self:
        """Read and check; the arguments are those of :func:`artune.style`."""
        inputs = Inputs.read(content, styles, regions, allow_huge=allow_huge)
        if network is not None and weights is not None:
            raise SpecError("both a network and weights are given; leave out either")
        network = network or Network.load(spec, weights)
        network.check(spec)
        given = given_start(spec.method.start, first, allow_huge)
        if given is not None:
            spec = spec.model_copy(update={"method": spec.method.model_copy(update={"start": "file"})})
            inputs.digests["start"] = given.digest()
        inputs.digests["weights"] = network.digest
        strengths = tuple(region.strength for region in regions)
        return cls(with_own_names(spec, network.backbone), inputs, strengths, len(styles), given, network)

    @property
    def open(self) -> bool:
        """Whether a strength is to be found: it was left open, and something depends on it."""
        method = self.spec.method
        stated = method.content_weight is not None and method.style_weight is not None
        used = self.styles > 0 or (self.spec.region_strengths is None and None in self.regions)
        return self.spec.strength == "auto" and method.scale == "calibrated" and used and not stated

    def resolved(self, strength: float | None = None) -> StyleSpec:
        """The spec with every choice made, and checked against the network.

        Args:
            strength: where the spec leaves it open.
        """
        network = self.network
        resolved = resolve(
            self.spec,
            self.inputs.photograph.size,
            self.styles,
            device=str(network.device),
            precision=network.precision,
            smallest=network.backbone.smallest,
            regions=self.regions,
            smooth=network.smooth,
            recipe=recipe_of(self.spec.method.network, network.backbone.taps),
            strength=strength,
        )
        method = resolved.method
        network.backbone.check([*(method.content_layers or {}), *(method.style_layers or {})])
        check_sizes(resolved, self.inputs.photograph, network)
        return resolved

    def room(self, spec: StyleSpec) -> Room:
        """What a resolved spec needs of the memory."""
        paintings = [painting.picture for painting in self.inputs.paintings]
        masks = sum(place.mask is not None for place in self.inputs.places)
        return Room(spec, self.inputs.photograph, paintings, self.network, masks)
