"""Methods of descent. Each is a pure update of (iterate, slots); the slots are all that it remembers.

A method says its own facts: see ``artune.engine.descend.Method``. A new one is a class here and a line in
``METHODS``.

Adam and L-BFGS are scale-free: multiplying the function by a number changes nothing. They count gradients in units of
the largest value seen so far, so that no square of them leaves fp32. Plain gradient descent is not scale-free: it is
there to repeat what was published with rates that hold for one scale.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from artune.engine.descend import Closure, Copies, Evaluation, Move, Resize, Slots
from artune.engine.search import Trial, strong_wolfe
from artune.engine.strips import strips
from artune.errors import UnknownNameError

Box = tuple[float, float] | None
"""Lowest and highest value of an iterate; ``None``: there are no limits."""


def decayed(factor: float, every: int, step: int) -> float:
    """Share of the rate at a step, from 0: multiplied by ``factor`` after every ``every`` steps."""
    return factor ** (step // every)


def rate_from_255(rate: float, optimiser: str) -> float:
    """A rate published for pictures in 0 .. 255 as the same descent's rate for pictures in 0 .. 1.

    With ``x = 255 u`` the gradient with respect to ``u`` is 255 times that to ``x``. A step of Adam is the rate itself,
    in units of the pixels: it divides by 255. A step of SGD is rate times gradient, and 255 times smaller in ``u``: the
    rate divides by 255 squared, for the same total.

    Args:
        rate: as published.
        optimiser: ``adam`` or ``sgd``; that of L-BFGS, a share of a quasi-Newton step, has no unit.

    Raises:
        UnknownNameError: another optimiser.
    """
    powers = {"adam": 1, "sgd": 2}
    if optimiser not in powers:
        raise UnknownNameError("rate in units of the pixels", optimiser, powers)
    return rate / 255.0 ** powers[optimiser]


def _unit(gradient: Tensor, slots: Slots) -> tuple[Tensor, Tensor | None]:
    """The largest gradient so far; and, where it has grown, the old unit over the new one."""
    unit = torch.stack(torch.aminmax(gradient)).abs().amax().clamp(min=1e-37)
    if slots:
        unit = torch.maximum(unit, slots["unit"])
        if unit > slots["unit"]:
            return unit, slots["unit"] / unit
    return unit, None


def _in_units(gradient: Tensor, slots: Slots, powers: Mapping[str, int]) -> tuple[Tensor, Slots]:
    """Gradient and slots in units of the largest gradient so far; ``powers`` are those of the unit in each slot."""
    unit, ratio = _unit(gradient, slots)
    if ratio is not None:
        slots = {**slots, **{name: slots[name] * ratio**power for name, power in powers.items()}}
    return gradient / unit, {**slots, "unit": unit}


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015), scale-free, in a box.

    Departures: ``eps`` is a share of the root mean square of the gradient over the whole iterate, so that pixels with
    hardly any gradient are not driven at full rate; and the second mean forgets as fast as the first, because a new
    size brings new gradients, which old and larger ones would hold back for a hundred steps.

    Args:
        rate: step size, in units of the iterate; or one for each of a batch, ``[b]``.
        betas: decay of the means of the gradient and of its square.
        eps: see above.
        box: lowest and highest value; ``None`` for no limits.
        in_place: write over the iterate and the slots, for pictures so large that there is no room for two.
    """

    rate: float | Float[Tensor, "b"] = 0.03
    betas: tuple[float, float] = (0.9, 0.9)
    eps: float = 0.1
    box: Box = (0.0, 1.0)
    in_place: bool = False
    memory: ClassVar[frozenset[str]] = frozenset({"count", "unit", "first", "second"})
    scale_free: ClassVar[bool] = True
    usual_rate: ClassVar[float | None] = None
    fixed_draws: ClassVar[bool] = False

    @property
    def copies(self) -> Copies:
        """In tiles: the iterate, the average, two means and the gradient; and one before and after the descent."""
        return Copies(whole=14, tiled=6)

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
        rate = self.rate.view(floor.shape) if isinstance(self.rate, Tensor) else self.rate
        moved = x.detach() if self.in_place else torch.empty_like(x)
        for strip in strips(x):
            root = (second[strip] / fixed2).sqrt_()
            torch.sub(x[strip], (rate * share / fixed1) * first[strip] / (root + floor), out=moved[strip])
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

    The gradient of a mean over the pixels falls with their number, so a rate belongs to a size and to a loss. There is
    no box: in one, a descent with too high a rate would swing from side to side, and nobody would see it diverge.

    Args:
        rate: see above.
    """

    rate: float
    box: ClassVar[Box] = None
    memory: ClassVar[frozenset[str]] = frozenset()
    scale_free: ClassVar[bool] = False
    usual_rate: ClassVar[float | None] = 0.003  # on calibrated losses; three times as much diverges for some pairs
    fixed_draws: ClassVar[bool] = False

    @property
    def copies(self) -> Copies:
        """As measured."""
        return Copies(whole=10, tiled=6)

    def update(self, x: Tensor, value: Evaluation, slots: Slots, share: float, closure: Closure) -> Move:
        return Move(x - (self.rate * share) * value.gradient, {})

    def carry(self, slots: Slots, resize: Resize) -> Slots:
        return {}


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS (Liu and Nocedal 1989) in a box, without a line search or with one.

    The box is that of a projected Newton method (Bertsekas 1982, "Projected Newton methods for optimization problems
    with simple constraints"). A pixel at a limit that the gradient pushes outward is held: it takes no part in the
    direction. The others move along the quasi-Newton direction, and each move is projected onto the box, so that the
    iterate that is evaluated is the one that is delivered. Pairs are differences of these projected iterates.

    Without a search, the first step moves the iterate by ``rate`` (root mean square), later ones by at most ten times
    that. With one, ``rate`` is only the first length that is tried along a bare gradient; a quasi-Newton step is tried
    whole. The search goes along the projected path. Where it fails, the curvature is forgotten and the bare gradient
    searched; where that fails too, the descent has stalled.

    A pair of differences whose curvature is not clearly positive is left out; the test is relative, so a small loss
    does not stop the descent. A batch is one vector: its members share curvature and step lengths, and the sum of their
    totals is what is searched.

    Args:
        rate: see above.
        history: pairs of differences that are kept.
        search: whether to search for a step that fulfils the strong Wolfe conditions.
        box: lowest and highest value; ``None`` for no limits.
    """

    rate: float = 0.02
    history: int = 10
    search: bool = False
    box: Box = (0.0, 1.0)
    memory: ClassVar[frozenset[str]] = frozenset({"unit", "x", "gradient", "moves", "turns"})
    scale_free: ClassVar[bool] = True
    usual_rate: ClassVar[float | None] = 0.02
    fixed_draws: ClassVar[bool] = True

    @property
    def copies(self) -> Copies:
        """Pairs are held twice while a new one is put among them; a search holds the ends of an interval."""
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
        if not g.any():  # a minimum within the box
            return Move(x, slots)
        direction = self._inward(x, -self._inverse_hessian(g, moves, turns) * free)
        if torch.dot(direction, g) >= 0:  # rounding won: forget the curvature
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
        """The newest ``history`` rows."""
        return torch.cat([rows[max(0, len(rows) + 1 - self.history) :], row[None]])

    def _projected(self, x: Tensor) -> Tensor:
        return x if self.box is None else x.clamp(*self.box)

    def _free(self, x: Tensor, gradient: Tensor) -> Tensor:
        """False where the gradient pushes a value that is at a limit out of the box, flat."""
        return ~self._leaves(x, -gradient).flatten()

    def _inward(self, x: Tensor, direction: Tensor) -> Tensor:
        """The direction, flat, without what would leave the box at once."""
        return direction * ~self._leaves(x, direction.view_as(x)).flatten()

    def _leaves(self, x: Tensor, direction: Tensor) -> Tensor:
        """Where a value is at a limit and a direction goes beyond it."""
        if self.box is None:
            return torch.zeros((), dtype=torch.bool, device=x.device)
        low, high = self.box
        return ((x <= low) & (direction < 0)) | ((x >= high) & (direction > 0))

    def _searched(
        self, x: Tensor, value: Evaluation, direction: Tensor, unit: Tensor, closure: Closure
    ) -> Trial | None:
        """A length along the projected path, with everything in units of the gradient.

        A value that has met the box no longer moves: its direction is no part of the slope there.
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
        """The two-loop recursion: inverse Hessian times gradient."""
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
        return {}  # curvature of another function


METHODS: dict[str, type[Adam] | type[LBFGS] | type[SGD]] = {"adam": Adam, "lbfgs": LBFGS, "sgd": SGD}
"""The methods by the name that a spec gives them."""
