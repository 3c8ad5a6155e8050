"""Studies in files: what is read, and what is said of what is wrong, with its line."""

from pathlib import Path

import numpy as np
import pytest

from artune.errors import SpecError, UnknownNameError
from artune.images.picture import Picture
from artune.images.write import write_picture
from artune.spec.study import StudySpec
from artune.studies.declared import find_study, parse_study, published, value_of
from artune.studies.points import points_of

TEXT = """\
title: Starts
question: Which start?
base: {network: vgg16, size: 64, content_weight: 1e4, scale: tutorial, loss: gram}
axes:
  start: [content, gaussian]
  weights of style:
    small: {style_weight: 1e2}
    large: {style_weight: 1e6}
measures: [strokes]
"""


def test_every_combination_of_the_axes_is_a_point():
    points = points_of(parse_study(TEXT, "here"))
    assert [tuple(point.labels.values()) for point in points] == [
        ("content", "small"),
        ("content", "large"),
        ("gaussian", "small"),
        ("gaussian", "large"),
    ]
    assert points[1].spec.method.style_weight == 1e6
    assert points[2].spec.method.start == "gaussian"
    assert all(point.spec.method.content_weight == 1e4 for point in points), "1e4 is a number, though not to PyYAML"


def test_left_out_combinations_are_not_made():
    points = points_of(parse_study(TEXT + "leave_out:\n- {start: gaussian, weights of style: large}\n", "here"))
    assert len(points) == 3


def test_a_strength_is_given_rather_than_searched():
    study = StudySpec(title="t", question="q", axes={"size": [64, 128]})
    assert {point.spec.strength for point in points_of(study)} == {0.5}
    study = StudySpec(title="t", question="q", axes={"size": [64]}, base={"strength": "auto"})
    assert points_of(study)[0].spec.strength == "auto"


def test_labels_are_as_people_write_them():
    study = StudySpec(title="t", question="q", axes={"style_layers": [["relu1_1", "relu2_1"], "relu1_1"]})
    assert [*study.axes["style_layers"]] == ["relu1_1+relu2_1", "relu1_1"]
    study = StudySpec(title="t", question="q", axes={"tv": [0, 0.5, 1e-6, 12345.0]})
    assert [*study.axes["tv"]] == ["0", "0.5", "1e-6", "1.2345e4"]


def test_weights_are_those_of_the_network_or_of_the_point(tmp_path):
    file = tmp_path / "w.safetensors"
    file.touch()
    study = StudySpec(
        title="t",
        question="q",
        axes={"network": {"a": {"network": "vgg16"}, "b": {"network": "vgg19"}, "c": {"weights": "tuned"}}},
        weights={"vgg16": str(file), "vgg19": "random"},
    )
    points = points_of(study)
    assert [point.weights for point in points] == [str(file), "random", ""]
    assert points[2].wanted == "tuned"


WRONG = {
    "line 1: titel: there is no such field; did you mean title?": TEXT.replace("title:", "titel:"),
    "line 5: there is no field strat; did you mean start?": TEXT.replace("  start:", "  strat:"),
    "line 7: there is no field style_wieght; did you mean style_weight?": TEXT.replace(
        "small: {style_weight", "small: {style_wieght"
    ),
    "line 3: there is no field netwrok; did you mean network?": TEXT.replace("network:", "netwrok:"),
    "line 9: measures must be": TEXT.replace("[strokes]", "strokes"),
    "line 10: there is no axis strat; did you mean start?": TEXT + "answer: strat\n",
    "line 11: the axis start has no contents; did you mean content?": TEXT + "leave_out:\n- {start: contents}\n",
    "line 3: is given twice": TEXT.replace("base:", "question: Why?\nbase:").replace("line 3", "line 3"),
    "line 4: this is not YAML": TEXT.replace("axes:", "axes: ]"),
}


@pytest.mark.parametrize("said", WRONG)
def test_what_is_wrong_is_said_with_its_line(said):
    with pytest.raises(SpecError) as raised:
        parse_study(WRONG[said], "my.yaml")
    if said.endswith("given twice"):
        assert "my.yaml, line 3: question is given twice" in str(raised.value)
    else:
        assert "my.yaml" in str(raised.value)
        assert said in str(raised.value)


def test_an_axis_that_does_not_fit_is_refused():
    with pytest.raises(SpecError, match=r"line 6: start content, strength 0.5: .*scale"):
        parse_study(TEXT.partition("  weights of style")[0] + "  strength: [0.5]\n", "x")


