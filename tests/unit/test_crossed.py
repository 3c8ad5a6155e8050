import numpy as np
import pytest

from artune.analysis.crossed import Answers, Crossed, explained, pairs_shown, placement, reversed_placement
from artune.errors import InputError, PictureError


def test_two_factors_that_add_up_share_the_variance():
    style, content = np.array([-1.0, 0.0, 1.0]), np.array([-2.0, 2.0])
    values = (style[:, None] + content)[None]
    found = explained(values)  # sums of squares: 2 * 2 and 3 * 8
    assert found.style[0] == pytest.approx(4 / 28)
    assert found.content[0] == pytest.approx(24 / 28)


def test_omega_squared_by_hand():
    values = np.array([[[0.0, 1.0], [2.0, 5.0]]])  # totals 14; by row 9, by column 4, the rest 1
    found = explained(values)
    assert found.style[0] == pytest.approx((9 - 1) / (14 + 1))
    assert found.content[0] == pytest.approx((4 - 1) / (14 + 1))


def test_noise_explains_nothing_where_eta_squared_would(rng):
    values = rng.normal(size=(400, 6, 5))
    found = explained(values)
    centred = values - values.mean((1, 2), keepdims=True)
    eta = 5 * np.square(centred.mean(2)).sum(1) / np.square(centred).sum((1, 2))
    assert eta.mean() > 0.15
    assert found.style.mean() < 0.07  # values below 0 count as 0
    assert found.content.mean() < 0.07


def test_a_unit_that_never_changes_answers_to_nothing():
    found = explained(np.ones((2, 3, 3)))
    assert found.style.tolist() == found.content.tolist() == [0, 0]


def answers(**layers):
    return {layer: Answers(np.array([style]), np.array([content])) for layer, (style, content) in layers.items()}


def test_placement_by_what_layers_answer_to():
    found = answers(a=(0.9, 0.1), b=(0.8, 0.1), c=(0.5, 0.5), d=(0.1, 0.8), e=(0.3, 0.6))
    assert placement(found) == (("a", "b", "c"), ("d",))
    assert reversed_placement(found) == (("c", "d", "e"), ("a",))


def test_placement_with_one_layer():
    assert placement(answers(a=(0.0, 0.0))) == (("a",), ("a",))


@pytest.mark.slow
def test_every_photograph_is_painted_once(tmp_path, classes_of_pictures):
    crossed = Crossed.read(classes_of_pictures("contents"), classes_of_pictures("styles"), 1)
    assert len(crossed.contents) == len(crossed.styles) == 2
    calls = []
    files = crossed.paint(tmp_path / "painted", lambda *call: calls.append(call))
    assert calls[-1] == ("painting", 4, 4)
    assert len({file for row in files for file in row}) == 4
    times = [file.stat().st_mtime_ns for row in files for file in row]
    files[0][1].write_bytes(b"cut short")
    assert crossed.paint(tmp_path / "painted", lambda *call: None) == files
    again = [file.stat().st_mtime_ns for row in files for file in row]
    assert [one == other for one, other in zip(times, again, strict=True)] == [True, False, True, True]
    triple = pairs_shown(files, crossed, 5)
    assert [(each[0], each[1]) for each in triple] == [*zip(crossed.contents, crossed.styles, strict=True)]


def test_classes_without_pictures(tmp_path, classes_of_pictures):
    (tmp_path / "empty" / "a").mkdir(parents=True)
    with pytest.raises(PictureError, match="no picture"):
        Crossed.read(tmp_path / "empty", classes_of_pictures("styles"), 1)


def test_one_painting_has_no_variance(classes_of_pictures):
    with pytest.raises(InputError, match="at least 2"):
        Crossed.read(classes_of_pictures("contents", classes=1), classes_of_pictures("styles"), 1)


@pytest.fixture
def classes_of_pictures(tmp_path, rng):
    from artune.images.picture import Picture
    from artune.images.write import write_picture

    def make(name, classes=2):
        for number in range(classes):
            pixels = (0.5 * rng.random((32, 32, 3)) + 0.4 * number).astype(np.float32)
            write_picture(Picture(pixels), tmp_path / name / f"class{number}" / "one.png")
        return tmp_path / name

    return make
