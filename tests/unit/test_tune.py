"""The search for the balance: the judging, and what it means for a run."""

import json
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import artune
from artune import api
from artune.api import style, tune
from artune.backbones.network import Network
from artune.balance.curve import PHOTOGRAPH_LOG_ODDS, Balance, Reason, strength_at
from artune.balance.ladder import Scorer, _rounded
from artune.errors import CheckpointError, InputError, SpecError, UnknownNameError
from artune.images.picture import Picture
from artune.judges.embedding import Judge
from artune.record import Record
from artune.spec.options import with_options
from artune.spec.style import Optimise, StyleSpec
from artune.tensors import load_checkpoint, save_checkpoint
from artune.threads import WINDOW, FreeCores, Usage
from artune.transfer.inputs import RegionStyle
from artune.transfer.methods import steps as steps_of
from artune.transfer.optimise import LADDER_LOG_ODDS, LADDER_STEPS, plan_unchecked
from artune.transfer.result import result_of
from tests.runs import planned

SPEC = StyleSpec(size=48, precision="fp32", method=Optimise(steps=6))
STEPS = 2 + len(LADDER_LOG_ODDS) * LADDER_STEPS
"""Steps of a search: two of the painter at 48 pixels, and those of the optimiser."""


@pytest.fixture(scope="module")
def network():
    return Network.load(StyleSpec(precision="fp32"))


@pytest.fixture(scope="module")
def begun(network, tmp_path_factory):
    """The checkpoint of a run whose strength was found, with its pictures."""
    path, rng = tmp_path_factory.mktemp("begun") / "a.partial", np.random.default_rng(1)
    photo, painting = (Picture(rng.random(shape, dtype=np.float32)) for shape in ((32, 48, 3), (40, 40, 3)))
    style(photo, painting, spec=SPEC, network=network, on_step=lambda p: p.save(path))
    return path, photo, painting


@pytest.fixture
def task(photo, painting, network):
    return api.read(photo, [painting], SPEC, network=network)


@pytest.fixture
def left():
    mask = np.zeros((32, 48), np.float32)
    mask[:, :20] = 1
    return mask


def test_the_judge_knows_its_controls(task):
    scorer = Scorer.of(task.inputs, plan_unchecked(task), Judge.load())
    photograph, painting = task.inputs.photograph, task.inputs.paintings[0].picture.resized(48, 32)
    (own, other), (still, moved) = scorer.seen([photograph, painting])
    assert own < -0.5
    assert other > 0.5
    assert still < 1e-4
    assert moved > 0.5
    style, content = scorer.scores(scorer.seen([photograph, painting]), (0.0, 0.0))
    assert style[0] < 0.1
    assert style[1] > 0.8
    assert content[0] > 0.9 > content[1]


def test_regions_count_by_their_areas(photo, painting, network, rng):
    """A tenth of the picture lacks the style of its painting, the rest has it."""
    tenth = np.zeros((32, 48), np.float32)
    tenth[:, :5] = 1
    other = Picture(rng.random((30, 30, 3)).astype(np.float32))
    regions = [RegionStyle(tenth, other), RegionStyle(1 - tenth, painting)]
    task = api.read(photo, [], SPEC, regions=regions, network=network)
    scorer = Scorer.of(task.inputs, plan_unchecked(task), Judge.load())
    (margins, _) = scorer.seen([painting.resized(48, 32)])
    assert margins.item() > 0.6  # the plain mean of both regions is 0.4


def test_the_strength_is_found_and_told(photo, painting, network):
    steps: list[tuple[int, int]] = []
    task = api.read(photo, [painting], SPEC, network=network)
    tuning = api.find_strength(task, on_step=lambda *s: steps.append(s))
    assert tuning is not None
    assert steps[-1] == (STEPS, STEPS)
    run = api.plan(task, tuning)
    assert run.plan.strength == tuning.balance.strength
    assert "strength" in run.plan.automatic
    curve, pictures = tuning.curve, tuning.pictures
    assert len(curve.strengths) == len(LADDER_LOG_ODDS) + 1 == len(pictures)
    assert curve.strengths[0] == strength_at(PHOTOGRAPH_LOG_ODDS)
    assert pictures[0].digest() == photo.resized(*pictures[0].size).digest()
    record = result_of([*steps_of(run)][-1]).record
    assert record.balance is not None
    assert record.balance["strength"] == run.plan.strength
    assert record.timings["balance"] > 0
    assert Record.model_validate_json(json.dumps(record.model_dump(mode="json"))) == record


