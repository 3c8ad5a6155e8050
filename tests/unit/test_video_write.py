"""Films that are written: frames, exact times, sounds byte by byte, and what is left when writing fails."""

import resource
from dataclasses import replace
from fractions import Fraction
from io import BytesIO

import av
import numpy as np
import pytest
from PIL import Image

from artune.errors import OutputError
from artune.files import is_full, temporary_files
from artune.video.colours import HD, Colours
from artune.video.formats import format_of
from artune.video.frames import FilmInfo
from artune.video.read import open_film
from artune.video.write import write_film, write_segment
from tests.films import SIDE, film_times, moving, rgb, sound_packets, write_frames

INFO = FilmInfo(size=(SIDE, SIDE), time_base=Fraction(1, 12800), rate=Fraction(25), colours=HD)
TWENTY_FIFTH = Fraction(1, 25)


@pytest.fixture
def film(tmp_path):
    """Writes frames in segments of four, and reads the film."""

    def write(name, frames, times=None, last=None, info=INFO, crf=None, **options):
        form = format_of(name, info, crf, (frames[0].shape[1], frames[0].shape[0]))
        segments = []
        for at in range(0, len(frames), 4):
            segments.append(tmp_path / f"{name.replace('/', '-')}.{at}.mkv")
            write_segment(segments[-1], frames[at : at + 4], form)
        times = times or [n * TWENTY_FIFTH for n in range(len(frames))]
        last = times[-1] + TWENTY_FIFTH if last is None else last
        write_film(tmp_path / name, iter(segments), times, last, form, **options)
        return tmp_path / name

    return write


def pixels(path):
    return [255 * each.picture.pixels for each in open_film(path).frames()]


FILMS = [("a.mp4", 8), ("a.mov", 8), ("a.mkv", 8), ("a.webm", 8), ("a.mp4", 10), ("a.mkv", 10)]


@pytest.mark.parametrize(("name", "bits"), FILMS)
def test_frames_come_back(film, name, bits):
    frames = moving(10)
    if bits == 10:
        frames = [257 * frame.astype(np.uint16) for frame in frames]
    path = film(name, frames, info=replace(INFO, bits=bits), crf=4)
    found = open_film(path)
    assert (found.info.size, found.info.bits, found.info.rate, found.info.seconds) == ((SIDE, SIDE), bits, 25, 0.4)
    assert found.info.colours == HD
    back = [*found.frames()]
    assert [each.time for each in back] == [n * TWENTY_FIFTH for n in range(10)]
    for each, want in zip(back, moving(10), strict=True):
        off = np.abs(255 * each.picture.pixels - want)
        assert off.mean() < 2.5
        assert np.median(off) < 1.5


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (90, 130, 40)])
@pytest.mark.parametrize(
    "colours",
    [HD, Colours(6, False, 6, 6), Colours(1, True, 1, 1), Colours(9, False, 9, 14)],
    ids=["709", "601", "full", "2020"],
)
def test_a_colour_is_the_same_within_two_levels(film, colour, colours):
    frame = np.full((SIDE, SIDE, 3), colour, np.uint8)
    path = film("a.mp4", [frame] * 2, info=replace(INFO, colours=colours))
    for back in pixels(path):
        np.testing.assert_allclose(back, frame, atol=2)
    assert open_film(path).info.colours == colours


TIMES = [Fraction(n, 12800) for n in (0, 512, 513, 5000, 90_001, 90_002)]


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_times_are_exact_to_the_unit(film, suffix):
    path = film(f"a.{suffix}", moving(6), TIMES, Fraction(100_000, 12800))
    back = [*open_film(path).frames()]
    assert [each.time for each in back] == TIMES
    assert back[-1].duration == Fraction(100_000 - 90_002, 12800)
    assert open_film(path).info.seconds == pytest.approx(100_000 / 12800)


