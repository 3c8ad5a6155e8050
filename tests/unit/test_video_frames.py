"""Which frames of a film are read, and how long each of them is."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artune.errors import InputError
from artune.images.picture import Picture
from artune.video.frames import Decoded, chosen

ZERO = Fraction(0)


def decoded(durations):
    """A film whose n-th frame is n/255 grey."""
    time, found = ZERO, []
    for number, duration in enumerate(durations):
        picture = Picture(np.full((1, 1, 3), number / 255, np.float32))
        found.append(Decoded(time, time + duration, lambda picture=picture: picture))
        time += duration
    return found


def read(film, start=ZERO, end=None, after=None, every=1, number=0):
    return [
        (each.number, each.time, each.duration, round(255 * float(each.picture.pixels[0, 0, 0])))
        for each in chosen(iter(film), start, end, after, every, number)
    ]


TENTH = Fraction(1, 10)


def test_all():
    assert read(decoded([TENTH, 2 * TENTH, TENTH])) == [
        (0, ZERO, TENTH, 0),
        (1, TENTH, 2 * TENTH, 1),
        (2, 3 * TENTH, TENTH, 2),
    ]


def test_a_part_is_cut_at_its_end():
    film = decoded([TENTH] * 10)
    assert read(film, start=3 * TENTH, end=Fraction(55, 100)) == [
        (0, 3 * TENTH, TENTH, 3),
        (1, 4 * TENTH, TENTH, 4),
        (2, 5 * TENTH, TENTH / 2, 5),
    ]


def test_each_third_stands_until_the_next_one_or_the_end():
    film = decoded([TENTH] * 8)
    assert read(film, start=TENTH, every=3) == [
        (0, TENTH, 3 * TENTH, 1),
        (1, 4 * TENTH, 3 * TENTH, 4),
        (2, 7 * TENTH, TENTH, 7),
    ]


def test_nothing():
    assert read([]) == []
    assert read(decoded([TENTH]), start=Fraction(5)) == []
    assert read(decoded([TENTH]), end=ZERO) == []
    assert read(decoded([TENTH]), after=ZERO) == []


def test_every_is_checked():
    with pytest.raises(InputError, match="`every` is 0; choose a whole number from 1"):
        read(decoded([TENTH]), every=0)


def test_pictures_that_are_left_out_are_not_made():
    made = []
    film = [
        Decoded(n * TENTH, (n + 1) * TENTH, lambda n=n: made.append(n) or Picture(np.zeros((1, 1, 3), np.float32)))
        for n in range(7)
    ]
    assert len([*chosen(film, ZERO, None, None, 3, 0)]) == 3
    assert made == [0, 3, 6]


durations = st.lists(st.integers(1, 40).map(lambda ticks: Fraction(ticks, 20)), min_size=1, max_size=12)
times = st.integers(0, 200).map(lambda ticks: Fraction(ticks, 20))


@settings(max_examples=40)
@given(durations, times, st.none() | times, st.integers(1, 4), st.integers(0, 12))
def test_reading_that_goes_on_gives_what_reading_at_once_gives(durations, start, end, every, read_before):
    film = decoded(durations)
    whole = read(film, start, end, every=every)
    begun = whole[:read_before]
    if begun:
        assert read(film, start, end, begun[-1][1], every, len(begun)) == whole[read_before:]


@settings(max_examples=40)
@given(durations, times, st.none() | times, st.integers(1, 4))
def test_frames_follow_each_other_without_a_gap(durations, start, end, every):
    film = decoded(durations)
    found = read(film, start, end, every=every)
    for (_, time, duration, _), (_, following, _, _) in itertools.pairwise(found):
        assert time + duration == following
    if found:
        assert found[0][1] >= start
        assert found[-1][1] + found[-1][2] == min(end if end is not None else film[-1].until, film[-1].until)
