"""The store: nothing that is finished is lost, whatever stops the process."""

import json
import os
import shutil

import numpy as np
import pytest

from artune.errors import ArtuneWarning, InputError, OutputError
from artune.images.picture import Picture
from artune.record import Record
from artune.studies.entries import Entry, read_entries
from artune.studies.executors import InProcess
from artune.studies.keys import settings
from artune.studies.run import run
from artune.studies.store import Store
from tests.studies import SPEC, GreyPictures, grey_classes, kept, three_runs


@pytest.fixture
def runs(tmp_path):
    return three_runs(grey_classes(tmp_path / "in"))


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_a_torn_last_line_is_mended_from_its_picture(runs, out):
    kept(runs, out)
    lines = out / "records.jsonl"
    whole = lines.read_bytes()
    for cut in (1, 40, len(whole.splitlines()[-1])):  # the line's end, the middle of it, all but its first letter
        lines.write_bytes(whole[:-cut])
        assert len(read_entries(out)) == 2
        with Store.open(out) as store:
            assert store.missing(runs) == {}
        assert lines.read_bytes() == whole


def test_a_torn_line_without_a_picture_is_made_again(runs, out):
    entries = kept(runs, out)
    lines = out / "records.jsonl"
    lines.write_bytes(lines.read_bytes()[:-9])
    (out / "pictures" / f"{entries[-1].key}.png").unlink()
    with Store.open(out) as store:
        assert list(store.missing(runs)) == [entries[-1].key]
        list(run(runs, store, InProcess(), GreyPictures()))
    assert [json.loads(line)["key"] for line in lines.read_text().splitlines()] == [entry.key for entry in entries]


def test_a_picture_that_is_not_of_its_name_is_no_result(runs, out):
    first, second, _ = kept(runs, out)
    pictures = out / "pictures"
    (out / "records.jsonl").write_bytes(b"")
    shutil.copy(pictures / f"{first.key}.png", pictures / f"{second.key}.png")
    (pictures / "torn.png").write_bytes(b"\x89PNG")
    with Store.open(out) as store:
        assert second.key in store.missing(runs)
        assert first.key not in store.missing(runs)


def test_a_damaged_line_costs_its_own_picture_only(runs, out):
    entries = kept(runs, out)
    lines = (out / "records.jsonl").read_text().splitlines(keepends=True)
    (out / "records.jsonl").write_text(lines[0] + "{\n" + lines[2])
    (out / "pictures" / f"{entries[1].key}.png").unlink()
    with pytest.warns(ArtuneWarning, match="line 2 of .* is damaged"), Store.open(out) as store:
        assert list(store.missing(runs)) == [entries[1].key]


def test_what_a_kill_leaves_is_removed(runs, out):
    kept(runs, out)
    left = [out / ".index.html.ab0123ef", out / "pictures" / f".{40 * 'a'}.01234567"]
    mine = out / ".gitignore"
    for path in (*left, mine):
        path.write_text("half")
    with Store.open(out):
        assert not any(path.exists() for path in left)
    assert mine.exists()


def test_one_run_at_a_time_in_a_folder(out):
    pytest.importorskip("fcntl")
    with Store.open(out), pytest.raises(OutputError, match="another process is writing"), Store.open(out):
        pass
    with Store.open(out):
        pass


def test_folders_that_hold_something_else_are_left_alone(out):
    (out / "thesis.txt").write_text("all of it")
    with pytest.raises(OutputError, match=r"holds other files \(thesis.txt\)"), Store.open(out):
        pass
    with pytest.raises(OutputError, match="is not a folder"), Store.open(out / "thesis.txt"):
        pass
    assert os.listdir(out) == ["thesis.txt"]


def test_a_full_disk_is_told_of(runs, out, monkeypatch):
    with Store.open(out) as store:

        def full(file):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match="No space left"):
            store.add(Entry(key="k", run=next(iter(runs.values())), failed="x"), None)


def test_another_study_is_refused_by_what_differs(runs, out):
    (entry, *_) = kept(runs, out)
    same = settings(entry.run.spec, {}, "")
    with Store.open(out) as store:
        store.check_settings(same)
        with pytest.raises(
            InputError, match=r"pictures of another study, which differ in size \(512, 64\); choose a new"
        ):
            store.check_settings({**same, "size": "64"})


def test_a_folder_of_an_earlier_version_is_refused_with_the_reason(runs, out):
    """Its keys left the device to each machine; pictures of several machines may be mixed."""
    key, each = next(iter(runs.items()))
    old = each.model_copy(update={"spec": SPEC})
    with Store.open(out) as store:
        store.add(
            Entry(key=key, run=old, record=Record(key=key, spec=SPEC, digests={})),
            Picture(np.zeros((2, 2, 3), np.float32)),
        )
        with pytest.raises(
            InputError, match=r"device \(auto, \w+\), precision .* left to `auto` by an earlier version"
        ) as error:
            store.check_settings(settings(each.spec, {}, ""))
    assert "choose a new folder" in str(error.value)
