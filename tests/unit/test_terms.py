import pytest
import torch

from artune.losses import terms
from artune.losses.objective import ENERGY_SHARE, Formulas, PaintingImage, RegionWeights
from artune.losses.protocol import Draws
from artune.losses.terms import CONTENT_TERMS, STYLE_TERMS, VARIATIONS, Content, Gram, TotalVariation, balance_of
from artune.spec.style import Optimise
from tests.objectives import AllWeights, build_objective
from tests.tiny import Tiny


@pytest.fixture
def pair(generator):
    return [torch.rand((1, 3, 8, 6), generator=generator) for _ in range(2)]


def whole(style):
    return [(RegionWeights(), [PaintingImage(style)])]


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


@pytest.mark.parametrize(("scale", "count"), [("tutorial", 7 * 6 + 8 * 5), ("gatys", 1), ("raw", 1)])
def test_total_variation_is_a_mean_or_a_sum(pair, scale, count):
    term = TotalVariation(scale)
    got = term.distance(measured(term, pair[0]), None)
    x = pair[0]
    want = (x.diff(dim=2).square().sum() + x.diff(dim=3).square().sum()) / count
    torch.testing.assert_close(got, want.reshape(1))


POSITIONS = {"sliced", "histogram", "nearest", "remd", "mrf"}
"""Style losses on a sample of positions."""


def test_every_style_loss_has_its_balance():
    assert balance_of({"w2": 1.0}) == 4.0
    assert balance_of({"w2": 1.0, "moments": 3.0}) == pytest.approx((4.0 + 3 * 15.0) / 4)


def test_the_help_names_the_terms_there_are():
    fields = Optimise.model_fields
    for field, table in (("loss", STYLE_TERMS), ("content_loss", CONTENT_TERMS), ("variation", VARIATIONS)):
        for name in table:
            assert name in fields[field].description


@pytest.mark.parametrize("loss", sorted(STYLE_TERMS))
def test_only_sums_are_additive(loss):
    assert STYLE_TERMS[loss]("double").additive == (loss not in POSITIONS)


@pytest.mark.parametrize("loss", sorted(STYLE_TERMS))
def test_relative_distances_at_both_ends(pair, loss):
    content, style = pair[0], 0.3 * pair[1].flip(3)
    weights = AllWeights({"double": 1.0}, {"double": 1.0, "half": 1.0}, 1.0, 1.0, 1.0)
    objective = build_objective(Tiny(), content, whole(style), weights, Formulas({loss: 1.0}))
    at_content, at_style = objective.losses(content), objective.losses(style)
    assert at_content["content double"].item() == pytest.approx(0, abs=1e-6)
    for tap in ("double", "half"):
        term = STYLE_TERMS[loss](tap)
        of_style = measured(term, style)
        apart = term.distance(measured(term, content), term.freeze(of_style)).item()
        want = apart / (apart + ENERGY_SHARE * term.energy(of_style).item())
        assert at_content[f"style {tap}"].item() == pytest.approx(want, rel=1e-4)
        if loss not in ("nearest", "remd"):  # three positive channels, or one, are hardly ever 1 apart by their cosine
            assert want > 0.9
        assert at_style[f"style {tap}"].item() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("loss", sorted(STYLE_TERMS))
@pytest.mark.parametrize("value", [0.0, 0.5])
def test_same_flat_picture_on_both_sides_stays_finite(loss, value):
    flat = torch.full((1, 3, 8, 8), value)
    objective = build_objective(
        Tiny(), flat, whole(flat), AllWeights({"double": 1.0}, {"double": 1.0}, 1.0, 1.0, 1.0), Formulas({loss: 1.0})
    )
    evaluation = objective(flat, 0)
    assert evaluation.total.isfinite().all()
    assert evaluation.gradient.isfinite().all()
    evaluation = objective(flat + 0.1, 0)
    assert evaluation.gradient.isfinite().all()


