"""Line charts, as SVG and PNG."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLOURS = {"style": "#b5482a", "content": "#2a6f97"}
"""Colours of lines with these names."""
OTHERS = ("#5a8f3c", "#8a5a9e", "#b08a1e", "#4a4a4a", "#c0567f", "#3aa6a0", "#8c6239", "#9aa0a6")
"""Colours of lines with other names, in turn."""

DOT: Mapping[str, Any] = {"marker": "o", "linestyle": "", "markersize": 3.5, "clip_on": False, "zorder": 3}

WIDEST = 45
"""Characters of all tick labels together above which the labels are slanted."""


@dataclass(frozen=True)
class Chart:
    """A figure in both formats."""

    svg: str
    png: bytes


@dataclass(frozen=True)
class Series:
    """A line of a chart, with its band and its points.

    Attributes:
        x: places, ascending.
        y: values.
        low: lower ends of the band around the line; empty for no band.
        high: upper ends of the band.
        dots: places and values that are marked by dots; default: those of the line.
    """

    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dots: Sequence[tuple[float, float]] = ()


def line_chart(
    lines: Mapping[str, Series],
    *,
    x_label: str,
    y_label: str,
    ticks: Mapping[float, str] | None = None,
    marked: tuple[float, str] | None = None,
    span: tuple[float, float] | None = None,
    top: float | None = 1.0,
    dots: str = "",
    log: bool = False,
) -> Chart:
    """Lines over a common axis; the y axis begins at 0, or is logarithmic.

    Args:
        lines: by name.
        x_label: name of the x axis.
        y_label: name of the y axis.
        ticks: labels of places on the x axis; default: numbers.
        marked: a place that is marked by a dashed line, and its name.
        span: first and last place of a shaded part, named "safe".
        top: upper end of the y axis; ``None`` for what the lines need.
        dots: name of the dots in the legend; empty to leave them out of it.
        log: whether the y axis is logarithmic.
    """
    figure = Figure(figsize=(8.4, 3.6), dpi=120, layout="constrained")
    axes: Axes = figure.add_subplot()
    others = iter(OTHERS * math.ceil(len(lines) / len(OTHERS)))
    if span is not None:
        axes.axvspan(*span, color="#e9e2d0", zorder=0, label="safe")
    for name, line in lines.items():
        colour = COLOURS.get(name) or next(others)
        axes.plot(line.x, line.y, color=colour, label=name)
        axes.plot(*zip(*(line.dots or zip(line.x, line.y, strict=True)), strict=True), color=colour, **DOT)
        if line.low:
            axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.15, linewidth=0)
    if marked is not None:
        axes.axvline(marked[0], color="#333333", linewidth=1, linestyle="--", label=marked[1])
    if dots:
        axes.plot([], [], color="#333333", label=dots, **{**DOT, "clip_on": True})  # takes no room
    if ticks:
        axes.set_xticks(list(ticks), list(ticks.values()))
        if sum(map(len, ticks.values())) > WIDEST:
            axes.tick_params("x", rotation=35)
    if log:
        axes.set_yscale("log")
    else:
        axes.set_ylim(0, top)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    figure.legend(frameon=False, loc="outside right upper")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return _drawn(figure)


def interval_chart(intervals: Mapping[str, tuple[float, float, float]], *, x_label: str, y_label: str) -> Chart:
    """Values with their intervals, side by side.

    Args:
        intervals: by label: value, and the ends of its interval; NaN where there is none.
        x_label: name of the x axis.
        y_label: name of the y axis.
    """
    figure = Figure(figsize=(8.4, 3.0), dpi=120, layout="constrained")
    axes: Axes = figure.add_subplot()
    for place, (value, low, high) in enumerate(intervals.values()):
        if math.isfinite(low) and math.isfinite(high):
            axes.plot([place, place], [low, high], color=OTHERS[3], linewidth=1.2, alpha=0.6)
        axes.plot([place], [value], color=COLOURS["style"], **DOT)
    axes.set_xticks(range(len(intervals)), list(intervals))
    if sum(map(len, intervals)) > WIDEST:
        axes.tick_params("x", rotation=35)
    axes.set_xlim(-0.5, len(intervals) - 0.5)
    ends = [end for interval in intervals.values() for end in interval if math.isfinite(end)]
    axes.set_ylim(min(0.0, *ends), 1.05 * max(ends) if max(ends) > 0 else None)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return _drawn(figure)


def _drawn(figure: Figure) -> Chart:
    FigureCanvasAgg(figure)
    png, svg = io.BytesIO(), io.StringIO()
    figure.savefig(png, format="png", metadata={"Software": None})
    with rc_context({"svg.hashsalt": "artune"}):  # names of its parts that are the same in each run
        figure.savefig(svg, format="svg", metadata={"Date": None})
    return Chart(svg.getvalue(), png.getvalue())
