"""A film that is begun."""

from fractions import Fraction

import numpy as np
import pytest

from artune.errors import CheckpointError
from artune.video.partial import PLAN, STATE, FilmPlan, PartialFilm
from artune.video.scenes import Scene
from artune.video.steady import Earlier

PLANNED = FilmPlan(
    {"film": "a"}, (Fraction(0), Fraction(1001, 30000)), Fraction(2002, 30000), (Scene(0, (0, 1)),), (0.7,)
)


@pytest.fixture
def film(tmp_path):
    begun = PartialFilm(tmp_path / "out.mp4.partial")
    begun.begin(PLANNED)
    return begun


def test_the_plan_is_read_again(film):
    assert film.plan() == PLANNED
    film.remove()
    assert film.plan() is None


def test_frames_are_kept_and_forgotten(film, rng):
    frame = rng.integers(0, 65535, (3, 4, 4), np.uint16)
    film.keep(7, frame)
    (found,) = film.kept([7])
    assert found.dtype == np.uint16
    assert np.array_equal(found, frame)
    film.forget([7])
    with pytest.raises(CheckpointError, match="a frame is missing"):
        film.kept([7])


def test_the_state_is_read_again(film, rng):
    assert film.load() == (0, [])
    earlier = [
        Earlier(*rng.random((2, 3, 4, 3)).astype(np.float32), (np.full((3, 4), place, np.float32),) * place)
        for place in range(3)
    ]
    film.save(5, earlier)
    done, found = film.load()
    assert done == 5
    for one, other in zip(earlier, found, strict=True):
        assert np.array_equal(one.frame, other.frame)
        assert np.array_equal(one.painted, other.painted)
        assert len(one.masks) == len(other.masks)
        assert all(np.array_equal(*each) for each in zip(one.masks, other.masks, strict=True))


def test_what_is_damaged_is_told(film, tmp_path):
    (film.folder / STATE).write_bytes(b"no")
    with pytest.raises(CheckpointError, match="damaged"):
        film.load()
    (film.folder / PLAN).write_text("{}")
    with pytest.raises(CheckpointError, match="no film that is begun"):
        film.plan()


def test_beginning_anew_removes_what_was_there(film, rng):
    film.keep(0, rng.integers(0, 255, (2, 2, 3), np.uint8))
    film.begin(PLANNED)
    assert [path.name for path in film.folder.iterdir()] == [PLAN]