def test_objective_gradient_is_that_of_its_total(pair):
    content, style = (x.double() for x in pair)
    objective = build_objective(
        Tiny(), content, whole(style), AllWeights({"double": 1.0}, {"half": 1.0}, 1.0, 3.0, 0.5)
    )
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
        weights = AllWeights({"double": 2.0}, layers, 5.0, 7.0)
        objective = build_objective(Tiny(), content, whole(style), weights, Formulas({"gram": 1.0}, scale=scale))
        parts = objective.losses(x)
        want = 5 * parts["content double"] * (2 if divisor == 1 else 1)
        want = want + 7 * (parts["style double"] + 3 * parts["style half"]) / divisor
        torch.testing.assert_close(objective(x, 0).total, want)


def test_terms_without_weight_are_not_computed(pair):
    objective = build_objective(
        Tiny(), pair[0], whole(pair[1]), AllWeights({"double": 1.0}, {"half": 1.0}, 1.0, 0.0, 0.0)
    )
    assert list(objective.losses(pair[0])) == ["content double"]


def test_two_styles_mix_by_moments(pair, generator):
    content, first = pair
    second = torch.rand((1, 3, 8, 6), generator=generator)
    weights = AllWeights({"double": 1.0}, {"double": 1.0})
    one = build_objective(
        Tiny(), content, [(RegionWeights(), [PaintingImage(first), PaintingImage(second, 0.0)])], weights
    )
    alone = build_objective(Tiny(), content, whole(first), weights)
    for name, value in alone.losses(second).items():
        torch.testing.assert_close(one.losses(second)[name], value, rtol=2e-2, atol=2e-3)


def test_relative_content_is_over_the_energy_of_its_target_in_every_scale(pair):
    a, b = pair
    for scale in ("calibrated", "raw"):
        term = CONTENT_TERMS["relative"]("double", scale)
        got = term.distance(measured(term, a), term.freeze(measured(term, b)))
        torch.testing.assert_close(got, (a - b).square().sum().reshape(1) / b.square().sum())


@pytest.mark.parametrize("masked", [False, True])
def test_energy_row_by_row_is_the_mean_square(generator, masked, monkeypatch):
    monkeypatch.setattr(terms, "ENERGY_BYTES", 1000)
    features = torch.rand((2, 3, 37, 5), generator=generator)
    mask = torch.rand((1, 1, *features.shape[2:]), generator=generator) if masked else None
    square = features.square().sum(1, keepdim=True)
    want = square.mean((1, 2, 3)) if mask is None else (square * mask).sum((1, 2, 3)) / mask.sum()
    torch.testing.assert_close(CONTENT_TERMS["mse"]("double").energy((features, mask)), want)


@pytest.mark.parametrize("content", sorted(CONTENT_TERMS))
def test_content_is_zero_at_itself_and_finite_where_flat(pair, content):
    for x in (pair[0], torch.zeros_like(pair[0]), torch.full_like(pair[0], 0.5)):
        weights = AllWeights({"double": 1.0}, {}, 1.0, 0.0, 0.0)
        objective = build_objective(Tiny(), x, whole(pair[1]), weights, Formulas(content=content))
        assert objective.losses(x)["content double"].item() == pytest.approx(0, abs=1e-6)
        evaluation = objective(x + 0.1 * pair[1], 0)
        assert evaluation.total.isfinite().all()
        assert evaluation.gradient.isfinite().all()


def test_content_in_a_mask_is_that_of_the_part(pair):
    a, b = pair
    mask = torch.zeros(1, 1, 8, 6)
    mask[..., :4, :] = 1
    for content in CONTENT_TERMS:
        term = CONTENT_TERMS[content]("double")
        masked = term.distance(term.measure(Tiny()(a, term.taps), mask), term.freeze(measured_in(term, b, mask)))
        part = term.distance(measured(term, a[:, :, :4]), term.freeze(measured(term, b[:, :, :4])))
        torch.testing.assert_close(masked, part)


def measured_in(term, image, mask):
    return term.measure(Tiny()(image, term.taps), mask)


