"""The inputs of a run: photograph, paintings, and regions of the photograph with paintings of their own."""

import hashlib
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from artune.errors import ArtuneWarning, InputError, PictureError
from artune.images import color, sources
from artune.images.border import NO_MARGINS, Margins, border_of, cropped
from artune.images.picture import Floats, Picture
from artune.images.resize import NO_WRAPS, Wraps
from artune.images.seamless import seamless, seamless_mask
from artune.regions.labels import split_label
from artune.regions.masks import (
    MaskSource,
    coverage,
    fitted_mask,
    normalised,
    read_all_labels,
    read_label_map,
    read_mask,
    resized_mask,
    with_alpha,
)
from artune.spec.style import StyleSpec

TRANSPARENT = "the photograph is transparent all over; there is nothing to style"
"""Error message for such a photograph."""
Source = sources.Source
"""Anything that a picture can be read from; see ``artune.images.sources.as_picture``."""


@dataclass(frozen=True, eq=False)
class Masked:
    """A painting of which only a part counts.

    The border of the painting is not removed. So a mask that is white everywhere keeps a frame as part of the style.

    Attributes:
        picture: the painting.
        mask: mask of the part.
    """

    picture: Source
    mask: MaskSource


@dataclass(frozen=True, eq=False)
class Painting:
    """A painting that was read.

    Attributes:
        picture: the painting.
        mask: weight of each pixel, ``[h, w]`` in [0, 1]; ``None``: all pixels count.
        border: border that was cut off.
    """

    picture: Picture
    mask: Floats | None = None
    border: Margins = NO_MARGINS

    def weight(self) -> Floats | None:
        """Product of mask and alpha, ``[h, w]``; ``None`` if all pixels count."""
        if self.mask is None:
            return self.picture.alpha
        return with_alpha([self.mask], self.picture.alpha)[0]


@dataclass(frozen=True, eq=False)
class RegionStyle:
    """Request for a region: a part of the photograph that gets a painting of its own.

    If ``mask`` and the mask of ``style`` are both label maps, there is one region for each label that both have, as in
    deep photo style transfer (Luan et al. 2017): sky takes its style from sky, trees from trees.

    Attributes:
        mask: mask of the region; values between 0 and 1 mix its style with the other styles.
        style: painting of the region.
        strength: strength in the region, in [0, 1]; default: that of the spec.
    """

    mask: MaskSource
    style: Source | Masked | Painting
    strength: float | None = None

    def __post_init__(self) -> None:
        if self.strength is not None and not (isinstance(self.strength, int | float) and 0 <= self.strength <= 1):
            raise InputError(f"the strength of a region is {self.strength!r}; give a number from 0 to 1")


@dataclass(frozen=True, eq=False)
class Keep:
    """Request to keep more of the photograph in a part of it: the strength is lower there.

    The part is painted as it would be at that lower strength, so that a face stays a face and a painting. Where several
    parts overlap, the one that keeps most counts.

    Attributes:
        mask: mask of the part; values between 0 and 1 make a soft transition.
        share: share of the photograph that is kept: 0 changes nothing, 1 leaves the photograph as it is.
    """

    mask: MaskSource
    share: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.share, bool) or not (isinstance(self.share, int | float) and 0 <= self.share <= 1):
            raise InputError(f"the share of the photograph to be kept is {self.share!r}; give a number from 0 to 1")


