import contextlib
import errno
import os
import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from artune.errors import CheckpointError, OutputError
from artune.files import (
    atomic,
    atomic_folder,
    check_writable,
    expanded,
    file_digest,
    free_name,
    is_full,
    temporary_files,
    without_copies,
    write,
    write_together,
)
from artune.tensors import load_checkpoint, save_checkpoint


def test_a_block_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with atomic(path) as temporary:
            temporary.write_text("new")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_ends_well_replaces_it_and_keeps_its_mode(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o640)
    with atomic(path) as temporary:
        assert temporary.parent == tmp_path
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077])
def test_a_new_file_has_the_users_mode_and_the_umask_is_left_alone(tmp_path, monkeypatch, mask):
    """The umask is one for all threads: one that makes a file just then would make it writable for everybody."""
    before = os.umask(mask)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "umask", None)
            for replace in (True, False):
                with atomic(tmp_path / f"{replace}.txt", replace=replace) as temporary:
                    temporary.write_text("new")
                assert stat.S_IMODE((tmp_path / f"{replace}.txt").stat().st_mode) == 0o666 & ~mask
    finally:
        os.umask(before)


def test_temporary_files_have_names_of_their_own(tmp_path, monkeypatch):
    names = iter(["aaaa0000", "aaaa0000", "bbbb1111"])
    monkeypatch.setattr("artune.files.secrets.token_hex", lambda length: next(names))
    with atomic(tmp_path / "a") as one, atomic(tmp_path / "a") as two:
        assert [one.name, two.name] == [".a.aaaa0000", ".a.bbbb1111"]
        one.write_text("1")
        two.write_text("2")


def test_temporary_files_are_found_by_the_file_that_they_belong_to(tmp_path):
    for name in (".gitignore", ".a.png.txt", ".a.png.0123456"):
        (tmp_path / name).touch()
    with atomic(tmp_path / "a.png") as one, atomic(tmp_path / (60 * "b")) as other:
        assert {*temporary_files(tmp_path)} == {one, other}
        assert temporary_files(tmp_path, "a.png") == [one]
        assert temporary_files(tmp_path, 60 * "b") == [other]
    assert temporary_files(tmp_path) == temporary_files(tmp_path / "nowhere") == []


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    write(Path("~/a/b.txt"), b"x")
    write_together(Path("~/new"), {"c": b"x"})
    write_together(Path("~/new"), {"d": b"x"})
    with atomic_folder(Path("~/set")) as begun:
        (begun / "e").write_text("x")
    check_writable(Path("~/f"))
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert files == ["home/a/b.txt", "home/new/c", "home/new/d", "home/set/e"]
    assert expanded("~no-such-user/x") == Path("~no-such-user/x")


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    with atomic(tmp_path / "link.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_a_folder_is_whole_or_not_there(tmp_path):
    place = tmp_path / "a" / "set"
    with contextlib.suppress(KeyboardInterrupt), atomic_folder(place) as begun:
        (begun / "x").write_text("half")
        raise KeyboardInterrupt
    assert list((tmp_path / "a").iterdir()) == []
    place.mkdir()
    with atomic_folder(place) as begun:
        (begun / "x").write_text("whole")
        assert list(place.iterdir()) == []
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["set"]
    assert (place / "x").read_text() == "whole"
    with pytest.raises(OutputError, match="cannot write"), atomic_folder(place):
        pass  # it holds something
    assert (place / "x").read_text() == "whole"


def test_files_that_belong_together_take_their_places_in_order(tmp_path, monkeypatch):
    moved, replace = [], os.replace

    def watched(source, target):
        moved.append(target.name)
        replace(source, target)

    write_together(tmp_path / "new" / "page", {"a": b"0", "b": b"0"})
    assert sorted(path.name for path in (tmp_path / "new" / "page").iterdir()) == ["a", "b"]
    monkeypatch.setattr("artune.files.os.replace", watched)
    place = tmp_path / "page"
    place.mkdir()
    write_together(place, {"a": b"1", "b": b"2", "c": b"3"})
    assert moved == ["a", "b", "c"]


@pytest.mark.parametrize("room", [1, 2])
def test_files_that_belong_together_and_a_full_disk(tmp_path, monkeypatch, room):
    """The second or the third is on no disk; what was there stays, and of a new folder nothing."""
    place, sync, left = tmp_path / "page", os.fsync, iter(range(room))
    write_together(place, {"a": b"1", "b": b"2", "c": b"3"})

    def full(handle):
        if next(left, None) is None:
            raise OSError(28, "No space left on device")
        sync(handle)

    monkeypatch.setattr("artune.files.os.fsync", full)
    with pytest.raises(OutputError, match=rf"{'abc'[room]}: No space left"):
        write_together(place, {"a": b"4", "b": b"5", "c": b"6"})
    assert {path.name: path.read_bytes() for path in place.iterdir()} == {"a": b"1", "b": b"2", "c": b"3"}
    with pytest.raises(OutputError, match="No space left"):
        write_together(tmp_path / "new", {"a": b"4"})
    assert list(tmp_path.iterdir()) == [place]


def test_a_free_name_beside_a_file(tmp_path):
    assert free_name(tmp_path / "a.b.png").name == "a.b-2.png"
    (tmp_path / "a.b-2.png").symlink_to("nowhere")
    assert free_name(tmp_path / "a.b.png").name == "a.b-3.png"


@pytest.mark.parametrize(("number", "full"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EACCES, False)])
def test_a_full_disk_is_told_from_other_errors(tmp_path, monkeypatch, number, full):
    def fail(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError) as raised:
        write(tmp_path / "a", b"x")
    assert is_full(raised.value) is full
    assert not is_full(OutputError("a.png exists"))


