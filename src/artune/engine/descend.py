"""The one loop of descent. It is a generator: between two steps the caller shows, saves or stops what is going on."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import ClassVar, NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from artune.engine.strips import strips

Slots = Mapping[str, Tensor]
"""What a method remembers from step to step, by name."""
Resize = Callable[[Tensor], Tensor]
"""Brings a tensor shaped like the iterate to a new size."""


class Evaluation(NamedTuple):
    """What a function returns at (x, step).

    Attributes:
        total: the value to lower, ``[b]``.
        losses: its named parts, ``[b]`` each.
        gradient: of the sum of ``total``, shaped like ``x``.
    """

    total: Float[Tensor, "b"]
    losses: Mapping[str, Float[Tensor, "b"]]
    gradient: Tensor


@runtime_checkable
class Function(Protocol):
    """Anything that has a value and a gradient at an iterate and a step."""

    def __call__(self, x: Tensor, step: int) -> Evaluation: ...


class Part(NamedTuple):
    """A part of a long evaluation is finished, such as a tile.

    Attributes:
        done: parts finished.
        total: parts in all.
    """

    done: int
    total: int


R = TypeVar("R")
Parts = Generator[Part, None, R]
"""A computation that stops after each of its parts, and returns its result at the end."""


@runtime_checkable
class PartwiseFunction(Protocol):
    """A function whose evaluation takes long, and can stop after each part of it."""

    def parts(self, x: Tensor, step: int) -> Parts[Evaluation]:
        """Evaluate, part by part."""


def evaluate(f: Function, x: Tensor, step: int) -> Parts[Evaluation]:
    """Evaluate a function, by parts where it has any."""
    if isinstance(f, PartwiseFunction):
        return (yield from f.parts(x, step))
    return f(x, step)


def drain(parts: Parts[R]) -> R:
    """Run a computation to its end; its result."""
    while True:
        try:
            next(parts)
        except StopIteration as end:
            result: R = end.value
            return result


Closure = Callable[[Tensor], Evaluation]
"""The function at one step, for a method that evaluates it at other iterates."""
Schedule = Callable[[int], float]
"""Share of a method's rate at each step, from 0."""


class Move(NamedTuple):
    """Where a method goes.

    Attributes:
        x: the next iterate. It is the same tensor that was given, where the method found no better one.
        slots: what to remember.
        value: the function at ``x``, where the method has evaluated it already.
    """

    x: Tensor
    slots: Slots
    value: Evaluation | None = None


class Copies(NamedTuple):
    """How many tensors of the iterate's size a descent holds at once, at most.

    They are the iterate, its average, the gradient, what the method remembers, and what it needs in between.

    Attributes:
        whole: where the iterate is computed as a whole.
        tiled: where it is computed in tiles, with the method writing in place if it can.
    """

    whole: int
    tiled: int


@runtime_checkable
class Method(Protocol):
    """How the next iterate follows from a gradient, and what a caller must know of that.

    Attributes:
        memory: names of its slots.
        scale_free: whether multiplying the function by a number changes nothing. Where it does, a rate belongs to one
            function at one size.
        usual_rate: step size for a caller who has none. Of a method that is not scale-free, it is for one pixel and
            weights that sum to 1. ``None``: it depends on the network.
        fixed_draws: whether the function must not change from step to step, because the method compares gradients of
            different steps. Random numbers inside it are then drawn once.
    """

    memory: ClassVar[frozenset[str]]
    scale_free: ClassVar[bool]
    usual_rate: ClassVar[float | None]
    fixed_draws: ClassVar[bool]

    @property
    def box(self) -> tuple[float, float] | None:
        """Lowest and highest value of an iterate; ``None``: there are no limits."""

    @property
    def copies(self) -> Copies:
        """Tensors of the iterate's size that a descent with it holds."""

    def update(self, x: Tensor, value: Evaluation, slots: Slots, share: float, closure: Closure) -> Move:
        """The next iterate and what to remember.

        Args:
            x: the iterate.
            value: the function there.
            slots: what was remembered; empty at the first step.
            share: factor of the rate at this step.
            closure: the function at another iterate, for a method that searches.
        """

    def carry(self, slots: Slots, resize: Resize) -> Slots:
        """What to remember when the iterate changes size."""


class End(StrEnum):
    """Why a descent ended."""

    DONE = "done"
    STALLED = "stalled"
    DIVERGED = "diverged"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class State:
    """All that a descent needs to go on with the same bits.

    Attributes:
        x: the iterate, not averaged.
        average: decayed sum of the iterates, not yet divided by its mass.
        mass: sum of the weights in ``average``.
        step: steps done.
        slots: what the method remembers.
        still: steps in a row in which the total hardly changed.
        total: total of the last evaluation, ``[b]``, or ``None`` before the first.
    """

    x: Tensor
    average: Tensor
    mass: float = 0.0
    step: int = 0
    slots: Slots = field(default_factory=dict)
    still: int = 0
    total: Tensor | None = None

    @property
    def image(self) -> Tensor:
        """Average of the iterates so far; before the first step the start."""
        return self.average / self.mass if self.mass else self.x


