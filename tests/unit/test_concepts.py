import json

import numpy as np
import pytest
from PIL import Image

from artune.analysis.concepts import (
    CELL,
    COLOURS,
    LEAST,
    ORIENTATIONS,
    Collection,
    colour_names,
    grid_of,
    orientations,
)
from artune.errors import InputError, PictureError
from artune.images.color import to_lab
from artune.images.picture import Picture
from artune.images.write import write_picture


def save(path, rng, height=32, width=32):
    write_picture(Picture(rng.random((height, width, 3), np.float32)), path)
    return path


@pytest.mark.parametrize(
    ("rgb", "name"),
    [((1, 0, 0), "red"), ((0, 0, 0), "black"), ((1, 1, 1), "white"), ((0.5, 0.5, 0.5), "grey"), ((1, 1, 0), "yellow"),
     ((0, 0.5, 0), "green"), ((0, 0, 1), "blue"), ((1, 0.5, 0), "orange"), ((1, 0.75, 0.8), "pink"),
     ((0.5, 0, 0.5), "purple"), ((0.45, 0.27, 0.1), "brown")],
)  # fmt: skip
def test_colours_have_their_names(rgb, name):
    lab = to_lab(np.full((1, 1, 3), rgb, np.float32))
    assert [*COLOURS][colour_names(lab)[0, 0]] == name


@pytest.mark.parametrize(
    ("down", "right", "name"),
    [(1, 0, "horizontal edges"), (0, 1, "vertical edges"), (1, 1, "rising edges"), (-1, 1, "falling edges")],
)
def test_directions_of_edges(down, right, name):
    y, x = np.mgrid[0:8, 0:8]
    ramp = (10.0 * (down * y + right * x)).astype(np.float32)
    for lightness in (ramp, -ramp):
        assert {ORIENTATIONS[place] for place in orientations(lightness).ravel()} == {name}


def test_what_is_flat_has_no_edges():
    assert (orientations(np.full((4, 4), 50, np.float32)) == -1).all()
    assert (orientations(np.zeros((1, 4), np.float32)) == -1).all()


def test_cells_of_a_grid():
    assert grid_of(33, 32) == (8, 9)


def test_classes_in_two_halves(tmp_path, rng):
    for label in ("cat", "dog"):
        for number in range(4):
            save(tmp_path / label / f"{number}.png", rng)
    found = Collection.read([tmp_path], 32)
    assert [(each.name, each.kind) for each in found.classes] == [("cat", "object"), ("dog", "object")]
    assert sorted((sample.label, sample.half) for sample in found.samples) == [
        (label, half) for label in ("cat", "dog") for half in (0, 0, 1, 1)
    ]
    smaller = Collection.read([tmp_path], 32, limit=4)
    assert smaller.samples == found.samples[:4]
    assert smaller.digest != found.digest
    assert Collection.read([tmp_path], 32).digest == found.digest


@pytest.fixture
def clothes(tmp_path, rng):
    """Pictures with a hat in the upper left quarter, and a glove in the first picture alone."""
    for number in range(2 * LEAST):
        save(tmp_path / "photos" / f"{number}.png", rng)
        labels = np.zeros((32, 32), np.uint8)
        labels[:16, :16] = 1
        if number == 0:
            labels[16:, 16:] = 2
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(labels).save(tmp_path / "masks" / f"{number}.png")
    (tmp_path / "labels.json").write_text(json.dumps(["null", "hat", "glove"]))
    return tmp_path


def test_parts_by_masks(clothes):
    found = Collection.read([clothes], 32)
    assert [each.name for each in found.concepts if each.kind == "part"] == ["hat"]  # gloves are too rare
    sample = found.samples[0]
    cells = found.cells(sample, found.picture(sample))
    hat = cells[:, len(COLOURS) + len(ORIENTATIONS)].reshape(32 // CELL, 32 // CELL)
    assert hat[:4, :4].all()
    assert hat.sum() == 16
    assert (cells[:, : len(COLOURS)].sum(1) == 1).all()


def test_a_mask_of_another_shape(clothes):
    Image.fromarray(np.zeros((32, 16), np.uint8)).save(clothes / "masks" / "1.png")
    with pytest.raises(PictureError, match="16x32 pixels, its picture 32x32"):
        Collection.read([clothes], 32)


def test_a_mask_that_is_missing(clothes):
    (clothes / "masks" / "3.png").unlink()
    with pytest.raises(InputError, match=r"no mask of 3\.png"):
        Collection.read([clothes], 32)


def test_a_class_with_one_picture(tmp_path, rng):
    save(tmp_path / "cat" / "a.png", rng)
    save(tmp_path / "dog" / "a.png", rng)
    save(tmp_path / "dog" / "b.png", rng)
    with pytest.raises(InputError, match=r"class cat in .* has a single picture"):
        Collection.read([tmp_path], 32)


def test_folders_without_pictures(tmp_path, rng):
    with pytest.raises(InputError, match="there is no folder"):
        Collection.read([tmp_path / "none"], 32)
    with pytest.raises(PictureError, match="no picture"):
        Collection.read([tmp_path], 32)
    save(tmp_path / "a.png", rng)
    with pytest.raises(InputError, match="1 picture cannot be divided"):
        Collection.read([tmp_path], 32)


def test_a_copy_is_in_neither_half(tmp_path, rng):
    """Else the half that measures could be the one that has chosen."""
    first = save(tmp_path / "0.png", rng)
    (tmp_path / "1.png").write_bytes(first.read_bytes())
    with pytest.raises(InputError, match="1 picture cannot be divided into two halves"):
        Collection.read([tmp_path], 32)
    save(tmp_path / "2.png", rng)
    assert {sample.file.name for sample in Collection.read([tmp_path], 32).samples} == {"0.png", "2.png"}
