"""Parts of a picture with styles of their own, as they are typed: masks, names to be found, masks of paintings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from artune.cli.display import download_bar
from artune.cli.segment import DEFAULT_MODEL
from artune.errors import SpecError
from artune.regions.masks import RegionRequest, parse_region, parse_style_mask

if TYPE_CHECKING:
    from artune.regions.segment import Segmenter
    from artune.transfer.inputs import Masked, RegionStyle


@dataclass(frozen=True)
class Parts:
    """Everything that ``--region``, ``--segment`` and ``--style-mask`` say.

    Attributes:
        styles: the paintings of the rest.
        regions: masks from files.
        segments: parts to be found; ``mask`` is their name.
        masks: of paintings.
        model: segmentation network.
        weights: file of its weights.
    """

    styles: tuple[Path, ...]
    regions: tuple[RegionRequest, ...] = ()
    segments: tuple[RegionRequest, ...] = ()
    masks: tuple[tuple[str, str], ...] = ()
    model: str = DEFAULT_MODEL
    weights: Path | None = None

    @classmethod
    def parse(
        cls,
        styles: Sequence[Path],
        regions: Sequence[str],
        segments: Sequence[str],
        masks: Sequence[str],
        model: str | None,
        weights: Path | None,
    ) -> "Parts":
        """What was typed.

        Raises:
            SpecError: naming the option, what it got and what it needs.
        """
        parts = cls(
            tuple(styles),
            tuple(parse_region(text) for text in regions),
            tuple(parse_region(text, option="--segment", form="NAME=STYLE[:STRENGTH]") for text in segments),
            tuple(parse_style_mask(text) for text in masks),
            DEFAULT_MODEL if model is None else model,
            weights,
        )
        if not segments and (model is not None or weights is not None):
            flag = "--segment-model" if model is not None else "--segment-weights"
            raise SpecError(f"{flag} has no effect without --segment NAME=STYLE; give both, or leave it out")
        known = {str(path) for path in styles} | {request.style for request in (*parts.regions, *parts.segments)}
        named = [style for style, _ in parts.masks]
        for style, _ in parts.masks:
            if named.count(style) > 1:
                raise SpecError(
                    f"--style-mask: {style} has two masks; give one, or a copy of the painting for the other"
                )
            if style not in known:
                raise SpecError(f"--style-mask: {style} is none of the styles ({', '.join(sorted(known))})")
        return parts

    def files(self) -> Iterator[Path]:
        """All files that are read."""
        yield from self.styles
        for request in (*self.regions, *self.segments):
            yield Path(request.style)
        yield from (Path(request.mask) for request in self.regions)
        yield from (Path(mask) for _, mask in self.masks)
        if self.weights:
            yield self.weights

    def paintings(self) -> "list[Path | Masked]":
        """The styles of the rest."""
        return [self._masked(str(path)) for path in self.styles]

    def segmenter(self, device: str, quiet: bool) -> "Segmenter | None":
        """The network that finds the parts, if there is one to be found; downloaded with a progress bar if need be."""
        if not self.segments:
            return None
        from artune.machine import choose_device
        from artune.regions.segment import check_classes, load_segmenter

        check_classes(self.model, [request.mask for request in self.segments])
        with download_bar(quiet) as told:
            return load_segmenter(self.model, weights=self.weights, device=choose_device(device), progress=told)

    def of(self, content: Path, segmenter: "Segmenter | None", allow_huge: bool) -> "list[RegionStyle]":
        """The regions of one photograph."""
        from artune.images.read import read_picture
        from artune.transfer.inputs import RegionStyle

        out = [RegionStyle(Path(r.mask), self._masked(r.style), r.strength) for r in self.regions]
        if segmenter is not None:
            found = segmenter.masks(read_picture(content, allow_huge=allow_huge), [r.mask for r in self.segments])
            out += [RegionStyle(found[r.mask], self._masked(r.style), r.strength) for r in self.segments]
        return out

    def _masked(self, style: str) -> "Path | Masked":
        from artune.transfer.inputs import Masked

        masks = [mask for name, mask in self.masks if name == style]
        return Masked(Path(style), Path(masks[-1])) if masks else Path(style)