@pytest.mark.parametrize("loss", sorted(STYLE_TERMS))
def test_masks_of_style_terms(pair, loss):
    """Ones are no mask, a half everywhere neither; and zeros hide whatever is there, on both sides."""
    a, b = pair
    term = STYLE_TERMS[loss]("double")
    target = term.freeze(measured(term, b))
    plain = term.distance(measured(term, a), target)
    for value in (1.0, 0.5):
        even = torch.full((1, 1, 8, 6), value)
        torch.testing.assert_close(term.distance(measured_in(term, a, even), target), plain)
        torch.testing.assert_close(
            term.distance(measured(term, a), term.freeze(measured_in(term, b, even))), plain, rtol=1e-4, atol=1e-4
        )
    mask = torch.zeros(1, 1, 8, 6)
    mask[..., 2:7, 1:5] = 1
    hidden = [torch.where(mask > 0, x, 7 * x.flip(2)) for x in (a, b)]
    results = [
        term.distance(measured_in(term, x, mask), term.freeze(measured_in(term, y, mask))) for x, y in ((a, b), hidden)
    ]
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("loss", sorted(STYLE_TERMS))
def test_where_the_mask_is_zero_nothing_pulls(pair, loss):
    mask = torch.zeros(1, 1, 8, 6)
    mask[..., 3:4, 2:3] = 1
    term = STYLE_TERMS[loss]("double")
    for target in (pair[1], torch.full_like(pair[1], 0.5)):
        x = pair[0].clone().requires_grad_()
        frozen = term.freeze(measured_in(term, target, mask))  # a single pixel on both sides
        term.distance(measured_in(term, x, mask), frozen).sum().backward()
        assert x.grad.isfinite().all()
        # of a patch all nine positions count, where no patch lies within the mask
        around = torch.nn.functional.max_pool2d(mask, 3, 1, 1) if loss == "mrf" else mask
        assert not (x.grad * (1 - around)).any()


@pytest.mark.parametrize("loss", sorted(STYLE_TERMS))
def test_a_style_without_a_share_takes_no_part(pair, loss):
    term = STYLE_TERMS[loss]("double")
    parts = [measured(term, x) for x in (pair[0], pair[1].flip(3))]
    alone = term.freeze(parts[1])
    mixed = term.freeze(term.mix(parts, [0.0, 2.0]))
    for x in pair:
        torch.testing.assert_close(
            term.distance(measured(term, x), mixed), term.distance(measured(term, x), alone), rtol=1e-3, atol=1e-5
        )
    torch.testing.assert_close(term.energy(term.mix(parts, [0.0, 2.0])), term.energy(parts[1]))


