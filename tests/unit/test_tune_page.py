"""The page of one pair: what its chart, its table and its pictures say of a tuning that is known."""

import csv
import io
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from artune.balance import page as report
from artune.balance.curve import Balance, Curve, CurvePoint, LadderScores, Reason, log_odds
from artune.balance.ladder import Tuning
from artune.images.picture import Picture
from artune.report.charts import Chart

FIRST = Curve((0.05, 0.2, 0.5, 0.9), (0.01, 0.31, 0.51, 0.43), (0.97, 0.86, 0.72, 0.25))
SECOND = CurvePoint(0.55, 0.62, 0.68)
BALANCE = Balance(0.4, 0.204, 0.496, Reason.CROSSED, 0.9, 0.6, 0.7, 0.45)


def flat(level):
    return Picture(np.full((4, 6, 3), level, np.float32))


@pytest.fixture
def tuning():
    pictures = tuple(flat(place / 10) for place in range(5))
    return Tuning(BALANCE, LadderScores(FIRST, SECOND), pictures)


@pytest.mark.usefixtures("untyped")
def test_the_chart_shows_what_was_seen_beside_what_was_put_right(tuning, monkeypatch):
    drawn = {}
    monkeypatch.setattr(report, "line_chart", lambda lines, **options: drawn.update(options, **lines))
    report.tuning_chart(tuning)
    places = [log_odds(strength) for strength in FIRST.strengths]
    for side in ("style", "content"):
        line, values = drawn[side], getattr(tuning.curve, side)
        assert line.rings == tuple(zip(places, getattr(FIRST, side), strict=True))
        assert line.diamonds == ((log_odds(SECOND.strength), getattr(SECOND, side)),)
        assert line.dots == values
        assert line.x == [log_odds(strength) for strength in tuning.curve.strengths]
        steps = np.diff(line.y)
        assert np.all(steps >= 0) if side == "style" else np.all(steps <= 0)
        assert np.mean(line.y) == pytest.approx(np.mean(values))  # the nearest by least squares
    assert drawn["marked"] == (log_odds(0.4), "balance")
    assert drawn["span"] == (log_odds(0.204), log_odds(0.496))
    report.tuning_chart(replace(tuning, balance=replace(BALANCE, low=None, high=None)))
    assert drawn["span"] is None


def test_the_table_holds_all_that_was_seen(tuning):
    rows = list(csv.DictReader(io.StringIO(report.curve_csv(tuning))))
    assert [row["look"] for row in rows] == ["photograph", "first", "first", "second", "first"]
    seen = [(float(row["strength"]), float(row["style"]), float(row["content"])) for row in rows]
    np.testing.assert_allclose(seen, sorted([*FIRST.points, SECOND]), atol=1e-5)
    # 0.5 is within 0.4 of log odds from the second look, which takes its place
    assert [row["style put right"] == "" for row in rows] == [False, False, True, False, False]
    assert [row["content put right"] == "" for row in rows] == [False, False, True, False, False]
    right = [
        (float(r["strength"]), float(r["style put right"]), float(r["content put right"]))
        for r in rows
        if r["style put right"]
    ]
    np.testing.assert_allclose(right, tuning.curve.points, atol=1e-5)


@pytest.mark.usefixtures("untyped")
def test_the_page_frames_what_is_safe(tuning):
    result = SimpleNamespace(picture=flat(1.0))
    html = report.tuning_page(tuning, result, Chart("<svg/>", b""), (flat(0.2), flat(0.8)), ("photo", "painting"))
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
    assert figures[3][2] == "0.55, larger: style 0.62, content 0.68"
    assert "strength 0.40; safe from 0.20 to 0.50. Confidence 0.90." in html
    unsafe = replace(tuning, balance=replace(BALANCE, low=None, high=None))
    html = report.tuning_page(unsafe, result, Chart("<svg/>", b""), (flat(0.2), flat(0.8)), ("photo", "painting"))
    assert 'class="safe"' not in html
    assert "with a frame" not in html
