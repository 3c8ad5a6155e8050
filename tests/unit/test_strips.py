import pytest
import torch

from artune.engine import strips


@pytest.mark.parametrize("shape", [(1, 3, 7, 5), (2, 1, 1, 9), (1, 3, 64, 64), (4, 6)])
@pytest.mark.parametrize("values", [1, 50, 2**20])
def test_strips_cover_everything_once(monkeypatch, shape, values):
    monkeypatch.setattr(strips, "VALUES", values)
    seen = torch.zeros(shape)
    for strip in strips.strips(seen):
        seen[strip] += 1
    assert (seen == 1).all()
