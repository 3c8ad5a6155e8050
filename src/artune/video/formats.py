"""How a film is written: container, encoder and settings, chosen by the name of the result and what the film holds."""

import os
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from artune.errors import InputError, OutputError
from artune.files import expanded
from artune.images.formats import FORMATS
from artune.images.write import check_suffix
from artune.video.animations import FASTEST_GIF
from artune.video.colours import HD, MATRICES, Colours
from artune.video.frames import UNKNOWN_CODEC, FilmInfo
from artune.video.stills import is_pattern

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""FFmpeg's names of the containers of films, by suffix."""

ANIMATIONS = {".gif": "GIF", ".webp": "WebP", ".apng": "APNG", ".png": "APNG"}
"""Names of the formats of animations, by suffix."""

CRF = 18
"""Quality of a film where none is given, on x264's scale: hardly to be told from the frames."""

_REFUSED = {"mov": ("opus", "flac", "truehd"), "mp4": ("truehd", "pcm_")}
"""Sounds that FFmpeg does not write into a container, or not from every other one, though it says it would: the
beginnings of their names."""

_WORST_CRF = 51
_FINEST = 1_000_000  # most parts of a second in which times are counted
_COUNTED = 90_000  # parts of a second in place of finer ones, as in MPEG


@dataclass(frozen=True)
class Encoder:
    """An encoder of films and its settings.

    Attributes:
        name: FFmpeg's.
        codec: what people call what it makes.
        pixels: FFmpeg's pixel format of the frames that it takes.
        options: FFmpeg's, but for the quality.
        quality: FFmpeg's option of the quality; empty where there is none.
        tag: of its codec in MP4 and MOV, where it is not the usual one.
        even: whether it needs even sides.
    """

    name: str
    codec: str
    pixels: str
    options: tuple[tuple[str, str], ...] = ()
    quality: str = ""
    tag: str = ""
    even: bool = True

    @property
    def alpha(self) -> bool:
        """Whether it keeps transparency."""
        return self.pixels.startswith(("yuva", "bgra", "gbrap"))

    @property
    def deep(self) -> bool:
        """Whether it keeps more than 8 bits."""
        return self.pixels.endswith("le")


# no B frames, so that packet and frame go in the same order; a key frame at most every 250 frames
_X264 = Encoder("libx264", "H.264", "yuv420p", (("preset", "medium"), ("bf", "0")), "crf")
_X265 = Encoder(
    name="libx265",
    codec="HEVC",
    pixels="yuv420p10le",
    options=(("preset", "medium"), ("x265-params", "log-level=none:bframes=0:open-gop=0:frame-threads=2:pools=2")),
    quality="crf",
    tag="hvc1",  # what Apple's players ask for
)
_VPX = (("b:v", "0"), ("deadline", "good"), ("cpu-used", "2"), ("row-mt", "0"))
_VP9 = Encoder("libvpx-vp9", "VP9", "yuv420p", (*_VPX, ("auto-alt-ref", "1"), ("lag-in-frames", "25")), "crf")
_VP9_ALPHA = replace(_VP9, pixels="yuva420p", options=(*_VPX, ("auto-alt-ref", "0")))
_PRORES = Encoder(
    "prores_ks",
    "ProRes 4444",
    "yuva444p10le",
    (("profile", "4444"), ("vendor", "apl0"), ("alpha_bits", "16")),
    even=False,
)
_MPEG4 = Encoder("mpeg4", "MPEG-4", "yuv420p", (("bf", "0"),), "q")
_LOSSLESS = Encoder("ffv1", "FFV1", "bgr0", (("level", "3"), ("g", "1"), ("slicecrc", "1")), even=False)


