"""A study from its spec to its values: what is drawn, what is made, and what is not made twice."""

import dataclasses
import json
import math
import shutil

import numpy as np
import pytest
from pyarrow import parquet

from artune.errors import InputError, SpecError, UnknownNameError
from artune.images.picture import Picture
from artune.images.write import write_picture
from artune.record import Record
from artune.spec.study import Choice, Example, RunSpec, StudySpec
from artune.spec.style import StyleSpec
from artune.studies.conduct import Note, conduct, reported
from artune.studies.duration import estimated, seconds_of
from artune.studies.entries import Measured, picture_file
from artune.studies.executors import InProcess
from artune.studies.measured import MEASURES, Scene, Tools, measured
from artune.studies.nprgeneral import PICTURES
from artune.studies.pictures import chosen, paired
from artune.studies.store import Store
from artune.studies.study import Study
from artune.transfer.methods import steps


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for side in ("photos", "paintings"):
        for number in range(3):
            write_picture(Picture(rng.random((40, 48, 3), np.float32)), tmp_path / side / f"{number}.png")
    return tmp_path


def asked(folder, **more):
    fields = {
        "title": "t",
        "question": "q",
        "contents": {"folder": folder / "photos"},
        "styles": {"folder": folder / "paintings"},
        "base": {"method": "instant", "size": 40, "precision": "fp32"},
        "axes": {"strength": [0.2, 0.8]},
        "measures": ["palette", "ssim_content"],
    }
    return StudySpec(**(fields | more))


def conducted(study, out):
    with Store.open(out, study.spec.title) as store:
        return conduct(study, store, InProcess())


def test_a_larger_sample_holds_every_smaller_one(folder):
    drawn = [{example.file for example in chosen(Choice(folder=folder / "photos"), count)} for count in (1, 2, 3, 9)]
    assert [len(files) for files in drawn] == [1, 2, 3, 3]
    assert drawn[0] < drawn[1] < drawn[2]
    seeds = {chosen(Choice(folder=folder / "photos", count=1, seed=seed))[0].file for seed in range(8)}
    assert len(seeds) > 1


def test_a_larger_number_of_pairs_in_turn_holds_every_smaller_one(folder):
    for number in range(3, 7):
        picture = Picture(np.random.default_rng(number).random((40, 48, 3), np.float32))
        write_picture(picture, folder / "photos" / f"{number}.png")
    study = asked(folder, pairs="in turn")
    drawn = [{(c.file.name, s.file.name) for c, s in paired(study, count)} for count in (2, 3, 5, 7)]
    assert [len(pairs) for pairs in drawn] == [2, 3, 5, 7]
    assert drawn[0] < drawn[1] < drawn[2] < drawn[3]


def test_samples_are_found_and_too_few_pictures_are_refused(folder):
    assert [e.file.stem for e in chosen(Choice(samples=("cat", "mosaic")))] == ["chelsea", "mosaic"]
    with pytest.raises(UnknownNameError, match="no sample photograph 'mosaik'"):
        chosen(Choice(samples=("mosaik",)))
    with pytest.raises(InputError, match="4 pictures are asked for, and there are 3"):
        chosen(Choice(folder=folder / "photos", count=4))
    with pytest.raises(InputError, match="there is no picture"):
        chosen(Choice(files=(folder / "none.png",)))
    with pytest.raises(InputError, match=r"chelsea\.\w+ is given twice"):
        chosen(Choice(samples=("cat", "cat")))


def test_a_copy_of_a_picture_is_left_out(folder):
    """Copies are no further photographs: a mean over them would look surer than it is."""
    before = chosen(Choice(folder=folder / "photos"))
    (folder / "photos" / "9.png").write_bytes((folder / "photos" / "0.png").read_bytes())
    assert chosen(Choice(folder=folder / "photos")) == before
    files = [folder / "photos" / f"{number}.png" for number in (0, 9, 1)]
    with pytest.raises(InputError, match=r"9\.png is given twice, or is a copy of another picture"):
        chosen(Choice(files=files))
    shutil.copytree(folder / "photos", folder / "classes" / "a")
    assert [e.file.name for e in chosen(Choice(classes=folder / "classes"))] == [e.file.name for e in before]


