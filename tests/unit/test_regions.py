import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from artune.errors import ArtuneWarning, InputError, PictureError
from artune.regions.masks import (
    RegionRequest,
    composite,
    coverage,
    fitted_mask,
    normalised,
    parse_region,
    parse_style_mask,
    read_mask,
    resized_mask,
    with_alpha,
)

mask = arrays(np.float32, (3, 5), elements=st.floats(0, 1, width=32))
masks = st.lists(mask, min_size=1, max_size=4)


def halves(height=8, width=8):
    """The left half."""
    left = np.zeros((height, width), np.float32)
    left[:, : width // 2] = 1
    return left


# ------------------------------------------------------------------------------------- what is asked for


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("dress.png=a.jpg", RegionRequest("dress.png", "a.jpg")),
        ("dress.png=a.jpg:0.7", RegionRequest("dress.png", "a.jpg", 0.7)),
        ("dress.png=a.jpg:1", RegionRequest("dress.png", "a.jpg", 1.0)),
        ("dress.png=a.jpg:0", RegionRequest("dress.png", "a.jpg", 0.0)),
        ("dress.png=a:b.jpg", RegionRequest("dress.png", "a:b.jpg")),
        ("dress.png=a=b.jpg:0.5", RegionRequest("dress.png", "a=b.jpg", 0.5)),
        ("upper=lower.png=a.jpg:.5", RegionRequest("upper=lower.png", "a.jpg", 0.5)),
        ("dress.png=take:2", RegionRequest("dress.png", "take:2")),
        ("shirt+dress=a.jpg", RegionRequest("shirt+dress", "a.jpg")),
    ],
)
def test_regions_are_read(text, want, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("upper=lower.png", "take:2", "a.jpg"):
        (tmp_path / name).touch()
    assert parse_region(text) == want


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dress.png", r"--region dress\.png: there is no '='; MASK=STYLE\[:STRENGTH\] is needed"),
        ("=a.jpg", "nothing stands before '='"),
        ("dress.png=", "nothing stands after '='"),
        ("dress.png=:0.5", "no style before the strength"),
        ("dress.png=a.jpg:1.5", "the strength is 1.5; give a number from 0 to 1"),
        ("dress.png=a.jpg:-1", "the strength is -1"),
        ("dress.png=a.jpg:nan", "the strength is nan"),
        ("dress.png=a.jpg:much", "'much' is no strength"),
    ],
)
def test_regions_that_cannot_be_read(text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg").touch()
    with pytest.raises(InputError, match=message):
        parse_region(text)


def test_the_option_is_named():
    with pytest.raises(InputError, match=r"^--segment cat: .*NAME=STYLE is needed"):
        parse_region("cat", option="--segment", form="NAME=STYLE")
    assert parse_style_mask("a.jpg=m.png") == ("a.jpg", "m.png")
    with pytest.raises(InputError, match=r"^--style-mask a\.jpg: .*STYLE=MASK is needed"):
        parse_style_mask("a.jpg")


# ------------------------------------------------------------------------------------- masks from files


def saved(array, path, mode=None):
    Image.fromarray(array.astype(np.uint8), mode).save(path)
    return path


def test_white_is_all_black_is_nothing_grey_is_half(tmp_path):
    found = read_mask(saved(np.array([[0, 51, 255]]), tmp_path / "a.png"))
    np.testing.assert_allclose(found, [[0, 0.2, 1]], atol=1e-6)
    assert found.dtype == np.float32
    assert found.max() == 1


def test_a_form_on_a_transparent_layer(tmp_path):
    """Black, half transparent and wholly so: its transparency is the mask."""
    layer = np.array([[[0, 0, 0, 255], [0, 0, 0, 102], [90, 0, 0, 0]]])
    np.testing.assert_allclose(read_mask(saved(layer, tmp_path / "a.png")), [[1, 0.4, 0]], atol=1e-6)


def test_grey_values_that_are_transparent(tmp_path):
    layer = np.array([[[255, 255, 255, 255], [255, 255, 255, 51], [0, 0, 0, 255]]])
    np.testing.assert_allclose(read_mask(saved(layer, tmp_path / "a.png")), [[1, 0.2, 0]], atol=1e-6)


@pytest.mark.parametrize("layer", [np.zeros((4, 4)), np.zeros((4, 4, 4))])
def test_empty_masks_are_refused(layer, tmp_path):
    saved(layer, tmp_path / "a.png")
    with pytest.raises(PictureError, match=r"^the mask of the dress .*a\.png is empty: .*paint the region white"):
        read_mask(tmp_path / "a.png", where="the mask of the dress")


def test_a_mask_that_is_not_there(tmp_path):
    with pytest.raises(PictureError, match="there is no picture"):
        read_mask(tmp_path / "a.png")


# ------------------------------------------------------------------------------------- sizes


def test_a_mask_of_another_size_is_resized_with_a_warning():
    with pytest.warns(ArtuneWarning, match=r"dress\.png has 8x8 pixels and its picture 16x16: it is resized"):
        found = fitted_mask(halves(), (16, 16), where="dress.png")
    assert found.shape == (16, 16)
    with pytest.warns(ArtuneWarning, match="8x8 pixels and its picture 24x12: it is stretched"):
        assert fitted_mask(halves(), (24, 12)).shape == (12, 24)
    same = halves()
    assert fitted_mask(same, (8, 8)) is same


@pytest.mark.parametrize("size", [(5, 7), (40, 24), (3, 3)])
def test_resizing_leaves_no_traces_where_nothing_was(size):
    width, height = size
    found = resized_mask(halves(24, 40), width, height)
    assert found.shape == (height, width)
    assert (found[:, : width // 2 - 1] == 1).all()
    assert (found[:, width // 2 + 2 :] == 0).all()
    assert found.mean() == pytest.approx(0.5, abs=0.01)


@given(mask=mask, width=st.integers(1, 9), height=st.integers(1, 9))
def test_a_resized_mask_is_a_mask(mask, width, height):
    found = resized_mask(mask, width, height)
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1


# ------------------------------------------------------------------------------------- overlaps


def test_overlaps_by_hand():
    both = normalised([np.float32([[1, 1, 0.5, 0.2, 0]]), np.float32([[0, 1, 1, 0.2, 0]])], rest=True)
    want = [[1, 1 / 2, 1 / 3, 0.2, 0], [0, 1 / 2, 2 / 3, 0.2, 0], [0, 0, 0, 0.6, 1]]
    np.testing.assert_allclose(np.concatenate(both), want, atol=1e-6)


def test_no_rest_where_all_is_taken():
    assert len(normalised([halves(), 1 - halves()], rest=True)) == 2
    assert len(normalised([halves()], rest=True)) == 2
    assert len(normalised([halves()], rest=False)) == 1


@given(masks=masks, rest=st.booleans())
def test_the_sum_is_at_most_one(masks, rest):
    shared = normalised(masks, rest=rest)
    total = np.sum(shared, 0)
    assert total.max() <= 1 + 1e-6
    for before, after in zip(masks, shared, strict=False):
        assert (after <= before).all()
        np.testing.assert_array_equal(after > 0, before > 0)
    if rest:
        assert (coverage(shared) > 1 - 1 / 255 - 1e-6).all()


def test_with_a_rest_all_is_covered_exactly(rng):
    three = [rng.random((50, 50)).astype(np.float32) for _ in range(3)]
    assert (coverage(normalised(three, rest=True)) == 1).all()


# ------------------------------------------------------------------------------------- put together


def test_the_original_is_bit_equal_where_nothing_is(rng):
    result, original = (rng.random((8, 8, 3)).astype(np.float32) for _ in range(2))
    share = halves()
    share[:, 3] = 0.25
    found = composite(result, original, share)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:, 4:], original[:, 4:])
    np.testing.assert_array_equal(found[:, :3], result[:, :3])
    np.testing.assert_allclose(found[:, 3], 0.75 * original[:, 3] + 0.25 * result[:, 3], atol=1e-6)


def test_what_is_transparent_takes_no_part():
    alpha = np.full((8, 8), 0.5, np.float32)
    alpha[0] = 0
    (found,) = with_alpha([halves()], alpha)
    np.testing.assert_array_equal(found[0], 0)
    np.testing.assert_array_equal(found[1:], 0.5 * halves()[1:])
    (same,) = with_alpha([halves()], None)
    np.testing.assert_array_equal(same, halves())