@pytest.mark.parametrize("loss", sorted(STYLE_TERMS))
def test_two_equal_styles_are_as_one(pair, loss):
    """A mixture of a picture with itself is that picture: each part gives all its positions."""
    term = STYLE_TERMS[loss]("double")
    one = measured(term, pair[1])
    mixed = term.mix([one, one], [2.0, 2.0])
    distance = term.distance(measured(term, pair[0]), term.freeze(mixed))
    want = term.distance(measured(term, pair[0]), term.freeze(one))
    torch.testing.assert_close(distance, want, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(term.energy(mixed), term.energy(one))


def few(monkeypatch, limit):
    for loss in POSITIONS:
        monkeypatch.setattr(STYLE_TERMS[loss], "limit", limit)
    monkeypatch.setattr("artune.losses.sampled.PAIRED_POSITIONS", limit)


@pytest.mark.parametrize("loss", [*sorted(POSITIONS), "self-similarity"])
def test_samples_follow_seed_and_step(pair, loss, monkeypatch):
    few(monkeypatch, 5)
    make = (STYLE_TERMS | CONTENT_TERMS)[loss]

    def at(step, draws):
        term = make("double", "calibrated", draws)
        return term.distance(measured(term, pair[0]), term.freeze(measured(term, pair[1])), step).item()

    assert at(3, Draws(1)) == at(3, Draws(1))
    assert at(3, Draws(1)) != at(4, Draws(1))
    assert at(3, Draws(1)) != at(3, Draws(2))
    assert at(3, Draws(1, fixed=True)) == at(4, Draws(1, fixed=True))
    assert at(3, Draws(1, fixed=True)) != at(3, Draws(2, fixed=True))


@pytest.mark.parametrize("loss", ["sliced", "histogram", "mrf"])
def test_a_sample_stands_for_the_whole(generator, loss, monkeypatch):
    """The mean over steps is near to what all positions say; but of few directions the nearest is farther."""
    content, style = (torch.rand((1, 3, 20, 20), generator=generator) ** power for power in (1, 2))

    def at(step):
        term = STYLE_TERMS[loss]("double")
        return term.distance(measured(term, content), term.freeze(measured(term, style)), step).item()

    want = at(0)
    few(monkeypatch, 200)
    assert sum(at(step) for step in range(10)) / 10 == pytest.approx(want, rel=0.35)


@pytest.mark.parametrize("loss", [*sorted(STYLE_TERMS), "self-similarity"])
def test_statistics_of_bf16_are_fp32(pair, loss):
    term = (STYLE_TERMS | CONTENT_TERMS)[loss]("double")
    low = [{"double": (2 * x).bfloat16()} for x in pair]
    widened = [{"double": f["double"].float()} for f in low]
    got, want = (term.distance(term.measure(a), term.freeze(term.measure(b))) for a, b in (low, widened))
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("loss", [*sorted(STYLE_TERMS), *sorted(CONTENT_TERMS)])
def test_a_batch_is_measured_one_by_one(pair, loss):
    term = (STYLE_TERMS | CONTENT_TERMS)[loss]("double")
    target = term.freeze(measured(term, pair[1]))
    both = term.distance(measured(term, torch.cat([pair[0], pair[0].flip(2)])), target)
    for x, value in zip((pair[0], pair[0].flip(2)), both, strict=True):
        torch.testing.assert_close(term.distance(measured(term, x), target), value.reshape(1))


@pytest.mark.parametrize("kind", sorted(VARIATIONS))
def test_colour_counts_more_in_every_variation(pair, kind):
    grey = pair[0].mean(1, keepdim=True).expand_as(pair[0])
    colour = pair[0] - grey
    calibrated, raw = (VARIATIONS[kind](scale) for scale in ("calibrated", "tutorial"))
    ratios = [
        (calibrated.distance(measured(calibrated, x), None) / raw.distance(measured(raw, x), None)).item()
        for x in (grey, colour)
    ]
    assert ratios == pytest.approx([1.0, 8**0.5 if kind == "l1" else 8.0], rel=1e-4)


def test_losses_of_one_tap_have_names_of_their_own(pair):
    content, style = pair
    weights = AllWeights({}, {"double": 1.0}, 0.0, 1.0)
    both = build_objective(Tiny(), content, whole(style), weights, Formulas({"w2": 3.0, "moments": 1.0}))
    x = (content + style) / 2
    alone = [
        build_objective(Tiny(), content, whole(style), weights, Formulas({loss: 1.0})) for loss in ("w2", "moments")
    ]
    w2, moments = (objective(x, 0).total for objective in alone)
    losses = both(x, 0).losses
    torch.testing.assert_close(losses["w2 style double"], w2)
    torch.testing.assert_close(losses["moments style double"], moments)
    torch.testing.assert_close(both(x, 0).total, 0.75 * w2 + 0.25 * moments)


# balanced gradients


def balanced(content, painting, weights, **formulas):
    return build_objective(Tiny(), content, whole(painting), weights, Formulas(balance_gradients=True, **formulas))


def test_a_balanced_gradient_by_hand(pair):
    """The tap is twice the picture: the gradient there, with an L1 norm of the weight, is doubled on its way back."""
    content, style = pair
    x = (content + style) / 2
    gradient = balanced(content, style, AllWeights({"double": 1.0}, {}, 3.0, 0.0), scale="raw")(x, 0).gradient
    difference = x - content
    torch.testing.assert_close(gradient, 2 * 3 * difference / difference.abs().sum())


def test_every_balanced_term_has_its_weight_at_its_tap(pair):
    content, style = pair
    x = (content + style) / 2
    parts = []
    for weights in (
        AllWeights({"double": 1.0}, {}, 2.0, 0.0),
        AllWeights({}, {"half": 1.0}, 0.0, 5.0),
        AllWeights({}, {}, 0.0, 0.0, 0.5),
    ):
        parts.append(balanced(content, style, weights)(x, 0).gradient)
    at_double, at_half, at_image = parts
    assert at_double.abs().sum().item() == pytest.approx(2 * 2.0, rel=1e-4)  # the picture, doubled
    assert at_half.abs().sum().item() == pytest.approx(4 * 5.0, rel=1e-4)  # each value a sum of four pixels
    assert at_image.abs().sum().item() == pytest.approx(0.5, rel=1e-4)  # the picture itself
    every = balanced(content, style, AllWeights({"double": 1.0}, {"half": 1.0}, 2.0, 5.0, 0.5))(x, 0)
    torch.testing.assert_close(every.gradient, sum(parts))


@pytest.mark.parametrize("loss", sorted(STYLE_TERMS))
def test_one_balanced_term_pulls_in_its_own_direction(pair, loss):
    content, style = pair
    weights = AllWeights({}, {"double": 1.0}, 0.0, 1.0)
    plain = build_objective(Tiny(), content, whole(style), weights, Formulas({loss: 1.0}))(content, 0).gradient
    gradient = balanced(content, style, weights, style={loss: 1.0})(content, 0).gradient
    torch.testing.assert_close(gradient / gradient.norm(), plain / plain.norm(), rtol=1e-3, atol=1e-5)


def test_a_balanced_batch_is_its_pictures(pair):
    content, style = pair
    x = torch.cat([(content + style) / 2, 0.9 * content + 0.1 * style])
    objective = balanced(content, style, AllWeights({"double": 1.0}, {"half": 1.0}, 1.0, 2.0, 0.1))
    both = objective(x, 0).gradient
    for i in range(2):
        torch.testing.assert_close(both[i : i + 1], objective(x[i : i + 1], 0).gradient)


def test_balanced_gradients_stay_within_their_masks(pair):
    content, style = pair
    left, right = torch.zeros(1, 1, 8, 6), torch.zeros(1, 1, 8, 6)
    left[..., :4], right[..., 4:] = 1, 1
    weights = AllWeights({}, {"double": 1.0}, 0.0, 1.0)
    regions = [(RegionWeights(left), [PaintingImage(style)]), (RegionWeights(right), [PaintingImage(style.flip(1))])]
    gradient = build_objective(Tiny(), content, regions, weights, Formulas(balance_gradients=True))(content, 0).gradient
    shares = [(gradient * mask).abs().sum().item() for mask in (left, right)]
    assert shares == pytest.approx([2 * 4 / 6, 2 * 2 / 6], rel=1e-3)  # doubled, each as much as its area


def test_a_balanced_term_that_is_satisfied_does_not_pull(pair):
    weights = AllWeights({"double": 1.0}, {}, 1.0, 0.0, 0.0)
    gradient = balanced(pair[0], pair[1], weights)(pair[0], 0).gradient
    assert not gradient.any()


@pytest.mark.parametrize("scale", ["tutorial", "gatys", "raw"])
def test_regions_of_one_style_that_are_alike_weigh_as_the_whole(generator, scale):
    half, painting = (torch.rand((1, 3, 6, 4), generator=generator) for _ in range(2))
    content, mask = torch.cat([half, half], 3), torch.zeros(1, 1, 6, 8)
    mask[..., :4] = 1
    weights, formulas = AllWeights({"double": 1.0}, {"double": 1.0}), Formulas({"gram": 1.0}, scale=scale)
    parts = [(RegionWeights(mask), [PaintingImage(painting)]), (RegionWeights(1 - mask), [PaintingImage(painting)])]
    totals = [
        build_objective(Tiny(), content, regions, weights, formulas)(content, 0).total
        for regions in (parts, whole(painting))
    ]
    torch.testing.assert_close(*totals)
