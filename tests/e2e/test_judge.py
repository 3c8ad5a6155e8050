"""``artune judge``, as a user meets it."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from artune.backbones.registry import load_network
from artune.images.picture import Picture
from artune.images.write import write_picture
from artune.judges.classes import ClassJudge
from artune.judges.training import ClassTraining
from artune.spec.train import TrainSpec
from artune.tensors import load_checkpoint
from tests.commands import call, refused

COLOURS = {"blue": (0.1, 0.2, 0.8), "red": (0.8, 0.1, 0.2)}


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 3), ("test", 4)):
        for name, colour in COLOURS.items():
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(colour + rng.normal(0, 0.1, (32, 40, 3)), 0, 1).astype(np.float32)
                write_picture(Picture(pixels), tmp_path / split / name / f"{number}.png")
    return tmp_path


def train(data, *more, kind="gram", out="judge.safetensors"):
    fixed = ["--size", "32", "--epochs", "8", "--batch", "4", "--rate", "0.003"]
    return ["judge", "train", "--kind", kind, "--data", data, "-o", data / out, *fixed, *more]


def test_train_and_evaluate(data):
    result = call(*train(data))
    assert result.exit_code == 0, result.output
    assert "gram-compact-relu3_1: 2 classes, 12 pictures to train and 6 to validate with, 32x32" in result.output
    assert "of 8, done; validation accuracy 1.000" in result.output
    assert not (data / "judge.safetensors.partial").exists()
    result = call("judge", "evaluate", data / "judge.safetensors", "--data", data)
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines() if line.strip()]
    assert ["blue", "4", "0", "1.00"] in lines
    assert ["red", "0", "4", "1.00"] in lines
    assert "accuracy 1.000 (0.676 .. 1.000), 8 of 8 (interval of 95 %)" in result.output


def test_figures_as_json(data):
    call(*train(data, "--quiet"))
    printed = call("judge", "evaluate", data / "judge.safetensors", "--data", data, "--split", "val", "--json").output
    figures = json.loads(printed)
    assert figures["judge"] == "gram-compact-relu3_1"
    assert figures["pictures"] == 6
    assert figures["confusion"] == [[3, 0], [0, 3]]
    assert figures["classes"]["red"] == {
        "pictures": 3,
        "accuracy": 1.0,
        "interval": pytest.approx([0.4385, 1.0], abs=1e-3),
    }


def test_quiet_says_nothing(data):
    assert call(*train(data, "--quiet")).output == ""


def write_vgg(path, scale):
    """Weights of VGG-19 that end after relu2_1, random and of one size."""
    generator, weights = torch.Generator().manual_seed(0), {}
    for place, (outputs, inputs) in {0: (64, 3), 2: (64, 64), 5: (128, 64)}.items():
        weights[f"features.{place}.weight"] = scale * torch.randn(outputs, inputs, 3, 3, generator=generator)
        weights[f"features.{place}.bias"] = torch.zeros(outputs)
    save_file(weights, path)
    return path


def test_every_option_reaches_the_training(data, stopping):
    """The checkpoint after a step names all of them, but the folder of styled pictures, which are counted."""
    flags = {
        "--network": "vgg19", "--weights": write_vgg(data / "vgg.safetensors", 0.1), "--tap": "relu2_1",
        "--train-from": "features.5", "--augment": "8", "--per-class": "5", "--patience": "2", "--seed": "9",
        "--styled": data / "val", "--no-mirror": None, "--edges-after-denoising": None,
    }  # fmt: skip
    stopping(1)
    result = call(*train(data, *[part for pair in flags.items() for part in pair if part is not None]))
    assert result.exit_code == 130, result.output
    # 5 of each class, 3 styled ones of each, 8 more
    assert "gram-vgg19-relu2_1-denoised-edges: 2 classes, 24 pictures to train" in result.output
    spec = TrainSpec(
        kind="gram", network="vgg19", tap="relu2_1", train_from="features.5", size=32, augment=8, edges="denoised",
        mirror=False, per_class=5, epochs=8, patience=2, batch=4, rate=0.003, seed=9,
    ).model_dump()  # fmt: skip
    trained = load_checkpoint(data / "judge.safetensors.partial")[1]["run"]
    assert {name: trained[name] for name in spec} == spec


def test_a_backbone_told_one_class_from_the_rest_makes_pictures(data):
    """MobileNetV2, fine-tuned as AutoArt did it; random weights stand for torchvision's."""
    from torchvision.models import mobilenet_v2

    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_file(mobilenet_v2(weights=None).state_dict(), data / "whole.safetensors")
    options = ["--positive", "red", "--weights", data / "whole.safetensors", "--epochs", "1", "--size", "64"]
    result = call(*train(data, *options, "--save-backbone", data / "backbone.safetensors", kind="binary"))
    assert result.exit_code == 0, result.output
    assert "binary-mobilenet_v2-layer_18: 2 classes" in result.output
    before, after = load_file(data / "whole.safetensors"), load_file(data / "backbone.safetensors")
    assert after.keys() <= before.keys()
    assert not torch.equal(before["features.3.conv.0.0.weight"], after["features.3.conv.0.0.weight"])
    backbone, _ = load_network("mobilenet_v2", weights=data / "backbone.safetensors")
    assert all(info.reachable for info in backbone.taps.values())
    style = ["style", data / "val/red/0.png", data / "val/blue/0.png", "-o", data / "o.png", "--strength", "0.5"]
    small = ["--size", "64", "--steps", "2", "--network", "mobilenet_v2", "--precision", "fp32"]
    assert call(*style, *small, "--weights", data / "backbone.safetensors").exit_code == 0
    said = refused(*style, *small, "--weights", data / "judge.safetensors", "--overwrite")
    assert "a network that judges; it cannot also make the pictures" in said
    result = call("judge", "evaluate", data / "judge.safetensors", "--data", data, "--json")
    assert list(json.loads(result.output)["classes"]) == ["red", "not red"]