@dataclass(frozen=True, eq=False)
class Kept:
    """A part of the photograph of which more is kept, read and checked.

    Attributes:
        mask: ``[h, w]`` in [0, 1] at the size of the photograph; the masks of all have a sum of at most 1.
        share: share of the photograph that is kept.
    """

    mask: Floats
    share: float


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the photograph and its paintings, read and checked.

    Attributes:
        paintings: one painting, or several to be mixed.
        mask: ``[h, w]`` in [0, 1] at the size of the photograph, without its alpha; ``None``: the whole photograph.
    """

    paintings: tuple[Painting, ...]
    mask: Floats | None = None


@dataclass(frozen=True, eq=False)
class Part:
    """What a region and a kept part have in common, or what nothing is kept of: a part with one strength.

    Attributes:
        region: index of the region.
        mask: ``[h, w]`` in [0, 1] at the size of the photograph, without its alpha; ``None``: the whole photograph.
        kept: share of the photograph that is kept.
    """

    region: int
    mask: Floats | None = None
    kept: float = 0.0


@dataclass(frozen=True, eq=False)
class Inputs:
    """All pictures of a run.

    Attributes:
        photograph: the photograph.
        regions: the requested regions; then the rest of the photograph, if there are paintings for it.
        strengths: strength of each requested region; ``None``: that of the spec.
        covered: share of the result at each pixel, ``[h, w]`` in [0, 1], without alpha; the photograph has the rest.
            ``None``: all pixels are styled.
        digests: sha256 of every picture and mask, by its role in the run; for a painting, of the pixels that are used,
            without its border.
        borders: border that was cut off each painting, by its role in the run; for those that had one. With ``wraps``
            also off the photograph.
        keeps: parts of which more is kept, from the most to the least.
        wraps: axes along which photograph, masks and result repeat.
    """

    photograph: Picture
    regions: tuple[Region, ...]
    strengths: tuple[float | None, ...] = ()
    covered: Floats | None = None
    digests: dict[str, str] = field(default_factory=dict)
    borders: dict[str, Margins] = field(default_factory=dict)
    keeps: tuple[Kept, ...] = ()
    wraps: Wraps = NO_WRAPS

    @classmethod
    def read(
        cls,
        content: Source,
        styles: Sequence[Source | Masked | Painting],
        regions: Sequence[RegionStyle] = (),
        keeps: Sequence[Keep] = (),
        *,
        takes_paintings: bool = True,
        allow_huge: bool = False,
    ) -> "Inputs":
        """Read and check all pictures and masks.

        Args:
            content: the photograph.
            styles: the paintings.
            regions: parts of the photograph with paintings of their own.
            keeps: parts of the photograph of which more is kept. A style without paintings has no strength that could
                be lower there: its result is blended with the photograph.
            takes_paintings: whether the style is that of the paintings; else there must be none.
            allow_huge: whether to read pictures above 100 million pixels.

        Raises:
            InputError: there is no painting, or there are some and must be none; or all of the photograph is kept.
            PictureError: a picture or a mask cannot be used.
        """
        if takes_paintings and not (styles or regions):
            raise InputError("no style picture was given; give at least one")
        if not takes_paintings and (styles or regions):
            raise InputError("a trained style takes no paintings and no regions, as it brings its own; leave them out")
        photograph = read_source(content, allow_huge, "photograph")
        digests = {"content": photograph.digest()}
        kept = _kept(keeps, photograph.size, allow_huge)
        if not takes_paintings:
            if photograph.alpha is not None and photograph.alpha.max() <= 0:
                raise PictureError(TRANSPARENT)
            return cls(photograph, (), digests=digests | _keep_digests(kept), keeps=kept).blended(())
        by_role: dict[str, Painting] = {}
        for index, source in enumerate(styles):
            role = f"style {index}"
            by_role[role] = read_painting(source, allow_huge)
            digests |= _digests(role, by_role[role])
        paintings = list(by_role.values())
        asked = _paired(regions, allow_huge)
        found, masks = [], []
        for index, region in enumerate(asked):
            role = f"region {index} style"
            painting = by_role[role] = read_painting(region.style, allow_huge)
            found.append(Region((painting,)))
            masks.append(_mask(region.mask, photograph.size, f"the mask of region {index + 1}", allow_huge))
            digests |= _digests(role, painting)
            digests[f"region {index}"] = _digest(masks[-1])
        if paintings:
            found.append(Region(tuple(paintings)))
        borders = {role: painting.border for role, painting in by_role.items() if any(painting.border)}
        strengths = tuple(region.strength for region in asked)
        digests |= _keep_digests(kept)
        inputs = cls(photograph, tuple(found), strengths, None, digests, borders, kept)
        if not asked:
            if photograph.alpha is None:
                return inputs.blended([1.0] * len(inputs.parts))
            masks = [np.ones(photograph.alpha.shape, np.float32)]
        else:
            masks = normalised(masks, rest=bool(paintings))
            found = found[: len(masks)]  # there may be no rest
            if len(asked) == 1 and not paintings and photograph.alpha is None and masks[0].min() >= 1:
                return inputs.blended([1.0] * len(inputs.parts))  # one region that is the whole photograph
        shown = [mask.max() > 0 for mask in with_alpha(masks, photograph.alpha)]
        if not any(shown):
            raise PictureError(TRANSPARENT)
        if not all(shown[: len(asked)]):
            raise PictureError(f"region {shown.index(False) + 1} lies where the photograph is transparent")
        masked = [replace(region, mask=mask) for region, mask in zip(found, masks, strict=True)]
        inputs = replace(inputs, regions=tuple(region for region, seen in zip(masked, shown, strict=True) if seen))
        return inputs.blended([1.0] * len(inputs.parts))

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The parts of all regions, region by region; of each, what nothing is kept of comes last."""
        if not self.keeps:
            return tuple(Part(place, region.mask) for place, region in enumerate(self.regions))
        left: Floats = 1 - coverage([each.mask for each in self.keeps])
        shares = [*((each.mask, each.share) for each in self.keeps), (left, 0.0)]
        return tuple(
            Part(place, mask if region.mask is None else region.mask * mask, share)
            for place, region in enumerate(self.regions)
            for mask, share in shares
        )

    def blended(self, shares: Sequence[float]) -> "Inputs":
        """Inputs whose result is blended with the photograph.

        Args:
            shares: share of the result in each part, in [0, 1]; the photograph has the rest. Without regions there are
                no parts: where something is kept, the photograph has the share that is kept.
        """
        if self.keeps and not self.regions:
            return replace(self, covered=1 - coverage([each.share * each.mask for each in self.keeps]))
        masks = [share * part.mask for share, part in zip(shares, self.parts, strict=True) if part.mask is not None]
        covered = coverage(masks) if masks else None
        return replace(self, covered=None if covered is None or covered.min() >= 1 else covered)

    def weight(self, of: Region | Part) -> Floats | None:
        """Product of the mask of a region, or a part, and the photograph's alpha, ``[h, w]``; ``None`` if all pixels
        count."""
        return None if of.mask is None else with_alpha([of.mask], self.photograph.alpha)[0]

    def weight_at(self, of: Region | Part, width: int, height: int) -> Floats | None:
        """The same at another size, ``[height, width]``."""
        weight = self.weight(of)
        return None if weight is None else resized_mask(weight, width, height, self.wraps)

    def photograph_at(self, width: int, height: int) -> Picture:
        """The photograph at another size."""
        return self.photograph.resized(width, height, wraps=self.wraps)

    def kept_at(self, width: int, height: int) -> Floats | None:
        """Share of the photograph that is kept at each pixel, ``[height, width]`` in [0, 1]; ``None``: nowhere any."""
        if not self.keeps:
            return None
        kept = coverage([each.share * each.mask for each in self.keeps])
        return resized_mask(kept, width, height, self.wraps)

    def seamless(self, wraps: Wraps) -> "Inputs":
        """Inputs that repeat without a seam along some axes, and so does what is made of them.

        A border at the edges that meet is cut off with a warning: it would be a line along the seam.

        Raises:
            PictureError: a region lies where the border is.
        """
        if not any(wraps):
            return self
        return self._without_border(wraps)._seamless(wraps)

    def _without_border(self, wraps: Wraps) -> "Inputs":
        down, across = wraps
        repeats = down, down, across, across
        margins = Margins(*(width * each for width, each in zip(border_of(self.photograph), repeats, strict=True)))
        if not any(margins):
            return self
        warnings.warn(
            f"the photograph has a border, which would be a line along the seam: it is cut off: {margins} (pixels)",
            ArtuneWarning,
            stacklevel=4,
        )
        height, width = self.photograph.pixels.shape[:2]
        inside = slice(margins.top, height - margins.bottom), slice(margins.left, width - margins.right)
        regions = [
            region if region.mask is None else replace(region, mask=region.mask[inside]) for region in self.regions
        ]
        for number in range(len(regions), 0, -1):
            mask = regions[number - 1].mask
            if mask is None or mask.any():
                continue
            if number <= len(self.strengths):
                raise PictureError(f"region {number} lies where the border of the photograph is cut off")
            del regions[number - 1]  # there is no rest
        return replace(
            self,
            photograph=cropped(self.photograph, margins),
            regions=tuple(regions),
            keeps=tuple(replace(each, mask=each.mask[inside]) for each in self.keeps),
            borders={**self.borders, "content": margins},
        )

    def _seamless(self, wraps: Wraps) -> "Inputs":
        regions = tuple(
            region if region.mask is None else replace(region, mask=seamless_mask(region.mask, wraps))
            for region in self.regions
        )
        keeps = tuple(replace(each, mask=seamless_mask(each.mask, wraps)) for each in self.keeps)
        photograph = seamless(self.photograph, wraps)
        inputs = replace(self, photograph=photograph, regions=regions, keeps=keeps, wraps=wraps)
        return inputs.blended([1.0] * len(inputs.parts))

    def covered_at(self, width: int, height: int) -> Floats | None:
        """Share of the result at each pixel, ``[height, width]`` in [0, 1]; ``None`` if it is 1 everywhere.

        It is 0 where the photograph is transparent.
        """
        covered = None if self.covered is None else resized_mask(self.covered, width, height, self.wraps)
        if self.photograph.alpha is None:
            return covered
        alpha = self.photograph_at(width, height).alpha
        seen = (np.asarray(alpha) > 0).astype(np.float32)
        return seen if covered is None else covered * seen

    @property
    def paintings(self) -> list[Painting]:
        """All paintings of all regions."""
        return [painting for region in self.regions for painting in region.paintings]

    def coloured(self, spec: StyleSpec) -> "Inputs":
        """Inputs in the colours that the network sees; see ``StyleSpec.color``."""
        if spec.color == "style":
            return self
        photograph = self.photograph
        shown = photograph
        if spec.color == "content-luminance":
            shown = replace(photograph, pixels=color.grey(photograph.filled(), spec.color_space))

        def changed(painting: Painting, region: Region) -> Painting:
            weight = self.weight(region)
            if spec.color == "content-luminance":
                pixels = color.luminance_matched(
                    painting.picture.filled(), photograph.filled(), spec.color_space, painting.weight(), weight
                )
            else:
                pixels = color.match(
                    painting.picture.filled(),
                    photograph.filled(),
                    how=spec.color_match,
                    space=spec.color_space,
                    weight=painting.weight(),
                    target_weight=weight,
                )
            return replace(painting, picture=replace(painting.picture, pixels=pixels))

        regions = tuple(
            replace(region, paintings=tuple(changed(painting, region) for painting in region.paintings))
            for region in self.regions
        )
        return replace(self, photograph=shown, regions=regions)


