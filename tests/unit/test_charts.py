"""Charts: what is drawn."""

from artune.report.charts import Series, line_chart


def test_what_is_marked_is_named():
    lines = {"style": Series((0.0, 1.0), (0.2, 0.4), dots=((0.5, 0.3),))}
    plain = line_chart(lines, x_label="x", y_label="y").svg
    names = {"dots": "scores"}
    full = line_chart(lines, x_label="x", y_label="y", marked=(0.5, "balance"), span=(0.2, 0.8), **names).svg
    for name in ("balance", "safe", *names.values()):
        assert f"<!-- {name} -->" not in plain
        assert f"<!-- {name} -->" in full
