"""What makes the file of the judge: the choice of its bank, the fits to the labels, and the labels themselves."""

from pathlib import Path

import numpy as np
import pytest
import torch

from artune.judges.embedding import Calibrations, ContentCalibration, Judge, StyleCalibration
from tests.scripts import imported


@pytest.fixture(scope="module")
def training():
    with imported("labels") as labels, imported("judge") as judge:
        yield judge, labels


def test_a_bank_is_spread_over_folders(training):
    files = [Path(f"a/{n}") for n in range(20)] + [Path(f"b/{n}") for n in range(3)] + [Path("c/0")]
    found = training[0].spread_over(files, 9)
    assert len({*found}) == 9
    counts = [sum(path.parent.name == folder for path in found) for folder in "abc"]
    assert counts == [5, 3, 1]


def test_a_written_judge_is_read(training, tmp_path):
    each = Calibrations(StyleCalibration(4.0, -0.5), ContentCalibration(-6.0, -1.0, 5.0))
    tensors = {"basis": torch.eye(4), "bank.style": torch.ones(2, 5).half()}
    training[0].write(tensors, {"optimise": each, "instant": each}, tmp_path / "judge.safetensors")
    found = Judge.load(tmp_path / "judge.safetensors")
    assert found.calibrations == {"optimise": each, "instant": each}
    assert torch.equal(found.basis, torch.eye(4))


def test_a_fit_finds_the_weights_that_made_the_labels(training):
    seen = np.random.default_rng(0).normal(size=(4000, 2))
    goal = 1 / (1 + np.exp(-(seen @ [2.0, -1.0] + 0.5)))
    assert training[1]._logistic(seen, goal) == pytest.approx([2.0, -1.0, 0.5], abs=0.02)


def test_agreement_by_hand(training):
    """Three of four labels are equal; by chance, with these marginals, the mean distance is 0.5."""
    labels = {"style": np.array([[0.0, 1.0, 1.0, 0.0], [0.0, 1.0, 0.5, 0.0]])}
    same, kappa = training[1].Labelled(np.array(["painted"] * 4), np.zeros((4, 3)), labels).agreement("style")
    assert same == 0.75
    assert kappa == pytest.approx(1 - 0.125 / 0.5)


def test_the_labels_give_the_calibrations_of_the_judge_that_is_installed(training):
    labelled = training[1].Labelled.read()
    assert len(labelled.made) == 288
    for kind, fitted in labelled.fitted().items():
        for one, other in zip(fitted, Judge.load().calibrations[kind], strict=True):
            assert one == pytest.approx(other, rel=1e-3)
    assert labelled.agreement("style") == pytest.approx((0.89, 0.85), abs=0.01)
    assert labelled.agreement("content") == pytest.approx((0.90, 0.82), abs=0.01)
