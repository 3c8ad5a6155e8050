"""What is said of values: means, intervals, and findings that are found again or not."""

import numpy as np
import pytest

from artune.spec.study import Finding, StudySpec
from artune.studies.comparing import found_again, mean_of, widening
from artune.studies.conclusion import answer
from artune.studies.measured import Tools
from artune.studies.points import points_of
from artune.studies.study import Study, StudyResult


def result_of(by_label, findings=(), contents=6, styles=5, spread=0.02, seed=0, measure="strokes"):
    """A study along one axis, whose values differ from pair to pair by the same amounts at every point, and more."""
    labels = {label: {"size": 64 + 16 * place} for place, label in enumerate(by_label)}
    spec = StudySpec(title="t", question="q", axes={"kind": labels}, measures=(measure,), findings=tuple(findings))
    rng = np.random.default_rng(seed)
    pairs = rng.normal(size=(contents, styles)) * 0.2
    values = np.stack([value + pairs + spread * rng.normal(size=(contents, styles)) for value in by_label.values()])
    return StudyResult(Study(spec, tuple(points_of(spec)), (), Tools()), {measure: values})


def two_axes(values, findings=(), leave_out=()):
    """A study along ``kind`` and ``size``, with one value for each of the points that are made."""
    axes = {"kind": {label: {"seed": place} for place, label in enumerate("ab")}, "size": [64, 128]}
    spec = StudySpec(title="t", question="q", axes=axes, measures=("strokes",), findings=findings, leave_out=leave_out)
    points = points_of(spec)
    noise = 0.01 * np.random.default_rng(0).normal(size=(len(points), 6, 1))
    cells = np.stack([np.full((6, 1), values["".join(point.labels.values())]) for point in points])
    return StudyResult(Study(spec, tuple(points), (), Tools()), {"strokes": cells + noise})


def test_the_mean_of_equal_values_is_sure():
    mean = mean_of(np.full((3, 2), 0.5))
    assert (mean.value, mean.low, mean.high, mean.pairs) == (0.5, 0.5, 0.5, 6)


def test_one_pair_has_no_interval_and_no_value_no_mean():
    assert not mean_of(np.array([[0.5]])).bounded
    assert mean_of(np.array([[0.5]])).text("strokes") == "0.500"
    assert mean_of(np.full((2, 2), np.nan)).text("strokes") == "-"


@pytest.mark.parametrize(
    ("shape", "effects", "least", "most"),
    [((3, 1), 1, 0.02, 0.09), ((5, 1), 1, 0.02, 0.09), ((10, 1), 1, 0.02, 0.09), ((2, 2), 1, 0.001, 0.06),
     ((4, 4), 1, 0.01, 0.07), ((6, 6), 1, 0.02, 0.09), ((4, 4), 0, 0.01, 0.08)],
)  # fmt: skip
def test_intervals_hold_the_mean_as_often_as_they_say(shape, effects, least, most):
    """Of 400 draws whose true mean is 0, about 5 % lie beside it; without widening 26 % at three pairs.

    Photographs have effects, and paintings have where ``effects`` is 1. At two by two, the pigeonhole is too wide.
    """
    rng = np.random.default_rng(1)
    means = [
        mean_of(
            rng.normal(size=(shape[0], 1))
            + effects * rng.normal(size=(1, shape[1])) * (shape[1] > 1)
            + rng.normal(size=shape) / 5
        )
        for _ in range(400)
    ]
    assert least <= np.mean([not mean.low <= 0 <= mean.high for mean in means]) <= most


def test_few_pictures_widen_an_interval():
    rng = np.random.default_rng(0)
    found = [widening(rng.normal(size=(count, 1))) for count in (2, 3, 10, 1000)]
    assert [round(each, 1) for each in found] == [9.2, 2.7, 1.2, 1.0]


def test_many_paintings_do_not_make_up_for_few_photographs():
    """Where only the photographs differ, they alone count; where both do, both count."""
    photographs = np.arange(3.0)[:, None] + np.zeros((1, 50))
    assert widening(photographs) == pytest.approx(widening(photographs[:, :1]))
    assert widening(photographs + np.arange(50.0)) < 1.1


def test_intervals_stay_within_what_can_be():
    mean = mean_of(np.array([[0.01], [0.9]]), (0, 1))
    assert (mean.low, mean.high) == (0, 1)
    result = result_of({"a": 0.05}, contents=2, styles=1, measure="palette")
    assert "[0.000, " in answer(result)


def test_points_are_compared_where_both_are():
    """The value follows the size alone; ``a`` was not made at the larger one."""
    values = {"a64": 0.8, "a128": 0.2, "b64": 0.8, "b128": 0.2}
    finding = Finding(claim="c", measure="strokes", lower={"kind": "b"}, than={"kind": "a"})
    whole = two_axes(values, [finding])
    assert found_again(whole)[0].verdict == "open"
    partly = two_axes(values, [finding], leave_out=({"kind": "a", "size": "128"},))
    assert found_again(partly)[0].verdict == "open"
    assert abs(partly.difference("strokes", {"kind": ("b",)}, {"kind": ("a",)}).mean()) < 0.05
    assert answer(partly).startswith("No difference that 6 pairs can tell")
    assert answer(partly).endswith(" along kind at size 64.")


