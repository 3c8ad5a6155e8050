"""The grid of a study: which pictures are chosen, and which runs follow."""

import shutil

import pytest

from artune.errors import InputError
from artune.studies.axis import with_strengths
from artune.studies.grid import examples, grid
from tests.studies import SPEC, grey_classes


@pytest.fixture
def folder(tmp_path):
    return grey_classes(tmp_path / "in")


def test_a_choice_of_more_holds_the_choice_of_fewer(folder):
    two, three = (set(examples(folder, count, seed=3)) for count in (2, 3))
    assert two < three
    assert len(three) == 9
    assert {example.label for example in two} == {"a", "b", "c"}
    assert set(examples(folder, 2, seed=4)) != two
    shutil.rmtree(folder / "a")
    assert set(examples(folder, 2, seed=3)) == {example for example in two if example.label != "a"}
    assert len(examples(folder)) == 10


def test_more_pictures_than_a_class_has(folder):
    with pytest.raises(InputError, match="holds 5 pictures, not 6"):
        examples(folder, 6)


def test_every_content_in_every_style_at_every_weight(folder):
    contents, styles = examples(folder, 1), examples(folder, 2)
    made = grid(contents, styles, with_strengths(SPEC, [0.1, 0.9]))
    assert len(made) == 3 * 6 * 2
    assert {(run.content, run.style, run.spec.strength) for run in made} == {
        (content, style, strength) for content in contents for style in styles for strength in (0.1, 0.9)
    }
