"""What keeps a film from flickering."""

import cv2
import numpy as np
import pytest

from artune.video.flow import FlowEstimator
from artune.video.steady import Carried, Earlier, blurred, carried_on, smoothed_mask, steadied


@pytest.fixture
def strokes(rng):
    smooth = cv2.GaussianBlur(rng.random((64, 96, 3)).astype(np.float32), (0, 0), 2)
    return (0.2 + 0.6 * (smooth - smooth.min()) / (smooth.max() - smooth.min())).astype(np.float32)


def carried(pixels, valid=1.0):
    return Carried(pixels, np.full(pixels.shape[:2], valid, np.float32), np.zeros((*pixels.shape[:2], 2), np.float32))


def test_what_is_not_valid_is_painted_anew(strokes):
    other = strokes[::-1].copy()
    assert np.array_equal(steadied(strokes, carried(other, 0.0)), strokes)


def test_the_same_stays_the_same(strokes):
    assert np.allclose(steadied(strokes, carried(strokes)), strokes, atol=1e-6)


def test_strokes_come_from_the_frame_before(strokes, rng):
    shimmer = cv2.GaussianBlur(rng.standard_normal(strokes.shape).astype(np.float32), (0, 0), 1.5)
    painted = np.clip(strokes + 0.3 * shimmer, 0, 1)
    apart = np.abs(steadied(painted, carried(strokes)) - strokes).mean() / np.abs(painted - strokes).mean()
    assert apart < 0.35


def test_the_finest_band_is_the_present_frames(strokes, rng):
    grain = rng.standard_normal(strokes.shape).astype(np.float32) * 0.05
    painted = np.clip(strokes + grain, 0, 1)
    before = cv2.GaussianBlur(strokes, (0, 0), 1)
    kept = steadied(painted, carried(before))

    def sharp(pixels):
        return float(cv2.Laplacian(pixels, cv2.CV_32F).std())

    assert sharp(kept) > 0.75 * sharp(painted) > 3 * sharp(before)


def test_light_does_not_drift_away(strokes):
    dark = np.clip(strokes - 0.2, 0, 1)
    frame = dark
    for _ in range(8):
        frame = steadied(strokes, carried(frame))
    assert abs(frame.mean() - strokes.mean()) < 0.01


def test_frames_are_carried_on_from_near_to_far(strokes):
    still = [Earlier(strokes, 0.5 * strokes), Earlier(strokes, strokes)]
    near, far = carried_on(strokes, still, FlowEstimator())
    assert near.valid.mean() > 0.95
    assert far.valid.mean() < 0.05  # the near one shows it already
    assert np.abs(near.pixels - 0.5 * strokes).mean() < 0.01
    assert carried_on(strokes, [], FlowEstimator()) == []


def test_masks_are_averaged_along_the_flow():
    mask, before = np.zeros((8, 10), np.float32), np.zeros((8, 10), np.float32)
    mask[:, 4:6], before[:, 3:5] = 1, 1
    flow = np.broadcast_to(np.array([-1, 0], np.float32), (8, 10, 2)).copy()
    valid = np.ones((8, 10), np.float32)
    assert np.allclose(smoothed_mask(mask, before, flow, valid), mask, atol=1e-6)
    away = smoothed_mask(np.zeros_like(mask), before, flow, valid)
    assert away.max() == pytest.approx(0.5, abs=0.01)  # a mask that a network lost for a frame
    assert smoothed_mask(np.zeros_like(mask), before, flow, np.zeros_like(mask)).max() == 0


def test_a_wide_blur_is_that_of_the_whole_size(strokes):
    exact = cv2.GaussianBlur(strokes, (0, 0), 9, borderType=cv2.BORDER_REPLICATE)
    apart = np.abs(blurred(strokes, 9) - exact)
    assert apart[12:-12, 12:-12].max() < 0.01
    assert apart.max() < 0.05  # at the border, which is repeated at a quarter of the size
    assert blurred(strokes[:1, :1], 9).shape == (1, 1, 3)
