"""Films that FFmpeg reads: times, turns, transparency, seeking, and films that are damaged or none."""

from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import psutil
import pytest

from artune.errors import ArtuneWarning, PictureError
from artune.video import container
from artune.video.colours import HD
from artune.video.container import FilmFile, Turn, turn_of
from tests.films import SIDE, moving, planes, rgb, write_frames, write_sound

MILLI = Fraction(1, 1000)
X264 = {"crf": "10", "g": "6", "bf": "2", "x264-params": "keyint=6:min-keyint=6:scenecut=0"}


def lossless(path, count=5, **options):
    return write_frames(path, [rgb(frame, "bgr0") for frame in moving(count)], **options)


def h264(path, count=40, **options):
    frames = [rgb(frame, "yuv420p") for frame in moving(count)]
    return write_frames(path, frames, codec="libx264", options=X264, **options)


def facts(frames):
    return [(each.number, each.time, each.duration, each.picture.digest()) for each in frames]


def test_frames_of_a_film(tmp_path):
    film = FilmFile(lossless(tmp_path / "a.mkv"))
    assert film.info.size == (SIDE, SIDE)
    assert (film.info.rate, film.info.frames, film.info.bits, film.info.alpha) == (25, 5, 8, False)
    assert film.info.colours is None
    assert film.info.seconds == pytest.approx(0.2)
    found = [*film.frames()]
    assert [(each.number, each.time, each.duration) for each in found] == [
        (n, Fraction(n, 25), Fraction(1, 25)) for n in range(5)
    ]
    for frame, want in zip(found, moving(5), strict=True):
        np.testing.assert_array_equal(frame.picture.to_numpy(), want)


def test_times_that_vary_are_kept(tmp_path):
    times = [Fraction(n, 1000) for n in (0, 40, 47, 500, 1600)]
    film = FilmFile(h264(tmp_path / "a.mp4", 5, times=times))
    found = [*film.frames()]
    assert [each.time for each in found] == times
    assert [each.duration for each in found[:-1]] == [times[n + 1] - times[n] for n in range(4)]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "avi", "ts"])
def test_reading_that_begins_in_the_middle_gives_the_same_frames(tmp_path, monkeypatch, suffix):
    """With B frames, and a key frame for each six frames."""
    film = FilmFile(h264(tmp_path / f"a.{suffix}"))
    whole = facts(film.frames())
    assert len(whole) == 40
    monkeypatch.setattr(container, "_MARGINS", (Fraction(1, 10), Fraction(1, 2)))
    for at in (8, 31):
        time = whole[at][1]
        assert facts(film.frames(after=time, number=at + 1)) == whole[at + 1 :]
        assert facts(film.frames(start=time, number=at)) == whole[at:]
    first = next(film._from(Fraction(1), True))
    assert (first.time > 0) == (suffix != "ts")  # so it was not read from its beginning; in MPEG-TS it is


def test_where_no_key_frame_is_early_enough_the_film_is_read_from_its_beginning(tmp_path, monkeypatch):
    film = FilmFile(h264(tmp_path / "a.mp4"))
    monkeypatch.setattr(film, "_decoded", lambda seek, whole, own=film._decoded: own(seek and seek + 1, whole))
    monkeypatch.setattr(container, "_MARGINS", (Fraction(1, 10),))
    assert next(each.time for each in film.frames(start=Fraction(1, 2))) == Fraction(13, 25)


def test_a_film_without_times_is_timed_by_its_rate(tmp_path):
    film = FilmFile(h264(tmp_path / "a.h264", 12))
    assert [each.time for each in film.frames()] == [Fraction(n, 25) for n in range(12)]
    assert [each.time for each in film.frames(after=Fraction(5, 25))] == [Fraction(n, 25) for n in range(6, 12)]


