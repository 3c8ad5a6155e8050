from collections.abc import Callable
from itertools import pairwise

import pytest
import torch

from artune.engine import strips
from artune.engine.descend import End, Evaluation, descend
from artune.engine.methods import LBFGS, METHODS, SGD, Adam, decayed, rate_from_255
from artune.errors import UnknownNameError


def function(value: Callable[[torch.Tensor], torch.Tensor]):
    def f(x, step):
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            total = value(x)
            (gradient,) = torch.autograd.grad(total.sum(), x)
        return Evaluation(total.detach(), {"all": total.detach()}, gradient)

    return f


rosenbrock = function(lambda x: (1 - x[:, 0]) ** 2 + 100 * (x[:, 1] - x[:, 0] ** 2) ** 2)
bowl = function(lambda x: (x - 0.3).square().sum(1))
START = torch.tensor([[-1.2, 1.0]], dtype=torch.float64)
STEEP = torch.logspace(0, 3, 20, dtype=torch.float64)  # curvatures
valley = function(lambda x: 0.5 * (STEEP * (x - 0.3).square()).sum(1))
ALL = [Adam(), LBFGS(), LBFGS(search=True), SGD(rate=1e-3)]


def last(steps):
    return list(steps)[-1]


def test_lbfgs_finds_rosenbrocks_minimum():
    step = last(descend(rosenbrock, START, LBFGS(), steps=400))
    torch.testing.assert_close(step.state.x, torch.ones_like(START), atol=1e-4, rtol=0)


def test_adam_finds_rosenbrocks_minimum():
    step = last(descend(rosenbrock, START, Adam(rate=0.02, box=None), steps=8000))
    torch.testing.assert_close(step.state.x, torch.ones_like(START), atol=0.05, rtol=0)


def test_adams_first_step_by_hand():
    step = last(descend(bowl, torch.tensor([[0.5]]), Adam(rate=0.1, eps=0.0), steps=1))
    assert step.image.item() == pytest.approx(0.4)  # the first step is the rate, whatever the gradient


def test_plain_descent_finds_rosenbrocks_minimum():
    step = last(descend(rosenbrock, START, SGD(rate=1e-3), steps=20000))
    torch.testing.assert_close(step.state.x, torch.ones_like(START), atol=0.05, rtol=0)


def test_a_step_of_plain_descent_by_hand():
    steps = descend(bowl, torch.tensor([[0.5]]), SGD(rate=0.1), steps=2)
    assert [step.image.item() for step in steps] == pytest.approx([0.46, 0.428])  # 0.5 - 0.1 * 2 * 0.2, and again


def test_decay_goes_in_stairs():
    assert [decayed(0.5, 2, step) for step in range(5)] == [1, 1, 0.5, 0.5, 0.25]
    slope = function(lambda x: 2 * x.sum(1))
    steps = list(descend(slope, torch.zeros(1, 1), SGD(0.5), steps=4, schedule=lambda step: decayed(0.5, 2, step)))
    assert [step.state.x.item() for step in steps] == [-1, -2, -2.5, -3]


@pytest.mark.parametrize("method", [Adam(rate=0.1, box=None), LBFGS(rate=0.1), SGD(rate=0.1)])
def test_every_rate_decays(method):
    slope = function(lambda x: x.sum(1))
    x = [step.state.x.item() for step in descend(slope, torch.zeros(1, 1), method, steps=3, schedule=lambda s: 0.5**s)]
    assert x[2] - x[1] == pytest.approx(0.5 * (x[1] - x[0]), rel=1e-3)


def test_no_decay_changes_no_bit():
    for method in ALL:
        plain = last(descend(rosenbrock, START, method, steps=20)).state.x
        assert torch.equal(plain, last(descend(rosenbrock, START, method, steps=20, schedule=lambda s: 1.0)).state.x)


def test_plain_descent_that_overshoots_has_diverged():
    steps = list(descend(valley, torch.zeros(1, 20, dtype=torch.float64), SGD(rate=1.0), steps=1000))
    assert steps[-1].end is End.DIVERGED
    assert steps[-1].image.isfinite().all()


