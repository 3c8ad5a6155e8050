"""``artune.style_film``: a film in, a styled film out."""

import hashlib
import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from artune.assets import FILM_PAINTER, OnBytes
from artune.errors import InputError, OutputError, SpecError
from artune.extras import require
from artune.files import expanded, file_digest
from artune.images.resize import fitted
from artune.networks.loaded import PainterNetwork
from artune.regions.labels import split_label
from artune.regions.masks import MaskSource
from artune.regions.segment import Segmenter
from artune.spec.options import with_options
from artune.spec.style import Instant, StyleSpec
from artune.transfer.inputs import Keep, Masked, Painting, RegionStyle, Source, read_painting
from artune.transfer.methods import method_of
from artune.transfer.plan import result_size
from artune.transfer.task import Loaded, check_types
from artune.video.formats import format_of
from artune.video.frames import Frame
from artune.video.place import check_place
from artune.video.read import open_film
from artune.video.stills import pictures_of_folder
from artune.video.styler import Look, Part, PartsOf, no_parts, regions_of
from artune.video.stylise import FilmProgress, FilmRun, style_frames, write_so_far
from artune.video.timeline import Timeline

Seconds = Fraction | float | int
"""A time in a film."""


LATEST = 1e9
"""A time must lie before it, seconds."""


