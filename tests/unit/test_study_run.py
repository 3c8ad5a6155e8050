"""Carrying out runs: kept one by one, failures apart, in this process or in others."""

import warnings
from concurrent.futures import Future

import pytest

import artune
from artune.errors import ArtuneWarning, ResourceError, SpecError
from artune.images.read import read_picture
from artune.spec.study import RunSpec
from artune.spec.style import StyleSpec
from artune.studies import run as running
from artune.studies.entries import Measured, picture_file
from artune.studies.executors import InProcess, workers
from artune.studies.grid import examples
from artune.studies.run import Outcome, Task, Transfer, loaded, run
from artune.studies.store import Store
from tests.studies import GreyPictures, entries_in, grey_classes, png, tasks, three_runs
from tests.tiny import Tiny
from tests.trained import write_johnson


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
        made = list(run(tasks(runs), store, executor, pictures))
        assert len(made) == len(pictures.calls) == 3
        assert list(run(tasks(runs), store, executor, pictures)) == []
    with Store.open(out) as store:
        assert list(run(tasks(runs), store, InProcess(), pictures)) == []
        assert store.missing(runs) == {}
        assert read_picture(store.picture(made[0].key)).size == (2, 2)
    assert len(pictures.calls) == 3
    assert list(entries_in(out).values()) == made


def test_a_picture_that_was_taken_away_is_made_again(runs, out):
    with Store.open(out) as store:
        made = list(run(tasks(runs), store, InProcess(), GreyPictures()))
    with Store.open(out) as store:
        store.picture(made[1].key).unlink()
        pictures = GreyPictures()
        assert [entry.key for entry in run(tasks(runs), store, InProcess(), pictures)] == [made[1].key]
        assert store.picture(made[1].key).is_file()


def test_a_picture_that_was_cut_short_is_made_again(runs, out):
    with Store.open(out) as store:
        made = list(run(tasks(runs), store, InProcess(), GreyPictures()))
    path = picture_file(out, made[1].key)
    path.write_bytes(path.read_bytes()[:-5])
    with Store.open(out) as store:
        assert [entry.key for entry in run(tasks(runs), store, InProcess(), GreyPictures())] == [made[1].key]
        assert read_picture(path).size == (2, 2)


def test_a_failed_picture_stops_no_other_and_is_tried_again(runs, out):
    with Store.open(out) as store:
        first = list(run(tasks(runs), store, InProcess(), GreyPictures(failing=("b",))))
        assert [entry.failed for entry in first] == ["it is torn", "", "it is torn"]
        assert {each.style.label for each in store.missing(runs).values()} == {"b"}
    with Store.open(out) as store:
        again = GreyPictures()
        assert [entry.failed for entry in run(tasks(runs), store, InProcess(), again)] == ["", ""]
        assert len(again.calls) == 2


def test_each_picture_is_kept_before_the_next_begins(runs, out):
    pictures = GreyPictures()
    with Store.open(out) as store:
        for count, _ in enumerate(run(tasks(runs), store, InProcess(), pictures), 1):
            assert len(pictures.calls) == len(entries_in(out)) == count
            if count == 2:
                break
    with Store.open(out) as store:
        assert len(list(run(tasks(runs), store, InProcess(), pictures))) == 1


def test_ctrl_c_goes_through_and_leaves_what_is_finished(runs, out):
    pictures = GreyPictures()

    def interrupted(task):
        if pictures.calls:
            raise KeyboardInterrupt
        return pictures(task)

    with Store.open(out) as store, pytest.raises(KeyboardInterrupt):
        list(run(tasks(runs), store, InProcess(), interrupted))
    assert len(entries_in(out)) == 1


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
        assert {entry.key for entry in run(tasks(runs), store, Later(3), GreyPictures())} == set(runs)
        assert store.missing(runs) == {}


def test_what_waits_is_dropped_where_the_caller_stops(runs, out):
    executor = Later(99)

    class Stopping(dict):
        def items(self):
            yield from super().items()
            raise KeyboardInterrupt

    with Store.open(out) as store, pytest.raises(KeyboardInterrupt):
        list(run(Stopping(tasks(runs)), store, executor, GreyPictures()))
    assert len(executor.given) == 3
    assert all(future.cancelled() for future, _, _ in executor.given)


class Slow(InProcess):
    """Holds tasks until it is full, then carries out the oldest for each new one."""

    def __init__(self, most):
        self.most, self.held, self.largest = most, [], 0

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        self.held.append((future, fn, args))
        self.largest = max(self.largest, len(self.held))
        if len(self.held) == self.most:
            waiting, work, what = self.held.pop(0)
            waiting.set_result(work(*what))
        return future


def test_a_million_tasks_need_no_memory(runs, out, monkeypatch):
    """No more are taken than the executor may hold at a time."""
    monkeypatch.setattr(running, "WINDOW", 4)
    each = next(iter(runs.values()))
    taken = []

    class Lazy(dict):
        def items(self):
            for number in range(20):
                taken.append(number)
                yield f"key{number}", Task(each)

    with Store.open(out) as store:
        found = run(Lazy(), store, Slow(4), lambda task: Outcome(failed="it did"))
        for count, _ in zip(range(10), found, strict=False):
            assert len(taken) <= count + 4
        found.close()


def test_a_task_that_did_not_come_back_fails_alone(runs, out):
    """Such as that of a worker which was lost, and of an outcome that cannot be pickled."""
    with Store.open(out) as store:
        first = list(run(tasks(runs), store, Later(3, OSError("the worker is gone")), GreyPictures()))
        assert [entry.failed for entry in first] == 3 * ["OSError: the worker is gone"]
        assert len(list(run(tasks(runs), store, InProcess(), GreyPictures()))) == 3