def read_source(source: Source, allow_huge: bool = False, role: str = "picture") -> Picture:
    """Read a picture from any source; see ``artune.images.sources.as_picture``.

    Raises:
        PictureError: the picture cannot be read, or has values outside [0, 1].
    """
    return sources.as_picture(source, allow_huge=allow_huge, role=role)


def read_painting(source: Source | Masked | Painting, allow_huge: bool) -> Painting:
    """Read a painting, unless it was read before. Its border is cut off with a warning, unless it comes with a mask."""
    if isinstance(source, Painting):
        return source
    if not isinstance(source, Masked):
        picture = read_source(source, allow_huge, "style picture")
        margins = border_of(picture)
        if any(margins):
            warnings.warn(
                f"{_name(source)} has a border, which is cut off and not taken for style: {margins} (pixels). "
                "A mask that is white all over keeps it",
                ArtuneWarning,
                stacklevel=4,
            )
        painting = Painting(cropped(picture, margins), border=margins)
    else:
        picture = read_source(source.picture, allow_huge, "style picture")
        painting = Painting(picture, _mask(source.mask, picture.size, "the mask of a style", allow_huge))
    weight = painting.weight()
    if weight is not None and weight.max() <= 0:
        raise PictureError("a style picture is transparent, or masked, all over; there is nothing to take a style from")
    return painting


