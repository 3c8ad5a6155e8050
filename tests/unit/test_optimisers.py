"""Methods of descent: what each does, and the facts that it says of itself."""

from typing import get_args

import numpy as np
import pytest
import scipy.optimize
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from artune.engine import strips
from artune.engine.descend import End, Evaluation, descend, fits
from artune.engine.optimisers import LBFGS, OPTIMISERS, SGD, Adam, decayed, rate_from_255
from artune.errors import UnknownNameError
from artune.spec.style import Optimise
from tests.functions import ALL, START, UNBOUNDED, bowl, function, last, picture_bowl, rosenbrock, valley


def test_lbfgs_finds_rosenbrocks_minimum():
    step = last(descend(rosenbrock, START, LBFGS(box=None), steps=400))
    torch.testing.assert_close(step.state.x, torch.ones_like(START), atol=1e-4, rtol=0)


def test_adam_finds_rosenbrocks_minimum():
    step = last(descend(rosenbrock, START, Adam(rate=0.05, box=None), steps=3000))
    torch.testing.assert_close(step.state.x, torch.ones_like(START), atol=0.05, rtol=0)


def test_adams_first_step_by_hand():
    step = last(descend(bowl, torch.tensor([[0.5]]), Adam(rate=0.1, eps=0.0), steps=1))
    assert step.image.item() == pytest.approx(0.4)  # the first step is the rate, whatever the gradient


def test_plain_descent_finds_rosenbrocks_minimum():
    step = last(descend(rosenbrock, START, SGD(rate=2e-3), steps=5000))
    torch.testing.assert_close(step.state.x, torch.ones_like(START), atol=0.05, rtol=0)


def test_a_step_of_plain_descent_by_hand():
    steps = descend(bowl, torch.tensor([[0.5]]), SGD(rate=0.1), steps=2)
    assert [step.image.item() for step in steps] == pytest.approx([0.46, 0.428])  # 0.5 - 0.1 * 2 * 0.2, and again


def test_decay_goes_in_stairs():
    assert [decayed(0.5, 2, step) for step in range(5)] == [1, 1, 0.5, 0.5, 0.25]
    slope = function(lambda x: 2 * x.sum(1))
    steps = list(descend(slope, torch.zeros(1, 1), SGD(0.5), steps=4, schedule=lambda step: decayed(0.5, 2, step)))
    assert [step.state.x.item() for step in steps] == [-1, -2, -2.5, -3]


@pytest.mark.parametrize("optimiser", [Adam(rate=0.1, box=None), LBFGS(rate=0.1, box=None), SGD(rate=0.1)])
def test_every_rate_decays(optimiser):
    slope = function(lambda x: x.sum(1))
    x = [
        step.state.x.item() for step in descend(slope, torch.zeros(1, 1), optimiser, steps=3, schedule=lambda s: 0.5**s)
    ]
    assert x[2] - x[1] == pytest.approx(0.5 * (x[1] - x[0]), rel=1e-3)


def test_no_decay_changes_no_bit():
    for optimiser in UNBOUNDED:
        plain = last(descend(rosenbrock, START, optimiser, steps=20)).state.x
        assert torch.equal(plain, last(descend(rosenbrock, START, optimiser, steps=20, schedule=lambda s: 1.0)).state.x)


def test_plain_descent_that_overshoots_has_diverged():
    steps = list(descend(valley, torch.zeros(1, 20, dtype=torch.float64), SGD(rate=1.0), steps=1000))
    assert steps[-1].end is End.DIVERGED
    assert steps[-1].image.isfinite().all()


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


@pytest.mark.parametrize("optimiser", UNBOUNDED[:3])
@pytest.mark.parametrize("factor", [2.0**-113, 2.0**-40, 2.0**40, 2.0**113])  # which round nothing
def test_optimisers_are_scale_free(optimiser, factor):
    start = START.float()  # whose squares end at 1e38

    def scaled(x, step):
        value = rosenbrock(x, step)
        return Evaluation(value.total * factor, value.losses, value.gradient * factor)

    plain = last(descend(rosenbrock, start, optimiser, steps=20)).state.x
    other = last(descend(scaled, start, optimiser, steps=20)).state.x
    torch.testing.assert_close(plain, other, rtol=1e-3, atol=1e-3)


