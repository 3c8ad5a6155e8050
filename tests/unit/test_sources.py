"""What people have as a picture: everything that holds the same pixels gives the same picture."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import ExifTags, Image

from artune.errors import ArtuneWarning, PictureError
from artune.images.picture import Picture
from artune.images.read import decode_picture, read_picture
from artune.images.sources import as_picture
from tests.pictures import file_of, linear_rgb


@pytest.fixture
def eight(photo):
    """``[32, 48, 3]`` uint8."""
    return photo.to_numpy()


@pytest.fixture
def path(eight, tmp_path):
    Image.fromarray(eight).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


class OfPath:
    """Not a Path, but has one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


@pytest.mark.parametrize(
    "wrap",
    [
        str,
        Path,
        OfPath,
        lambda path: path.read_bytes(),
        lambda path: bytearray(path.read_bytes()),
        lambda path: memoryview(path.read_bytes()),
        lambda path: io.BytesIO(path.read_bytes()),
        Image.open,
        lambda path: Image.open(path).copy(),
        lambda path: np.asarray(Image.open(path)),
        lambda path: np.asarray(Image.open(path))[None],
        lambda path: np.asarray(Image.open(path)).transpose(2, 0, 1),
        lambda path: np.asarray(Image.open(path)) / 255,
        lambda path: np.asarray(Image.open(path)) / np.float32(255),
        lambda path: np.asarray(Image.open(path)).astype(np.uint16) * 257,
        lambda path: torch.tensor(np.asarray(Image.open(path))),
        lambda path: torch.tensor(np.asarray(Image.open(path))).permute(2, 0, 1),
        lambda path: torch.tensor(np.asarray(Image.open(path))).permute(2, 0, 1)[None] / 255,
        lambda path: read_picture(path).tensor().requires_grad_(),
        read_picture,
    ],
)
def test_every_source_of_the_same_pixels_is_the_same_picture(path, wrap):
    assert as_picture(wrap(path)).digest() == read_picture(path).digest()


def test_an_open_file(path):
    with path.open("rb") as file:
        assert as_picture(file).digest() == read_picture(path).digest()
        with pytest.raises(PictureError, match=r"photo\.png\) is empty .* needs seek\(0\)"):
            as_picture(file)
    with (
        path.open(encoding="latin-1") as file,
        pytest.raises(PictureError, match="open as text; open it with mode 'rb'"),
    ):
        as_picture(file)


def test_a_file_object_that_cannot_be_read(path, tmp_path):
    class Broken:
        def read(self):
            raise OSError(5, "Input/output error")

    class Lost(Broken):
        def read(self):
            raise RuntimeError

    closed = path.open("rb")
    closed.close()
    with (tmp_path / "new.png").open("wb") as writing:
        for file, reason in (
            (closed, r"\(.*photo\.png\): .* closed file"),
            (writing, r"\(.*new\.png\): read"),
            (Broken(), r"\(a file object\): Input/output error"),
            (Lost(), "RuntimeError"),
        ):
            with pytest.raises(PictureError, match=rf"cannot read the picture .*{reason}; give .*open\(path, 'rb'\)"):
                as_picture(file)
    with path.open(encoding="utf-8") as text, pytest.raises(PictureError, match=r"as text; .*open\(path, 'rb'\)"):
        as_picture(text)


def test_the_home_folder(path, monkeypatch):
    monkeypatch.setenv("HOME", str(path.parent))
    assert as_picture("~/photo.png").digest() == as_picture(Path("~/photo.png")).digest() == read_picture(path).digest()


def test_a_picture_is_returned_as_it_is(photo):
    assert as_picture(photo) is photo


# ---------------------------------------------------------------------------------- arrays


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64, np.float16, "bfloat16"])
@pytest.mark.parametrize("channels", [0, 1, 3, 4])
@pytest.mark.parametrize("layout", ["hwc", "chw", "1hwc", "1chw"])
def test_arrays(rng, dtype, channels, layout):
    values = rng.random((6, 7, channels) if channels else (6, 7))
    if dtype == "bfloat16":
        array = torch.tensor(values).bfloat16()
        values = array.double().numpy()
    else:
        most = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
        array = (values * most).astype(dtype)
        values = array.astype(np.float64) / most
    if channels and "chw" in layout:
        array = array.permute(2, 0, 1) if dtype == "bfloat16" else array.transpose(2, 0, 1)
    picture = as_picture(array[None] if layout[0] == "1" and channels else array)
    assert picture.size == (7, 6)
    colours = values.reshape(6, 7, -1)[..., : 3 if channels > 1 else 1]
    np.testing.assert_allclose(picture.pixels, np.broadcast_to(colours, (6, 7, 3)), atol=1e-7)
    assert (picture.alpha is None) == (channels != 4)
    if channels == 4:
        np.testing.assert_allclose(picture.alpha, values[..., 3], atol=1e-7)