def test_a_measure_without_a_direction_has_no_best_point():
    said = answer(result_of({"a": 0.8, "b": 0.3}, measure="sharpness"))
    assert said.startswith("Sharpness is lowest for b, 0.")
    assert "and highest for a, which has 0.5" in said


def test_a_higher_value_is_named_where_it_is_better():
    said = answer(result_of({"a": 0.8, "b": 0.3}, measure="outlines"))
    assert said.startswith("a has the highest outlines kept: ")
    assert "next is b with 0.5" in said
    assert said.endswith(" less.")


def test_losses_are_shown_to_four_digits_and_what_never_changes_without_an_interval():
    assert mean_of(np.full((2, 2), 123456.0)).text("loss:total") == "1.235e+05"
    assert mean_of(np.array([[1e-7, 3e-7]])).text("loss:total") == "2e-07 [-7.168e-07, 1.117e-06]"


def test_the_best_point_is_named_where_it_is_told_from_all():
    said = answer(result_of({"a": 0.8, "b": 0.3, "c": 0.6}))
    assert said.startswith("b has the lowest style distance (strokes): ")
    assert "next is c with 0.296 [0.275, 0.317] more" in said


def test_points_that_cannot_be_told_apart_are_named():
    said = answer(result_of({"a": 0.8, "b": 0.301, "c": 0.3}))
    assert "30 pairs cannot tell it from" in said
    assert "a (" not in said


def test_no_difference_is_an_answer():
    said = answer(result_of({"a": 0.3, "b": 0.3, "c": 0.3}, spread=0.1, seed=1))
    assert said.startswith("No difference that 30 pairs can tell")


def test_differences_are_paired():
    """The pairs differ by 0.2, the points by 0.05: without pairing nothing could be told."""
    found = found_again(result_of({"a": 0.30, "b": 0.35}, [kind("lower", "a", "b")]))[0]
    assert found.verdict == "found again"
    assert mean_of(result_of({"a": 0.30}).values["strokes"][0]).high > 0.35


def kind(name, one, other):
    return Finding(claim="c", measure="strokes", **{name: {"kind": one}}, than={"kind": other})


@pytest.mark.parametrize(
    ("finding", "verdict"),
    [
        (kind("lower", "a", "b"), "found again"),
        (kind("higher", "a", "b"), "not found again"),
        (kind("higher", "b", "a"), "found again"),
        (kind("lower", "b", "a"), "not found again"),
        (kind("lower", "b", "c"), "open"),
        (Finding(claim="c", measure="strokes", lower={"kind": "a"}, value=0.9), "found again"),
        (Finding(claim="c", measure="strokes", higher={"kind": "a"}, value=0.9), "not found again"),
        (Finding(claim="c", measure="strokes", alike=({"kind": "b"}, {"kind": "c"}), within=0.1), "found again"),
        (Finding(claim="c", measure="strokes", alike=({"kind": "a"}, {"kind": "b"}), within=0.1), "not found again"),
        (Finding(claim="c", measure="strokes", alike=({"kind": "b"}, {"kind": "c"}), within=1e-4), "open"),
    ],
)
def test_findings_are_found_again_or_not(finding, verdict):
    found = found_again(result_of({"a": 0.2, "b": 0.6, "c": 0.6}, [finding]))[0]
    assert found.verdict == verdict
    assert "pairs)" in found.words


def test_one_pair_leaves_a_finding_open():
    found = found_again(result_of({"a": 0.2, "b": 0.6}, [kind("lower", "a", "b")], contents=1, styles=1))[0]
    assert found.verdict == "open"


def test_missing_values_are_left_out_of_both_sides():
    result = result_of({"a": 0.2, "b": 0.6}, [kind("lower", "a", "b")])
    result.values["strokes"][0, 0, 0] = np.nan
    assert "(29 pairs)" in found_again(result)[0].words


def only(values):
    """A study along ``kind`` with given values: for each label one for each pair."""
    labels = {label: {"size": 64 + 16 * place} for place, label in enumerate(values)}
    spec = StudySpec(title="t", question="q", axes={"kind": labels}, measures=("strokes",))
    cells = np.array([*values.values()], float)[:, :, None]
    return StudyResult(Study(spec, tuple(points_of(spec)), (), Tools()), {"strokes": cells})


def test_a_noisy_best_point_does_not_hide_other_differences():
    noise = 0.01 * np.random.default_rng(0).normal(size=(2, 12))
    said = answer(only({"a": [0, 0.9] * 6, "b": 0.5 + noise[0], "c": 0.7 + noise[1]}))
    assert "12 pairs cannot name the lowest, but tell b from c, which has 0.197 [" in said


