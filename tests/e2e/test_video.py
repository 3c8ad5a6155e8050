"""Films on the command line."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from artune.cli.video import seconds
from artune.errors import InputError
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.write import write_picture
from artune.video.read import open_film
from tests.commands import call, refused
from tests.films import film_file, frames_of, panned, sound_packets
from tests.trained import write_johnson, write_painter

FAST = ["--size", "48", "--strength", "0.6"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A film of twelve frames with a tone, and two paintings."""
    folder = tmp_path_factory.mktemp("films")
    rng = np.random.default_rng(0)
    wide = Picture(rng.random((6, 14, 3)).astype(np.float32)).resized(96, 32).pixels
    film_file(folder / "film.mkv", panned(wide, 12, 48))
    for name, value in (("a", 0.2), ("b", 0.8)):
        cells = np.kron(rng.random((8, 8, 3)), np.ones((5, 5, 1)))
        write_picture(Picture((0.4 * cells + 0.6 * value).astype(np.float32)), folder / f"{name}.png")
    return folder


def test_a_film(files, tmp_path):
    out = tmp_path / "out.mkv"
    result = call("video", files / "film.mkv", out, files / "a.png", *FAST)
    assert result.exit_code == 0, result.output
    assert "scene 1 of 1: strength 0.6" in result.output
    assert re.search(r"out\.mkv: 12 frames in", result.output)
    assert len(frames_of(out)) == 12
    assert sound_packets(out) == sound_packets(files / "film.mkv")
    assert "exists" in refused("video", files / "film.mkv", out, files / "a.png", *FAST)
    quiet = call("video", files / "film.mkv", out, files / "a.png", *FAST, "--overwrite", "-q", "--end", "0.1")
    assert quiet.output == ""


def test_styles_over_time(files, tmp_path):
    given = ["--style", f"{files / 'a.png'}@0", "--style", f"{files / 'b.png'}@0.4s", "--mute"]
    assert call("video", files / "film.mkv", tmp_path / "o.gif", *given, *FAST).exit_code == 0
    frames = [*open_film(tmp_path / "o.gif").frames()]
    assert frames[-1].picture.pixels.mean() > frames[0].picture.pixels.mean() + 0.1


def test_numbered_pictures(files, tmp_path):
    assert (
        call("video", files / "film.mkv", tmp_path / "frames/", files / "a.png", *FAST, "--end", "0.2").exit_code == 0
    )
    out = tmp_path / "out.webp"
    assert call("video", tmp_path / "frames/%04d.png", out, files / "b.png", *FAST, "--rate", "10").exit_code == 0
    assert [frame.duration for frame in open_film(out).frames()] == [Fraction(1, 10)] * 5


def test_the_balance_is_found_for_the_scene(files, tmp_path):
    result = call("video", files / "film.mkv", tmp_path / "o.mkv", files / "a.png", "--size", 48, "--end", 0.1)
    assert re.search(r"scene 1 of 1: strength 0\.\d+", result.output), result.output


@pytest.fixture
def models(files, tmp_path):
    """A style of either kind."""
    write_johnson(tmp_path / "johnson.safetensors", read_picture(files / "a.png"))
    write_painter(tmp_path / "painter.safetensors", read_picture(files / "a.png"))
    return tmp_path


