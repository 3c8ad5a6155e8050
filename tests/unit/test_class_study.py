"""A class study is a study: the same store, the same page, with a part that tells where both judges agree."""

import json

import numpy as np
import pytest
import torch

import artune.studies.keys
from artune.errors import InputError, SpecError, UnknownNameError
from artune.images.picture import Picture
from artune.images.write import write_picture
from artune.report.charts import Chart
from artune.spec.study import ClassStudySpec
from artune.spec.style import StyleSpec
from artune.studies.classes import ClassPart, class_study, untouched, verdicts
from artune.studies.conduct import Note, conduct, reported
from artune.studies.entries import Failure
from artune.studies.executors import InProcess
from artune.studies.findings import findings
from artune.studies.store import Store
from artune.studies.study import Study, listed
from tests.judges import made_folders
from tests.studies import entries_in, judged, ratios

FAST = StyleSpec(size=32, method={"steps": 2})


@pytest.fixture
def folders(tmp_path):
    made_folders(tmp_path)
    return {"contents": tmp_path / "contents", "styles": tmp_path / "styles"}


@pytest.fixture
def prepared(folders, tmp_path):
    judges = {side: tmp_path / f"{side}.safetensors" for side in ("content", "style")}

    def prepare(**asked):
        return Study.prepare(class_study(ClassStudySpec(**folders, **{"spec": FAST, **asked}), judges))

    return prepare


@pytest.fixture
def fp32(monkeypatch):
    """A machine for which `auto` is fp32 on the CPU."""
    monkeypatch.setattr(artune.studies.keys, "choose_device", lambda name: torch.device("cpu"))
    monkeypatch.setattr(artune.studies.keys, "choose_precision", lambda name, device: torch.float32)


def carried_out(study, out, on_progress=None):
    with Store.open(out, study.spec.title) as store:
        store.keep_study(Note.of(study, "").text())
        return conduct(study, store, InProcess(), on_progress)


def test_a_study_is_carried_out_once(prepared, tmp_path, fp32):
    study = prepared(strengths=(0.2, 0.9))
    assert len(study.runs) == 8
    told = []
    first = carried_out(study, tmp_path / "out", lambda *count: told.append(count))
    assert told == [(done, 8) for done in range(9)]
    assert (first.result.made, first.result.failed, sum(first.part.found.counts)) == (8, 0, 8)
    seen = first.part.seen["content"]
    assert (seen.accuracy, seen.count, seen.known, seen.judge) == (1.0, 2, 2, "content.safetensors")
    with Store.open(tmp_path / "out", study.spec.title) as store:
        answers = verdicts(store)
        assert len(answers) == 2 * (8 + 2)  # of each judge, with two unchanged pictures
    again = carried_out(study, tmp_path / "out", lambda *count: told.append(count))
    assert (again.result.made, again.part.found, told[-1]) == (0, first.part.found, (0, 0))
    assert str(again).startswith("8 pictures, 0 of them new. ")


def test_the_judges_answers_are_values_and_findings(prepared, tmp_path, fp32):
    """Both are made of the same answers, so the accuracy is the mean of the values."""
    found = carried_out(prepared(strengths=(0.2, 0.9)), tmp_path / "out")
    for side in ("content", "style"):
        means = found.result.values[f"{side}_class"].mean((1, 2))
        assert found.part.found.accuracy[side].value == pytest.approx(tuple(means))


def test_answers_count_by_the_classes_of_now(prepared, folders, tmp_path, fp32):
    """The folders of two classes swap their names: no picture is made again, and every answer is wrong."""
    first = carried_out(prepared(strengths=(0.5,)), tmp_path / "out")
    names = [folders["contents"] / name for name in ("dark", "light", "other")]
    for old, new in ((0, 2), (1, 0), (2, 1)):
        names[old].rename(names[new])
    again = carried_out(prepared(strengths=(0.5,)), tmp_path / "out")
    assert again.result.made == 0
    assert again.result.values["content_class"].sum() == 4 - first.result.values["content_class"].sum()
    assert (first.part.seen["content"].accuracy, again.part.seen["content"].accuracy) == (1.0, 0.0)