def test_points_are_compared_at_the_pairs_that_all_have():
    """Over its own pairs ``a`` is lower, as the hard one is missing."""
    nan = np.nan
    said = answer(only({"a": [nan, 0.40, 0.41, 0.42], "b": [0.9, 0.30, 0.31, 0.32], "c": [nan, nan, nan, nan]}))
    assert said.startswith("b has the lowest style distance (strokes): 0.310")
    assert said.endswith(" c has too few pictures to be compared.")
    apart = answer(only({"a": [nan, 0.4], "b": [0.9, nan]}))
    assert apart.startswith("No pair of pictures has a value of style distance (strokes) at all points")


def test_losses_in_units_of_their_own_are_not_averaged():
    axes = {"network": ["compact", "vgg16"], "size": [64, 128]}
    for scale, parts in (("raw", 2), ("calibrated", 1)):
        base = {"loss": "gram", "scale": scale}
        spec = StudySpec(title="t", question="q", base=base, axes=axes, measures=("loss:style",), answer="size")
        noise = 0.01 * np.random.default_rng(0).normal(size=(4, 5, 1))
        values = np.array([1.0, 2.0, 100.0, 50.0])[:, None, None] * (1 + noise)
        said = answer(StudyResult(Study(spec, tuple(points_of(spec)), (), Tools()), {"loss:style": values}))
        assert said.count("has the lowest loss style") + said.count("No difference") == parts
        assert ("compact: 64 has the lowest" in said) == (parts == 2)


def test_what_one_side_lacks_is_left_out_on_all_other_points():
    """The value follows the start alone; a start of one size is missing, as in an unfinished study."""
    axes = {"size": [64, 96, 128], "start": ["content", "gaussian"]}
    finding = Finding(claim="c", measure="strokes", lower={"size": [64, 96]}, than={"size": 128})
    spec = StudySpec(title="t", question="q", axes=axes, measures=("strokes",), findings=(finding,))
    points = points_of(spec)
    noise = 0.01 * np.random.default_rng(0).normal(size=(len(points), 6, 1))
    values = np.stack([np.full((6, 1), 0.3 if p.labels["start"] == "content" else 0.9) for p in points]) + noise
    result = StudyResult(Study(spec, tuple(points), (), Tools()), {"strokes": values})
    assert answer(result).startswith("No difference that 6 pairs can tell")
    for place, point in enumerate(points):
        if point.labels == {"size": "96", "start": "gaussian"}:
            values[place] = np.nan
    assert answer(result).startswith("No difference that 6 pairs can tell")
    assert found_again(result)[0].verdict == "open"


def test_a_point_with_one_pair_does_not_silence_the_others():
    noise = 0.01 * np.random.default_rng(0).normal(size=(2, 10))
    said = answer(only({"a": 0.3 + noise[0], "b": 0.5 + noise[1], "c": [0.9, *[np.nan] * 9]}))
    assert said.startswith("a has the lowest")
    assert said.endswith("c has too few pictures to be compared.")


def test_the_surest_difference_is_named_and_not_the_largest():
    rng = np.random.default_rng(0)
    wide = 0.9 + 0.5 * rng.normal(size=12)
    said = answer(only({"a": [-1, 1.9] * 6, "b": 0.5 + 0.001 * rng.normal(size=12), "c": [0.7] * 12, "d": 0.5 + wide}))
    assert "tell b from c, which has 0.2" in said


def test_points_that_do_not_differ_are_seldom_told_apart():
    """Nine points of pure noise: without a correction two of three studies tell some apart."""
    rng = np.random.default_rng(0)
    said = [answer(only({label: rng.normal(size=10) for label in "abcdefghi"})) for _ in range(40)]
    assert sum(not each.startswith("No difference") for each in said) <= 10


def test_shares_that_are_the_same_on_two_pictures_are_not_sure():
    result = result_of({"a": 1.0, "b": 0.0}, contents=2, styles=1, measure="content_class")
    result.values["content_class"][0], result.values["content_class"][1] = 1.0, 0.0
    assert answer(result).startswith("No difference that 2 pairs can tell")


def test_losses_with_other_weights_are_in_other_units(tmp_path):
    (tmp_path / "own.safetensors").touch()
    axes = {"w": {"own": {"weights": str(tmp_path / "own.safetensors")}, "none": {"weights": "random"}}}
    base = {"network": "vgg16", "loss": "gram", "scale": "raw"}
    spec = StudySpec(title="t", question="q", base=base, axes=axes, measures=("loss:style",))
    values = np.array([1.0, 50.0])[:, None, None] * np.ones((2, 5, 1))
    said = answer(StudyResult(Study(spec, tuple(points_of(spec)), (), Tools()), {"loss:style": values}))
    assert "vgg16 (own.safetensors): Loss style is 1; there is nothing to compare it with." in said
    assert "vgg16 (random weights): Loss style is 50" in said
