"""The benchmark of the slider: what is kept, and its controls."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.scripts import imported


@pytest.fixture(scope="module")
def slider():
    with imported("slider") as found:
        yield found


def test_what_was_measured_is_kept_and_not_made_again(slider, photo, painting, tmp_path):
    judge = SimpleNamespace(
        features=lambda image: float(image.mean()),
        compared=lambda one, content, style: slider.Distances(abs(one - style), one, abs(one - content)),
    )
    made = []

    def maker(picture):
        return lambda: made.append(picture) or picture

    kept = tmp_path / "kept.jsonl"
    for pair in ((0, 0), (1, 0), (0, 0)):
        one = slider.Measured(judge, kept)  # each as after a restart
        one.add(pair, (0.25, 0.5), {"a": maker(photo), "b": maker(painting)})
    assert len(made) == 4
    mean = float(photo.tensor().mean())
    figures = slider.Measured(judge, kept).figures()
    assert figures["a"] == [slider.Distances(abs(mean - 0.5), mean, abs(mean - 0.25))] * 2
    assert figures.keys() == {"a", "b"}


def test_the_controls(slider, photo, painting):
    pictures = [make() for make in slider.controls(photo, painting).values()]
    assert pictures[:2] == [photo, painting]
    colours = [np.sort(each.pixels.reshape(-1, 3).mean(1)).mean() for each in (pictures[2], painting)]
    assert colours[0] == pytest.approx(colours[1], abs=0.05)
    assert pictures[2].size[0] == slider.SIZE
