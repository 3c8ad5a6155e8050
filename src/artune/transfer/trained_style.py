"""A trained style that was loaded, to paint any number of photographs."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from artune.engine.modes import own_mode
from artune.errors import SpecError
from artune.images.picture import Picture, from_tensor
from artune.networks.johnson import SMALLEST
from artune.networks.loaded import PainterNetwork
from artune.networks.trained import StyleFile, StyleInfo, StyleNetwork, painter_network
from artune.spec.options import with_options
from artune.spec.style import Instant, StyleSpec, Trained
from artune.transfer.inputs import Keep, Source
from artune.transfer.methods import plan_run, steps
from artune.transfer.result import Result
from artune.transfer.task import Task


class TrainedStyle:
    """A style that ``artune train`` has made; loaded by ``artune.load_style``.

    Called with a photograph, it returns the result, as ``artune.style`` does.

    Args:
        file: what the file holds.
        spec: its device counts.
        style: makes a result. Arguments: photograph, this style, spec, kept parts, whether to read huge pictures.

    Attributes:
        spec: how photographs are styled unless options say otherwise.
        network: what was loaded.
    """

    def __init__(self, file: StyleFile, spec: StyleSpec, style: Callable[..., Result]) -> None:
        self._file, self._style = file, style
        self.network: StyleNetwork | PainterNetwork
        if file.info.base == "painter":
            self.spec = spec.model_copy(update={"method": Instant()})
            self.network = painter_network(file, spec)
        else:
            self.spec = spec.model_copy(update={"method": Trained()})
            self.network = StyleNetwork.of(file, spec)

    def __repr__(self) -> str:
        """The paintings, in one line."""
        return f"TrainedStyle({self.info.base}, {', '.join(self.info.paintings)})"

    @property
    def info(self) -> StyleInfo:
        """What the file says of the style."""
        return self._file.info

    @property
    def thumbnail(self) -> Picture:
        """A small picture that the style has made."""
        return self._file.thumbnail

    @property
    def digest(self) -> str:
        """sha256 of the file."""
        return self._file.digest

    @property
    def paintings(self) -> tuple[Picture, ...]:
        """The paintings that the file holds: those of a painter; Johnson's network needs none."""
        return self._file.paintings

    @property
    def module(self) -> nn.Module:
        """The network itself: Johnson's, from ``[b, 3, h, w]`` in [0, 1] to the same; or the painter."""
        return self.network.painter if isinstance(self.network, PainterNetwork) else self.network.network

    def __call__(
        self, content: Source, *, keeps: Sequence[Keep] = (), allow_huge: bool = False, **options: Any
    ) -> Result:
        """Paint a photograph in the style.

        Args:
            content: the photograph: a picture, a file, or anything else that a picture can be read from.
            keeps: parts in which more of the photograph is kept: a painter's strength is lower there; what Johnson's
                network has painted, which has no strength, is blended with the photograph.
            allow_huge: whether to read pictures above 100 million pixels.
            options: fields of the spec or of its method, such as ``size``; a painter takes ``strength``, too, which is
                found for the photograph otherwise.

        Raises:
            InputError: the picture or an option cannot be used.
            ResourceError: there is not enough memory.
        """
        return self._style(content, self, with_options(self.spec, options), keeps, allow_huge)

    def paint(self, image: Float[Tensor, "1 3 h w"], strength: float | None = None) -> Float[Tensor, "1 3 h w"]:
        """Paint a picture as a tensor, at its own size.

        Args:
            image: ``[1, 3, h, w]``, sRGB in [0, 1].
            strength: of a painter, in [0, 1]; default: that of its training's previews.

        Returns:
            the same shape, in [0, 1], on the device of the style.

        Raises:
            SpecError: a strength is given, and the style has no slider; or the picture is too small.
        """
        network = self.network
        if isinstance(network, PainterNetwork):
            longer = max(image.shape[-2:])
            given = {"size": longer, "strength": self.info.spec.strength if strength is None else strength}
            spec = with_options(self.spec, given)
            task = Task.read(from_tensor(image.cpu()), self.paintings, spec, lambda: network)
            *_, last = steps(plan_run(task))
            return last.state.image
        if strength is not None:
            raise SpecError(str(Trained().strength_fault))
        if min(image.shape[-2:]) < SMALLEST:
            raise SpecError(f"a picture of {min(image.shape[-2:])} pixels is too small; {SMALLEST} a side are needed")
        with own_mode(), torch.no_grad():
            painted: Tensor = network.network(image.to(network.device))
        return painted