def test_a_resnet_that_ends_early_says_so(data):
    from torchvision.models import resnet18

    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = resnet18(weights=None).state_dict()
    kept = {key: value for key, value in weights.items() if not key.startswith(("layer4", "fc"))}
    save_file(kept, data / "trunk.safetensors")
    options = ["--weights", data / "trunk.safetensors", "--size", "64", "--epochs", "1", "--train-from", "head"]
    result = call(*train(data, *options, kind="resnet18"))
    assert "resnet18-layer3 (the weights end at layer3: its features are averaged there)" in result.output
    assert ClassJudge.load(data / "judge.safetensors").info.tap == "layer3"


def test_interrupted_and_resumed_gives_the_same_judge(data, stopping):
    call(*train(data, out="whole.safetensors"))
    stopping(5)
    result = call(*train(data))
    assert result.exit_code == 130
    assert "cancelled after 5 of at most 24 steps. Go on with --resume" in result.output
    assert not (data / "judge.safetensors").exists()
    assert "go on with --resume, or start anew with --overwrite" in refused(*train(data))
    assert "its seed is 0, here it is 1" in refused(*train(data, "--resume", "--seed", "1"))
    assert call(*train(data, "--resume")).exit_code == 0
    assert (data / "judge.safetensors").read_bytes() == (data / "whole.safetensors").read_bytes()
    assert not (data / "judge.safetensors.partial").exists()


def test_a_training_that_replaces_a_backbone_can_be_resumed(data, stopping):
    options = ["--positive", "red", "--network", "compact", "--size", "32", "--save-backbone", data / "b.safetensors"]
    assert call(*train(data, *options, kind="binary")).exit_code == 0
    said = refused(*train(data, *options, kind="binary", out="other.safetensors"))
    assert "b.safetensors exists; --overwrite replaces it" in said
    before = (data / "b.safetensors").read_bytes()
    (data / "b.safetensors").write_bytes(b"an older one")
    stopping(2)
    assert call(*train(data, *options, "--overwrite", kind="binary")).exit_code == 130
    assert call(*train(data, *options, "--resume", kind="binary")).exit_code == 0
    assert (data / "b.safetensors").read_bytes() == before


def test_nothing_to_resume_starts_anew(data):
    assert "to resume; starting anew" in call(*train(data, "--resume")).output


