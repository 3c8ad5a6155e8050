"""The benchmark of the pictures: which rows count, and how methods are compared."""

import json

import pytest

from tests.scripts import imported


@pytest.fixture(scope="module")
def quality():
    with imported("quality") as found:
        yield found


def row(method, pair, strength, content, fine, **more):
    found = {"fine": fine, "strokes": 2 * fine, "content": content}
    return {"method": method, "size": 256, "pair": [pair, pair], "strength": strength, **found, **more}


def test_rows_of_other_weights_or_of_another_precision_do_not_count(quality, tmp_path, monkeypatch):
    found = [
        row("a", 0, 0.5, 0.6, 0.1, weights="old", precision="fp32"),
        row("a", 1, 0.5, 0.6, 0.2, weights="new", precision="bf16"),
        row("a", 2, 0.5, 0.6, 0.3, weights="new", precision="fp32"),
        row("b", 0, 0.5, 0.6, 0.4),
        row("a", 2, 0.5, 0.6, 0.5, weights="new", precision="fp32"),
    ]
    results = tmp_path / "results.jsonl"
    results.write_text("".join(json.dumps(each) + "\n" for each in found))
    monkeypatch.setattr(quality, "RESULTS", results)
    assert [(each["method"], each["fine"]) for each in quality.rows()] == [("a", 0.5), ("b", 0.4)]


def test_distances_are_read_between_the_strengths_around_a_content_distance(quality):
    kept = [row("a", 0, 0.2, 0.4, 0.3), row("a", 0, 0.8, 0.8, 0.1), row("a", 1, 0.2, 0.7, 0.3)]
    found = quality.interpolated(kept, 0.5)
    assert found == {(0, 0): pytest.approx((0.25, 0.5))}


def test_an_interval_does_not_depend_on_what_else_is_compared(quality, capsys):
    kept = [
        row(method, pair, strength, strength, (1 - strength) * (0.1 + 0.01 * pair + shift * (1 + pair % 3)))
        for method, shift in (("base", 0.05), ("b", 0.02), ("a", 0.0))
        for pair in range(8)
        for strength in (0.3, 0.9)
    ]
    said = []
    for methods in (["b", "a"], ["a"]):
        quality.compare("base", methods, kept, [0.5])
        said.append([line for line in capsys.readouterr().out.splitlines() if ": a " in line])
    assert said[0] == said[1] != []
    assert "fine +0.050" in said[0][0]
