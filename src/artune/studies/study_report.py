"""The report of a study: a page with its pictures, and its values as CSV and Parquet."""

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np

from artune.errors import PictureError
from artune.files import write_together
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.report.charts import Chart, Series, interval_chart, line_chart
from artune.report.page import drawing, page, picture_uri
from artune.report.tables import Table
from artune.spec.study import Figures
from artune.studies.classes import ClassPart
from artune.studies.comparing import Mean, along, answer_axis, found_again, mean_of, units
from artune.studies.entries import picture_file, read_result
from artune.studies.measured import MEASURES, limits_of, shown, title_of
from artune.studies.pictures import spread
from artune.studies.points import Point, combinations_of, selects
from artune.studies.study import Cell, StudyResult
from artune.words import counted

MOST_SHOWN = 200
"""Largest number of pictures on the page; the others are in the folder."""
LARGE = 512
"""Longer side of the pictures on the page, pixels."""
THUMB = 160
"""Longer side of the photographs and paintings beside them, pixels."""
MOST_COLUMNS = 50
"""Largest number of columns of the contact sheet."""
FEW = 4
"""Number of photographs, or of paintings, below which the page says that they are few."""
MOST_CHARTS = 4
"""Largest number of measures that have a chart."""


def write_study(
    folder: Path, result: StudyResult, sentence: str, command: str = "", part: ClassPart | None = None
) -> None:
    """Write the page, the values and the charts of a study into its folder.

    Args:
        folder: of the study, with its pictures.
        result: what it holds.
        sentence: the answer.
        command: the command that redoes it.
        part: the part of the page that class studies have.

    Raises:
        OutputError: no permission, no space.
        PictureError: a picture of the folder cannot be read.
    """
    spec, study = result.study.spec, result.study
    charts = {f"{name}.svg": chart for name, chart in _charts(result).items()} if part is None else {}
    findings = found_again(result)
    values, means = values_table(result), means_of(result)
    files = {
        "values.csv": values.csv().encode(),
        "means.csv": means_table(result, means).csv().encode(),
        "summary.json": json.dumps(
            {
                "title": spec.title,
                "answer": sentence,
                "made": _made(result),
                "findings": [asdict(each) for each in findings],
                "pictures": len(result.finished),
                "missing": result.missing,
                "failed": result.failed,
                "random weights": study.untrained,
                **(part.summary() if part else {}),
            },
            indent=1,
        ).encode(),
        **{name: chart.svg.encode() for name, chart in charts.items()},
    }
    if part is not None:
        chart = part.chart()
        files |= {"chart.png": chart.png, "chart.svg": chart.svg.encode()}
        for name, table in part.tables().items():
            files |= {f"{name}.csv": table.csv().encode(), f"{name}.md": table.markdown().encode()}
    if find_spec("pyarrow") is not None:
        files["values.parquet"] = parquet(values, len(spec.measures))
    for old in folder.glob("*.svg"):
        if old.name not in files:
            old.unlink()  # a chart of a measure that is no longer taken
    html = page(
        "artune.studies",
        "study.html",
        spec=spec,
        answer=sentence[:1].upper() + sentence[1:],
        findings=findings,
        untrained=study.untrained,
        made=_made(result),
        remarks=_notes(result),
        measures=[(title_of(name), MEASURES[name].about if name in MEASURES else "") for name in spec.measures],
        means=_shown_means(result, means),
        charts=[drawing(chart.svg) for chart in charts.values()],
        sheet=contact_sheet(folder, result) if study.cells else None,
        sections=[part.section()] if part else [],
        failed=result.failures,
        lost=result.failed,
        command=command,
    )
    write_together(folder, {**files, "index.html": html.encode()})


def values_table(result: StudyResult) -> Table:
    """A row for each picture: its point, its photograph and painting, its values."""
    axes, measures = [*result.study.spec.axes], result.study.spec.measures
    rows = []
    for cell in result.study.cells:
        own = result.details.get(cell.key, {})
        shown = (own[name].value if name in own else math.nan for name in measures)
        rows.append(
            (
                *(cell.point.labels[axis] for axis in axes),
                str(cell.run.content.file.name),
                str(cell.run.style.file.name),
                cell.key,
                *("" if math.isnan(value) else f"{value:.6g}" for value in shown),
            )
        )
    others = ("photograph", "painting", "key", *measures)
    return Table((*_columns(axes, others), *others), tuple(rows))


def _columns(axes: Sequence[str], others: Sequence[str]) -> list[str]:
    """The columns of axes; one that is named like another column, such as the measure ``steps``, is ``axis steps``."""
    return [f"axis {axis}" if axis in others else axis for axis in axes]


