"""The page of one pair of pictures: both curves, the balance, and the pictures from content to style."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from artune.files import write_together
from artune.images import Picture, encoded
from artune.report.charts import Chart, Line, line_chart, strength_ticks
from artune.report.page import drawing, page, picture_uri
from artune.report.tables import Table
from artune.transfer.style import Result
from artune.transfer.tune import Tuning
from artune.tuning import log_odds, monotone

FILES = ("picture.png", "chart.png", "chart.svg", "curve.csv", "record.json", "index.html")
"""What is written, in this order."""


def write_tuning(
    folder: Path, tuning: Tuning, result: Result, pictures: tuple[Picture, Picture], names: tuple[str, str]
) -> None:
    """Write the page and what it shows, all or none of it.

    Args:
        folder: where; it is made.
        tuning: how the strength was found.
        result: the picture of that strength.
        pictures: photograph and painting.
        names: theirs.

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
    """Both curves over the log odds of the strength, with balance and safe interval.

    Rings: what the judge said. Dots: the same, put right.
    """
    curve, seen, found = tuning.curve, tuning.explored.seen, tuning.balance
    places = [log_odds(strength) for strength in curve.strengths]
    safe = None if found.low is None or found.high is None else (log_odds(found.low), log_odds(found.high))
    return line_chart(
        {
            "style": Line(places, _fitted(curve.style, rising=True), dots=curve.style, rings=seen.style),
            "content": Line(places, _fitted(curve.content, rising=False), dots=curve.content, rings=seen.content),
        },
        x_label="strength",
        y_label="recognised (0 is chance)",
        ticks=strength_ticks(places[0], places[-1]),
        marked=log_odds(found.strength),
        span=safe,
    )


def _fitted(values: Sequence[float], *, rising: bool) -> list[float]:
    return [float(value) for value in monotone(np.array(values, dtype=np.float64), rising=rising)]


def curve_csv(tuning: Tuning) -> str:
    """Strength, style and content put right, and as they were seen: a line for each picture of the ladder."""
    curve, seen = tuning.curve, tuning.explored.seen
    rows = zip(curve.strengths, curve.style, curve.content, seen.style, seen.content, strict=True)
    head = ("strength", "style", "content", "style seen", "content seen")
    return Table(head, tuple(tuple(f"{value:.5f}" for value in row) for row in rows)).csv()


def tuning_page(
    tuning: Tuning, result: Result, chart: Chart, pictures: tuple[Picture, Picture], names: tuple[str, str]
) -> str:
    """The page as HTML; every picture is inside."""
    seen, found = tuning.explored.seen, tuning.balance
    low, high = (found.low or 1.0, found.high or 0.0)
    ladder = [
        {
            "picture": picture_uri(picture),
            "strength": f"{strength:.2f}",
            "style": f"{style:.2f}",
            "content": f"{content:.2f}",
            "safe": low <= strength <= high,
        }
        for picture, strength, style, content in zip(
            tuning.pictures, seen.strengths, seen.style, seen.content, strict=True
        )
    ]
    return page(
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
        looked=tuning.explored.looked,
        ladder=ladder,
    )
