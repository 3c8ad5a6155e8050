"""Class studies as a user meets them: begun, killed, continued, judged, and shown to people."""

import contextlib
import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from artune.errors import WeightsError
from artune.files import file_digest
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.write import write_picture
from artune.studies.entries import picture_file
from artune.studies.run import _loaded as loaded
from artune.studies.store import open_for_reading
from tests.commands import call, refused
from tests.judges import made_folders
from tests.studies import entries_in

ROOT = Path(__file__).parents[2]
FAST = ["--size", "32", "--steps", "2", "--precision", "fp32", "--network", "compact"]


def test_a_study_and_what_people_say_of_it(tmp_path):
    named = made_folders(tmp_path)
    out = tmp_path / "out"
    line = ["classes", *named, "-o", out, "--strengths", "0.2,0.9", *FAST]
    said = call(*line)
    assert said.exit_code == 0, said.output
    assert "8 pictures, 8 of them new. " in said.output
    first = finished(out)
    assert len(first) == 8
    assert {path.name for path in out.iterdir()} == {
        *("index.html", "chart.png", "chart.svg", "summary.json", "study.sqlite", "study.lock", "pictures"),
        *("means.csv", "values.csv", "values.parquet"),
        *(f"{table}.{kind}" for table in ("accuracy", "contents", "styles") for kind in ("csv", "md")),
    }
    rows = list(csv.DictReader((out / "accuracy.csv").read_text().splitlines()))
    assert [(row["weight"], row["pictures"]) for row in rows] == [("0.2", "4"), ("0.9", "4")]
    summary = json.loads((out / "summary.json").read_text())
    for side in ("content", "style"):
        judge = {"judge": f"{side}.safetensors", "digest": file_digest(tmp_path / f"{side}.safetensors")}
        assert summary["untouched"][side] == {"accuracy": 1.0, "count": 2, "known": 2, **judge}
        assert f"{side}.safetensors {judge['digest'][:8]}" in (out / "index.html").read_text()
    html = (out / "index.html").read_text()
    assert html.count('alt="weight ') == 8
    assert "http://" not in re.sub(
        r'xmlns(:\w+)?="[^"]*"|<metadata>.*?</metadata>|<!DOCTYPE svg[^>]*>', "", html, flags=re.S
    )
    assert read_picture(out / "chart.png").size[0] > 400
    for entry in entries_in(out).values():
        assert read_picture(picture_file(out, entry.key)).size == (32, 32)

    before = values_in(out)
    assert "8 pictures, 0 of them new" in call(*line).output
    assert "12 pictures, 4 of them new" in call(*line, "--strengths", "0.2,0.5,0.9").output
    both = finished(out)
    assert len(both) == 12
    assert first.items() <= both.items()  # none was made again
    assert before.items() <= values_in(out).items()

    assert "12 pictures, 0 of them new" in call(*line, "--strengths", "0.2,0.5,0.9", "--device", "cpu").output
    page = (out / "index.html").read_bytes()
    for other, name in ((["--size", "24"], "size (32, 24)"), (["--seed", "1"], "seed (0, 1)")):
        assert f"holds pictures of another study, which differ in {name}; choose" in refused(*line, *other)
    ratios = refused("classes", *named, "-o", out, "--ratios", "1,2", *FAST)
    assert "another study, which differ in axis (strengths, ratios); choose" in ratios
    assert (finished(out), (out / "index.html").read_bytes()) == (both, page)

    said = call("human", "make", tmp_path / "set", "--study", out, "--per-weight", 2)
    assert said.exit_code == 0, said.output
    assert "6 pictures. Hand out" in said.output
    key = json.loads((tmp_path / "set.key.json").read_text())
    sheet = tmp_path / "set" / "answers.csv"
    filled = [f"{name},{question['content']},{question['style']}" for name, question in key["questions"].items()]
    sheet.write_text("\n".join([sheet.read_text().splitlines()[0], *filled]))
    assert "choose another file" in refused("human", "score", sheet, "--csv", sheet)
    said = call("human", "score", sheet, "--csv", tmp_path / "scores.csv")
    assert said.exit_code == 0, said.output
    assert said.output.count("1.00 [0.34, 1.00]") >= 6
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 1 + 3 * 4


def test_ratios_in_the_units_of_the_literature(tmp_path):
    named = made_folders(tmp_path)
    (tmp_path / "spec.yaml").write_text("size: 24\nmethod: {scale: tutorial, loss: gram, optimiser: lbfgs, tv: 0}\n")
    ratios = ["--ratios", "1e3,1e7:10", "--spec", tmp_path / "spec.yaml"]
    said = call("classes", *named, "-o", tmp_path / "out", *ratios, *FAST[2:])
    assert said.exit_code == 0, said.output
    rows = list(csv.DictReader((tmp_path / "out" / "accuracy.csv").read_text().splitlines()))
    assert [row["weight"] for row in rows] == ["1e3:1", "1e7:10"]
    spec = next(iter(entries_in(tmp_path / "out").values())).record.spec
    assert (spec.size, spec.method.steps) == (24, 2)
    assert (spec.method.scale, spec.method.optimiser, spec.method.style_weight) == ("tutorial", "lbfgs", 1e3)


