"""The search for the balance: the ladder as a batch, the judging, and what it means for a run."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import artune
from artune import api
from artune.api import style, tune
from artune.backbones.network import Network
from artune.balance.curve import LADDER_LOG_ODDS, PHOTOGRAPH_LOG_ODDS, Balance, Reason, strength_at
from artune.balance.ladder import FIRST_STAGE, Ladder, Scorer, _rounded
from artune.engine.descend import Evaluation, descend, run_to_end
from artune.engine.optimisers import Adam
from artune.errors import ArtuneWarning, CheckpointError, InputError, SpecError
from artune.images.picture import Picture
from artune.judges.embedding import Judge
from artune.record import Record
from artune.spec.style import Optimise, Rung, StyleSpec
from artune.tensors import load_checkpoint, save_checkpoint
from artune.transfer.inputs import RegionStyle
from artune.transfer.methods import steps as steps_of
from artune.transfer.objective import ObjectiveBuilder, photograph_at
from artune.transfer.optimise import plan_unchecked
from artune.transfer.result import result_of
from tests.runs import planned

SPEC = StyleSpec(size=48, precision="fp32", method=Optimise(steps=6))


@pytest.fixture(scope="module")
def network():
    return Network.load(StyleSpec(precision="fp32"))


@pytest.fixture
def task(photo, painting, network):
    return api.read(photo, [painting], SPEC, network=network)


@pytest.fixture
def left():
    mask = np.zeros((32, 48), np.float32)
    mask[:, :20] = 1
    return mask


@pytest.mark.parametrize("regions", [False, True])
def test_a_batch_of_strengths_is_each_of_them(photo, painting, network, left, regions):
    parts = [RegionStyle(left, painting), RegionStyle(1 - left, photo, 0.7)] if regions else []
    # deeper, there are fewer positions than channels, and a gradient of rounding errors
    spec = artune.spec.options.with_options(SPEC, {"style_layers": {"relu1_1": 1.0, "relu2_1": 1.0, "relu3_1": 1.0}})
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


def test_a_rung_is_what_a_run_of_its_strength_would_be_in_a_part_of_a_photograph(photo, painting, network, left):
    """Below strength 0.2 the photograph shines through, and outside of the part it is there as it was."""
    spec = artune.spec.options.with_options(SPEC, {"start": "gaussian"})
    task = api.read(photo, [], spec, regions=[RegionStyle(left, painting)], network=network)
    ladder = Ladder(task)
    given = np.array(ladder.shown.photograph.pixels)
    for strength, picture in zip((0.02, 0.5), ladder.pictures((0.02, 0.5), ladder.first), strict=True):
        moved = np.abs(picture.pixels - given).mean(2)
        assert moved[:, 24:].max() < 1e-5
        assert (moved[:, :16].mean() < 0.05) == (strength < 0.2)


def test_a_stronger_rung_is_further_from_the_photograph(task):
    ladder = Ladder(task)
    pictures = ladder.pictures((0.05, 0.5, 0.95), ladder.first)
    apart = [np.abs(p.pixels - task.inputs.photograph.pixels).mean() for p in pictures]
    assert apart == sorted(apart)


def test_the_judge_knows_its_controls(task):
    scorer = Scorer.of(task.inputs, plan_unchecked(task), Judge.load())
    photograph, painting = task.inputs.photograph, task.inputs.paintings[0].picture.resized(48, 32)
    style, content = scorer.scores([photograph, painting])
    assert style[0] < 0.02
    assert content[1] < 0.02
    assert style[1] > style[0]
    assert content[0] > content[1]


def test_the_strength_is_found_and_told(photo, painting, network):
    steps: list[tuple[int, int]] = []
    task = api.read(photo, [painting], SPEC, network=network)
    tuning = api.find_strength(task, on_step=lambda *s: steps.append(s))
    assert tuning is not None
    assert steps[-1] == (32 + 60, 32 + 60)
    run = api.plan(task, tuning)
    assert run.plan.strength == tuning.balance.strength
    assert "strength" in run.plan.automatic
    curve, scores, pictures = tuning.curve, tuning.scores, tuning.pictures
    assert len(scores.first.strengths) == len(LADDER_LOG_ODDS) + 1 == len(pictures) - 1
    assert scores.second.strength in curve.strengths
    assert scores.first.strengths[0] == strength_at(PHOTOGRAPH_LOG_ODDS)
    assert pictures[0].digest() == photo.resized(*pictures[0].size).digest()
    record = result_of([*steps_of(run)][-1]).record
    assert record.balance is not None
    assert record.balance["strength"] == run.plan.strength
    assert record.timings["balance"] > 0
    assert Record.model_validate_json(json.dumps(record.model_dump(mode="json"))) == record


def test_the_same_pictures_have_the_same_balance(photo, painting, network):
    one, two = (tune(photo, painting, spec=SPEC, network=network) for _ in range(2))
    assert one.balance == two.balance
    assert one.curve == two.curve


def test_a_resumed_run_keeps_the_strength_that_it_was_begun_with(photo, painting, network, tmp_path, monkeypatch):
    path, told = tmp_path / "a.partial", []

    def halt(progress):
        progress.save(path)
        return progress.done == 2

    whole = style(photo, painting, spec=SPEC, network=network, on_tune=lambda *steps: told.append(steps))
    assert told[-1] == (92, 92)
    style(photo, painting, spec=SPEC, network=network, on_step=halt)
    monkeypatch.setattr("artune.api.find_balance", None)  # nothing is looked for again
    rest = style(photo, painting, spec=SPEC, network=network, resume=path)
    assert rest.picture.digest() == whole.picture.digest()
    assert rest.record.balance == whole.record.balance
    assert rest.record.timings["balance"] > 0


def test_a_run_of_a_strength_that_was_given_is_another_one(photo, painting, network, tmp_path):
    path, told = tmp_path / "a.partial", []
    given = artune.spec.options.with_options(SPEC, {"strength": 0.5})
    style(photo, painting, spec=given, network=network, on_step=lambda p: p.save(path))
    for pictures, spec in (((photo, painting), SPEC), ((painting, photo), given)):
        with pytest.raises(CheckpointError, match="belongs to another run"):
            style(*pictures, spec=spec, network=network, resume=path, on_tune=lambda *steps: told.append(steps))
    assert not told  # before anything is looked for


@pytest.mark.parametrize(
    "damage",
    [
        lambda balance: balance.pop("first"),
        lambda balance: balance.pop("second"),
        lambda balance: balance.update(reason="none"),
        lambda balance: balance.update(strength=None),
        lambda balance: balance.update(strength=7.0),
        lambda balance: balance.update(low="x"),
        lambda balance: balance["first"].update(style=[1.0]),
        lambda balance: balance["second"].update(strength=1.0),
        lambda balance: balance["second"].update(style=float("nan")),
        lambda balance: balance["second"].update(strength=balance["first"]["strengths"][0]),
        lambda balance: balance["second"].pop("style"),
    ],
)
def test_a_checkpoint_with_a_damaged_balance_is_refused(photo, painting, network, tmp_path, damage):
    path = tmp_path / "a.partial"
    style(photo, painting, spec=SPEC, network=network, on_step=lambda p: p.save(path))
    tensors, about = load_checkpoint(path)
    damage(about["balance"])
    save_checkpoint(path, tensors, about)
    with pytest.raises(CheckpointError, match=r"the (data of the )?balance .*; remove it to start anew"):
        style(photo, painting, spec=SPEC, network=network, resume=path)


def test_what_the_safe_interval_keeps_is_chosen(photo, painting, network):
    all_, usual = (tune(photo, painting, spec=SPEC, network=network, kept=kept).balance for kept in (0.0, 0.8))
    assert (all_.kept, usual.kept) == (0.0, 0.8)
    assert (all_.low, all_.high) == pytest.approx(
        (strength_at(PHOTOGRAPH_LOG_ODDS), strength_at(LADDER_LOG_ODDS[-1])), abs=1e-3
    )
    for kept in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match=r"`kept` is .* between 0 and 1"):
            tune(photo, painting, spec=SPEC, network=network, kept=kept)


def test_a_network_that_taught_the_judge_is_named(photo, painting, network, monkeypatch):
    monkeypatch.setattr("artune.balance.ladder.taught_judge", lambda name: name == "compact")
    with pytest.warns(ArtuneWarning, match="the judge .* was trained with compact"):
        tune(photo, painting, spec=SPEC, network=network)
    tune(photo, painting, spec=SPEC, network=network, judge=Judge.load())  # whose teacher nobody knows


@pytest.mark.parametrize(
    ("size", "quality", "steps"),
    [(64, "normal", 60), (128, "draft", 60), (192, "draft", 53), (256, "best", 30), (512, "draft", 30)],
)
def test_ladders_are_of_the_same_work_whatever_the_run_costs(photo, painting, network, size, quality, steps):
    spec = artune.spec.options.with_options(StyleSpec(), {"size": size, "enlarge": True, "quality": quality})
    ladder = Ladder(api.read(photo, [painting], spec, network=network))
    assert (ladder.first.steps, ladder.second.steps) == (FIRST_STAGE.steps, steps)


def test_the_second_look_takes_longer_strides(photo, painting, network, monkeypatch):
    rates = []

    class Watched(Adam):
        def __init__(self, rate):
            rates.append(float(rate.max()))
            super().__init__(rate=rate)

    monkeypatch.setattr("artune.balance.ladder.Adam", Watched)
    tune(photo, painting, spec=artune.spec.options.with_options(SPEC, {"start": "style"}), network=network)
    assert rates[1] == pytest.approx(1.6 * rates[0])


@given(st.floats(0.0001, 0.9999), st.floats(0.0001, 0.9999), st.floats(0.0001, 0.9999))
def test_numbers_that_are_told_stay_within_the_interval(one, two, three):
    low, strength, high = sorted((one, two, three))
    found = _rounded(Balance(strength, low, high, Reason.CROSSED, 1.0, 0.5, 0.5, strength))
    assert found.low <= found.strength <= found.high
    assert (found.low, found.strength, found.high) == pytest.approx((low, strength, high), abs=1e-3)


def test_a_photograph_in_its_own_style_is_flat(photo, network):
    found = tune(photo, photo, spec=SPEC, network=network).balance
    assert found.reason is Reason.FLAT
    assert found.strength == 0.5
    assert found.confidence == 0
    assert "the usual one" in str(found)


@pytest.mark.slow
def test_stripes_in_the_style_of_nothing_are_not_monotone(network):
    """Stripes of three pixels are another picture at the size of each stage."""
    stripes = np.repeat(np.arange(192) // 3 % 2, 192).reshape(192, 192).T.astype(np.float32)
    photo, painting = (Picture(np.stack([grey] * 3, 2)) for grey in (stripes, np.ones_like(stripes)))
    found = tune(photo, painting, spec=artune.spec.options.with_options(StyleSpec(), {"size": 192}), network=network)
    assert found.balance.reason is Reason.NOT_MONOTONE
    assert found.balance.confidence == 0
    assert "a guess" in str(found.balance)


@pytest.mark.parametrize(
    "changes",
    [{"strength": 0.5}, {"content_weight": 1.0, "style_weight": 2.0}, {"loss": "gram", "scale": "tutorial"}],
)
def test_what_is_stated_is_not_looked_for(photo, painting, network, changes):
    spec = artune.spec.options.with_options(SPEC, changes)
    assert planned(photo, [painting], spec, network=network).search is None
    with pytest.raises(InputError, match="no strength to be found"):
        tune(photo, painting, spec=spec, network=network)


@pytest.mark.parametrize("name", ["spec", "network", "weights", "regions", "judge", "kept", "on_step"])
@pytest.mark.usefixtures("untyped")
def test_arguments_of_a_wrong_type_are_named(photo, painting, name):
    with pytest.raises(SpecError, match=f"`{name}` is of type complex"):
        tune(photo, painting, **{name: 3j})


def test_regions_with_strengths_of_their_own_leave_nothing_to_find(photo, painting, network, left):
    for strength, found in ((0.3, False), (None, True)):
        job = planned(photo, [], SPEC, regions=[RegionStyle(left, painting, strength)], network=network)
        assert (job.search is not None) == found


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_pictures_of_one_colour(photo, network, value):
    flat = Picture(np.full((32, 48, 3), value, np.float32))
    for pair in ((photo, flat), (flat, photo), (flat, flat)):
        result = style(*pair, spec=SPEC, network=network)
        assert np.isfinite(result.picture.pixels).all()


def test_transparent_photographs_and_masked_paintings(photo, painting, network, left):
    see_through = Picture(photo.pixels, left)
    masked = artune.Masked(painting, np.tri(40, dtype=np.float32))
    found = tune(see_through, masked, spec=SPEC, network=network)
    assert 0 < found.balance.strength < 1