def test_a_move_that_is_not_finite_has_diverged():
    steep = function(lambda x: 1e30 * x.sum(1))
    steps = list(descend(steep, torch.zeros(1, 2), SGD(rate=1e10), steps=5))
    assert (len(steps), steps[0].end) == (1, End.DIVERGED)
    assert torch.equal(steps[0].image, torch.zeros(1, 2))


@pytest.mark.parametrize(
    ("optimiser", "ours", "theirs"),
    [
        ("adam", lambda rate: Adam(rate, betas=(0.9, 0.999), eps=0.0, box=None), {"eps": 0.0}),
        ("sgd", SGD, {}),
    ],
)
@pytest.mark.parametrize("rate", [0.3, 10.0])
def test_a_rate_for_0_to_255_goes_the_same_way_in_0_to_1(optimiser, ours, theirs, rate):
    curvature = torch.tensor([0.01, 0.05, 0.1], dtype=torch.float64)
    target = torch.tensor([30.0, 120.0, 250.0], dtype=torch.float64)

    def loss(x):
        return 0.5 * (curvature * (x - target).square()).sum(-1)

    x = torch.full((1, 3), 128.0, dtype=torch.float64, requires_grad=True)
    reference = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[optimiser]([x], lr=rate, **theirs)
    small = function(lambda u: loss(255 * u))
    steps = descend(small, x.detach() / 255, ours(rate_from_255(rate, optimiser)), steps=30)
    for step in steps:
        reference.zero_grad()
        loss(x).sum().backward()
        reference.step()
        torch.testing.assert_close(255 * step.state.x, x.detach(), rtol=1e-9, atol=1e-9)


def test_a_rate_without_a_unit_is_not_converted():
    assert rate_from_255(255.0, "adam") == 1.0
    assert rate_from_255(65025.0, "sgd") == 1.0
    with pytest.raises(UnknownNameError, match=r"'lbfgs'\. Known: adam, sgd"):
        rate_from_255(1.0, "lbfgs")


def accepted(f, start, method, steps):
    """Iterates, and how often the function was evaluated."""
    count = [0]

    def counted(x, step):
        count[0] += 1
        return f(x, step)

    xs = [start, *(step.state.x for step in descend(counted, start, method, steps=steps))]
    return xs, count[0]


@pytest.mark.parametrize(("f", "start"), [(rosenbrock, START), (valley, torch.zeros(1, 20, dtype=torch.float64))])
def test_a_line_search_fulfils_both_of_wolfes_conditions(f, start):
    xs, _ = accepted(f, start, LBFGS(search=True), 30)
    for x, new in pairwise(xs):
        here, there, move = f(x, 0), f(new, 0), (new - x).flatten()
        slope = torch.dot(here.gradient.flatten(), move)
        assert there.total <= here.total + 1e-4 * slope + 1e-15
        assert torch.dot(there.gradient.flatten(), move).abs() <= 0.9 * slope.abs() + 1e-15


@pytest.mark.parametrize(("f", "start"), [(rosenbrock, START), (valley, torch.zeros(1, 20, dtype=torch.float64))])
def test_a_line_search_needs_as_many_steps_as_pytorchs(f, start):
    def reached(totals):
        return next(i for i, total in enumerate(totals) if total < 1e-10)

    x = start.clone().requires_grad_()
    reference = torch.optim.LBFGS(
        [x], max_iter=1, max_eval=100, history_size=10, line_search_fn="strong_wolfe", tolerance_grad=0,
        tolerance_change=0,
    )  # fmt: skip

    def closure():
        value = f(x, 0)
        x.grad = value.gradient
        return value.total.sum()

    theirs = [float(reference.step(closure)) for _ in range(300)]
    xs, evaluations = accepted(f, start, LBFGS(search=True), 300)
    ours = reached(f(x, 0).total.item() for x in xs)
    assert ours <= 1.25 * reached(theirs)
    assert evaluations < 1.6 * len(xs)
    torch.testing.assert_close(xs[ours], x.detach(), atol=1e-4, rtol=0)


