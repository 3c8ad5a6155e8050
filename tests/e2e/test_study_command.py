"""``artune study`` as a user meets it: run, stopped, gone on with, reported; and what is said of what is wrong."""

import csv
import json
import re
from functools import partial

import numpy as np
import pytest

from artune.images.picture import Picture
from artune.images.write import write_picture
from tests import commands

TWELVE = """\
title: Strength and strokes
question: Do larger strokes need more strength?
contents: {samples: [astronaut, cat, coffee]}
styles: {samples: [strokes, mosaic, woodcut]}
pairs: in turn
base: {method: instant, size: 48}
axes:
  strength: [0.3, 0.9]
  style_scale: [0.5, 1.0]
measures: [palette, ssim_content]
answer: strength
findings:
- {claim: More strength takes more of the palette, measure: palette, lower: {strength: 0.9}, than: {strength: 0.3}}
figures:
- {at: {strength: 0.3}, values: {palette: 0.77}}
"""


call, refused = (partial(each, "study") for each in (commands.call, commands.refused))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "twelve.yaml"
    path.write_text(TWELVE)
    return path


def test_from_a_file_to_a_page(file, tmp_path):
    out = tmp_path / "out"
    said = call("run", file, "-o", out)
    assert said.exit_code == 0, said.output
    assert "12 pictures, 12 of them new. 0.9 has the lowest palette distance" in said.output
    rows = list(csv.DictReader((out / "values.csv").read_text().splitlines()))
    assert len(rows) == 12
    assert {row["style_scale"] for row in rows} == {"0.5", "1"}
    means = list(csv.DictReader((out / "means.csv").read_text().splitlines()))
    assert {row["source"] for row in means if row["strength"] == "0.3" and row["measure"] == "palette"} == {"0.77"}
    summary = json.loads((out / "summary.json").read_text())
    assert [each["verdict"] for each in summary["findings"]] == ["found again"]
    html = (out / "index.html").read_text()
    assert html.count("data-measured=") == 12
    assert "source: 0.77" in html
    assert "palette distance 0." in html
    assert "artune" in html[html.index("To do it again") :]

    assert "12 pictures, 0 of them new" in call("run", file, "-o", out).output
    (out / "index.html").unlink()
    file.rename(tmp_path / "gone.yaml")
    assert "12 pictures" in call("report", out).output
    assert (out / "index.html").read_text().count("data-measured=") == 12


def test_parquet_holds_numbers(file, tmp_path):
    from pyarrow import parquet

    call("run", file, "-o", tmp_path / "out", "--limit", "4")
    table = parquet.read_table(tmp_path / "out" / "values.parquet")
    assert table.num_rows == 4
    assert str(table.schema.field("palette").type) == "double"


def test_options_replace_parts_of_the_file(file, tmp_path):
    for number in range(2):
        picture = np.random.default_rng(number).random((32, 32, 3), np.float32)
        for side in ("photos", "paintings"):
            write_picture(Picture(picture), tmp_path / side / f"{number}.png")
    line = ["run", file, "--contents", tmp_path / "photos", "--styles", tmp_path / "paintings", "--set", "size=32"]
    assert "16 pictures" in call(*line, "--pairs", "all", "-o", tmp_path / "a").output
    assert "4 pictures" in call(*line, "--sample", "1", "-o", tmp_path / "b").output
    with (tmp_path / "b" / "values.csv").open() as rows:
        assert {row["photograph"] for row in csv.DictReader(rows)} <= {"0.png", "1.png"}


def test_a_dry_run_says_how_long(file, tmp_path):
    said = call("run", file, "--dry-run", "--limit", "4").output
    assert "4 pictures: 4 points, 1 photograph, 1 painting" in said
    assert re.search(r"about \d+ (s|min) on this machine", said)
    assert not (tmp_path / "out").exists()


def test_published_studies_are_listed_and_shown(tmp_path):
    listed = call("list").output
    assert "style-layers" in listed
    assert "Polito" in listed
    assert "ssim_content" in call("list", "--measures").output
    shown = call("show", "starts").output
    (tmp_path / "mine.yaml").write_text(shown)
    assert shown.startswith("title: ")
    assert "did you mean starts" in refused("show", "strats")


