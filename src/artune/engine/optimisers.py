"""Optimisers. Each is a pure function of (iterate, slots); the slots are everything that it remembers.

``artune.engine.descend.Optimiser`` says what an optimiser must state about itself. A new optimiser is a class here, and
a line in ``OPTIMISERS``.

Adam and L-BFGS are scale-free: multiplying the function by a number does not change the iterates. They measure
gradients in units of the largest gradient so far, so that no square overflows or underflows in fp32. Plain gradient
descent is not scale-free: it serves to reproduce published results, whose rates are valid for one scale.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import ClassVar

import torch
from torch import Tensor

from artune.engine.descend import Closure, Copies, Evaluation, Move, Resize, Slots, SlotShape
from artune.engine.search import Trial, strong_wolfe
from artune.engine.strips import strips
from artune.errors import UnknownNameError

Box = tuple[float, float] | None
"""Smallest and largest allowed value of an iterate; ``None`` for no limits."""


def decayed(factor: float, every: int, step: int) -> float:
    """Factor of the rate at a step, which counts from 0: it is multiplied by ``factor`` every ``every`` steps."""
    return factor ** (step // every)


def rate_from_255(rate: float, optimiser: str) -> float:
    """Convert a rate that was published for pictures in [0, 255] to pictures in [0, 1].

    With ``x = 255 u``, the gradient with respect to ``u`` is 255 times that with respect to ``x``. A step of Adam has
    the length of the rate, in units of the pixels, so the rate is divided by 255. A step of SGD is rate times gradient:
    the step must become 255 times smaller while the gradient becomes 255 times larger, so the rate is divided by 255
    squared. The total must be the same in both cases.

    Args:
        rate: the published rate.
        optimiser: ``adam`` or ``sgd``. The rate of L-BFGS is a share of a quasi-Newton step, and has no unit.

    Raises:
        UnknownNameError: another optimiser.
    """
    powers = {"adam": 1, "sgd": 2}
    if optimiser not in powers:
        raise UnknownNameError("rate in units of the pixels", optimiser, powers)
    return rate / 255.0 ** powers[optimiser]


def _unit(gradient: Tensor, slots: Slots) -> tuple[Tensor, Tensor | None]:
    """Largest gradient so far; and the previous one divided by it, or ``None`` if it has not grown."""
    unit = torch.stack(torch.aminmax(gradient)).abs().amax().clamp(min=1e-37)
    if slots:
        unit = torch.maximum(unit, slots["unit"])
        if unit > slots["unit"]:
            return unit, slots["unit"] / unit
    return unit, None


def _in_units(gradient: Tensor, slots: Slots, powers: Mapping[str, int]) -> tuple[Tensor, Slots]:
    """Gradient and slots in units of the largest gradient so far.

    ``powers`` says with which power of the unit each slot is measured.
    """
    unit, ratio = _unit(gradient, slots)
    if ratio is not None:
        slots = {**slots, **{name: slots[name] * ratio**power for name, power in powers.items()}}
    return gradient / unit, {**slots, "unit": unit}


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015), scale-free, with the iterate limited to a range.

    Departures: ``eps`` is relative to the root mean square of the gradient over the whole iterate, so that pixels with
    hardly any gradient do not move at the full rate. Both betas are equal: with the usual larger second beta, the large
    gradients of the size before would slow down the descent for a hundred steps.

    Args:
        rate: step size, in units of the iterate.
        betas: decay of the mean of the gradient, and of the mean of its square.
        eps: see above.
        box: smallest and largest allowed value; ``None`` for no limits.
        in_place: overwrite the iterate and the slots, for pictures of which memory holds no second copy.
    """

    rate: float = 0.03
    betas: tuple[float, float] = (0.9, 0.9)
    eps: float = 0.1
    box: Box = (0.0, 1.0)
    in_place: bool = False
    memory: ClassVar[Mapping[str, SlotShape]] = {
        "count": "number",
        "unit": "number",
        "first": "iterate",
        "second": "iterate",
    }
    scale_free: ClassVar[bool] = True
    usual_rate: ClassVar[float | None] = None
    fixed_draws: ClassVar[bool] = False

    @property
    def copies(self) -> Copies:
        """In tiles: iterate, average, two means, gradient."""
        return Copies(whole=14, tiled=5)

    def update(self, x: Tensor, value: Evaluation, slots: Slots, share: float, closure: Closure) -> Move:
        b1, b2 = self.betas
        gradient = value.gradient
        unit, ratio = _unit(gradient, slots)
        begun = "first" in slots
        count = slots["count"] + 1 if begun else torch.ones((), dtype=torch.float64)
        if begun and self.in_place:
            first, second = slots["first"], slots["second"]
        else:
            first, second = torch.empty_like(gradient), torch.empty_like(gradient)
        for strip in strips(x):
            pull = gradient[strip] / unit
            if begun:
                m, v = slots["first"][strip], slots["second"][strip]
                if ratio is not None:
                    m, v = m * ratio, v * ratio**2
                torch.lerp(m, pull, 1 - b1, out=first[strip])
                torch.lerp(v, pull.square(), 1 - b2, out=second[strip])
            else:
                torch.mul(pull, 1 - b1, out=first[strip])
                torch.mul(pull.square(), 1 - b2, out=second[strip])
        fixed1, fixed2 = 1 - b1 ** count.item(), 1 - b2 ** count.item()
        level = (second.flatten(1).mean(1) / fixed2).sqrt()
        floor = (self.eps * level + 1e-15).view(-1, *[1] * (x.dim() - 1))
        moved = x.detach() if self.in_place else torch.empty_like(x)
        for strip in strips(x):
            root = (second[strip] / fixed2).sqrt_()
            torch.sub(x[strip], (self.rate * share / fixed1) * first[strip] / (root + floor), out=moved[strip])
            if self.box is not None:
                moved[strip].clamp_(*self.box)
        return Move(moved, {"unit": unit, "count": count, "first": first, "second": second})

    def carry(self, slots: Slots, resize: Resize) -> Slots:
        if not slots:
            return {}
        second = resize(slots["second"]).clamp_(min=0)
        return {**slots, "first": resize(slots["first"]), "second": second}


