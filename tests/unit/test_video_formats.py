"""How a film is written: what each suffix gets, what it cannot hold, and what is refused before the work begins."""

from dataclasses import replace
from fractions import Fraction

import av
import pytest

from artune.errors import InputError, OutputError
from artune.video.colours import HD, Colours
from artune.video.formats import ANIMATIONS, CONTAINERS, CRF, format_of, quality_options
from artune.video.frames import FilmInfo

INFO = FilmInfo(size=(64, 48), time_base=Fraction(1, 12800), rate=Fraction(25), colours=Colours(6, False, 6, 6))
DEEP, CLEAR = replace(INFO, bits=10), replace(INFO, alpha=True)


@pytest.mark.parametrize(
    ("name", "info", "container", "codec", "bits", "alpha", "note"),
    [
        ("a.mp4", INFO, "mp4", "H.264", 8, False, ""),
        ("a.M4V", INFO, "mp4", "H.264", 8, False, ""),
        ("a.mov", INFO, "mov", "H.264", 8, False, ""),
        ("a.mkv", INFO, "matroska", "H.264", 8, False, ""),
        ("a.webm", INFO, "webm", "VP9", 8, False, ""),
        ("a.mp4", DEEP, "mp4", "HEVC", 16, False, ""),
        ("a.mkv", DEEP, "matroska", "HEVC", 16, False, ""),
        (
            "a.webm",
            DEEP,
            "webm",
            "VP9",
            8,
            False,
            "VP9 is encoded with 8 bits here, and the film has 10; .mp4, .mov and .mkv",
        ),
        ("a.mp4", CLEAR, "mp4", "H.264", 8, False, "MP4 holds no transparency here: transparent parts become white"),
        ("a.webm", CLEAR, "webm", "VP9", 8, True, ""),
        ("a.mkv", CLEAR, "matroska", "VP9", 8, True, ""),
        (
            "a.mkv",
            replace(CLEAR, bits=12),
            "matroska",
            "VP9",
            8,
            True,
            "VP9 keeps 8 bits beside transparency, and the film",
        ),
        ("a.mov", CLEAR, "mov", "ProRes 4444", 16, True, ""),
        ("a.gif", CLEAR, "GIF", "FFV1", 8, True, ""),
        ("a.gif", DEEP, "GIF", "FFV1", 8, False, "GIF keeps 8 bits, and the film has 10"),
        ("a.gif", replace(INFO, rate=Fraction(60)), "GIF", "FFV1", 8, False, "GIF shows 50 frames a second at most"),
        ("a.webp", CLEAR, "WebP", "FFV1", 8, True, ""),
        ("a.apng", replace(CLEAR, bits=12), "APNG", "FFV1", 16, True, ""),
        ("a.png", replace(INFO, sounds=("aac",)), "APNG", "FFV1", 8, False, "APNG has no sound"),
        ("folder", DEEP, ".png", "FFV1", 16, False, ""),
        ("folder", replace(INFO, sounds=("aac",)), ".png", "FFV1", 8, False, "a folder of PNG has no sound"),
        ("f/%04d.tif", DEEP, ".tif", "FFV1", 16, False, ""),
        ("f/%04d.jpg", CLEAR, ".jpg", "FFV1", 8, False, ".jpg holds no transparency: transparent parts become white"),
    ],
)
def test_what_a_film_is_written_as(name, info, container, codec, bits, alpha, note):
    form = format_of(name, info)
    assert (form.container, form.encoder.codec, form.bits, form.alpha) == (container, codec, bits, alpha)
    assert form.encoder.name in av.codecs_available
    assert (form.size, form.rate, form.time_base, form.pixel_aspect) == (info.size, info.rate, info.time_base, 1)
    assert form.is_film == (container in CONTAINERS.values())
    assert form.is_animation == (container in ANIMATIONS.values())
    if note:
        assert form.notes[0].startswith(note)
    assert len(form.notes) == bool(note)
    assert hash(form) == hash(format_of(name, info))


def test_a_folder_that_is_there_may_have_a_suffix(tmp_path):
    (tmp_path / "v1.0").mkdir()
    assert format_of(tmp_path / "v1.0", INFO).container == ".png"


@pytest.mark.parametrize("name", ["a.avi", "a.jpg", "a.txt", "f/%d.psd", "f/%d.xyz"])
def test_what_is_not_written(name):
    with pytest.raises(OutputError, match=f"cannot write {name}"):
        format_of(name, INFO)


def test_a_suffix_that_is_unknown_is_told_the_others():
    with pytest.raises(
        OutputError, match=r"\.avi is no kind of film that artune writes; use \.mp4, .*, a folder, or a pattern"
    ):
        format_of("a.avi", INFO)


