"""Changes of pictures: by hand, and against Pillow and scipy."""

import numpy as np
import pytest
import torch
from PIL import Image as PIL
from PIL import ImageEnhance
from scipy import ndimage

from artune.data.augment import LADDER, bgr, contrast, extra, mirror, noise, rotation, saturation, sharpness


@pytest.fixture
def image(generator):
    """Smooth, so that resampling says little; 0.2 .. 0.8, so that nothing is clipped."""
    small = torch.rand((2, 3, 5, 5), generator=generator)
    return 0.2 + 0.6 * torch.nn.functional.interpolate(small, (24, 24), mode="bilinear")


def pillow(image):
    return PIL.fromarray((255 * image.permute(1, 2, 0).numpy() + 0.5).astype(np.uint8))


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.6])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(saturation, ImageEnhance.Color), (contrast, ImageEnhance.Contrast), (sharpness, ImageEnhance.Sharpness)],
)
def test_like_pillow_within_its_rounding(image, ours, theirs, factor):
    want = np.asarray(theirs(pillow(image[0])).enhance(factor)) / 255
    got = ours(image, factor)[0].permute(1, 2, 0).numpy()
    inner = np.s_[1:-1, 1:-1]  # Pillow smooths no border
    np.testing.assert_allclose(got[inner], want[inner], atol=2.5 / 255)


def test_saturation_by_hand():
    red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)
    assert saturation(red, 0.0).flatten().tolist() == pytest.approx([0.299] * 3)
    assert saturation(red, 0.5).flatten().tolist() == pytest.approx([0.6495, 0.1495, 0.1495])
    assert saturation(red, 2.0).flatten().tolist() == [1, 0, 0]  # clipped


def test_contrast_is_of_each_picture():
    pair = torch.stack([torch.full((3, 2, 2), 0.2), torch.full((3, 2, 2), 0.8)])
    torch.testing.assert_close(contrast(pair, 0.0), pair)


def test_mirror_and_colours_by_hand():
    image = torch.arange(6.0).view(1, 3, 1, 2)
    assert mirror(image).flatten().tolist() == [1, 0, 3, 2, 5, 4]
    assert bgr(image).flatten().tolist() == [4, 5, 2, 3, 0, 1]


def test_noise_has_the_deviation_asked_for(generator):
    image = torch.full((1, 3, 200, 200), 0.5)
    changed = noise(image, torch.randn(image.shape, generator=generator), 0.05)
    assert (changed - image).std().item() == pytest.approx(0.05, rel=0.02)
    assert noise(image, torch.full_like(image, 99.0), 0.05).max() == 1


@pytest.mark.parametrize("shape", [(24, 24), (24, 24 * 2)])
def test_rotation_by_half_turns_and_against_scipy(image, shape):
    image = torch.nn.functional.interpolate(image, shape, mode="bilinear")
    torch.testing.assert_close(rotation(image, 0.0), image)
    torch.testing.assert_close(rotation(image, 180.0), image.flip(2, 3), atol=1e-5, rtol=0)
    want = ndimage.rotate(image.numpy(), 20.0, axes=(3, 2), reshape=False, order=1, mode="reflect")
    got = rotation(image, 20.0).numpy()
    np.testing.assert_allclose(got[..., 6:-6, 6:-6], want[..., 6:-6, 6:-6], atol=0.02)


def test_a_quarter_turn_is_counterclockwise(image):
    torch.testing.assert_close(rotation(image, 90.0), torch.rot90(image, 1, (2, 3)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", LADDER)
def test_a_change_is_in_range_and_follows_from_the_draws(image, name):
    first, second, other = (LADDER[name](image[:1], np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert first.shape == image[:1].shape
    assert first.min() >= 0
    assert first.max() <= 1
    assert (first - image[:1]).abs().max() > 0.005
    assert torch.equal(first, other) == (name in ("mirror", "bgr"))


def test_extra_pictures_take_the_changes_in_turn_whatever_their_number():
    drawn = [extra(number, 1000, seed=5) for number in range(70)]
    assert [name for _, name, _ in drawn[:8]] == [*LADDER, "noise"]
    assert len({source for source, _, _ in drawn}) > 60
    again = extra(33, 1000, seed=5)
    assert again[:2] == drawn[33][:2]
    assert again[2].random() == drawn[33][2].random()
    assert extra(33, 1000, seed=6)[0] != again[0]