@pytest.mark.parametrize("suffix", ["mkv", "webm"])
def test_times_are_rounded_to_milliseconds_where_the_container_counts_these(film, suffix):
    path = film(f"a.{suffix}", moving(6), TIMES, Fraction(100_000, 12800))
    ticks = [1000 * each.time for each in open_film(path).frames()]
    assert ticks == [0, 40, 41, 391, 7031, 7032]  # which grow, though two of them are nearest to 40
    (*_, last) = open_film(path).frames()
    assert float(last.time + last.duration) == pytest.approx(100_000 / 12800, abs=1e-3)


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(120)])
def test_times_of_other_rates(film, rate):
    times = [n / rate for n in range(8)]
    info = replace(INFO, rate=rate, time_base=1 / rate)
    path = film("a.mp4", moving(8), times, 8 / rate, info)
    back = [*open_film(path).frames()]
    assert [each.time for each in back] == times
    assert {each.duration for each in back} == {1 / rate}
    assert open_film(path).info.rate == rate


def test_a_film_that_begins_late_and_has_gaps(film, tmp_path):
    source = write_frames(tmp_path / "s.mkv", [rgb(frame, "bgr0") for frame in moving(25)], sounds=["aac"])
    times = [Fraction(n, 90_000) for n in (2090, 5690, 50_000)]
    info = replace(INFO, time_base=Fraction(1, 90_000))
    path = film("a.mp4", moving(3), times, times[-1] + 1, info, sound_from=source)
    assert [each.time for each in open_film(path).frames()] == times
    path = film("b.mkv", moving(3), times, times[-1] + 1, info, sound_from=source)
    assert [round(1000 * each) for each in film_times(path)] == [23, 63, 556]


def test_a_film_of_one_frame(film):
    (frame,) = open_film(film("a.mp4", moving(1), last=Fraction(3))).frames()
    assert (frame.time, frame.duration) == (0, 3)


@pytest.mark.parametrize(
    ("name", "info", "levels"),
    [("a.webm", INFO, 0.03), ("a.mkv", INFO, 0.03), ("a.mov", replace(INFO, bits=12), 0.005)],
)
def test_transparency_comes_back(film, name, info, levels):
    alpha = np.zeros((SIDE, SIDE, 1), np.uint8)
    alpha[:, :16], alpha[:, 24:] = 255, 128
    frames = [np.concatenate([frame, alpha], 2) for frame in moving(6)]
    found = open_film(film(name, frames, info=replace(info, alpha=True)))
    assert found.info.alpha
    for frame in found.frames():
        assert frame.picture.alpha[:, :15].min() == 1
        assert frame.picture.alpha[:, 17:23].max() <= levels
        np.testing.assert_allclose(frame.picture.alpha[:, 26:], 128 / 255, atol=levels)


def test_frames_without_alpha_in_a_film_that_has_it(film):
    frames = [*moving(2), *(np.concatenate([frame, np.zeros((SIDE, SIDE, 1), np.uint8)], 2) for frame in moving(2))]
    found = [each.picture.alpha for each in open_film(film("a.webm", frames, info=replace(INFO, alpha=True))).frames()]
    assert found[0] is None
    assert found[1] is None
    assert found[2].max() < 0.02


def test_what_is_transparent_becomes_white_where_there_is_no_transparency(film):
    frame = np.zeros((SIDE, SIDE, 4), np.uint8)
    frame[..., 0], frame[:, 16:, 3] = 200, 255
    (back,) = pixels(film("a.mp4", [frame], info=replace(INFO, alpha=True)))
    np.testing.assert_allclose(back[:, :12], 255, atol=2)
    np.testing.assert_allclose(back[:, 20:, 0], 200, atol=3)
    np.testing.assert_allclose(back[:, 20:, 1:], 0, atol=4)


def test_odd_sides_lose_a_row_and_a_column(film):
    frames = moving(2, 33, 35)
    path = film("a.mp4", frames, crf=2)
    assert open_film(path).info.size == (32, 34)
    assert np.abs(pixels(path)[0] - frames[0][:34, :32]).mean() < 1.5


def test_the_shape_of_pixels(film):
    info = replace(INFO, pixel_aspect=Fraction(64, 45))
    for name in ("a.mp4", "a.mkv"):
        assert open_film(film(name, moving(1), info=info)).info.pixel_aspect == Fraction(64, 45)


