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


def tuning_lines(tuning: Tuning) -> dict[str, Series]:
    """The curves of style and content over the log odds of the strength, as lines of a chart.

    A line is the monotone fit of the finer curve; its dots are the scores of the pictures.
    """
    curve, finer = tuning.curve, tuning.finer
    places, between = ([log_odds(strength) for strength in each.strengths] for each in (curve, finer))

    def line(scores: Sequence[float], values: Sequence[float], *, rising: bool) -> Series:
        fitted = monotone(np.array(values, dtype=np.float64), rising=rising).tolist()
        return Series(between, fitted, dots=[*zip(places, scores, strict=True)])

    style = line(curve.style, finer.style, rising=True)
    return {"style": style, "content": line(curve.content, finer.content, rising=False)}


def tuning_chart(tuning: Tuning) -> Chart:
    """Chart of both curves, with all scores, the balance and the safe interval."""
    lines, found = tuning_lines(tuning), tuning.balance
    places = lines["style"].x
    return line_chart(
        lines,
        x_label="strength",
        y_label="probability of being recognised",
        ticks=strength_ticks(places[0], places[-1]),
        marked=(log_odds(found.strength), "balance"),
        span=None if found.low is None or found.high is None else (log_odds(found.low), log_odds(found.high)),
        dots="scores",
    )


def curve_csv(tuning: Tuning) -> str:
    """CSV with a row for each picture of the ladder, in the order of strength.

    Columns:
        strength: of the picture; the first is the photograph.
        style, content: the judge's scores.
    """
    rows = [tuple(f"{value:.5f}" for value in point) for point in tuning.curve.points]
    return Table(("strength", "style", "content"), tuple(rows)).csv()


def tuning_page(
    tuning: Tuning, result: Result, chart: Chart, pictures: tuple[Picture, Picture], names: tuple[str, str]
) -> str:
    """The page as HTML, with all pictures embedded."""
    found = tuning.balance
    # rounded as the strengths below the pictures are
    low, high = round(found.low or 1.0, 2), round(found.high or 0.0, 2)
    ladder = [
        {
            "picture": picture_uri(picture),
            "point": point,
            "safe": low <= round(point.strength, 2) <= high,
        }
        for point, picture in zip(tuning.curve.points, tuning.pictures, strict=True)
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