def test_a_line_search_comes_back_from_where_the_function_ends():
    root = function(lambda x: (x - x.sqrt()).sum(1))  # no number below 0; its minimum is at 1/4
    start = torch.tensor([[0.5]], dtype=torch.float64)
    step = last(descend(root, start, LBFGS(rate=5.0, search=True), steps=20))
    assert step.state.x.item() == pytest.approx(0.25, abs=1e-6)


def test_a_line_search_without_a_lower_value_has_stalled():
    def uphill(x, step):  # a gradient that lies
        return bowl(x, step)._replace(gradient=-bowl(x, step).gradient)

    steps = list(descend(uphill, torch.full((1, 2), 0.5), LBFGS(search=True), steps=5))
    assert (len(steps), steps[0].end) == (1, End.STALLED)


@pytest.mark.parametrize("method", [Adam(), LBFGS(), LBFGS(search=True)])
@pytest.mark.parametrize("factor", [2.0**-113, 2.0**-40, 2.0**40, 2.0**113])  # which round nothing
def test_methods_are_scale_free(method, factor):
    start = START.float()  # whose squares end at 1e38

    def scaled(x, step):
        value = rosenbrock(x, step)
        return Evaluation(value.total * factor, value.losses, value.gradient * factor)

    plain = last(descend(rosenbrock, start, method, steps=20)).state.x
    other = last(descend(scaled, start, method, steps=20)).state.x
    torch.testing.assert_close(plain, other, rtol=1e-3, atol=1e-3)


def test_adam_stays_in_its_box():
    outside = function(lambda x: (x - 5).square().sum(1))
    assert last(descend(outside, torch.tensor([[0.9]]), Adam(rate=0.5), steps=5)).state.x.item() == 1.0


def test_every_method_is_tested():
    assert {type(method) for method in ALL} == {*METHODS.values()}


@pytest.mark.parametrize("method", ALL)
def test_what_a_method_remembers_has_the_names_that_it_says(method):
    assert last(descend(rosenbrock, START, method, steps=2)).state.slots.keys() == method.memory


@pytest.mark.parametrize("method", ALL)
def test_resumed_is_uninterrupted_to_the_bit(method):
    options = {"average": 0.9, "schedule": lambda step: decayed(0.5, 3, step)}
    whole = list(descend(rosenbrock, START, method, steps=20, **options))
    part = last(descend(rosenbrock, START, method, steps=7, **options))
    rest = list(descend(rosenbrock, START, method, steps=20, **options, state=part.state))
    assert len(rest) == 13
    assert torch.equal(rest[-1].image, whole[-1].image)
    assert torch.equal(rest[-1].state.x, whole[-1].state.x)


def test_average_is_unbiased():
    still = function(lambda x: (x * 0 + x).sum(1) * 0 + x.sum(1))
    steps = list(descend(still, torch.tensor([[0.5]]), Adam(rate=0.01, eps=0.0), steps=3, average=0.5))
    x = [0.49, 0.48, 0.47]
    want = (0.125 * x[0] + 0.25 * x[1] + 0.5 * x[2]) / 0.875
    assert steps[-1].image.item() == pytest.approx(want, abs=1e-5)


def test_ends_done():
    steps = list(descend(bowl, torch.zeros(1, 2), Adam(), steps=4))
    assert [step.end for step in steps] == [None, None, None, End.DONE]


def test_zero_gradient_is_stalled():
    step = last(descend(bowl, torch.full((1, 2), 0.3), Adam(), steps=10))
    assert (step.end, step.index) == (End.STALLED, 1)


