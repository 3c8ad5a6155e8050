"""The script that tries shapes of the compact network."""

import json

import pytest
import torch

from artune.backbones.compact import Compact, CompactConfig
from tests.scripts import imported

CHANNELS = "4/5-5/6/7/8"


@pytest.fixture(scope="module")
def shapes():
    with imported("shapes") as found:
        yield found


def test_a_plain_shape_computes_what_the_compact_network_does(shapes, generator):
    plain = shapes.Shape(CHANNELS, slope=0.1)
    assert plain.plain
    mine = shapes.Shaped(plain).requires_grad_(False)
    own = Compact(CompactConfig(((4,), (5, 5), (6,), (7,), (8,)), 0.1), margin=0).requires_grad_(False)
    own.load_state_dict(mine.state_dict())
    image = torch.rand((1, 3, 48, 32), generator=generator)
    for tap in own.taps:
        torch.testing.assert_close(mine(image, [tap])[tap], own(image, [tap])[tap])


@pytest.mark.parametrize("other", [{"dilation": 2}, {"pooling": "max"}, {"border": "zeros"}])
def test_other_shapes_compute_something_else_of_the_same_size(shapes, other, generator):
    torch.manual_seed(0)
    one = shapes.Shaped(shapes.Shape(CHANNELS, **other))
    plain = shapes.Shaped(shapes.Shape(CHANNELS))
    plain.load_state_dict(one.state_dict())
    assert not shapes.Shape(CHANNELS, **other).plain
    image = torch.rand((1, 3, 48, 32), generator=generator)
    found, expected = (network(image, ["relu5_1"])["relu5_1"] for network in (one, plain))
    assert found.shape == expected.shape
    assert not torch.allclose(found, expected)


def test_shapes_are_compared_over_the_pairs_that_all_have(shapes, capsys):
    rows = [
        {"shape": "a", "cost": 1, "error": {}, "pairs": {"0 1": [0.1, 0.2], "7 6": [0.3, 0.6]}},
        {"shape": "b", "cost": 2, "error": {}, "pairs": {"0 1": [0.2, 0.3]}},
        {"shape": "older", "cost": 2, "error": {}},
    ]
    rows.append({"shape": "left out", "cost": 3, "error": {}, "pairs": {}})
    shapes.compare([json.dumps(row) for row in rows], ["a", "b"])
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "1 pairs"
    assert ["fine 0.100 strokes 0.200" in said[1], "fine 0.200 strokes 0.300" in said[2], len(said)] == [True, True, 3]
    with pytest.raises(SystemExit, match="the log has no pictures of older"):
        shapes.compare([json.dumps(row) for row in rows], ["a", "older"])
    with pytest.raises(SystemExit, match="no pair"):
        shapes.compare([json.dumps(row) for row in rows], None)
