"""The store: nothing that is finished is lost, whatever stops the process."""

import math
import os
import shutil
import signal
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from artune.errors import InputError, OutputError
from artune.images.read import read_picture
from artune.record import Record
from artune.spec.study import Example, RunSpec
from artune.studies.entries import Entry, Measured, picture_file
from artune.studies.executors import InProcess
from artune.studies.keys import settings
from artune.studies.run import run
from artune.studies.store import LAYOUT, Store, open_for_reading
from tests.studies import SPEC, GreyPictures, grey_classes, kept, png, tasks, three_runs


@pytest.fixture
def runs(tmp_path):
    return three_runs(grey_classes(tmp_path / "in"))


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def made(key="a1", failed=""):
    """An entry, whose pictures need not be there."""
    each = RunSpec(content=Example(file="a", label=""), style=Example(file="b", label=""), spec=SPEC)
    return Entry(key=key, run=each, record=None if failed else Record(key=key, spec=SPEC, digests={}), failed=failed)


def test_what_is_kept_is_found_again(out):
    entries = [made("a1"), made("a2", "it did"), made("b3")]
    values = {"ssim": Measured(0.25, "window 7"), "seconds": Measured(1.5)}
    with Store.open(out) as store:
        for entry in entries:
            store.add(entry, None if entry.failed else png(), {} if entry.failed else values)
    with Store.open(out) as store:
        assert [*store.entries()] == entries
        assert [*store.entries(["b3", "nowhere", "a1"])] == [entries[2], entries[0]]
        assert [store.finished(key) for key in ("a1", "a2", "b3", "nowhere")] == [True, False, True, False]
        assert list(store.missing({"nowhere": 1, "b3": 2, "a2": 3})) == ["nowhere", "a2"]
        assert {key: sorted(each) for key, each in store.values(["b3", "a2"]).items()} == {"b3": sorted(values.items())}
        (failure,) = store.failures(["a1", "a2", "nowhere"])
        assert (failure.reason, failure.runs) == ("it did", (entries[1].run,))
        assert read_picture(store.picture("a1")).size == (2, 2)
        assert store.picture("a1") == picture_file(out, "a1") == out / "pictures" / "a1" / "a1.png"


def test_a_run_without_a_picture_is_finished_by_its_record(out):
    with Store.open(out) as store:
        store.add(made())
        assert store.finished("a1")


def test_values_of_a_measure_by_several(out):
    nan, other = Measured(math.nan, "a judge"), Measured(-math.inf, "another")
    with Store.open(out) as store:
        store.add_values("unchanged@8", {"m": nan})
        store.add_values("unchanged@8", {"m": other})
        store.add_values("unchanged@8", {"m": Measured(1.0, "another", {"classes": ["cat", "dog"]})})
        (first, second) = sorted(store.values()["unchanged@8"], key=lambda each: each[1].by)
        assert math.isnan(first[1].value)
        assert second == ("m", Measured(1.0, "another", {"classes": ["cat", "dog"]}))
        store.add_values("unchanged@8", {"m": other})
        assert [each.value for _, each in store.values(["unchanged@8"])["unchanged@8"]][1:] == [-math.inf]


def test_values_go_with_the_picture_that_they_were_measured_on(out):
    with Store.open(out) as store:
        store.add(made(), png(), {"m": Measured(1.0)})
        store.picture("a1").unlink()
        assert not store.finished("a1")
        store.add(made(), png(0.2), {"n": Measured(2.0)})
        assert store.values() == {"a1": [("n", Measured(2.0))]}


def test_many_keys(out):
    """More than one query takes."""
    keys = {f"{number:04}": number for number in range(1203)}
    with Store.open(out) as store:
        store.add_all_values({key: {"m": Measured(float(number))} for key, number in keys.items()})
        store.add(made("0700"))
        assert len(store.values(keys)) == len(keys)
        assert list(store.missing(keys)) == [key for key in keys if key != "0700"]


# ------------------------------------------------------------------------------------------- kills


def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def killed_at(moment, folder, picture, values):
    """Keep a run as a whole, and be killed while another one is kept."""
    with Store.open(folder) as store:
        store.add(made("a1"), picture, values)
        if moment == "within the file":
            os.replace = kill
        elif moment == "before the row":
            Store._transaction = kill
        elif moment == "within the row":
            store.database.execute("PRAGMA cache_size = 1")  # pages of the transaction are written before its end
            insert = Store._insert
            Store._insert = lambda *given: (insert(*given), kill())
        store.add(made("a2"), picture, values)
        kill()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="not on Windows")
