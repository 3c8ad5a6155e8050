"""Where a film is cut."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from artune.images.picture import Picture
from artune.video.frames import Frame
from artune.video.scenes import Scene, SceneFinder, cuts


def found(pictures):
    finder = SceneFinder()
    for number, pixels in enumerate(pictures):
        frame = Frame(number, Fraction(number, 25), Fraction(1, 25), Picture(pixels.astype(np.float32)))
        finder.add(frame)
    return finder


def test_a_cut_and_a_pan(rng):
    one, other = (np.kron(rng.random((6, 20, 3)), np.ones((6, 6, 1))) for _ in range(2))
    pans = [each[:, place : place + 64] for each in (one, other) for place in range(8)]
    finder = found(pans)
    assert [scene.first for scene in finder.scenes()] == [0, 8]
    assert finder.scenes()[1] == Scene(8, (9, 12, 14))
    assert finder.times[3] == Fraction(3, 25)
    assert finder.last == Fraction(16, 25)


def test_a_fade_is_no_cut(rng):
    one, other = rng.random((36, 64, 3)), rng.random((36, 64, 3))
    assert [scene.first for scene in found([one + (other - one) * t / 20 for t in range(21)]).scenes()] == [0]


def test_one_frame_and_none(rng):
    assert found([rng.random((4, 4, 3))]).scenes() == [Scene(0, (0,))]
    assert found([]).scenes() == []


def test_fast_motion_is_no_cut():
    assert cuts([0, *[0.2] * 12]) == []
    assert cuts([0, 0.01, 0.01, 0.2, 0.01, 0.01]) == [3]
    assert cuts([0, 0.5]) == [1]
    assert cuts([0.9, 0.01]) == []  # the first has nothing before it


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_cuts_are_frames_after_the_first(apart):
    assert all(0 < number < len(apart) for number in cuts(apart))