# ---------------------------------------------------------------------------------- sound


@pytest.fixture
def heard(tmp_path):
    """A film of two seconds with two sounds."""
    frames = [rgb(frame, "bgr0") for frame in moving(50)]
    return write_frames(tmp_path / "s.mkv", frames, sounds=["aac", "flac"], metadata={"title": "T"})


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_sounds_are_copied_byte_by_byte(film, heard, suffix):
    path = film(f"a.{suffix}", moving(8), sound_from=heard, metadata={"title": "A title", "comment": "c"})
    for number in (0, 1):
        want, got = sound_packets(heard, number), sound_packets(path, number)
        assert len(got) > 20
        assert [data for _, data in got] == [data for _, data in want]
        assert [float(time) for time, _ in got] == pytest.approx([float(time) for time, _ in want], abs=0.6e-3)
    with av.open(path) as found:
        assert [stream.language for stream in found.streams.audio] == ["deu", "fra"]
        told = {key.lower(): value for key, value in found.metadata.items()}
        assert (told["title"], told["comment"]) == ("A title", "c")
    assert film_times(path) == [n * TWENTY_FIFTH for n in range(8)]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_part_of_a_film_has_that_part_of_its_sound(film, heard, suffix):
    start, end = Fraction(1, 2), Fraction(13, 10)
    times = [start + n * TWENTY_FIFTH for n in range(8)]
    path = film(f"a.{suffix}", moving(8), times, end, sound_from=heard, start=start, end=end)
    assert [each.time for each in open_film(path).frames()] == [n * TWENTY_FIFTH for n in range(8)]
    for number in (0, 1):
        want = [(time - start, data) for time, data in sound_packets(heard, number) if start <= time < end]
        got = sound_packets(path, number)
        assert [data for _, data in got] == [data for _, data in want]
        assert [float(time) for time, _ in got] == pytest.approx([float(time) for time, _ in want], abs=0.6e-3)


def test_a_film_without_its_sound(film, heard):
    with av.open(film("a.mp4", moving(2))) as found:
        assert len(found.streams.audio) == 0


# ---------------------------------------------------------------------------------- bytes


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.mov", "a.gif"])
def test_equal_frames_are_equal_files(film, name):
    info = replace(INFO, alpha=name == "a.mov", bits=10 if name == "a.mp4" else 8)
    first = film(name, moving(6), info=info)
    whole, parts = first.read_bytes(), [(first.with_name(f"{name}.{at}.mkv")).read_bytes() for at in (0, 4)]
    film(name, moving(6), info=info)
    assert first.read_bytes() == whole
    assert [(first.with_name(f"{name}.{at}.mkv")).read_bytes() for at in (0, 4)] == parts


def test_the_head_of_an_mp4_comes_first(film):
    data = film("a.mp4", moving(3)).read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_hevc_has_the_tag_that_players_ask_for(film):
    assert b"hvc1" in film("a.mp4", moving(2), info=replace(INFO, bits=10)).read_bytes()


def test_lossless_segments(film, tmp_path, rng):
    """Through a folder of pictures, since these lose nothing."""
    for kind, bits in ((np.uint8, 8), (np.uint16, 10)):
        for channels in (3, 4):
            frames = [rng.integers(0, np.iinfo(kind).max + 1, (9, 7, channels), kind) for _ in range(5)]
            info = replace(INFO, bits=bits, alpha=channels == 4)
            out = film(f"out-{bits}-{channels}", frames, info=info)
            assert sorted(path.name for path in out.iterdir()) == [f"000{n}.png" for n in range(1, 6)]
            for path, want in zip(sorted(out.iterdir()), frames, strict=True):
                (read,) = open_film(path).frames()
                np.testing.assert_array_equal(read.picture.to_numpy(kind), want)


