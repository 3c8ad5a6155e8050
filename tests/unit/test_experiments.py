"""Runs of a grid, and the folder that keeps them."""

import json
import math
import os
import shutil
from concurrent.futures import Future

import numpy as np
import pytest

import artune.record
from artune.errors import ArtuneWarning, InputError, OutputError, PictureError, ResourceError, SpecError
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.write import write_picture
from artune.recipes import find_recipe
from artune.record import Record
from artune.spec.study import Example, RunSpec
from artune.spec.style import StyleSpec
from artune.studies.executors import InProcess, workers
from artune.studies.grid import examples, grid, weight_of, with_ratios, with_strengths, written
from artune.studies.run import Made, run
from artune.studies.store import Entry, Store, keyed, picture_file, read_entries

SPEC = StyleSpec(strength=0.5)


@pytest.fixture
def folder(tmp_path):
    """Three classes of five pictures, each of another grey."""
    for place, label in enumerate("abc"):
        for number in range(5):
            grey = np.full((4, 4, 3), (5 * place + number) / 20, np.float32)
            write_picture(Picture(grey), tmp_path / "in" / label / f"{number}.png")
    return tmp_path / "in"


@pytest.fixture
def runs(folder):
    """Three runs, by key."""
    first, *others = examples(folder, 1)
    return keyed(grid([first], others, with_strengths(SPEC, [0.3])) + grid([first], others[:1], [SPEC]))


