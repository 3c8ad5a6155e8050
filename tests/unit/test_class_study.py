"""A class study from its spec to its result: nothing is made, judged or loaded twice."""

import json
import weakref

import pytest
import torch

import artune
import artune.studies.keys
from artune.errors import InputError, SpecError, UnknownNameError
from artune.report.charts import Chart
from artune.spec.study import StudySpec
from artune.spec.style import StyleSpec
from artune.studies.classes import ClassStudy, StudyResult, listed, run_classes
from artune.studies.entries import Failure, read_entries
from artune.studies.executors import InProcess
from artune.studies.findings import findings
from artune.studies.measures import StudyJudge, Untouched
from artune.studies.report import findings_chart, write_report
from artune.studies.store import Store
from tests.judges import made_folders
from tests.studies import judged, ratios

FAST = StyleSpec(size=32, method={"steps": 2})


@pytest.fixture
def folders(tmp_path):
    made_folders(tmp_path)
    return {"contents": tmp_path / "contents", "styles": tmp_path / "styles"}


@pytest.fixture
def judges(folders, tmp_path):
    return {side: StudyJudge.load(side, tmp_path / f"{side}.safetensors") for side in ("content", "style")}


@pytest.fixture
def fp32(monkeypatch):
    """A machine for which `auto` is fp32 on the CPU."""
    monkeypatch.setattr(artune.studies.keys, "choose_device", lambda name: torch.device("cpu"))
    monkeypatch.setattr(artune.studies.keys, "choose_precision", lambda name, device: torch.float32)


class Loader:
    """Loads networks, and counts."""

    def __init__(self):
        self.specs = []

    def __call__(self, spec, weights):
        self.specs.append(spec)
        return artune.Network.load(spec, weights)


def carried_out(study, out, **more):
    with Store.open(out) as store:
        return run_classes(study, store, InProcess(), **more)


def test_a_study_is_carried_out_once(folders, judges, tmp_path, fp32):
    study = ClassStudy.prepare(StudySpec(**folders, strengths=(0.2, 0.9), spec=FAST), judges)
    assert len(study.runs) == 8
    told, load = [], Loader()
    first = carried_out(study, tmp_path / "out", on_progress=lambda *what: told.append(what), load_network=load)
    assert told == [
        *(("pictures", done, 8) for done in range(9)),
        *((f"the judge of {side}", 10, 10) for side in ("content", "style")),  # with two unchanged ones
    ]
    assert (first.made, first.failed, len(first.judged)) == (8, 0, 8)
    assert first.findings == findings(first.judged)
    assert first.untouched["content"] == Untouched(1.0, 2, 2, "content.safetensors", judges["content"].digest)
    assert [(spec.device, spec.precision) for spec in load.specs] == [("cpu", "fp32")]

    told.clear()
    again = carried_out(study, tmp_path / "out", on_progress=lambda *what: told.append(what), load_network=load)
    assert (again.made, again.findings, told, len(load.specs)) == (0, first.findings, [], 1)


def test_the_network_that_was_loaded_for_its_digest_is_not_kept(folders, judges, tmp_path, fp32):
    loaded, seen = [], []

    def load(spec, weights):
        network = artune.Network.load(spec, weights)
        loaded.append(weakref.ref(network))
        return network

    study = ClassStudy.prepare(StudySpec(**folders, strengths=(0.5,), spec=FAST), judges)
    carried_out(study, tmp_path / "out", load_network=load, on_progress=lambda *_: seen.append(loaded[0]()))
    assert seen
    assert set(seen) == {None}


def test_a_device_by_name_continues_what_auto_began(folders, judges, tmp_path, fp32):
    for device, precision, made in (("auto", "auto", 4), ("cpu", "auto", 0), ("cpu", "fp32", 0)):
        spec = FAST.model_copy(update={"device": device, "precision": precision})
        study = ClassStudy.prepare(StudySpec(**folders, strengths=(0.5,), spec=spec), judges)
        assert carried_out(study, tmp_path / "out").made == made


def test_another_machine_does_not_mix_its_pictures_in(folders, judges, tmp_path, fp32, monkeypatch):
    asked = StudySpec(**folders, strengths=(0.5,), spec=FAST)
    carried_out(ClassStudy.prepare(asked, judges), tmp_path / "out")
    before = read_entries(tmp_path / "out")
    monkeypatch.setattr(artune.studies.keys, "choose_precision", lambda name, device: torch.bfloat16)
    with pytest.raises(
        InputError, match=r"another study, which differ in precision \(fp32, bf16\); choose a new folder"
    ):
        carried_out(ClassStudy.prepare(asked, judges), tmp_path / "out")
    assert read_entries(tmp_path / "out") == before


def test_what_cannot_be_used_is_refused_before_anything_is_made(folders, judges, tmp_path):
    with pytest.raises(SpecError, match="must be a number from 0 to 1"):
        ClassStudy.prepare(StudySpec(**folders, strengths=(1.5,)), judges)
    with pytest.raises(InputError, match="holds 1 pictures, not 2"):
        ClassStudy.prepare(StudySpec(**folders, strengths=(0.5,), per_class=2), judges)
    (tmp_path / "contents" / "dark").rename(tmp_path / "contents" / "drak")
    with pytest.raises(UnknownNameError, match="no class 'drak' in the content judge; did you mean dark"):
        ClassStudy.prepare(StudySpec(**folders, strengths=(0.5,)), judges)


def test_where_all_fail_the_reasons_are_told(folders, judges, tmp_path):
    for side, label in (("contents", "dark"), ("contents", "light")):
        (tmp_path / side / label / "0.png").write_bytes(label.encode())
    study = ClassStudy.prepare(StudySpec(**folders, strengths=(0.5,), spec=FAST), judges)
    with pytest.raises(InputError, match=r"all 4 pictures failed:\n  .*dark/0.png in the style of .* and 1 more: "):
        carried_out(study, tmp_path / "out")


def test_of_many_reasons_the_first_are_told():
    run = judged(ratios((1, 1)), (4,), (4,))[0].run
    lines = listed([Failure(f"reason {number}", (run,)) for number in range(7)]).splitlines()
    assert len(lines) == 1 + 5 + 1
    assert lines[1].endswith(": reason 0")
    assert lines[-1] == "  further reasons: 2"


def test_the_report_says_what_was_found(folders, judges, tmp_path, fp32):
    study = ClassStudy.prepare(StudySpec(**folders, strengths=(0.2, 0.9), spec=FAST), judges)
    result = carried_out(study, tmp_path / "out")
    write_report(tmp_path / "out", result)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["pictures"], summary["failed"]) == (8, 0)
    assert summary["made"] == {"network": "compact", "size": 32, "quality": "normal"}
    html = (tmp_path / "out" / "index.html").read_text()
    assert html.count("data:image/jpeg") == 8
    assert "<svg" in html


def test_the_chart_names_both_weights_of_one_place_once():
    found = findings(judged(ratios((1e5, 1), (1e6, 10), (1e7, 1)), (4, 2, 1), (0, 2, 3)), draws=20)
    chart = findings_chart(found)
    assert isinstance(chart, Chart)
    assert "<!-- 1e5:1 -->" in chart.svg
    assert "<!-- 1e6:10 -->" not in chart.svg
    assert "<!-- equilibrium -->" in chart.svg
    assert isinstance(StudyResult(found, (), {}, (), 0).failed, int)
