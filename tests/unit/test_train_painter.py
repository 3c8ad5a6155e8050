"""The training of the painter: batches, its objective beside a run's, and a training that is gone on with."""

import argparse
import json

import numpy as np
import pytest
import torch
from PIL import Image

from artune import api
from artune.assets import read_metadata, read_weights
from artune.engine.descend import run_to_end
from artune.learning.motion import flicker
from artune.learning.pairs import losses
from artune.spec.style import Optimise, Rung, StyleSpec
from artune.tensors import load_checkpoint
from artune.transfer.methods import plan_run
from artune.transfer.objective import ObjectiveBuilder, photograph_at
from tests.scripts import imported

SMALL = {"widths": [4, 4, 8], "revision": 4, "embedding": 8}


@pytest.fixture(scope="module")
def script():
    with imported("painter") as found:
        yield found


@pytest.fixture
def folder(tmp_path, rng):
    for kind in ("photos", "paintings"):
        for number in range(3):
            path = tmp_path / f"data/{kind}/a/{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (60, 70, 3), np.uint8)).save(path)
    return tmp_path


def test_the_objective_is_that_of_a_run(script, photo, painting):
    painter = script.new_painter(SMALL, 0)
    content, style = (each.resized(96, 96) for each in (photo, painting))
    odds = torch.tensor([0.4])
    pairs = script.Pairs(painter, content.tensor(), style.tensor(), odds)

    strength = odds.sigmoid().item()
    method = Optimise(rungs=[Rung(size=96, steps=1)])
    spec = StyleSpec(size=96, strength=strength, precision="fp32", method=method)
    run = plan_run(api.read(content, [style], spec))
    builder = ObjectiveBuilder(run.plan, run.shown, run.network, run.plan.method.rungs[0])
    content_at = photograph_at(run.shown, 96, run.network.device)
    theirs = run_to_end(builder.objective(content_at, run_to_end(builder.paintings())))

    x = (0.5 * content_at + 0.5 * content_at.flip(3)).clamp(0, 1).requires_grad_()
    mine = pairs.measure(x)
    (gradient,) = torch.autograd.grad(mine.sum(), x)
    expected = theirs(x.detach(), 0)
    whole = 1 - strength + 4 * strength  # weights of a run: of content, and of style
    assert mine.item() == pytest.approx(expected.total.item() / whole, rel=0.03)
    cosine = torch.nn.functional.cosine_similarity(gradient.flatten(), expected.gradient.flatten(), dim=0)
    assert cosine > 0.98
    assert gradient.norm().item() == pytest.approx(expected.gradient.norm().item() / whole, rel=0.1)


def test_a_picture_that_was_moved_is_measured_as_before(script, photo, painting):
    painter = script.new_painter(SMALL, 0)
    content, style = (each.resized(96, 96).tensor() for each in (photo, painting))
    pairs = script.Pairs(painter, content, style, torch.zeros(1))
    still, moved = pairs.measure(content), pairs.measure(content, (3, 5))
    assert moved.item() == pytest.approx(still.item(), rel=0.15)
    assert pairs.features[0].shape[2:] == (104, 104)
    assert pairs.step(content, 0, True).shape == content.shape


def test_decoders_may_see_neighbours_or_noise(script, photo, painting):
    painter = script.new_painter(SMALL, 0)
    content, style = (each.resized(96, 96).tensor() for each in (photo, painting))
    plain, near, noisy = (kind(painter, content, style, torch.zeros(1)) for kind in script.SEEN.values())
    assert list(script.SEEN) == ["transports", "neighbours", "noise"]
    assert plain.shown() is plain.displacements
    changed = [not torch.equal(*both) for both in zip(near.shown(), plain.shown(), strict=True)]
    assert changed == [False, False, False, True, False]
    assert all(not torch.equal(*both) for both in zip(noisy.shown(), plain.shown(), strict=True))
    assert torch.equal(noisy.shown()[0], noisy.shown()[0])
    same = script.NeighbourPairs(painter, style, style, torch.zeros(1))
    assert same.shown()[3].square().mean() < 0.05 * near.shown()[3].square().mean()  # each is its own neighbour