def test_unchanged_pictures_that_cannot_be_read_are_left_out(prepared, folders, tmp_path, fp32):
    study = prepared(strengths=(0.5,))
    broken = folders["contents"] / "dark" / "0.png"
    broken.write_bytes(broken.read_bytes()[:60])
    study = prepared(strengths=(0.5,))
    found = carried_out(study, tmp_path / "out")
    assert found.part.seen["content"].count == 1
    assert (found.result.failed, len(found.result.finished)) == (2, 2)
    with Store.open(tmp_path / "out", study.spec.title) as store:
        assert untouched(study, store)["style"].count == 2


def test_a_device_by_name_continues_what_auto_began(prepared, tmp_path, fp32):
    for device, precision, made in (("auto", "auto", 4), ("cpu", "auto", 0), ("cpu", "fp32", 0)):
        spec = FAST.model_copy(update={"device": device, "precision": precision})
        assert carried_out(prepared(strengths=(0.5,), spec=spec), tmp_path / "out").result.made == made


def test_another_machine_does_not_mix_its_pictures_in(prepared, tmp_path, fp32, monkeypatch):
    carried_out(prepared(strengths=(0.5,)), tmp_path / "out")
    before = entries_in(tmp_path / "out")
    monkeypatch.setattr(artune.studies.keys, "choose_precision", lambda name, device: torch.bfloat16)
    with pytest.raises(
        InputError, match=r"another study, which differ in precision \(fp32, bf16\); choose a new folder"
    ):
        carried_out(prepared(strengths=(0.5,)), tmp_path / "out")
    assert entries_in(tmp_path / "out") == before


def test_what_cannot_be_used_is_refused_before_anything_is_made(prepared, tmp_path):
    with pytest.raises(SpecError, match="must be a number from 0 to 1"):
        prepared(strengths=(1.5,))
    with pytest.raises(InputError, match="holds 1 picture, not 2"):
        prepared(strengths=(0.5,), per_class=2)
    (tmp_path / "contents" / "dark").rename(tmp_path / "contents" / "drak")
    with pytest.raises(UnknownNameError, match="no class 'drak' in the content judge; did you mean dark"):
        prepared(strengths=(0.5,))


def test_where_all_fail_the_reasons_are_told(prepared, tmp_path):
    for side, label in (("contents", "dark"), ("contents", "light")):
        (tmp_path / side / label / "0.png").write_bytes(label.encode())
    with pytest.raises(InputError, match=r"all 4 pictures failed:\n  .*dark/0.png in the style of .* and 1 more: "):
        carried_out(prepared(strengths=(0.5,)), tmp_path / "out")


def test_of_many_reasons_the_first_are_told():
    run = judged(ratios((1, 1)), (4,), (4,))[0].run
    lines = listed([Failure(f"reason {number}", (run,)) for number in range(7)]).splitlines()
    assert len(lines) == 1 + 5 + 1
    assert lines[1].endswith(": reason 0")
    assert lines[-1] == "  further reasons: 2"


def test_the_report_says_what_was_found_and_is_written_again_from_the_folder(prepared, tmp_path, fp32):
    out = tmp_path / "out"
    carried_out(prepared(strengths=(0.2, 0.9)), out).write(out, "artune classes ...")
    files = {path: path.read_bytes() for path in out.iterdir() if path.suffix in (".html", ".json", ".csv", ".md")}
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["pictures"], summary["failed"], summary["untouched"]["style"]["count"]) == (8, 0, 2)
    html = (out / "index.html").read_text()
    assert html.count('alt="weight ') == 8
    assert "<svg" in html
    for path in files:
        path.unlink()
    found, _ = reported(out)
    found.write(out, "artune classes ...")
    assert {path: path.read_bytes() for path in files} == files


def test_a_picture_that_is_no_longer_whole_is_made_again(prepared, tmp_path, fp32):
    study = prepared(strengths=(0.5,))
    first = carried_out(study, tmp_path / "out")
    with Store.open(tmp_path / "out", study.spec.title) as store:
        picture = store.picture(next(iter(study.runs)))
    write_picture(Picture(np.zeros((3, 3, 3), np.float32)), picture)
    assert carried_out(study, tmp_path / "out").result.made == 1
    assert first.result.made == 4


def test_the_chart_names_both_weights_of_one_place_once():
    found = findings(judged(ratios((1e5, 1), (1e6, 10), (1e7, 1)), (4, 2, 1), (0, 2, 3)), draws=20)
    chart = ClassPart(found, {}).chart()
    assert isinstance(chart, Chart)
    assert "<!-- 1e5:1 -->" in chart.svg
    assert "<!-- 1e6:10 -->" not in chart.svg
    assert "<!-- equilibrium -->" in chart.svg
