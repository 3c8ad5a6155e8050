"""Methods of descent. Each is a pure update of (iterate, slots); the slots are all that it remembers.

All are scale-free: multiplying the function by a number changes nothing. Gradients are counted in units of the
largest value seen so far, so that no square of them leaves fp32.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

Slots = Mapping[str, Tensor]
Resize = Callable[[Tensor], Tensor]
"""Brings a tensor shaped like the iterate to the new size."""


class Method(Protocol):
    """How the next iterate follows from a gradient.

    Attributes:
        memory: names of its slots.
    """

    memory: ClassVar[frozenset[str]]

    def update(self, x: Tensor, gradient: Tensor, slots: Slots) -> tuple[Tensor, Slots]:
        """The next iterate and what to remember; ``slots`` is empty at the first step."""

    def carry(self, slots: Slots, resize: Resize) -> Slots:
        """What remains of the slots when the iterate changes size."""


def _in_units(gradient: Tensor, slots: Slots, powers: Mapping[str, int]) -> tuple[Tensor, Slots]:
    """The gradient, and a memory with ``powers`` of it, in units of the largest gradient so far."""
    unit = torch.stack(torch.aminmax(gradient)).abs().amax().clamp(min=1e-37)
    if slots:
        unit = torch.maximum(unit, slots["unit"])
        if unit > slots["unit"]:
            ratio = slots["unit"] / unit
            slots = {**slots, **{name: slots[name] * ratio**power for name, power in powers.items()}}
    return gradient / unit, {**slots, "unit": unit}


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015), scale-free, in a box.

    Departures: ``eps`` is a share of the root mean square of the gradient over the whole iterate, so that pixels with
    hardly any gradient are not driven at full rate; and the second mean forgets as fast as the first, because a new
    size brings new gradients, which old and larger ones would hold back for a hundred steps.

    Args:
        rate: step size, in units of the iterate.
        betas: decay of the means of the gradient and of its square.
        eps: see above.
        box: lowest and highest value; ``None`` for no limits.
    """

    rate: float = 0.03
    betas: tuple[float, float] = (0.9, 0.9)
    eps: float = 0.1
    box: tuple[float, float] | None = (0.0, 1.0)
    memory: ClassVar[frozenset[str]] = frozenset({"count", "unit", "first", "second"})

    def update(self, x: Tensor, gradient: Tensor, slots: Slots) -> tuple[Tensor, Slots]:
        b1, b2 = self.betas
        gradient, slots = _in_units(gradient, slots, {"first": 1, "second": 2})
        if "first" in slots:
            count = slots["count"] + 1
            first = slots["first"].lerp(gradient, 1 - b1)
            second = slots["second"].lerp(gradient.square(), 1 - b2)
        else:
            count = torch.ones((), dtype=torch.float64)
            first, second = (1 - b1) * gradient, (1 - b2) * gradient.square()
        fixed1, fixed2 = 1 - b1 ** count.item(), 1 - b2 ** count.item()
        root = (second / fixed2).sqrt_()
        level = (second.flatten(1).mean(1) / fixed2).sqrt()
        floor = (self.eps * level + 1e-15).view(-1, *[1] * (x.dim() - 1))
        x = x - (self.rate / fixed1) * first / (root + floor)
        if self.box is not None:
            x = x.clamp(*self.box)
        return x, {**slots, "count": count, "first": first, "second": second}

    def carry(self, slots: Slots, resize: Resize) -> Slots:
        if not slots:
            return {}
        second = resize(slots["second"]).clamp(min=0)
        return {**slots, "first": resize(slots["first"]), "second": second}


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS (Liu and Nocedal 1989) without a line search.

    The first step moves the iterate by ``rate`` (root mean square), later ones by at most ten times that. A pair of
    differences whose curvature is not clearly positive is left out; the test is relative, so a small loss does not
    stop the descent.

    Args:
        rate: see above.
        history: pairs of differences that are kept.
    """

    rate: float = 0.02
    history: int = 10
    memory: ClassVar[frozenset[str]] = frozenset({"unit", "x", "gradient", "moves", "turns"})

    def update(self, x: Tensor, gradient: Tensor, slots: Slots) -> tuple[Tensor, Slots]:
        gradient, slots = _in_units(gradient, slots, {"gradient": 1, "turns": 1})
        g = gradient.flatten()
        moves = slots.get("moves", g.new_empty((0, len(g))))
        turns = slots.get("turns", g.new_empty((0, len(g))))
        if "x" in slots:
            s, y = (x - slots["x"]).flatten(), g - slots["gradient"].flatten()
            if torch.dot(s, y) > 1e-6 * s.norm() * y.norm():
                moves = torch.cat([moves, s[None]])[-self.history :]
                turns = torch.cat([turns, y[None]])[-self.history :]
        direction = -self._inverse_hessian(g, moves, turns)
        if torch.dot(direction, g) >= 0:  # rounding won: forget the curvature
            moves, turns, direction = moves[:0], turns[:0], -g
        size = direction.square().mean().sqrt()
        limit = self.rate if not len(moves) else 10 * self.rate
        if not len(moves) or size > limit:
            direction = direction * (limit / size.clamp(min=1e-38))
        kept = {**slots, "x": x, "gradient": gradient, "moves": moves, "turns": turns}
        return x + direction.view_as(x), kept

    @staticmethod
    def _inverse_hessian(g: Tensor, moves: Tensor, turns: Tensor) -> Tensor:
        """The two-loop recursion: inverse Hessian times gradient."""
        if not len(moves):
            return g
        rhos = 1 / (moves * turns).sum(1)
        q, alphas = g, []
        for s, y, rho in zip(moves.flip(0), turns.flip(0), rhos.flip(0), strict=True):
            alphas.append(rho * torch.dot(s, q))
            q = q - alphas[-1] * y
        q = q / (rhos[-1] * torch.dot(turns[-1], turns[-1]))
        for s, y, rho, alpha in zip(moves, turns, rhos, reversed(alphas), strict=True):
            q = q + s * (alpha - rho * torch.dot(y, q))
        return q

    def carry(self, slots: Slots, resize: Resize) -> Slots:
        return {}  # curvature of another objective


METHODS: dict[str, type[Adam] | type[LBFGS]] = {"adam": Adam, "lbfgs": LBFGS}