@pytest.mark.parametrize("crf", [-1, 52])
def test_a_quality_out_of_range(crf):
    with pytest.raises(InputError, match=rf"`crf` is {crf}; choose a whole number from 0 \(best\) to 51 \(smallest\)"):
        format_of("a.mp4", INFO, crf)


@pytest.mark.parametrize(("name", "info"), [("a.gif", INFO), ("folder", INFO), ("a.mov", CLEAR)])
def test_a_quality_where_there_is_none(name, info):
    with pytest.raises(InputError, match=r"`crf` is 20, and .* has no such quality; leave it out"):
        format_of(name, info, 20)


def test_the_quality_is_on_one_scale():
    assert format_of("a.mp4", INFO).crf == CRF
    assert quality_options(format_of("a.mp4", INFO, 30)) == {"crf": "30"}
    assert quality_options(format_of("a.gif", INFO)) == {}
    for info, name in ((DEEP, "a.mp4"), (INFO, "a.webm")):
        scale = [int(quality_options(format_of(name, info, crf))["crf"]) for crf in range(52)]
        assert scale == sorted(scale)
        assert 0 <= scale[0] < scale[-1] <= 63


@pytest.mark.parametrize(
    ("name", "sound", "taken"),
    [
        *(("a.mp4", sound, True) for sound in ("aac", "mp3", "ac3", "opus", "flac", "alac")),
        *(
            ("a.mov", sound, sound.startswith(("aac", "pcm", "ac3")))
            for sound in ("aac", "pcm_s16le", "ac3", "opus", "flac")
        ),
        *(("a.mkv", sound, True) for sound in ("aac", "opus", "vorbis", "flac", "pcm_s16le", "dts", "truehd")),
        *(("a.webm", sound, sound in ("opus", "vorbis")) for sound in ("opus", "vorbis", "aac", "mp3", "pcm_s16le")),
        *(("a.mp4", sound, False) for sound in ("truehd", "pcm_s16le", "pcm_f32le")),
        ("a.mkv", "unknown", False),
        ("a.mp4", "wmav2", False),
        ("a.mkv", "wmav2", False),
    ],
)
def test_sounds_that_a_container_takes(name, sound, taken):
    info = replace(INFO, sounds=("aac", sound) if name != "a.webm" else (sound,))
    if taken:
        assert format_of(name, info).notes == ()
    else:
        advice = "" if name == "a.mkv" or sound == "wmav2" else "write .mkv, or "
        with pytest.raises(
            OutputError, match=f"does not take the film's sound, which is {sound}: {advice}leave the sound out"
        ):
            format_of(name, info)


@pytest.mark.parametrize(
    ("size", "kept", "said"),
    [
        ((65, 48), (64, 48), "H.264 needs even sides: the last column of 65x48 is cut off"),
        ((64, 47), (64, 46), "H.264 needs even sides: the last row of 64x47 is cut off"),
        ((65, 47), (64, 46), "H.264 needs even sides: the last column and the last row of 65x47 are cut off"),
    ],
)
def test_odd_sides(size, kept, said):
    form = format_of("a.mp4", INFO, size=size)
    assert form.size == kept
    assert form.notes == (said,)
    assert format_of("a.gif", INFO, size=size).size == size
    assert format_of("a.mov", CLEAR, size=size).size == size


def test_a_film_of_one_column():
    with pytest.raises(OutputError, match=r"a film of 1x48 pixels cannot be written as \.mp4; choose \.gif or \.png"):
        format_of("a.mp4", INFO, size=(1, 48))


def test_the_size_that_a_format_can_have():
    with pytest.raises(OutputError, match="20000 pixels a side, where WEBP ends at 16383"):
        format_of("a.webp", INFO, size=(20_000, 10))


def test_colours():
    assert format_of("a.mp4", INFO).colours == INFO.colours
    assert format_of("a.mp4", replace(INFO, colours=None)).colours == HD
    assert format_of("a.mp4", replace(INFO, colours=Colours(8, True, 1, 1))).colours == HD
    full = replace(CLEAR, colours=Colours(1, True, 1, 1))
    assert format_of("a.mov", full).colours == HD  # ProRes has the limited range alone
    assert format_of("a.mkv", full).colours.full_range


def test_times_finer_than_any_container():
    assert format_of("a.mp4", replace(INFO, time_base=Fraction(1, 10**9))).time_base == Fraction(1, 90_000)


def test_without_the_best_encoder(monkeypatch):
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264", "libx265"})
    form = format_of("a.mp4", DEEP)
    assert form.encoder.name == "mpeg4"
    assert form.notes == ("MPEG-4 is encoded with 8 bits here, and the film has 10",)
    assert 1 <= int(quality_options(form)["q"]) <= 4
    monkeypatch.setattr(av, "codecs_available", set())
    with pytest.raises(OutputError, match="this FFmpeg has no encoder libx264 or mpeg4; choose another container"):
        format_of("a.mp4", INFO)
