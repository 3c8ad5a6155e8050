"""The training of a style: resumed as uninterrupted, divided among processes as whole, and what it writes."""

import math
import threading

import pytest
import torch

from artune.errors import CheckpointError, InputError, SpecError
from artune.fitting import FitEnd
from artune.learning.processes import ALONE, Processes, joined
from artune.learning.start import start_training
from artune.learning.training import rate_at
from artune.networks.trained import read_style
from artune.spec.train_style import StyleTrainSpec
from tests.trained import folder_of_photographs

SPEC = StyleTrainSpec(size=32, style_size=32, batch=2, steps=4, every=2, precision="fp32", style_layers=["relu1_1"])
PAINTER = StyleTrainSpec(base="painter", size=96, style_size=96, batch=1, steps=2, every=2)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return folder_of_photographs(tmp_path_factory.mktemp("photos"))


@pytest.fixture
def start(files, photos):
    def begin(spec=SPEC, processes=ALONE, **more):
        more = {"device": "cpu", **more}
        return start_training(spec, [files / "painting.png"], photos, files / "photo.png", processes=processes, **more)

    return begin


def weights_of(training):
    return {name: tensor.clone() for name, tensor in training.learner.module.state_dict().items()}


def test_it_learns(start):
    training = start(SPEC.model_copy(update={"steps": 8, "every": 4, "rate": 1e-2}))
    *_, last = training.run()
    assert last.end is FitEnd.DONE
    totals = [sum(values) for values in zip(*training.fitting.losses.values(), strict=True)]
    assert [*training.fitting.losses] == ["content", "style", "tv"]
    assert sum(totals[-2:]) < 0.9 * sum(totals[:2])
    assert len(last.validations) == 2


@pytest.mark.parametrize("spec", [SPEC, pytest.param(PAINTER, marks=pytest.mark.slow)], ids=["johnson", "painter"])
def test_resumed_is_uninterrupted_to_the_bit(start, spec, tmp_path):
    whole = start(spec)
    steps = list(whole.run())
    first = start(spec)
    next(first.run())
    first.save(tmp_path / "c")
    second = start(spec)
    second.resume(tmp_path / "c")
    assert list(second.run()) == steps[1:]
    torch.testing.assert_close(weights_of(whole), weights_of(second), rtol=0, atol=0)
    assert second.fitting.losses == whole.fitting.losses
    for training, name in ((whole, "a"), (second, "b")):
        training.write(tmp_path / f"{name}.safetensors", replace=False)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_the_file_says_what_made_it(start, tmp_path, files):
    training = start(licence="CC0")
    list(training.run())
    training.write(tmp_path / "a.safetensors", replace=False)
    found = read_style(tmp_path / "a.safetensors")
    about = found.info
    assert (about.steps, about.paintings, about.photographs) == (4, ("painting.png",), 11)
    assert about.licences == {"paintings": "CC0", "photographs": "not stated", "loss network compact": "MIT"}
    assert about.spec.style_weight is not None
    assert about.validation == min(training.fitting.validations)
    assert {"style 0", "photographs", "weights"} <= about.digests.keys()
    assert max(found.thumbnail.size) <= 256


@pytest.mark.slow
def test_a_fine_tuned_painter_keeps_its_slider_and_its_painting(start, tmp_path, files):
    import artune

    training = start(PAINTER)
    before = weights_of(training)
    list(training.run())
    after = weights_of(training)
    same = {name for name, tensor in before.items() if torch.equal(tensor, after[name])}
    assert any(name.startswith("whole") for name in after.keys() - same)
    assert any(name.startswith("revision") for name in after.keys() - same)
    assert {name for name in after if name.startswith("encoder")} <= same
    training.write(tmp_path / "p.safetensors", replace=False)
    style = artune.load_style(tmp_path / "p.safetensors", device="cpu")
    pictures = [style(files / "photo.png", size=48, strength=strength).picture.pixels for strength in (0.0, 0.3, 0.9)]
    photo = artune.read_picture(files / "photo.png").pixels
    apart = [abs(pixels - photo).mean() for pixels in pictures]
    assert apart == sorted(apart)
    assert apart[2] > apart[0] + 0.02
    assert style.info.licences["painter"] == "MIT"


def test_another_training_is_not_gone_on_with(start, tmp_path):
    training = start()
    next(training.run())
    training.save(tmp_path / "c")
    with pytest.raises(CheckpointError, match="its seed is 0, here it is 1"):
        start(SPEC.model_copy(update={"seed": 1})).resume(tmp_path / "c")
    with pytest.raises(CheckpointError, match="its steps is 4, here it is 5"):
        start(SPEC.model_copy(update={"steps": 5})).resume(tmp_path / "c")
    with pytest.raises(CheckpointError, match="number of processes is 1, here it is 2"):
        start(processes=Processes(0, 2)).resume(tmp_path / "c")


