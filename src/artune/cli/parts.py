"""The options ``--region``, ``--segment``, ``--style-mask`` and ``--keep``: what is asked for in parts of a picture."""

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from artune.cli.display import download_bar, with_flags
from artune.cli.segment import DEFAULT_MODEL
from artune.errors import ArtuneWarning, InputError, SpecError, WeightsError
from artune.regions.labels import split_label
from artune.transfer.inputs import Keep, Masked, RegionStyle

if TYPE_CHECKING:
    from artune.regions.segment import Segmenter

REGION_FORM, SEGMENT_FORM, STYLE_MASK_FORM = "MASK=STYLE[:STRENGTH]", "NAME=STYLE[:STRENGTH]", "STYLE=MASK"
KEEP_FORM = "MASK|NAME[:SHARE]"


@dataclass(frozen=True)
class Parts:
    """What ``--region``, ``--segment``, ``--style-mask`` and ``--keep`` ask for.

    Attributes:
        styles: the paintings of the rest.
        regions: masks from files.
        segments: parts that a segmentation network finds; here ``mask`` is a name.
        masks: pairs of a painting and its mask.
        model: segmentation network.
        weights: file of its weights.
        keeps: parts of which more is kept, by masks from files.
        kept_names: the same, found by a segmentation network; here ``mask`` is a name.
    """

    styles: tuple[Path, ...]
    regions: tuple[RegionStyle, ...] = ()
    segments: tuple[RegionStyle, ...] = ()
    masks: tuple[tuple[str, str], ...] = ()
    model: str = DEFAULT_MODEL
    weights: Path | None = None
    keeps: tuple[Keep, ...] = ()
    kept_names: tuple[Keep, ...] = ()

    @classmethod
    def parse(
        cls,
        styles: Sequence[Path],
        regions: Sequence[str],
        segments: Sequence[str],
        masks: Sequence[str],
        model: str | None,
        weights: Path | None,
        keeps: Sequence[str] = (),
    ) -> "Parts":
        """Parse the values of the options.

        Raises:
            InputError: naming the option, what it got and what it needs.
        """
        kept = [parse_keep(text) for text in keeps]
        parts = cls(
            tuple(styles),
            tuple(parse_region(text) for text in regions),
            tuple(parse_region(text, option="--segment", form=SEGMENT_FORM) for text in segments),
            tuple(parse_style_mask(text) for text in masks),
            DEFAULT_MODEL if model is None else model,
            weights,
            tuple(keep for keep in kept if _is_mask(str(keep.mask))),
            tuple(keep for keep in kept if not _is_mask(str(keep.mask))),
        )
        if not (segments or parts.kept_names) and (model is not None or weights is not None):
            flag = "--segment-model" if model is not None else "--segment-weights"
            raise SpecError(f"{flag} has no effect without --segment {SEGMENT_FORM}; give both, or leave it out")
        given = [*map(str, styles), *(str(region.style) for region in (*parts.regions, *parts.segments))]
        known = {_place(style) for style in given}
        named = [_place(style) for style, _ in parts.masks]
        for (style, _), place in zip(parts.masks, named, strict=True):
            if named.count(place) > 1:
                raise SpecError(
                    f"--style-mask: {style} has two masks; give one, or a copy of the painting for the other"
                )
            if place not in known:
                raise SpecError(f"--style-mask: {style} is none of the styles ({', '.join(sorted(set(given)))})")
        return parts

    def files(self) -> Iterator[Path]:
        """All files that are read."""
        yield from self.styles
        for region in (*self.regions, *self.segments):
            yield Path(str(region.style))
        masks = [*(region.mask for region in self.regions), *(keep.mask for keep in self.keeps)]
        yield from (Path(split_label(str(mask))[0]) for mask in masks)
        yield from (Path(split_label(mask)[0]) for _, mask in self.masks)
        if self.weights:
            yield self.weights

    def paintings(self) -> list[Path | Masked]:
        """The styles of the rest."""
        return [self._masked(path) for path in self.styles]

    def segmenter(self, device: str, quiet: bool) -> "Segmenter | None":
        """The segmentation network, if a part is to be found by name; a download shows a progress bar."""
        named = [*(str(region.mask) for region in self.segments), *(str(keep.mask) for keep in self.kept_names)]
        if not named:
            return None
        from artune.machine import choose_device
        from artune.regions.segment import check_classes, load_segmenter

        check_classes(self.model, named)
        with download_bar(quiet) as on_bytes:
            try:
                return load_segmenter(self.model, weights=self.weights, device=choose_device(device), on_bytes=on_bytes)
            except WeightsError as error:  # --weights is the loss network's
                raise WeightsError(with_flags(str(error), {"weights": "--segment-weights"})) from error

    def of(
        self, content: Path, segmenter: "Segmenter | None", allow_huge: bool
    ) -> tuple[list[RegionStyle], list[Keep]]:
        """The regions of one photograph, and the parts of which more is kept."""
        from artune.images.read import read_picture

        regions, keeps = list(self.regions), list(self.keeps)
        if segmenter is not None:
            picture = read_picture(content, allow_huge=allow_huge)
            if self.segments:
                masks = segmenter.masks(picture, [str(region.mask) for region in self.segments])
                regions += [replace(region, mask=masks[str(region.mask)]) for region in self.segments]
            if self.kept_names:
                masks = segmenter.masks(picture, [str(keep.mask) for keep in self.kept_names], absent=True)
                keeps += [replace(keep, mask=masks[str(keep.mask)]) for keep in self.kept_names]
                for name in (name for name, mask in masks.items() if not mask.any()):
                    warnings.warn(f"the network finds no {name} in {content}: nothing is kept there", ArtuneWarning, 2)
                keeps = [keep for keep in keeps if isinstance(keep.mask, str | Path) or keep.mask.any()]
        return [replace(region, style=self._masked(Path(str(region.style)))) for region in regions], keeps

    def _masked(self, style: Path) -> Path | Masked:
        masks = [mask for name, mask in self.masks if _place(name) == _place(style)]
        return Masked(style, masks[-1]) if masks else style


