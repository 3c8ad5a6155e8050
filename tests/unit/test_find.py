"""Finding pictures: what is taken, what is skipped, and how that is told."""

from pathlib import Path

import pytest

from artune.errors import PictureError
from artune.images.find import Found, find_pictures
from artune.images.formats import READABLE


@pytest.fixture
def folder(tmp_path):
    for name in ("b.PNG", "a.jpg", "c.jfif", ".hidden.png", "notes.txt", "film.mov", "README"):
        (tmp_path / name).write_bytes(b"")
    for name in ("sub/deeper/d.tif", "sub/e.txt", ".git/x.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def names(paths: list[Path], folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


def test_a_folder(folder):
    found = find_pictures(folder)
    assert names(found.pictures, folder) == ["a.jpg", "b.PNG", "c.jfif"]
    assert names(found.skipped, folder) == ["README", "film.mov", "notes.txt", "sub"]
    assert found.skipped_note() == (
        "skipped 3 files that are no picture: no suffix (1), .mov (1), .txt (1) "
        "and 1 sub-folder (searched with `recursive`)"
    )


def test_a_folder_and_what_is_below(folder):
    found = find_pictures(folder, recursive=True)
    assert names(found.pictures, folder) == ["a.jpg", "b.PNG", "c.jfif", "sub/deeper/d.tif"]
    assert names(found.skipped, folder) == ["README", "film.mov", "notes.txt", "sub/e.txt"]


def test_a_loop_of_links_ends(folder):
    (folder / "sub/again").symlink_to(folder, target_is_directory=True)
    found = find_pictures(folder, recursive=True)
    assert len(found.pictures) == 4
    assert folder / "sub/again" in found.skipped


@pytest.mark.parametrize("suffix", READABLE)
def test_every_suffix(tmp_path, suffix):
    (tmp_path / f"a{suffix.upper()}").write_bytes(b"")
    assert find_pictures(tmp_path).pictures == [tmp_path / f"a{suffix.upper()}"]


def test_nothing_skipped_is_nothing_told():
    assert Found([Path("a.png")], []).skipped_note() == ""


def test_of_many_kinds_the_note_tells_some():
    skipped = [Path(f"a.{kind}") for kind in "uvwxyz"]
    assert Found([], skipped).skipped_note().startswith("skipped 6 files that are no picture: .u (1)")
    assert Found([], skipped).skipped_note().endswith(".y (1), ...")


def test_the_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    assert find_pictures(Path("~")).pictures == find_pictures(folder).pictures


def test_no_picture(tmp_path):
    with pytest.raises(PictureError, match=r"there is no picture in .*looked for \.jpg.*\.avif"):
        find_pictures(tmp_path)
    (tmp_path / "sub").mkdir()
    with pytest.raises(PictureError, match=r"skipped 1 sub-folder .searched with `recursive`."):
        find_pictures(tmp_path)


def test_a_folder_that_is_missing_or_locked(tmp_path, monkeypatch):
    with pytest.raises(PictureError, match=r"cannot read the folder .*No such file"):
        find_pictures(tmp_path / "none")

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(PictureError, match=r"cannot read the folder .*Permission denied"):
        find_pictures(tmp_path)


def test_a_locked_folder_below_is_skipped(folder, monkeypatch):
    plain = Path.iterdir

    def refuse(self):
        if self.name == "sub":
            raise PermissionError(13, "Permission denied")
        return plain(self)

    monkeypatch.setattr(Path, "iterdir", refuse)
    found = find_pictures(folder, recursive=True)
    assert len(found.pictures) == 3
    assert folder / "sub" in found.skipped
