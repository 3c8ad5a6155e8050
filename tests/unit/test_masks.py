from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from artune.errors import ArtuneWarning, PictureError
from artune.regions.masks import (
    composite,
    coverage,
    fitted_mask,
    normalised,
    read_all_labels,
    read_label_map,
    read_mask,
    resized_mask,
    with_alpha,
)

mask = arrays(np.float32, (3, 5), elements=st.floats(0, 1, width=32, allow_subnormal=False))
masks = st.lists(mask, min_size=1, max_size=4)


def halves(height=8, width=8):
    """The left half."""
    left = np.zeros((height, width), np.float32)
    left[:, : width // 2] = 1
    return left


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


@pytest.mark.parametrize("values", [[[0, 1, 0]], [[0, 20, 20]], [[1, 1, 1]]])
@pytest.mark.parametrize("mode", ["L", "P", "RGB", "I;16"])
def test_a_mask_of_0_and_1_is_stretched(values, mode, tmp_path):
    array = np.array(values, np.uint16 if mode == "I;16" else np.uint8)
    if mode == "RGB":
        array = np.repeat(array[..., None], 3, -1)
    image = Image.fromarray(array)
    if mode == "P":
        image.putpalette([grey for grey in range(256) for _ in range(3)])
        image = image.convert("P") if image.mode != "P" else image
    image.save(tmp_path / "a.png")
    with pytest.warns(ArtuneWarning, match=r"^the mask .*a\.png has no value above .* of 255: .* stretched"):
        found = read_mask(tmp_path / "a.png")
    np.testing.assert_array_equal(found, np.sign(values))


def test_a_palette_of_black_and_white_is_a_mask(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 1]], np.uint8))
    image.putpalette([0, 0, 0, 255, 255, 255])
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), [[0, 1, 1]])


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_one_colour_on_black_is_white(suffix, tmp_path):
    pixels = np.zeros((40, 40, 3))
    pixels[:, 16:] = (200, 0, 0)
    found = read_mask(saved(pixels, tmp_path / f"a.{suffix}"))
    np.testing.assert_array_equal(found, np.tile(np.arange(40) >= 16, (40, 1)))


def test_a_label_map_names_its_parts(tmp_path):
    saved(np.repeat([[0, 2, 2, 7, 7, 7]], 4, 0), tmp_path / "a.png")
    listed = r"a label map of several parts: 7 \(50\.0%\), 2 \(33\.3%\), 0 \(16\.7%\)"
    with pytest.raises(PictureError, match=rf"^the mask .*a\.png is {listed}\. Name one, such as .*a\.png#7, or give"):
        read_mask(tmp_path / "a.png")
    np.testing.assert_array_equal(read_mask(f"{tmp_path}/a.png#2")[0], [0, 1, 1, 0, 0, 0])
    np.testing.assert_array_equal(read_mask(f"{tmp_path}/a.png#2+7")[0], [0, 1, 1, 1, 1, 1])
    assert read_label_map(f"{tmp_path}/a.png#2") is None
    assert [str(label) for label in read_label_map(tmp_path / "a.png").labels] == ["0", "2", "7"]


def test_a_photograph_is_no_mask(photo, tmp_path):
    saved(photo.pixels * 255, tmp_path / "a.png")
    with pytest.warns(ArtuneWarning, match="is a picture in colours; its brightness is taken as the mask"):
        read_mask(tmp_path / "a.png")
    with pytest.raises(PictureError, match="is no label map: it has more than a few flat colours"):
        read_mask(f"{tmp_path}/a.png#red")


# ------------------------------------------------------------------------------------- masks from arrays


@pytest.mark.parametrize(
    "array",
    [
        np.array([[0, 1]], bool),
        np.array([[0, 1]]),
        np.array([[0, 255]], np.uint8),
        np.array([[0, 255]]),
        np.array([[0, 1]], np.float64),
    ],
)
def test_arrays_of_all_kinds(array):
    found = read_mask(array)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[0, 1]])


def test_shares_of_8_bits():
    np.testing.assert_allclose(read_mask(np.array([[0, 51, 255]], np.uint8)), [[0, 0.2, 1]])


def test_an_array_of_0_and_another_number_is_stretched():
    with pytest.warns(ArtuneWarning, match="no value above 3 of 255"):
        np.testing.assert_array_equal(read_mask(np.array([[0, 3]], np.uint8)), [[0, 1]])


def test_an_array_of_labels_names_them():
    labels = np.array([[0, 1, 2, 2]])
    with pytest.raises(PictureError, match=r"label map of several parts: 2 \(50\.0%\).*Give one, such as labels == 1"):
        read_mask(labels)
    assert read_label_map(labels).labels[2].number == 2
    assert read_label_map(labels == 2) is None


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([[0, 0.5, 1]]), r"^the mask of its style is a mask with 3 different values, .*labels == 1"),
        (np.array([[0, np.nan]]), "but beside a label map"),
        (np.arange(200, dtype=np.uint8)[None], "a mask with 200 different values"),
        (np.array([["sky", "sea"]]), "an array of <U3 of shape"),
        (np.array([1, 2]), r"of shape \(2,\); a label map, \[height, width\] of whole numbers, is needed"),
        (np.zeros((0, 3), int), "a label map, "),
    ],
)
def test_arrays_that_are_no_label_maps(array, message):
    with pytest.raises(PictureError, match=message):
        read_all_labels(array, where="the mask of its style")


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float32, np.float64])
def test_label_maps_of_whole_numbers_of_any_type(kind):
    found = read_all_labels(np.array([[0, 1, 1]]).astype(kind))
    np.testing.assert_array_equal(found.mask("1"), [[0, 1, 1]])


def test_label_maps_of_many_large_numbers():
    assert len(read_all_labels(np.arange(900)[None]).labels) == 900


def test_masks_and_maps_under_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.txt").write_text("nothing\nsky\nsea\n")
    saved(np.array([[0, 1, 2, 2]]), tmp_path / "a.png")
    saved(np.array([[0, 255]]), tmp_path / "mask.png")
    for path in ("~/a.png", Path("~/a.png")):
        assert [str(label) for label in read_label_map(path).labels] == ["nothing", "sky", "sea"]
        assert [str(label) for label in read_all_labels(path).labels] == ["nothing", "sky", "sea"]
        np.testing.assert_array_equal(read_mask(f"{path}#sea"), [[0, 0, 1, 1]])
    np.testing.assert_array_equal(read_mask("~/mask.png"), [[0, 1]])


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