def test_a_film_in_a_trained_style(files, models):
    given = [files / "film.mkv", models / "out.mkv", "--size", 48, "--overwrite"]
    assert call("video", *given, "--model", models / "johnson.safetensors").exit_code == 0
    johnson = frames_of(models / "out.mkv")
    applied = call("apply", models / "johnson.safetensors", *given)
    assert applied.exit_code == 0, applied.output
    assert all(np.array_equal(*each) for each in zip(johnson, frames_of(models / "out.mkv"), strict=True))
    assert call("video", *given, "--model", models / "painter.safetensors", "--strength", 0.6).exit_code == 0
    painter = frames_of(models / "out.mkv")
    assert call("video", *given[:2], files / "a.png", *given[2:], "--strength", 0.6).exit_code == 0
    apart = np.abs(painter[5].astype(int) - frames_of(models / "out.mkv")[5]).mean()
    assert apart < 8  # it is the painter as it is installed, and the painting as the file holds it


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["a.png", "--model", "johnson.safetensors"], "--model brings its style along"),
        (["--model", "johnson.safetensors", "--instant"], "leave out either"),
        (["--model", "johnson.safetensors", "--strength", "0.5"], "has no slider"),
        (["--model", "a.png"], "a.png"),
        (["--model", "none.safetensors"], "none.safetensors"),
    ],
)
def test_what_is_refused_of_a_style(files, models, monkeypatch, more, message):
    monkeypatch.chdir(models)
    write_picture(read_picture(files / "a.png"), models / "a.png")
    assert message in refused("video", files / "film.mkv", "out.mkv", *more)
    assert not (models / "out.mkv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.mkv", "o.mkv", "a.png"], "there is no film none.mkv"),
        (["a.png", "o.mkv"], "no style picture was given"),
        (["film.mkv", "o.mkv", "c.png"], "there is no"),
        (["film.mkv", "o.txt", "a.png"], "no kind of film that artune writes"),
        (["film.mkv", "o.mp4", "a.png", "--crf", "70"], "--crf is 70"),
        (["film.mkv", "o.mkv", "a.png", "--start", "x"], "'x' is no time"),
        (["film.mkv", "o.mkv", "a.png", "--start", "9"], "there is no frame between --start and --end"),
        (["film.mkv", "o.mkv", "a.png", "--start", "1", "--end", "1"], "--end is 1"),
        (["film.mkv", "o.mkv", "a.png", "--every", "0"], "--every is 0"),
        (["film.mkv", "o.mkv", "a.png", "--instant", "--optimise"], "leave out either"),
        (["film.mkv", "o.mkv", "a.png", "--style", "b.png@1"], "with and without times"),
        (["film.mkv", "o.mkv", "--style", "b.png"], "STYLE@SECONDS is needed"),
        (["film.mkv", "o.mkv", "--style", "b.png@1", "--style", "a.png@1"], "at the same moment"),
        (["film.mkv", "o.mkv", "a.png", "--strength", "2"], "--strength"),
        (["film.mkv", "o.mkv", "a.png", "--region", "none.png=b.png"], "none.png"),
        (["film.mkv", "film.mkv", "a.png", "--overwrite"], "is one of the inputs"),
        (["film.mkv", "missing/../film.mkv/o.mkv", "a.png"], "cannot write"),
    ],
)
def test_what_is_refused(files, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(files)
    before = sorted(files.iterdir())
    assert message in refused("video", *arguments)
    assert sorted(files.iterdir()) == before


@pytest.mark.parametrize(("text", "expected"), [("4", 4), ("4.5s", 4.5), ("1:30", 90), ("1:02:03", 3723)])
def test_times(text, expected):
    assert seconds(text, "--start") == expected


@pytest.mark.parametrize("text", ["", "-1", "a", "1:", "1/0", "1:-60", "nan", "1e30000000", "1:2:3:4", "9" * 5000])
def test_no_times(text):
    with pytest.raises(InputError, match="is no time"):
        seconds(text, "--start")


@pytest.mark.parametrize("rate", ["0", "0.001", "1e-9", "5000"])
def test_rates_that_cannot_be(files, tmp_path, rate):
    message = refused("video", files, tmp_path / "o.mp4", files / "a.png", "--rate", rate)
    assert "give one from 0.01 to 1000" in message or "is no time" in message
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    "more", [["--json"], ["--16"], ["--recursive"], ["--jpeg-quality", "80"], ["--spec", "a.yaml"]]
)
def test_what_apply_does_not_do_with_films(files, models, tmp_path, more):
    message = refused("apply", models / "johnson.safetensors", files / "film.mkv", tmp_path / "o.mkv", *more)
    assert f"{more[0]} is for photographs" in message


def test_apply_does_not_lose_the_film(files, models, tmp_path):
    shutil.copy(files / "film.mkv", tmp_path / "film.mkv")
    before = (tmp_path / "film.mkv").read_bytes()
    name = tmp_path / "film.mkv"
    message = refused("apply", models / "johnson.safetensors", name, name, "--overwrite")
    assert "is one of the inputs, and would be lost" in message
    assert name.read_bytes() == before


def test_apply_styles_all_frames_of_an_animation(files, models, tmp_path):
    source, out = tmp_path / "a.gif", tmp_path / "o.gif"
    first, *others = [Image.new("RGB", (32, 24), (value, 99, 30)) for value in (40, 120, 200)]
    first.save(source, save_all=True, append_images=others)
    assert call("apply", models / "johnson.safetensors", source, out).exit_code == 0
    assert len([*open_film(out).frames()]) == 3


