"""What an experiment on classes found, as a page, tables and a chart."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from artune.balance.curve import KEPT
from artune.files import write_together
from artune.report.charts import Chart, Line, line_chart
from artune.report.page import drawing, page, picture_uri
from artune.report.tables import Table
from artune.studies.classes import Findings, Judged
from artune.studies.measures import Untouched
from artune.studies.store import Failure, Side, picture_file, read_result

ROWS = 8
"""Pairs of pictures on the page."""
SHOWN = 160
"""Their longer side, pixels."""


def write_findings(
    folder: Path,
    found: Findings,
    judged: Sequence[Judged],
    untouched: Mapping[Side, Untouched],
    failed: Sequence[Failure] = (),
) -> None:
    """Write the page and what it shows into a folder of results.

    Args:
        folder: where the pictures are.
        found: what was found.
        judged: in what.
        untouched: both judges on the pictures that went in.
        failed: why there are pictures missing.

    Raises:
        OutputError: no permission, no space.
    """
    lost = sum(len(each.runs) for each in failed)
    chart, spec = findings_chart(found), judged[0].run.spec
    made = {"network": spec.method.network, "size": spec.size, "quality": spec.method.quality}
    tables = {"accuracy": found.table(), "contents": found.tables["content"], "styles": found.tables["style"]}
    files = {
        "chart.png": chart.png,
        "chart.svg": chart.svg.encode(),
        "summary.json": json.dumps(_summary(found, untouched, lost, made), indent=1).encode(),
    }
    for name, table in tables.items():
        files |= {f"{name}.csv": table.csv().encode(), f"{name}.md": table.markdown().encode()}
    html = page(
        "classes.html",
        sentence=str(found.equilibrium) if found.equilibrium else "",
        kept=KEPT,
        count=len(judged),
        contents=len({each.run.content.file for each in judged}),
        styles=len({each.run.style.file for each in judged}),
        untouched=untouched,
        made=made,
        chart=drawing(chart.svg),
        tables=[
            ("Accuracy at each weight, with the ends of the bands", _plain(tables["accuracy"])),
            ("Content recognised, by class", _plain(tables["contents"])),
            ("Style recognised, by class", _plain(tables["styles"])),
        ],
        sheet=_sheet(folder, judged),
        lost=lost,
        failed=failed,
    )
    write_together(folder, {**files, "index.html": html.encode()})


def findings_chart(found: Findings) -> Chart:
    """Both accuracies with their bands, the equilibrium and the safe interval."""
    places = [weight.place for weight in found.weights]
    even = found.equilibrium
    balance = (even.place, "equilibrium") if even and even.found else None
    safe = None if even is None or even.low is None or even.high is None else (even.low, even.high)
    bands = {side: found.accuracy[side] for side in ("style", "content")}
    return line_chart(
        {side: Line(places, band.value, band.low, band.high) for side, band in bands.items()},
        x_label="style weight : content weight" if found.weights[0].ratio else "strength",
        y_label="accuracy",
        ticks={weight.place: weight.label for weight in reversed(found.weights)},  # of one place, the first
        marked=balance,
        span=safe,
    )


def _summary(
    found: Findings, untouched: Mapping[Side, Untouched], failed: int, made: Mapping[str, object]
) -> dict[str, object]:
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
        "failed": failed,
        "equilibrium": balance,
        "made": made,
        "untouched": {side: asdict(each) for side, each in untouched.items()},
    }


def _plain(table: Table) -> dict[str, Sequence[object]]:
    return {"head": table.head, "rows": table.rows}


def _sheet(folder: Path, judged: Sequence[Judged]) -> list[dict[str, object]]:
    """Some pairs at all weights: of every class of styles in turn, with contents of every class in turn."""
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
