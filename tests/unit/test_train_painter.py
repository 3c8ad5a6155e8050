"""The training of the painter: batches, its objective beside a run's, and a training that is gone on with."""

import argparse
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from artune import api
from artune.engine.descend import run_to_end
from artune.spec.style import Optimise, Rung, StyleSpec
from artune.tensors import load_checkpoint
from artune.transfer.methods import plan_run
from artune.transfer.objective import ObjectiveBuilder, photograph_at

ROOT = Path(__file__).parents[2]
SMALL = {"widths": [4, 4, 8, 8], "embedding": 8}


@pytest.fixture(scope="module")
def script():
    before = [*sys.path]
    sys.path.insert(0, str(ROOT / "training"))
    yield importlib.import_module("painter")
    sys.path[:] = before
    for name in ("painter", "quality", "objectives", "referee"):
        sys.modules.pop(name, None)


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
    content, style = photo.tensor(), painting.tensor()
    batch = script.Batch(content, style, torch.tensor([0.4]), 0)
    taps = [*script.VGG_DEFAULTS.style, "image"]
    features = [painter.encoder(x, taps) for x in (content, style)]
    mine = script.objective_of(painter.encoder, batch, *features)

    strength = torch.tensor(0.4).sigmoid().item()
    method = Optimise(tv=0.0, rungs=[Rung(size=48, steps=1)])
    spec = StyleSpec(size=48, strength=strength, precision="fp32", method=method)
    run = plan_run(api.read(photo, [painting], spec))
    builder = ObjectiveBuilder((run.plan,), run.shown, run.network, run.plan.method.rungs[0])
    content_at = photograph_at(run.shown, 48, run.network.device)
    paintings = run_to_end(builder.paintings())
    theirs = run_to_end(builder.objective(content_at, paintings))

    x = (0.5 * content + 0.5 * content.flip(3)).clamp(0, 1)
    found, expected = (objective.losses(x, step=0) for objective in (mine, theirs))
    for name in ("content relu4_1", "style relu1_1", "style relu3_1"):
        assert found[name].item() == pytest.approx(expected[name], rel=0.02), name
    odds = strength / (1 - strength) * 4
    weights = {term.name: float(term.weight) for term in mine.terms}
    style_share = sum(weight for name, weight in weights.items() if name.startswith("style"))
    assert style_share / weights["content relu4_1"] == pytest.approx(odds, rel=1e-5)
    assert sum(weights.values()) == pytest.approx(1)


def test_a_batch_depends_on_seed_and_step_alone(script, folder):
    batches = script.Batches(folder, folder, 2, 32)
    one, same, other = batches(0, 5), batches(0, 5), batches(0, 6)
    assert torch.equal(one.photographs, same.photographs)
    assert torch.equal(one.log_odds, same.log_odds)
    assert not torch.equal(one.paintings, other.paintings)
    assert one.photographs.shape == (2, 3, 32, 32)


def options(script, folder, work, steps):
    line = f"train --assets {folder} --work {work} --steps {steps} --side 32 --batch 2 --every 2".split()
    return script.parser().parse_args([*line, "--config", json.dumps(SMALL)])


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
    assert all(np.isfinite(line["objective"]) for line in lines)
