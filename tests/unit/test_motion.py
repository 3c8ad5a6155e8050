"""Films made of photographs: frames after a motion, and what changes beside it."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from artune.learning import motion
from artune.learning.motion import draw_motion, flicker, moved, next_frames


def shift(side: int, down: int, right: int) -> torch.Tensor:
    """The motion by whole pixels."""
    centres = (torch.arange(side) + 0.5) * 2 / side - 1
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    return torch.stack([x - 2 * right / side, y - 2 * down / side], 2)[None]


@pytest.fixture
def images():
    return torch.rand((1, 3, 40, 40), generator=torch.Generator().manual_seed(0))


def test_a_shift_by_whole_pixels(images):
    after = moved(images, shift(40, 3, -2))
    torch.testing.assert_close(after[..., 3:, :-2], images[..., :-3, 2:], rtol=0, atol=1e-4)


def test_what_the_motion_explains_is_no_flicker(images):
    way = shift(40, 3, -2)
    assert flicker(images, moved(images, way), way) < 1e-9
    assert flicker(images, images, way) > 0.1
    noise = 0.1 * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    assert flicker(images, moved(images, way) + noise, way).item() == pytest.approx(0.01, rel=0.1)


def test_what_comes_from_outside_does_not_count(images):
    way = shift(40, 0, 10)
    after = moved(images, way)
    after[..., :10] = 5
    assert flicker(images, after, way) < 1e-9
    assert flicker(images, images, torch.full_like(way, 2.0)) == 0  # nothing comes from inside


def test_a_motion_serves_smaller_pictures(images):
    way = shift(40, 4, 8)
    small = F.avg_pool2d(images, 2)
    torch.testing.assert_close(
        moved(small, way)[..., 4:, 6:], moved(small, shift(20, 2, 4))[..., 4:, 6:], rtol=0, atol=1e-4
    )


def test_frames_move_smoothly_and_little(images):
    rng = np.random.default_rng(0)
    way = draw_motion(rng, 200, 32)
    still = shift(32, 0, 0)
    assert way.shape == (200, 32, 32, 2)
    lengths = (way - still).square().sum(3).sqrt().mean().item() / 2  # of the side
    assert 0.5 * motion.MOTION < lengths < 3 * motion.MOTION
    steps = (way[:, 1:] - way[:, :-1] - (still[:, 1:] - still[:, :-1])).abs().max()
    assert steps < 0.1  # half-sides from one pixel to the next
    after = next_frames(images, draw_motion(rng, 1, 40), rng)
    assert after.shape == images.shape
    assert after.min() >= 0
    assert after.max() <= 1
    torch.testing.assert_close(
        next_frames(images, still.expand(1, -1, -1, -1), np.random.default_rng(1)),
        next_frames(images, still, np.random.default_rng(1)),
    )