def stamped(film, monkeypatch, *stamps):
    """The times of a film whose frames have other time stamps, milliseconds."""
    frames = [SimpleNamespace(pts=stamp, dts=None, duration=40, key_frame=True) for stamp in stamps]
    monkeypatch.setattr(film, "_frames", lambda *_: iter(frames))
    monkeypatch.setattr(film, "_picture", lambda _: None)
    return [each.time * 1000 for each in film._timed(None, Fraction(1, 25))]


@pytest.mark.parametrize(
    ("stamps", "times"),
    [
        ((0, 40, 40, 120), (0, 40, 60, 120)),
        ((0, 40, 39, 80), (0, 40, 60, 80)),
        ((None, None, None), (0, 40, 80)),
        ((0, None, 80), (0, 40, 80)),
        ((-40, 0, 40), (0, 20, 40)),
        ((5000, 5040, 0, 40, 80), (5000, 5040, 5080, 5120, 5160)),
    ],
    ids=["twice", "back", "none", "missing", "negative", "begun anew"],
)
def test_times_grow_whatever_the_film_says(tmp_path, monkeypatch, stamps, times):
    film = FilmFile(lossless(tmp_path / "a.mkv"))
    assert stamped(film, monkeypatch, *stamps) == list(times)


def test_a_film_begins_with_its_first_frame_or_sound(tmp_path):
    times = [5 + Fraction(n, 25) for n in range(5)]
    film = FilmFile(lossless(tmp_path / "a.mkv", times=times))
    assert [each.time for each in film.frames()] == [Fraction(n, 25) for n in range(5)]
    film = FilmFile(lossless(tmp_path / "b.mkv", times=times, sounds=["flac"]))
    assert next(film.frames()).time == 5
    assert film.info.sounds == ("flac",)


def test_metadata_that_is_kept(tmp_path):
    told = {"title": "A walk", "location": "+48.1/", "comment": "c"}
    film = FilmFile(lossless(tmp_path / "a.mkv", metadata=told))
    assert film.info.metadata == {"title": "A walk", "comment": "c"}


# a quarter of a turn to the left and to the right, half a turn, left and right exchanged, and a transposition
ONE = 1 << 16
MATRICES = {
    (0, -ONE, ONE, 0): (lambda a: np.rot90(a, 1), True),
    (0, ONE, -ONE, 0): (lambda a: np.rot90(a, -1), True),
    (-ONE, 0, 0, -ONE): (lambda a: np.rot90(a, 2), False),
    (-ONE, 0, 0, ONE): (lambda a: a[:, ::-1], False),
    (ONE, 0, 0, -ONE): (lambda a: a[::-1], False),
    (0, ONE, ONE, 0): (lambda a: a.swapaxes(0, 1), True),
    (0, -ONE, -ONE, 0): (lambda a: a[::-1, ::-1].swapaxes(0, 1), True),
    (ONE, 0, 0, ONE): (lambda a: a, False),
}


@pytest.mark.parametrize("corners", MATRICES)
def test_a_film_is_turned_to_be_upright(tmp_path, corners):
    a, b, c, d = corners
    matrix = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    given = moving(2, 48, 32)
    frames = [rgb(frame, "rgb24") for frame in given]
    path = write_frames(tmp_path / "a.mov", frames, codec="qtrle", matrix=matrix, sample_aspect_ratio=Fraction(4, 3))
    film = FilmFile(path)
    upright, transposed = MATRICES[corners]
    assert film.info.size == ((32, 48) if transposed else (48, 32))
    assert film.info.pixel_aspect == (Fraction(3, 4) if transposed else Fraction(4, 3))
    for frame, want in zip(film.frames(), given, strict=True):
        np.testing.assert_array_equal(frame.picture.to_numpy(), upright(want))


def test_the_turn_of_a_matrix_that_is_a_bit_off():
    matrix = np.array([1000, ONE, 0, -ONE, 900, 0, 0, 0, 1 << 30], np.int32)
    assert turn_of(matrix.tobytes()) == Turn(transposed=True, mirrored=True)


