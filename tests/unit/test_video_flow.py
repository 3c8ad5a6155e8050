"""Optical flow: where the pixels of a frame come from, and whether they could be seen there."""

import cv2
import numpy as np
import pytest

from artune.video.flow import FlowEstimator, grey, unchanged, unhidden, warped


@pytest.fixture
def texture(rng):
    noise = rng.random((80, 120, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return (smooth - smooth.min()) / (smooth.max() - smooth.min())


def constant(height, width, x, y):
    return np.broadcast_to(np.array([x, y], np.float32), (height, width, 2)).copy()


def test_the_flow_of_a_pan(texture):
    frame, earlier = texture[:, 3:103], texture[:, :100]
    origin = FlowEstimator().origin(frame, earlier)
    inside = np.s_[8:-8, 8:-12]
    assert np.abs(origin.flow[inside] - [3, 0]).mean() < 0.15
    assert origin.valid[inside].mean() > 0.9
    assert origin.valid[:, -2:].max() < 0.5  # this has come in over the border
    assert np.abs(warped(earlier, origin.flow) - frame)[inside].mean() < 0.01


def test_warping_by_whole_pixels_is_exact(texture):
    moved = warped(texture, constant(80, 120, 2, 1))
    assert np.allclose(moved[:-1, :-2], texture[1:, 2:], atol=1e-6)
    assert warped(texture[..., :1], constant(80, 120, 0, 0)).shape == (80, 120, 1)


def test_what_something_passes_in_front_of_is_hidden(texture, rng):
    noise = cv2.GaussianBlur(rng.random((40, 40, 3)).astype(np.float32), (0, 0), 2)
    thing = (noise - noise.min()) / (noise.max() - noise.min())
    earlier, frame = texture.copy(), texture.copy()
    earlier[20:60, 30:70] = thing
    frame[20:60, 35:75] = thing
    valid = FlowEstimator().origin(frame, earlier).valid
    assert valid[24:56, 31:34].mean() < 0.35  # was behind it
    assert valid[28:52, 44:66].mean() > 0.8  # the thing itself
    assert valid[5:12, 10:110].mean() > 0.9  # what stands still


def test_a_flow_that_does_not_lead_back_is_hidden():
    there, back = constant(20, 20, 4, 0), constant(20, 20, -4, 0)
    assert unhidden(there, back)[5:15, 2:14].min() == 1
    assert unhidden(there, constant(20, 20, 0, 0)).max() == 0
    assert unhidden(there, back)[:, 17:].max() == 0  # it leads beyond the border


def test_motions_that_meet_are_not_trusted():
    flow = constant(20, 20, 0, 0)
    flow[:, 10:, 0] = 5
    assert unhidden(flow, -flow)[5:15, 9:11].max() == 0


def test_a_pixel_that_looks_different_is_another_one(texture):
    other = texture.copy()
    other[20:40, 20:40] = 1 - other[20:40, 20:40]
    same = unchanged(texture, other)
    assert same[:15].min() == 1
    assert same[24:36, 24:36].mean() < 0.8
    flash = np.clip(texture + 0.5, 0, 1)
    assert unchanged(texture, flash).mean() < 0.2


def test_in_the_dark_a_small_difference_is_another_thing():
    dark, light = (np.full((20, 20, 3), level, np.float32) for level in (0.05, 0.8))
    assert unchanged(dark, dark + 0.06).max() == 0
    assert unchanged(light, light + 0.06).min() == 1


def test_fragments_of_what_has_moved_away_are_not_valid(texture, monkeypatch):
    found = np.ones((80, 120), np.float32)
    found[20:60, 20:60] = 0
    found[30:32, 30:50] = 1  # two pixels wide
    monkeypatch.setattr("artune.video.flow.unchanged", lambda frame, origin: found)
    valid = FlowEstimator().origin(texture, texture).valid
    assert valid[20:60, 20:60].max() == 0
    assert valid[:14].min() > 0.99


def test_grey_levels():
    frame = np.zeros((2, 2, 3), np.float32)
    frame[0, 0], frame[0, 1], frame[1, 0] = 1, (0, 1, 0), (2, -1, 0)
    assert grey(frame).tolist() == [[255, 150], [76, 0]]