@pytest.mark.filterwarnings("ignore:.*fork")
@pytest.mark.parametrize("moment", ["within the file", "before the row", "within the row", "after the row"])
def test_a_kill_loses_nothing_that_is_finished(out, moment):
    """A picture without its row is made again, in its place."""
    picture, values = png(), {"m": Measured(1.0), "n": Measured(2.0, detail={"long": 100_000 * "x"})}
    child = os.fork()
    if not child:
        try:
            killed_at(moment, out, picture, values)
        finally:
            os._exit(1)  # an exception, which is no kill
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert (out / "study.sqlite-wal").stat().st_size > 0  # nothing was put in order
    there = {"a1", "a2"} if moment == "after the row" else {"a1"}
    with Store.open(out) as store:
        assert set(store.missing({"a1": 0, "a2": 0})) == {"a1", "a2"} - there
        assert {entry.key for entry in store.entries()} == there
        assert {key: len(each) for key, each in store.values().items()} == dict.fromkeys(there, 2)
        assert store.picture("a2").exists() == (moment != "within the file")
        store.add(made("a2"), png(0.9))
        assert store.missing({"a1": 0, "a2": 0}) == {}
        assert read_picture(store.picture("a2")).pixels.mean() == pytest.approx(0.9, abs=0.01)
    assert sorted(path.name for path in out.rglob("*")) == [
        *("a1", "a1.png", "a2", "a2.png", "pictures", "study.lock", "study.sqlite")
    ]


def test_what_a_kill_leaves_is_removed(runs, out):
    (entry, *_) = kept(runs, out)
    left = [out / ".index.html.ab0123ef", picture_file(out, entry.key).with_name(f".{40 * 'a'}.01234567")]
    mine = out / ".gitignore"
    for path in (*left, mine):
        path.write_text("half")
    with Store.open(out):
        assert not any(path.exists() for path in left)
    assert mine.exists()


def test_a_transaction_that_fails_leaves_nothing_of_it(out):
    class NoNumber:
        """A value that the database cannot hold."""

    with Store.open(out) as store:
        bad = Measured(1.0)
        object.__setattr__(bad, "value", NoNumber())
        with pytest.raises(sqlite3.Error):
            store.add(made(), png(), {"good": Measured(1.0), "bad": bad})
        assert (store.finished("a1"), store.values(), store.database.in_transaction) == (False, {}, False)
        store.add(made(), png())
        assert store.finished("a1")


# ------------------------------------------------------------------------------------------- two processes


def test_one_run_at_a_time_in_a_folder(out):
    pytest.importorskip("fcntl")
    with Store.open(out), pytest.raises(OutputError, match="another process is writing"), Store.open(out):
        pass
    with Store.open(out):
        pass


def test_others_read_while_one_writes(out):
    with Store.open(out) as store:
        store.add(made("a1"), png())
        with open_for_reading(out) as reader:
            assert reader.finished("a1")
            store.add(made("a2"), png())  # neither waits for the other
            assert reader.finished("a2")
            with pytest.raises(OutputError, match="readonly"):
                reader.add_values("a1", {"m": Measured(1.0)})
    with open_for_reading(out):
        pass
    assert {path.name for path in out.iterdir()} == {"pictures", "study.lock", "study.sqlite"}


@contextmanager
def powerless(folder):
    """Nothing in a folder can be written: not even root may, who becomes somebody else."""
    paths = [folder, *folder.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="not on Windows")
def test_a_folder_that_cannot_be_written_is_read():
    place = Path(tempfile.mkdtemp())  # unlike pytest's own folders, others may look into it
    place.chmod(0o755)
    out = place / "out"
    try:
        with Store.open(out) as store:
            store.add(made(), png())
        with powerless(out):
            with open_for_reading(out) as reader:
                assert reader.finished("a1")
            with pytest.raises(OutputError, match=r"cannot write .*: Permission denied"), Store.open(out):
                pass
        with Store.open(out) as store:  # killed: its last changes are in the journal
            store.add(made("a2"), png())
            shutil.copytree(out, place / "killed", ignore=shutil.ignore_patterns("*-shm"))
        assert (place / "killed" / "study.sqlite-wal").stat().st_size
        with (
            powerless(place / "killed"),
            pytest.raises(InputError, match=r"cannot be read, as nothing can be written there .*; copy the folder"),
            open_for_reading(place / "killed"),
        ):
            pass
        with open_for_reading(place / "killed") as reader:
            assert reader.finished("a2")
    finally:
        shutil.rmtree(place)


# ------------------------------------------------------------------------------------------- other folders


def test_folders_that_hold_something_else_are_left_alone(out):
    (out / "thesis.txt").write_text("all of it")
    with pytest.raises(OutputError, match=r"holds other files \(thesis.txt\)"), Store.open(out):
        pass
    with pytest.raises(OutputError, match="is not a folder"), Store.open(out / "thesis.txt"):
        pass
    assert os.listdir(out) == ["thesis.txt"]


def test_results_of_earlier_versions_are_refused(out):
    (out / "records.jsonl").write_text("{}\n")
    (out / "pictures").mkdir()
    message = "holds results of an earlier version of artune .*; choose a new folder"
    with pytest.raises(OutputError, match=message), Store.open(out):
        pass
    with pytest.raises(InputError, match=r"there are no results in .*records.jsonl is of an earlier version"):
        open_for_reading(out).__enter__()
    assert sorted(os.listdir(out)) == ["pictures", "records.jsonl"]