@dataclass(frozen=True)
class FilmFormat:
    """How a film is written.

    Attributes:
        container: FFmpeg's name of a film's, the name of an animation's format, or the suffix of numbered pictures.
        encoder: of its segments.
        crf: quality on x264's scale; ``None`` where the encoder has no such scale.
        size: width and height of the film, pixels.
        rate: frames a second, on average.
        time_base: unit of its times, seconds.
        bits: of a channel, 8 or 16, of frames that keep all that it can hold.
        alpha: whether it holds transparency; otherwise transparent parts become white.
        colours: of its values.
        pixel_aspect: width over height of a pixel.
        notes: what it cannot hold of the film.
    """

    container: str
    encoder: Encoder
    crf: int | None
    size: tuple[int, int]
    rate: Fraction
    time_base: Fraction
    bits: int
    alpha: bool
    colours: Colours
    pixel_aspect: Fraction
    notes: tuple[str, ...] = ()

    @property
    def is_film(self) -> bool:
        """Whether it is a film that FFmpeg writes."""
        return self.container in CONTAINERS.values()

    @property
    def is_animation(self) -> bool:
        """Whether it is one picture file of several frames; what is neither film nor animation are pictures."""
        return self.container in ANIMATIONS.values()


def format_of(
    out: Path | str, info: FilmInfo, crf: int | None = None, size: tuple[int, int] | None = None
) -> FilmFormat:
    """How a film is written, so that it keeps what its container can hold.

    Args:
        out: a film (``CONTAINERS``), an animation (``ANIMATIONS``), a pattern of the names of numbered pictures, or a
            folder for them, which exists, has no suffix, or ends in ``/``.
        info: the film that was read; with ``sounds`` if they are to be kept.
        crf: quality on x264's scale, 0 (without loss) to 51; default: ``CRF``. Other encoders get what looks the same.
        size: width and height of the frames, pixels; default: those of the film.

    Raises:
        OutputError: the suffix is unknown, or the container does not take a sound of the film.
        InputError: the quality is out of range, or there is no loss whose quality could be chosen.
    """
    path = expanded(out)
    suffix = "" if str(out).endswith(("/", os.sep)) else path.suffix.lower()
    if crf is not None and not 0 <= crf <= _WORST_CRF:
        raise InputError(f"`crf` is {crf}; choose a whole number from 0 (best) to {_WORST_CRF} (smallest)")
    notes: list[str] = []
    if suffix in CONTAINERS:
        container = CONTAINERS[suffix]
        encoder = _film_encoder(container, info, notes)
        _check_sounds(container, suffix, info.sounds)
    else:
        container, encoder = _pictures(path, suffix, info, max(size or info.size), notes)
    if crf is not None and not encoder.quality:
        kind = encoder.codec if suffix in CONTAINERS else suffix or "a folder of pictures"
        raise InputError(f"`crf` is {crf}, and {kind} has no such quality; leave it out, or write .mp4, .mkv or .webm")
    width, height = size or info.size
    if encoder.even and (width % 2 or height % 2):
        if min(width, height) < 2:
            raise OutputError(f"a film of {width}x{height} pixels cannot be written as {suffix}; choose .gif or .png")
        sides = [side for side, odd in (("last column", width % 2), ("last row", height % 2)) if odd]
        verb = "are" if len(sides) > 1 else "is"
        notes.append(
            f"{encoder.codec} needs even sides: the {' and the '.join(sides)} of {width}x{height} {verb} cut off"
        )
        width, height = width - width % 2, height - height % 2
    return FilmFormat(
        container=container,
        encoder=encoder,
        crf=(CRF if crf is None else crf) if encoder.quality else None,
        size=(width, height),
        rate=info.rate,
        time_base=info.time_base if info.time_base.denominator <= _FINEST else Fraction(1, _COUNTED),
        bits=16 if encoder.deep else 8,
        alpha=encoder.alpha and info.alpha,
        colours=_colours(info.colours, encoder),
        pixel_aspect=info.pixel_aspect,
        notes=tuple(notes),
    )


def quality_options(form: FilmFormat) -> dict[str, str]:
    """FFmpeg's options for the quality of a format."""
    return {} if form.crf is None else {form.encoder.quality: str(_SCALES[form.encoder.name](form.crf))}


_SCALES = {
    "libx264": lambda crf: crf,
    "libx265": lambda crf: min(crf + 2, 51),
    "libvpx-vp9": lambda crf: min(max(round(2.4 * crf - 17.5), 0), 63),
    "mpeg4": lambda crf: min(max(round((crf - 10) / 2), 1), 31),
}
"""An encoder's own number for a quality on x264's scale: of about the same PSNR of luma, over painted frames."""