@dataclass(frozen=True)
class Step:
    """What one step did.

    Attributes:
        index: steps done, from 1.
        total: the value before this step's move, ``[b]``.
        losses: its named parts.
        state: all that is needed to go on from here.
        seconds: since the descent began.
        end: why the descent ended; set on the last step alone.
    """

    index: int
    total: Float[Tensor, "b"]
    losses: Mapping[str, Float[Tensor, "b"]]
    state: State
    seconds: float
    end: End | None = None

    @property
    def image(self) -> Tensor:
        """The picture so far: the average of the iterates."""
        return self.state.image


STILL = 10
"""Steps in a row without a change of the total after which a descent has stalled."""


def constant(step: int) -> float:
    """The whole rate at every step."""
    return 1.0


def begin(x0: Tensor, slots: Slots | None = None) -> State:
    """State before the first step; the average is a zero that takes no memory."""
    return State(x0, x0.new_zeros(()).expand_as(x0), slots=slots or {})


def descend(
    f: Function,
    x0: Tensor,
    method: Method,
    *,
    steps: int,
    average: float = 0.0,
    state: State | None = None,
    schedule: Schedule = constant,
    in_place: bool = False,
) -> Iterator[Step]:
    """Descend ``f`` from ``x0``, one step at a time; see ``descend_by_parts``."""
    events = descend_by_parts(
        f, x0, method, steps=steps, average=average, state=state, schedule=schedule, in_place=in_place
    )
    return (event for event in events if isinstance(event, Step))


@torch.no_grad()
def descend_by_parts(
    f: Function,
    x0: Tensor,
    method: Method,
    *,
    steps: int,
    average: float = 0.0,
    state: State | None = None,
    schedule: Schedule = constant,
    in_place: bool = False,
) -> Iterator[Step | Part]:
    """Descend ``f`` from ``x0``, one step at a time.

    Args:
        f: returns total, losses and gradient at (x, step).
        x0: where to start, ``[b, ...]``; not used with ``state``.
        method: how to move.
        steps: how many in all; those in ``state`` count.
        average: decay of the average of the iterates, in [0, 1); 0 keeps the last iterate alone.
        state: where an earlier descent was left. The result has the same bits as without the interruption.
        schedule: share of the method's rate at each step.
        in_place: write over the average of the iterates. A step's state is then valid until the next step.

    Yields:
        a part after each part of an evaluation that has parts; a step after each move. ``end`` of the last step is DONE
        after all steps; STALLED, where the gradient is zero, the method found nothing better, or the total did not
        change for ``STILL`` steps; DIVERGED, where a value, a gradient or a move is not finite: the picture is then the
        last good one.
    """
    state = state or begin(x0)
    began = time.perf_counter()
    known: Evaluation | None = None  # at state.x
    while state.step < steps and state.still < STILL:
        value = known or (yield from evaluate(f, state.x, state.step))
        index, seconds = state.step + 1, time.perf_counter() - began
        least, most = torch.aminmax(value.gradient)
        if not (value.total.isfinite().all() and least.isfinite() and most.isfinite()):
            yield Step(index, value.total, value.losses, state, seconds, End.DIVERGED)
            return
        if least == most == 0:
            yield Step(index, value.total, value.losses, state, seconds, End.STALLED)
            return
        x, slots, known = method.update(state.x, value, state.slots, schedule(state.step), partial(f, step=state.step))
        if x is state.x:
            yield Step(index, value.total, value.losses, state, seconds, End.STALLED)
            return
        if not torch.stack(torch.aminmax(x)).isfinite().all():
            yield Step(index, value.total, value.losses, state, seconds, End.DIVERGED)
            return
        still = 0
        if state.total is not None and torch.allclose(value.total, state.total, rtol=1e-7, atol=0):
            still = state.still + 1
        total, losses = value.total, value.losses
        del value  # its gradient is as large as the iterate, and the next one needs the room
        summed = state.average if in_place and state.step else torch.empty_like(x)
        for strip in strips(x):
            torch.add(average * state.average[strip], (1 - average) * x[strip], out=summed[strip])
        mass = average * state.mass + (1 - average)
        state = State(x, summed, mass, index, slots, still, total)
        end = End.STALLED if still >= STILL else End.DONE if index >= steps else None
        yield Step(index, total, losses, state, seconds, end)
        if end is End.STALLED:
            return