def test_judges_in_place_of_pictures(file, tmp_path):
    """A Gram classifier tells stripes from checks, at the layers of a tiny study."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 3), ("test", 3)):
        for number in range(count):
            stripes = np.sin(np.arange(48) / 2 + rng.random())[None, :] * np.ones((48, 1))
            checks = stripes * np.sin(np.arange(48) / 2 + rng.random())[:, None]
            for label, pattern in (("stripes", stripes), ("checks", checks)):
                grey = 0.5 + 0.4 * pattern[..., None] + 0.05 * rng.normal(size=(48, 48, 3))
                write_picture(Picture(grey.clip(0, 1).astype(np.float32)), tmp_path / split / label / f"{number}.png")
    study = tmp_path / "grams.yaml"
    study.write_text(
        f"title: Grams\nquestion: Where?\njudge: gram\nstyles: {{classes: {tmp_path}}}\nbase: {{size: 48}}\n"
        "axes:\n  layer: {first: {tap: relu1_1}, third: {tap: relu3_1}}\n  standardised: [true, false]\n"
        "measures: [style_class]\n"
    )
    said = call("run", study, "-o", tmp_path / "out")
    assert said.exit_code == 0, said.output
    assert "4 judges. " in said.output
    means = list(csv.DictReader((tmp_path / "out" / "means.csv").read_text().splitlines()))
    assert len(means) == 4
    assert max(float(row["mean"]) for row in means) > 0.8
    assert "each tested on 6 pictures" in (tmp_path / "out" / "index.html").read_text()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "points").iterdir()}
    assert call("run", study, "-o", tmp_path / "out").exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "points").iterdir()} == before
    html = (tmp_path / "out" / "index.html").read_bytes()
    (tmp_path / "out" / "index.html").unlink()
    assert "4 judges. " in call("report", tmp_path / "out").output
    assert (tmp_path / "out" / "index.html").read_bytes() == html
    assert "4 judges, of 24 pictures" in call("run", study, "--dry-run").output
    assert "has no use for --limit" in refused("run", study, "-o", tmp_path / "out", "--limit", "1")
    assert "holds results of the study 'Grams'" in refused("run", file, "-o", tmp_path / "out")
    study.write_text(study.read_text().replace("[style_class]", "[strokes]"))
    assert "a study of judges measures style_class alone" in refused("run", study, "-o", tmp_path / "out")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "give a folder for the results with --out"),
        (["-o", "out", "--weights", "vgg16"], "names no file; write vgg16=FILE"),
        (["-o", "out", "--weights", "vgg16=none.pth"], "there is no file none.pth"),
        (["-o", "out", "--set", "size"], "write size=128"),
        (["-o", "out", "--set", "sise=3"], "no field sise; did you mean size?"),
        (["-o", "out", "--pairs", "some"], "--pairs is all or in-turn"),
        (["-o", "out", "--contents", "none.png"], "there is no picture none.png"),
        (["-o", "out", "--workers", "2", "--cluster", "local:2"], "leave out either"),
        (["-o", "out", "--cluster", "local:x"], "is no cluster"),
        (["-o", "out", "--cluster", "none.yaml"], "cannot read none.yaml"),
        (["-o", "out", "--sample", "0"], "--sample"),
    ],
)
def test_bad_input(file, tmp_path, monkeypatch, more, said):
    monkeypatch.chdir(tmp_path)
    assert said in refused("run", file, *more)
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out" / "pictures").iterdir())


def test_bad_files_and_folders(file, tmp_path):
    file.write_text(TWELVE.replace("style_scale:", "style_scle:"))
    assert "twelve.yaml, line 9: there is no field style_scle; did you mean style_scale?" in refused("run", file)
    file.write_text(TWELVE.replace("[0.5, 1.0]", "[0.5, 9.0]"))
    assert "line 9: strength 0.3, style_scale 9: style_scale must be a number above 0 and at most 4" in refused(
        "run", file
    )
    file.write_text(TWELVE)
    (tmp_path / "empty").mkdir()
    assert "there is no picture in" in refused("run", file, "--contents", tmp_path / "empty", "-o", tmp_path / "out")
    assert "none.yaml: No such file" in refused("run", tmp_path / "none.yaml", "-o", tmp_path / "out")
    assert "there are no results in" in refused("report", tmp_path / "empty")
    call("run", file, "-o", tmp_path / "out", "--limit", "1")
    file.write_text(TWELVE.replace("Strength and strokes", "Another"))
    for more in ([], ["--dry-run"]):
        said = refused("run", file, "-o", tmp_path / "out", *more)
        assert "holds results of the study 'Strength and strokes'" in said
    assert "other files" in refused("run", file, "-o", tmp_path)


def test_a_class_with_one_picture_is_told(tmp_path):
    for label, count in (("cat", 1), ("dog", 2)):
        for number in range(count):
            write_picture(
                Picture(np.random.default_rng(number).random((32, 32, 3), np.float32)),
                tmp_path / "classes" / label / f"{number}.png",
            )
    (tmp_path / "s.yaml").write_text(
        TWELVE.replace("{samples: [astronaut, cat, coffee]}", f"{{classes: {tmp_path / 'classes'}, count: 2}}")
    )
    assert "holds 1 picture, not 2; ask for fewer of each class" in refused(
        "run", tmp_path / "s.yaml", "-o", tmp_path / "o"
    )