def test_a_full_disk_is_said_plainly(tmp_path):
    with pytest.raises(OutputError, match="No space left"), atomic(tmp_path / "a.txt"):
        raise OSError(28, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_a_place_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        check_writable(tmp_path / "file" / "out.png")
    with pytest.raises(OutputError, match="it is a folder"):
        check_writable(tmp_path)
    check_writable(tmp_path / "new" / "folder" / "out.png")


def test_the_digest_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_digest(tmp_path / "a") == want


def test_checkpoints_come_back(tmp_path):
    tensors = {"x": torch.rand(2, 3), "count": torch.ones((), dtype=torch.float64)}
    save_checkpoint(tmp_path / "a.partial", tensors, {"step": 3, "losses": {"a": [0.1]}})
    back, about = load_checkpoint(tmp_path / "a.partial")
    assert about == {"step": 3, "losses": {"a": [0.1]}}
    assert all(torch.equal(back[name], value) for name, value in tensors.items())
    assert back["count"].dtype == torch.float64


def test_checkpoints_are_safetensors(tmp_path):
    tensors = {"unit": torch.rand(()), "moves": torch.empty((0, 7)), "count": torch.ones((), dtype=torch.float64)}
    tensors["x"] = torch.rand(1, 3, 5, 4).permute(0, 1, 3, 2)
    save_checkpoint(tmp_path / "a.partial", tensors, {})
    back = load_file(tmp_path / "a.partial")
    assert back.keys() == tensors.keys()
    for name, value in tensors.items():
        assert torch.equal(back[name], value), name
        assert back[name].dtype == value.dtype


def test_what_is_loaded_can_be_written_over_and_the_checkpoint_stays(tmp_path):
    save_checkpoint(tmp_path / "a.partial", {"x": torch.ones(5000)}, {})
    load_checkpoint(tmp_path / "a.partial")[0]["x"].zero_()
    assert (load_checkpoint(tmp_path / "a.partial")[0]["x"] == 1).all()


@pytest.mark.parametrize("content", [b"", b"{}", b"\x08\0\0\0\0\0\0\0{}      ", bytes(100)])
def test_damaged_checkpoints(content, tmp_path):
    path = tmp_path / "a.partial"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="remove it to start anew"):
        load_checkpoint(path)


def test_a_cut_checkpoint(tmp_path):
    path = tmp_path / "a.partial"
    save_checkpoint(path, {"x": torch.rand(100)}, {})
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


def test_a_checkpoint_with_one_bit_turned(tmp_path):
    path = tmp_path / "a.partial"
    save_checkpoint(path, {"x": torch.rand(100)}, {})
    data = bytearray(path.read_bytes())
    data[-41] ^= 0x40
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="its sha256 is another"):
        load_checkpoint(path)


def test_a_checkpoint_that_is_not_there(tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / "none.partial")


@pytest.mark.parametrize("links", [True, False])
def test_without_replacing_the_first_one_stays(tmp_path, monkeypatch, links):
    if not links:

        def unsupported(*args):
            raise OSError("no hard links here")

        monkeypatch.setattr(os, "link", unsupported)
    for text, outcome in (("one", contextlib.nullcontext()), ("two", pytest.raises(OutputError, match="another run"))):
        with outcome, atomic(tmp_path / "a", replace=False) as temporary:
            temporary.write_text(text)
    assert (tmp_path / "a").read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_copies_are_left_out_and_what_cannot_be_read_stays(tmp_path):
    for name, text in (("a", "1"), ("b", "2"), ("c", "1")):
        (tmp_path / name).write_text(text)
    paths = [tmp_path / name for name in "abcd"]
    assert without_copies(paths) == [paths[0], paths[1], paths[3]]
