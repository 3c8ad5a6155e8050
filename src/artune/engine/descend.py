"""The loop of gradient descent. It is a generator: between two steps the caller can show, save or stop the descent."""

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple, ParamSpec, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from artune.engine.modes import in_mode
from artune.engine.strips import strips

Slots = Mapping[str, Tensor]
"""What an optimiser remembers from step to step, by name."""
SlotShape = Literal["number", "iterate", "iterates"]
"""Shape of a slot: ``[]``; that of the iterate; or ``[n, values]``, a row for each of n flattened iterates."""
Resize = Callable[[Tensor], Tensor]
"""Function that resizes a tensor shaped like the iterate."""


class Evaluation(NamedTuple):
    """Value and gradient of a function at (x, step).

    Attributes:
        total: the value to minimise, ``[b]``.
        losses: the named terms of which ``total`` is made, ``[b]`` each.
        gradient: gradient of the sum of ``total``, shaped like ``x``.
    """

    total: Float[Tensor, "b"]
    losses: Mapping[str, Float[Tensor, "b"]]
    gradient: Tensor


@runtime_checkable
class Function(Protocol):
    """Function that is minimised: it returns its value and gradient at an iterate and a step."""

    def __call__(self, x: Tensor, step: int) -> Evaluation: ...


class PartDone(NamedTuple):
    """Event: one part of a long computation, such as a tile, is done.

    Attributes:
        done: number of parts done.
        total: number of all parts.
    """

    done: int
    total: int


P = ParamSpec("P")
R = TypeVar("R")
InParts = Generator[PartDone, None, R]
"""Computation in parts: a generator that yields after each part and returns the result at the end."""


@runtime_checkable
class FunctionInParts(Protocol):
    """Function that can be evaluated in parts, because one evaluation takes long."""

    def in_parts(self, x: Tensor, step: int) -> InParts[Evaluation]:
        """Evaluate the function, and yield after each part."""


def evaluate_in_parts(f: Function, x: Tensor, step: int) -> InParts[Evaluation]:
    """Evaluate a function; in parts if it is a ``FunctionInParts``."""
    if isinstance(f, FunctionInParts):
        return (yield from f.in_parts(x, step))
    return f(x, step)


def run_to_end(parts: Generator[Any, None, R], after_part: Callable[[], None] = lambda: None) -> R:
    """Run a computation in parts to its end, and return its result.

    Args:
        parts: the computation, which yields after each part.
        after_part: called after each part.
    """
    while True:
        try:
            next(parts)
        except StopIteration as end:
            result: R = end.value
            return result
        after_part()


Closure = Callable[[Tensor], Evaluation]
"""The function at a fixed step, as a function of the iterate alone: for an optimiser with a line search."""
Schedule = Callable[[int], float]
"""Factor of an optimiser's rate as a function of the step, which counts from 0."""


class Move(NamedTuple):
    """The next iterate, as an optimiser returns it.

    Attributes:
        x: the next iterate. If the optimiser found no better one, it is the tensor that was given.
        slots: what the optimiser remembers for the next step.
        value: the function at ``x``, if the optimiser has evaluated it already.
    """

    x: Tensor
    slots: Slots
    value: Evaluation | None = None


class Copies(NamedTuple):
    """Largest number of tensors of the iterate's size that a descent holds at once.

    Counted are the iterate, its average, the gradient, the optimiser's slots, and temporary tensors.

    Attributes:
        whole: when the function is evaluated on the iterate as a whole.
        tiled: when it is evaluated in tiles, and the optimiser writes in place if it can.
    """

    whole: int
    tiled: int


@runtime_checkable
class Optimiser(Protocol):
    """Rule that computes the next iterate from the gradient, and what a caller must know about the rule.

    Attributes:
        memory: shape of each slot, by name.
        scale_free: whether the iterates stay the same when the function is multiplied by a number. If not, a rate is
            valid for one function at one size only.
        usual_rate: default step size; ``None`` if it depends on the network. For an optimiser that is not scale-free,
            it is the rate for one pixel and weights that sum to 1.
        fixed_draws: whether random numbers inside the function must stay the same at every step, because the optimiser
            compares gradients of different steps.
    """

    memory: ClassVar[Mapping[str, SlotShape]]
    scale_free: ClassVar[bool]
    usual_rate: ClassVar[float | None]
    fixed_draws: ClassVar[bool]

    @property
    def box(self) -> tuple[float, float] | None:
        """Smallest and largest allowed value of an iterate; ``None`` for no limits."""

    @property
    def copies(self) -> Copies:
        """Tensors of the iterate's size that a descent with this optimiser holds."""

    def update(self, x: Tensor, value: Evaluation, slots: Slots, share: float, closure: Closure) -> Move:
        """Compute the next iterate.

        Args:
            x: the iterate.
            value: the function at ``x``.
            slots: what the optimiser remembers; empty at the first step.
            share: factor of the rate at this step.
            closure: evaluates the function at another iterate, for a line search.
        """

    def carry(self, slots: Slots, resize: Resize) -> Slots:
        """Slots for the next size of the iterate."""


def fits(slots: Slots, optimiser: Optimiser, x: Tensor) -> bool:
    """Whether slots are complete, and have the shapes that an optimiser needs for an iterate ``x``."""

    def shape(name: str) -> tuple[int, ...]:
        rows = slots[name].shape[:1]
        return {"number": (), "iterate": (*x.shape,), "iterates": (*rows, x.numel())}[optimiser.memory[name]]

    return slots.keys() == optimiser.memory.keys() and all(slot.shape == shape(name) for name, slot in slots.items())


