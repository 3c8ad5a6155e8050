"""The judge, and the balance that it finds, on real pictures that neither was made with."""

import pytest
import torch

from artune.api import tune
from artune.balance.curve import Reason
from artune.images.read import read_picture
from artune.judges.embedding import Judge, change, margin

pytestmark = [pytest.mark.assets, pytest.mark.filterwarnings("ignore:.* has a border:artune.errors.ArtuneWarning")]


@pytest.fixture(scope="module")
def seen(assets):
    """What the judge sees in photographs of the StyleID set, and in paintings of it: margins and changes."""
    judge = Judge.load()
    files = (sorted((assets / f"data/styleid/{kind}").glob("*.jpg"))[:20] for kind in ("content", "style"))
    found = []
    for pair in zip(*files, strict=True):
        photograph, painting = (read_picture(file).tensor() for file in pair)
        both = [judge.see(each) for each in (photograph, painting)]
        styles, layouts = ([look(each) for each in both] for look in (judge.style, judge.layout))
        margins = [margin(style, styles[1], styles[0], judge.styles) for style in styles]
        found.append([*margins, *(change(layout, layouts[0]) for layout in layouts)])
    return judge, [torch.cat(values) for values in zip(*found, strict=True)]


@pytest.mark.parametrize("method", ["instant", "optimise"])
def test_an_untouched_photograph_has_its_own_content_and_a_painting_its_own_style(seen, method):
    judge, (of_photograph, of_painting, none, whole) = seen
    style, content = judge.calibrations[method]
    middle, strong = torch.zeros(20), torch.full((20,), 2.0)
    assert style.probability(of_photograph).max() < 0.1
    assert content.probability(none, middle).min() > 0.95
    assert style.probability(of_painting).min() > 0.9
    assert content.probability(whole, strong).max() < 0.2


def test_a_pair_whose_curves_cross(assets):
    data = assets / "data/styleid"
    found = tune(data / "content/07.jpg", data / "style/06.jpg")
    assert found.balance.reason is Reason.CROSSED
    assert found.balance.low < found.balance.strength < found.balance.high
    assert min(found.balance.style, found.balance.content) > 0.7
    curve = found.curve
    assert (curve.style[0] < 0.2, curve.style[-1] > 0.8) == (True, True)
    assert (curve.content[0] > 0.95, curve.content[-1] < 0.7) == (True, True)
