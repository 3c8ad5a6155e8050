"""The report of a class study: a page, tables and a chart."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from artune.balance.curve import KEPT_SHARE
from artune.files import write_together
from artune.report.charts import Chart, Series, line_chart
from artune.report.page import drawing, page, picture_uri
from artune.report.tables import Table
from artune.spec.style import optimise_of
from artune.studies.classes import StudyResult
from artune.studies.entries import picture_file, read_result
from artune.studies.findings import Findings, Judged

ROWS = 8
"""Number of pairs of photograph and painting that the page shows."""
SHOWN = 160
"""Longer side of the pictures on the page, pixels."""


def write_report(folder: Path, result: StudyResult) -> None:
    """Write the page, its tables, its chart and a summary into a folder of results.

    Args:
        folder: of the results, with their pictures.
        result: of the study.

    Raises:
        OutputError: no permission, no space.
        PictureError: a picture of the folder cannot be read.
    """
    found, judged = result.findings, result.judged
    chart, spec = findings_chart(found), judged[0].run.spec
    made = {"network": optimise_of(spec).network, "size": spec.size, "quality": optimise_of(spec).quality}
    tables = {"accuracy": found.table(), "contents": found.tables["content"], "styles": found.tables["style"]}
    files = {
        "chart.png": chart.png,
        "chart.svg": chart.svg.encode(),
        "summary.json": json.dumps(_summary(result, made), indent=1).encode(),
    }
    for name, table in tables.items():
        files |= {f"{name}.csv": table.csv().encode(), f"{name}.md": table.markdown().encode()}
    html = page(
        "artune.studies",
        "classes.html",
        sentence=str(found.equilibrium) if found.equilibrium else "",
        kept=KEPT_SHARE,
        count=len(judged),
        contents=len({each.run.content.file for each in judged}),
        styles=len({each.run.style.file for each in judged}),
        untouched=result.untouched,
        made=made,
        chart=drawing(chart.svg),
        tables=[
            ("Accuracy at each weight, with the ends of the bands", _plain(tables["accuracy"])),
            ("Content recognised, by class", _plain(tables["contents"])),
            ("Style recognised, by class", _plain(tables["styles"])),
        ],
        sheet=_sheet(folder, judged),
        lost=result.failed,
        failed=result.failures,
    )
    write_together(folder, {**files, "index.html": html.encode()})


def findings_chart(found: Findings) -> Chart:
    """The chart: both accuracies with their bands, the equilibrium and the safe interval."""
    places = [weight.place for weight in found.weights]
    even = found.equilibrium
    balance = (even.place, "equilibrium") if even and even.found else None
    safe = None if even is None or even.low is None or even.high is None else (even.low, even.high)
    bands = {side: found.accuracy[side] for side in ("style", "content")}
    return line_chart(
        {side: Series(places, band.value, band.low, band.high) for side, band in bands.items()},
        x_label="style weight : content weight" if found.weights[0].ratio else "strength",
        y_label="accuracy",
        ticks={weight.place: weight.label for weight in reversed(found.weights)},  # at one place the first label
        marked=balance,
        span=safe,
    )


def _summary(result: StudyResult, made: Mapping[str, object]) -> dict[str, object]:
    found = result.findings
    even = found.equilibrium
    balance: dict[str, object] | None = None
    if even is not None and not even.found:
        balance = {"reason": str(even.reason), "confidence": even.confidence, "settled": even.settled}
    elif even is not None:
        safe = [None if place is None else even.name(place) for place in (even.low, even.high)]
        balance = {
            "weight": even.name(even.place),
            "inner_95": list(even.ends),
            "settled": even.settled,
            "safe": safe,
            "reason": str(even.reason),
            "confidence": even.confidence,
            "logarithm": even.place,
        }
    return {
        "pictures": sum(found.counts),
        "failed": result.failed,
        "equilibrium": balance,
        "made": made,
        "untouched": {side: asdict(each) for side, each in result.untouched.items()},
    }


def _plain(table: Table) -> dict[str, Sequence[object]]:
    return {"head": table.head, "rows": table.rows}


def _sheet(folder: Path, judged: Sequence[Judged]) -> list[dict[str, object]]:
    """Some pairs at all weights, from as many classes of styles and of contents as there is room for."""
    pairs: dict[tuple[Path, Path], list[Judged]] = {}
    for each in judged:
        pairs.setdefault((each.run.content.file, each.run.style.file), []).append(each)
    styles = sorted({each.label("style") for each in judged})
    contents = sorted({each.label("content") for each in judged})

    def turn(row: Sequence[Judged]) -> tuple[int, int]:
        style, content = styles.index(row[0].label("style")), contents.index(row[0].label("content"))
        return (content - style) % len(contents), style

    rows = sorted(pairs.values(), key=turn)[:ROWS]
    return [
        {
            "content": row[0].label("content"),
            "style": row[0].label("style"),
            "pictures": [
                {
                    "picture": picture_uri(read_result(picture_file(folder, each.key)), SHOWN),
                    "weight": each.weight.label,
                    "content": bool(each.hit("content")),
                    "style": bool(each.hit("style")),
                }
                for each in sorted(row, key=lambda each: each.weight)
            ],
        }
        for row in rows
    ]