def test_the_number_of_steps_follows_from_the_passes(start):
    training = start(SPEC.model_copy(update={"steps": None, "passes": 3.0}))
    assert training.photographs.count == 11
    assert training.steps == round(3 * 11 / 2)
    assert training.epoch == 6


def test_the_rate_rises_and_falls():
    constant = SPEC.model_copy(update={"schedule": "constant"})
    assert [rate_at(share, 100, constant, 0) for share in (0, 0.5, 0.99)] == [1, 1, 1]
    assert rate_at(0, 100, SPEC, 10) == pytest.approx(0.1)
    assert rate_at(0.5, 100, SPEC, 10) == pytest.approx(0.5)
    assert rate_at(0.05, 100, SPEC, 10) == pytest.approx(0.6 * 0.5 * (1 + math.cos(0.05 * math.pi)))


def test_a_loss_that_is_not_finite_ends_it(start):
    training = start()
    plain = training.learner.loss
    training.fitting.loss = lambda batch: {n: v * (math.nan if batch.step == 2 else 1) for n, v in plain(batch).items()}
    *_, last = training.run()
    assert last.end is FitEnd.DIVERGED
    assert training.fitting.step == 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"base": "painter", "size": 64}, "too small for the painter; give at least 96"),
        ({"base": "painter", "size": 128, "style_size": 96}, "`style_size` 96 is below `size` 128"),
        ({"base": "painter", "size": 96, "precision": "bf16"}, "fp32 alone"),
    ],
)
def test_a_painter_that_cannot_be_trained(start, fields, message):
    with pytest.raises(SpecError, match=message):
        start(StyleTrainSpec(**fields))


def test_weights_are_those_of_a_loss_network(start, tmp_path):
    with pytest.raises(SpecError, match="leave them out"):
        start(PAINTER, weights=tmp_path / "a.safetensors")


def test_photographs_that_cannot_be_read(start, files, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.jpg").write_bytes(b"broken")
    with pytest.raises(InputError, match="no picture in"):
        start_training(SPEC, [files / "painting.png"], tmp_path / "broken", files / "photo.png", device="cpu")


# ------------------------------------------------------------------------------------- processes


class Together:
    """Two processes as two threads: each waits for the other, and both take the mean."""

    def __init__(self):
        self.barrier, self.given = threading.Barrier(2), [[], []]

    def average(self, rank):
        def average(tensors):
            self.given[rank] = [tensor.clone() for tensor in tensors]
            self.barrier.wait(60)
            for tensor, one, other in zip(tensors, *self.given, strict=True):
                tensor.copy_((one + other) / 2)
            self.barrier.wait(60)

        return average


def gradients(training):
    return {name: p.grad.clone() for name, p in training.learner.module.named_parameters()}


def test_two_processes_take_the_step_of_the_whole_batch(start):
    spec = SPEC.model_copy(update={"batch": 4, "steps": 3, "every": 100})
    whole, together = start(spec), Together()
    parts = [start(spec, Processes(rank, 2)) for rank in range(2)]
    for rank, part in enumerate(parts):
        part.fitting.average = together.average(rank)

    def step(part, found):
        found.append(next(part.run()))
        found.append(gradients(part))

    of_whole = [next(whole.run()), gradients(whole)]
    of_parts = [[], []]
    threads = [threading.Thread(target=step, args=pair) for pair in zip(parts, of_parts, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert of_parts[0][0] == of_parts[1][0]
    assert of_parts[0][0].losses == pytest.approx(of_whole[0].losses, rel=1e-5)
    largest = max(float(gradient.abs().max()) for gradient in of_whole[1].values())
    for name, gradient in of_whole[1].items():
        torch.testing.assert_close(of_parts[0][1][name], gradient, rtol=0, atol=1e-5 * largest)
        assert torch.equal(of_parts[0][1][name], of_parts[1][1][name])


def test_a_batch_must_be_divided_evenly(start):
    with pytest.raises(SpecError, match="`batch` 2 cannot be divided among 3 processes; give a multiple of 3"):
        start(processes=Processes(0, 3))


def test_several_processes_that_torchrun_has_not_begun_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SpecError, match="WORLD_SIZE=2, but not what torchrun says"), joined():
        pass


def test_one_process_needs_nobody(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined() as processes:
        assert processes is ALONE
        tensor = torch.tensor([1.0, 2.0])
        processes.average([tensor])
        assert tensor.tolist() == [1.0, 2.0]
        assert (processes.any(True), processes.any(False)) == (True, False)


def test_only_the_first_process_writes_checkpoints(start, tmp_path):
    training = start(processes=Processes(1, 2))
    training.save(tmp_path / "c")
    assert not (tmp_path / "c").exists()
