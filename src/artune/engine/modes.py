"""Modes of PyTorch that artune computes in; for generators: on inside, off between two steps."""

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
Y = TypeVar("Y")
R = TypeVar("R")
Generators = Callable[P, Generator[Y, None, R]]
"""Functions that return a generator."""


@contextmanager
def own_mode() -> Iterator[None]:
    """The modes that artune needs, whatever its caller's are: with gradients, and in the precision of the spec."""
    with torch.inference_mode(False), torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
        yield


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
