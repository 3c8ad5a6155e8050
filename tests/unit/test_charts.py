"""Charts: what is drawn."""

import xml.etree.ElementTree as ET

from artune.report.charts import Series, line_chart


def marks(line):
    """Circles and ticks of a chart, in points: across and down."""
    svg = ET.fromstring(line_chart({"style": line}, x_label="x", y_label="y").svg)
    uses = svg.iter("{http://www.w3.org/2000/svg}use")
    return [(float(use.get("x")), float(use.get("y"))) for use in uses if use.get("x")]  # not the glyphs


def test_rings_are_drawn_where_something_was_measured_before_it_was_corrected():
    places, values, rings = (0.0, 1.0, 2.0), (0.2, 0.4, 0.8), (0.3, 0.4, 0.1)
    plain, ringed = (
        marks(Series(places, values)),
        marks(Series(places, values, rings=tuple(zip(places, rings, strict=True)))),
    )
    assert set(plain) <= set(ringed)
    assert len(ringed) == len(plain) + 3
    more = set(ringed) - set(plain)  # the middle one lies around its dot
    assert len(more) == 2
    (left, upper), (right, lower) = sorted(more)
    assert left < right
    assert upper < lower  # downwards


def test_what_is_marked_is_named():
    lines = {"style": Series((0.0, 1.0), (0.2, 0.4), rings=((0.0, 0.1),), diamonds=((0.5, 0.1),))}
    plain = line_chart(lines, x_label="x", y_label="y").svg
    names = {"dots": "right", "rings": "seen", "diamonds": "better"}
    full = line_chart(lines, x_label="x", y_label="y", marked=(0.5, "balance"), span=(0.2, 0.8), **names).svg
    for name in ("balance", "safe", *names.values()):
        assert f"<!-- {name} -->" not in plain
        assert f"<!-- {name} -->" in full
