import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from artune.backbones.base import PassOutput, PlainPass
from artune.backbones.chain import fold_border, repeat_border
from artune.backbones.compact import Compact, CompactConfig, CompactPass
from artune.backbones.registry import load_network
from artune.backbones.sums import row_chunks

NARROW = CompactConfig(((4,), (5, 6), (6, 5, 7), (8, 6, 8), (7, 9)), slope=0.1)
TAPS = [f"relu{stage}_1" for stage in range(1, 6)]


def network(config=NARROW, margin=4, dtype=torch.float64):
    torch.manual_seed(0)
    return Compact(config, margin).to(dtype).requires_grad_(False)


def found(output, used):
    """A sum in which every number has another weight, of some of the tensors that a pass found."""
    values = [*output.features.values(), *(part for sums in output.sums.values() for part in sums[1:])][used]
    return sum((value * torch.cos(0.3 + torch.arange(value.numel()).view(value.shape))).sum() for value in values)


def ordered(output, taps, summed):
    return PassOutput({tap: output.features[tap] for tap in taps}, {tap: output.sums[tap] for tap in summed})


def compared(net, taps, summed, image, used=slice(None)):
    """Values and gradient of the pass in one function, and of the plain one."""
    out = []
    for make in (CompactPass, PlainPass):
        x = image.clone().requires_grad_()
        output = make(net, taps, summed)(x)
        assert output.features.keys() == set(taps)
        assert output.sums.keys() == set(summed)
        output = ordered(output, taps, summed)
        (gradient,) = torch.autograd.grad(found(output, used), x)
        out.append((output, gradient))
    return out


@settings(deadline=None, max_examples=25)
@given(
    st.integers(16, 50),
    st.integers(16, 50),
    st.integers(1, 2),
    st.lists(st.sampled_from(["image", *TAPS]), unique=True, max_size=4),
    st.lists(st.sampled_from(["image", *TAPS]), unique=True, max_size=6),
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


@pytest.fixture(scope="module")
def bundled():
    return load_network("compact")[0]


@pytest.mark.parametrize("tap", TAPS)
def test_the_bundled_network_in_fp32_has_the_gradients_of_the_plain_pass(bundled, tap):
    image = torch.rand((1, 3, 96, 72), generator=torch.Generator().manual_seed(1))
    for taps, summed in (([tap], []), ([], [tap])):  # one at a time: the sums of the first would outweigh all others
        (_, gradient), (_, expected) = compared(bundled, taps, summed, image)
        assert (gradient - expected).norm() / expected.norm() < 1e-5


def test_the_bundled_network_has_a_pass_of_its_own(bundled):
    assert isinstance(bundled.make_pass(["relu4_1"], TAPS), CompactPass)


@pytest.mark.parametrize("tap", TAPS)
def test_bf16_is_near_to_the_plain_pass(tap):
    image = torch.rand((1, 3, 64, 48), generator=torch.Generator().manual_seed(1))
    (mine, gradient), (plain, expected) = compared(network(dtype=torch.bfloat16), [], [tap], image)
    assert gradient.dtype == torch.float32
    one, other = mine.sums[tap].second, plain.sums[tap].second
    assert one.dtype == torch.float32
    assert (one - other).norm() / other.norm() < 0.03
    assert (gradient - expected).norm() / expected.norm() < 0.03


def test_autocast_of_an_application_changes_nothing():
    image = torch.rand((1, 3, 32, 24), generator=torch.Generator().manual_seed(1)).requires_grad_()
    one = CompactPass(network(dtype=torch.float32), ["relu3_1"], TAPS)
    gradients = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = found(one(image), slice(None))
            gradients.append(torch.autograd.grad(loss, image)[0])
    torch.testing.assert_close(*gradients)


def test_a_pass_refuses_weights_that_are_trained():
    with pytest.raises(ValueError, match="no gradient of weights"):
        CompactPass(network().requires_grad_(), ["relu3_1"], [])
    net = network()
    one = CompactPass(net, ["relu3_1"], [])
    net.requires_grad_()
    with pytest.raises(ValueError, match="no gradient of weights"):
        one(torch.rand((1, 3, 32, 24), dtype=torch.float64))


def test_a_pass_serves_steps_of_any_size_and_leaves_earlier_results_alone():
    net = network()
    one, plain = CompactPass(net, ["relu2_1"], TAPS), PlainPass(net, ["relu2_1"], TAPS)
    generator = torch.Generator().manual_seed(2)
    earlier = []
    for size in ((32, 40), (32, 40), (48, 24), (16, 16)):
        image = torch.rand((1, 3, *size), generator=generator, dtype=torch.float64).requires_grad_()
        output, expected = one(image), plain(image)
        output, expected = (ordered(each, ["relu2_1"], TAPS) for each in (output, expected))
        gradients = [torch.autograd.grad(found(each, slice(1, 4)), image)[0] for each in (output, expected)]
        torch.testing.assert_close(*gradients)
        earlier.append((output, expected))
    for output, expected in earlier:
        torch.testing.assert_close(output.features["relu2_1"], expected.features["relu2_1"])
        torch.testing.assert_close(output.sums["relu5_1"].second, expected.sums["relu5_1"].second)


def test_weights_that_are_loaded_after_a_pass_was_made_count():
    net = network()
    one, plain = CompactPass(net, [], TAPS), PlainPass(net, [], TAPS)
    generator = torch.Generator().manual_seed(2)
    image = torch.rand((1, 3, 32, 24), generator=generator, dtype=torch.float64).requires_grad_()
    for _ in range(2):
        gradients = [torch.autograd.grad(found(p(image), slice(None)), image)[0] for p in (one, plain)]
        torch.testing.assert_close(*gradients)
        torch.manual_seed(3)
        net.load(Compact(NARROW).state_dict(), "memory", {"slope": "0.1"})


def test_a_pass_refuses_a_network_that_has_changed_its_shape():
    net = network()
    one, before = CompactPass(net, [], TAPS), net.state_dict()
    for weights, slope in ((Compact(NARROW).state_dict(), "0.5"), (before, net.metadata["slope"])):  # there, and back
        net.load(weights, "memory", {"slope": slope})
        with pytest.raises(RuntimeError, match="another shape since this pass was made; make a new pass"):
            one(torch.rand((1, 3, 32, 24), dtype=torch.float64))


def test_a_gradient_that_is_taken_too_late_or_twice_is_refused():
    image = torch.rand((1, 3, 32, 24), dtype=torch.float64).requires_grad_()
    one = CompactPass(network(), ["relu3_1"], [])
    first = one(image).features["relu3_1"].sum()
    with torch.no_grad():
        one(image)
    with pytest.raises(RuntimeError, match="called again"):
        first.backward()
    second = one(image).features["relu3_1"].sum()
    second.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="taken already"):
        second.backward()


