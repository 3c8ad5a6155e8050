from collections.abc import Callable

import pytest
import torch

from artune.engine.descend import End, Evaluation, descend
from artune.engine.methods import LBFGS, METHODS, Adam


def function(value: Callable[[torch.Tensor], torch.Tensor]):
    def f(x, step):
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            total = value(x)
            (gradient,) = torch.autograd.grad(total.sum(), x)
        return Evaluation(total.detach(), {"all": total.detach()}, gradient)

    return f


rosenbrock = function(lambda x: (1 - x[:, 0]) ** 2 + 100 * (x[:, 1] - x[:, 0] ** 2) ** 2)
bowl = function(lambda x: (x - 0.3).square().sum(1))
START = torch.tensor([[-1.2, 1.0]], dtype=torch.float64)


def last(steps):
    return list(steps)[-1]


def test_lbfgs_finds_rosenbrocks_minimum():
    step = last(descend(rosenbrock, START, LBFGS(), steps=400))
    torch.testing.assert_close(step.state.x, torch.ones_like(START), atol=1e-4, rtol=0)


def test_adam_finds_rosenbrocks_minimum():
    step = last(descend(rosenbrock, START, Adam(rate=0.02, box=None), steps=8000))
    torch.testing.assert_close(step.state.x, torch.ones_like(START), atol=0.05, rtol=0)


def test_adams_first_step_by_hand():
    step = last(descend(bowl, torch.tensor([[0.5]]), Adam(rate=0.1, eps=0.0), steps=1))
    assert step.image.item() == pytest.approx(0.4)  # the first step is the rate, whatever the gradient


@pytest.mark.parametrize("method", [Adam(), LBFGS()])
@pytest.mark.parametrize("factor", [1e-34, 1e-12, 1e12, 1e34])
def test_methods_are_scale_free(method, factor):
    start = START.float()  # whose squares end at 1e38

    def scaled(x, step):
        value = rosenbrock(x, step)
        return Evaluation(value.total * factor, value.losses, value.gradient * factor)

    plain = last(descend(rosenbrock, start, method, steps=20)).state.x
    other = last(descend(scaled, start, method, steps=20)).state.x
    torch.testing.assert_close(plain, other, rtol=1e-3, atol=1e-3)


def test_adam_stays_in_its_box():
    outside = function(lambda x: (x - 5).square().sum(1))
    assert last(descend(outside, torch.tensor([[0.9]]), Adam(rate=0.5), steps=5)).state.x.item() == 1.0


@pytest.mark.parametrize("name", sorted(METHODS))
def test_resumed_is_uninterrupted_to_the_bit(name):
    method = METHODS[name]()
    whole = list(descend(rosenbrock, START, method, steps=20, average=0.9))
    part = last(descend(rosenbrock, START, method, steps=7, average=0.9))
    rest = list(descend(rosenbrock, START, method, steps=20, average=0.9, state=part.state))
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


def test_a_batch_descends_as_its_members_do():
    both = last(descend(bowl, torch.tensor([[0.0], [0.9]]), Adam(), steps=9)).image
    for i, start in enumerate((0.0, 0.9)):
        alone = last(descend(bowl, torch.tensor([[start]]), Adam(), steps=9)).image
        torch.testing.assert_close(both[i : i + 1], alone)


def test_adams_memory_changes_size():
    slots = last(descend(bowl, torch.zeros(1, 2), Adam(), steps=2)).state.slots
    wide = Adam().carry(slots, lambda x: x.repeat(1, 2) - 1)
    assert wide["first"].shape == (1, 4)
    assert (wide["second"] >= 0).all()
    assert LBFGS().carry(slots, lambda x: x) == {}


def test_a_stalled_descent_resumes_to_nothing():
    ramp = function(lambda x: 1 + 0 * x.sum(1) + (x.sum(1) - x.detach().sum(1)))
    stalled = last(descend(ramp, torch.full((1, 2), 0.5), Adam(), steps=50))
    assert list(descend(ramp, stalled.state.x, Adam(), steps=50, state=stalled.state)) == []