def _name(painting: Source) -> str:
    """What messages call a painting: its file, where it has one."""
    return os.fspath(painting) if isinstance(painting, str | os.PathLike) else "a style picture"


def _mask(source: MaskSource, size: tuple[int, int], what: str, allow_huge: bool) -> Floats:
    return fitted_mask(read_mask(source, where=what, allow_huge=allow_huge), size, where=what)


def _kept(keeps: Sequence[Keep], size: tuple[int, int], allow_huge: bool) -> tuple[Kept, ...]:
    """The parts of which more is kept, from the most to the least; where they overlap, the first has the pixel."""
    found = []
    for number, keep in enumerate(keeps, start=1):
        if not isinstance(keep, Keep):
            raise InputError(f"a {type(keep).__name__} keeps nothing; give an artune.Keep(mask, share)")
        found.append(Kept(_mask(keep.mask, size, f"the mask of kept part {number}", allow_huge), float(keep.share)))
    left = np.ones(size[::-1], np.float32)
    disjoint = []
    for kept in sorted(found, key=lambda each: -each.share):
        own = np.minimum(kept.mask, left)
        left = left - own
        disjoint.append(replace(kept, mask=own))
    if found and not any((left + sum(each.mask for each in disjoint if each.share < 1)).ravel() > 0):
        raise InputError("all of the photograph is kept, and nothing is left to style; keep a part, or a smaller share")
    return tuple(disjoint)


