"""Colour profiles: known curves and matrices, at 8 bits and at 16."""

import numpy as np
import pytest
from PIL import Image

from artune.images.profiles import differs_from_srgb, samples_to_srgb, srgb_profile
from artune.images.read import decode_picture
from tests.pictures import LINEAR_GREY, file_of, linear_rgb, single_ink, srgb_of_linear, swapped_rgb, tiff_of


def test_the_profile_of_srgb_changes_nothing(photo):
    eight = photo.to_pil()
    assert not differs_from_srgb(srgb_profile())
    same = decode_picture(file_of(eight, "PNG", icc_profile=srgb_profile()))
    np.testing.assert_array_equal(same.pixels, decode_picture(file_of(eight, "PNG")).pixels)


@pytest.mark.parametrize("profile", [None, b"", b"not a profile", b"\0" * 200])
def test_no_profile_and_a_damaged_one_change_nothing(photo, profile):
    assert not differs_from_srgb(profile)
    back = decode_picture(file_of(photo.to_pil(), "PNG", icc_profile=profile or b""))
    np.testing.assert_array_equal(back.pixels, photo.to_numpy() / np.float32(255))
    np.testing.assert_array_equal(samples_to_srgb(photo.pixels, profile), photo.pixels)


def test_primaries_are_converted(photo):
    eight = photo.to_numpy()
    back = decode_picture(file_of(photo.to_pil(), "PNG", icc_profile=swapped_rgb()))
    assert np.abs(back.pixels - eight[..., [1, 0, 2]] / 255).mean() < 0.01


def test_a_profile_is_judged_by_what_it_shows():
    """A linear profile that calls itself sRGB."""
    grey = decode_picture(file_of(Image.new("RGB", (4, 4), (64, 64, 64)), "PNG", icc_profile=linear_rgb()))
    np.testing.assert_allclose(grey.pixels, srgb_of_linear(64 / 255), atol=1.5 / 255)


@pytest.mark.parametrize(("mode", "value"), [("L", 64), ("LA", (64, 255)), ("I;16", 64 * 257)])
def test_a_grey_profile_is_applied(mode, value):
    back = decode_picture(file_of(Image.new(mode, (8, 8), value), "PNG", icc_profile=LINEAR_GREY))
    np.testing.assert_allclose(back.pixels, srgb_of_linear(64 / 255), atol=1.5 / 255)


def test_a_cmyk_profile_is_applied():
    # without the profile: white, black and light cyan
    for ink, want in {(0, 255, 255, 255): 1.0, (255, 0, 0, 0): 0.0, (128, 0, 0, 0): 0.466}.items():  # L* 50: 119
        data = file_of(Image.new("CMYK", (16, 16), ink), "JPEG", quality=100, icc_profile=single_ink())
        np.testing.assert_allclose(decode_picture(data).pixels, want, atol=0.02)
        deep = np.full((4, 4, 4), np.array(ink) * 257, np.uint16)
        data = tiff_of(deep, photometric="separated", profile=single_ink())
        np.testing.assert_allclose(decode_picture(data).pixels, want, atol=0.02)


def test_a_profile_of_another_model_is_ignored(photo):
    np.testing.assert_array_equal(samples_to_srgb(photo.pixels, LINEAR_GREY), photo.pixels)
    back = decode_picture(file_of(photo.to_pil(), "PNG", icc_profile=single_ink()))
    np.testing.assert_array_equal(back.pixels, photo.to_numpy() / np.float32(255))


def test_sixteen_bits_stay_sixteen_through_a_profile():
    """Every level of a linear ramp against sRGB's formula: at 8 bits the dark ones would be 5 % off, and in steps."""
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    want = srgb_of_linear(ramp / 65535)
    for samples, profile in ((ramp.repeat(3, 2), linear_rgb()), (ramp, LINEAR_GREY)):
        got = samples_to_srgb((samples / np.float32(65535)), profile)
        assert np.abs(got - want).max() * 65535 < (2 if samples.shape[2] == 3 else 20)  # the grey one's gamma is 8 bits
    colours = np.random.default_rng(0).integers(0, 65536, (64, 64, 3), dtype=np.uint16)
    got = samples_to_srgb(colours / np.float32(65535), swapped_rgb())
    eight = np.asarray(
        decode_picture(
            file_of(Image.fromarray((colours / 257).round().astype(np.uint8)), "PNG", icc_profile=swapped_rgb())
        ).pixels
    )
    assert np.abs(got - eight).max() < 0.02
    assert np.abs(got - eight).mean() * 255 < 0.6


def test_cmyk_without_a_profile():
    inks = np.array([[[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0.5], [0.5, 0, 0, 0.5]]], np.float32)
    want = [[[1, 1, 1], [0, 1, 1], [1, 0, 0], [0.5, 0.5, 0.5], [0.25, 0.5, 0.5]]]
    np.testing.assert_allclose(samples_to_srgb(inks), want)
