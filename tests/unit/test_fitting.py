"""The training loop: against steps by hand, scripted validations, and itself uninterrupted."""

import math

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from artune.errors import CheckpointError
from artune.fitting import FitEnd, FitSettings, Fitting, cosine
from artune.tensors import save_checkpoint


class Point(nn.Module):
    """A number that is trained."""

    def __init__(self, start=1.0):
        super().__init__()
        self.x = nn.Parameter(torch.tensor(start))


def descent(settings, *, validate=None, start=1.0, loss=None, rate=lambda share: 1.0):
    """Gradient descent of x^2 at the rate 0.25: every step halves x."""
    point = Point(start)
    fitting = Fitting(
        point,
        torch.optim.SGD(point.parameters(), lr=0.25),
        settings,
        batch=lambda seed, step: (seed, step),
        loss=loss or (lambda batch: {"square": point.x.square()}),
        validate=validate,
        rate=rate,
    )
    return point, fitting


def test_each_step_is_that_of_the_optimiser():
    point, fitting = descent(FitSettings(3))
    steps = list(fitting.run())
    assert point.x.item() == 0.125
    assert [p.step for p in steps] == [1, 2, 3]
    assert [p.losses["square"] for p in steps] == [1.0, 0.25, 0.0625]
    assert [p.end for p in steps] == [None, None, FitEnd.DONE]
    assert fitting.best["x"].item() == 0.125


def test_a_long_gradient_is_shortened():
    point, fitting = descent(FitSettings(2, clip=1.0))
    list(fitting.run())
    assert point.x.item() == pytest.approx(0.5, abs=1e-6)  # gradients 2 and 1.5 count as 1
    point, fitting = descent(FitSettings(1, clip=1.0), start=0.25)
    list(fitting.run())
    assert point.x.item() == 0.125


def test_the_sum_of_the_losses_is_descended():
    point, fitting = descent(FitSettings(1))
    fitting.loss = lambda batch: {"a": point.x.square(), "b": 2 * point.x}
    (last,) = fitting.run()
    assert point.x.item() == 1 - 0.25 * (2 + 2)
    assert last.losses == {"a": 1.0, "b": 2.0}


def test_batches_are_asked_for_by_seed_and_step():
    seen = []
    point, fitting = descent(FitSettings(3, seed=7))
    fitting.loss = lambda batch: (seen.append(batch), {"square": point.x.square()})[1]
    list(fitting.run())
    assert seen == [(7, 0), (7, 1), (7, 2)]


def test_the_rate_follows_the_share_that_is_done():
    shares = []
    point, fitting = descent(FitSettings(4), rate=lambda share: shares.append(share) or 0.5)
    list(fitting.run())
    assert shares == [0, 0.25, 0.5, 0.75]
    assert point.x.item() == 0.75**4


def test_cosine_by_hand():
    assert [cosine(share) for share in (0, 1 / 3, 0.5, 1)] == pytest.approx([1, 0.75, 0.5, 0], abs=1e-12)


def test_it_ends_when_the_validation_gets_no_better_and_keeps_the_best():
    values = iter([3.0, 2.0, 2.0, 2.5, 1.0])
    point, fitting = descent(FitSettings(20, every=2, patience=2), validate=lambda: next(values))
    last = list(fitting.run())[-1]
    assert last.end is FitEnd.NO_BETTER
    assert last.validations == (3.0, 2.0, 2.0, 2.5)
    assert last.step == 8
    assert fitting.best["x"].item() == 0.5**4  # after the second validation
    assert point.x.item() == 0.5**8


def test_a_better_validation_gives_new_patience():
    values = iter([3.0, 4.0, 2.0, 4.0, 1.0])
    _, fitting = descent(FitSettings(5, every=1, patience=2), validate=lambda: next(values))
    last = list(fitting.run())[-1]
    assert last.end is FitEnd.DONE
    assert fitting.best["x"].item() == 0.5**5


def test_the_last_step_is_validated_out_of_turn():
    _, fitting = descent(FitSettings(5, every=2), validate=lambda: 0.0)
    assert len(list(fitting.run())[-1].validations) == 3


def test_a_validation_that_is_no_number_is_the_worst():
    values = iter([math.nan, 5.0, math.nan])
    _, fitting = descent(FitSettings(3, every=1, patience=3), validate=lambda: next(values))
    list(fitting.run())
    assert fitting.validations == [math.inf, 5.0, math.inf]
    assert fitting.best["x"].item() == 0.25