def _film_encoder(container: str, info: FilmInfo, notes: list[str]) -> Encoder:
    import av

    def there(encoder: Encoder) -> bool:
        return encoder.name in av.codecs_available

    deep = info.bits > 8
    if info.alpha:
        if container == "mov" and there(_PRORES):
            return _PRORES
        if container in ("matroska", "webm") and there(_VP9_ALPHA):
            if deep:
                notes.append(f"VP9 keeps 8 bits beside transparency, and the film has {info.bits}")
            return _VP9_ALPHA
        notes.append(f"{container.upper()} holds no transparency here: transparent parts become white")
    if container == "webm":
        wanted = [_VP9]
    else:
        wanted = [_X265] if deep else []
        wanted += [_X264, _MPEG4]
    encoder = next((each for each in wanted if there(each)), None)
    if encoder is None:
        raise OutputError(f"this FFmpeg has no encoder {' or '.join(e.name for e in wanted)}; choose another container")
    if deep and not encoder.deep:
        others = "; .mp4, .mov and .mkv keep 10" if container == "webm" else ""
        notes.append(f"{encoder.codec} is encoded with 8 bits here, and the film has {info.bits}{others}")
    return encoder


def _check_sounds(container: str, suffix: str, sounds: tuple[str, ...]) -> None:
    """Raise where a container does not take a sound as it is."""
    for sound in sounds:
        if not _takes(container, sound):
            other = "write .mkv, or " if _takes("matroska", sound) else ""
            raise OutputError(
                f"{suffix} does not take the film's sound, which is {sound}: {other}leave the sound out with `mute`"
            )


def _takes(container: str, sound: str) -> bool:
    """Whether FFmpeg writes a sound into a container."""
    import io

    import av

    if sound == UNKNOWN_CODEC or sound.startswith(_REFUSED.get(container, ())):
        return False
    with av.open(io.BytesIO(), "w", format=container) as empty:
        return av.Codec(sound, "r").name in empty.supported_codecs


def _pictures(path: Path, suffix: str, info: FilmInfo, longer: int, notes: list[str]) -> tuple[str, Encoder]:
    """The format of an animation, or the suffix of numbered pictures; and what keeps the frames until all are there."""
    if is_pattern(path):
        container, name = suffix, suffix
    elif not suffix or path.is_dir():
        container, name, suffix = ".png", "a folder of PNG", ".png"
    elif suffix in ANIMATIONS:
        container = name = ANIMATIONS[suffix]
    else:
        known = ", ".join([*CONTAINERS, *ANIMATIONS])
        raise OutputError(
            f"cannot write {path}: {suffix} is no kind of film that artune writes; use {known}, a folder, or a pattern "
            "such as frames/%04d.png"
        )
    check_suffix(path.with_suffix(suffix), 8, longer)
    holds = FORMATS[suffix]
    deep = info.bits > 8 and 16 in holds.bits
    if info.alpha and not holds.alpha:
        notes.append(f"{name} holds no transparency: transparent parts become white")
    if info.bits > 8 and not deep:
        notes.append(f"{name} keeps 8 bits, and the film has {info.bits}")
    if info.sounds:
        notes.append(f"{name} has no sound")
    if container == "GIF" and info.rate > FASTEST_GIF:
        notes.append(f"GIF shows {FASTEST_GIF} frames a second at most: some of the film's are left out")
    alpha = info.alpha and holds.alpha
    pixels = ("gbrap16le" if alpha else "gbrp16le") if deep else ("bgra" if alpha else "bgr0")
    return container, replace(_LOSSLESS, pixels=pixels)


def _colours(colours: Colours | None, encoder: Encoder) -> Colours:
    """The colours of the result: those of the film, as far as the encoder can say them."""
    if colours is None or colours.matrix not in MATRICES:
        colours = HD
    return replace(colours, full_range=False) if encoder.name == _PRORES.name else colours