def test_results_of_later_versions_are_refused(out):
    with Store.open(out):
        pass
    with closing(sqlite3.connect(out / "study.sqlite")) as database:
        database.execute(f"PRAGMA user_version = {LAYOUT + 1}")
    message = rf"another version of artune \(layout {LAYOUT + 1}, needed: {LAYOUT}\); choose a new folder"
    for opening in (Store.open, open_for_reading):
        with pytest.raises(InputError, match=message), opening(out):
            pass


def test_a_database_of_another_program_is_left_alone(out):
    with closing(sqlite3.connect(out / "study.sqlite")) as database:
        database.execute("CREATE TABLE mine (a)")
    with pytest.raises(InputError, match="another version of artune"), Store.open(out):
        pass


def test_a_folder_holds_one_study(out):
    with Store.open(out, "layers") as store:
        assert (store.title, store.study) == ("layers", "")
    with Store.open(out, "networks") as store:  # nothing is in it yet
        store.keep_study("title: networks")
        store.add_values("a@8", {"m": Measured(1.0)})
    with (
        pytest.raises(OutputError, match="results of the study 'networks', not of 'layers'; choose a new folder"),
        Store.open(out, "layers"),
    ):
        pass
    with pytest.raises(OutputError, match="not of one without a title"), Store.open(out):
        pass
    with open_for_reading(out) as reader:
        assert (reader.title, reader.study) == ("networks", "title: networks")
        with pytest.raises(OutputError, match="readonly"):
            reader.keep_study("mine")


def test_no_results(out):
    with pytest.raises(InputError, match="there are no results in"), open_for_reading(out):
        pass
    with pytest.raises(InputError, match="there are no results in"), open_for_reading(out / "nowhere"):
        pass


def test_another_study_is_refused_by_what_differs(runs, out):
    (entry, *_) = kept(runs, out)
    same = settings(entry.run.spec, {}, "")
    with Store.open(out) as store:
        store.check_settings(same)
        with pytest.raises(
            InputError, match=r"pictures of another study, which differ in size \(512, 64\); choose a new"
        ):
            store.check_settings({**same, "size": "64"})
        for key in runs:
            store.picture(key).unlink()
        store.check_settings({**same, "size": "64"})  # there is nothing left of the other one


# ------------------------------------------------------------------------------------------- full disks, damage


def test_a_full_disk_is_told_of_where_a_picture_is_written(out, monkeypatch):
    with Store.open(out) as store:
        store.add(made("a1"), png())
        with monkeypatch.context() as patch:

            def full(file):
                raise OSError(28, "No space left on device")

            patch.setattr(os, "fsync", full)
            with pytest.raises(OutputError, match=r"cannot write .*a2.png: No space left on device; free some space"):
                store.add(made("a2"), png())
        assert [*store.missing({"a1": 0, "a2": 0})] == ["a2"]
        store.add(made("a2"), png())
        assert store.missing({"a1": 0, "a2": 0}) == {}


def test_a_full_disk_is_told_of_where_a_row_is_written(out):
    """The database may take no more pages, which SQLite tells like a full disk."""
    with Store.open(out) as store:
        store.add(made("a1"), png(), {"m": Measured(1.0)})
        (pages,) = store.database.execute("PRAGMA page_count").fetchone()
        store.database.execute(f"PRAGMA max_page_count = {pages}")
        long = made("a2").model_copy(update={"failed": 100_000 * "x"})
        with pytest.raises(OutputError, match=r"cannot write .*: database or disk is full; free some space"):
            store.add(long, png(), {"m": Measured(1.0)})
        assert [*store.missing({"a1": 0, "a2": 0})] == ["a2"]
        assert [*store.values()] == ["a1"]
        store.database.execute("PRAGMA max_page_count = 4294967294")
        store.add(long, png())
        assert store.finished("a2")


@pytest.mark.parametrize("damage", ["torn", "text", "page", "row"])
def test_a_damaged_database_is_told_of(out, damage):
    with Store.open(out) as store:
        for number in range(20):
            store.add(made(f"{number:02}"))
    file = out / "study.sqlite"
    data = file.read_bytes()
    if damage == "torn":
        file.write_bytes(data[: len(data) // 2])
    elif damage == "text":
        file.write_bytes(b"no database, but long enough to be one" * 100)
    elif damage == "page":
        file.write_bytes(data[:4096] + bytes(len(data) - 4096))
    else:
        with closing(sqlite3.connect(file)) as database:
            database.execute("UPDATE runs SET record = '{' WHERE key = '07'")
            database.commit()
    said = "that this version of artune cannot read" if damage == "row" else "study.sqlite is damaged .*; put a copy"
    for opening in (Store.open, open_for_reading):
        with pytest.raises(InputError, match=said), opening(out) as store:
            list(store.entries())


def test_a_picture_that_was_cut_short_is_made_again(runs, out):
    entries = kept(runs, out)
    path = picture_file(out, entries[1].key)
    path.write_bytes(path.read_bytes()[:-1])
    with Store.open(out) as store:
        assert list(store.missing(runs)) == [entries[1].key]
        assert [entry.key for entry in run(tasks(runs), store, InProcess(), GreyPictures())] == [entries[1].key]
