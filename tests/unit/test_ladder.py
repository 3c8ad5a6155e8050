"""Small pictures of one task at several strengths, by which the strength is found."""

import math
from copy import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

import artune
from artune import api
from artune.backbones.network import Network
from artune.engine.descend import run_to_end
from artune.networks.painter import LOG_ODDS
from artune.spec.options import with_options
from artune.spec.style import Instant, Optimise, Rung, StyleSpec
from artune.transfer.canvas import painted_log_odds
from artune.transfer.inputs import RegionStyle
from artune.transfer.methods import method_of, plan_run
from artune.transfer.objective import ObjectiveBuilder, photograph_at
from artune.transfer.optimise import LADDER_STEPS, log_odds_of, plan_unchecked

SPEC = StyleSpec(size=48, precision="fp32", method=Optimise(steps=6))


@pytest.fixture(scope="module")
def network():
    return Network.load(StyleSpec(precision="fp32"))


@pytest.fixture
def left():
    mask = np.zeros((32, 48), np.float32)
    mask[:, :20] = 1
    return mask


def ladder_of(task):
    method = method_of(task.spec)
    return method.ladder(task, method.plan(task, None, None))


def test_a_ladder_of_the_painter_holds_what_the_painter_paints(photo, painting):
    spec = StyleSpec(size=64, method=Instant(quality="draft"))
    picture, other = ladder_of(api.read(photo, [painting], spec)).pictures((0.3, 0.7))
    for made, strength in ((picture, 0.3), (other, 0.7)):
        alone = artune.style(photo, painting, spec=spec, strength=strength).picture
        np.testing.assert_allclose(made.pixels, alone.pixels, atol=0.01)  # roots of matrices in batches


def test_a_ladder_of_an_optimisation_is_painted_and_then_optimised(photo, painting, network):
    """From the photograph, whatever the start and the optimiser of the run."""
    other = with_options(SPEC, {"start": "gaussian", "optimiser": "adam"})
    ladders = [ladder_of(api.read(photo, [painting], spec, network=network)) for spec in (SPEC, other)]
    told = []
    both = [ladder.pictures((0.2, 0.8), lambda: told.append(1)) for ladder in ladders]
    for one, two in zip(*both, strict=True):
        np.testing.assert_allclose(one.pixels, two.pixels, atol=1e-3)
    assert len(told) == 2 * (2 + 2 * LADDER_STEPS)
    of_painter = ladder_of(api.read(photo, [painting], StyleSpec(size=48, method=Instant())))
    run = plan_run(api.read(photo, [painting], SPEC, network=network), 0.8)
    builder = ObjectiveBuilder(run.plan, run.shown, network, Rung(size=48, steps=1))
    content = photograph_at(run.shown, 48, network.device)
    objective = run_to_end(builder.objective(content, run_to_end(builder.paintings())))
    painted, optimised = of_painter.pictures((0.8,))[0], both[0][1]
    totals = [objective.losses(picture.tensor(), 0)["total"] for picture in (painted, optimised)]
    assert totals[1] < 0.97 * totals[0]


def test_a_ladder_is_as_large_as_the_network_needs(photo, painting, network):
    needy = replace(network, backbone=copy(network.backbone))
    needy.backbone.smallest = 200
    task = api.read(photo.resized(600, 400), [painting], StyleSpec(size=600), network=needy)
    assert ladder_of(task).size == 300


def test_below_strength_a_fifth_the_photograph_shines_through_and_outside_of_a_part_it_is_as_it_was(
    photo, painting, network, left
):
    ladder = ladder_of(api.read(photo, [], SPEC, regions=[RegionStyle(left, painting)], network=network))
    for strength, picture in zip((0.02, 0.5), ladder.pictures((0.02, 0.5)), strict=True):
        moved = np.abs(picture.pixels - photo.pixels).mean(2)
        assert moved[:, 24:].max() < 1e-5
        assert (moved[:, :16].mean() < 0.05) == (strength < 0.2)


def test_more_strength_is_further_from_the_photograph(photo, painting, network):
    made = ladder_of(api.read(photo, [painting], SPEC, network=network)).pictures((0.05, 0.5, 0.95))
    apart = [np.abs(picture.pixels - photo.pixels).mean() for picture in made]
    assert apart == sorted(apart)


def test_the_same_ladder_again_is_the_same_pictures(photo, painting, network):
    ladder = ladder_of(api.read(photo, [painting], SPEC, network=network))
    for one, two in zip(ladder.pictures((0.2, 0.8)), ladder.pictures((0.2, 0.8)), strict=True):
        assert one.digest() == two.digest()


@pytest.mark.parametrize(("size", "side"), [(64, 64), (256, 256), (512, 256)])
def test_ladders_are_as_large_whatever_the_run_costs(photo, painting, network, size, side):
    ladder = ladder_of(api.read(photo, [painting], with_options(StyleSpec(), {"size": size}), network=network))
    assert ladder.size == side


def test_steps_are_counted(photo, painting, network):
    told = []
    ladder = ladder_of(api.read(photo, [painting], SPEC, network=network))
    ladder.pictures((0.1, 0.3, 0.5, 0.6), lambda: told.append(1))
    assert len(told) == ladder.steps == 2 + 4 * LADDER_STEPS


@pytest.mark.parametrize(
    ("options", "odds"),
    [
        ({}, 0.0),
        ({"strength": 0.7}, math.log(0.7 / 0.3)),
        ({"loss": "gram"}, 0.0),  # whatever the weight of a loss at strength 0.5
        ({"content_weight": 0.25}, math.log(0.5 / 0.25)),
        ({"content_weight": 0.0}, LOG_ODDS[1]),
        ({"style_weight": 0.0}, LOG_ODDS[0]),
        ({"scale": "tutorial", "loss": "gram"}, 0.0),  # whose weights have other units
    ],
)
def test_the_painter_is_told_the_weights_of_an_optimisation(photo, painting, network, options, odds):
    task = api.read(photo, [painting], with_options(SPEC, options), network=network)
    assert log_odds_of(plan_unchecked(task), task.inputs) == pytest.approx([odds])


def test_the_painter_is_told_what_it_was_trained_for():
    assert painted_log_odds(1 - 1e-9, 1e-9) == LOG_ODDS[0]
    assert painted_log_odds(1e-9, 1 - 1e-9) == LOG_ODDS[1]
    assert torch.tensor(painted_log_odds(0.4, 0.6)).sigmoid() == pytest.approx(0.6)
