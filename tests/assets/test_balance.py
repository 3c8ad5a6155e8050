"""The judge, and the balance that it finds, on real pictures that neither was made with."""

import pytest
import torch

from artune.api import tune
from artune.balance.curve import Reason
from artune.images.read import read_picture
from artune.judges.embedding import Judge

pytestmark = [pytest.mark.assets, pytest.mark.filterwarnings("ignore:.* has a border:artune.errors.ArtuneWarning")]


@pytest.fixture(scope="module")
def embedded(assets):
    """Photographs and paintings of the StyleID set, twenty of each, as the judge sees them."""
    judge = Judge.load()
    files = (sorted((assets / f"data/styleid/{kind}").glob("*.jpg"))[:20] for kind in ("content", "style"))
    return judge, *([judge.embed(read_picture(file).tensor()) for file in some] for some in files)


def test_an_untouched_photograph_has_its_own_content_and_no_other_style(embedded):
    judge, photographs, paintings = embedded
    pairs = list(zip(photographs, paintings, strict=True))
    style = torch.cat([judge.style_score(a.style, b.style, a.style) for a, b in pairs])
    content = torch.cat([judge.content_score(a.content, a.content, b.content) for a, b in pairs])
    assert style.mean() < 0.02
    assert content.min() > 0.95


def test_a_painting_has_its_own_style_and_no_content_of_a_photograph(embedded):
    judge, photographs, paintings = embedded
    pairs = list(zip(photographs, paintings, strict=True))
    style = torch.cat([judge.style_score(b.style, b.style, a.style) for a, b in pairs])
    content = torch.cat([judge.content_score(b.content, a.content, b.content) for a, b in pairs])
    assert style.mean() > 0.9
    assert content.max() < 0.05


def test_a_pair_whose_curves_cross(assets):
    data = assets / "data/styleid"
    found = tune(data / "content/15.jpg", data / "style/26.jpg")
    assert found.balance.reason is Reason.CROSSED
    assert found.balance.low < found.balance.strength < found.balance.high
    assert min(found.balance.style, found.balance.content) > 0.8
    curve = found.curve
    assert (curve.style[0] < 0.4, curve.style[-1] > 0.8) == (True, True)
    assert (curve.content[0] > 0.95, curve.content[-1] < 0.7) == (True, True)
