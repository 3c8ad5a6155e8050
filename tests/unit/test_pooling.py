import pytest
import torch
from torch.nn import functional as F

from artune.backbones.pooling import pool


def test_pooling_factors_keep_the_level():
    for shape in ((2, 2, 0, False), (3, 2, 0, True), (3, 2, 1, False)):
        torch.manual_seed(0)
        # what the blocks of a trained network hand on: sparse and correlated between neighbours
        far = 2 * shape[0] - 1
        x = F.relu(F.avg_pool2d(far * torch.randn(1, 16, 256 + far, 256 + far), far, stride=1) - 0.3)
        level = pool(x, "max", *shape).mean()
        for name in ("average", "l2"):
            assert pool(x, name, *shape).shape == pool(x, "max", *shape).shape
            assert 0.6 < pool(x, name, *shape).mean() / level < 1.5, (name, shape)


def test_pooling_by_hand():
    x = torch.tensor([[[[3.0, 0.0], [4.0, 0.0]]]])
    assert pool(x, "max").item() == 4
    assert pool(x, "l2").item() == pytest.approx(0.64 * 5)
    assert pool(x, "average").item() == pytest.approx(1.4 * 7 / 4)


def test_what_lies_beyond_the_border_is_not_pooled():
    x = torch.full((1, 1, 5, 5), 2.0)
    for name, level in (("average", 1.6 * 2), ("l2", 0.48 * 6)):
        torch.testing.assert_close(pool(x, name, 3, 2, 1), torch.full((1, 1, 3, 3), level))