def test_a_failing_picture_stops_no_other(tmp_path):
    named = made_folders(tmp_path)
    broken = tmp_path / "contents" / "dark" / "0.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:60])
    line = ["classes", *named, "-o", tmp_path / "out", "--strengths", "0.5", *FAST]
    assert "dark/0.png is damaged" in refused(*line)
    # of four, two fail; they are named, the others are there, and the next call makes what is missing
    assert sum(entry.record is not None for entry in entries_in(tmp_path / "out").values()) == 2
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())  # and told of, with what is there
    assert (summary["pictures"], summary["failed"], summary["untouched"]["content"]["count"]) == (2, 2, 1)
    page = (tmp_path / "out" / "index.html").read_text()
    assert "dark/0.png is damaged" in page
    assert "Pictures that failed: 2<" in page
    broken.write_bytes(whole)
    before = finished(tmp_path / "out")
    said = call(*line)
    assert said.exit_code == 0, said.output
    assert "4 pictures, 2 of them new" in said.output
    after = finished(tmp_path / "out")
    assert before.items() < after.items()
    assert len(after) == 4


def test_no_network_is_needed_where_nothing_is_missing(tmp_path, monkeypatch):
    line = ["classes", *made_folders(tmp_path), "-o", tmp_path / "out", "--strengths", "0.5", *FAST]
    assert call(*line).exit_code == 0

    def refuse(*_):
        raise WeightsError("cannot download the weights")

    loaded.cache_clear()
    monkeypatch.setattr("artune.backbones.network.Network.load", refuse)
    assert "4 pictures, 0 of them new" in call(*line).output
    assert "cannot download" in refused(*line, "--strengths", "0.5,0.7")


def test_another_picture_to_start_from_is_another_study(tmp_path):
    spec, start = tmp_path / "spec.yaml", tmp_path / "start.png"
    spec.write_text(f"method: {{start: {start}}}\n")
    line = ["classes", *made_folders(tmp_path), "-o", tmp_path / "out", "--strengths", "0.5", "--spec", spec, *FAST]
    for level in (0.2, 0.8):
        write_picture(Picture(np.full((32, 32, 3), level, np.float32)), start)
        if level == 0.2:
            assert call(*line).exit_code == 0
            assert "4 pictures, 0 of them new" in call(*line).output
    assert "which differ in picture to start from; choose" in refused(*line)


def test_where_every_picture_fails_no_judge_is_asked(tmp_path):
    named = made_folders(tmp_path)
    for picture in (tmp_path / "styles").rglob("*.png"):
        picture.write_text(f"nothing of {picture}")
    said = refused("classes", *named, "-o", tmp_path / "out", "--strengths", "0.5", *FAST)
    assert "all 4 pictures failed" in said
    assert said.count("is not a picture") == 2  # each reason once
    assert said.count(" and 1 more: ") == 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "such as 0.1,0.5,0.9 or"),
        (["--strengths", "0.5", "--ratios", "1"], "such as 0.1,0.5,0.9 or"),
        (["--strengths", "half"], "--strengths: 'half' is not a list of numbers"),
        (["--strengths", "0,0.5"], "a strength of 0 is one side alone"),
        (["--strengths", "0.5,1.5"], "must be a number from 0 to 1"),
        (["--strengths", "0.5,0.5"], "the weight 0.5 is given twice"),
        (["--strengths", "0.5", "--recipe", "tutorial"], "calibrated; with"),
        (["--ratios", "1e4:x"], "'1e4:x' is not a ratio"),
        (["--strengths", "0.5,0.9999999999999999"], "a strength of 0.99999999999999989 is one side alone"),
        (["--strengths", "1e-300,0.5"], "is one side alone"),
        (["--ratios", "0"], "0:1 is not a ratio of style and content; give finite weights above 0"),
        (["--ratios", "nan"], "nan:1 is not a ratio"),
        (["--ratios", "inf"], "inf:1 is not a ratio"),
        (["--ratios", "1:1,1e-300:1e12"], "1e-300:1e+12 is one side alone; give ratios between"),
        (["--strengths", "0.5", "--network", "compcat"], "did you mean compact"),
        (["--strengths", "0.5", "--size", "large"], "size must be a whole number"),
        (["--strengths", "0.5", "--size", "original"], "are of one size"),
        (["--strengths", "0.5", "--per-class", "2"], "holds 1 picture, not 2"),
        (["--strengths", "0.5", "--contents", "nowhere"], "there is no folder nowhere"),
        (["--strengths", "0.5", "--weights", "nowhere"], "there is no file nowhere with weights"),
        (["--strengths", "0.5", "--recipe", "tutorial", "--spec", "x.yaml"], "leave out either"),
        (["--strengths", "0.5", "--workers", "0"], "--workers"),
        (["--strengths", "0.5", "--choice", "-1"], "--choice"),
    ],
)
def test_bad_input(tmp_path, more, said):
    named = made_folders(tmp_path)
    assert said in refused("classes", *named, "-o", tmp_path / "out", *FAST, *more)


