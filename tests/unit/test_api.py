"""The straight line: read, find the strength, plan, run, finish."""

import gc
import weakref

import numpy as np
import pytest
import torch

import artune
from artune import api
from artune.backbones.network import Network
from artune.engine.descend import run_to_end
from artune.errors import ArtuneWarning
from artune.spec.style import Optimise, Rung, StyleSpec
from artune.transfer.methods import steps
from artune.transfer.objective import MaskedObjective, ObjectiveBuilder, photograph_at
from artune.transfer.result import result_of
from tests.runs import planned

RUNGS = (Rung(size=32, steps=4), Rung(size=48, steps=4))


@pytest.fixture(scope="module")
def network():
    return Network.load(StyleSpec(precision="fp32"))


def spec(strength=0.5, **method) -> StyleSpec:
    return StyleSpec(size=48, strength=strength, precision="fp32", method=Optimise(**{"rungs": RUNGS, **method}))


def test_a_run_is_an_iterator_of_what_happens(photo, painting, network):
    events = [(p.event, p.rung.size, p.done, p.end) for p in steps(planned(photo, [painting], spec(), network=network))]
    assert events == [
        ("begins", 32, 0, None),
        *(("step", 32, done, None) for done in (1, 2, 3, 4)),
        ("begins", 48, 4, None),
        *(("step", 48, done, None) for done in (5, 6, 7, 8)),
        ("ends", 48, 8, "done"),
    ]


def test_progress_that_is_kept_does_not_keep_the_features_of_a_size_that_is_over(photo, painting, network):
    kept, first = [], []
    for progress in steps(planned(photo, [painting], spec(), network=network)):
        if progress.event == "step" and progress.level == 0 and not first:
            assert progress.measure(progress.state.image)
            first = [weakref.ref(each) for each in gc.get_objects() if issubclass(type(each), MaskedObjective)]
            assert first
        if progress.event == "begins" and progress.level == 1:
            gc.collect()
            assert [each for each in first if each() is not None] == []
            assert kept[-1].measure(kept[-1].state.image) == {}
        kept.append(progress)
    assert kept[-1].measure(kept[-1].state.image), "at the end a result is measured"


def test_the_share_of_the_work_counts_pixels(photo, painting, network):
    """Four steps at 32 pixels cost as much as 16/9 steps at 48."""
    shares = [p.share for p in steps(planned(photo, [painting], spec(), network=network)) if p.event == "step"]
    whole = 4 * 32**2 + 4 * 48**2
    assert shares == pytest.approx(
        [n * 32**2 / whole for n in (1, 2, 3, 4)] + [1 - n * 48**2 / whole for n in (3, 2, 1, 0)]
    )


def test_a_run_can_be_run_again(photo, painting, network):
    run = planned(photo, [painting], spec(), network=network)
    one, two = api.finish(run), api.finish(run)
    assert one.picture.digest() == two.picture.digest()
    assert one.record.losses == two.record.losses
    assert one.record.steps == two.record.steps == 8


def test_a_result_is_one_short_line(photo, painting, network):
    result = api.finish(planned(photo, [painting], spec(), network=network))
    assert repr(result) == "Result(48x32, strength 0.5, 8 steps, done)"
    weights = {"content_weight": 1.0, "style_weight": 10.0}
    weighed = api.finish(planned(photo, [painting], spec("auto", **weights), network=network))
    assert repr(weighed) == "Result(48x32, 8 steps, done)"


def test_a_plan_leaves_nothing_open(photo, painting, network):
    plan = planned(photo, [painting], StyleSpec(strength=0.5, size="original"), network=network).plan
    values = {**plan.model_dump(), **plan.method.model_dump()}
    assert not [name for name, value in values.items() if value is None or value in ("auto", "original")]
    assert plan.size == 48
    assert type(plan.as_spec()) is StyleSpec
    again = planned(photo, [painting], plan.as_spec(), network=network)
    assert again.plan == plan