def test_a_batch_depends_on_seed_and_step_alone(script, folder):
    batches = script.Batches(folder, folder, {32: 2, 48: 1})
    one, same, other = batches(0, 5), batches(0, 5), batches(0, 6)
    assert torch.equal(one.photographs, same.photographs)
    assert torch.equal(one.log_odds, same.log_odds)
    assert (one.steps, one.offsets) == (same.steps, same.offsets)
    assert one.paintings.shape != other.paintings.shape or not torch.equal(one.paintings, other.paintings)
    shapes = {batches(0, step).photographs.shape for step in range(12)}
    assert shapes == {(2, 3, 32, 32), (1, 3, 48, 48)}


def test_frames_are_the_photographs_after_a_motion(script, folder):
    batch = script.Batches(folder, folder, {32: 2, 48: 1}, frames=True)(0, 5)
    alone = script.Batches(folder, folder, {32: 2, 48: 1})(0, 5)
    count = len(alone.photographs)
    assert torch.equal(batch.photographs[:count], alone.photographs)
    assert torch.equal(batch.paintings[:count], batch.paintings[count:])
    assert torch.equal(batch.log_odds, torch.cat([alone.log_odds, alone.log_odds]))
    assert (batch.steps, batch.offsets) == (alone.steps, alone.offsets)
    assert alone.motion is None
    first, second = batch.photographs.chunk(2)
    assert flicker(first, second, batch.motion) < 0.1 * flicker(first, second.flip(3), batch.motion)


def test_frames_have_a_loss_of_what_changes(script, folder):
    painter = script.new_painter(SMALL, 0)
    batch = script.Batches(folder, folder, {96: 1}, frames=True)(0, 5)
    once, thrice = (losses(painter, batch, steady=weight) for weight in (1.0, 3.0))
    assert thrice["steady"].item() == pytest.approx(3 * once["steady"].item())
    assert once["steady"] > 0
    assert once["steady"].requires_grad
    assert once["steps"].item() == pytest.approx(thrice["steps"].item())
    assert "steady" not in losses(painter, script.Batches(folder, folder, {96: 1})(0, 5))


def options(script, folder, work, steps):
    line = f"train --assets {folder} --work {work} --steps {steps} --every 2".split()
    return script.parser().parse_args([*line, "--config", json.dumps(SMALL), "--sides", '{"32": 2}'])


def test_a_training_that_was_stopped_comes_to_the_same_weights(script, folder, capsys):
    whole = options(script, folder, folder / "whole", 4)
    script.train(whole)
    parts = options(script, folder, folder / "parts", 4)
    script.train(argparse.Namespace(**{**vars(parts), "minutes": 0.0}))
    assert load_checkpoint(folder / "parts/painter.checkpoint")[1]["step"] == 2
    script.train(parts)
    one, other = (load_checkpoint(folder / f"{name}/painter.checkpoint")[0] for name in ("whole", "parts"))
    torch.testing.assert_close(one, other, rtol=0, atol=0)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(np.isfinite(line["steps"]) for line in lines)
    out = script.parser().parse_args(f"bundle --work {folder / 'parts'} -o {folder / 'a.safetensors'}".split())
    script.bundle(out)
    about = read_metadata(folder / "a.safetensors")
    assert json.loads(about["painter"])["widths"] == SMALL["widths"]
    script.train(options(script, folder, folder / "more", 6))
    line = f"bundle --work {folder / 'more'} -o {folder / 'b.safetensors'} --mix {folder / 'a.safetensors'} --share"
    written = {}
    for share in (0, 0.25, 1):
        script.bundle(script.parser().parse_args([*line.split(), str(share)]))
        written[share] = read_weights(folder / "b.safetensors")
    first, last = read_weights(folder / "a.safetensors"), written[1]
    for name, tensor in first.items():
        assert torch.equal(written[0][name], tensor)
        torch.testing.assert_close(
            written[0.25][name].float(), 0.75 * tensor.float() + 0.25 * last[name].float(), rtol=2e-3, atol=1e-5
        )
    assert any(not torch.equal(first[name], last[name]) for name in first)