def test_a_picture_that_is_there_is_measured(runs, out):
    """Its entry stays as it is, also where the measuring fails; a picture without an entry needs none."""

    def measure(task):
        assert task.measures == ("sharpness",)
        return Outcome(values={"sharpness": Measured(len(task.picture.read_bytes()))})

    def fail(task):
        raise ValueError("no")

    with Store.open(out) as store:
        list(run(tasks(runs), store, InProcess(), GreyPictures()))
        before = [*store.entries()]
        picture = out.parent / "picture.png"
        picture.write_bytes(b"123")
        there = {
            key: Task(each, ("sharpness",), picture) for key, each in [*runs.items(), ("unchanged@8", before[0].run)]
        }
        assert [entry.failed for entry in run(there, store, InProcess(), measure)] == 4 * [""]
        assert [entry.failed for entry in run(there, store, InProcess(), fail)] == 4 * ["ValueError: no"]
        assert store.missing(runs) == {}
        assert [*store.entries()] == before
        assert store.values() == {key: [("sharpness", Measured(3.0))] for key in there}


def test_values_are_kept_with_their_picture(runs, out):
    def make(task):
        return Outcome(png(), GreyPictures()(task).record, {"size": Measured(2.0, "px", {"of": ["both", "sides"]})})

    with Store.open(out) as store:
        list(run(tasks(runs), store, InProcess(), make))
        assert store.values(runs) == {key: [("size", Measured(2.0, "px", {"of": ["both", "sides"]}))] for key in runs}


def test_a_process_that_dies_is_told_of(runs, out):
    from concurrent.futures.process import BrokenProcessPool

    with Store.open(out) as store, pytest.raises(ResourceError, match="a process died"):
        list(run(tasks(runs), store, Later(3, BrokenProcessPool("gone")), GreyPictures()))


FAST = StyleSpec(strength=0.5, size=32, precision="fp32", method={"steps": 2})


@pytest.fixture
def shown(tmp_path):
    """Reads the picture of an outcome."""

    def read(outcome):
        (tmp_path / "shown.png").write_bytes(outcome.picture)
        return read_picture(tmp_path / "shown.png")

    return read


def test_a_transfer_makes_the_picture_of_its_run(tmp_path, shown):
    content, painting = examples(grey_classes(tmp_path / "in"), 1)[:2]
    task = Task(RunSpec(content=content, style=painting, spec=FAST))
    outcome, curves = Transfer()(task), Transfer(curves=True)(task)
    alone = artune.style(content.file, painting.file, spec=FAST)
    alone.save(tmp_path / "alone.png")
    made = [shown(each) for each in (outcome, curves)]
    assert all((each.pixels == read_picture(tmp_path / "alone.png").pixels).all() for each in made)
    assert made[0].note["spec"]["strength"] == 0.5
    assert outcome.record.key == alone.record.key
    assert {len(values) for values in outcome.record.losses.values()} == {1}
    assert curves.record.losses == alone.record.losses  # of every step, and of the picture


def test_a_network_is_loaded_once_for_all_weights_of_content_and_style(tmp_path):
    network = loaded(FAST)
    assert loaded(FAST.model_copy(update={"strength": 0.1})) is network
    other = FAST.method.model_copy(update={"tv": 1e-3, "rate": 0.1, "steps": 9})
    assert loaded(FAST.model_copy(update={"method": other, "size": 64})) is network
    assert loaded(FAST.model_copy(update={"precision": "bf16"})) is not network
    assert loaded(FAST) is network  # of two the other one is still there


def test_methods_without_a_loss_network(tmp_path, shown):
    photo, painting = examples(grey_classes(tmp_path / "in"), 1)[:2]
    write_johnson(tmp_path / "style.safetensors", read_picture(photo.file))
    trained = RunSpec(
        content=photo,
        style=painting,
        spec=StyleSpec(size=32, precision="fp32", method={"kind": "trained"}),
        weights=str(tmp_path / "style.safetensors"),
    )
    instant = StyleSpec(size=32, strength=0.5, precision="fp32", method={"kind": "instant"})
    for each in (trained, RunSpec(content=photo, style=painting, spec=instant)):
        assert shown(Transfer()(Task(each))).size == (32, 32)
    with pytest.raises(SpecError, match="the method instant has no untrained weights"):
        Transfer()(Task(RunSpec(content=photo, style=painting, spec=instant, weights="random")))


def test_untrained_weights(monkeypatch):
    """They are those of ``artune.backbones.untrained``, with what the spec says of the network."""
    asked = []

    def untrained(name, **options):
        asked.append((name, options["seed"], options["pooling"], options["padding"]))
        return Tiny(), "untrained-0"

    monkeypatch.setattr(running, "untrained", untrained)
    network = loaded(FAST.model_copy(update={"method": artune.Optimise(network="vgg19", pooling="average")}), "random")
    assert (network.digest, network.name) == ("untrained-0", "vgg19")
    assert asked == [("vgg19", 0, "average", "replicate")]


def test_warnings_come_back_with_the_result(runs, out):
    """From another process, too, they are shown as those of this one."""

    def warned(task):
        warnings.warn("it has a border", ArtuneWarning, stacklevel=1)
        return GreyPictures()(task)

    with Store.open(out) as store, pytest.warns(ArtuneWarning, match="it has a border"):
        assert all(entry.record for entry in run(tasks(runs), store, InProcess(), warned))
