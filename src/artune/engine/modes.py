"""Modes of PyTorch, such as ``torch.no_grad``, for generators: on inside, off between two steps."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
Y = TypeVar("Y")
R = TypeVar("R")
Generators = Callable[P, Generator[Y, None, R]]
"""Functions that return a generator."""


def in_mode(
    mode: Callable[[], AbstractContextManager[Any]],
) -> Callable[[Generators[P, Y, R]], Generators[P, Y, R]]:
    """Decorate a function that returns a generator: it works in a mode, and its caller does not.

    PyTorch's own decorators do the same, but not for a generator function that another decorator has wrapped.

    Args:
        mode: makes the context of one step, such as ``torch.no_grad``.
    """

    def decorate(function: Generators[P, Y, R]) -> Generators[P, Y, R]:
        @wraps(function)
        def decorated(*args: P.args, **kwargs: P.kwargs) -> Generator[Y, None, R]:
            steps = function(*args, **kwargs)
            try:
                while True:
                    with mode():
                        try:
                            step = next(steps)
                        except StopIteration as end:
                            result: R = end.value
                            return result
                    yield step
            finally:
                steps.close()

        return decorated

    return decorate
