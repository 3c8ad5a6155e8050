"""The report page of one tuning: both curves, the balance, and the pictures of the ladder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from artune.balance.curve import log_odds, monotone
from artune.balance.ladder import Tuning
from artune.files import write_together
from artune.images.picture import Picture
from artune.images.write import encoded
from artune.report.charts import Chart, Series, line_chart
from artune.report.page import drawing, page, picture_uri
from artune.report.tables import Table
from artune.transfer.result import Result

FILES = ("picture.png", "chart.png", "chart.svg", "curve.csv", "record.json", "index.html")
"""Names of the files that are written, in this order."""
STRENGTHS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98)
"""Strengths that are labelled on the chart's axis if they lie within its range."""


def write_tuning(
    folder: Path, tuning: Tuning, result: Result, pictures: tuple[Picture, Picture], names: tuple[str, str]
) -> None:
    """Write the page and its files; if one of them cannot be written, none is.

    Args:
        folder: folder to write to; it is created.
        tuning: the result of the search.
        result: the result at the strength that was found.
        pictures: photograph and painting.
        names: names of photograph and painting.

    Raises:
        OutputError: no permission, no space.
    """
    chart = tuning_chart(tuning)
    html = tuning_page(tuning, result, chart, pictures, names)
    picture = encoded(result.noted(), Path(FILES[0]).suffix)
    texts = (chart.svg, curve_csv(tuning), result.record.model_dump_json(indent=1), html)
    data = (picture, chart.png, *(text.encode() for text in texts))
    write_together(folder, dict(zip(FILES, data, strict=True)))


def tuning_chart(tuning: Tuning) -> Chart:
    """Chart of both curves over the log odds of the strength, with all scores, the balance and the safe interval."""
    curve, first, second, found = tuning.curve, tuning.scores.first, tuning.scores.second, tuning.balance
    places = [log_odds(strength) for strength in curve.strengths]
    seen = [log_odds(strength) for strength in first.strengths]
    safe = None if found.low is None or found.high is None else (log_odds(found.low), log_odds(found.high))

    def line(values: Sequence[float], at_first: Sequence[float], at_second: float, *, rising: bool) -> Series:
        fitted = monotone(np.array(values, dtype=np.float64), rising=rising).tolist()
        rings = tuple(zip(seen, at_first, strict=True))
        return Series(places, fitted, dots=values, rings=rings, diamonds=((log_odds(second.strength), at_second),))

    return line_chart(
        {
            "style": line(curve.style, first.style, second.style, rising=True),
            "content": line(curve.content, first.content, second.content, rising=False),
        },
        x_label="strength",
        y_label="recognised (0 is chance)",
        ticks=strength_ticks(places[0], places[-1]),
        marked=(log_odds(found.strength), "balance"),
        span=safe,
        dots="corrected",
        rings="first stage",
        diamonds="second stage",
    )


def curve_csv(tuning: Tuning) -> str:
    """CSV with a row for each picture of the ladder: its scores, and its corrected scores if it is in the curve.

    The column ``look`` says in which stage the picture was made.
    """
    scores = tuning.scores
    looks = ["photograph"] + ["first"] * (len(scores.corrected) - 1) + ["second"]
    said, right = (*scores.first.points, scores.second), (*scores.corrected, scores.second)
    rows = []
    for point, look, put in sorted(zip(said, looks, right, strict=True), key=lambda row: row[0]):
        values = [f"{value:.5f}" for value in (*point[1:], *(put[1:] if put else ()))]
        rows.append((f"{point.strength:.5f}", look, *values, *[""] * (4 - len(values))))
    return Table(("strength", "look", "style", "content", "style put right", "content put right"), tuple(rows)).csv()


def tuning_page(
    tuning: Tuning, result: Result, chart: Chart, pictures: tuple[Picture, Picture], names: tuple[str, str]
) -> str:
    """The page as HTML, with all pictures embedded."""
    scores, found = tuning.scores, tuning.balance
    low, high = (
        round(found.low or 1.0, 2),
        round(found.high or 0.0, 2),
    )  # rounded like the strengths below the pictures
    said = [*scores.first.points, scores.second]
    ladder = [
        {
            "picture": picture_uri(picture),
            "point": point,
            "safe": low <= round(point.strength, 2) <= high,
            "second": point is scores.second,
        }
        for point, picture in sorted(zip(said, tuning.pictures, strict=True), key=lambda each: each[0])
    ]
    return page(
        "artune.balance",
        "tune.html",
        content_name=names[0],
        style_name=names[1],
        sentence=str(found),
        confidence=found.confidence,
        strength=found.strength,
        safe=found.low is not None,
        kept=found.kept,
        photograph=picture_uri(pictures[0], 480),
        painting=picture_uri(pictures[1], 480),
        result=picture_uri(result.picture, 1024),
        chart=drawing(chart.svg),
        ladder=ladder,
    )


def strength_ticks(low: float, high: float) -> dict[float, str]:
    """Axis labels of the strengths in a range of log odds, and slightly beyond it, by their log odds."""
    return {log_odds(s): f"{s:g}" for s in STRENGTHS if low - 0.3 <= log_odds(s) <= high + 0.3}
