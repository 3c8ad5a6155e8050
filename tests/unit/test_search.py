from itertools import pairwise

import pytest
import torch

from artune.engine.descend import End, descend
from artune.engine.optimisers import LBFGS
from tests.functions import START, bowl, function, last, rosenbrock, valley


def accepted(f, start, method, steps):
    """Iterates, and how often the function was evaluated."""
    count = [0]

    def counted(x, step):
        count[0] += 1
        return f(x, step)

    xs = [start, *(step.state.x for step in descend(counted, start, method, steps=steps))]
    return xs, count[0]


@pytest.mark.parametrize(("f", "start"), [(rosenbrock, START), (valley, torch.zeros(1, 20, dtype=torch.float64))])
def test_a_line_search_fulfils_both_of_wolfes_conditions(f, start):
    xs, _ = accepted(f, start, LBFGS(search=True, box=None), 30)
    for x, new in pairwise(xs):
        here, there, move = f(x, 0), f(new, 0), (new - x).flatten()
        slope = torch.dot(here.gradient.flatten(), move)
        assert there.total <= here.total + 1e-4 * slope + 1e-15
        assert torch.dot(there.gradient.flatten(), move).abs() <= 0.9 * slope.abs() + 1e-15


@pytest.mark.parametrize(("f", "start"), [(rosenbrock, START), (valley, torch.zeros(1, 20, dtype=torch.float64))])
def test_a_line_search_needs_as_many_steps_as_pytorchs(f, start):
    def reached(totals):
        return next(i for i, total in enumerate(totals) if total < 1e-10)

    x = start.clone().requires_grad_()
    reference = torch.optim.LBFGS(
        [x], max_iter=1, max_eval=100, history_size=10, line_search_fn="strong_wolfe", tolerance_grad=0,
        tolerance_change=0,
    )  # fmt: skip

    def closure():
        value = f(x, 0)
        x.grad = value.gradient
        return value.total.sum()

    theirs = [float(reference.step(closure)) for _ in range(300)]
    xs, evaluations = accepted(f, start, LBFGS(search=True, box=None), 300)
    ours = reached(f(x, 0).total.item() for x in xs)
    assert ours <= 1.25 * reached(theirs)
    assert evaluations < 1.6 * len(xs)
    torch.testing.assert_close(xs[ours], x.detach(), atol=1e-4, rtol=0)


def test_a_line_search_comes_back_from_where_the_function_ends():
    root = function(lambda x: (x - x.sqrt()).sum(1))  # no number below 0; its minimum is at 1/4
    start = torch.tensor([[0.5]], dtype=torch.float64)
    step = last(descend(root, start, LBFGS(rate=5.0, search=True, box=None), steps=20))
    assert step.state.x.item() == pytest.approx(0.25, abs=1e-6)


def test_a_line_search_without_a_lower_value_has_stalled():
    def uphill(x, step):  # a gradient that lies
        return bowl(x, step)._replace(gradient=-bowl(x, step).gradient)

    steps = list(descend(uphill, torch.full((1, 2), 0.5), LBFGS(search=True), steps=5))
    assert (len(steps), steps[0].end) == (1, End.STALLED)
