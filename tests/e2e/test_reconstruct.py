"""``artune reconstruct``, as a user meets it."""

import pytest

from artune.analysis import reconstruct as subject
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.write import write_picture
from tests.coders import coder_weights, file_of_coders
from tests.commands import call, refused


def line(files, *more, out="page"):
    fast = ["--size", "32", "--steps", "1", "--seeds", "2", "--layers", "relu2_1,relu1_1"]
    return ["reconstruct", files / "photo.png", *fast, "-o", files / out, *more]


def test_a_page_and_its_pictures(files):
    result = call(*line(files))
    assert result.exit_code == 0, result.output
    assert "The picture comes back from relu1_1 at" in result.output
    names = [f"relu{block}_1-{seed}.png" for block in (1, 2) for seed in (0, 1)]
    before = {name: (files / "page" / "pictures" / name).stat().st_mtime_ns for name in names}
    html = (files / "page" / "index.html").read_text()
    assert f"artune reconstruct {files / 'photo.png'} --network compact --layers relu1_1,relu2_1" in html
    again = call(*line(files, "--plain", "--quiet"))
    assert again.exit_code == 0, again.output
    assert again.output == ""
    there = {path.name: path.stat().st_mtime_ns for path in (files / "page" / "pictures").iterdir()}
    assert there.keys() == {*names, "relu1_1-plain-0.png", "relu2_1-plain-0.png"}
    assert before.items() <= there.items()


def test_one_layer_is_said_once(files):
    said = call(*line(files, "--layers", "relu1_1", out="one")).output
    assert said.count("relu1_1") == 1


def test_interrupted_it_says_what_is_kept(files, monkeypatch):
    from artune.cli import reconstruct as command

    made = []
    plain = subject.write_picture

    def written(*arguments):
        made.append(plain(*arguments))

    class Asked:
        def __enter__(self):
            return lambda: len(made) == 3

        def __exit__(self, *_):
            return None

    monkeypatch.setattr(subject, "write_picture", written)
    monkeypatch.setattr(command, "interruptible", Asked)
    result = call(*line(files))
    assert result.exit_code == 130
    assert "stopped; 3 of 4 pictures are kept in" in result.output
    assert not (files / "page" / "index.html").exists()


def test_bad_input_is_told_in_a_sentence(files):
    write_picture(Picture(read_picture(files / "photo.png").pixels[:8, :8]), files / "tiny.png")
    (files / "page").mkdir()
    (files / "page" / "notes.txt").touch()
    coders = file_of_coders(coder_weights(), files / "coders.safetensors")
    photo, out = files / "photo.png", ["-o", files / "new"]
    for more, says in (
        ([photo, "--layers", "relu2_7"], "there is no layer 'relu2_7' in network compact; did you mean relu2_1"),
        ([photo, "--network", "vgg61"], "there is no network 'vgg61'; did you mean vgg"),
        ([photo, "--layers", ","], "no --layers are given"),
        ([photo, "--of", "contents"], "--of is 'contents'; choose content, style or both"),
        ([photo, "--of", "style", "--inverse", coders], "--inverse makes pictures again, not textures"),
        ([photo, "--inverse", photo], "not a weights file"),
        ([photo, "--size", "20"], "20x13 pixels are too few: "),
        ([files / "tiny.png"], "8x8 pixels are too few: "),
        ([files / "fotos.png"], "there is no picture"),
        ([files / "coders.safetensors"], "is not a picture"),
    ):
        assert says in refused("reconstruct", *more, *out)
    assert "holds other files (notes.txt) and no reconstructions" in refused(*line(files))
    assert not (files / "new").exists()


@pytest.mark.assets
@pytest.mark.slow
def test_layers_of_a_real_network_hold_less_and_less(assets, tmp_path):
    weights = assets / "weights" / "vgg16-features.safetensors"
    photo = next((assets / "data" / "styleid" / "content").glob("*.jpg"))
    more = ["--weights", weights, "--layers", "relu1_1,relu3_1", "--size", "64", "--steps", "40", "--seeds", "1"]
    result = call("reconstruct", photo, "--network", "vgg16", *more, "--plain", "-o", tmp_path / "page")
    assert result.exit_code == 0, result.output
    rows = [row.split(",") for row in (tmp_path / "page" / "errors.csv").read_text().splitlines()[1:]]
    found = {(row[0], row[2]): float(row[5]) for row in rows}
    assert found["relu1_1", "regularised"] > found["relu3_1", "regularised"] > found["relu3_1", "plain"]
