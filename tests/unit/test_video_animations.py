"""Animations that are written frame by frame: others read them, with their times, colours and transparency."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from artune.video.animations import CLEAR, write_apng, write_gif, write_webp
from tests.films import moving


def bounds(*ticks, unit=1000):
    return [Fraction(tick, unit) for tick in ticks]


BOUNDS = bounds(0, 40, 240, 270, 3270)


def write(kind, frames, times, note=""):
    file = io.BytesIO()
    if kind == "gif":
        write_gif(file, lambda: iter(frames), times, note)
    elif kind == "webp":
        exif = Image.Exif()
        exif[0x010E] = note
        write_webp(file, iter(frames), times, exif.tobytes() if note else b"")
    else:
        write_apng(file, iter(frames), times, note)
    return file.getvalue()


def read(data):
    """Frames and durations, by Pillow."""
    image = Image.open(io.BytesIO(data))
    found = []
    for index in range(image.n_frames):
        image.seek(index)
        image.load()
        found.append((np.asarray(image.convert("RGBA")), image.info["duration"]))
    return found, image


KINDS = {"gif": 40, "webp": 25, "apng": 0}
"""The greatest differences of a value that are to be expected: of a palette, and of a loss."""


@pytest.mark.parametrize("kind", KINDS)
def test_frames_and_durations_come_back(kind):
    frames = moving(4, 40, 24)
    found, image = read(write(kind, frames, BOUNDS))
    assert image.size == (40, 24)
    assert image.info["loop"] == 0
    assert [duration for _, duration in found] == [40, 200, 30, 3000]
    for (got, _), want in zip(found, frames, strict=True):
        assert got[..., 3].min() == 255
        assert np.abs(got[..., :3].astype(int) - want).max() <= KINDS[kind]
        assert np.abs(got[..., :3].astype(int) - want).mean() <= KINDS[kind] / 10


@pytest.mark.parametrize("kind", ["gif", "apng"])
def test_ffmpeg_reads_them(kind):
    with av.open(io.BytesIO(write(kind, moving(4), BOUNDS))) as film:
        frames = [*film.decode(video=0)]
    assert len(frames) == 4
    assert [float(frame.pts * frame.time_base) for frame in frames] == pytest.approx([0, 0.04, 0.24, 0.27])


@pytest.mark.parametrize("kind", KINDS)
def test_transparent_parts_show_nothing_of_the_frame_before(kind):
    frames = []
    for number in range(3):
        frame = np.zeros((16, 16, 4), np.uint8)
        frame[4 * number : 4 * number + 6] = (200, 30 * number, 0, 255)
        frames.append(frame)
    found, _ = read(write(kind, frames, bounds(0, 100, 200, 300)))
    for (got, _), want in zip(found, frames, strict=True):
        np.testing.assert_array_equal(got[..., 3], want[..., 3])
        seen = want[..., 3] == 255
        assert np.abs(got[seen].astype(int) - want[seen]).max() <= KINDS[kind] * 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (33, 17)])
def test_one_frame_of_any_size(kind, size):
    width, height = size
    frame = np.full((height, width, 3), 90, np.uint8)
    image = Image.open(io.BytesIO(write(kind, [frame], bounds(0, 500))))
    assert image.size == size
    assert np.abs(np.asarray(image.convert("RGB")).astype(int) - 90).max() <= 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_comment(kind):
    data = write(kind, moving(2), bounds(0, 40, 80), "made by artune, " * 40)
    image = Image.open(io.BytesIO(data))
    image.load()
    comment = image.info.get("comment") or image.info.get("Comment") or image.getexif()[0x010E]
    comment = comment.decode() if isinstance(comment, bytes) else comment
    assert comment.strip() == ("made by artune, " * 40).strip()


def test_sixteen_bits_of_an_apng(rng):
    frames = [rng.integers(0, 65536, (8, 12, 4), np.uint16) for _ in range(3)]
    with av.open(io.BytesIO(write("apng", frames, bounds(0, 1, 2, 3, unit=30)))) as film:
        found = [*film.decode(video=0)]
    for frame, want in zip(found, frames, strict=True):
        np.testing.assert_array_equal(frame.to_ndarray(format="rgba64le"), want)


def test_durations_of_an_apng_are_fractions():
    data = write("apng", moving(3), bounds(0, 1001, 2002, 3003, unit=30000))
    places = [at for at in range(len(data)) if data[at : at + 4] == b"fcTL"]
    assert [
        (int.from_bytes(data[at + 24 : at + 26], "big"), int.from_bytes(data[at + 26 : at + 28], "big"))
        for at in places
    ] == [(1001, 30000)] * 3


@pytest.mark.parametrize(("seconds", "want"), [(Fraction(90_000), 65_535), (Fraction(1, 10**9), 0)])
def test_durations_beyond_what_an_apng_holds(seconds, want):
    found, _ = read(write("apng", moving(2), [Fraction(0), seconds, seconds + 1]))
    assert found[0][1] / 1000 == pytest.approx(want, abs=0.001)


def test_a_gif_leaves_out_what_browsers_would_show_too_long():
    """At 120 frames a second, about each second one is left; none is shorter than 20 ms, and the whole is as long."""
    found, _ = read(write("gif", moving(13), bounds(*range(14), unit=120)))
    durations = [duration for _, duration in found]
    assert durations == [20] * 6
    assert sum(durations) == pytest.approx(13000 / 120, abs=12)


def test_all_frames_of_a_gif_have_one_palette():
    """What does not change keeps its colours to the bit, whatever else there is in a frame."""
    still = np.random.default_rng(1).integers(0, 256, (32, 16, 3), np.uint8)
    frames = [np.concatenate([still, np.full((32, 16, 3), level, np.uint8)], 1) for level in (0, 90, 180, 255)]
    found, _ = read(write("gif", frames, bounds(0, 40, 80, 120, 160)))
    for got, _ in found[1:]:
        np.testing.assert_array_equal(got[:, :16], found[0][0][:, :16])


def test_black_is_not_taken_for_the_transparent_colour():
    frame = np.zeros((4, 4, 4), np.uint8)
    frame[..., 3] = 255
    frame[0, 0] = (255, 255, 255, 0)
    ((got, _),) = read(write("gif", [frame], bounds(0, 40)))[0]
    assert got[..., 3].sum() == 15 * 255
    assert got[1, 1].tolist() == [0, 0, 0, 255]
    assert CLEAR == 255


def test_a_gif_that_is_transparent_throughout():
    ((got, _),) = read(write("gif", [np.zeros((4, 4, 4), np.uint8)], bounds(0, 40)))[0]
    assert got[..., 3].max() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_equal_frames_are_equal_files(kind):
    assert write(kind, moving(3), bounds(0, 40, 80, 120)) == write(kind, moving(3), bounds(0, 40, 80, 120))