def test_more_bad_input(tmp_path):
    named = made_folders(tmp_path)
    line = ["classes", *named, "--strengths", "0.5", *FAST]
    (tmp_path / "contents" / "dark").rename(tmp_path / "contents" / "drak")
    assert "no class 'drak' in the content judge; did you mean dark" in refused(*line, "-o", tmp_path / "out")
    (tmp_path / "contents" / "drak").rename(tmp_path / "contents" / "dark")
    assert "holds other files" in refused(*line, "-o", tmp_path)
    assert "is not a folder" in refused(*line, "-o", tmp_path / "content.safetensors")
    (tmp_path / "tiny.yaml").write_text("method: {start: colour}\n")
    assert "did you mean colours" in refused(*line, "-o", tmp_path / "out", "--spec", tmp_path / "tiny.yaml")
    assert "there are no results in" in refused("human", "make", tmp_path / "set", "--study", tmp_path)
    assert "there are no answers in" in refused("human", "score", tmp_path / "answers.csv")
    (tmp_path / "answers.csv").write_text("picture,content,style\n")
    assert "given twice" in refused("human", "score", tmp_path / "answers.csv", tmp_path / "answers.csv")
    assert "cannot read the key" in refused("human", "score", tmp_path / "answers.csv")


@pytest.fixture
def process():
    """Begins the command in a process, and a group, of its own; none outlives its test."""
    running = []

    def begin(folder, named, *more) -> subprocess.Popen:
        running.append(_process(folder, named, *more))
        return running[-1]

    yield begin
    for each in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(each.pid, signal.SIGKILL)


def _process(folder, named, *more) -> subprocess.Popen:
    line = ["classes", *named, "-o", str(folder), "--strengths", "0.2,0.5,0.9", "--size", "32", "--steps", "60"]
    return subprocess.Popen(
        [sys.executable, "-m", "artune", *line, "--precision", "fp32", *more],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": "src"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def begun(process, folder, named, *more) -> subprocess.Popen:
    """The same, with some pictures finished."""
    running = process(folder, named, *more)
    deadline = time.monotonic() + 300
    while len(finished(folder)) < 4:  # then three of them have their rows
        assert running.poll() is None, running.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return running


def gone(group) -> bool:
    """Whether all processes of a group ended, soon."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def values_in(folder):
    """What was measured, by picture."""
    with open_for_reading(folder) as store:
        return store.values()


def finished(folder) -> dict[str, int]:
    """When each picture was written."""
    return {path.stem: path.stat().st_mtime_ns for path in (folder / "pictures").glob("*/*.png")}


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_killed_then_gone_on_with_computes_nothing_twice(tmp_path, process, workers):
    named, out = made_folders(tmp_path), tmp_path / "out"
    running = begun(process, out, named, "--workers", workers)
    running.kill()
    running.communicate()
    assert gone(running.pid)  # the others do not go on alone
    before = finished(out)
    assert 3 <= len(before) < 12
    for key in before:
        read_picture(picture_file(out, key))

    again = process(out, named, "--workers", workers)
    _, said = again.communicate(timeout=300)
    assert again.returncode == 0, said
    assert f"12 pictures, {12 - len(before)} of them new" in said
    after = finished(out)
    assert {key: after[key] for key in before} == before
    assert len(after) == 12
    assert sorted(entries_in(out)) == sorted(after)
    assert not list(out.rglob(".*"))


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_ends_cleanly(tmp_path, process, workers):
    named, out = made_folders(tmp_path), tmp_path / "out"
    running = begun(process, out, named, "--workers", workers)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: all hear it
    _, said = running.communicate(timeout=300)
    assert running.returncode == 130, said
    assert "stopped; what is finished is kept" in said
    assert "Traceback" not in said, said[-1500:]
    assert gone(running.pid)
    assert sorted(finished(out)) == sorted(entries_in(out))
    assert len(finished(out)) >= 3


@pytest.mark.slow
def test_a_worker_that_is_killed_is_told_of(tmp_path, process):
    named, out = made_folders(tmp_path), tmp_path / "out"
    running = begun(process, out, named, "--workers", "2")
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    if not children.exists():
        running.kill()
        running.communicate()
        pytest.skip("this system does not tell the children of a process")
    names = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children.read_text().split()}
    os.kill(next(pid for pid, name in names.items() if b"spawn_main" in name), signal.SIGKILL)
    _, said = running.communicate(timeout=300)
    assert running.returncode == 2, said
    assert "a process died" in said
    assert "Traceback" not in said, said[-1500:]
    assert gone(running.pid)