def test_adam_stays_in_its_box():
    outside = function(lambda x: (x - 5).square().sum(1))
    assert last(descend(outside, torch.tensor([[0.9]]), Adam(rate=0.5), steps=5)).state.x.item() == 1.0


def test_every_optimiser_is_tested():
    assert {type(optimiser) for optimiser in ALL} == {*OPTIMISERS.values()}


@pytest.mark.parametrize("optimiser", UNBOUNDED)
def test_what_an_optimiser_remembers_has_the_names_and_shapes_that_it_says(optimiser):
    state = last(descend(rosenbrock, START, optimiser, steps=3)).state
    assert fits(state.slots, optimiser, state.x)
    for name, slot in state.slots.items():
        for other in (slot[None], slot.new_zeros(5)):
            assert not fits({**state.slots, name: other}, optimiser, state.x)
        assert not fits({key: value for key, value in state.slots.items() if key != name}, optimiser, state.x)
    assert not fits({**state.slots, "other": state.x}, optimiser, state.x)


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


@pytest.mark.parametrize("values", [2**20, 40])
def test_in_place_is_the_same_to_the_bit(monkeypatch, generator, values):
    start = torch.rand((2, 3, 9, 5), generator=generator)
    kept = start.clone()
    pure = [step.state for step in descend(picture_bowl, start, Adam(), steps=6, average=0.9)]
    assert torch.equal(start, kept)
    monkeypatch.setattr(strips, "VALUES", values)
    optimiser, place = Adam(in_place=True), start.clone()
    for before, step in zip(
        pure, descend(picture_bowl, place, optimiser, steps=6, average=0.9, in_place=True), strict=True
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


# the box

COUPLED = torch.randn((30, 12), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
WANTED = torch.linspace(-1.0, 2.0, 12, dtype=torch.float64)
coupled = function(lambda x: ((x - WANTED) @ COUPLED.T).square().sum(1))
"""A quadratic whose minimum is outside of the box, in every second direction far from it."""


@pytest.mark.parametrize("search", [False, True])
@pytest.mark.parametrize("history", [3, 100])
def test_lbfgs_finds_the_minimum_in_the_box_that_scipy_finds(search, history):
    def value(x):
        found = coupled(torch.from_numpy(x)[None], 0)
        return found.total.item(), found.gradient[0].numpy()

    want = scipy.optimize.minimize(value, np.full(12, 0.5), jac=True, bounds=[(0, 1)] * 12, tol=1e-12)
    assert 0 < np.sum((want.x > 0) & (want.x < 1)) < 10  # some are at a limit, some are not
    start = torch.full((1, 12), 0.5, dtype=torch.float64)
    step = last(descend(coupled, start, LBFGS(search=search, history=history), steps=300))
    np.testing.assert_allclose(step.image[0].numpy(), want.x, atol=2e-4)


@pytest.mark.parametrize("optimiser", [optimiser for optimiser in ALL if optimiser.box])
def test_what_is_shown_is_what_is_evaluated_and_within_the_box(optimiser):
    """Else the losses of a run are not those of its picture: a picture is clipped when it is written."""
    seen = []

    def noted(x, step):
        seen.append(x)
        return coupled(x, step)

    start = torch.full((1, 12), 0.5, dtype=torch.float64)
    images = [step.image for step in descend(noted, start, optimiser, steps=40)]
    assert all(image.min() >= 0 and image.max() <= 1 for image in (*images, *seen))
    evaluated = {tuple(x.flatten().tolist()) for x in seen}
    assert all(tuple(image.flatten().tolist()) in evaluated for image in images[:-1])


@pytest.mark.parametrize("search", [False, True])
def test_lbfgs_stalls_in_a_corner_where_the_minimum_is(search):
    outside = function(lambda x: (x - torch.tensor([5.0, -5.0])).square().sum(1))
    steps = list(descend(outside, torch.full((1, 2), 0.5), LBFGS(rate=2.0, search=search), steps=50))
    assert steps[-1].end is End.STALLED
    assert steps[-1].image.tolist() == [[1.0, 0.0]]


# facts


def test_a_spec_names_the_optimisers_that_there_are():
    assert {*get_args(Optimise.model_fields["optimiser"].annotation)} == {"auto", *OPTIMISERS}


@pytest.mark.parametrize("optimiser", UNBOUNDED)
def test_an_optimiser_says_whether_it_is_scale_free(optimiser):
    def scaled(x, step):
        value = valley(x, step)
        return value._replace(total=8 * value.total, gradient=8 * value.gradient)

    start = torch.zeros((1, 20), dtype=torch.float64)
    plain, other = (last(descend(f, start, optimiser, steps=5)).state.x for f in (valley, scaled))
    assert torch.allclose(plain, other) == optimiser.scale_free


@pytest.mark.parametrize("optimiser", UNBOUNDED)
def test_an_optimiser_says_whether_draws_must_be_fixed(optimiser):
    """One that compares gradients of different steps moves by what a function added at one of them."""

    def jumping(x, step):
        value = valley(x, step)
        return value if step != 1 else value._replace(gradient=value.gradient + 100.0)

    def moves(f):
        steps = list(descend(f, torch.zeros((1, 20), dtype=torch.float64), optimiser, steps=3))
        return steps[2].state.slots.get("turns")

    plain, other = moves(valley), moves(jumping)
    assert (plain is not None and not torch.equal(plain, other)) == optimiser.fixed_draws


@pytest.mark.parametrize("history", [1, 4])
def test_lbfgs_keeps_its_newest_pairs(history):
    steps = list(descend(rosenbrock, START, LBFGS(history=history, box=None), steps=8))
    turns = [step.state.slots["turns"] for step in steps]
    assert [len(rows) for rows in turns] == [min(index, history) for index in range(8)]
    ratio = turns[-1][:-1] / turns[-2][1:]  # of the units in which they are counted: one number
    torch.testing.assert_close(ratio, ratio[:1, :1].expand_as(ratio))


class Held(TorchDispatchMode):
    """Counts the bytes of the tensors that are alive at once, at most."""

    def __init__(self):
        super().__init__()
        self.alive, self.most = {}, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                reference = StorageWeakRef(storage)
                self.alive[reference.cdata] = (reference, storage.nbytes())
        self.alive = {key: held for key, held in self.alive.items() if not held[0].expired()}
        self.most = max(self.most, sum(size for _, size in self.alive.values()))
        return out


@pytest.mark.parametrize(
    ("optimiser", "tiled"),
    [
        (Adam(), False),
        (Adam(in_place=True), True),
        (SGD(0.1), False),
        (LBFGS(), False),
        (LBFGS(history=30), False),
        (LBFGS(history=20, search=True), True),
    ],
)
def test_an_optimiser_says_how_many_pictures_it_holds(optimiser, tiled, monkeypatch, generator):
    monkeypatch.setattr(strips, "VALUES", 300)
    curvature = torch.rand((1, 3, 32, 32), generator=generator)
    shift = 0.3 * curvature
    flat = shift.flatten()

    def f(x, step):  # of (x - 0.3)^2, without a tensor of its own but the gradient
        gradient = (curvature * x).sub_(shift)
        total = torch.dot(gradient.flatten(), x.flatten()) - torch.dot(flat, x.flatten())
        return Evaluation(total[None], {}, gradient)

    start = torch.rand((1, 3, 32, 32), generator=generator)
    with Held() as held:
        for _ in descend(f, start, optimiser, steps=50, average=0.9, in_place=tiled):
            pass
    pictures = held.most / (4 * start.numel())
    said = optimiser.copies.tiled if tiled else optimiser.copies.whole
    assert pictures - 0.5 <= said <= pictures + 8
