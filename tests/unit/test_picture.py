"""A picture in memory: shapes, sizes, digests, and the way into other libraries."""

import io

import numpy as np
import pytest
from PIL import Image

from artune.errors import OutputError, PictureError
from artune.images.picture import Picture, from_tensor
from artune.images.read import decode_picture


@pytest.mark.parametrize(
    ("pixels", "alpha", "message"),
    [
        (np.zeros((4, 5), np.float32), None, r"\[height, width, 3\] is needed"),
        (np.zeros((0, 5, 3), np.float32), None, r"\[height, width, 3\] is needed"),
        (np.zeros((4, 5, 3)), None, "float64 values; float32 in"),
        (np.zeros((4, 5, 3), np.float32), np.zeros((5, 4), np.float32), "alpha of shape .* does not fit"),
    ],
)
@pytest.mark.usefixtures("untyped")
def test_what_is_no_picture(pixels, alpha, message):
    with pytest.raises(PictureError, match=message):
        Picture(pixels, alpha)


def test_what_cannot_be_seen_is_filled_neutrally():
    pixels = np.zeros((2, 2, 3), np.float32)
    pixels[0] = 0.8
    alpha = np.array([[1, 1], [0, 0]], np.float32)
    np.testing.assert_allclose(Picture(pixels, alpha).filled(), 0.8, atol=1e-6)
    np.testing.assert_allclose(Picture(pixels, 0 * alpha).filled(), 0.5)


def test_resizing_is_antialiased_and_keeps_edges_of_alpha_clean():
    stripes = np.tile(np.array([0.0, 1.0], np.float32), (64, 32))
    small = Picture(np.repeat(stripes[..., None], 3, 2)).resized(16, 16)
    np.testing.assert_allclose(small.pixels, 0.5, atol=0.06)
    pixels = np.zeros((8, 8, 3), np.float32)
    pixels[:, :4] = 1
    alpha = np.zeros((8, 8), np.float32)
    alpha[:, :4] = 1  # what is black cannot be seen
    assert Picture(pixels, alpha).resized(4, 4).pixels.min() > 0.95
    assert Picture(pixels).resized(8, 8).pixels is pixels


def test_tensors_there_and_back(photo):
    tensor = photo.tensor()
    assert tensor.shape == (1, 3, 32, 48)
    np.testing.assert_array_equal(from_tensor(tensor).pixels, photo.pixels)
    assert from_tensor(tensor * 3 - 1).pixels.min() >= 0


def test_digests_tell_pictures_apart(photo, painting):
    assert photo.digest() == Picture(photo.pixels.copy()).digest()
    turned = Picture(photo.pixels.reshape(48, 32, 3))
    clear = Picture(photo.pixels, np.ones((32, 48), np.float32))
    assert len({p.digest() for p in (photo, painting, turned, clear)}) == 4


def test_the_digest_is_that_of_earlier_versions():
    """Keys of stored runs depend on it."""
    ramp = np.arange(24, dtype=np.float32).reshape(2, 4, 3) / 23
    assert Picture(ramp).digest() == "6aea68ad9ab09977d8fc3a1eb0d286f17ce669579f21cdad7d872c3708d3183b"
    assert (
        Picture(ramp, ramp[..., 0].copy()).digest()
        == "f2bc4d5951c45f9a0b2ffba733dbd12f120540a2113ffe84e3bd7bb8823e1f2b"
    )


# ---------------------------------------------------------------------------------- into other libraries


@pytest.fixture
def steps():
    """``[1, 4, 3]``: values between two 8-bit steps, and a transparency."""
    values = np.array([0, 0.5, 127.6, 255], np.float32) / 255
    return Picture(np.repeat(values[None, :, None], 3, 2), values[None])


def test_to_numpy(steps, photo):
    eight = steps.to_numpy()
    assert eight.dtype == np.uint8
    assert eight.shape == (1, 4, 4)
    assert eight[0, :, 0].tolist() == eight[0, :, 3].tolist() == [0, 1, 128, 255]  # rounded
    sixteen = steps.to_numpy("uint16")
    assert sixteen.dtype == np.uint16
    assert sixteen[0, :, 0].tolist() == [0, 129, 32793, 65535]
    floats = photo.to_numpy(np.float32)
    np.testing.assert_array_equal(floats, photo.pixels)
    floats[:] = 0  # a copy
    assert photo.pixels.max() > 0
    with pytest.raises(PictureError, match="no array of float64; choose uint8, uint16 or float32"):
        photo.to_numpy(float)


def test_to_pil(steps, photo):
    assert photo.to_pil().mode == "RGB"
    assert photo.to_pil().size == photo.size
    np.testing.assert_array_equal(np.asarray(photo.to_pil()), photo.to_numpy())
    assert steps.to_pil().mode == "RGBA"
    exif = Image.Exif()
    exif[271] = "M"
    assert Picture(photo.pixels, exif=exif.tobytes()).to_pil().getexif()[271] == "M"


def test_saving_to_a_file_and_to_a_buffer(photo, tmp_path):
    photo.save(tmp_path / "a.png")
    buffer = io.BytesIO()
    photo.save(buffer, format="png")
    assert buffer.getvalue() == (tmp_path / "a.png").read_bytes()
    photo.save(str(tmp_path / "a.tif"), bits=16, replace=False)
    with pytest.raises(OutputError, match="give `format`"):
        photo.save(io.BytesIO())


def test_a_notebook_shows_it(photo):
    shown = decode_picture(photo._repr_png_())
    np.testing.assert_array_equal(shown.to_numpy(), photo.to_numpy())
    wide = Picture(np.zeros((10, 4000, 3), np.float32))
    assert decode_picture(wide._repr_png_()).size == (1024, 3)
    thin = Picture(np.zeros((3000, 1, 3), np.float32))
    assert decode_picture(thin._repr_png_()).size == (1, 1024)


def test_a_picture_is_one_short_line(photo):
    assert repr(photo) == "Picture(48x32)"
    assert repr(Picture(photo.pixels, np.zeros((32, 48), np.float32))) == "Picture(48x32, transparent in parts)"