def _paired(regions: Sequence[RegionStyle], allow_huge: bool) -> list[RegionStyle]:
    """Replace each region of two label maps by one region for each label that both have."""
    divided: list[RegionStyle] = []
    for number, region in enumerate(regions, start=1):
        if not isinstance(region, RegionStyle):
            raise InputError(f"a {type(region).__name__} is no region; give an artune.RegionStyle(mask, style)")
        here, there = f"the mask of region {number}", "the mask of its style"
        labels = None
        if isinstance(region.style, Masked) and not _is_one_part(region.style.mask):
            labels = read_label_map(region.mask, where=here, allow_huge=allow_huge)
        if labels is None or not isinstance(region.style, Masked):
            divided.append(region)
            continue
        others = read_all_labels(region.style.mask, where=there, allow_huge=allow_huge)
        pairs = list(labels.pairs(others))
        if not pairs:
            raise PictureError(
                f"{here} and that of its style have no label in common: {labels.where} has {labels}; {others.where} "
                f"has {others}"
            )
        alone = [str(label) for label in labels.labels if label not in [label for label, _, _ in pairs]]
        if alone:
            warnings.warn(
                f"{here} and that of its style do not share, or have a few pixels only of, the labels "
                f"{', '.join(alone)}: these parts take no style from this painting",
                ArtuneWarning,
                stacklevel=4,
            )
        picture = read_source(region.style.picture, allow_huge)
        divided += [RegionStyle(own, Masked(picture, its), region.strength) for _, own, its in pairs]
    return divided


def _is_one_part(mask: MaskSource) -> bool:
    """Whether a mask is a file of which one label was chosen."""
    return isinstance(mask, str | Path) and bool(split_label(mask)[1])


def _digests(name: str, painting: Painting) -> dict[str, str]:
    digests = {name: painting.picture.digest()}
    return digests if painting.mask is None else digests | {f"{name} mask": _digest(painting.mask)}


def _keep_digests(keeps: Sequence[Kept]) -> dict[str, str]:
    return {f"keep {number}": _digest(each.mask, each.share) for number, each in enumerate(keeps)}


def _digest(mask: Floats, share: float | None = None) -> str:
    about = f"{mask.shape}" if share is None else f"{mask.shape} {share!r}"
    return hashlib.sha256(about.encode() + mask.tobytes()).hexdigest()