def is_time(value: object) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float | Fraction) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: object) -> bool:
    """Whether a value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


@dataclass(frozen=True)
class FilmPart:
    """The part of a film that is styled.

    Attributes:
        start: time of the first frame, seconds.
        end: time before which the last frame is, seconds; ``None``: the end of the film.
        every: each frame is styled, or each second, each third and so on.
        sound: whether the sound is copied.
    """

    start: Seconds = 0
    end: Seconds | None = None
    every: int = 1
    sound: bool = True

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            value = getattr(self, name)
            if value is not None and not (is_time(value) and 0 <= value < LATEST):
                raise SpecError(f"`{name}` is {value}; give seconds from 0 on")
        if self.end is not None and self.end <= self.start:
            raise SpecError(
                f"`end` is {float(self.end):g}, which is not after `start`, {float(self.start):g}; give a later time"
            )
        if not (is_whole(self.every) and self.every >= 1):
            raise SpecError(f"`every` is {self.every}; give 1 for each frame, 2 for each second one")


def style_film(
    source: Path | str,
    out: Path | str,
    *styles: Source | Masked,
    spec: StyleSpec | None = None,
    moments: Sequence[Seconds] | None = None,
    regions: Sequence[RegionStyle] = (),
    keeps: Sequence[Keep] = (),
    segments: Sequence[Part] = (),
    segmenter: Segmenter | None = None,
    weights: Path | str | None = None,
    network: Loaded | None = None,
    part: FilmPart = FilmPart(),
    crf: int | None = None,
    rate: Seconds | None = None,
    overwrite: bool = False,
    resume: bool = False,
    on_step: Callable[[FilmProgress], bool | None] | None = None,
    **options: Any,
) -> Path | None:
    """Style a film.

    Args:
        source: a film, an animation, a folder of pictures, or a pattern of their names.
        out: the result; its suffix chooses the format, and a folder gets numbered pictures.
        styles: one or more paintings.
        spec: how the frames are styled; default: ``StyleSpec(method=Instant())``. An open strength is found for each
            scene.
        moments: when each painting is the only style, in seconds; between two of them, the styles are blended.
        regions: parts of the frames with paintings of their own. A mask may be a folder, with a mask for each frame.
        keeps: parts of the frames of which more is kept; their masks may be folders, too.
        segments: regions and kept parts that ``segmenter`` finds: the mask of each is a name, such as ``person``.
        segmenter: finds them in each frame.
        weights: file with the network's weights.
        network: a loaded network, instead of ``weights``.
        part: the part of the film that is styled.
        crf: quality of the film's coding, from 0 (lossless) to 51; default: 18.
        rate: frames a second of numbered pictures; default: 25.
        overwrite: whether an existing result may be replaced.
        resume: go on with what an interrupted call has left in ``OUT.partial/``.
        on_step: called with the progress; if it returns true, a film of what is finished is written, and
            ``OUT.partial/`` stays.
        options: fields of the spec or of its method.

    Returns:
        the file or folder of the result; ``None`` if the film was cancelled before its first frame.

    Raises:
        InputError: the film, a picture, a mask, the spec or an option cannot be used.
        OutputError: the result exists, or cannot be written.
        WeightsError: weights are missing or do not fit.
        ResourceError: there is not enough memory.
    """
    run = film_run(
        source,
        out,
        *styles,
        spec=spec,
        moments=moments,
        regions=regions,
        keeps=keeps,
        segments=segments,
        segmenter=segmenter,
        weights=weights,
        network=network,
        part=part,
        crf=crf,
        rate=rate,
        **options,
    )
    check_result(run, overwrite=overwrite, resume=resume)
    with closing(style_frames(run, resume=resume)) as frames:
        for progress in frames:
            if on_step is not None and on_step(progress) and progress.event != "ends":
                frames.close()
                return run.out if write_so_far(run) else None
    return run.out


def film_run(
    source: Path | str,
    out: Path | str,
    *styles: Source | Masked,
    spec: StyleSpec | None = None,
    moments: Sequence[Seconds] | None = None,
    regions: Sequence[RegionStyle] = (),
    keeps: Sequence[Keep] = (),
    segments: Sequence[Part] = (),
    segmenter: Segmenter | None = None,
    weights: Path | str | None = None,
    network: Loaded | None = None,
    part: FilmPart = FilmPart(),
    crf: int | None = None,
    rate: Seconds | None = None,
    **options: Any,
) -> FilmRun:
    """Read and check everything for ``style_film``, whose arguments these are; no frame is styled."""
    require("video", "styling a film")
    check_types(
        ("spec", spec, isinstance(spec, StyleSpec | None), "an artune.StyleSpec, or the options by name"),
        ("weights", weights, isinstance(weights, Path | str | None), "a file"),
        ("part", part, isinstance(part, FilmPart), "an artune.FilmPart"),
        ("crf", crf, crf is None or is_whole(crf), "a whole number"),
        ("rate", rate, rate is None or is_time(rate), "frames a second"),
        ("moments", moments, moments is None or all(map(is_time, moments)), "seconds"),
    )
    wanted = with_options(spec or StyleSpec(method=Instant()), options)
    if not (styles or regions or regions_of(segments)) and wanted.method.takes_paintings:
        raise InputError("no style picture was given; give at least one")
    film = open_film(source, None if rate is None else Fraction(rate))
    paintings = tuple(read_painting(style, False) for style in styles)
    timeline = None
    if moments is not None:
        if len(moments) != len(paintings):
            raise SpecError(f"`moments` has {len(moments)} times for {len(paintings)} paintings; give one for each")
        if wanted.style_weights is not None:
            raise SpecError("`moments` and `style_weights` both weigh the paintings; leave out either")
        timeline = Timeline.of([Fraction(moment) for moment in moments])
    info = film.info if part.sound else replace(film.info, sounds=())
    place = expanded(out)
    parts, named = [*map(_read, regions), *keeps], [*map(_read, segments)]
    if named and segmenter is None:
        raise SpecError("`segments` needs a `segmenter`: artune.load_segmenter()")
    loaded = network or load_for_film(wanted, weights)
    loaded.check(wanted)
    look = Look(
        wanted,
        paintings,
        loaded,
        timeline,
        _by_masks(parts),
        _by_segments(named, segmenter) if segmenter is not None and named else no_parts,
    )
    return FilmRun(
        film,
        place,
        format_of(out, info, crf, fitted(*info.size, result_size(wanted, info.size))),
        look,
        _digests(paintings, [*parts, *named]) | ({"segmenter": segmenter.digest} if segmenter is not None else {}),
        Fraction(part.start),
        None if part.end is None else Fraction(part.end),
        part.every,
        expanded(source) if info.sounds else None,
        _files([source, *styles, *(each.style for each in regions), *(each.mask for each in parts)]),
        {files[0].parent: len(files) for files, _ in _mask_folders(parts).values()},
    )


def load_for_film(spec: StyleSpec, weights: Path | str | None = None, on_bytes: OnBytes | None = None) -> Loaded:
    """What a spec's method needs, as for pictures; but the bundled painter is the one that flickers less.

    Args:
        spec: how the frames are styled.
        weights: file with the network's weights.
        on_bytes: called while weights are downloaded.

    Raises:
        WeightsError: weights are missing or do not fit.
    """
    if isinstance(spec.method, Instant) and weights is None:
        return PainterNetwork.load(spec, None, on_bytes, asset=FILM_PAINTER)
    loaded: Loaded = method_of(spec).load(spec, None if weights is None else expanded(weights), on_bytes)
    return loaded


def check_result(run: FilmRun, *, overwrite: bool, resume: bool) -> None:
    """Raise unless the result can be written without losing anything.

    Raises:
        OutputError: it exists, or is one of the inputs; or a film with this result is begun.
    """
    begun = run.partial.folder
    if begun.exists() and not (resume or overwrite):
        raise OutputError(
            f"{begun} is a film that was begun and not finished; go on with `resume`, or start anew with `overwrite`"
        )
    check_place(run.out, run.inputs, replace=overwrite or (resume and begun.exists()))


def _files(given: Sequence[object]) -> tuple[Path, ...]:
    """Those of the things given that are names of files."""
    return tuple(expanded(each) for each in given if isinstance(each, Path | str))


def _read(part: Part) -> Part:
    """A part whose painting is read."""
    return replace(part, style=read_painting(part.style, False)) if isinstance(part, RegionStyle) else part


def _mask_folders(parts: Sequence[Part]) -> dict[int, tuple[list[Path], str]]:
    """The masks of the parts whose masks are folders, by the number of the part, and the label that counts in them."""
    folders = {}
    for number, part in enumerate(parts):
        if isinstance(part.mask, Path | str):
            place, label = split_label(part.mask)
            if expanded(place).is_dir():
                folders[number] = pictures_of_folder(expanded(place)), label
    return folders


def _by_masks(parts: Sequence[Part]) -> PartsOf:
    """The parts of each frame, by masks that are files, arrays, or folders with a file for each frame."""
    folders = _mask_folders(parts)

    def parts_of(frame: Frame) -> Sequence[Part]:
        found = []
        for number, part in enumerate(parts):
            if number in folders:
                files, label = folders[number]
                file = files[frame.number]
                found.append(replace(part, mask=f"{file}#{label}" if label else file))
            else:
                found.append(part)
        return found

    return parts_of


def _by_segments(parts: Sequence[Part], segmenter: Segmenter) -> PartsOf:
    """The parts of each frame that a network finds; their masks are names. A frame may have nothing of a part."""
    names = [str(part.mask) for part in parts]

    def parts_of(frame: Frame) -> Sequence[Part]:
        masks = segmenter.masks(frame.picture, names, absent=True)
        return [replace(part, mask=masks[name]) for part, name in zip(parts, names, strict=True)]

    return parts_of


def _digests(paintings: Sequence[Painting], parts: Sequence[Part]) -> dict[str, str]:
    """sha256 of the paintings, and what names the masks, by role."""
    found = {f"style {number}": _digest(painting) for number, painting in enumerate(paintings)}
    for number, part in enumerate(parts):
        if isinstance(part, Keep):
            found[f"keep {number}"] = f"{_mask_digest(part.mask)} {part.share}"
        else:
            assert isinstance(part.style, Painting)
            found[f"region {number} style"] = _digest(part.style)
            found[f"region {number}"] = f"{_mask_digest(part.mask)} {part.strength}"
    return found


def _mask_digest(mask: MaskSource) -> str:
    """sha256 of an array, a file, or the files of a folder; the name of a part as it is."""
    if not isinstance(mask, Path | str):
        return hashlib.sha256(mask.tobytes()).hexdigest()
    place, label = split_label(mask)
    path = expanded(place)
    if path.is_dir():
        files = "".join(f"{file.name} {file_digest(file)}" for file in pictures_of_folder(path))
        return f"{hashlib.sha256(files.encode()).hexdigest()} {label}"
    return f"{file_digest(path)} {label}" if path.is_file() else str(mask)


def _digest(painting: Painting) -> str:
    weight = painting.weight()
    mask = "" if weight is None else hashlib.sha256(weight.tobytes()).hexdigest()
    return painting.picture.digest() + mask