def test_the_smallest_ones():
    assert as_picture(np.full((1, 1), 51, np.uint8)).pixels.tolist() == [[[pytest.approx(0.2)] * 3]]
    assert as_picture(np.zeros((2, 1, 3), np.uint8)).size == (1, 2)


def test_an_opaque_alpha_is_none():
    assert as_picture(np.full((2, 2, 4), 255, np.uint8)).alpha is None


def test_rounding_beyond_one_is_clipped():
    picture = as_picture(np.array([[-0.0005, 1.0005]]))
    assert picture.pixels[0, :, 0].tolist() == [0, 1]


AMBIGUOUS = "where channels may be first or last; say which by giving artune.Picture"


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 3, 3), np.uint8), rf"shape \[3, 3, 3\], {AMBIGUOUS}"),
        (np.zeros((4, 9, 3), np.uint8), AMBIGUOUS),
        (np.zeros((1, 9, 1)), AMBIGUOUS),
        (torch.zeros(1, 3, 9, 4), AMBIGUOUS),
        (np.zeros((9, 9, 2)), "neither 1, 3 nor 4 channels first or last"),
        (np.zeros((2, 3, 9, 9)), "a batch of 2; give its pictures one by one"),
        (np.zeros(9), r"shape \[9\]; give \[height, width, 3\]"),
        (np.array(0.5), r"shape \[\]; give"),
        (np.zeros((1, 1, 3, 9, 9)), "give"),
        (np.zeros((0, 9, 3)), "no pixels"),
        (np.full((9, 9, 3), 200.0), "from 200 to 200, beyond .* divide 8-bit values by 255"),
        (torch.full((3, 9, 9), 2.2), "undo what the preparation for a network has subtracted"),
        (np.linspace(-1, 1, 243).reshape(9, 9, 3), r"if they run from -1 to 1, give \(x \+ 1\) / 2"),
        (np.full((9, 9), np.nan), "not finite"),
        (np.full((9, 9), np.inf), "not finite"),
        (np.zeros((9, 9, 3), np.int64), "an array of int64; give uint8"),
        (np.zeros((9, 9, 3), bool), "an array of bool; give uint8"),
        (np.zeros((9, 9, 3), np.complex64), "an array of complex64"),
        (np.full((9, 9), "a"), "give uint8"),
        (torch.zeros(3, 9, 9, device="meta"), "cannot be made a NumPy array: .*meta"),
        (torch.zeros(9, 9).to_sparse(), "cannot be made a NumPy array"),
    ],
)
def test_arrays_that_are_no_picture(array, message):
    with pytest.raises(PictureError, match=message):
        as_picture(array)


def test_the_fix_for_an_ambiguous_shape_works():
    array = np.zeros((4, 9, 3), np.float32)
    assert as_picture(Picture(array)).size == (9, 4)
    assert as_picture(Picture(np.zeros((3, 9, 4), np.float32).transpose(1, 2, 0))).size == (4, 9)


@pytest.mark.parametrize("part", ["pixels", "alpha"])
@pytest.mark.parametrize("value", [255.0, -1.0, np.nan])
def test_a_picture_beyond_its_range(part, value):
    arrays = {"pixels": np.zeros((2, 2, 3), np.float32), "alpha": np.zeros((2, 2), np.float32)}
    arrays[part][:] = value
    with pytest.raises(PictureError, match=r"beyond \[0, 1\]|not finite"):
        as_picture(Picture(**arrays))


# ---------------------------------------------------------------------------------- images of Pillow


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_of_pillow_is_turned_and_converted(eight, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Make] = orientation, "M"
    data = file_of(Image.fromarray(eight), "PNG", exif=exif, icc_profile=linear_rgb())
    image = Image.open(io.BytesIO(data))
    picture = as_picture(image)
    assert picture.digest() == decode_picture(data).digest()
    assert picture.exif == decode_picture(data).exif
    assert image.getexif()[ExifTags.Base.Orientation] == orientation  # the image itself stays as it was