class End(StrEnum):
    """Why a descent ended."""

    DONE = "done"
    STALLED = "stalled"
    DIVERGED = "diverged"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class State:
    """State of a descent: continuing from it gives the same bits as a descent without interruption.

    Attributes:
        x: the iterate, not averaged.
        average: sum of the iterates with decaying weights, not yet divided by ``mass``.
        mass: sum of the weights in ``average``.
        step: number of steps done.
        slots: what the optimiser remembers.
        unchanged: number of steps in a row in which the total hardly changed.
        total: total of the last evaluation, ``[b]``; ``None`` before the first one.
    """

    x: Tensor
    average: Tensor
    mass: float = 0.0
    step: int = 0
    slots: Slots = field(default_factory=dict)
    unchanged: int = 0
    total: Tensor | None = None

    @property
    def image(self) -> Tensor:
        """Average of the iterates so far; the initial iterate before the first step."""
        return self.average / self.mass if self.mass else self.x


@dataclass(frozen=True)
class Step:
    """Event: one step of the descent is done.

    Attributes:
        index: number of steps done, this one included.
        total: the function before this step's move, ``[b]``.
        losses: the named terms of ``total``, ``[b]`` each.
        state: state after this step.
        seconds: time since the descent began.
        end: why the descent ended; ``None`` except on the last step.
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


STALLED_AFTER = 10
"""Number of steps in a row without a change of the total after which a descent counts as stalled."""


def constant(step: int) -> float:
    """Schedule of a constant rate."""
    return 1.0


def begin(x0: Tensor, slots: Slots | None = None) -> State:
    """State before the first step. Its average is an expanded zero, which takes no memory."""
    return State(x0, x0.new_zeros(()).expand_as(x0), slots=slots or {})


@in_mode(torch.no_grad)
def descend_in_parts(
    f: Function,
    x0: Tensor,
    optimiser: Optimiser,
    *,
    steps: int,
    average: float = 0.0,
    state: State | None = None,
    schedule: Schedule = constant,
    in_place: bool = False,
) -> Generator[Step | PartDone, None, None]:
    """Minimise ``f`` from ``x0``, one step at a time.

    Args:
        f: returns total, losses and gradient at (x, step).
        x0: initial iterate, ``[b, ...]``; not used if ``state`` is given.
        optimiser: computes the next iterate.
        steps: number of all steps, those in ``state`` included.
        average: decay of the average of the iterates, in [0, 1); 0 keeps the last iterate alone.
        state: state of an interrupted descent. The result has the same bits as without the interruption.
        schedule: factor of the optimiser's rate at each step.
        in_place: overwrite the average of the iterates. A step's state is then valid until the next step.

    Yields:
        a ``PartDone`` after each part of an evaluation in parts, and a ``Step`` after each move. ``end`` of the last
        step is DONE after all steps; STALLED if the gradient is zero, the optimiser found no better iterate, or the
        total did not change for ``STALLED_AFTER`` steps; DIVERGED if a value, a gradient or a move is not finite: the
        state is then the last finite one.
    """
    state = state or begin(x0)
    began = time.perf_counter()
    known: Evaluation | None = None  # at state.x
    while state.step < steps and state.unchanged < STALLED_AFTER:
        value = known or (yield from evaluate_in_parts(f, state.x, state.step))
        index, seconds = state.step + 1, time.perf_counter() - began
        least, most = torch.aminmax(value.gradient)
        if not (value.total.isfinite().all() and least.isfinite() and most.isfinite()):
            yield Step(index, value.total, value.losses, state, seconds, End.DIVERGED)
            return
        if least == most == 0:
            yield Step(index, value.total, value.losses, state, seconds, End.STALLED)
            return
        x, slots, known = optimiser.update(
            state.x, value, state.slots, schedule(state.step), partial(f, step=state.step)
        )
        if x is state.x:
            yield Step(index, value.total, value.losses, state, seconds, End.STALLED)
            return
        if not torch.stack(torch.aminmax(x)).isfinite().all():
            yield Step(index, value.total, value.losses, state, seconds, End.DIVERGED)
            return
        unchanged = 0
        if state.total is not None and torch.allclose(value.total, state.total, rtol=1e-7, atol=0):
            unchanged = state.unchanged + 1
        total, losses = value.total, value.losses
        del value  # frees its gradient, which is as large as the iterate, before the next one is computed
        summed = state.average if in_place and state.step else torch.empty_like(x)
        for strip in strips(x):
            torch.add(average * state.average[strip], (1 - average) * x[strip], out=summed[strip])
        mass = average * state.mass + (1 - average)
        state = State(x, summed, mass, index, slots, unchanged, total)
        end = End.STALLED if unchanged >= STALLED_AFTER else End.DONE if index >= steps else None
        yield Step(index, total, losses, state, seconds, end)
        if end is End.STALLED:
            return


def _steps_only(
    events: Callable[P, Generator[Step | PartDone, None, None]],
) -> Callable[P, Generator[Step, None, None]]:
    def steps(*args: P.args, **kwargs: P.kwargs) -> Generator[Step, None, None]:
        return (event for event in events(*args, **kwargs) if isinstance(event, Step))

    return steps


descend = _steps_only(descend_in_parts)
"""``descend_in_parts`` that yields steps only."""