def test_a_study_is_made_measured_and_not_made_twice(folder, tmp_path):
    study = Study.prepare(asked(folder), sample=2)
    assert len(study.cells) == 2 * 2 * 2
    first = conducted(study, tmp_path / "out").result
    assert (first.made, first.failed, first.values["palette"].shape) == (8, 0, (2, 2, 2))
    assert np.isfinite(first.values["palette"]).all()
    assert np.ptp(first.values["palette"], 0).min() > 0  # the strengths differ for each pair
    again = conducted(study, tmp_path / "out").result
    assert again.made == 0
    np.testing.assert_array_equal(again.values["palette"], first.values["palette"])


def test_a_measure_that_is_added_is_taken_from_the_pictures_that_are_there(folder, tmp_path):
    study = Study.prepare(asked(folder), sample=1)
    conducted(study, tmp_path / "out")
    more = Study.prepare(asked(folder, measures=("palette", "ssim_content", "sharpness", "seconds")), sample=1)
    with Store.open(tmp_path / "out", "t") as store:
        tasks = more.tasks(store)
        assert {task.measures for task in tasks.values()} == {("sharpness", "seconds")}
        assert all(task.picture for task in tasks.values())
        result = conduct(more, store, InProcess()).result
        assert not more.tasks(store)
    assert result.made == 0
    assert (result.values["sharpness"] > 0).all()
    assert (result.values["seconds"] > 0).all()


def test_pairs_in_turn_are_drawn_as_pairs(folder, tmp_path):
    study = Study.prepare(asked(folder, pairs="in turn"))
    assert [(c.run.content.file.stem, c.run.style.file.stem) for c in study.cells[:3]] == [
        ("0", "0"),
        ("1", "1"),
        ("2", "2"),
    ]
    assert conducted(study, tmp_path / "out").result.values["palette"].shape == (2, 3, 1)


def test_paintings_that_come_again_are_columns(folder):
    """Three photographs share two paintings: the values of a painting are not independent."""
    (folder / "paintings" / "2.png").unlink()
    assert set(Study.prepare(asked(folder, pairs="in turn")).places.values()) == {(0, 0), (1, 1), (2, 0)}


def test_an_axis_may_be_named_like_a_column(folder, tmp_path):
    axes = {"palette": {"few": {"strength": 0.3}, "many": {"strength": 0.9}}, "painting": {"a": {"size": 48}}}
    conducted(Study.prepare(asked(folder, axes=axes), sample=1), tmp_path / "out").write(tmp_path / "out", "")
    table = parquet.read_table(tmp_path / "out" / "values.parquet")
    assert table.column_names[:5] == ["axis palette", "axis painting", "photograph", "painting", "key"]
    assert table["axis palette"].to_pylist() == ["few", "many"]
    assert all(isinstance(value, float) for value in table["palette"].to_pylist())


def test_the_page_of_an_unfinished_study_says_so(folder, tmp_path):
    study = Study.prepare(asked(folder), sample=2)
    with Store.open(tmp_path / "out", study.spec.title) as store:
        store.keep_study(Note.of(study, "").text())
        conduct(study, store, InProcess())
    for cell in study.cells[:3]:
        picture_file(tmp_path / "out", cell.key).unlink()
    found, _ = reported(tmp_path / "out")
    found.write(tmp_path / "out", "")
    said = "The study is unfinished: 3 of its 8 pictures are missing. 5 pictures of"
    assert said in (tmp_path / "out" / "index.html").read_text()
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["missing"] == 3
    assert str(found).startswith("5 pictures of 8, 0 of them new.")


