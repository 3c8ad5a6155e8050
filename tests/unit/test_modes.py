"""A generator in a mode of PyTorch: on inside, off between two steps."""

import pytest
import torch

from artune.engine.modes import in_mode


def test_the_mode_is_on_inside_and_off_between_two_steps():
    @in_mode(torch.no_grad)
    def steps():
        for _ in range(2):
            yield torch.is_grad_enabled()
        return "the end"

    def outer():
        ends.append((yield from steps()))

    ends, seen = [], []
    for inside in outer():
        seen.append((inside, torch.is_grad_enabled()))
    assert seen == [(False, True), (False, True)]
    assert ends == ["the end"]


def test_an_error_inside_leaves_the_mode():
    @in_mode(torch.no_grad)
    def steps():
        yield 1
        raise ValueError("inside")

    run = steps()
    next(run)
    with pytest.raises(ValueError, match="inside"):
        next(run)
    assert torch.is_grad_enabled()


def test_a_generator_that_is_left_is_closed():
    closed = []

    @in_mode(torch.no_grad)
    def steps():
        try:
            yield 1
        finally:
            closed.append(True)

    for _ in steps():
        break
    run = steps()
    next(run)
    run.close()
    assert closed[-1]
