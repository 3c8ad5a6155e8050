"""Charts, as SVG and PNG."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from artune.balance.curve import log_odds

COLOURS = {"style": "#b5482a", "content": "#2a6f97"}
"""Of the two curves, everywhere."""
OTHERS = ("#5a8f3c", "#8a5a9e", "#b08a1e", "#4a4a4a")
STRENGTHS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98)

DOT: Mapping[str, Any] = {"marker": "o", "linestyle": "", "markersize": 3.5, "clip_on": False, "zorder": 3}
RING: Mapping[str, Any] = {**DOT, "markersize": 5.5, "markerfacecolor": "none", "markeredgewidth": 0.8}
DIAMOND: Mapping[str, Any] = {**DOT, "marker": "D", "markersize": 6}

WIDEST = 45
"""Characters of the names of all places that fit beside each other."""


@dataclass(frozen=True)
class Chart:
    """A figure in both formats."""

    svg: str
    png: bytes


@dataclass(frozen=True)
class Line:
    """A curve.

    Attributes:
        x: places, ascending.
        y: values.
        low: lower end of the band around it, or nothing.
        high: its upper end.
        dots: what was measured, where the curve does not go through it; default: ``y``.
        rings: places and values of what was measured before it was put right, or nothing.
        diamonds: of what put it right, or nothing.
    """

    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dots: Sequence[float] = ()
    rings: Sequence[tuple[float, float]] = ()
    diamonds: Sequence[tuple[float, float]] = ()


def line_chart(
    lines: Mapping[str, Line],
    *,
    x_label: str,
    y_label: str,
    ticks: Mapping[float, str] | None = None,
    marked: tuple[float, str] | None = None,
    span: tuple[float, float] | None = None,
    top: float | None = 1.0,
    dots: str = "",
    rings: str = "",
    diamonds: str = "",
) -> Chart:
    """Lines over a common axis.

    Args:
        lines: by name.
        x_label: under the axis.
        y_label: beside it.
        ticks: names of some places.
        marked: a place with a line of its own, and what it is.
        span: places between which all is safe; the ground is shaded.
        top: of the y axis; default: what the lines need.
        dots: what they are, if that is to be said.
        rings: what these are.
        diamonds: what these are.
    """
    figure = Figure(figsize=(8.4, 3.6), dpi=120, layout="constrained")
    axes: Axes = figure.add_subplot()
    others = iter(OTHERS * math.ceil(len(lines) / len(OTHERS)))
    if span is not None:
        axes.axvspan(*span, color="#e9e2d0", zorder=0, label="safe")
    for name, line in lines.items():
        colour = COLOURS.get(name) or next(others)
        axes.plot(line.x, line.y, color=colour, label=name)
        axes.plot(line.x, line.dots or line.y, color=colour, **DOT)
        for points, look in ((line.rings, RING), (line.diamonds, DIAMOND)):
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, **look)
        if line.low:
            axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.15, linewidth=0)
    if marked is not None:
        axes.axvline(marked[0], color="#333333", linewidth=1, linestyle="--", label=marked[1])
    for name, look in ((dots, DOT), (rings, RING), (diamonds, DIAMOND)):
        if name:
            axes.plot([], [], color="#333333", label=name, **{**look, "clip_on": True})  # takes no room
    if ticks:
        axes.set_xticks(list(ticks), list(ticks.values()))
        if sum(map(len, ticks.values())) > WIDEST:
            axes.tick_params("x", rotation=35)
    axes.set_ylim(0, top)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    figure.legend(frameon=False, loc="outside right upper")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return _drawn(figure)


def _drawn(figure: Figure) -> Chart:
    FigureCanvasAgg(figure)
    png, svg = io.BytesIO(), io.StringIO()
    figure.savefig(png, format="png", metadata={"Software": None})
    figure.savefig(svg, format="svg", metadata={"Date": None})
    return Chart(svg.getvalue(), png.getvalue())


def strength_ticks(low: float, high: float) -> dict[float, str]:
    """Names of the strengths between two places on that axis."""
    return {log_odds(s): f"{s:g}" for s in STRENGTHS if low - 0.3 <= log_odds(s) <= high + 0.3}
