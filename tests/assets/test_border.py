"""Borders of real paintings."""

import numpy as np
import pytest

import artune
from artune.images.border import Margins, border
from artune.images.picture import Picture
from artune.images.read import read_picture

pytestmark = [pytest.mark.assets, pytest.mark.filterwarnings("ignore:.* has a border:artune.errors.ArtuneWarning")]


def test_borders_that_were_looked_at(assets):
    """A still life in a mat, a lithograph on white paper; and paintings that fill their picture."""
    folder = assets / "data/styleid/style"
    for name, want in (("14", Margins(42, 42, 44, 40)), ("25", Margins(28, 96, 0, 0))):
        assert border(read_picture(folder / f"{name}.jpg").pixels) == want
    for name in ("07", "17", "26", "27", "39"):
        assert border(read_picture(folder / f"{name}.jpg").pixels) == Margins()


def test_few_lines_within_a_painting_are_taken_for_its_border(assets):
    """The middle of a painting has no border: what is found there is a false alarm. 53 of 2,279 when all were tried."""
    found = []
    for path in sorted((assets / "data/paintings").rglob("*.jpg"))[::20]:
        pixels = read_picture(path).pixels
        height, width = pixels.shape[:2]
        found.append(any(border(pixels[height // 4 : -(height // 4), width // 4 : -(width // 4)])))
    assert np.mean(found) < 0.06


def test_a_mat_leaves_no_frame(assets):
    """The outermost pixels of the result are as bright as without a mat; a mask that keeps the mat keeps the frame."""
    photograph, painting = (read_picture(assets / f"data/styleid/{name}.jpg") for name in ("content/07", "style/27"))
    mat = Picture(np.pad(painting.pixels, ((20, 20), (20, 20), (0, 0)), constant_values=1))
    whole = artune.Masked(mat, np.ones(mat.pixels.shape[:2]))

    def outermost(style):
        options = {"size": 192, "style_scale": 0.25, "quality": "draft", "strength": 0.6}
        pixels = artune.style(photograph, style, **options).picture.pixels
        return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).mean()

    plain, cut, kept = map(outermost, (painting, mat, whole))
    assert cut == pytest.approx(plain, abs=0.03)
    assert kept > plain + 0.06