def test_a_total_that_does_not_move_is_stalled():
    ramp = function(lambda x: 1 + 0 * x.sum(1) + (x.sum(1) - x.detach().sum(1)))
    step = last(descend(ramp, torch.full((1, 2), 0.5), Adam(), steps=50))
    assert step.end is End.STALLED
    assert step.index < 20


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_diverged_keeps_the_last_good_picture(bad):
    def f(x, step):
        value = bowl(x, step)
        return value if step < 3 else Evaluation(value.total, value.losses, value.gradient * bad)

    steps = list(descend(f, torch.zeros(1, 2), Adam(), steps=10))
    assert steps[-1].end is End.DIVERGED
    assert len(steps) == 4
    assert torch.equal(steps[-1].image, steps[-2].image)


def test_a_batch_descends_as_its_members_do():
    both = last(descend(bowl, torch.tensor([[0.0], [0.9]]), Adam(), steps=9)).image
    for i, start in enumerate((0.0, 0.9)):
        alone = last(descend(bowl, torch.tensor([[start]]), Adam(), steps=9)).image
        torch.testing.assert_close(both[i : i + 1], alone)


def test_adams_memory_changes_size():
    slots = last(descend(bowl, torch.zeros(1, 2), Adam(), steps=2)).state.slots
    wide = Adam().carry(slots, lambda x: x.repeat(1, 2) - 1)
    assert wide["first"].shape == (1, 4)
    assert (wide["second"] >= 0).all()
    assert LBFGS().carry(slots, lambda x: x) == {}


def test_a_stalled_descent_resumes_to_nothing():
    ramp = function(lambda x: 1 + 0 * x.sum(1) + (x.sum(1) - x.detach().sum(1)))
    stalled = last(descend(ramp, torch.full((1, 2), 0.5), Adam(), steps=50))
    assert list(descend(ramp, stalled.state.x, Adam(), steps=50, state=stalled.state)) == []


def picture_bowl(x, step):
    """A bowl over pictures whose gradient grows at the third step."""
    factor = 1.0 if step < 2 else 7.0
    return Evaluation(factor * (x - 0.3).square().sum((1, 2, 3)), {}, 2 * factor * (x - 0.3))


@pytest.mark.parametrize("values", [2**20, 40])
def test_in_place_is_the_same_to_the_bit(monkeypatch, generator, values):
    start = torch.rand((2, 3, 9, 5), generator=generator)
    kept = start.clone()
    pure = [step.state for step in descend(picture_bowl, start, Adam(), steps=6, average=0.9)]
    assert torch.equal(start, kept)
    monkeypatch.setattr(strips, "VALUES", values)
    method, place = Adam(in_place=True), start.clone()
    for before, step in zip(
        pure, descend(picture_bowl, place, method, steps=6, average=0.9, in_place=True), strict=True
    ):
        assert torch.equal(step.state.x, before.x)
        assert torch.equal(step.image, before.image)
        for name, value in before.slots.items():
            assert torch.equal(step.state.slots[name], value), name
    assert step.state.x.data_ptr() == place.data_ptr()


def test_a_step_of_a_pure_descent_is_not_written_over(generator):
    states = [
        step.state for step in descend(picture_bowl, torch.rand((1, 3, 8, 8), generator=generator), Adam(), steps=3)
    ]
    copies = [(state.x.clone(), state.slots["first"].clone(), state.image.clone()) for state in states]
    list(descend(picture_bowl, states[0].x, Adam(), steps=3, state=states[0]))
    for state, (x, first, image) in zip(states, copies, strict=True):
        assert torch.equal(state.x, x)
        assert torch.equal(state.slots["first"], first)
        assert torch.equal(state.image, image)


@pytest.mark.parametrize("shape", [(1, 3, 7, 5), (2, 1, 1, 9), (1, 3, 64, 64), (4, 6)])
@pytest.mark.parametrize("values", [1, 50, 2**20])
def test_strips_cover_everything_once(monkeypatch, shape, values):
    monkeypatch.setattr(strips, "VALUES", values)
    seen = torch.zeros(shape)
    for strip in strips.strips(seen):
        seen[strip] += 1
    assert (seen == 1).all()