def parquet(table: Table, numbers: int) -> bytes:
    """A table as Parquet; its last columns, so many, hold numbers or nothing."""
    import pyarrow
    from pyarrow import parquet as files

    first = len(table.head) - numbers
    columns: dict[str, list[str] | list[float | None]] = {}
    for place, name in enumerate(table.head):
        cells = [row[place] for row in table.rows]
        columns[name] = cells if place < first else [float(cell) if cell else None for cell in cells]
    out = io.BytesIO()
    files.write_table(pyarrow.table(columns), out)
    return out.getvalue()


PointMean = tuple[Point, str, Mean, float | None]
"""A point, a measure, the mean of this measure there, and the source's figure where there is one."""


def means_table(result: StudyResult, means: Sequence[PointMean]) -> Table:
    """A row for each point and measure: mean, interval, number of pairs, and the source's figure."""
    axes = [*result.study.spec.axes]
    rows = []
    for point, measure, mean, figure in means:
        numbers = ("" if math.isnan(value) else f"{value:.6g}" for value in (mean.value, mean.low, mean.high))
        source = "" if figure is None else f"{figure:g}"
        rows.append((*(point.labels[axis] for axis in axes), measure, *numbers, str(mean.pairs), source))
    others = ("measure", "mean", "low", "high", "pairs", "source")
    return Table((*_columns(axes, others), *others), tuple(rows))


def means_of(result: StudyResult) -> list[PointMean]:
    """The means of all measures at all points."""
    found: list[PointMean] = []
    for place, point in enumerate(result.study.points):
        for measure in result.study.spec.measures:
            mean = mean_of(result.values[measure][place], limits_of(measure))
            found.append((point, measure, mean, _figure(result.study.spec.figures, point, measure)))
    return found


def _figure(figures: Sequence[Figures], point: Point, measure: str) -> float | None:
    """The source's figure of a measure at a point."""
    return next((f.values[measure] for f in figures if measure in f.values and selects(f.at, point.labels)), None)


def _shown_means(result: StudyResult, means: Sequence[PointMean]) -> dict[str, Sequence[object]]:
    """The table of the page: a row for each point, a column for each measure."""
    axes, measures = [*result.study.spec.axes], result.study.spec.measures
    cells = {(id(point), measure): (mean, figure) for point, measure, mean, figure in means}
    rows = [
        {
            "labels": [point.labels[axis] for axis in axes],
            "cells": [
                {
                    "text": cells[id(point), measure][0].text(measure),
                    "source": "" if (figure := cells[id(point), measure][1]) is None else f"{figure:g}",
                }
                for measure in measures
            ],
        }
        for point in result.study.points
    ]
    return {"head": [*axes, *map(title_of, measures)], "rows": rows, "axes": axes}


def _charts(result: StudyResult) -> dict[str, Chart]:
    """A chart of each of the first measures along the axis of the answer; and the losses of all steps."""
    axis = answer_axis(result)
    found = {}
    if len(result.study.spec.axes[axis]) > 1:
        for measure in result.study.spec.measures[:MOST_CHARTS]:
            means = along(result, axis, measure)
            if means and len({*units(result, measure)}) == 1:
                intervals = {label: (mean.value, mean.low, mean.high) for label, mean in means.items()}
                name = measure.replace(":", "-").replace(" ", "-")
                found[name] = interval_chart(intervals, x_label=axis, y_label=title_of(measure))
    if result.study.spec.curves and (lines := loss_curves(result)):
        found["losses"] = line_chart(lines, x_label="step", y_label="loss, share of the first", top=None, log=True)
    return found


