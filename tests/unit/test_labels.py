"""Label maps as networks and people make them: numbers, palettes, flat colours, compressed ones."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from artune.errors import InputError, PictureError
from artune.regions.labels import MaskFile, labels_of_array, read_labels, split_label

RED, BLUE, GREY = (255, 0, 0), (0, 0, 255), (128, 128, 128)


def thirds(*colours, side=48):
    """Vertical stripes of equal width."""
    return Image.fromarray(np.repeat(np.repeat(np.uint8([colours]), side // len(colours), 1), side, 0))


def read(path):
    return read_labels(MaskFile.read(path))


def saved(image, path, **options):
    image.save(path, **options)
    return path


def names_of(found):
    return [str(label) for label in found.labels]


def stripe(found, label):
    """Columns in which a label is."""
    mask = found.mask(label)
    assert (mask == mask[0]).all()
    return np.flatnonzero(mask[0]).tolist()


# ------------------------------------------------------------------------------------- colours


def test_flat_colours_by_hand(tmp_path):
    found = read(saved(thirds(RED, BLUE, GREY), tmp_path / "a.png"))
    assert sorted(names_of(found)) == ["0000ff", "808080", "ff0000"]
    for asked in ("ff0000", "#FF0000", "red", " Red "):
        assert stripe(found, asked) == list(range(16))
    assert stripe(found, "red+grey") == [*range(16), *range(32, 48)]
    np.testing.assert_allclose(found.shares(), 1 / 3)


@pytest.mark.parametrize(("suffix", "options"), [("jpg", {"quality": 60}), ("webp", {"quality": 60})])
def test_compression_makes_no_labels(suffix, options, tmp_path):
    """Whatever it did to the edges, there are three labels, and their borders lie where they lay."""
    image = thirds(RED, BLUE, (255, 255, 0), side=96)
    found = read(saved(image, tmp_path / f"a.{suffix}", **options))
    assert len(found.labels) == 3
    for label, start in (("red", 0), ("blue", 32), ("yellow", 64)):
        want = np.zeros((96, 96))
        want[:, start : start + 32] = 1
        assert np.abs(found.mask(label) - want).mean() < 0.015


def test_soft_edges_make_no_labels(tmp_path):
    soft = thirds(RED, BLUE, GREY).filter(ImageFilter.GaussianBlur(1))
    found = read(saved(soft, tmp_path / "a.png"))
    assert sorted(names_of(found)) == ["0000ff", "808080", "ff0000"]
    assert sum(found.mask(label).sum() for label in names_of(found)) == 48 * 48  # each pixel has one


def test_near_colours_are_two_labels(tmp_path):
    """The palette of ADE20K has colours that differ by ten in one channel."""
    found = read(saved(thirds((0, 41, 255), (0, 51, 255)), tmp_path / "a.png"))
    assert stripe(found, "0029ff") == list(range(24))
    assert stripe(found, "0033ff") == list(range(24, 48))


def test_pictures_are_no_label_maps(photo, painting, rng, tmp_path):
    noise = Image.fromarray(rng.integers(0, 256, (48, 48, 3), np.uint8))
    ramp = Image.fromarray(np.repeat(np.arange(256, dtype=np.uint8)[None], 64, 0)).convert("RGB")
    for image in (noise, ramp, Image.fromarray((photo.pixels * 255).astype(np.uint8))):
        assert read(saved(image, tmp_path / "a.png")) is None


# ------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_numbers_are_labels(mode, tmp_path):
    image = Image.fromarray(np.array([[0, 5, 42]], np.uint16 if mode == "I;16" else np.uint8))
    if mode == "P":
        image.putpalette([value for n in range(256) for value in (n, 255 - n, 7 * n % 256)])
    found = read(saved(image, tmp_path / "a.png"))
    assert names_of(found) == ["0", "5", "42"]
    assert stripe(found, "42") == [2]
    if mode == "P":
        assert stripe(found, "05fa23") == [1]


def test_a_file_is_read_once_and_by_no_limit_of_the_whole_process(tmp_path, monkeypatch):
    """Pillow's own limit of size would raise ``DecompressionBombError``."""
    image = Image.fromarray(np.tile(np.uint8([[1, 2, 5]]), (30, 10)))
    image.putpalette([value for n in range(256) for value in (n, 255 - n, 7 * n % 256)])
    path = saved(image, tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    file = MaskFile.read(path)
    path.unlink()
    assert names_of(read_labels(file)) == ["1", "2", "5"]


def test_numbers_above_255(tmp_path):
    """Cityscapes has 26001 for the second car."""
    found = read(saved(Image.fromarray(np.array([[0, 26000, 26001]], np.uint16)), tmp_path / "a.png"))
    assert stripe(found, "26001") == [2]


def test_shades_of_grey_are_named_by_number_and_by_colour(tmp_path):
    found = read(saved(thirds((0,) * 3, GREY, (255,) * 3).convert("L"), tmp_path / "a.png"))
    assert stripe(found, "128") == stripe(found, "grey") == stripe(found, "808080") == list(range(16, 32))
    assert stripe(found, "white") == list(range(32, 48))


def test_arrays_of_numbers():
    found = labels_of_array(np.array([[3, 3], [9, 0]]), "labels")
    np.testing.assert_array_equal(found.mask("3"), [[1, 1], [0, 0]])
    assert str(found) == "3 (50.0%), 9 (25.0%), 0 (25.0%)"


def test_an_unknown_label_gets_a_list(tmp_path):
    (tmp_path / "a.txt").write_text("sky\nsea\n")
    found = read(saved(Image.fromarray(np.array([[0, 1, 1, 1]], np.uint8)), tmp_path / "a.png"))
    with pytest.raises(PictureError, match=r"a\.png has no label 'see'; it has sea \(75\.0%\), sky \(25\.0%\)\. Name "):
        found.mask("see")


def test_a_map_without_names_says_where_names_come_from(tmp_path):
    """One colour that is not Pascal VOC's leaves its map without names."""
    person = (0xC0, 0x80, 0x80)
    voc = ". The names of Pascal VOC are known only where all colours are of its palette; here some are not"
    beside = "Name one of these, or name them in a file beside the map, such as a.json"
    for image, asked, message in (
        (Image.fromarray(np.array([[0, 15]], np.uint8)), "person", beside),
        (Image.fromarray(np.array([[0, 15]], np.uint8)), "16", "Name one of these"),
        (thirds(person, BLUE), "person", beside + voc),
        (thirds(person, BLUE), "sky", beside),
        (thirds(person, BLUE), "green", "Name one of these"),
    ):
        found = read(saved(image, tmp_path / "a.png"))
        with pytest.raises(PictureError) as refused:
            found.mask(asked)
        assert str(refused.value).endswith(message)
    with pytest.raises(PictureError, match=r"Name one of these$"):
        labels_of_array(np.array([[3, 9]]), "labels").mask("person")


# ------------------------------------------------------------------------------------- pairs


def test_labels_are_paired_by_what_they_are_called(tmp_path):
    (tmp_path / "a.txt").write_text("sky\nsea\nboat\n")
    (tmp_path / "b.txt").write_text("sea\nmeadow\nSky\n")
    a = read(saved(Image.fromarray(np.array([[0, 1, 2]], np.uint8)), tmp_path / "a.png"))
    b = read(saved(Image.fromarray(np.array([[0, 1, 2]], np.uint8)), tmp_path / "b.png"))
    pairs = {str(label): (own[0].tolist(), its[0].tolist()) for label, own, its in a.pairs(b)}
    assert pairs == {"sky": ([1, 0, 0], [0, 0, 1]), "sea": ([0, 1, 0], [1, 0, 0])}


def test_a_name_of_hex_letters_is_not_paired_with_a_colour(tmp_path):
    """The other map has no facade, but a label whose colour is facade."""
    (tmp_path / "a.json").write_text('{"1": "facade", "2": "sky"}')
    (tmp_path / "b.json").write_text('{"ff0000": "sea", "0000ff": "sky"}')
    a = read(saved(Image.fromarray(np.array([[1, 2]], np.uint8)), tmp_path / "a.png"))
    b = read(saved(thirds((0xFA, 0xCA, 0xDE), BLUE, RED), tmp_path / "b.png"))
    assert [str(label) for label, _, _ in a.pairs(b)] == ["sky"]


def test_numbers_of_six_digits_are_paired_and_found():
    a, b = (labels_of_array(np.array(numbers), "a") for numbers in ([[100000, 2]], [[2, 100000]]))
    pairs = {str(label): (own[0].tolist(), its[0].tolist()) for label, own, its in a.pairs(b)}
    assert pairs == {"100000": ([1, 0], [0, 1]), "2": ([0, 1], [1, 0])}
    np.testing.assert_array_equal(a.mask("100000"), [[1, 0]])


def test_colours_are_paired_though_one_map_is_compressed(tmp_path):
    a = read(saved(thirds(RED, BLUE, GREY), tmp_path / "a.png"))
    b = read(saved(thirds(GREY, RED, side=96), tmp_path / "b.jpg", quality=70))
    assert {str(label) for label, _, _ in a.pairs(b)} == {"ff0000", "808080"}


def test_a_few_pixels_make_no_pair():
    numbers = np.zeros((100, 100), int)
    numbers[0, :9] = 1
    some = labels_of_array(numbers, "a")
    assert [label.number for label, _, _ in some.pairs(some)] == [0]


# ------------------------------------------------------------------------------------- file and label


def test_files_and_labels_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("map.png", "no#2.png"):
        (tmp_path / name).touch()
    assert split_label("map.png#person") == ("map.png", "person")
    assert split_label("map.png##ff0000") == ("map.png", "#ff0000")
    assert split_label("no#2.png") == ("no#2.png", "")
    assert split_label("no#2.png#3") == ("no#2.png", "3")
    assert split_label("gone.png#3") == ("gone.png", "3")
    assert split_label(tmp_path / "map.png") == (str(tmp_path / "map.png"), "")
    with pytest.raises(InputError, match=r"map\.png#: no label follows the '#'"):
        split_label("map.png#")


def test_a_map_under_the_home_folder_keeps_its_numbers_and_names(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.txt").write_text("sky\nsea\n")
    saved(Image.fromarray(np.array([[0, 1]], np.uint8)), tmp_path / "a.png")
    assert split_label("~/a.png#sea") == (str(tmp_path / "a.png"), "sea")
    assert names_of(read("~/a.png")) == ["sky", "sea"]