def test_a_loss_that_is_not_finite_ends_it_before_the_step():
    point, fitting = descent(FitSettings(9))
    fitting.loss = lambda batch: {"square": point.x.square() if batch[1] < 2 else point.x * math.inf}
    steps = list(fitting.run())
    assert steps[-1].end is FitEnd.DIVERGED
    assert fitting.step == 2
    assert point.x.item() == 0.25


def test_the_module_trains_in_steps_and_not_in_validations():
    modes = []
    point, fitting = descent(FitSettings(2, every=1), validate=lambda: modes.append(point.training) or 0.0)
    fitting.loss = lambda batch: (modes.append(point.training), {"square": point.x.square()})[1]
    list(fitting.run())
    assert modes == [True, False, True, False]


def network_fitting():
    """A small network with batch norm, channels last, trained with Adam and a rate that falls."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 5, 3, bias=False), nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten(), nn.Linear(45, 2)
        )
    net.to(memory_format=torch.channels_last)

    def batch(seed, step):
        generator = torch.Generator().manual_seed(100 * seed + step)
        return torch.randn((4, 3, 5, 5), generator=generator), torch.randint(0, 2, (4,), generator=generator)

    def loss(batch):
        return {"entropy": nn.functional.cross_entropy(net(batch[0]), batch[1])}

    def validate():
        return loss(batch(9, 0))["entropy"].item()

    return Fitting(
        net,
        torch.optim.AdamW(net.parameters(), lr=0.01),
        FitSettings(12, seed=3, every=3, patience=4),
        batch=batch,
        loss=loss,
        validate=validate,
        rate=cosine,
    )


@pytest.fixture(scope="module")
def uninterrupted():
    fitting = network_fitting()
    return fitting, list(fitting.run())


@pytest.mark.parametrize("stop", [1, 3, 4, 11])
def test_resumed_is_uninterrupted_to_the_bit(tmp_path, uninterrupted, stop):
    whole, steps = uninterrupted
    first = network_fitting()
    for progress in first.run():
        if progress.step == stop:
            break
    first.save(tmp_path / "c", {"of": "this"})
    second = network_fitting()
    second.resume(tmp_path / "c", {"of": "this"})
    rest = list(second.run())
    assert rest == steps[stop:]
    for name, tensor in whole.module.state_dict().items():
        assert torch.equal(tensor, second.module.state_dict()[name]), name
        assert torch.equal(whole.best[name], second.best[name]), name
    assert second.module[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_a_training_that_has_ended_stays_so(tmp_path, uninterrupted):
    whole, _ = uninterrupted
    whole.save(tmp_path / "c", {})
    again = network_fitting()
    again.resume(tmp_path / "c", {})
    assert again.end is FitEnd.DONE
    assert list(again.run()) == []


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    _, fitting = descent(FitSettings(5))
    fitting.save(tmp_path / "c", {"size": 128})
    with pytest.raises(CheckpointError, match="its size is 128, here it is 224"):
        fitting.resume(tmp_path / "c", {"size": 224})
    _, other = descent(FitSettings(6))
    with pytest.raises(CheckpointError, match="its steps is 5, here it is 6"):
        other.resume(tmp_path / "c", {"size": 128})


def test_what_is_frozen_is_not_written(tmp_path):
    fitting = network_fitting()
    module = fitting.module.requires_grad_(False)
    module[4].requires_grad_(True)
    frozen = Fitting(
        module,
        torch.optim.AdamW(module[4].parameters()),
        fitting.settings,
        batch=fitting.batch,
        loss=fitting.loss,
        validate=fitting.validate,
    )
    next(frozen.run())
    frozen.save(tmp_path / "c", {})
    written = {name for name in load_file(tmp_path / "c") if name.startswith("module.")}
    assert written == {f"module.{name}" for name in frozen.best}
    assert written >= {"module.4.weight", "module.1.running_mean"}
    assert not written & {"module.0.weight", "module.1.weight"}
    with pytest.raises(CheckpointError, match="other parameters"):
        network_fitting().resume(tmp_path / "c", {})


def test_a_checkpoint_of_something_else_or_a_damaged_one_is_refused(tmp_path):
    _, fitting = descent(FitSettings(5))
    save_checkpoint(tmp_path / "c", {"x": torch.zeros(1)}, {"step": 3})
    with pytest.raises(CheckpointError, match="no checkpoint of a training"):
        fitting.resume(tmp_path / "c", {})
    fitting.save(tmp_path / "d", {})
    found = load_file(tmp_path / "d")
    save_file({name: tensor + 1 for name, tensor in found.items()}, tmp_path / "d")
    with pytest.raises(CheckpointError, match="damaged"):
        fitting.resume(tmp_path / "d", {})