@pytest.mark.parametrize(
    ("suffix", "codec", "pixels", "options"),
    [
        ("webm", "libvpx-vp9", "yuva420p", {"auto-alt-ref": "0", "crf": "4", "b:v": "0"}),
        ("mov", "prores_ks", "yuva444p10le", {"profile": "4444"}),
        ("mkv", "ffv1", "bgra", {}),
    ],
)
def test_transparency(tmp_path, suffix, codec, pixels, options):
    alpha = np.zeros((SIDE, SIDE, 1), np.uint8)
    alpha[:, :16] = 255
    frames = [rgb(np.concatenate([frame, alpha], 2), pixels) for frame in moving(3)]
    film = FilmFile(write_frames(tmp_path / f"a.{suffix}", frames, codec=codec, options=options))
    assert film.info.alpha
    for frame in film.frames():
        assert frame.picture.alpha[:, :14].min() == 1
        assert frame.picture.alpha[:, 18:].max() < 0.02


def test_frames_that_are_opaque_throughout_have_no_alpha(tmp_path):
    frames = [rgb(frame, "yuva444p10le") for frame in moving(2)]
    film = FilmFile(write_frames(tmp_path / "a.mov", frames, codec="prores_ks", options={"profile": "4444"}))
    assert film.info.alpha
    assert [each.picture.alpha for each in film.frames()] == [None, None]


def test_more_than_eight_bits_are_kept(tmp_path):
    frame = planes("yuv444p10le", SIDE, SIDE, 0, 512, 512)
    ramp = np.linspace(64, 940, SIDE * SIDE).round().astype(np.uint16).reshape(SIDE, SIDE)
    np.frombuffer(frame.planes[0], np.uint16).reshape(SIDE, -1)[:, :SIDE] = ramp
    film = FilmFile(write_frames(tmp_path / "a.mkv", [frame], colorspace=1, color_range=1))
    assert (film.info.bits, film.info.colours.matrix) == (10, 1)
    (read,) = film.frames()
    np.testing.assert_allclose(read.picture.pixels[..., 1], (ramp - 64) / 876, atol=1e-6)
    assert len(np.unique(read.picture.pixels)) > 800


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_what_is_told_of_hdr(tmp_path, transfer, name):
    frames = [planes("yuv420p10le", SIDE, SIDE, 500, 512, 512)]
    settings = {"colorspace": 9, "color_primaries": 9, "color_trc": transfer, "color_range": 1}
    film = FilmFile(write_frames(tmp_path / "a.mkv", frames, **settings))
    (note,) = film.info.notes
    assert note.startswith(f"the film is HDR ({name}): its values are styled as they are")
    assert (film.info.colours.matrix, film.info.colours.transfer) == (9, transfer)


