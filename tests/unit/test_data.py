"""Folders of pictures by class."""

import numpy as np
import pytest
import torch

from artune.data.folders import Folder, class_folder, read_squares, square, to_bytes, to_image
from artune.errors import InputError, PictureError, UnknownNameError
from artune.images.picture import Picture
from artune.images.write import write_picture


def paint(path, colour=(0.5, 0.5, 0.5), size=(4, 6)):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(Picture(np.broadcast_to(np.float32(colour), (*size, 3)).copy()), path)


@pytest.fixture
def root(tmp_path):
    for split, count in (("train", 5), ("val", 2), ("test", 1)):
        for name in ("b", "a", "c"):
            for number in range(count):
                paint(tmp_path / split / name / f"{number}.png")
    (tmp_path / "train" / ".hidden").mkdir()
    (tmp_path / "train" / "notes.txt").write_text("no class")
    return tmp_path


def test_classes_are_sorted_and_labels_their_places(root):
    folder = Folder.read(root)
    assert folder.classes == ("a", "b", "c")
    assert [(p.parent.name, p.name, label) for p, label in folder.splits["val"]] == [
        ("a", "0.png", 0), ("a", "1.png", 0), ("b", "0.png", 1), ("b", "1.png", 1), ("c", "0.png", 2), ("c", "1.png", 2)
    ]  # fmt: skip
    assert len(folder.splits["train"]) == 15


def test_only_what_is_asked_for_must_be_there(root):
    import shutil

    shutil.rmtree(root / "test")
    assert set(Folder.read(root, ("train", "val")).splits) == {"train", "val"}
    with pytest.raises(InputError, match=r"there is no folder .*test"):
        Folder.read(root)


def test_no_folder_and_no_class(tmp_path):
    with pytest.raises(InputError, match="it must hold train, val, test with a folder for each class"):
        Folder.read(tmp_path / "none")
    (tmp_path / "train").mkdir()
    with pytest.raises(InputError, match="there is no class in"):
        Folder.read(tmp_path)


def test_an_empty_class(root):
    (root / "val" / "a" / "0.png").unlink()
    (root / "val" / "a" / "1.png").unlink()
    with pytest.raises(PictureError, match=r"there is no picture in .*val.a"):
        Folder.read(root)


def test_a_class_that_was_not_trained(root):
    paint(root / "val" / "d" / "0.png")
    with pytest.raises(InputError, match=r"val has a class 'd' that .*train does not have; known: a, b, c"):
        Folder.read(root)


def test_labels_are_those_of_the_classes_given(root):
    folder = Folder.read(root, ("test",), classes=("c", "b", "a"))
    assert [(p.parent.name, label) for p, label in folder.splits["test"]] == [("a", 2), ("b", 1), ("c", 0)]
    with pytest.raises(InputError, match="a class 'a' that the judge does not have"):
        Folder.read(root, ("test",), classes=("b", "c"))


def test_one_against_all_others(root):
    folder = Folder.read(root).against("b")
    assert folder.classes == ("b", "not b")
    assert [label for _, label in folder.splits["val"]] == [1, 1, 0, 0, 1, 1]
    with pytest.raises(UnknownNameError, match="no class 'bb'"):
        Folder.read(root).against("bb")


def test_a_subset_has_so_many_of_each_class_and_grows_with_them(root):
    folder = Folder.read(root)
    chosen = [set(folder.subset("train", n, seed=1).splits["train"]) for n in (1, 3, 9)]
    assert [len(c) for c in chosen] == [3, 9, 15]
    assert chosen[0] < chosen[1] < chosen[2]
    assert sorted(label for _, label in chosen[1]) == [0] * 3 + [1] * 3 + [2] * 3
    assert folder.subset("train", 2, seed=1).splits == folder.subset("train", 2, seed=1).splits
    others = {folder.subset("train", 1, seed=s).splits["train"] for s in range(9)}
    assert len(others) > 1
    assert folder.subset("train", 1, seed=1).splits["val"] == folder.splits["val"]


def test_pictures_by_class(root):
    found = class_folder(root / "val", ("a", "b", "c", "d"))
    assert {name: len(files) for name, files in found.items()} == {"a": 2, "b": 2, "c": 2}
    assert found == class_folder(root / "val")
    assert all(path.parent == root / "val" / name for name, files in found.items() for path in files)


def test_folders_that_are_none_of_classes(root, tmp_path):
    with pytest.raises(UnknownNameError, match=r"has a folder of that name"):
        class_folder(root / "val", ("a", "b"))
    with pytest.raises(InputError, match=r"no folder .*nowhere; it must hold a folder of pictures for each class"):
        class_folder(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no class in .*a; it must hold a folder of pictures for each"):
        class_folder(root / "val" / "a")
    with pytest.raises(InputError, match=r"holds splits, not classes; give one of them, such as .*test"):
        class_folder(root)
    (root / "val/empty").mkdir()
    with pytest.raises(PictureError, match=r"no picture in .*empty"):
        class_folder(root / "val")


def test_the_middle_square_is_cut_out():
    image = torch.arange(4 * 8.0).view(1, 1, 4, 8).expand(1, 3, 4, 8) / 100
    torch.testing.assert_close(square(image, 4), image[..., 2:6])
    torch.testing.assert_close(square(image.transpose(2, 3), 4), image.transpose(2, 3)[..., 2:6, :])


def test_a_square_of_another_size_keeps_the_mean():
    image = torch.rand((2, 3, 40, 60), generator=torch.Generator().manual_seed(0))
    small = square(image, 10)
    assert small.shape == (2, 3, 10, 10)
    torch.testing.assert_close(small.mean((2, 3)), image[..., 10:50].mean((2, 3)), atol=0.01, rtol=0)


def test_bytes_there_and_back():
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert torch.equal(to_bytes(to_image(pixels)), pixels)


def test_squares_are_read(root):
    paint(root / "x.png", (1, 0.2, 0))
    assert read_squares([root / "x.png"], 3)[0, :, 1, 1].tolist() == [255, 51, 0]


def test_pictures_that_cannot_be_read_are_named(root):
    bad = []
    for number in range(7):
        bad.append(root / "train" / "a" / f"bad{number}.png")
        bad[-1].write_bytes(b"no picture")
    paths = [p for p, _ in Folder.read(root, ("train",)).splits["train"]]
    with pytest.raises(PictureError) as caught:
        read_squares(paths, 4)
    message = str(caught.value)
    assert "7 of 22 pictures cannot be used" in message
    assert "bad0.png" in message
    assert "bad4.png" in message
    assert "and 2 more" in message
