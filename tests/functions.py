"""Functions to descend whose minima are known."""

from collections.abc import Callable

import torch

from artune.engine.descend import Evaluation
from artune.engine.optimisers import LBFGS, SGD, Adam


def function(value: Callable[[torch.Tensor], torch.Tensor]):
    """What a descent takes, of a function of the iterate alone."""

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
"""Where descents on Rosenbrock's function usually begin."""
STEEP = torch.logspace(0, 3, 20, dtype=torch.float64)
valley = function(lambda x: 0.5 * (STEEP * (x - 0.3).square()).sum(1))
"""A bowl whose curvatures are ``STEEP``."""
ALL = [Adam(), LBFGS(), LBFGS(search=True), SGD(rate=1e-3)]
UNBOUNDED = [Adam(box=None), LBFGS(box=None), LBFGS(search=True, box=None), SGD(rate=1e-3)]


def picture_bowl(x, step):
    """A bowl over pictures whose gradient grows at the third step."""
    factor = 1.0 if step < 2 else 7.0
    return Evaluation(factor * (x - 0.3).square().sum((1, 2, 3)), {}, 2 * factor * (x - 0.3))


def last(steps):
    return list(steps)[-1]