@dataclass(frozen=True)
class SGD:
    """Plain gradient descent: ``x - rate * gradient``; not scale-free.

    The gradient of a mean over pixels falls with their number, so a rate is valid for one size and one loss. The
    iterate has no limits: with limits, a descent with too large a rate would oscillate between them, and not be
    recognised as diverging.

    Args:
        rate: factor of the gradient.
    """

    rate: float
    box: ClassVar[Box] = None
    memory: ClassVar[Mapping[str, SlotShape]] = {}
    scale_free: ClassVar[bool] = False
    usual_rate: ClassVar[float | None] = 0.003  # for calibrated losses; three times this rate diverges for some pairs
    fixed_draws: ClassVar[bool] = False

    @property
    def copies(self) -> Copies:
        """Measured."""
        return Copies(whole=10, tiled=6)

    def update(self, x: Tensor, value: Evaluation, slots: Slots, share: float, closure: Closure) -> Move:
        return Move(x - (self.rate * share) * value.gradient, {})

    def carry(self, slots: Slots, resize: Resize) -> Slots:
        return {}


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS (Liu and Nocedal 1989) in a box, with or without a line search.

    The box is the range that each value of the iterate is limited to. It is kept as in a projected Newton method
    (Bertsekas 1982, "Projected Newton methods for optimization problems with simple constraints"): a pixel at a limit
    that the gradient pushes outward does not move. The other pixels move along the quasi-Newton direction, and the
    result is projected onto the box, so that the iterate that is evaluated is the one that is delivered. The pairs of
    differences (s, y) are those of projected iterates.

    Without a line search, the first step moves the iterate by ``rate`` (root mean square), later steps by at most ten
    times that. With a line search, ``rate`` is only the first length that is tried along the negative gradient; along a
    quasi-Newton direction, the full step is tried first. The search follows the projected path. If it fails, all pairs
    are dropped, and the search is repeated along the negative gradient; if this fails too, the descent has stalled.

    A pair whose curvature is not clearly positive is left out. The test is relative, so a small loss does not stop the
    descent. A batch is treated as one vector: its pictures share curvature and step length, and the line search
    minimises the sum of their totals.

    Args:
        rate: see above.
        history: number of pairs that are kept.
        search: whether to use a line search for the strong Wolfe conditions.
        box: smallest and largest allowed value; ``None`` for no limits.
    """

    rate: float = 0.02
    history: int = 10
    search: bool = False
    box: Box = (0.0, 1.0)
    memory: ClassVar[Mapping[str, SlotShape]] = {
        "unit": "number",
        "x": "iterate",
        "gradient": "iterate",
        "moves": "iterates",
        "turns": "iterates",
    }
    scale_free: ClassVar[bool] = True
    usual_rate: ClassVar[float | None] = 0.02
    fixed_draws: ClassVar[bool] = True

    @property
    def copies(self) -> Copies:
        """Pairs are held twice while a new one is added; a line search holds both ends of an interval."""
        held = 14 + 4 * self.history + (8 if self.search else 0)
        return Copies(whole=held, tiled=held)

    def update(self, x: Tensor, value: Evaluation, slots: Slots, share: float, closure: Closure) -> Move:
        gradient, slots = _in_units(value.gradient, slots, {"gradient": 1, "turns": 1})
        g = gradient.flatten()
        moves = slots.get("moves", g.new_empty((0, len(g))))
        turns = slots.get("turns", g.new_empty((0, len(g))))
        if "x" in slots:
            s, y = (x - slots["x"]).flatten(), g - slots["gradient"].flatten()
            if torch.dot(s, y) > 1e-6 * s.norm() * y.norm():
                moves, turns = self._with(s, moves), self._with(y, turns)
        free = self._free(x, gradient)
        g = g * free
        if not g.any():  # the minimum within the box
            return Move(x, slots)
        direction = self._inward(x, -self._inverse_hessian(g, moves, turns) * free)
        if torch.dot(direction, g) >= 0:  # no descent direction, because of rounding errors
            moves, turns, direction = moves[:0], turns[:0], -g
        size, rate = direction.square().mean().sqrt(), self.rate * share
        limit = rate if not len(moves) else 10 * rate
        if not len(moves) or (size > limit and not self.search):
            direction = direction * (limit / size.clamp(min=1e-38))
        kept = {**slots, "x": x, "gradient": gradient, "moves": moves, "turns": turns}
        if not self.search:
            return Move(self._projected(x + direction.view_as(x)), kept)
        found = self._searched(x, value, direction.view_as(x), slots["unit"], closure)
        if found is None and len(moves):
            kept |= {"moves": moves[:0], "turns": turns[:0]}
            direction = -g * (rate / g.square().mean().sqrt())
            found = self._searched(x, value, direction.view_as(x), slots["unit"], closure)
        if found is None:
            return Move(x, kept)
        return Move(self._projected(x + found.length * direction.view_as(x)), kept, found.value)

    def _with(self, row: Tensor, rows: Tensor) -> Tensor:
        """Append a row, and keep the newest ``history`` rows."""
        return torch.cat([rows[max(0, len(rows) + 1 - self.history) :], row[None]])

    def _projected(self, x: Tensor) -> Tensor:
        return x if self.box is None else x.clamp(*self.box)

    def _free(self, x: Tensor, gradient: Tensor) -> Tensor:
        """Whether each value may move, flat: not if it is at a limit and the negative gradient points outward."""
        return ~self._leaves(x, -gradient).flatten()

    def _inward(self, x: Tensor, direction: Tensor) -> Tensor:
        """The direction, flat, with zeros for values at a limit that would leave the box."""
        return direction * ~self._leaves(x, direction.view_as(x)).flatten()

    def _leaves(self, x: Tensor, direction: Tensor) -> Tensor:
        """Whether each value is at a limit and the direction points outward."""
        if self.box is None:
            return torch.zeros((), dtype=torch.bool, device=x.device)
        low, high = self.box
        return ((x <= low) & (direction < 0)) | ((x >= high) & (direction > 0))

    def _searched(
        self, x: Tensor, value: Evaluation, direction: Tensor, unit: Tensor, closure: Closure
    ) -> Trial | None:
        """Search for a length along the projected path, with the function in units of the largest gradient.

        A value that has reached a limit does not move any more, so it does not count in the slope there.
        """

        def trial(length: float, value: Evaluation | None = None) -> Trial:
            straight = x + length * direction
            there = self._projected(straight)
            value = value or closure(there)
            moving = direction * (straight == there)
            slope = torch.dot((value.gradient / unit).flatten(), moving.flatten())
            height = value.total.cpu().double().sum() / unit.cpu().double()
            if not (slope.isfinite() and height.isfinite()):
                return Trial(length, inf, inf, value)
            return Trial(length, height.item(), slope.item(), value)

        return strong_wolfe(trial, trial(0.0, value))

    @staticmethod
    def _inverse_hessian(g: Tensor, moves: Tensor, turns: Tensor) -> Tensor:
        """Approximate inverse Hessian times gradient, by the two-loop recursion."""
        if not len(moves):
            return g
        pairs = [(s, y, 1 / torch.dot(s, y)) for s, y in zip(moves, turns, strict=True)]
        q, alphas = g, []
        for s, y, rho in reversed(pairs):
            alphas.append(rho * torch.dot(s, q))
            q = q - alphas[-1] * y
        q = q / (pairs[-1][2] * torch.dot(turns[-1], turns[-1]))
        for (s, y, rho), alpha in zip(pairs, reversed(alphas), strict=True):
            q = q + s * (alpha - rho * torch.dot(y, q))
        return q

    def carry(self, slots: Slots, resize: Resize) -> Slots:
        return {}  # at another size the function is another one, and so is its curvature


OPTIMISERS: dict[str, type[Adam] | type[LBFGS] | type[SGD]] = {"adam": Adam, "lbfgs": LBFGS, "sgd": SGD}
"""Optimisers by the name that a spec uses."""
