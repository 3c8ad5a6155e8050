"""Names of labels: files beside a map in all their forms, and Pascal VOC."""

import json

import numpy as np
import pytest
from PIL import Image

from artune.errors import InputError
from artune.regions.label_names import VOC, _voc_colour, label_names
from artune.regions.labels import MaskFile, read_labels

RED, BLUE = (255, 0, 0), (0, 0, 255)


def halves(left, right, side=48):
    return Image.fromarray(np.repeat(np.repeat(np.uint8([[left, right]]), side // 2, 1), side, 0))


def saved(image, path, **options):
    image.save(path, **options)
    return path


def read(path):
    return read_labels(MaskFile.read(path))


def names_of(found):
    return [str(label) for label in found.labels]


def columns(found, label):
    return np.flatnonzero(found.mask(label)[0]).tolist()


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.json", json.dumps(["nothing", "sky", "Sea"])),
        ("a.json", json.dumps({"1": "sky", "2": "Sea"})),
        ("a.json", json.dumps({"sky": 1, "Sea": 2})),
        ("a.json", json.dumps({"model_type": "segformer", "id2label": {"1": "sky", "2": "Sea"}})),
        ("labels.json", json.dumps({"sky": "#ff0000", "Sea": [0, 0, 255]})),
        ("../labels.json", json.dumps({"ff0000": "sky", "0000ff": "Sea"})),
        ("a.txt", "nothing\nsky\nSea\n"),
        ("labels.txt", "1 sky\n2: Sea\n"),
        ("labels.txt", "#ff0000 sky\n\n#0000ff,Sea\n"),
        ("labels.txt", "255 0 0\tsky\n0 0 255\tSea"),
    ],
)
def test_names_beside_the_map(file, text, tmp_path):
    folder = tmp_path / "maps"
    folder.mkdir()
    (folder / file).write_text(text)
    image = Image.fromarray(np.array([[1, 2, 0]], np.uint8))
    image.putpalette([0, 0, 0, *RED, *BLUE])
    found = read(saved(image, folder / "a.png"))
    assert columns(found, "sky") == [0]
    assert columns(found, "SEA") == [1]
    assert columns(found, "0") == [2]


def names_in(data, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(data))
    return label_names(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("data", "want"),
    [
        ({"2": "facade"}, {2: "facade"}),
        ({"2": "facade", "3": "sky"}, {2: "facade", 3: "sky"}),
        ({"2": "facade", "ff0000": "decade"}, {2: "facade", "ff0000": "decade"}),
        ({"id2label": {"0": "facade"}}, {0: "facade"}),
        ({"facade": 2}, {2: "facade"}),
        ({"facade": "2"}, {2: "facade"}),
        ({"facade": [255, 0, 0], "sky": [0, 0, 255]}, {"ff0000": "facade", "0000ff": "sky"}),
        ({"facade": "ff0000"}, {"ff0000": "facade"}),
        ({"facade": "#ffffff"}, {"ffffff": "facade"}),
        ({"ff0000": "facade"}, {"ff0000": "facade"}),
        ({"#ffffff": "facade"}, {"ffffff": "facade"}),
        ({"000000": "facade", "0000ff": "decade"}, {"000000": "facade", "0000ff": "decade"}),
        (["sky", "facade"], {0: "sky", 1: "facade"}),
    ],
)
def test_words_of_hex_letters_are_names(data, want, tmp_path):
    assert names_in(data, tmp_path) == want


def test_a_number_of_six_digits_is_no_colour(tmp_path):
    assert names_in({"car": 100000}, tmp_path) == {100000: "car"}
    (tmp_path / "b.txt").write_text("100000 car\n#100000 facade\n2 decade\n")
    assert label_names(tmp_path / "b.png") == {100000: "car", "100000": "facade", 2: "decade"}


def test_names_of_colours_that_compression_changed(tmp_path):
    (tmp_path / "labels.txt").write_text("#ff0000 sky\n#0000ff sea\n")
    found = read(saved(halves(RED, BLUE, side=96), tmp_path / "a.jpg", quality=50))
    assert sorted(names_of(found)) == ["sea", "sky"]


@pytest.mark.parametrize(("file", "text"), [("a.json", "{"), ("a.json", "3"), ("a.json", '{"a": "b"}')])
def test_files_that_name_nothing(file, text, tmp_path):
    (tmp_path / file).write_text(text)
    with pytest.raises(InputError, match=r"a\.json does not name the labels of .*a\.png: .*give a list of names"):
        label_names(tmp_path / "a.png")


def test_maps_of_pascal_voc_are_known_by_their_colours(tmp_path):
    numbers = np.array([[0, 15, 8, 255]], np.uint8)
    image = Image.fromarray(numbers)
    image.putpalette([int(_voc_colour(n)[i : i + 2], 16) for n in range(256) for i in (0, 2, 4)])
    found = read(saved(image, tmp_path / "a.png"))
    assert names_of(found) == ["background", "cat", "person", "border"]
    assert columns(found, "person") == columns(found, "15") == columns(found, "c08080") == [1]
    colours = read(saved(halves((0, 0, 0), (192, 128, 128)), tmp_path / "b.png"))
    assert columns(colours, "person") == list(range(24, 48))


def test_the_names_of_pascal_voc_are_torchvisions():
    from torchvision.models import get_model_weights

    names = get_model_weights("deeplabv3_resnet50").DEFAULT.meta["categories"]
    assert tuple(name.strip("_") for name in names) == VOC
