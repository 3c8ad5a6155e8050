import pytest
import torch

from artune.losses.objective import FLOOR, Formulas, Region, Styled, Weights, build
from artune.losses.terms import STYLE_TERMS, Content, Gram, TotalVariation
from tests.tiny import Tiny


@pytest.fixture
def pair(generator):
    return [torch.rand((1, 3, 8, 6), generator=generator) for _ in range(2)]


def whole(style):
    return [Region([Styled(style)])]


def measured(term, image):
    return term.measure(Tiny()(image, term.taps))


def test_content_scales(pair):
    a, b = pair
    square = (2 * (a - b)).square()
    want = {
        "calibrated": square.sum() / 48,
        "raw": square.sum(),
        "tutorial": square.mean(),
        "gatys": 0.5 * square.sum(),
    }
    for scale, value in want.items():
        term = Content("double", scale)
        got = term.distance(measured(term, a), term.freeze(measured(term, b)))
        torch.testing.assert_close(got, value.reshape(1), msg=scale)


def test_gram_scales(pair):
    a, b = ((2 * x)[0].flatten(1) for x in pair)
    n, c = 48, 3
    difference = a @ a.T - b @ b.T  # the Gram matrices of the literature are sums
    want = {
        "calibrated": (difference / n).norm(),
        "raw": difference.square().sum(),
        "tutorial": (difference / (c * n)).square().mean(),
        "gatys": difference.square().sum() / (4 * c**2 * n**2),
    }
    for scale, value in want.items():
        term = Gram("double", scale)
        got = term.distance(measured(term, pair[0]), term.freeze(measured(term, pair[1])))
        torch.testing.assert_close(got, value.reshape(1), msg=scale)


def test_total_variation_is_a_mean(pair):
    term = TotalVariation("raw")
    got = term.distance(measured(term, pair[0]), None)
    x = pair[0]
    want = (x.diff(dim=2).square().sum() + x.diff(dim=3).square().sum()) / (7 * 6 + 8 * 5)
    torch.testing.assert_close(got, want.reshape(1))


@pytest.mark.parametrize("loss", sorted(STYLE_TERMS))
def test_relative_distances_at_both_ends(pair, loss):
    content, style = pair[0], 0.3 * pair[1].flip(3)
    weights = Weights({"double": 1.0}, {"double": 1.0, "half": 1.0}, 1.0, 1.0, 1.0)
    objective = build(Tiny(), content, whole(style), weights, Formulas({loss: 1.0}))
    at_content, at_style = objective.losses(content), objective.losses(style)
    assert at_content["content double"].item() == pytest.approx(0, abs=1e-6)
    for tap in ("double", "half"):
        term = STYLE_TERMS[loss](tap)
        of_style = measured(term, style)
        apart = term.distance(measured(term, content), term.freeze(of_style)).item()
        want = apart / (apart + FLOOR * term.energy(of_style).item())
        assert at_content[f"style {tap}"].item() == pytest.approx(want, rel=1e-4)
        assert want > 0.9
        assert at_style[f"style {tap}"].item() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("loss", sorted(STYLE_TERMS))
@pytest.mark.parametrize("value", [0.0, 0.5])
def test_same_flat_picture_on_both_sides_stays_finite(loss, value):
    flat = torch.full((1, 3, 8, 8), value)
    objective = build(
        Tiny(), flat, whole(flat), Weights({"double": 1.0}, {"double": 1.0}, 1.0, 1.0, 1.0), Formulas({loss: 1.0})
    )
    evaluation = objective(flat, 0)
    assert evaluation.total.isfinite().all()
    assert evaluation.gradient.isfinite().all()
    evaluation = objective(flat + 0.1, 0)
    assert evaluation.gradient.isfinite().all()


def test_weights_of_a_ladder_broadcast(pair):
    content, style = pair
    ladder = torch.tensor([0.0, 1.0, 2.0])
    weights = Weights({"double": 1.0}, {"double": 1.0}, 1.0, ladder)
    objective = build(Tiny(), content, whole(style), weights)
    totals = objective(content.expand(3, -1, -1, -1), 0).total
    torch.testing.assert_close(totals[2], 2 * totals[1])
    assert totals[0].item() == 0


def test_objective_gradient_is_that_of_its_total(pair):
    content, style = (x.double() for x in pair)
    objective = build(Tiny(), content, whole(style), Weights({"double": 1.0}, {"half": 1.0}, 1.0, 3.0, 0.5))
    x = (content + style) / 2
    bump = torch.zeros_like(x)
    bump[0, 0, 3, 2] = 1e-4
    slope = (objective(x + bump, 0).total - objective(x - bump, 0).total) / 2e-4
    assert slope.item() == pytest.approx(objective(x, 0).gradient[0, 0, 3, 2].item(), rel=1e-3)


def test_layers_are_averaged_where_calibrated_and_summed_in_the_literature(pair):
    content, style = pair
    x = (content + style) / 2
    layers = {"double": 1.0, "half": 3.0}
    for scale, divisor in (("calibrated", 4.0), ("tutorial", 1.0)):
        weights = Weights({"double": 2.0}, layers, 5.0, 7.0)
        objective = build(Tiny(), content, whole(style), weights, Formulas({"gram": 1.0}, scale=scale))
        parts = objective.losses(x)
        want = 5 * parts["content double"] * (2 if divisor == 1 else 1)
        want = want + 7 * (parts["style double"] + 3 * parts["style half"]) / divisor
        torch.testing.assert_close(objective(x, 0).total, want)


def test_terms_without_weight_are_not_computed(pair):
    objective = build(Tiny(), pair[0], whole(pair[1]), Weights({"double": 1.0}, {"half": 1.0}, 1.0, 0.0, 0.0))
    assert objective.taps == ("double",)


def test_two_styles_mix_by_moments(pair, generator):
    content, first = pair
    second = torch.rand((1, 3, 8, 6), generator=generator)
    weights = Weights({"double": 1.0}, {"double": 1.0})
    one = build(Tiny(), content, [Region([Styled(first), Styled(second, 0.0)])], weights)
    alone = build(Tiny(), content, whole(first), weights)
    for name, value in alone.losses(second).items():
        torch.testing.assert_close(one.losses(second)[name], value, rtol=2e-2, atol=2e-3)