METHODS = {
    "adam": {},
    "adam without an average": {"average": 0.0},
    "adam at one size": {"rungs": (Rung(size=48, steps=5),)},
    "lbfgs": {"optimiser": "lbfgs", "average": 0.0},
    "lbfgs, averaged": {"optimiser": "lbfgs"},
    "lbfgs, search": {"optimiser": "lbfgs", "line_search": "strong-wolfe", "average": 0.0},
    "sgd": {"optimiser": "sgd"},
    "gram, tutorial": {"loss": "gram", "scale": "tutorial", "optimiser": "lbfgs", "average": 0.0},
    "balanced gradients": {"balance_gradients": True},
    "no steps": {"rungs": (Rung(size=48, steps=0),)},
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stop", [None, 3])
def test_the_last_losses_are_those_of_the_picture_that_is_delivered(photo, painting, network, method, stop):
    given = METHODS[method]
    strength = "auto" if given.get("scale") == "tutorial" else 0.5
    run = planned(photo, [painting], spec(strength, **given), network=network)
    result = api.finish(run, on_step=lambda p: p.done == stop)
    size = max(result.picture.size)
    sized = ObjectiveBuilder(run.plan, run.shown, network, Rung(size=size, steps=1))
    content = photograph_at(run.shown, size, network.device)
    objective = run_to_end(sized.objective(content, run_to_end(sized.paintings())))
    measured = objective.losses(result.picture.tensor(), 0)
    assert measured.keys() == result.record.losses.keys()
    for name, value in measured.items():
        assert result.record.losses[name][-1] == pytest.approx(value, rel=1e-5, abs=1e-9), name


def test_modes_of_the_caller_do_not_matter(photo, painting):
    plain = artune.style(photo, painting, spec=spec())
    with torch.inference_mode():
        inside = artune.style(photo, painting, spec=spec())
        network = Network.load(StyleSpec(precision="fp32"))
        loaded = artune.style(photo, painting, spec=spec(), network=network)
    with torch.no_grad():
        without = artune.style(photo, painting, spec=spec())
    with torch.autocast("cpu", torch.bfloat16):
        autocast = artune.style(photo, painting, spec=spec())
    digests = {result.picture.digest() for result in (plain, inside, loaded, without, autocast)}
    assert len(digests) == 1


@pytest.mark.parametrize(("strength", "photoreal"), [("auto", 0.0), (0.5, 1.0)])
def test_the_caller_s_random_numbers_are_left_alone(photo, painting, strength, photoreal):
    torch.manual_seed(7)
    np.random.seed(7)
    want = torch.rand(3), np.random.rand(3)
    torch.manual_seed(7)
    np.random.seed(7)
    drawn = {"rungs": RUNGS, "loss": {"sliced": 1.0}, "start": "uniform", "photoreal": photoreal}
    artune.style(
        photo, painting, spec=StyleSpec(size=48, strength=strength, precision="fp32", method=Optimise(**drawn))
    )
    assert torch.equal(torch.rand(3), want[0])
    np.testing.assert_array_equal(np.random.rand(3), want[1])


@pytest.mark.parametrize("photoreal", [0.0, 1.0])
def test_the_number_of_threads_is_left_as_it_is(photo, painting, network, monkeypatch, photoreal):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # a run may use fewer threads, but only inside its steps
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    seen = set()
    try:
        artune.style(
            photo,
            painting,
            spec=spec(photoreal=photoreal),
            network=network,
            on_step=lambda _: seen.add(torch.get_num_threads()),
        )
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert seen == {3}


def test_a_picture_of_nothing_but_0_and_255_is_told(photo, painting, network):
    wild = spec(optimiser="sgd", rate=1e7, rungs=(Rung(size=48, steps=1),))
    with pytest.warns(ArtuneWarning, match="nothing but 0 and 255"):
        artune.style(photo, painting, spec=wild, network=network)


def test_a_cancelled_run_is_the_picture_so_far(photo, painting, network):
    run = planned(photo, [painting], spec(), network=network)
    for progress in steps(run):
        if progress.event == "step" and progress.done == 5:
            break
    result = result_of(progress, cancelled=True)
    assert (result.record.end, result.record.steps) == ("cancelled", 5)
    assert result.picture.size == (48, 32)
