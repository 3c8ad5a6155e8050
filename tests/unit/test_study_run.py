"""Carrying out runs: kept one by one, failures apart, in this process or in others."""

from concurrent.futures import Future

import pytest

import artune
from artune.errors import ResourceError
from artune.images.read import read_picture
from artune.spec.study import RunSpec
from artune.spec.style import StyleSpec
from artune.studies.entries import picture_file, read_entries
from artune.studies.executors import InProcess, workers
from artune.studies.grid import examples
from artune.studies.run import Transfer, run
from artune.studies.store import Store
from tests.studies import GreyPictures, grey_classes, three_runs


@pytest.fixture
def runs(tmp_path):
    return three_runs(grey_classes(tmp_path / "in"))


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_what_is_kept_is_not_made_again(runs, out):
    pictures = GreyPictures()
    with Store.open(out) as store, workers(1) as executor:
        made = list(run(runs, store, executor, pictures))
        assert len(made) == len(pictures.calls) == 3
        assert list(run(runs, store, executor, pictures)) == []
    with Store.open(out) as store:
        assert list(run(runs, store, InProcess(), pictures)) == []
        assert store.missing(runs) == {}
        assert read_picture(store.picture(made[0].key)).note["spec"]["strength"] == 0.3
    assert len(pictures.calls) == 3
    assert list(read_entries(out).values()) == made


def test_a_picture_that_was_taken_away_is_made_again(runs, out):
    with Store.open(out) as store:
        made = list(run(runs, store, InProcess(), GreyPictures()))
    with Store.open(out) as store:
        store.picture(made[1].key).unlink()
        pictures = GreyPictures()
        assert [entry.key for entry in run(runs, store, InProcess(), pictures)] == [made[1].key]
        assert store.picture(made[1].key).is_file()


def test_a_picture_that_was_cut_short_is_made_again(runs, out):
    with Store.open(out) as store:
        made = list(run(runs, store, InProcess(), GreyPictures()))
    path = picture_file(out, made[1].key)
    path.write_bytes(path.read_bytes()[:-5])
    with Store.open(out) as store:
        assert [entry.key for entry in run(runs, store, InProcess(), GreyPictures())] == [made[1].key]
        assert read_picture(path).size == (2, 2)


def test_a_failed_picture_stops_no_other_and_is_tried_again(runs, out):
    with Store.open(out) as store:
        first = list(run(runs, store, InProcess(), GreyPictures(failing=("b",))))
        assert [entry.failed for entry in first] == ["it is torn", "", "it is torn"]
        assert {each.style.label for each in store.missing(runs).values()} == {"b"}
    with Store.open(out) as store:
        again = GreyPictures()
        assert [entry.failed for entry in run(runs, store, InProcess(), again)] == ["", ""]
        assert len(again.calls) == 2


def test_each_picture_is_kept_before_the_next_begins(runs, out):
    pictures = GreyPictures()
    with Store.open(out) as store:
        for count, _ in enumerate(run(runs, store, InProcess(), pictures), 1):
            assert len(pictures.calls) == len(read_entries(out)) == count
            if count == 2:
                break
    with Store.open(out) as store:
        assert len(list(run(runs, store, InProcess(), pictures))) == 1


def test_ctrl_c_goes_through_and_leaves_what_is_finished(runs, out):
    pictures = GreyPictures()

    def interrupted(each):
        if pictures.calls:
            raise KeyboardInterrupt
        return pictures(each)

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
        assert {entry.key for entry in run(runs, store, Later(3), GreyPictures())} == set(runs)
        assert store.missing(runs) == {}


def test_what_waits_is_dropped_where_the_caller_stops(runs, out):
    executor = Later(99)

    def stopping():
        yield from runs.items()
        raise KeyboardInterrupt

    with Store.open(out) as store:
        store.missing = lambda _: type("Runs", (), {"items": lambda self: stopping()})()
        with pytest.raises(KeyboardInterrupt):
            list(run(runs, store, executor, GreyPictures()))
    assert all(future.cancelled() for future, _, _ in executor.given)


def test_a_process_that_dies_is_told_of(runs, out):
    from concurrent.futures.process import BrokenProcessPool

    with Store.open(out) as store, pytest.raises(ResourceError, match="a process died"):
        list(run(runs, store, Later(3, BrokenProcessPool("gone")), GreyPictures()))


def test_a_transfer_makes_the_picture_of_its_run(tmp_path):
    content, painting = examples(grey_classes(tmp_path / "in"), 1)[:2]
    spec = StyleSpec(strength=0.5, size=32, precision="fp32", method={"steps": 2})
    outcome = Transfer()(RunSpec(content=content, style=painting, spec=spec))
    alone = artune.style(content.file, painting.file, spec=spec)
    assert (outcome.picture.pixels == alone.picture.pixels).all()
    assert outcome.record.key == alone.record.key
    assert {len(values) for values in outcome.record.losses.values()} == {1}
