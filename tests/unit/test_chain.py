import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from artune.backbones.base import PlainPass
from artune.backbones.chain import fold_border, repeat_border, strips
from artune.backbones.compact import Compact, CompactConfig, CompactPass

NARROW = CompactConfig(((4,), (5, 6), (6, 5, 7), (8, 6, 8), (7, 9)), slope=0.1)
TAPS = [f"relu{stage}_1" for stage in range(1, 6)]


def network(config=NARROW, margin=4, dtype=torch.float64):
    torch.manual_seed(0)
    return Compact(config, margin).to(dtype).requires_grad_(False)


def found(seen, weights, used):
    """A sum in which every number that a pass found has another weight, or none."""
    values = [*seen.features.values(), *(part for sums in seen.sums.values() for part in sums[1:])]
    values = [value for number, value in enumerate(values) if used is None or number % len(used) in used]
    return sum((value * torch.cos(weights + torch.arange(value.numel()).view(value.shape))).sum() for value in values)


def compared(net, taps, summed, image, used=None):
    """Values and gradient of the pass in one function, and of the plain one."""
    out = []
    for make in (CompactPass, PlainPass):
        x = image.clone().requires_grad_()
        seen = make(net, taps, summed)(x)
        assert seen.features.keys() == set(taps)
        assert seen.sums.keys() == set(summed)
        ordered = type(seen)({tap: seen.features[tap] for tap in taps}, {tap: seen.sums[tap] for tap in summed})
        (gradient,) = torch.autograd.grad(found(ordered, 0.3, used), x)
        out.append((ordered, gradient))
    return out


@settings(deadline=None, max_examples=25)
@given(
    st.integers(16, 50),
    st.integers(16, 50),
    st.integers(1, 2),
    st.lists(st.sampled_from(["image", *TAPS]), unique=True, max_size=4),
    st.lists(st.sampled_from(TAPS), unique=True, max_size=5),
    st.sampled_from([0, 4, 5]),
)
def test_one_function_is_the_plain_pass(height, width, batch, taps, summed, margin):
    if not taps and not summed:
        summed = ["relu3_1"]
    image = torch.rand((batch, 3, height, width), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (mine, gradient), (plain, expected) = compared(network(margin=margin), taps, summed, image)
    for tap in taps:
        torch.testing.assert_close(mine.features[tap], plain.features[tap])
    for tap in summed:
        assert mine.sums[tap].positions == plain.sums[tap].positions
        torch.testing.assert_close(mine.sums[tap][1:], plain.sums[tap][1:])
    torch.testing.assert_close(gradient, expected)


def test_strips_change_nothing(monkeypatch):
    monkeypatch.setattr("artune.backbones.chain.STRIP", 1)  # two rows each
    image = torch.rand((1, 3, 41, 33), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (mine, gradient), (plain, expected) = compared(network(), TAPS, TAPS, image)
    for tap in TAPS:
        torch.testing.assert_close(mine.sums[tap][1:], plain.sums[tap][1:])
    torch.testing.assert_close(gradient, expected)


def test_the_bundled_network_in_fp32_has_the_gradients_of_the_plain_pass():
    from artune.backbones.registry import load_network

    image = torch.rand((1, 3, 96, 72), generator=torch.Generator().manual_seed(1))
    (_, gradient), (_, expected) = compared(load_network("compact")[0], ["relu4_1"], TAPS, image)
    assert (gradient - expected).norm() / expected.norm() < 1e-5


def test_bf16_is_near_to_the_plain_pass():
    image = torch.rand((1, 3, 64, 48), generator=torch.Generator().manual_seed(1))
    (mine, gradient), (plain, expected) = compared(network(dtype=torch.bfloat16), ["relu4_1"], TAPS, image)
    assert gradient.dtype == torch.float32
    assert mine.sums["relu1_1"].second.dtype == torch.float32
    for tap in TAPS:
        torch.testing.assert_close(mine.sums[tap].second, plain.sums[tap].second, rtol=0.02, atol=0.5)
    assert (gradient - expected).norm() / expected.norm() < 0.02


def test_a_pass_serves_steps_of_any_size_and_keeps_nothing_of_the_last_one():
    net = network()
    one = CompactPass(net, ["relu2_1"], TAPS)
    generator = torch.Generator().manual_seed(2)
    for size in ((32, 40), (32, 40), (48, 24)):
        image = torch.rand((1, 3, *size), generator=generator, dtype=torch.float64).requires_grad_()
        before = one(image)
        again = CompactPass(net, ["relu2_1"], TAPS)(image)
        assert torch.equal(before.features["relu2_1"], again.features["relu2_1"])
        assert torch.equal(before.sums["relu5_1"].second, again.sums["relu5_1"].second)


@given(st.integers(1, 5), st.integers(1, 5))
def test_folding_is_the_adjoint_of_repeating(height, width):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((1, 2, height + 2, width + 2), generator=generator, dtype=torch.float64)
    slope = torch.rand((1, 2, height + 2, width + 2), generator=generator, dtype=torch.float64)
    inside = x[:, :, 1:-1, 1:-1].clone()
    repeat_border(x)
    forth = (x * slope).sum()
    fold_border(slope)
    torch.testing.assert_close((inside * slope[:, :, 1:-1, 1:-1]).sum(), forth)


@given(st.integers(1, 70), st.integers(1, 2000))
def test_strips_cover_every_row_once_and_begin_at_even_ones(height, width):
    tap = torch.empty((1, 64, height, width), device="meta")
    rows = [row for part in strips(tap) for row in range(height)[part]]
    assert rows == [*range(height)]
    assert all(part.start % 2 == 0 for part in strips(tap))


def test_what_a_loss_does_not_use_has_no_gradient():
    image = torch.rand((1, 3, 32, 24), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for used in ([0, 9], [1, 9], [1, 2, 9]):  # every second or third of the values
        (_, gradient), (_, expected) = compared(network(), ["relu3_1"], TAPS, image, used)
        torch.testing.assert_close(gradient, expected)