def test_pictures_of_a_pattern(film, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "other.txt").write_text("")
    film("out/f%02d.jpg", moving(3))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["f01.jpg", "f02.jpg", "f03.jpg", "other.txt"]


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_animations(film, name):
    frames = moving(6)
    times = [Fraction(n, 100) for n in (0, 4, 20, 24, 100, 104)]
    path = film(name, frames, times, Fraction(3), metadata={"comment": "c", "title": "t"})
    back = [*open_film(path).frames()]
    assert [each.time for each in back] == times
    assert back[-1].duration == Fraction(196, 100)
    for each, want in zip(back, frames, strict=True):
        assert np.abs(255 * each.picture.pixels - want).mean() < 4
    image = Image.open(BytesIO(path.read_bytes()))
    image.load()
    assert b"c" in (
        image.info.get("comment", b""),
        image.info.get("Comment", "").encode(),
        image.getexif().get(0x010E, "").encode(),
    )


# ---------------------------------------------------------------------------------- failures


def left(folder):
    return [path.name for path in (*temporary_files(folder), *folder.glob("out*"))]


def test_segments_and_times_that_do_not_fit(film, tmp_path):
    for count in (3, 5):
        with pytest.raises(
            OutputError, match=rf"the segments hold (more|fewer) than the {count} frames of the film; make them anew"
        ):
            film("out.mp4", moving(4), [n * TWENTY_FIFTH for n in range(count)])
        assert left(tmp_path) == ["out.mp4.0.mkv"]


def test_segments_of_other_settings(tmp_path):
    one, two = tmp_path / "1.mkv", tmp_path / "2.mkv"
    form = format_of("a.mp4", INFO)
    write_segment(one, moving(2), form)
    write_segment(two, moving(2, 48), replace(form, size=(48, SIDE)))
    with pytest.raises(OutputError, match=r"2\.mkv was encoded with other settings than the first segment"):
        write_film(tmp_path / "out.mp4", [one, two], [n * TWENTY_FIFTH for n in range(4)], Fraction(1), form)
    assert left(tmp_path) == []


def test_a_segment_that_is_damaged(tmp_path):
    path = tmp_path / "1.mkv"
    path.write_bytes(b"no film")
    with pytest.raises(OutputError, match=r"cannot read the segment .*1\.mkv: .*; make it anew"):
        write_film(tmp_path / "out.mp4", [path], [Fraction(0)], Fraction(1), format_of("a.mp4", INFO))
    assert left(tmp_path) == []


def test_no_segments(tmp_path):
    with pytest.raises(OutputError, match="there are no frames to be written"):
        write_film(tmp_path / "out.mp4", [], [], Fraction(1), format_of("a.mp4", INFO))


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        write_segment(tmp_path / "file" / "1.mkv", moving(2), format_of("a.mp4", INFO))


def test_an_interrupt_leaves_what_was_there(tmp_path):
    def frames():
        yield from moving(3)
        raise KeyboardInterrupt

    (tmp_path / "1.mkv").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write_segment(tmp_path / "1.mkv", frames(), format_of("a.mp4", INFO))
    assert (tmp_path / "1.mkv").read_bytes() == b"old"
    assert left(tmp_path) == []


@pytest.fixture
def small_files():
    """No file of more than 4 kB can be written, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def noise(rng):
    return [rng.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(6)]


@pytest.mark.parametrize("name", ["out.mp4", "out.gif"])
def test_a_segment_that_does_not_fit_on_the_disk(tmp_path, rng, small_files, name):
    form = format_of(name, INFO, size=(64, 64))
    with pytest.raises(OutputError, match=r"cannot write .*1\.mkv: File too large; free some space"):
        write_segment(tmp_path / "1.mkv", noise(rng), form)
    assert left(tmp_path) == []


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.gif", "out.webp", "out.png", "out"])
def test_a_film_that_does_not_fit_on_the_disk(tmp_path, rng, request, name):
    form = format_of(name, INFO, size=(64, 64))
    write_segment(tmp_path / "1.mkv", noise(rng), form)
    request.getfixturevalue("small_files")
    with pytest.raises(OutputError, match=r"cannot write .*: File too large; free some space") as error:
        write_film(tmp_path / name, [tmp_path / "1.mkv"], [n * TWENTY_FIFTH for n in range(6)], Fraction(1), form)
    assert not is_full(error.value)
    assert left(tmp_path) == []
