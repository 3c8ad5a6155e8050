"""Numbered pictures and animations as films."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from artune.errors import PictureError
from artune.images.picture import Picture
from artune.images.write import write_picture
from artune.video.stills import (
    Animation,
    NumberedPictures,
    is_pattern,
    numbered_name,
    pictures_of_folder,
    pictures_of_pattern,
)

SECOND = Fraction(1)


def grey(level, path, size=(6, 4)):
    Image.new("RGB", size, (level,) * 3).save(path)
    return path


def levels(film, **options):
    return [round(255 * float(each.picture.pixels[0, 0, 0])) for each in film.frames(**options)]


def test_a_folder_in_natural_order(tmp_path):
    for number in (10, 9, 1, 100):
        grey(number, tmp_path / f"f{number}.png")
    (tmp_path / "notes.txt").write_text("")
    film = NumberedPictures(pictures_of_folder(tmp_path), Fraction(10))
    assert levels(film) == [1, 9, 10, 100]
    assert film.info.size == (6, 4)
    assert (film.info.rate, film.info.frames, film.info.seconds, film.info.bits) == (10, 4, 0.4, 8)
    assert film.info.colours is None
    assert [(each.time, each.duration) for each in film.frames()] == [
        (Fraction(n, 10), Fraction(1, 10)) for n in range(4)
    ]
    assert levels(film, after=Fraction(1, 10)) == [10, 100]


def test_an_empty_folder(tmp_path):
    with pytest.raises(PictureError, match="there is no picture in"):
        pictures_of_folder(tmp_path)


@pytest.mark.parametrize(
    ("pattern", "names", "want"),
    [
        ("%d.png", ("1.png", "10.png", "2.png", "x.png", "1.jpg"), ("1.png", "2.png", "10.png")),
        ("a%03d.png", ("a001.png", "a1000.png", "a02.png", "a999.png"), ("a001.png", "a999.png", "a1000.png")),
        ("[x]%d(1).png", ("[x]7(1).png", "x8(1).png"), ("[x]7(1).png",)),
    ],
)
def test_a_pattern(tmp_path, pattern, names, want):
    for name in names:
        (tmp_path / name).write_bytes(b"")
    assert is_pattern(tmp_path / pattern)
    assert [path.name for path in pictures_of_pattern(tmp_path / pattern)] == [*want]


@pytest.mark.parametrize("name", ["a.png", "100%.png", "%s.png", "%d-%d.png"])
def test_no_pattern(tmp_path, name):
    assert not is_pattern(tmp_path / name)


@pytest.mark.parametrize(("pattern", "name"), [("%d.png", "7.png"), ("a%04d.png", "a0007.png"), ("%3d.png", "  7.png")])
def test_the_name_of_a_number(tmp_path, pattern, name):
    assert numbered_name(tmp_path / pattern, 7) == tmp_path / name


def test_a_pattern_without_pictures(tmp_path):
    with pytest.raises(PictureError, match=r"there is no picture .*a001\.png, nor one of another number"):
        pictures_of_pattern(tmp_path / "a%03d.png")
    with pytest.raises(PictureError, match="cannot read the folder"):
        pictures_of_pattern(tmp_path / "none" / "a%03d.png")


def test_pictures_of_several_sizes(tmp_path):
    paths = [grey(1, tmp_path / "1.png"), grey(2, tmp_path / "2.png", (4, 6))]
    with pytest.raises(
        PictureError, match=r"2\.png has 4x6 pixels, and .*1\.png 6x4: the pictures of a film are of one"
    ):
        NumberedPictures(paths, SECOND)


def test_a_picture_that_changed_meanwhile(tmp_path):
    film = NumberedPictures([grey(1, tmp_path / "1.png"), grey(2, tmp_path / "2.png")], SECOND)
    grey(2, tmp_path / "2.png", (5, 5))
    with pytest.raises(PictureError, match="are of one size"):
        levels(film)


def test_a_picture_that_is_turned_by_its_exif_has_the_size_of_the_others(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4, 6)).save(tmp_path / "2.jpg", exif=exif)
    film = NumberedPictures([grey(0, tmp_path / "1.png"), tmp_path / "2.jpg"], SECOND)
    assert len([*film.frames()]) == 2


def test_sixteen_bits(tmp_path, rng):
    picture = Picture(rng.random((4, 6, 3), np.float32), rng.random((4, 6), np.float32))
    write_picture(picture, tmp_path / "1.png", bits=16)
    film = NumberedPictures([tmp_path / "1.png"], SECOND)
    assert (film.info.bits, film.info.alpha) == (16, True)
    (frame,) = film.frames()
    assert np.abs(frame.picture.pixels - picture.pixels).max() < 1e-5


def test_a_rate_of_nothing(tmp_path):
    with pytest.raises(PictureError, match="`rate` is 0; choose a number of frames a second above 0"):
        NumberedPictures([grey(1, tmp_path / "1.png")], Fraction(0))


def test_the_digest_tells_pictures_order_and_rate(tmp_path):
    one, two = grey(1, tmp_path / "1.png"), grey(2, tmp_path / "2.png")
    digests = {
        NumberedPictures(paths, rate).digest() for paths in ([one, two], [two, one]) for rate in (SECOND, 2 * SECOND)
    }
    assert len(digests) == 4
    assert NumberedPictures([one, two], SECOND).digest() in digests


# ---------------------------------------------------------------------------------- animations


def shapes():
    """Each frame draws one column and leaves the rest transparent."""
    frames = []
    for number in range(4):
        values = np.zeros((8, 8, 4), np.uint8)
        values[:, 2 * number : 2 * number + 2] = (250, 50 * number, 0, 255)
        values[3, 2 * number] = 0  # or the encoder of WebP would write the column alone, as opaque
        frames.append(Image.fromarray(values))
    return frames


DURATIONS = [40, 100, 20, 1000]


@pytest.mark.parametrize(
    ("suffix", "options"), [("gif", {"disposal": 2}), ("webp", {"lossless": True}), ("png", {"disposal": 1})]
)
def test_an_animation(tmp_path, suffix, options):
    first, *others = shapes()
    path = tmp_path / f"a.{suffix}"
    first.save(path, save_all=True, append_images=others, duration=DURATIONS, **options)
    film = Animation(path)
    assert (film.info.size, film.info.frames, film.info.seconds, film.info.alpha) == ((8, 8), 4, 1.16, True)
    found = [*film.frames()]
    assert [1000 * each.duration for each in found] == DURATIONS
    assert [1000 * each.time for each in found] == [0, 40, 140, 160]
    assert all(each.time % film.info.time_base == 0 for each in found)
    for number, frame in enumerate(found):
        want = np.asarray(shapes()[number]).astype(np.float32) / 255
        np.testing.assert_allclose(frame.picture.alpha, want[..., 3])
        np.testing.assert_allclose((frame.picture.pixels - want[..., :3]) * want[..., 3:], 0, atol=0.02)
    assert [each.time for each in film.frames(after=found[1].time)] == [each.time for each in found[2:]]
    assert [each.time for each in film.frames(every=2)] == [found[0].time, found[2].time]


def test_frames_that_change_a_part_show_the_rest_too(tmp_path):
    frames = []
    for number in range(3):
        values = np.full((8, 8, 3), 200, np.uint8)
        values[: 2 * number] = 10
        frames.append(Image.fromarray(values))
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=50)
    for frame, want in zip(Animation(tmp_path / "a.gif").frames(), frames, strict=True):
        np.testing.assert_allclose(frame.picture.to_numpy(), np.asarray(want), atol=2)


def test_durations_that_are_no_whole_milliseconds(tmp_path):
    frames = shapes()
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=[1000 / 30] * 4)
    film = Animation(tmp_path / "a.png")
    times = [each.time for each in film.frames()]
    assert [float(each) for each in times] == pytest.approx([0, 1 / 30, 2 / 30, 0.1], abs=1e-3)
    assert all(each % film.info.time_base == 0 for each in times)


def test_frames_without_a_duration(tmp_path):
    frames = shapes()
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=0)
    assert [each.duration for each in Animation(tmp_path / "a.gif").frames()] == [Fraction(1, 10)] * 4


def test_an_animation_that_is_cut_short(tmp_path):
    frames = [Image.fromarray(np.random.default_rng(n).integers(0, 255, (64, 64, 3), np.uint8)) for n in range(3)]
    path = tmp_path / "a.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=50)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(PictureError, match="is damaged or cut short"):
        Animation(path)