def test_paths_are_relative_to_the_file(tmp_path):
    (tmp_path / "photos").mkdir()
    file = tmp_path / "mine.yaml"
    file.write_text(TEXT + "contents: {folder: photos}\nweights: {vgg16: w.pth, vgg19: random}\n")
    spec = find_study(str(file)).spec
    assert spec.contents.folder == tmp_path / "photos"
    assert spec.weights == {"vgg16": str(tmp_path / "w.pth"), "vgg19": "random"}


def test_published_studies_are_sound_and_found_by_name():
    known = published()
    assert len(known) >= 13
    for name, each in known.items():
        assert each.spec.source, name
        assert points_of(each.spec), name
        assert find_study(name).spec == each.spec
    with pytest.raises(UnknownNameError, match="did you mean starts"):
        find_study("start")
    with pytest.raises(SpecError, match=r"cannot read none\.yaml"):
        find_study(str(Path("none.yaml")))


def test_a_value_is_read_as_in_a_file():
    assert [value_of(text) for text in ("128", "1e5", "true", "relu1_1", "[a, b]")] == [
        128,
        1e5,
        True,
        "relu1_1",
        ["a", "b"],
    ]


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("network: vgg16", "network: vgg61", "line 3: there is no network .vgg61.; did you mean vgg19 or vgg16"),
        ("network: vgg16", "network: vgg16, content_layers: relu4_9", "line 3: .*relu4_9"),
        ("small: {style_weight", "small: {style_layers: [relu1_1, relu6_1], style_weight", "line 7: .*relu6_1"),
    ],
)
def test_networks_and_layers_of_a_file_are_looked_up(tmp_path, right, wrong, said):
    file = tmp_path / "mine.yaml"
    assert right in TEXT
    file.write_text(TEXT.replace(right, wrong))
    with pytest.raises(SpecError, match=said):
        find_study(str(file))


@pytest.mark.parametrize(
    ("text", "value"), [("010", "010"), ("12:00:00", "12:00:00"), ("-.5e-3", -5e-4), ("0", 0), (".inf", float("inf"))]
)
def test_times_and_leading_zeros_are_text(text, value):
    assert value_of(text) == value


CYCLE = TEXT.replace("question: Which start?", "question: &a [*a]")
BOMB = "a: &a0 [x]\n" + "".join(f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CYCLE, "line 2: an alias holds itself"),
        (BOMB, "line 6: there are more than 100000 values"),
        (TEXT.replace("size: 64", "size: 2001-99-99"), "this is not YAML: month must be in"),
        (TEXT.replace("    large:", "    small:"), "line 8: small is given twice"),
        (TEXT.replace("small:", "1000:").replace("large:", "1e3:"), "line 8: 1e3 is given twice"),
        (TEXT.replace("small:", "1000:").replace("large:", "'1000':"), "line 4: .*a point is given twice"),
        (TEXT.replace("[content, gaussian]", "[]"), "line 5: the axis start has no points"),
        (TEXT.replace("[strokes]", "[strokes, strokes]"), "line 9: the measure strokes is given twice"),
        (TEXT + "rows: [start, start]\n", "line 10: the axis start is given twice"),
        (TEXT + "leave_out: {start: content}\n", "leave_out must be a list of names and values, not"),
        (TEXT + "weights: [a]\n", "weights must be names and values, not"),
    ],
)
def test_what_is_wrong_in_an_unusual_way_is_said_with_its_line(text, said):
    with pytest.raises(SpecError, match=said):
        parse_study(text, "my.yaml")


def test_a_value_that_is_none_is_refused():
    with pytest.raises(SpecError, match="is not a value"):
        value_of("2001-99-99")


def test_pictures_to_start_from_and_weights_of_points_are_relative_to_the_file(tmp_path, monkeypatch):
    write_picture(Picture(np.zeros((8, 8, 3), np.float32)), tmp_path / "first.png")
    (tmp_path / "own.safetensors").touch()
    file = tmp_path / "mine.yaml"
    other = TEXT.replace("gaussian]", "first.png]").replace("small: {", "small: {weights: own.safetensors, ")
    file.write_text(other)
    points = points_of(find_study(str(file)).spec)
    assert {point.spec.method.start for point in points} == {"content", str(tmp_path / "first.png")}
    assert {point.weights for point in points} == {"", str(tmp_path / "own.safetensors")}
    file.write_text(other.replace("first.png", "second.png"))
    with pytest.raises(SpecError, match=r"line 5: .*there is no start .*second\.png"):
        find_study(str(file))


def test_a_folder_of_results_may_have_the_name_of_a_published_study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "starts").mkdir()
    assert find_study("starts").name == "starts"