def test_a_film_of_steps_is_no_result(files, tmp_path):
    for flag, out in (("-o", tmp_path / "same.png"), ("-o", tmp_path / "b.png")):
        film = tmp_path / "same.png" if out.name == "same.png" else files / "a.png"
        said = refused("style", files / "b.png", files / "a.png", flag, out, "--film", film, "--overwrite")
        assert "are both" in said or "is one of the inputs, and would be lost" in said
    assert not [*tmp_path.iterdir()]


def test_a_folder_that_ends_in_a_dot_and_a_word(files, tmp_path):
    out = f"{tmp_path}/frames.v2/"
    given = [files / "film.mkv", out, files / "a.png", *FAST, "--end", "0.1", "--mute"]
    assert call("video", *given).exit_code == 0
    assert len([*(tmp_path / "frames.v2").glob("*.png")]) == 3


def begun(files, out):
    """A command in a process of its own that has finished some frames and not all."""
    command = [sys.executable, "-W", "ignore", "-m", "artune", "video", files / "film.mkv", out, files / "a.png"]
    process = subprocess.Popen([*map(str, [*command, "--size", "160", "--strength", "0.6"])])
    frames = out.with_name(f"{out.name}.partial") / "frames"
    while not [*frames.glob("*.npy")]:
        assert process.poll() is None
        time.sleep(0.05)
    return process


@pytest.mark.slow
def test_ctrl_c_leaves_a_film_that_plays(files, tmp_path):
    out = tmp_path / "out.mkv"
    process = begun(files, out)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    assert 0 < len(frames_of(out)) < 12
    given = ["--size", "160", "--strength", "0.6"]
    assert call("video", files / "film.mkv", out, files / "a.png", *given, "--resume").exit_code == 0
    assert len(frames_of(out)) == 12


@pytest.mark.slow
def test_a_film_that_was_killed_is_gone_on_with(files, tmp_path):
    out, whole = tmp_path / "out.mkv", tmp_path / "whole.mkv"
    process = begun(files, out)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists()
    given = ["--size", "160", "--strength", "0.6"]
    for place in (out, whole):
        more = ["--resume"] if place == out else []
        assert call("video", files / "film.mkv", place, files / "a.png", *given, *more).exit_code == 0
    assert all(np.array_equal(*each) for each in zip(frames_of(out), frames_of(whole), strict=True))


def test_the_film_of_an_optimisation(files, tmp_path):
    photo, out, film = files / "a.png", tmp_path / "out.png", tmp_path / "steps.gif"
    given = ["style", photo, files / "b.png", "-o", out, "--size", "48", "--strength", "0.5", "--film", film]
    assert call(*given, "--size-steps", "2,2,3").exit_code == 0
    frames = [*open_film(film).frames()]
    assert len(frames) == 3
    assert frames[0].picture.size == (48, 48)
    assert np.abs(frames[-1].picture.pixels - read_picture(out).pixels).mean() < 0.06
    assert "exists" in refused(*given[:4], tmp_path / "other.png", *given[5:])
    assert "no kind of film" in refused(*given[:4], tmp_path / "c.png", *given[5:-1], tmp_path / "a.txt")
    assert "--film is for one photograph" in refused(
        "style", files, files / "b.png", "-o", tmp_path / "o/", "--film", film
    )


def test_from_photograph_to_painting(files, tmp_path):
    out = tmp_path / "way.gif"
    given = ["morph", files / "a.png", files / "b.png", "-o", out, "--size", "32", "--seconds", "0.5", "--rate", "10"]
    assert call(*given, "--back").exit_code == 0
    frames = [frame.picture.pixels for frame in open_film(out).frames()]
    assert len(frames) == 8  # five, and three of them again
    first = read_picture(files / "a.png").resized(32, 32).pixels
    assert np.abs(frames[0] - first).mean() < 0.03
    apart = [np.abs(frame - frames[0]).mean() for frame in frames]
    assert min(np.diff(apart[:5])) > -1e-3  # but for the palette of the GIF
    assert np.abs(frames[-1] - frames[1]).mean() < 0.02
    assert "exists" in refused(*given)
    assert "names no format" in refused(*given[:4], tmp_path / "way", *given[5:])
    assert "--strength" in refused(*given[:4], tmp_path / "b.gif", "--strength", "0.5")
