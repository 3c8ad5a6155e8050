"""Small pictures at several strengths: a ladder as a batch, and what its stages start from."""

import numpy as np
import pytest
import torch

from artune import api
from artune.backbones.network import Network
from artune.engine.descend import Evaluation, descend, run_to_end
from artune.engine.optimisers import Adam
from artune.spec.options import with_options
from artune.spec.style import Optimise, Rung, StyleSpec
from artune.transfer.inputs import RegionStyle
from artune.transfer.objective import ObjectiveBuilder, photograph_at
from artune.transfer.optimise import plan_unchecked
from artune.transfer.strengths import FIRST_STAGE, OptimiseLadder, Stage

SPEC = StyleSpec(size=48, precision="fp32", method=Optimise(steps=6))


@pytest.fixture(scope="module")
def network():
    return Network.load(StyleSpec(precision="fp32"))


@pytest.fixture
def left():
    mask = np.zeros((32, 48), np.float32)
    mask[:, :20] = 1
    return mask


def ladder_of(task, *stages):
    return OptimiseLadder(task, plan_unchecked(task), *stages)


@pytest.mark.parametrize("regions", [False, True])
def test_a_batch_of_strengths_is_each_of_them(photo, painting, network, left, regions):
    parts = [RegionStyle(left, painting), RegionStyle(1 - left, photo, 0.7)] if regions else []
    # deeper, there are fewer positions than channels, and a gradient of rounding errors
    spec = with_options(SPEC, {"style_layers": {"relu1_1": 1.0, "relu2_1": 1.0, "relu3_1": 1.0}})
    task = api.read(photo, [] if regions else [painting], spec, regions=parts, network=network)
    plans = tuple(plan_unchecked(task, strength) for strength in (0.05, 0.5, 0.9))
    rung, content = Rung(size=48, steps=3), photograph_at(task.inputs, 48, network.device)
    x = torch.rand(3, *content.shape[1:], generator=torch.Generator().manual_seed(0))

    def objective(*plans):
        sized = ObjectiveBuilder(plans, task.inputs, network, rung)
        return run_to_end(sized.objective(content, run_to_end(sized.paintings())))

    together = objective(*plans)(x, 0)
    for index, plan in enumerate(plans):
        alone = objective(plan)(x[index : index + 1], 0)
        torch.testing.assert_close(together.total[index], alone.total[0], rtol=1e-5, atol=0)
        size = alone.gradient.abs().max()
        torch.testing.assert_close(together.gradient[index] / size, alone.gradient[0] / size, rtol=0, atol=1e-4)


def test_each_of_a_batch_moves_at_its_own_rate():
    x = torch.zeros(2, 3, 4, 4)
    gradient = -torch.ones_like(x)

    def f(at, step):
        return Evaluation((at - 1).square().mean((1, 2, 3)), {}, gradient)

    step = next(descend(f, x, Adam(rate=torch.tensor([0.01, 0.03])), steps=1))
    moved = step.state.x.mean((1, 2, 3))
    torch.testing.assert_close(moved[1], 3 * moved[0])


def test_a_picture_is_what_a_run_of_its_strength_would_be_in_a_part_of_a_photograph(photo, painting, network, left):
    """Below strength 0.2 the photograph shines through, and outside of the part it is there as it was."""
    spec = with_options(SPEC, {"start": "gaussian"})
    ladder = ladder_of(api.read(photo, [], spec, regions=[RegionStyle(left, painting)], network=network))
    for strength, picture in zip((0.02, 0.5), ladder.first_stage((0.02, 0.5)).pictures, strict=True):
        moved = np.abs(picture.pixels - photo.pixels).mean(2)
        assert moved[:, 24:].max() < 1e-5
        assert (moved[:, :16].mean() < 0.05) == (strength < 0.2)


def test_more_strength_is_further_from_the_photograph(photo, painting, network):
    made = ladder_of(api.read(photo, [painting], SPEC, network=network)).first_stage((0.05, 0.5, 0.95))
    apart = [np.abs(picture.pixels - photo.pixels).mean() for picture in made.pictures]
    assert apart == sorted(apart)


def test_the_same_stage_again_is_the_same_pictures(photo, painting, network):
    """Whatever was made before."""
    ladder = ladder_of(api.read(photo, [painting], SPEC, network=network))
    first = ladder.first_stage((0.2, 0.8))
    second = ladder.second_stage(0.5, first)
    assert torch.equal(ladder.first_stage((0.2, 0.8)).images, first.images)
    assert torch.equal(ladder.second_stage(0.5, first).images, second.images)


@pytest.mark.parametrize(("strength", "nearest"), [(0.3, 0), (0.7, 1), (0.9, 1)])
def test_the_second_stage_starts_from_the_nearest_picture(photo, painting, network, strength, nearest):
    still = Stage(48, 1, 1e-9)  # nothing moves
    ladder = ladder_of(api.read(photo, [painting], SPEC, network=network), Stage(48, 6, 1.0), still)
    first = ladder.first_stage((0.25, 0.75))
    second = ladder.second_stage(strength, first)
    torch.testing.assert_close(second.images[0], first.images[nearest], rtol=0, atol=1e-4)


def test_a_stage_moves_by_its_rate(photo, painting, network):
    """The first step of Adam is as long as the rate."""
    task = api.read(photo, [painting], with_options(SPEC, {"start": "grey"}), network=network)
    strides = []
    for rate in (1.0, 1.6):
        made = ladder_of(task, Stage(48, 1, rate)).first_stage((0.5,))
        strides.append(float((made.images - 0.5).abs().mean()))
    assert strides[1] == pytest.approx(1.6 * strides[0], rel=0.02)  # the start is not quite grey


@pytest.mark.parametrize(
    ("size", "quality", "steps"),
    [(64, "normal", 60), (128, "draft", 60), (192, "draft", 53), (256, "best", 30), (512, "draft", 30)],
)
def test_ladders_are_of_the_same_work_whatever_the_run_costs(photo, painting, network, size, quality, steps):
    spec = with_options(StyleSpec(), {"size": size, "enlarge": True, "quality": quality})
    ladder = ladder_of(api.read(photo, [painting], spec, network=network))
    assert (ladder.first.steps, ladder.second.steps) == (FIRST_STAGE.steps, steps)
    assert ladder.steps == FIRST_STAGE.steps + steps
    assert ladder.size == min(size, 128)


def test_steps_are_counted_in_both_stages(photo, painting, network):
    told = []
    ladder = ladder_of(api.read(photo, [painting], SPEC, network=network), Stage(48, 2, 1.0), Stage(48, 3, 1.0))
    first = ladder.first_stage((0.5, 0.6), lambda: told.append("first"))
    ladder.second_stage(0.5, first, lambda: told.append("second"))
    assert len(told) == ladder.steps
    assert told.count("first") == 2
