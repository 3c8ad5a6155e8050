"""``artune train``, ``artune apply`` and ``artune info`` of a style, as a user meets them."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from artune.images.read import read_picture
from artune.learning.training import StyleTraining
from artune.networks.trained import read_style
from artune.tensors import load_checkpoint
from tests.commands import call, refused
from tests.trained import folder_of_photographs, write_johnson, write_painter

FAST = [
    "--size",
    "32",
    "--style-size",
    "32",
    "--style-layers",
    "relu1_1",
    "--content-layers",
    "relu2_1",
    "--batch",
    "2",
]


@pytest.fixture
def data(files):
    folder_of_photographs(files / "photos")
    return files


@pytest.fixture
def model(files, photo):
    write_johnson(files / "m.safetensors", photo)
    return files / "m.safetensors"


def train(data, *more, out="style.safetensors", steps=4):
    fixed = ["--preview", data / "photo.png", "--steps", str(steps), "--every", "2", "--device", "cpu"]
    return ["train", data / "painting.png", "--photos", data / "photos", "-o", data / out, *FAST, *fixed, *more]


def test_train_look_and_apply(data):
    (data / "photos" / "broken.jpg").write_bytes(b"broken")
    result = call(*train(data, "--page", data / "page", "--licence", "CC0", steps=6))
    assert result.exit_code == 0, result.output
    assert "Johnson's network (slim), losses of compact: 12 photographs, 1 to validate with, 32x32, 6 steps of 2" in (
        result.output
    )
    assert "1 picture was skipped, which cannot be read; the first:" in result.output
    assert "of 6, validation " in result.output
    assert not (data / "style.safetensors.partial").exists()
    names = {path.name for path in (data / "page").iterdir()}
    previews = {"000002.jpg", "000004.jpg", "000006.jpg"}
    assert names == {"index.html", "losses.csv", "losses.png", "losses.svg", *previews}
    rows = (data / "page" / "losses.csv").read_text().splitlines()
    assert rows[0] == "step,content,style,tv,validation"
    assert [row.split(",")[0] for row in rows[1:]] == ["1", "2", "3", "4", "5", "6"]
    assert [row.endswith(",") for row in rows[1:]] == [True, False] * 3
    html = (data / "page" / "index.html").read_text()
    assert html.count("data:image/jpeg") == 5  # photograph, painting, three previews
    assert html.count("<svg") == 1
    about = json.loads(call("info", data / "style.safetensors", "--thumbnail", data / "t.jpg").output)
    assert (about["base"], about["steps"], about["paintings"]) == ("johnson", 6, ["painting.png"])
    assert about["licences"]["paintings"] == "CC0"
    assert about["photographs"] == 11  # neither the one to validate with nor the broken one
    assert read_picture(data / "t.jpg").size == (48, 32)
    result = call("apply", data / "style.safetensors", data / "photo.png", data / "out.png", "--size", "48")
    assert result.exit_code == 0, result.output
    assert "out.png: 48x32, 1 step in" in result.output
    made = read_picture(data / "out.png")
    expected = read_style(data / "style.safetensors").network(read_picture(data / "photo.png").tensor())
    assert np.abs(made.pixels - expected[0].permute(1, 2, 0).numpy()).max() < 1 / 255
    assert made.note["spec"]["method"]["kind"] == "trained"


def test_every_option_reaches_the_training(data, stopping):
    stopping(1)
    flags = {
        "--loss": "gram", "--scale": "tutorial", "--content-weight": "2", "--style-weight": "30", "--tv": "7",
        "--content-loss": "relative", "--strength": "0.4", "--rate": "0.01", "--schedule": "constant", "--seed": "5",
        "--width": "full", "--precision": "fp32",
    }  # fmt: skip
    result = call(*train(data, "--no-augment", *[part for pair in flags.items() for part in pair]))
    assert result.exit_code == 130, result.output
    assert "cancelled after 1 of 4 steps. Go on with --resume" in result.output
    found = load_checkpoint(data / "style.safetensors.partial")[1]["run"]
    expected = {
        "loss": {"gram": 1.0}, "scale": "tutorial", "content_weight": 2.0, "style_weight": 30.0, "tv": 7.0,
        "content_loss": "relative", "strength": 0.4, "rate": 0.01, "schedule": "constant", "seed": 5, "width": "full",
        "precision": "fp32", "augment": False, "size": 32, "style_size": 32, "batch": 2, "every": 2,
        "style_layers": {"relu1_1": 1.0}, "content_layers": {"relu2_1": 1.0},
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected


def test_a_recipe_is_a_start_that_options_change(data, stopping):
    stopping(1)
    result = call(*train(data, "--recipe", "stylist", "--network", "compact", "--passes", "2"))
    assert result.exit_code == 130, result.output
    found = load_checkpoint(data / "style.safetensors.partial")[1]
    assert (found["run"]["rate"], found["run"]["style_weight"], found["run"]["batch"]) == (0.0075, 75.0, 2)
    assert found["settings"]["steps"] == 4


@pytest.mark.slow
def test_interrupted_and_resumed_gives_the_same_style(data, stopping):
    assert call(*train(data, "--page", data / "one", out="whole.safetensors")).exit_code == 0
    stopping(3)
    assert call(*train(data, "--page", data / "two")).exit_code == 130
    assert "go on with --resume, or start anew with --overwrite" in refused(*train(data))
    assert "its seed is 0, here it is 1" in refused(*train(data, "--resume", "--seed", "1"))
    assert call(*train(data, "--resume", "--page", data / "two")).exit_code == 0
    assert (data / "style.safetensors").read_bytes() == (data / "whole.safetensors").read_bytes()
    for path in (data / "one").iterdir():
        if path.suffix in (".jpg", ".csv"):
            assert path.read_bytes() == (data / "two" / path.name).read_bytes(), path.name
    assert "there is nothing to resume" in refused(*train(data, "--resume"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--strength", "2"], "--strength must be a number from 0 to 1"),
        (["--from", "panter"], "--from must be 'johnson' or 'painter', not 'panter'; did you mean painter?"),
        (["--from", "painter", "--style-layers", "relu1_1"], "layers is for Johnson's network"),
        (["--recipe", "jonson"], "did you mean johnson"),
        (["--network", "vgg61"], "did you mean vgg19 or vgg16"),
        (["--network", "vgg16", "--weights", "nothing.safetensors"], "no weights file"),
        (["--style-layers", "relu9_1"], "there is no layer 'relu9_1'"),
        (["--loss", "grm", "--scale", "calibrated"], "did you mean gram"),
        (["--rate", "0"], "--rate must be a number above 0"),
        (["--preview", "nothing.png"], "there is no picture nothing.png"),
        (["--device", "gpu"], "there is no device 'gpu'"),
    ],
)
def test_bad_input_is_one_sentence(data, more, message):
    assert message in refused(*train(data, *more))
    assert not (data / "style.safetensors").exists()


def test_bad_files_are_one_sentence(data, tmp_path):
    fixed = ["--photos", data / "photos", "-o", data / "s.safetensors", *FAST]
    assert "there is no picture" in refused("train", data / "nothing.png", *fixed)
    (data / "words.png").write_text("words")
    assert "words.png" in refused("train", data / "words.png", *fixed)
    painting = ["train", data / "painting.png", *FAST, "-o", data / "s.safetensors", "--photos"]
    assert "cannot read the folder" in refused(*painting, data / "nowhere")
    (data / "empty").mkdir()
    assert "there is no picture in" in refused(*painting, data / "empty")
    (data / "empty" / "a.jpg").write_bytes(b"broken")
    assert "no picture in" in refused(*painting, data / "empty")
    assert "a style is written as .safetensors" in refused(*train(data, out="style.pt"))
    assert "there is no folder" in refused(*train(data, out="no/style.safetensors"))
    (data / "style.safetensors").write_bytes(b"an older one")
    assert "exists; --overwrite replaces it" in refused(*train(data))
    (data / "page").mkdir()
    (data / "page" / "index.html").write_text("an older one")
    assert "index.html exists; --overwrite" in refused(*train(data, "--page", data / "page", out="b.safetensors"))
    assert "is a file; give a folder" in refused(*train(data, "--page", data / "photo.png", out="b.safetensors"))


def test_a_training_that_diverges_says_so(data):
    said = refused(*train(data, "--rate", "1e12", "--schedule", "constant", "--tv", "1e12", steps=40))
    assert "the training diverged after" in said
    assert "choose a smaller --rate" in said
    assert not (data / "style.safetensors").exists()
    assert call(*train(data)).exit_code == 0  # nothing is left that could only diverge again


def test_a_style_that_is_no_better_than_the_photographs_says_so(data):
    result = call(*train(data, "--rate", "1e6", "--schedule", "constant", out="wild.safetensors"))
    assert result.exit_code == 0, result.output
    known = re.search(
        r"validation ([\d.]+)\nthis is no better than photographs as they are, whose validation is ([\d.]+):",
        result.output,
    )
    assert known, result.output
    assert float(known[1]) >= float(known[2]) > 1
    result = call(*train(data, "--strength", "0.98", "--rate", "0.02", out="better.safetensors", steps=40))
    assert "no better" not in result.output


def test_a_full_disk_says_so(data, monkeypatch):
    from artune.networks import trained

    def write(path, tensors, metadata):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trained, "write_tensors", write)
    said = refused(*train(data))
    assert "style.safetensors: No space left on device; free some space" in said


def test_a_style_of_another_training_meanwhile_is_kept(data, monkeypatch):
    own = StyleTraining.info

    def slower(training):
        (data / "style.safetensors").write_bytes(b"theirs")
        return own(training)

    monkeypatch.setattr(StyleTraining, "info", slower)
    assert "was written by another run meanwhile" in refused(*train(data))
    assert (data / "style.safetensors").read_bytes() == b"theirs"
    assert read_style(data / "style-2.safetensors").info.steps == 4


# ------------------------------------------------------------------------------------- apply


def test_a_folder_is_painted(model, files):
    folder_of_photographs(files / "in", 2)
    (files / "in" / "broken.png").write_bytes(b"broken")
    said = refused("apply", model, files / "in", f"{files}/out/", "--size", "32", "--format", "jpg")
    assert "1 of 3 pictures failed" in said
    assert sorted(path.name for path in (files / "out").iterdir()) == ["00.jpg", "01.jpg"]
    assert read_picture(files / "out" / "00.jpg").size == (32, 26)


def test_sixteen_bits_transparency_and_colours(model, files):
    pixels = np.full((40, 40, 4), 255, np.uint8)
    pixels[:, :20] = 0
    Image.fromarray(pixels).save(files / "clear.png")
    more = ["--size", "40", "--16", "--color", "content-luminance", "--json"]
    result = call("apply", model, files / "clear.png", files / "o.png", *more)
    record = json.loads(result.output)
    assert record["spec"]["color"] == "content-luminance"
    made = read_picture(files / "o.png")
    assert made.alpha[:, :19].max() == 0
    assert made.alpha[:, 21:].min() == 1
    assert (files / "o.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--strength", "0.5"], "has no slider; leave out --strength"),
        (["--strength", "2"], "--strength must be"),
        (["--quality", "best"], "--quality: the method trained has none"),
        (["--recursive"], "--recursive is for photographs that go into a folder"),
        (["--color", "content-match"], "--color content-match needs the painting"),
        (["--memory", "1GiB", "--size", "9000"], "and --memory is 1GiB; choose a smaller --size"),
    ],
)
def test_what_a_style_has_not_is_one_sentence(model, files, more, message):
    assert message in refused("apply", model, files / "photo.png", files / "o.png", *more)


def test_files_that_do_not_fit_are_one_sentence(model, files):
    (files / "words.txt").write_text("words")
    photo, out = files / "photo.png", files / "o.png"
    assert "is no trained style" in refused("apply", files / "words.txt", photo, out)
    assert "is no trained style" in refused("apply", photo, photo, out)
    assert "no weights file" in refused("apply", files / "nothing.safetensors", photo, out)
    assert "there is no picture" in refused("apply", model, files / "nothing.png", out)
    assert "is one of the inputs" in refused("apply", model, photo, photo, "--overwrite")
    assert "unknown format" in refused("apply", model, photo, files / "o.doc")
    (files / "s.yaml").write_text("method: {kind: instant}")
    assert "is of the method instant, and this style needs trained" in refused(
        "apply", model, photo, out, "--spec", files / "s.yaml"
    )
    assert "--thumbnail is for trained styles" in refused("info", photo, "--thumbnail", out)
    assert "exists; choose another file" in refused("info", model, "--thumbnail", photo)


def test_a_picture_is_a_spec_for_the_next(model, files):
    call("apply", model, files / "photo.png", files / "a.png", "--size", "40", "--color", "content-luminance")
    call("apply", model, files / "photo.png", files / "b.png", "--spec", files / "a.png")
    one, other = (read_picture(files / name) for name in ("a.png", "b.png"))
    assert np.array_equal(one.pixels, other.pixels)
    assert "a.png exists; --overwrite" in refused("apply", model, files / "photo.png", files / "a.png")


def test_a_painter_is_applied_at_a_strength(files, painting):
    write_painter(files / "p.safetensors", painting)
    for strength in ("0.1", "0.9"):
        result = call(
            "apply", files / "p.safetensors", files / "photo.png", files / f"{strength}.png", "--size", "48",
            "--strength", strength,
        )  # fmt: skip
        assert result.exit_code == 0, result.output
    photo, weak, strong = (read_picture(files / name).pixels for name in ("photo.png", "0.1.png", "0.9.png"))
    assert np.abs(weak - photo).mean() < np.abs(strong - photo).mean()


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(data):
    """With ``torchrun``; after a step, as Adam makes of the rounding of a sum's order what another number of threads
    makes, too. The first process alone speaks and writes.
    """
    more = ["--precision", "fp32", "--batch", "4"]
    assert call(*train(data, *more, out="one.safetensors", steps=1)).exit_code == 0
    line = [str(part) for part in train(data, *more, out="two.safetensors", steps=1)]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "artune"]
    run = [sys.executable, *torchrun, *line]
    done = subprocess.run(run, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("1 steps of 4 in 2 processes") == 1
    one, two = (read_style(data / f"{name}.safetensors").network for name in ("one", "two"))
    others = two.state_dict()
    for name, tensor in one.state_dict().items():
        if name.endswith(".weight"):  # biases are as small as the rate at first
            assert float((tensor - others[name]).norm()) < 5e-4 * float(tensor.norm()), name
    photo = read_picture(data / "photo.png").tensor()
    assert float((one(photo) - two(photo)).abs().mean()) < 1e-3
