"""What a film may be, and what is said of what is none."""

import os
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from artune.errors import MissingExtraError, PictureError
from artune.video.container import FilmFile
from artune.video.read import RATE, open_film
from artune.video.stills import Animation, NumberedPictures
from tests.films import moving, rgb, write_frames


@pytest.fixture
def pictures(tmp_path):
    for number, frame in enumerate(moving(3)):
        Image.fromarray(frame).save(tmp_path / f"{number:02d}.png")
    return tmp_path


def test_a_folder_of_pictures(pictures):
    film = open_film(pictures)
    assert isinstance(film, NumberedPictures)
    assert (film.info.frames, film.info.rate) == (3, RATE)


def test_a_pattern(pictures):
    film = open_film(str(pictures / "%02d.png"), Fraction(30000, 1001))
    assert [each.time for each in film.frames()] == [Fraction(1001 * n, 30000) for n in range(3)]


def test_a_picture_alone_is_a_film_of_one_frame(pictures):
    film = open_film(pictures / "01.png")
    (frame,) = film.frames()
    np.testing.assert_array_equal(frame.picture.to_numpy(), moving(2)[1])
    assert frame.duration == 1 / RATE


@pytest.mark.parametrize("name", ["a.gif", "a.bin"])
def test_an_animation_is_known_by_its_first_bytes(pictures, name):
    frames = [Image.fromarray(frame) for frame in moving(3)]
    frames[0].save(pictures / name, "GIF", save_all=True, append_images=frames[1:])
    assert isinstance(open_film(pictures / name), Animation)


def test_a_film_with_the_suffix_of_a_picture(tmp_path):
    path = write_frames(tmp_path / "a.mkv", [rgb(frame, "bgr0") for frame in moving(2)]).rename(tmp_path / "a.gif")
    film = open_film(path)
    assert isinstance(film, FilmFile)
    assert len([*film.frames()]) == 2


def test_a_name_with_a_percent_sign_is_a_file_where_there_is_one(pictures):
    (pictures / "01.png").rename(pictures / "%d.png")
    assert open_film(pictures / "%d.png").info.frames == 1


def test_the_home_folder(pictures, monkeypatch):
    monkeypatch.setenv("HOME", str(pictures))
    assert open_film("~/%02d.png").info.frames == 3
    assert open_film("~").info.frames == 3


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, r"^there is no film .*film\.mp4$"),
        (
            lambda path: path.with_name("fil.mp4").write_bytes(b"a"),
            r"there is no film .*film\.mp4; did you mean .*fil\.mp4\?",
        ),
        (lambda path: path.write_bytes(b""), r"film\.mp4 is empty \(0 bytes\); give a film"),
        (lambda path: path.write_text("a\n" * 99), r"film\.mp4 is no film that FFmpeg reads"),
        (lambda path: path.mkdir(), r"there is no picture in .*film\.mp4"),
        (os.mkfifo, r"film\.mp4 is no regular file; give a film"),
    ],
)
def test_what_is_no_film(tmp_path, make, said):
    make(tmp_path / "film.mp4")
    with pytest.raises(PictureError, match=said):
        open_film(tmp_path / "film.mp4")


def test_an_empty_name():
    with pytest.raises(PictureError, match="the name of the film is empty"):
        open_film("")


def test_an_address():
    with pytest.raises(PictureError, match="artune downloads nothing; save it to a file and give that"):
        open_film("https://example.org/a.mp4")


def test_a_damaged_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nand nothing else")
    with pytest.raises(PictureError, match=r"a\.png"):
        open_film(tmp_path / "a.png")


def test_without_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"reading a film needs av, .* pip install 'artune\[video\]'"):
        open_film(tmp_path / "a.mp4")
