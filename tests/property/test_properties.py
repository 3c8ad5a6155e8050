"""What holds for every input."""

import io
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from safetensors.torch import save_file

from artune.assets import read_weights
from artune.engine.descend import descend
from artune.engine.optimisers import Adam
from artune.errors import PictureError, SpecError, WeightsError
from artune.images.picture import Picture
from artune.images.read import decode_picture
from artune.images.resize import fitted
from artune.images.write import write_picture
from artune.losses import moments as fn
from artune.spec.options import parse_spec
from artune.spec.style import Optimise, StyleSpec
from artune.transfer.plan import resolve
from artune.transfer.sizes import planned
from tests.functions import bowl

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from([*StyleSpec.model_fields, *StyleSpec.model_fields["method"].annotation.model_fields, "x"])


def pixels(side=12):
    shape = st.tuples(st.integers(1, side), st.integers(1, side), st.just(3))
    return shape.flatmap(lambda s: arrays(np.float32, s, elements=st.floats(0, 1, width=32)))


@given(st.dictionaries(names, plain | st.dictionaries(names, plain, max_size=4), max_size=4))
@settings(max_examples=400)
def test_a_spec_is_valid_or_refused_in_words(data):
    try:
        spec = parse_spec(data)
    except SpecError:
        return
    assert parse_spec(spec.model_dump(mode="json")) == spec


@given(st.binary(max_size=400))
@settings(max_examples=300)
def test_any_bytes_are_a_picture_or_refused(data):
    with pytest.raises(PictureError):
        decode_picture(data)


@given(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"]), st.data())
@settings(max_examples=300)
def test_damaged_pictures_are_read_or_refused(form, data):
    buffer = io.BytesIO()
    grid = np.arange(20 * 16 * 3, dtype=np.uint8).reshape(20, 16, 3)
    Image.fromarray(grid).save(buffer, form)
    raw = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(len(raw) // 2, len(raw)))]
    try:
        picture = decode_picture(bytes(raw))
    except PictureError:
        return
    assert np.isfinite(picture.pixels).all()
    assert picture.pixels.min() >= 0
    assert picture.pixels.max() <= 1


@given(st.sampled_from([".pth", ".safetensors"]), st.data())
@settings(max_examples=300)
def test_damaged_weights_are_read_or_refused(tmp_path_factory, suffix, data):
    path = tmp_path_factory.mktemp("weights", numbered=True) / f"a{suffix}"
    whole = {"conv1_1.weight": torch.ones(2, 3), "conv1_1.bias": torch.zeros(2)}
    if suffix == ".pth":
        torch.save(whole, path)
    else:
        save_file(whole, path)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw[: data.draw(st.integers(len(raw) // 2, len(raw)))])
    try:
        weights = read_weights(path)
    except WeightsError:
        return
    assert all(isinstance(value, torch.Tensor) for value in weights.values())


@given(st.binary(max_size=300), st.sampled_from([".pth", ".safetensors"]))
def test_any_bytes_are_refused_as_weights(tmp_path_factory, data, suffix):
    path = tmp_path_factory.mktemp("weights", numbered=True) / f"a{suffix}"
    path.write_bytes(data)
    with pytest.raises(WeightsError):
        read_weights(path)


@given(pixels(), st.sampled_from([8, 16]), st.sampled_from([".png", ".tif"]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read(tmp_path, array, bits, suffix):
    path = tmp_path / f"a{suffix}"
    write_picture(Picture(array), path, bits=bits)
    back = decode_picture(path.read_bytes())
    assert np.abs(back.pixels - array).max() <= 0.51 / (2**bits - 1)


features = arrays(np.float64, (1, 3, 4, 5), elements=st.floats(-3, 3))


@given(features, st.randoms(use_true_random=False))
def test_the_order_of_positions_does_not_matter(array, random):
    order = list(range(20))
    random.shuffle(order)
    x = torch.from_numpy(array)
    shuffled = x.flatten(2)[..., order].view_as(x)
    for a, b in zip(fn.moments(x), fn.moments(shuffled), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@given(features, features)
def test_wasserstein_is_a_distance(a, b):
    a, b = (fn.moments(torch.from_numpy(x)) for x in (a, b))
    ab, ba = (fn.wasserstein(x, fn.gaussian(y)).item() for x, y in ((a, b), (b, a)))
    level = (fn.energy(a) + fn.energy(b)).item() + 1e-6
    assert ab >= 0
    assert ab == pytest.approx(ba, rel=1e-3, abs=1e-4 * level)
    assert fn.wasserstein(a, fn.gaussian(a)).item() <= 1e-4 * level


@given(features, st.floats(0.01, 100))
def test_distances_grow_with_the_square_of_the_features(array, factor):
    x = torch.from_numpy(array)
    other = x.flip(2) * 0.5 + 0.1
    for distance in (
        lambda p, q: fn.wasserstein(fn.moments(p), fn.gaussian(fn.moments(q))),
        lambda p, q: fn.gram_distance(fn.moments(p), fn.gram(fn.moments(q))),
    ):
        one, scaled = distance(x, other).item(), distance(factor * x, factor * other).item()
        assert scaled == pytest.approx(one * factor**2, rel=1e-3, abs=1e-3 * factor**2)


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(1, 4000))
def test_fitted_sizes_have_the_longer_side_asked_for(width, height, longer):
    got = fitted(width, height, longer)
    assert max(got) == longer
    assert min(got) >= 1


@given(
    st.integers(1, 65_536),
    st.sampled_from(["draft", "normal", "best"]),
    st.none() | st.integers(0, 5000),
    st.integers(1, 300),
    st.floats(1.01, 5),
)
def test_sizes_grow_to_the_last(size, quality, steps, smallest, factor):
    method = Optimise(quality=quality, steps=steps, smallest_size=smallest, size_factor=factor)
    rungs = planned(method, size)
    assert rungs[-1].size == size
    assert all(a.size < b.size for a, b in pairwise(rungs))
    assert steps is None or sum(rung.steps for rung in rungs) == steps


@given(st.floats(0, 1), st.lists(st.floats(0.01, 1e6), min_size=1, max_size=4), st.integers(1, 3000))
def test_resolving_twice_is_resolving_once(strength, weights, size):
    styles = len(weights)
    spec = StyleSpec(strength=strength, size=size, style_weights=tuple(weights))
    once = resolve(spec, (300, 200), styles, device="cpu", precision="fp32")
    assert resolve(once, (300, 200), styles, device="cpu", precision="fp32") == once


@given(st.integers(0, 12), st.floats(0, 0.99))
@settings(max_examples=30)
def test_resumed_anywhere_is_uninterrupted(stop, average):
    start = torch.tensor([[0.9, 0.1]])
    whole = list(descend(bowl, start, Adam(), steps=12, average=average))[-1]
    state = None
    for step in descend(bowl, start, Adam(), steps=stop, average=average):
        state = step.state
    rest = list(descend(bowl, start, Adam(), steps=12, average=average, state=state))
    image = rest[-1].image if rest else state.image
    assert torch.equal(image, whole.image)