def parse_region(text: str, *, option: str = "--region", form: str = REGION_FORM) -> RegionStyle:
    """Parse a region, ``MASK=STYLE`` or ``MASK=STYLE:STRENGTH``.

    File names may hold ``=`` and ``:``. The text is divided at the first ``=`` with an existing file to its left, or
    else at the first of all. A number at the end is a strength unless there is a file with the whole name.

    Args:
        text: what was given.
        option: where, for messages.
        form: what is needed, for messages.

    Raises:
        InputError: with the form that is needed.
    """
    mask, style = _divided(text, option, form)
    head, colon, tail = style.rpartition(":")
    if not colon or os.path.exists(style):
        return RegionStyle(mask, style)
    try:
        strength = float(tail)
    except ValueError:
        if os.path.exists(head):
            raise InputError(f"{option} {text}: {tail!r} is no strength; give a number from 0 to 1") from None
        return RegionStyle(mask, style)
    if not 0 <= strength <= 1:  # nor NaN
        raise InputError(f"{option} {text}: the strength is {tail}; give a number from 0 to 1")
    if not head:
        raise InputError(f"{option} {text}: there is no style before the strength; {form} is needed")
    return RegionStyle(mask, head, strength)


def parse_keep(text: str) -> Keep:
    """Parse a kept part: a file with a mask, or the name of a class, and the share that is kept after a colon.

    Without a share, all is kept. A number at the end is a share unless there is a file with the whole name.

    Raises:
        InputError: with the form that is needed.
    """
    head, colon, tail = text.rpartition(":")
    if not colon or os.path.exists(os.path.expanduser(text)):
        head, tail = text, "1"
    if not head:
        raise InputError(f"--keep {text}: there is no part before the share; {KEEP_FORM} is needed")
    try:
        share = float(tail)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:  # nor NaN
        raise InputError(f"--keep {text}: the share is {tail!r}; give a number from 0 to 1")
    head = os.path.expanduser(head)
    name = split_label(head)[0]
    if not _is_mask(head) and (os.path.dirname(head) or os.path.splitext(name)[1]):  # no class of a network
        raise InputError(f"--keep {text}: there is no file {head}; {KEEP_FORM} is needed")
    return Keep(head, share)


def parse_style_mask(text: str) -> tuple[str, str]:
    """Parse a painting and its mask, ``STYLE=MASK``; divided as in ``parse_region``.

    Raises:
        InputError: with the form that is needed.
    """
    return _divided(text, "--style-mask", STYLE_MASK_FORM)


def _divided(text: str, option: str, form: str) -> tuple[str, str]:
    places = [i for i, letter in enumerate(text) if letter == "="]
    if not places:
        raise InputError(f"{option} {text}: there is no '='; {form} is needed")
    at = next((i for i in places if _is_file(text[:i])), places[0])
    left, right = text[:at], text[at + 1 :]
    if not left or not right:
        raise InputError(f"{option} {text}: nothing stands {'after' if left else 'before'} '='; {form} is needed")
    return os.path.expanduser(left), os.path.expanduser(right)


def _is_file(text: str) -> bool:
    """Whether it names a file, or a file and a label as in ``map.png#person``."""
    text = os.path.expanduser(text)
    return os.path.isfile(text) or any(os.path.isfile(text[:i]) for i, letter in enumerate(text) if letter == "#")


def _is_mask(text: str) -> bool:
    """Whether it names a file; or a folder of masks for the frames of a film, which no class's name does."""
    return _is_file(text) or (os.path.isdir(text) and bool(os.path.dirname(text)))


def _place(path: Path | str) -> str:
    """The absolute path of a file, by which ``./a.jpg`` is ``a.jpg``."""
    return os.path.abspath(path)