@pytest.mark.parametrize("more", [[], ["--resume"]])  # without a checkpoint, which starts anew
def test_another_training_that_was_faster(data, monkeypatch, more):
    own = ClassTraining.judge

    def slower(training):
        (data / "judge.safetensors").write_bytes(b"theirs")
        return own(training)

    monkeypatch.setattr(ClassTraining, "judge", slower)
    said = refused(*train(data, *more))
    assert "judge.safetensors was written by another run meanwhile; the result of this run is" in said
    assert (data / "judge.safetensors").read_bytes() == b"theirs"
    assert ClassJudge.load(data / "judge-2.safetensors").classes == ("blue", "red")


def test_an_existing_judge_stays_unless_told_otherwise(data):
    call(*train(data))
    before = (data / "judge.safetensors").read_bytes()
    assert "exists; --overwrite replaces it" in refused(*train(data, "--seed", "3"))
    assert "there is nothing to resume" in refused(*train(data, "--resume"))
    assert (data / "judge.safetensors").read_bytes() == before
    assert call(*train(data, "--seed", "3", "--overwrite")).exit_code == 0
    assert (data / "judge.safetensors").read_bytes() != before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--kind", "gramm"], "no kind of class judge 'gramm'; did you mean gram"),
        (["--kind", "binary"], "tells one class from all others; name that class"),
        (["--kind", "binary", "--positive", "rad"], "no class 'rad'"),
        (["--positive", "red"], "a positive class is for kind binary, not for gram"),
        (["--edges", "--edges-after-denoising"], "exclude each other"),
        (["--save-backbone", "b.safetensors"], "leave out --save-backbone"),
        (["--network", "vgg9"], "did you mean vgg19"),
        (["--tap", "relu3_2"], "no layer 'relu3_2'"),
        (["--train-from", "layer9"], "no module 'layer9'"),
        (["--size", "8"], "at least 16 pixels"),
        (["--batch", "1"], "must be a whole number of at least 2, not 1"),
        (["--rate", "0"], "must be a number above 0 and at most 1, not 0"),
        (["--styled", "nowhere"], "there is no folder nowhere"),
        (["--data", "nowhere"], "there is no folder nowhere; it must hold train, val"),
        (["--weights", "nowhere"], "there is no weights file nowhere"),
        (["--device", "abacus"], "no device 'abacus'"),
        (["--out", "judge.pt"], "give such a name"),
    ],
)
def test_bad_input_to_train_is_refused(data, more, message):
    assert message in refused(*train(data, *more))


def test_bad_input_to_evaluate_is_refused(data):
    call(*train(data, "--quiet"))
    judge = data / "judge.safetensors"
    assert "there is no folder" in refused("judge", "evaluate", judge, "--data", data, "--split", "tset")
    assert "no weights file" in refused("judge", "evaluate", data / "x.safetensors", "--data", data)
    save_file({"x": torch.zeros(1)}, data / "other.safetensors")
    assert "holds no class judge" in refused("judge", "evaluate", data / "other.safetensors", "--data", data)
    (data / "test/red").rename(data / "test/pink")
    assert "a class 'pink' that the judge does not have" in refused("judge", "evaluate", judge, "--data", data)
    (data / "test/pink").rename(data / "test/red")
    (data / "test/red/0.png").write_bytes(b"")
    assert "0.png" in refused("judge", "evaluate", judge, "--data", data)


def test_a_training_that_diverges_says_so(data):
    trunk = ["--network", "vgg19", "--weights", write_vgg(data / "huge.safetensors", 1e30), "--tap", "relu2_1"]
    assert "the training diverged; choose a smaller --rate" in refused(*train(data, *trunk))
    assert not (data / "judge.safetensors").exists()


@pytest.mark.slow
def test_ctrl_c_leaves_a_checkpoint_and_no_traceback(data):
    line = [str(part) for part in train(data, "--epochs", "2000", "--patience", "2000", "--quiet")]
    process = subprocess.Popen([sys.executable, "-m", "artune", *line], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not (data / "judge.safetensors.partial").exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Go on with --resume" in said
    assert "Traceback" not in said
