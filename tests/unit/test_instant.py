"""The method ``instant``: plans, steps, tiles, regions, the ladder, and pictures that are prepared."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import artune
from artune import api
from artune.engine.descend import run_to_end
from artune.errors import CheckpointError, InputError, PictureError, ResourceError, SpecError, WeightsError
from artune.images.picture import Picture
from artune.networks.loaded import PainterNetwork
from artune.networks.painter import REVISION_TAPS, STEP_TAPS
from artune.spec.style import Instant, Optimise, Rung, StyleSpec
from artune.transfer import instant
from artune.transfer.canvas import STEPS, Canvas, StepCounts, sizes_and_steps
from artune.transfer.checkpoint import Checkpoint
from artune.transfer.inputs import Masked
from artune.transfer.methods import plan_run, steps

SMALL = {"method": Instant(), "size": 48, "strength": 0.6}


def larger(picture: Picture, width: int, height: int) -> Picture:
    return picture.resized(width, height)


@pytest.mark.parametrize(
    ("quality", "size", "expected"),
    [
        ("normal", 512, [(128, 2), (256, 1), (512, 1)]),
        ("draft", 512, [(128, 2), (256, 1), (512, 1)]),
        ("best", 1024, [(128, 4), (256, 3), (512, 3), (1024, 2)]),
        ("normal", 100, [(100, 2)]),
        ("normal", 300, [(150, 2), (300, 1)]),
        ("normal", 1, [(1, 2)]),
    ],
)
def test_sizes_and_steps(quality, size, expected):
    assert [(rung.size, rung.steps) for rung in sizes_and_steps(STEPS[quality], size)] == expected


def test_a_picture_in_the_style(photo, painting):
    result = artune.style(photo, painting, **SMALL)
    assert result.picture.size == (48, 32)
    assert result.record.steps == 2
    dark = replace(painting, pixels=0.3 * painting.pixels)
    means = [each.pixels.mean((0, 1)) for each in (artune.style(photo, dark, **SMALL).picture, photo, dark)]
    assert np.abs(means[0] - means[2]).sum() < 0.5 * np.abs(means[0] - means[1]).sum()
    again = artune.style(photo, painting, **SMALL)
    assert np.array_equal(result.picture.pixels, again.picture.pixels)


def test_its_record_paints_the_same_picture(photo, painting):
    result = artune.style(photo, painting, **SMALL)
    again = artune.style(photo, painting, spec=result.record.spec)
    assert again.record.key == result.record.key
    assert np.array_equal(result.picture.pixels, again.picture.pixels)
    smaller = artune.style(photo, painting, spec=result.record.spec, size=32)
    assert smaller.picture.size[0] == 32


def test_the_strength_goes_from_the_photograph_to_the_style(photo, painting):
    pictures = [artune.style(photo, painting, **SMALL | {"strength": s}).picture.pixels for s in (0, 0.1, 0.3, 0.9)]
    apart = [np.abs(each - pictures[0]).mean() for each in pictures]
    assert apart == sorted(apart)
    assert np.abs(pictures[0] - photo.pixels).max() < 1e-3


def test_an_open_strength_is_found(photo, painting):
    result = artune.style(photo, painting, method=Instant(), size=48)
    assert 0 < result.record.spec.strength < 1
    assert result.record.balance is not None


def test_progress_and_checkpoint(photo, painting, tmp_path):
    run = plan_run(api.read(larger(photo, 240, 160), [painting], StyleSpec(**SMALL | {"size": 240})))
    events = list(steps(run))
    assert [event.event for event in events] == ["begins", "step", "step", "begins", "step", "ends"]
    shares = [event.share for event in events]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    for number, event in enumerate(events[:-1]):
        path = tmp_path / f"{number}.partial"
        event.save(path)
        *_, last = steps(run, Checkpoint.load(path))
        assert torch.equal(last.state.x, events[-1].state.x), event.event
    other = plan_run(api.read(photo, [painting], StyleSpec(**SMALL)))
    with pytest.raises(CheckpointError):
        list(steps(other, Checkpoint.load(tmp_path / "1.partial")))


def test_tiles_make_the_picture_that_the_whole_makes(photo, painting, monkeypatch):
    task = api.read(larger(photo, 150, 100), [larger(painting, 90, 120)], StyleSpec(**SMALL | {"size": 150}))
    plan = instant.plan(task)
    monkeypatch.setattr("artune.transfer.canvas.TILE_SIDE", 48)
    odds = [torch.tensor([0.4])]
    made = []
    for side in (1024, 16):
        monkeypatch.setattr("artune.transfer.canvas.WHOLE_SIDE", side)
        task.network.readings.clear()
        canvas = run_to_end(Canvas.of(task.inputs, plan, task.network, 150, whole=1))
        made.append(run_to_end(canvas.step(canvas.photograph, odds, 0, first=False)))
    torch.testing.assert_close(made[0], made[1], rtol=0, atol=2 / 255)  # sums of tiles are of another precision


@pytest.mark.parametrize("method", [Instant(), Optimise(steps=4)])
def test_a_run_in_tiles_tells_each_and_is_resumed_from_each(photo, painting, monkeypatch, tmp_path, method):
    monkeypatch.setattr("artune.transfer.canvas.TILE_SIDE", 64)
    monkeypatch.setattr("artune.transfer.canvas.WHOLE_SIDE", 128)
    small = StepCounts(first=2, next=1, whole=128, revisions=2)
    monkeypatch.setitem(STEPS, "normal", small)
    monkeypatch.setattr("artune.transfer.optimise.PAINTED", small)
    left = np.zeros((160, 240), np.float32)
    left[:, :120] = 1
    alpha = np.ones((160, 240), np.float32)
    alpha[100:, 100:] = 0
    photo = replace(larger(photo, 240, 160), alpha=alpha)
    styles, regions = [larger(painting, 240, 160)], [artune.RegionStyle(left, larger(painting, 50, 60), 0.8)]
    spec = StyleSpec(size=240, strength=0.6, precision="fp32", method=method)
    events = []
    for event in steps(plan_run(api.read(photo, styles, spec, regions=regions))):
        events.append(event.event)
        if event.event == "part":
            event.save(tmp_path / f"{len(events)}.partial")
        picture = event.picture()
    assert events.count("part") >= 18
    for path in sorted(tmp_path.glob("*.partial"))[::9]:
        *_, last = steps(plan_run(api.read(photo, styles, spec, regions=regions)), Checkpoint.load(path))
        assert last.picture().digest() == picture.digest(), path


def test_regions_with_paintings_and_strengths_of_their_own(photo, painting, rng):
    left = np.zeros((32, 48), np.float32)
    left[:, :24] = 1
    red = Picture((0.05 * rng.random((20, 20, 3)) + [0.9, 0.1, 0.1]).astype(np.float32))
    parts = [artune.RegionStyle(left, red, 0.8)]
    found = artune.style(photo, painting, regions=parts, **SMALL | {"strength": 0.4}).picture.pixels
    assert found[:, :20, 0].mean() > found[:, :20, 1].mean() + 0.2
    alone = artune.style(photo, regions=parts, **SMALL).picture.pixels
    assert np.abs(alone[:, 28:] - photo.pixels[:, 28:]).max() < 1e-3
    everywhere = [artune.RegionStyle(np.ones((32, 48), np.float32), painting, 0.6)]
    one, other = artune.style(photo, painting, **SMALL), artune.style(photo, regions=everywhere, **SMALL)
    np.testing.assert_allclose(one.picture.pixels, other.picture.pixels, atol=1e-3)


def test_several_paintings_with_weights(photo, painting, rng):
    other = Picture(rng.random((30, 30, 3)).astype(np.float32) * 0.3)
    mixed = artune.style(photo, painting, other, style_weights=(1, 0), **SMALL).picture.pixels
    alone = artune.style(photo, painting, **SMALL).picture.pixels
    np.testing.assert_allclose(mixed, alone, atol=1e-4)
    means = [
        artune.style(photo, painting, other, style_weights=w, **SMALL).picture.pixels.mean()
        for w in ((1, 0), (1, 1), (0, 1))
    ]
    assert means == sorted(means, reverse=True)


def test_a_painting_of_which_a_part_counts(photo, rng):
    """With one painter: what it has read of one part is not taken for that of another, or of the whole."""
    cells = rng.random((40, 40, 3)).astype(np.float32)
    halves = Picture(np.concatenate([0.2 * cells[:, :20], 0.8 + 0.2 * cells[:, 20:]], 1))
    left = np.zeros((40, 40), np.float32)
    left[:, :20] = 1
    network = PainterNetwork.load(StyleSpec())
    means = []
    for style in (Masked(halves, left), halves, Masked(halves, 1 - left)):
        found = artune.style(photo, style, network=network, **SMALL).picture
        alone = artune.style(photo, style, network=PainterNetwork.load(StyleSpec()), **SMALL).picture
        assert np.array_equal(found.pixels, alone.pixels)
        means.append(found.pixels.mean())
    assert means == sorted(means)
    assert means[2] - means[0] > 0.2


def test_a_painting_is_read_for_all_taps_or_for_those_of_a_revision(photo, painting):
    task = api.read(photo, [painting], StyleSpec(**SMALL))
    run = plan_run(task)
    for whole, taps in ((512, STEP_TAPS), (16, REVISION_TAPS), (512, STEP_TAPS)):
        canvas = run_to_end(Canvas.of(run.shown, run.plan, task.network, 48, whole))
        assert [len(region.gaussians) for region in canvas.regions] == [taps]


def test_transparent_photographs_and_colours(photo, painting):
    alpha = np.ones((32, 48), np.float32)
    alpha[:, :10] = 0
    seen = replace(photo, alpha=alpha)
    found = artune.style(seen, painting, **SMALL).picture
    np.testing.assert_allclose(found.pixels[:, :10], photo.pixels[:, :10], atol=1e-3)
    grey = artune.style(photo, painting, color="content-luminance", **SMALL).picture
    chroma = [each.pixels - each.pixels.mean(2, keepdims=True) for each in (grey, photo)]
    assert np.abs(chroma[0] - chroma[1]).mean() < 0.05


def test_smoothing_keeps_the_photograph_s_edges_alone(photo, painting):
    plain, smooth = (artune.style(photo, painting, photoreal_smoothing=s, **SMALL).picture for s in (0.0, 1.0))
    rough = [np.abs(np.diff(each.pixels - photo.pixels, axis=1)).mean() for each in (plain, smooth)]
    assert rough[1] < 0.8 * rough[0]


@pytest.mark.parametrize("shape", [(16, 16), (17, 33), (300, 3), (1, 1)])
def test_shapes(painting, shape, rng):
    photograph = Picture(rng.random((*shape, 3)).astype(np.float32))
    found = artune.style(photograph, painting, **SMALL | {"size": max(*shape, 16)})
    assert np.isfinite(found.picture.pixels).all()


def test_a_painting_of_one_pixel(photo):
    one = Picture(np.full((1, 1, 3), 0.25, np.float32))
    found = artune.style(photo, one, **SMALL).picture.pixels
    assert np.isfinite(found).all()
    assert np.abs(found - 0.25).mean() < np.abs(photo.pixels - 0.25).mean()


def test_a_start_of_its_own(photo, painting):
    found = artune.style(photo, painting, start="grey", seed=3, **SMALL).picture.pixels
    assert np.abs(found - artune.style(photo, painting, **SMALL).picture.pixels).mean() > 1e-3


def test_what_is_refused(photo, painting, monkeypatch, tmp_path):
    with pytest.raises(SpecError, match="loss"):
        artune.style(photo, painting, loss="gram", **SMALL)
    with pytest.raises(SpecError, match="fp32"):
        artune.style(photo, painting, precision="bf16", **SMALL)
    with pytest.raises(SpecError, match="quality"):
        artune.style(photo, painting, quality="best", rungs=[Rung(size=48, steps=1)], **SMALL)
    with pytest.raises(PictureError, match="transparent"):
        artune.style(replace(photo, alpha=np.zeros((32, 48), np.float32)), painting, **SMALL)
    with pytest.raises(WeightsError, match="no painter"):
        artune.style(photo, painting, weights=artune.assets.locate(artune.assets.JUDGE), **SMALL)
    with pytest.raises(WeightsError, match="there is no"):
        artune.style(photo, painting, weights=tmp_path / "none.safetensors", **SMALL)
    with pytest.raises(ResourceError, match="and `memory` is 2MiB; give more `memory`"):
        artune.style(photo, painting, memory="2MiB", **SMALL)
    monkeypatch.setattr("artune.transfer.budget.device_memory_free", lambda device: 2**20)
    with pytest.raises(ResourceError, match="smaller `size`"):
        artune.style(photo, painting, **SMALL)


def test_prepared_pictures_are_those_of_style(photo, painting, rng):
    painter = artune.prepare(photo, painting, size=48)
    for strength in (0.2, 0.7):
        expected = artune.style(photo, painting, **SMALL | {"strength": strength})
        found = painter(strength)
        assert np.array_equal(found.picture.pixels, expected.picture.pixels)
        assert found.record.key == expected.record.key
    other = Picture(rng.random((30, 30, 3)).astype(np.float32))
    expected = artune.style(photo, other, **SMALL)
    assert np.array_equal(painter.paintings(other)(0.6).picture.pixels, expected.picture.pixels)
    for strength in (np.float32(0.5), np.float64(0.5), torch.tensor(0.5)):
        assert np.array_equal(painter(strength).picture.pixels, painter(0.5).picture.pixels)


def test_what_is_not_prepared(photo, painting, untyped, tmp_path):
    painter = artune.prepare(photo, painting, size=48)
    for strength in (-1.0, 1.1, True, float("nan"), "0.5", None, [0.5]):
        with pytest.raises(InputError, match="strength"):
            painter(strength)
    with pytest.raises(InputError, match="no style"):
        painter.paintings()
    for given, says in (
        ({"spec": StyleSpec()}, "for the method instant"),
        ({"weights": 3}, "`weights` is of type int"),
        ({"network": 5}, "`network` is of type int"),
        ({"network": painter.task.network, "weights": tmp_path / "none"}, "both `network` and `weights`"),
        ({"strength": 0.5}, "called with it"),
        ({"style_weights": (1, 2)}, "style_weights"),
    ):
        with pytest.raises(SpecError, match=says):
            artune.prepare(photo, painting, **given)