@pytest.fixture
def out(tmp_path):
    """A folder for results."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


class Maker:
    """Makes a grey picture of each run, and counts; fails for what it is told."""

    def __init__(self, failing=()):
        self.calls, self.failing = [], failing

    def __call__(self, each):
        self.calls.append(each)
        if each.style.label in self.failing:
            raise PictureError("it is torn")
        return Made(Picture(np.full((2, 2, 3), 0.5, np.float32)), Record(key="k", spec=each.spec, digests={}))


def test_a_choice_of_more_holds_the_choice_of_fewer(folder):
    two, three = (set(examples(folder, count, seed=3)) for count in (2, 3))
    assert two < three
    assert len(three) == 9
    assert {example.label for example in two} == {"a", "b", "c"}
    assert set(examples(folder, 2, seed=4)) != two
    shutil.rmtree(folder / "a")
    assert set(examples(folder, 2, seed=3)) == {example for example in two if example.label != "a"}
    assert len(examples(folder)) == 10


def test_more_pictures_than_a_class_has(folder):
    with pytest.raises(InputError, match="holds 5 pictures, not 6"):
        examples(folder, 6)


def test_every_content_in_every_style_at_every_weight(folder):
    contents, styles = examples(folder, 1), examples(folder, 2)
    made = grid(contents, styles, with_strengths(SPEC, [0.1, 0.9]))
    assert len(made) == 3 * 6 * 2
    assert {(run.content, run.style, run.spec.strength) for run in made} == {
        (content, style, strength) for content in contents for style in styles for strength in (0.1, 0.9)
    }


def test_weights_on_their_axis():
    tutorial = find_recipe("tutorial").spec
    ratios = [weight_of(spec) for spec in with_ratios(tutorial, [(5e4, 1), (1e6, 10), (2, 1), (1.25e-5, 1)])]
    assert [weight.label for weight in ratios] == ["5e4:1", "1e6:10", "2:1", "1.25e-5:1"]
    assert [weight.place for weight in ratios] == pytest.approx([math.log(r) for r in (5e4, 1e5, 2, 1.25e-5)])
    (strength,) = (weight_of(spec) for spec in with_strengths(SPEC, [0.8]))
    assert (strength.label, strength.ratio) == ("0.8", False)
    assert strength.place == pytest.approx(math.log(4))
    assert written(strength.place, ratio=False) == "0.80"
    assert written(math.log(52_345), ratio=True) == "5.2e4:1"


def test_weights_that_have_no_place():
    with pytest.raises(InputError, match="one side alone"):
        with_strengths(SPEC, [0.5, 1])
    with pytest.raises(SpecError, match="strength belongs to scale calibrated"):
        with_strengths(find_recipe("tutorial").spec, [0.5])
    with pytest.raises(InputError, match="above 0"):
        with_ratios(SPEC, [(0.0, 1.0)])
    with pytest.raises(InputError, match="needs a strength"):
        weight_of(StyleSpec())


def test_a_key_follows_from_the_files_and_the_spec_alone(folder, tmp_path, monkeypatch):
    content, style = examples(folder, 1)[:2]

    def key(content=content, style=style, spec=SPEC, weights=None):
        (found,) = keyed([RunSpec(content=content, style=style, spec=spec)], weights)
        return found

    first = key()
    shutil.copy(content.file, tmp_path / "other name.png")
    assert key(content=Example(file=tmp_path / "other name.png", label="other")) == first
    unknown = StyleSpec(strength=0.5, method={"network": "there is none"})  # no network is looked at
    weights = tmp_path / "weights"
    weights.write_bytes(b"1")
    others = [key(style=content), key(spec=StyleSpec(strength=0.4)), key(spec=unknown), key(weights=weights)]
    weights.write_bytes(b"2")
    others.append(key(weights=weights))
    start = StyleSpec(strength=0.5, method={"start": str(weights)})
    others.append(key(spec=start))
    weights.write_bytes(b"3")
    others.append(key(spec=start))
    monkeypatch.setattr(artune.record, "ALGORITHM", artune.record.ALGORITHM + 1)
    others.append(key())
    assert len({first, *others}) == 1 + len(others)


def test_a_picture_in_two_classes_is_refused(folder, tmp_path):
    content, style = examples(folder, 1)[:2]
    copy = Example(file=tmp_path / "copy.png", label="other")
    shutil.copy(content.file, copy.file)
    with pytest.raises(InputError, match=r"are the same picture in two classes"):
        keyed(RunSpec(content=each, style=style, spec=SPEC) for each in (content, copy))
    keyed([RunSpec(content=content, style=copy, spec=SPEC)])  # of two sides, it may be


def test_what_is_kept_is_not_made_again(runs, out):
    maker = Maker()
    with Store.open(out) as store, workers(1) as executor:
        made = list(run(runs, store, executor, maker))
        assert len(made) == len(maker.calls) == 3
        assert list(run(runs, store, executor, maker)) == []
    with Store.open(out) as store:
        assert list(run(runs, store, InProcess(), maker)) == []
        assert store.missing(runs) == {}
        assert read_picture(store.picture(made[0].key)).note["spec"]["strength"] == 0.3
    assert len(maker.calls) == 3
    assert list(read_entries(out).values()) == made


def test_a_picture_that_was_taken_away_is_made_again(runs, out):
    with Store.open(out) as store:
        made = list(run(runs, store, InProcess(), Maker()))
    with Store.open(out) as store:
        store.picture(made[1].key).unlink()
        maker = Maker()
        assert [entry.key for entry in run(runs, store, InProcess(), maker)] == [made[1].key]
        assert store.picture(made[1].key).is_file()


def test_a_picture_that_was_cut_short_is_made_again(runs, out):
    with Store.open(out) as store:
        made = list(run(runs, store, InProcess(), Maker()))
    path = picture_file(out, made[1].key)
    path.write_bytes(path.read_bytes()[:-5])
    with Store.open(out) as store:
        assert [entry.key for entry in run(runs, store, InProcess(), Maker())] == [made[1].key]
        assert read_picture(path).size == (2, 2)


def test_a_failed_picture_stops_no_other_and_is_tried_again(runs, out):
    with Store.open(out) as store:
        first = list(run(runs, store, InProcess(), Maker(failing=("b",))))
        assert [entry.failed for entry in first] == ["it is torn", "", "it is torn"]
        assert {each.style.label for each in store.missing(runs).values()} == {"b"}
    with Store.open(out) as store:
        again = Maker()
        assert [entry.failed for entry in run(runs, store, InProcess(), again)] == ["", ""]
        assert len(again.calls) == 2


def test_each_picture_is_kept_before_the_next_begins(runs, out):
    maker = Maker()
    with Store.open(out) as store:
        for count, _ in enumerate(run(runs, store, InProcess(), maker), 1):
            assert len(maker.calls) == len(read_entries(out)) == count
            if count == 2:
                break
    with Store.open(out) as store:
        assert len(list(run(runs, store, InProcess(), maker))) == 1


def test_ctrl_c_goes_through_and_leaves_what_is_finished(runs, out):
    maker = Maker()

    def interrupted(each):
        if maker.calls:
            raise KeyboardInterrupt
        return maker(each)

    with Store.open(out) as store, pytest.raises(KeyboardInterrupt):
        list(run(runs, store, InProcess(), interrupted))
    assert len(read_entries(out)) == 1


class Later(InProcess):
    """Futures that are done when there is nothing more to be given."""

    def __init__(self, count, error=None):
        self.count, self.error, self.given = count, error, []

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        self.given.append((future, fn, args))
        if len(self.given) == self.count:
            for waiting, work, what in reversed(self.given):
                waiting.set_exception(self.error) if self.error else waiting.set_result(work(*what))
        return future


def test_results_may_come_late_and_in_any_order(runs, out):
    with Store.open(out) as store:
        assert {entry.key for entry in run(runs, store, Later(3), Maker())} == set(runs)
        assert store.missing(runs) == {}


def test_what_waits_is_dropped_where_the_caller_stops(runs, out):
    executor = Later(99)

    def stopping():
        yield from runs.items()
        raise KeyboardInterrupt

    with Store.open(out) as store:
        store.missing = lambda _: type("Runs", (), {"items": lambda self: stopping()})()
        with pytest.raises(KeyboardInterrupt):
            list(run(runs, store, executor, Maker()))
    assert all(future.cancelled() for future, _, _ in executor.given)


def test_a_process_that_dies_is_told_of(runs, out):
    from concurrent.futures.process import BrokenProcessPool

    with Store.open(out) as store, pytest.raises(ResourceError, match="a process died"):
        list(run(runs, store, Later(3, BrokenProcessPool("gone")), Maker()))


def kept(runs, folder):
    with Store.open(folder) as store:
        return list(run(runs, store, InProcess(), Maker()))


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
        list(run(runs, store, InProcess(), Maker()))
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
    left = [out / ".index.html.ab_12xyz", out / "pictures" / f".{40 * 'a'}.q1w2e3r4"]
    mine = out / ".gitignore"
    for path in (*left, mine):
        path.write_text("half")
    with Store.open(out):
        assert not any(path.exists() for path in left)
    assert mine.exists()


def test_one_run_at_a_time_in_a_folder(out):
    pytest.importorskip("fcntl")
    with Store.open(out), pytest.raises(OutputError, match="another run is at work"), Store.open(out):
        pass
    with Store.open(out):
        pass


def test_folders_that_hold_something_else_are_left_alone(out):
    (out / "thesis.txt").write_text("all of it")
    with pytest.raises(OutputError, match=r"holds other files \(thesis.txt\)"), Store.open(out):
        pass
    with pytest.raises(OutputError, match="is no folder"), Store.open(out / "thesis.txt"):
        pass
    assert os.listdir(out) == ["thesis.txt"]


def test_a_full_disk_is_told_of(runs, out, monkeypatch):
    with Store.open(out) as store:

        def full(file):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match="No space left"):
            store.add(Entry(key="k", run=next(iter(runs.values())), failed="x"), None)