def test_transparency_of_an_image_of_pillow():
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    for clear in (1, b"\xff\0"):
        palette.info["transparency"] = clear
        picture = as_picture(palette)
        assert picture.alpha.tolist() == [[1, 0]]
        assert picture.pixels[0, 0].tolist() == [1, 0, 0]
    grey = as_picture(Image.new("LA", (2, 1), (51, 102)))
    assert grey.alpha[0, 0] == pytest.approx(0.4)
    assert grey.pixels[0, 0] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("mode", "value", "want"),
    [
        ("1", 1, (1, 1, 1)),
        ("L", 51, (0.2, 0.2, 0.2)),
        ("I;16", 13107, (0.2, 0.2, 0.2)),
        ("I", 51, (0.2, 0.2, 0.2)),
        ("I", 13107, (0.2, 0.2, 0.2)),
        ("F", 0.2, (0.2, 0.2, 0.2)),
        ("CMYK", (0, 255, 255, 0), (1, 0, 0)),
        ("HSV", (0, 255, 255), (1, 0, 0)),
        ("YCbCr", (255, 128, 128), (1, 1, 1)),
        ("RGBX", (255, 0, 51, 7), (1, 0, 0.2)),
        ("RGBa", (51, 0, 0, 255), (0.2, 0, 0)),
        ("La", (51, 255), (0.2, 0.2, 0.2)),
    ],
)
def test_every_mode_of_pillow(mode, value, want):
    picture = as_picture(Image.new(mode, (3, 2), value))
    assert picture.size == (3, 2)
    np.testing.assert_allclose(picture.pixels, np.broadcast_to(np.float32(want), (2, 3, 3)), atol=2e-3)


def test_the_transparent_grey_of_a_deep_image_of_pillow():
    deep = Image.fromarray(np.array([[100, 7]], np.uint16))
    picture = as_picture(Image.open(io.BytesIO(file_of(deep, "PNG", transparency=7))))
    assert picture.alpha.tolist() == [[1, 0]]
    assert picture.pixels[0, 0, 0] * 65535 == pytest.approx(100)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_an_image_of_pillow_with_several_frames_is_warned_of(form):
    frames = [Image.new("RGB", (20, 16), colour) for colour in ("red", "blue", "green")]
    data = file_of(frames[0], form, save_all=True, append_images=frames[1:])
    several = r"^the photograph (is animated: only its|has several pages: only the) first"
    image = Image.open(io.BytesIO(data))
    for _ in range(2):
        with pytest.warns(ArtuneWarning, match=several):
            picture = as_picture(image, role="photograph")
        np.testing.assert_allclose(picture.pixels, np.broadcast_to([1, 0, 0], (16, 20, 3)), atol=0.02)
    assert image.tell() == 0


def test_a_preview_in_a_tiff_of_pillow_is_no_page(eight):
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(eight, photometric="rgb")
        file.write(eight[::2, ::2], photometric="rgb", subfiletype=1)
    assert as_picture(Image.open(buffer)).size == (48, 32)


@pytest.mark.parametrize("form", ["GIF", "PNG", "TIFF"])
def test_the_frame_that_was_chosen_is_taken(form):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    image = Image.open(io.BytesIO(file_of(frames[0], form, save_all=True, append_images=frames[1:])))
    image.seek(1)
    assert as_picture(image).pixels[0, 0].tolist() == [0, 0, 1]


def test_a_picture_goes_to_pillow_and_back(photo):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "M"
    alpha = np.full((32, 48), 0.4, np.float32)
    back = as_picture(Picture(photo.pixels, alpha, exif.tobytes()).to_pil())
    np.testing.assert_array_equal(back.to_numpy()[..., :3], photo.to_numpy())
    np.testing.assert_allclose(back.alpha, 0.4, atol=1e-6)
    assert b"M\0" in back.exif


def test_an_image_of_pillow_that_cannot_be_decoded(eight):
    cut = Image.open(io.BytesIO(file_of(Image.fromarray(eight), "PNG")[:600]))
    with pytest.raises(PictureError, match="the painting is damaged or cut short"):
        as_picture(cut, role="painting")


# ---------------------------------------------------------------------------------- what is none


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("https://example.org/a.jpg", "the photograph is a URL, .*artune downloads nothing; save it to a file"),
        ("file:///tmp/a.jpg", "is a URL"),
        ("data:image/png;base64,AAAA", "or give the bytes of the file"),
        ("nowhere.png", "there is no photograph nowhere.png"),
        ("", "the name of the photograph is empty"),
        (b"", r"the photograph is empty \(0 bytes\)"),
        (b"nothing", "the photograph is not a picture that can be read"),
        (None, "type NoneType is no picture; give a path, the bytes of a file"),
        (5, "type int is no picture"),
        (["a.jpg", "b.jpg"], r"type list is no picture.*one by one: style\(photo, a, b\)"),
        ([[0.1, 0.2]], "type list is no picture"),
        ({"a": 1}, "type dict is no picture"),
    ],
)
@pytest.mark.usefixtures("untyped")
def test_what_is_no_source(source, message):
    with pytest.raises(PictureError, match=message):
        as_picture(source, role="photograph")


def test_huge_ones_are_refused_whatever_they_are(monkeypatch):
    monkeypatch.setattr("artune.images.read.HUGE", 1000)
    for source in (np.zeros((40, 30, 3), np.uint8), Image.new("1", (30, 40)), file_of(Image.new("1", (30, 40)), "PNG")):
        with pytest.raises(PictureError, match=r"30x40 pixels, above the limit .*`allow_huge`"):
            as_picture(source)
        assert as_picture(source, allow_huge=True).size == (30, 40)
