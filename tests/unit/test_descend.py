import pytest
import torch

from artune.engine.descend import End, Evaluation, descend
from artune.engine.optimisers import SGD, Adam, decayed
from tests.functions import START, UNBOUNDED, bowl, function, last, rosenbrock


def test_a_move_that_is_not_finite_has_diverged():
    steep = function(lambda x: 1e30 * x.sum(1))
    steps = list(descend(steep, torch.zeros(1, 2), SGD(rate=1e10), steps=5))
    assert (len(steps), steps[0].end) == (1, End.DIVERGED)
    assert torch.equal(steps[0].image, torch.zeros(1, 2))


@pytest.mark.parametrize("method", UNBOUNDED)
def test_resumed_is_uninterrupted_to_the_bit(method):
    options = {"average": 0.9, "schedule": lambda step: decayed(0.5, 3, step)}
    whole = list(descend(rosenbrock, START, method, steps=20, **options))
    part = last(descend(rosenbrock, START, method, steps=7, **options))
    rest = list(descend(rosenbrock, START, method, steps=20, **options, state=part.state))
    assert len(rest) == 13
    assert torch.equal(rest[-1].image, whole[-1].image)
    assert torch.equal(rest[-1].state.x, whole[-1].state.x)


def test_average_is_unbiased():
    still = function(lambda x: (x * 0 + x).sum(1) * 0 + x.sum(1))
    steps = list(descend(still, torch.tensor([[0.5]]), Adam(rate=0.01, eps=0.0), steps=3, average=0.5))
    x = [0.49, 0.48, 0.47]
    want = (0.125 * x[0] + 0.25 * x[1] + 0.5 * x[2]) / 0.875
    assert steps[-1].image.item() == pytest.approx(want, abs=1e-5)


def test_ends_done():
    steps = list(descend(bowl, torch.zeros(1, 2), Adam(), steps=4))
    assert [step.end for step in steps] == [None, None, None, End.DONE]


def test_zero_gradient_is_stalled():
    step = last(descend(bowl, torch.full((1, 2), 0.3), Adam(), steps=10))
    assert (step.end, step.index) == (End.STALLED, 1)


def test_a_total_that_does_not_move_is_stalled():
    ramp = function(lambda x: 1 + 0 * x.sum(1) + (x.sum(1) - x.detach().sum(1)))
    step = last(descend(ramp, torch.full((1, 2), 0.5), Adam(), steps=50))
    assert step.end is End.STALLED
    assert step.index < 20


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_diverged_keeps_the_last_good_picture(bad):
    def f(x, step):
        value = bowl(x, step)
        return value if step < 3 else Evaluation(value.total, value.losses, value.gradient * bad)

    steps = list(descend(f, torch.zeros(1, 2), Adam(), steps=10))
    assert steps[-1].end is End.DIVERGED
    assert len(steps) == 4
    assert torch.equal(steps[-1].image, steps[-2].image)


def test_a_stalled_descent_resumes_to_nothing():
    ramp = function(lambda x: 1 + 0 * x.sum(1) + (x.sum(1) - x.detach().sum(1)))
    stalled = last(descend(ramp, torch.full((1, 2), 0.5), Adam(), steps=50))
    assert list(descend(ramp, stalled.state.x, Adam(), steps=50, state=stalled.state)) == []
