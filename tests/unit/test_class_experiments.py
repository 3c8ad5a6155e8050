"""Accuracy against the weight: by hand, and the bands against distributions that are known."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.stats import binom

from artune.balance.curve import Reason
from artune.errors import InputError, PictureError, UnknownNameError
from artune.images.picture import Picture
from artune.images.write import write_picture
from artune.recipes import find_recipe
from artune.record import Record
from artune.report.tables import Table
from artune.spec.study import Example, RunSpec
from artune.spec.style import StyleSpec
from artune.studies.classes import Judged, equilibrium, findings, matched, resampled
from artune.studies.grid import Weight, weight_of, with_ratios, with_strengths
from artune.studies.measures import Witness, hear
from artune.studies.store import Entry, Store, Verdict
from tests.judges import CONTENTS, Judge

CLASSES = {"content": ("cat", "dog"), "style": ("ink", "oil")}


def verdict(side, answer, sure=0.8):
    other = 1 - sure
    probabilities = (sure, other) if answer == CLASSES[side][0] else (other, sure)
    return Verdict(picture="p", side=side, judge="j", classes=CLASSES[side], probabilities=probabilities)


def judged(specs, content_hits, style_hits):
    """Two contents of one class each in two styles, at each weight so many of the four right."""
    out = []
    for spec, content_right, style_right in zip(specs, content_hits, style_hits, strict=True):
        pairs = [(content, style) for content in CLASSES["content"] for style in CLASSES["style"]]
        for place, (content, style) in enumerate(pairs):
            said = [
                verdict(side, label if place < right else next(c for c in CLASSES[side] if c != label))
                for side, label, right in (("content", content, content_right), ("style", style, style_right))
            ]
            run = RunSpec(
                content=Example(file=Path(f"{content}.png"), label=content),
                style=Example(file=Path(f"{style}.png"), label=style),
                spec=spec,
            )
            out.append(Judged(f"{place}", run, *said))
    return out


def ratios(*pairs):
    return with_ratios(find_recipe("tutorial").spec, pairs)


def test_by_hand():
    found = findings(judged(ratios((1e3, 1), (1e4, 1), (1e5, 1)), (4, 2, 0), (0, 2, 3)), draws=50)
    assert [weight.label for weight in found.weights] == ["1e3:1", "1e4:1", "1e5:1"]
    assert found.counts == (4, 4, 4)
    assert found.accuracy["content"].value == (1.0, 0.5, 0.0)
    assert found.accuracy["style"].value == (0.0, 0.5, 0.75)
    assert found.probability["style"] == pytest.approx((0.2, 0.5, 0.65))
    assert found.equilibrium.reason is Reason.CROSSED
    assert found.equilibrium.place == pytest.approx(math.log(1e4))
    assert str(found.equilibrium).startswith("both are recognised alike at 1e4:1 (95 % of the draws: ")
    assert found.tables["content"].head == ("class", "pictures in all", "1e3:1", "1e4:1", "1e5:1")
    assert found.tables["content"].rows == (
        ("cat", "6", "1.000", "1.000", "0.000"),
        ("dog", "6", "1.000", "0.000", "0.000"),
    )
    assert found.tables["style"].rows == (
        ("ink", "6", "0.000", "0.500", "1.000"),
        ("oil", "6", "0.000", "0.500", "0.500"),
    )
    assert found.table().head[:4] == ("weight", "pictures", "content", "content_low")
    assert found.table().rows[2][:3] == ("1e5:1", "4", "0.000")


def test_half_way_between_two_weights():
    """From 1 and 0 to 0 and 1: they cross in the middle of the logarithms."""
    found = findings(judged(ratios((1e2, 1), (1e6, 1)), (4, 0), (0, 4)), draws=20)
    assert found.equilibrium.place == pytest.approx(math.log(1e4))
    assert found.equilibrium.inner == pytest.approx((math.log(1e4),) * 2)
    assert found.equilibrium.low is None  # where the one keeps 0.8 of its best, the other keeps 0.2
    assert "there is no safe interval" in str(found.equilibrium)


def test_curves_that_meet_on_a_stretch_cross_in_its_middle():
    """Means of thirds are not exact: the curves are one from 1 to 2, but for rounding."""
    weights = [Weight(float(place), f"{place}", True) for place in range(-3, 4)]
    style, content = ((0, 1, 1, 2, 2, 2, 4), (10, 10, 7, 3, 2, 2, 0))
    cells = [(np.arange(10) < np.array(hits)[:, None]).astype(float)[..., None] for hits in (content, style)]
    found = equilibrium(weights, *cells, draws=5)
    assert found.place == pytest.approx(1.5)
    ends = [np.array(hits)[:, None, None] / 10 for hits in ([9, 8, 8, 8], [1, 3, 3, 8])]
    assert equilibrium(weights[:4], *ends, draws=5).reason is Reason.CROSSED


def test_a_draw_or_two_in_which_nothing_changes_need_no_word():
    weights = [Weight(place, f"{place}", True) for place in (-1.0, 1.0)]
    found = equilibrium(weights, np.array([[[1.0]], [[0.0]]]), np.array([[[0.0]], [[1.0]]]), draws=5)
    assert "(95 % of the draws: 1:1)" in str(replace(found, settled=0.996))
    assert "in which an accuracy changes, 99 % of all" in str(replace(found, settled=0.99))


def test_weights_of_one_ratio_are_one_place():
    """1e5:1 and 1e6:10 have rows of their own, and their mean in the curve."""
    found = findings(judged(ratios((1e5, 1), (1e6, 10), (1e7, 1)), (4, 2, 1), (0, 2, 3)), draws=20)
    assert [weight.label for weight in found.weights] == ["1e5:1", "1e6:10", "1e7:1"]
    straight = findings(judged(ratios((1e5, 1), (1e7, 1)), (3, 1), (1, 3)), draws=20)
    assert found.equilibrium.place == pytest.approx(straight.equilibrium.place)


def test_strengths_and_ratios_of_the_same_odds_agree():
    strengths = [1 / 11, 1 / 2, 10 / 11]
    found = findings(judged(with_strengths(StyleSpec(), strengths), (4, 3, 1), (0, 2, 3)), draws=30)
    other = findings(judged(ratios((0.1, 1), (1, 1), (10, 1)), (4, 3, 1), (0, 2, 3)), draws=30)
    assert found.equilibrium.place == pytest.approx(other.equilibrium.place)
    assert found.equilibrium.inner == pytest.approx(other.equilibrium.inner)
    assert not found.equilibrium.ratio
    with pytest.raises(InputError, match="no common axis"):
        findings(judged([*with_strengths(StyleSpec(), [0.5]), *ratios((1, 1))], (4, 3), (0, 2)))


@pytest.mark.parametrize(
    ("content", "style", "reason", "said"),
    [
        (
            (4, 4, 3),
            (1, 2, 2),
            Reason.NO_CROSSING,
            "do not cross: the style stays below, and comes nearest at 0.",
        ),
        ((2, 1, 0), (4, 4, 4), Reason.NO_CROSSING, "do not cross: the content stays below"),
        ((3, 3, 3), (2, 2, 2), Reason.FLAT, "any is as good"),
        ((0, 4, 0), (4, 0, 4), Reason.NOT_MONOTONE, "a crossing says little"),
    ],
)
def test_without_a_crossing(content, style, reason, said):
    found = findings(judged(with_strengths(StyleSpec(), [0.1, 0.5, 0.9]), content, style), draws=20).equilibrium
    assert found.reason is reason
    assert said in str(found)


def test_one_weight_has_no_equilibrium():
    found = findings(judged(ratios((5e4, 1)), (4,), (2,)), draws=20)
    assert found.equilibrium is None
    assert found.accuracy["style"].value == (0.5,)
    with pytest.raises(InputError, match="no result to judge"):
        findings([])


def test_draws_of_one_content_are_binomial():
    """With one content and n styles, a draw is the mean of n independent ones."""
    hits, n = 13, 20
    cells = (np.arange(n) < hits).astype(float)[None, None]
    draws = resampled(cells, 20_000, seed=1)[:, 0]
    assert draws.mean() == pytest.approx(hits / n, abs=0.003)
    for share in (0.025, 0.25, 0.5, 0.75, 0.975):
        assert np.quantile(draws, share) * n == pytest.approx(binom.ppf(share, n, hits / n), abs=1)


def test_what_all_results_of_a_content_share_is_not_counted_often():
    """Where the content alone decides, a hundred styles tell no more than one."""
    n, hits = 16, 12
    cells = np.repeat((np.arange(n) < hits).astype(float)[None, :, None], 100, axis=2)
    share = hits / n
    assert resampled(cells, 20_000).std() == pytest.approx(math.sqrt(share * (1 - share) / n), rel=0.03)


def test_contents_and_styles_are_drawn_once_for_all_weights():
    rng = np.random.default_rng(0)
    cells = np.repeat(rng.integers(0, 2, (1, 6, 5)).astype(float), 3, axis=0)
    draws = resampled(cells, 100, seed=2)
    assert np.array_equal(draws[:, 0], draws[:, 2])
    assert np.ptp(draws[:, 0]) > 0
    assert np.array_equal(draws, resampled(cells, 100, seed=2))
    assert not np.array_equal(draws, resampled(cells, 100, seed=3))


def test_missing_results_are_left_out():
    cells = np.ones((1, 4, 4))
    cells[0, 1, :3] = np.nan
    draws = resampled(cells, 200)
    assert np.all(draws == 1)
    cells[0, :, 1:] = np.nan  # one style is left: some draws hold nothing
    assert np.isnan(resampled(cells, 200)).any()
    assert np.nanmin(resampled(cells, 200)) == 1


def test_where_a_draw_holds_nothing_it_does_not_count():
    weights = [Weight(place, f"{place}", True) for place in (0.0, 2.0)]
    content, style = np.ones((2, 2, 2)), np.ones((2, 2, 2))
    content[1], style[0] = 0, 0
    content[:, 0] = style[:, 0] = np.nan
    found = equilibrium(weights, content, style, draws=100)
    assert found.inner == pytest.approx((1.0, 1.0))


def test_draws_without_an_equilibrium_are_counted():
    """Of two contents one is recognised alike at every weight: a quarter of the draws hold that one alone."""
    weights = [Weight(place, f"{place}", True) for place in (-1.0, 1.0)]
    content, style = (np.array([[[a], [0.5]], [[b], [0.5]]]) for a, b in ((1.0, 0.0), (0.0, 1.0)))
    found = equilibrium(weights, content, style, draws=4000)
    assert found.settled == pytest.approx(0.75, abs=0.03)
    assert found.inner == pytest.approx((0.0, 0.0))
    assert f"95 % of the draws in which an accuracy changes, {100 * found.settled:.0f} % of all: 1:1)" in str(found)
    none = equilibrium(weights, content[:, 1:], style[:, 1:], draws=10)
    assert (none.inner, none.settled, none.low, none.reason) == (None, 0.0, None, Reason.FLAT)
    assert "any is as good" in str(none)


def test_draws_that_do_not_cross_are_beyond_the_weights():
    """Of one of two contents the curves never meet: in a quarter of the draws it is alone."""
    weights = [Weight(place, f"{place}", True) for place in (-1.0, 1.0)]
    content = np.array([[[1.0], [1.0]], [[0.8], [0.0]]])
    style = np.array([[[0.0], [0.0]], [[0.2], [1.0]]])
    found = equilibrium(weights, content, style, draws=1000)
    assert found.place == pytest.approx(2 / 3)  # from 1 and 0 to 0.4 and 0.6
    assert found.inner == pytest.approx((0.0, math.inf))
    assert "(95 % of the draws: 1:1 to above 2.7:1)" in str(found)
    mirrored = equilibrium(weights, style[::-1], content[::-1], draws=1000)
    assert mirrored.inner == pytest.approx((-math.inf, 0.0))
    assert "(95 % of the draws: below 0.37:1 to 1:1)" in str(mirrored)
    none = equilibrium(weights, content[:, :1], np.array([[[0.0]], [[0.5]]]), draws=10)
    assert none.reason is Reason.NO_CROSSING
    assert "(95 % of the draws: above 2.7:1)" in str(none)


def test_weights_of_one_ratio_are_one_place_however_many_pictures_are_missing():
    weights = [Weight(place, f"{place}", True) for place in (-1.0, 1.0, 1.0)]
    content, style = np.ones((3, 2, 1)), np.zeros((3, 2, 1))
    content[1:, 0], style[1:] = 0.0, 0.5
    whole = equilibrium(weights, content, style, draws=5)
    content[2, 0] = style[2, 0] = np.nan  # which was 0 in the other of its ratio, too
    assert equilibrium(weights, content, style, draws=5) == whole


def test_runs_meet_what_was_said_of_them():
    run = judged(ratios((1, 1)), (4,), (4,))[0].run
    said = {("k", side, side): verdict(side, CLASSES[side][0]) for side in CLASSES}
    said["k", "style", "another judge"] = verdict("style", "oil")
    (found,) = matched({"k": run, "unseen": run}, said, {"content": "content", "style": "style"})
    assert (found.key, found.style.answer) == ("k", "ink")


@pytest.fixture
def seen(tmp_path):
    """A store with two results, and two pictures as they are."""
    light, dark = (Picture(np.full((8, 6, 3), level, np.float32)) for level in (0.9, 0.1))
    plain = []
    for label, picture in (("light", light), ("dark", dark)):
        write_picture(picture, tmp_path / label / "0.png")
        plain.append(Example(file=tmp_path / label / "0.png", label=label))
    spec = StyleSpec(strength=0.5)
    run = RunSpec(content=plain[0], style=plain[1], spec=spec)
    with Store.open(tmp_path / "out") as store:
        for key, picture in (("a", light), ("b", dark)):
            store.add(Entry(key=key, run=run, record=Record(key=key, spec=spec, digests={})), picture)
        yield store, plain


def test_a_judge_sees_each_picture_once(seen):
    store, plain = seen
    judge, told = Judge(CONTENTS), []
    found = hear(Witness("content", judge, "first"), "ab", plain, 8, store, lambda *count: told.append(count))
    assert (found.accuracy, found.count, found.known) == (1.0, 2, 2)
    assert store.verdicts["a", "content", "first"].answer == "light"
    assert store.verdicts["b", "content", "first"].of("dark") == pytest.approx(
        torch.tensor(6.4).sigmoid().item(), abs=0.01
    )
    assert judge.seen == 4
    assert told[-1] == (4, 4)
    hear(Witness("content", judge, "first"), "ab", plain, 8, store)
    assert judge.seen == 4
    hear(Witness("content", judge, "first"), "ab", plain, 16, store)  # the results stay; the untouched ones are larger
    assert judge.seen == 6
    hear(Witness("content", judge, "another"), "ab", plain, 8, store)
    assert judge.seen == 10


def test_a_damaged_result_is_named_with_what_to_do(seen):
    store, plain = seen
    data = bytearray(store.picture("a").read_bytes())
    data[len(data) // 2] ^= 255
    store.picture("a").write_bytes(data)
    with pytest.raises(PictureError, match="remove the file, and artune classes makes it again"):
        hear(Witness("content", Judge(CONTENTS), "first"), "ab", plain, 8, store)


def test_a_picture_that_cannot_be_read_is_left_out_of_those_as_they_are(seen, tmp_path):
    store, plain = seen
    (tmp_path / "torn.png").write_bytes(b"torn")
    torn = Example(file=tmp_path / "torn.png", label="dark")
    found = hear(Witness("content", Judge(CONTENTS), "first"), "ab", [torn, *plain], 8, store)
    assert (found.accuracy, found.count) == (1.0, 2)


def test_what_a_judge_said_with_other_classes_does_not_count(seen):
    store, plain = seen
    said = {"picture": "a", "side": "content", "judge": "first"}
    store.add_verdicts([Verdict(**said, classes=("wet", "dry"), probabilities=(0.9, 0.1))])
    hear(Witness("content", Judge(CONTENTS), "first"), "ab", plain, 8, store)
    assert store.verdicts["a", "content", "first"].answer == "light"
    for classes, probabilities in (((), ()), (("wet", "dry"), (1.0,))):
        with pytest.raises(ValidationError, match="a probability for each class"):
            Verdict(**said, classes=classes, probabilities=probabilities)


def test_a_judge_of_other_classes_is_refused():
    with pytest.raises(UnknownNameError, match="no class 'ligth' in the content judge; did you mean light"):
        Witness("content", Judge(CONTENTS), "").check(["dark", "ligth"])


def test_a_table_in_two_formats():
    table = Table(("class", "a|b"), (("x,y", "1"), ("z", "10")))
    assert table.csv() == 'class,a|b\n"x,y",1\nz,10\n'
    assert table.markdown() == "| class | a\\|b |\n| ----- | ---: |\n| x,y   |    1 |\n| z     |   10 |\n"


def test_a_weight_comes_from_its_run():
    (each,) = judged(ratios((1e6, 10)), (4,), (4,))[:1]
    assert each.weight == weight_of(each.run.spec)


@pytest.mark.parametrize("reach", [1e-6, 1.0, 34.0])
def test_an_axis_may_be_of_any_length(reach):
    """What is found scales with the axis: a crossing at a quarter of it."""
    weights = [Weight(place * reach + 3, f"{place}", True) for place in (-1.0, 0.0, 1.0)]
    content, style = (np.array(values)[:, None, None] for values in ((1.0, 0.9, 0.2), (0.0, 0.7, 0.8)))
    found = equilibrium(weights, content, style, draws=5)
    assert found.reason is Reason.CROSSED
    assert (found.place - 3) / reach == pytest.approx(0.25)
    assert ((found.low - 3) / reach, (found.high - 3) / reach) == pytest.approx((0.64 / 0.7 - 1, 0.1 / 0.7))


def test_accuracies_of_few_pictures_may_go_up_and_down():
    """A fifth more at a higher weight: by chance."""
    weights = [Weight(float(place), f"{place}", True) for place in range(5)]
    accuracies = (1.0, 0.9, 0.5, 0.7, 0.2), (0.1, 0.3, 0.2, 0.6, 0.7)
    content, style = (np.array(values)[:, None, None] for values in accuracies)
    found = equilibrium(weights, content, style, draws=5)
    assert found.reason is Reason.CROSSED
    assert found.confidence > 0.3
