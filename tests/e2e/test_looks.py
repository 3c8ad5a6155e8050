"""Results that repeat, colours alone, and kept parts, as a user of the command line meets them."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from artune.images.read import read_picture
from tests.commands import call, refused
from tests.trained import write_johnson, write_painter

PAINTED = ["--size", "48", "--strength", "0.6", "--instant"]


@pytest.fixture
def masks(files):
    square = np.zeros((32, 48), np.uint8)
    square[8:24, 8:24] = 255
    Image.fromarray(square).save(files / "square.png")
    Image.fromarray(0 * square).save(files / "empty.png")
    (files / "cut.png").write_bytes((files / "square.png").read_bytes()[:60])
    return files


def style(files, *more, out="out.png"):
    return ["style", files / "photo.png", files / "painting.png", "-o", files / out, *more]


def test_a_result_that_repeats_and_is_shown_repeated(files):
    done = call(*style(files, *PAINTED, "--tile", "both", "--show-tiled", files / "four.png"))
    assert done.exit_code == 0, done.output
    one, four = (read_picture(files / name) for name in ("out.png", "four.png"))
    assert four.size == (96, 64)
    np.testing.assert_array_equal(four.pixels[32:, 48:], one.pixels)
    assert one.note["spec"]["tile"] == "both"
    again = refused(*style(files, *PAINTED, "--tile", "both", "--show-tiled", files / "four.png", out="b.png"))
    assert "four.png exists; --overwrite replaces it" in again
    (files / "four.png").write_bytes(b"of a run that was cancelled")
    done = call(*style(files, *PAINTED, "--tile", "both", "--show-tiled", files / "four.png", "--resume", out="b.png"))
    assert done.exit_code == 0, done.output
    assert read_picture(files / "four.png").size == read_picture(files / "out.png").repeated().size


def test_colours_alone_of_a_folder_in_16_bits(files):
    (files / "many").mkdir()
    for name in ("a.png", "b.png"):
        shutil.copy(files / "photo.png", files / "many" / name)
    line = ["style", files / "many", files / "painting.png", "-o", files / "styled", "--color-only", "transport"]
    done = call(*line, "--size", "original", "--16", "--json")
    assert done.exit_code == 0, done.output
    records = [json.loads(row) for row in done.output.splitlines() if row.startswith("{")]
    assert [record["spec"]["method"]["color_only"] for record in records] == ["transport"] * 2
    assert records[0]["spec"]["strength"] == 1
    pictures = [read_picture(files / "styled" / name) for name in ("a.png", "b.png")]
    np.testing.assert_array_equal(pictures[0].pixels, pictures[1].pixels)
    assert len(np.unique(np.rint(pictures[0].pixels * 65535))) > 300


def test_a_part_is_kept(masks):
    done = call(*style(masks, *PAINTED, "--keep", f"{masks / 'square.png'}:1", "--json"))
    assert done.exit_code == 0, done.output
    assert json.loads(done.output.splitlines()[-1])["kept"] == {"keep 0": 1.0}
    photo, made = (read_picture(masks / name).pixels for name in ("photo.png", "out.png"))
    np.testing.assert_array_equal(made[8:24, 8:24], photo[8:24, 8:24])
    assert np.abs(made[:, 30:] - photo[:, 30:]).mean() > 0.02


def test_a_part_is_kept_in_a_trained_style(masks, photo, painting):
    """Where all is kept, the photograph stays to the bit, whether the style has a strength or not."""
    write_johnson(masks / "johnson.safetensors", photo)
    write_painter(masks / "painter.safetensors", painting)
    for kind in ("johnson", "painter"):
        given = [masks / f"{kind}.safetensors", masks / "photo.png"]
        keep = ["--size", "48", "--keep", f"{masks / 'square.png'}:1", "--json"]
        done = call("apply", *given, masks / f"{kind}.png", *keep)
        assert done.exit_code == 0, done.output
        assert json.loads(done.output.splitlines()[-1])["kept"] == {"keep 0": 1.0}
        photograph, made = (read_picture(masks / name).pixels for name in ("photo.png", f"{kind}.png"))
        np.testing.assert_array_equal(made[8:24, 8:24], photograph[8:24, 8:24])
        assert np.abs(made[:, 30:] - photograph[:, 30:]).mean() > 0.01
    said = refused("apply", *given, masks / "film.mp4", "--keep", masks / "square.png")
    assert "--keep is for photographs" in said
    assert "there is no file" in refused("apply", *given, masks / "a.png", "--keep", "none.png:0.5")


def test_a_balance_with_a_kept_part_that_repeats(masks):
    pair = ["tune", masks / "photo.png", masks / "painting.png", "--instant", "--size", "48", "--tile", "x"]
    done = call(*pair, "-o", masks / "page", "--keep", f"{masks / 'square.png'}:0.5")
    assert done.exit_code == 0, done.output
    record = json.loads((masks / "page/record.json").read_text())
    assert record["kept"] == {"keep 0": 0.5}
    assert record["spec"]["tile"] == "x"
    assert "there is no file" in refused(*pair, "-o", masks / "other", "--keep", "none.png")
    assert not (masks / "other").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tile", "z"], "--tile must be 'none', 'x', 'y' or 'both', not 'z'"),
        (["--tile", "x", "--photoreal", "1"], "--tile makes a result without edges, but --photoreal needs them"),
        (["--tile", "x", "--size", "2048", "--memory", "1200MiB"], "--tile needs the picture as a whole"),
        (["--show-tiled", "four.png"], "--show-tiled is for one result that repeats"),
        (["--keep", "person:2"], "--keep person:2: the share is '2'; give a number from 0 to 1"),
        (["--keep", ":0.5"], "there is no part before the share"),
        (["--keep", "{}/empty.png:0.5"], "is empty: nothing in it is above 0"),
        (["--keep", "{}/cut.png:0.5"], "is damaged or cut short"),
        (["--keep", "{}/none.png:0.5"], "there is no file"),
        (["--keep", "persn:0.5"], "did you mean person?"),
        (["--color-only", "reinhard"], "--color-only must be 'transport', 'moments' or 'histogram', not 'reinhard'"),
        (["--color-only", "moments", "--loss", "gram"], "--loss: the method color has none"),
        (["--color-only", "moments", "--instant"], "leave out either"),
        (["--color-only", "moments", "--strength", "auto"], "with --color-only no strength is searched for"),
        (["--color-only", "moments", "--recipe", "gatys2016"], "--color-only and --recipe are two ways"),
        (["--instant", "--recipe", "gatys2016"], "--instant and --recipe are two ways"),
        (["--color-only", "moments", "--film", "f.mp4"], "--film shows the steps of a painting"),
    ],
)
def test_what_is_refused(masks, options, message):
    """Before any work is done: nothing is written."""
    said = refused(*style(masks, *(option.format(masks) for option in options)))
    assert message.replace(" ", "") in said.replace(" ", "")
    assert not (masks / "out.png").exists()