def test_the_page_says_what_a_limit_cut_and_that_two_are_few(folder, tmp_path):
    conducted(Study.prepare(asked(folder), limit=1), tmp_path / "out").write(tmp_path / "out", "")
    assert "Only the first 1 of 2 points were made" in (tmp_path / "out" / "index.html").read_text()
    conducted(Study.prepare(asked(folder), sample=2), tmp_path / "out").write(tmp_path / "out", "")
    assert "2 of a side can hardly tell anything: take 4 or more." in (tmp_path / "out" / "index.html").read_text()


def test_a_limit_takes_pairs_from_all_points(folder):
    assert len(Study.prepare(asked(folder), limit=5).cells) == 4
    assert len(Study.prepare(asked(folder), limit=1).cells) == 1


@pytest.mark.parametrize(
    ("more", "error", "said"),
    [
        ({"measures": ("strokse",)}, SpecError, "no measure strokse; did you mean strokes"),
        (
            {"findings": ({"claim": "c", "measure": "fine", "lower": {}, "value": 1},)},
            SpecError,
            "not among the study's",
        ),
        ({"figures": ({"at": {}, "values": {"fine": 1}},)}, SpecError, "fine is not among the study's measures"),
        ({"weights": {"vgg61": "random"}}, UnknownNameError, "did you mean vgg19 or vgg16"),
        ({"base": {"weights": {"a": 1}}}, SpecError, "is a name or a file"),
        ({"axes": {"a": {"x": {"weights": "tuned"}}}}, SpecError, "needs the weights 'tuned'"),
        (
            {"base": {"network": "compact"}, "axes": {"style_layers": ["relu9_9"]}},
            SpecError,
            "no layer 'relu9_9'",
        ),
        ({"measures": ("style_class",)}, InputError, "needs the judge of style"),
        ({"contents": {"classes": "photos"}}, InputError, "no folder photos"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_made(folder, more, error, said):
    with pytest.raises(error, match=said):
        Study.prepare(asked(folder, **more))


def test_what_fails_to_be_measured_keeps_its_picture_and_is_told(folder, tmp_path, monkeypatch):
    def broken(scene):
        raise RuntimeError("out of memory")

    monkeypatch.setitem(MEASURES, "palette", dataclasses.replace(MEASURES["palette"], function=broken))
    found = conducted(Study.prepare(asked(folder), sample=1), tmp_path / "out").result
    assert (found.made, found.failed) == (2, 0)
    assert found.unmeasured == {"palette distance: out of memory": 2}
    monkeypatch.setitem(MEASURES, "palette", dataclasses.replace(MEASURES["palette"], function=broken, version=2))
    assert len(Study.prepare(asked(folder), sample=1).tools.by("palette")) > 0


def test_failed_pictures_are_not_counted_as_made(folder, tmp_path):
    broken = folder / "photos" / "0.png"
    broken.write_bytes(broken.read_bytes()[:60])
    found = conducted(Study.prepare(asked(folder)), tmp_path / "out").result
    assert (found.made, found.failed, len(found.finished)) == (12, 6, 12)


def test_another_study_is_refused_in_a_folder(folder, tmp_path):
    conducted(Study.prepare(asked(folder), sample=1), tmp_path / "out")
    with pytest.raises(Exception, match="results of the study 't'"):
        conducted(Study.prepare(asked(folder, title="other"), sample=1), tmp_path / "out")


@pytest.fixture
def scene(folder):
    """A result that is the photograph."""
    photograph = Picture(np.random.default_rng(0).random((40, 48, 3), np.float32))
    write_picture(photograph, folder / "photo.png")
    run = RunSpec(
        content=Example(file=folder / "photo.png", label="cat"),
        style=Example(file=folder / "paintings" / "0.png", label=""),
        spec=StyleSpec(strength=0.5),
    )
    losses = {"total": [2.0, 1.0], "style relu1_1": [0.5, 0.25], "style relu2_1": [0.5, 0.125]}
    record = Record(key="k", spec=run.spec, digests={}, losses=losses, timings={"total": 3.0}, steps=2)
    return Scene(photograph, run, record, Tools())


def test_losses_are_read_by_their_name_or_its_beginning(scene):
    names = ("loss:total", "loss:style", "loss:style relu2_1", "seconds", "steps")
    assert {name: value.value for name, value in measured(names, scene).items()} == {
        "loss:total": 1.0,
        "loss:style": 0.375,
        "loss:style relu2_1": 0.125,
        "seconds": 3.0,
        "steps": 2.0,
    }


def test_the_photograph_itself_is_the_end_of_every_scale(scene):
    found = measured(("ssim_content", "outlines", "palette", "texture"), scene)
    values = [found[name].value for name in ("ssim_content", "outlines", "palette", "texture")]
    assert values == pytest.approx([1, 1, 1, 1], abs=2e-2)


def test_what_cannot_be_measured_says_why(scene):
    found = measured(("loss:content", "memory"), scene)
    assert all(math.isnan(value.value) for value in found.values())
    assert "no loss content; it has total" in found["loss:content"].detail["why"]
    assert "memory of a process" in found["memory"].detail["why"]


def test_multiply_adds_are_those_of_the_loss_network(scene):
    spec = StyleSpec.model_validate({"method": {"content_layers": "relu1_1", "style_layers": "relu1_1"}})
    record = scene.record.model_copy(update={"spec": spec})
    found = measured(("multiply_adds",), dataclasses.replace(scene, record=record))["multiply_adds"]
    assert isinstance(found, Measured)
    assert 0 < found.value < 1


def test_nprgeneral_is_downloaded_and_checked(tmp_path, monkeypatch):
    monkeypatch.setenv("ARTUNE_CACHE", str(tmp_path))
    monkeypatch.setattr("artune.studies.nprgeneral.HOME", "http://127.0.0.1:9/")  # nobody listens there
    with pytest.raises(InputError, match=r"cannot download NPRgeneral's arch from .* give your own copies as `folder`"):
        chosen(Choice(nprgeneral="arch"))
    with pytest.raises(UnknownNameError, match="no photograph of NPRgeneral 'arhc'; did you mean arch"):
        chosen(Choice(nprgeneral=("arhc",)))
    file = tmp_path / "nprgeneral-arch1024.jpg"
    file.write_bytes(b"other")
    with pytest.raises(InputError, match="its md5 differs; remove the file"):
        chosen(Choice(nprgeneral="arch"))
    monkeypatch.setitem(PICTURES, "arch", "795f3202b17cb6bc3d4b771d8c6c9eaf")  # of "other"
    assert [example.file for example in chosen(Choice(nprgeneral="arch"))] == [file]


def test_each_kind_of_run_is_timed_once(folder, monkeypatch):
    timed = []
    monkeypatch.setattr("artune.studies.duration.seconds_of", lambda run: timed.append(run) or 10.0 * run.spec.size)
    study = Study.prepare(asked(folder, axes={"strength": [0.2, 0.8], "size": [40, 48]}, base={"method": "instant"}))
    found = estimated(study.cells)
    assert (found.pictures, found.seconds) == (36, 18 * 400.0 + 18 * 480.0)
    assert [run.spec.size for run in timed] == [40, 48]


def test_a_long_run_is_timed_by_a_few_steps(folder, monkeypatch):
    seen = []

    def counted(run):
        for progress in steps(run):
            seen.append(progress.event)
            yield progress

    monkeypatch.setattr("artune.studies.duration.steps", counted)
    base = {"size": 40, "start": "content", "precision": "fp32", "steps": 400}
    cells = Study.prepare(asked(folder, axes={"strength": [0.5]}, base=base), limit=1).cells
    assert seconds_of(cells[0].run) > 0
    assert seen.count("step") == 3
