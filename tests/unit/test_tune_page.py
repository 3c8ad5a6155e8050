"""The page of one pair: what its chart, its table and its pictures say of a tuning that is known."""

import csv
import io
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from artune.balance.curve import Balance, Curve, Reason, log_odds
from artune.balance.ladder import Tuning
from artune.balance.page import curve_csv, strength_ticks, tuning_chart, tuning_lines, tuning_page
from artune.images.picture import Picture
from artune.report.charts import Chart

SVG = "{http://www.w3.org/2000/svg}"
CURVE = Curve((0.05, 0.2, 0.5, 0.55, 0.9), (0.01, 0.31, 0.51, 0.62, 0.43), (0.97, 0.86, 0.72, 0.68, 0.25))
FINER = Curve(
    (0.05, 0.1, 0.2, 0.5, 0.55, 0.7, 0.9),
    (0.01, 0.2, 0.31, 0.51, 0.62, 0.5, 0.43),
    (0.97, 0.9, 0.86, 0.72, 0.68, 0.4, 0.25),
)
BALANCE = Balance(0.4, 0.204, 0.496, Reason.CROSSED, 0.9, 0.6, 0.7, 0.45)


def flat(level):
    return Picture(np.full((4, 6, 3), level, np.float32))


@pytest.fixture
def tuning():
    pictures = tuple(flat(place / 10) for place in range(5))
    return Tuning(BALANCE, CURVE, FINER, pictures)


def test_the_lines_are_monotone_and_their_dots_are_the_scores(tuning):
    lines = tuning_lines(tuning)
    for side in ("style", "content"):
        line, values = lines[side], getattr(tuning.finer, side)
        places = [log_odds(strength) for strength in tuning.curve.strengths]
        assert line.dots == [*zip(places, getattr(tuning.curve, side), strict=True)]
        assert line.x == [log_odds(strength) for strength in tuning.finer.strengths]
        steps = np.diff(line.y)
        assert np.all(steps >= 0) if side == "style" else np.all(steps <= 0)
        assert np.mean(line.y) == pytest.approx(np.mean(values))  # the nearest by least squares


def drawn(tuning):
    """Of the chart: the log odds of the dashed lines, and of the ends of what is shaded."""
    chart = ET.fromstring(tuning_chart(tuning).svg)
    axes = next(group for group in chart.iter(f"{SVG}g") if group.get("id") == "axes_1")
    ticks = [group for group in axes.iter(f"{SVG}g") if group.get("id", "").startswith("xtick")]
    labelled = strength_ticks(*(log_odds(tuning.curve.strengths[end]) for end in (0, -1)))
    slope, offset = np.polyfit([float(tick.find(f".//{SVG}use").get("x")) for tick in ticks], [*labelled], 1)

    def places(mark):
        paths = [path.get("d") for path in axes.iter(f"{SVG}path") if mark in path.get("style", "")]
        return [[slope * float(x) + offset for x in re.findall(r"[ML] ([\d.]+)", path)] for path in paths]

    return [np.mean(line) for line in places("stroke-dasharray")], [(min(x), max(x)) for x in places("#e9e2d0")]


def test_the_chart_marks_the_balance_and_the_safe_interval(tuning):
    (balance,), (safe,) = drawn(tuning)
    assert balance == pytest.approx(log_odds(0.4), abs=1e-3)
    assert safe == pytest.approx((log_odds(0.204), log_odds(0.496)), abs=1e-3)
    (balance,), unsafe = drawn(replace(tuning, balance=replace(BALANCE, low=None, high=None)))
    assert balance == pytest.approx(log_odds(0.4), abs=1e-3)
    assert unsafe == []


def test_the_table_holds_all_scores(tuning):
    rows = list(csv.DictReader(io.StringIO(curve_csv(tuning))))
    judged = [(float(row["strength"]), float(row["style"]), float(row["content"])) for row in rows]
    np.testing.assert_allclose(judged, CURVE.points, atol=1e-5)


@pytest.mark.usefixtures("untyped")
def test_the_page_frames_what_is_safe(tuning):
    result = SimpleNamespace(picture=flat(1.0))
    html = tuning_page(tuning, result, Chart("<svg/>", b""), (flat(0.2), flat(0.8)), ("photo", "painting"))
    figures = re.findall(
        r'<figure( class="safe")?><img [^>]*alt="strength ([\d.]+)">\s*<figcaption>(.*?)</figcaption>', html
    )
    assert [(strength, bool(safe)) for safe, strength, _ in figures] == [
        ("0.05", False),
        ("0.20", True),  # which 0.204 is, as it is read
        ("0.50", True),
        ("0.55", False),
        ("0.90", False),
    ]
    assert figures[1][2] == "0.20: style 0.31, content 0.86"
    assert figures[3][2] == "0.55: style 0.62, content 0.68"
    assert "strength 0.40; safe from 0.20 to 0.50. Confidence 0.90." in html
    unsafe = replace(tuning, balance=replace(BALANCE, low=None, high=None))
    html = tuning_page(unsafe, result, Chart("<svg/>", b""), (flat(0.2), flat(0.8)), ("photo", "painting"))
    assert 'class="safe"' not in html
    assert "with a frame" not in html