def test_what_a_pass_needed_for_the_gradient_is_freed_with_it():
    image = torch.rand((1, 3, 32, 24), dtype=torch.float64).requires_grad_()
    one = CompactPass(network(), [], TAPS)
    taps = []
    forward = one.chain.forward

    def watched(*arguments):
        kept, values = forward(*arguments)
        taps.extend(map(weakref.ref, kept.taps))
        return kept, values

    one.chain.forward = watched
    loss = found(one(image), slice(None))
    assert all(tap() is not None for tap in taps)
    loss.backward()
    assert all(tap() is None for tap in taps)


def test_a_pass_that_began_in_inference_mode_serves_steps_outside_it():
    one = CompactPass(network(), ["relu2_1"], TAPS)
    image = torch.rand((1, 3, 32, 24), dtype=torch.float64)
    with torch.inference_mode():
        one(image)
    found(one(image.requires_grad_()), slice(None)).backward()


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
    tap = torch.empty(()).expand(1, 64, height, width)
    rows = [row for part in row_chunks(tap, 2**19, multiple=2) for row in range(height)[part]]
    assert rows == [*range(height)]
    assert all(part.start % 2 == 0 for part in row_chunks(tap, 2**19, multiple=2))


def test_what_a_loss_does_not_use_has_no_gradient():
    image = torch.rand((1, 3, 32, 24), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for used in (slice(0, 1), slice(1, None, 2), slice(2, None, 2), slice(4, 5)):
        (_, gradient), (_, expected) = compared(network(), ["relu3_1"], TAPS, image, used)
        torch.testing.assert_close(gradient, expected)