def loss_curves(result: StudyResult) -> dict[str, Series]:
    """The total loss by step, as a share of the first, at each point of the answer's axis: mean of its pictures."""
    axis = answer_axis(result)
    found: dict[str, list[np.ndarray]] = {}
    for cell in result.study.cells:
        losses = result.losses.get(cell.key, ())
        if len(losses) > 1 and losses[0] > 0:
            found.setdefault(cell.point.labels[axis], []).append(np.array(losses) / losses[0])
    lines = {}
    for label, curves in found.items():
        steps = min(map(len, curves))
        mean = np.mean([curve[:steps] for curve in curves], 0)
        every = max(1, steps // 200)
        lines[label] = Series([*range(0, steps, every)], mean[::every].tolist(), dots=[(0, float(mean[0]))])
    return lines


def contact_sheet(folder: Path, result: StudyResult) -> dict[str, object]:
    """The pictures as a table: axes down and across, a block of rows for each pair of photograph and painting."""
    spec, study = result.study.spec, result.study
    axes = [*spec.axes]
    down = [*spec.rows] if spec.rows is not None else axes[:-1]
    across = [axis for axis in axes if axis not in down]
    columns, lines = (_combinations(result, names) for names in (across, down))
    cells: dict[tuple[tuple[Path, Path], tuple[str, ...], tuple[str, ...]], Cell] = {}
    for cell in study.cells:
        pair = cell.run.content.file, cell.run.style.file
        at = tuple(cell.point.labels[axis] for axis in down), tuple(cell.point.labels[axis] for axis in across)
        cells[pair, *at] = cell
    pairs = study.pairs
    columns = columns[:MOST_COLUMNS]
    lines = lines[: max(1, MOST_SHOWN // len(columns))]
    count = max(1, MOST_SHOWN // (len(columns) * len(lines)))
    uris: dict[Path, str] = {}
    rows = []
    for content, style in spread(pairs)[:count]:
        pair = content.file, style.file
        for number, line in enumerate(lines):
            rows.append(
                {
                    "first": number == 0,
                    "span": len(lines),
                    "content": _thumb(pair[0], uris),
                    "style": _thumb(pair[1], uris),
                    "labels": line,
                    "cells": [_shown(folder, result, cells.get((pair, line, column))) for column in columns],
                }
            )
    return {
        "columns": [", ".join(f"{axis} {label}" for axis, label in zip(across, each, strict=True)) for each in columns],
        "down": down,
        "rows": rows,
        "all": len(pairs),
        "shown": min(count, len(pairs)),
        "pictures": len(columns) * len(lines) * min(count, len(pairs)),
    }


def _combinations(result: StudyResult, axes: Sequence[str]) -> list[tuple[str, ...]]:
    """The labels of some axes that occur together, in the order of the axes."""
    there = {tuple(point.labels[axis] for axis in axes) for point in result.study.points}
    return [labels for labels in product(*(result.study.spec.axes[axis] for axis in axes)) if labels in there]


def _thumb(file: Path, uris: dict[Path, str]) -> str:
    """A photograph or a painting; empty where it cannot be read."""
    if file not in uris:
        try:
            uris[file] = picture_uri(read_picture(file), THUMB)
        except PictureError:
            uris[file] = ""
    return uris[file]


def _shown(folder: Path, result: StudyResult, cell: Cell | None) -> Mapping[str, str] | None:
    if cell is None or cell.key not in result.finished:
        return None
    own = result.details.get(cell.key, {})
    values = [
        f"{title_of(name)} {shown(name, own[name].value)}"
        for name in result.study.spec.measures
        if name in own and not math.isnan(own[name].value)
    ]
    first = result.study.spec.measures[0]
    try:
        picture: Picture = read_result(picture_file(folder, cell.key))
    except PictureError:
        return None
    labels = ", ".join(f"{axis} {label}" for axis, label in cell.point.labels.items())
    return {
        "picture": picture_uri(picture, LARGE),
        "name": labels,
        "value": shown(first, own[first].value) if first in own else "",
        "measured": "; ".join(values),
    }


def _made(result: StudyResult) -> str:
    """What was made, in a sentence."""
    study = result.study
    if not study.cells:
        return f"{counted(len(study.points), 'judge')}, each tested on {counted(len(study.tested), 'picture')}."
    runs = [cell.run for cell in study.cells if cell.key in result.finished]
    contents, styles = ({getattr(run, side).file for run in runs} for side in ("content", "style"))
    of = f"{counted(len(contents), 'photograph')} and {counted(len(styles), 'painting')}"
    made, lacking, all_ = counted(len(result.finished), "picture"), result.missing, len(study.runs)
    missing = f"The study is unfinished: {lacking} of its {all_} pictures are missing. " if lacking else ""
    return f"{missing}{made} of {of}, in {counted(round(result.seconds), 'second')} of runs."


def _notes(result: StudyResult) -> list[str]:
    """What a reader of the page must know of its intervals, curves and missing values."""
    study = result.study
    if study.cells:
        drawn = "pairs" if study.shape[1] == 1 < len(study.styles) else "photographs and paintings"
        found = [f"Intervals hold 95 % of the draws in which {drawn} are drawn anew, widened for few."]
    else:
        found = ["Intervals hold 95 % of the draws in which the tested pictures are drawn anew."]
    if study.cells and len(study.points) < (whole := len(combinations_of(study.spec))):
        found.append(f"Only the first {len(study.points)} of {whole} points were made, as the limit was smaller.")
    if len(study.contents) == 1 < len(study.styles):
        found.append("There is one photograph, so they say nothing about others.")
    if len(study.styles) == 1 < len(study.contents):
        found.append("There is one painting, so they say nothing about others.")
    few = min((count for count in study.shape if count > 1), default=FEW) if study.cells else FEW
    if few < FEW:
        found.append(f"{few} of a side can hardly tell anything: take {FEW} or more.")
    if study.spec.curves and (lacking := len(result.finished) - len(result.losses)):
        found.append(f"{counted(lacking, 'picture')} have no loss curve: they were made before curves were asked for.")
    found += [f"{counted(count, 'picture')} not measured: {why}." for why, count in result.unmeasured.items()]
    return found