def test_a_cover_is_no_film(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(path, "w") as out:
        cover, sound = out.add_stream("mjpeg"), out.add_stream("aac", rate=48000)
        cover.width = cover.height = 64
        cover.pix_fmt, cover.disposition = "yuvj420p", av.stream.Disposition.attached_pic
        out.mux(cover.encode(planes("yuvj420p", 64, 64, 99, 128, 128)))
        write_sound(out, sound, 0.2, 440)
    with pytest.raises(PictureError, match=r"a\.mp4 holds no moving pictures: it is sound alone; give a film"):
        FilmFile(path)


def test_sound_alone(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(path, "w") as out:
        write_sound(out, out.add_stream("flac", rate=48000), 0.2, 440)
    with pytest.raises(PictureError, match="it is sound alone"):
        FilmFile(path)


@pytest.mark.parametrize(
    "text", ["This is no film.\n" * 50, "ffconcat version 1.0\nfile secret.mp4\n", "#EXTM3U\na.ts\n"]
)
@pytest.mark.parametrize("name", ["a.mp4", "a.txt"])
def test_text_is_no_film(tmp_path, text, name):
    (tmp_path / name).write_text(text)
    with pytest.raises(PictureError, match=rf"{name} is no film"):
        FilmFile(tmp_path / name)


def test_what_is_cut_short_gives_the_frames_that_there_are(tmp_path):
    path = h264(tmp_path / "a.mkv", 100)
    whole = facts(FilmFile(path).frames())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    film = FilmFile(path)
    with pytest.warns(ArtuneWarning, match=r"ends at 1\.\d s, though its header tells of 4\.0 s: it is damaged or cut"):
        found = facts(film.frames())
    assert 20 < len(found) < 60
    assert found[:-3] == whole[: len(found) - 3]
    assert facts(film.frames(end=Fraction(1, 2))) == [
        *whole[:12],
        (*whole[12][:2], Fraction(1, 2) - Fraction(12, 25), whole[12][3]),
    ]


def test_a_film_without_its_index_is_refused(tmp_path):
    path = h264(tmp_path / "a.mp4", 10)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(PictureError, match="is no film that FFmpeg reads, or is damaged or cut short: give a film"):
        FilmFile(path)


def test_damaged_packets_are_left_out(tmp_path):
    path = write_frames(tmp_path / "a.mov", [rgb(frame, "rgb24") for frame in moving(8)], codec="png")
    with av.open(path) as film:
        places = [(packet.pos, packet.size) for packet in film.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for number in (3, 4):
        at, size = places[number]
        data[at : at + size] = bytes(size)
    path.write_bytes(data)
    with pytest.warns(
        ArtuneWarning, match="a part of .* is damaged; the frames that cannot be read are left out"
    ) as said:
        found = [*FilmFile(path).frames()]
    assert len(said) == 1
    assert [each.time * 25 for each in found] == [0, 1, 2, 5, 6, 7]
    assert found[2].duration == Fraction(3, 25)


def test_a_last_frame_that_stands_for_long(tmp_path):
    """Matroska tells how long the film is, and not how long its last frame."""
    path = lossless(tmp_path / "a.mkv", 3, times=[Fraction(0), Fraction(1), Fraction(2)])
    data = path.read_bytes()
    old = b"00:00:02.040000000"
    assert old in data
    path.write_bytes(data.replace(old, b"00:00:04.500000000"))
    assert [each.duration for each in FilmFile(path).frames()] == [1, 1, Fraction(5, 2)]


def test_a_film_of_one_frame(tmp_path):
    (frame,) = FilmFile(h264(tmp_path / "a.mp4", 1)).frames()
    assert (frame.time, frame.duration) == (0, Fraction(1, 25))


def test_a_missing_file(tmp_path):
    with pytest.raises(PictureError, match=r"cannot read .*a\.mp4: No such file"):
        FilmFile(tmp_path / "a.mp4")


def test_the_digest_is_that_of_the_file(tmp_path):
    path = lossless(tmp_path / "a.mkv")
    digest = FilmFile(path).digest()
    other = lossless(tmp_path / "b.mkv", 4)
    assert digest == FilmFile(path).digest() != FilmFile(other).digest()


def open_files():
    return psutil.Process().num_fds()


@pytest.mark.skipif(not hasattr(psutil.Process, "num_fds"), reason="files of a process are not counted on this system")
def test_reading_stops_when_no_more_is_asked_for(tmp_path):
    film = FilmFile(h264(tmp_path / "a.mp4"))
    before = open_files()
    frames = film.frames()
    assert next(frames).time == 0
    assert open_files() == before + 1
    frames.close()
    assert open_files() == before


def test_colours_of_a_film_that_does_not_say(tmp_path):
    frames = [planes("yuv420p", 1280, 16, 63, 102, 240)]
    film = FilmFile(write_frames(tmp_path / "a.mkv", frames))
    assert film.info.colours == HD
    (frame,) = film.frames()
    np.testing.assert_allclose(255 * frame.picture.pixels[8, 640], (255, 0, 0), atol=1.3)