def test_search_and_run_compute_on_the_free_cores(photo, painting, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    times = count()
    one_free = FreeCores(lambda: Usage(now := WINDOW * next(times), idle=now, own=0.0))
    network, judge = Network.load(SPEC), Judge.load()
    inside: dict[str, set[int]] = {"network": set(), "judge": set()}
    for name, module in (("network", network.backbone), ("judge", judge.encoder)):
        module.register_forward_pre_hook(lambda *_, seen=inside[name]: seen.add(torch.get_num_threads()))
    between = set()
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        task = replace(api.read(photo, [painting], SPEC, network=network), cores=one_free)
        tuning = api.find_strength(task, judge=judge, on_step=lambda *_: between.add(torch.get_num_threads()))
        run = api.plan(task, tuning)
        between |= {torch.get_num_threads() for _ in steps_of(run)}
    finally:
        torch.set_num_threads(before)
    assert inside == {"network": {1}, "judge": {1}}
    assert between == {2}


def test_the_same_pictures_have_the_same_balance(photo, painting, network):
    one, two = (tune(photo, painting, spec=SPEC, network=network) for _ in range(2))
    assert one.balance == two.balance
    assert one.curve == two.curve


def test_a_resumed_run_keeps_the_strength_that_it_was_begun_with(photo, painting, network, tmp_path):
    path, told = tmp_path / "a.partial", []

    def halt(progress):
        progress.save(path)
        return progress.done == 2

    whole = style(photo, painting, spec=SPEC, network=network, on_tune=lambda *steps: told.append(steps))
    assert told[-1] == (STEPS, STEPS)
    style(photo, painting, spec=SPEC, network=network, on_step=halt)
    told.clear()
    rest = style(photo, painting, spec=SPEC, network=network, resume=path, on_tune=lambda *steps: told.append(steps))
    assert not told  # nothing is searched again
    assert rest.picture.digest() == whole.picture.digest()
    assert rest.record.balance == whole.record.balance
    assert rest.record.timings["balance"] > 0


def test_a_run_of_a_strength_that_was_given_is_another_one(photo, painting, network, tmp_path):
    path, told = tmp_path / "a.partial", []
    given = with_options(SPEC, {"strength": 0.5})
    style(photo, painting, spec=given, network=network, on_step=lambda p: p.save(path))
    for pictures, spec in (((photo, painting), SPEC), ((painting, photo), given)):
        with pytest.raises(CheckpointError, match="belongs to another run"):
            style(*pictures, spec=spec, network=network, resume=path, on_tune=lambda *steps: told.append(steps))
    assert not told  # before anything is looked for


@pytest.mark.parametrize(
    "damage",
    [
        lambda balance: balance.pop("curve"),
        lambda balance: balance.update(reason="none"),
        lambda balance: balance.update(strength=None),
        lambda balance: balance.update(strength=7.0),
        lambda balance: balance.update(low="x"),
        lambda balance: balance["curve"].update(style=[1.0]),
        lambda balance: balance["curve"]["strengths"].reverse(),
        lambda balance: balance["curve"]["style"].__setitem__(0, float("nan")),
        lambda balance: balance["curve"].pop("style"),
    ],
)
def test_a_checkpoint_with_a_damaged_balance_is_refused(network, tmp_path, begun, damage):
    path, (whole, photo, painting) = tmp_path / "a.partial", begun
    tensors, about = load_checkpoint(whole)
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


def test_options_recipes_and_networks_by_name_are_those_of_style(photo, painting):
    """Both find the same strength for the same options."""
    options = {"network": "compact", "size": 48, "precision": "fp32", "style_layers": {"relu1_1": 1.0, "relu2_1": 1.0}}
    found = tune(photo, painting, **options).balance
    assert found == tune(photo, painting, spec=with_options(StyleSpec(), options)).balance
    assert style(photo, painting, **options, steps=1).record.spec.strength == found.strength
    with pytest.raises(SpecError, match="did you mean `style_scale`"):
        tune(photo, painting, style_scal=2.0)
    with pytest.raises(UnknownNameError, match="did you mean vgg19"):
        tune(photo, painting, network="vgg91")
    with pytest.raises(SpecError, match="leave out either"):
        tune(photo, painting, spec=SPEC, recipe="gatys")
    with pytest.raises(InputError, match="no strength to be found"):
        tune(
            photo,
            painting,
            recipe="tutorial",
            network="compact",
            padding="replicate",
            content_layers={"relu4_1": 1.0},
            style_layers={"relu1_1": 1.0},
        )


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


@pytest.mark.parametrize(
    "changes",
    [{"strength": 0.5}, {"content_weight": 1.0, "style_weight": 2.0}, {"loss": "gram", "scale": "tutorial"}],
)
def test_what_is_stated_is_not_looked_for(photo, painting, network, changes):
    spec = with_options(SPEC, changes)
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


@pytest.mark.parametrize(
    "names", [pair for grey in ("black", "white") for pair in (("photo", grey), (grey, "photo"), (grey, grey))]
)
def test_pictures_of_one_colour(photo, network, names):
    flat = {name: Picture(np.full((32, 48, 3), value, np.float32)) for name, value in (("black", 0), ("white", 1))}
    result = style(*({**flat, "photo": photo}[name] for name in names), spec=SPEC, network=network)
    assert np.isfinite(result.picture.pixels).all()


def test_transparent_photographs_and_masked_paintings(photo, painting, network, left):
    see_through = Picture(photo.pixels, left)
    masked = artune.Masked(painting, np.tri(40, dtype=np.float32))
    found = tune(see_through, masked, spec=SPEC, network=network)
    assert 0 < found.balance.strength < 1
