"""Universal style transfer: the coders, their file, and the method ``wct`` with plans, steps, tiles and regions."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import artune
from artune import api
from artune.engine.descend import run_to_end
from artune.errors import CheckpointError, InputError, PictureError, ResourceError, SpecError, WeightsError
from artune.images.picture import Picture
from artune.losses.moments import gaussian, mean_and_covariance, moments
from artune.networks.transforms import whitening_colouring
from artune.networks.wct import WCTNetwork, layers_of, radius_of, read_autoencoders, stage_of, stride_of
from artune.spec.options import with_options
from artune.spec.style import LEVELS, WCT, StyleSpec
from artune.transfer.canvas import padded
from artune.transfer.checkpoint import Checkpoint
from artune.transfer.inputs import Masked
from artune.transfer.methods import method_of, plan_run, steps
from artune.transfer.wct import _decoded, _moments
from tests.coders import coder_weights, file_of_coders, plain_weights

SMALL = {"method": WCT(), "size": 48, "strength": 0.6}
LUMINANCE = "content-luminance"
COLOURS = {"method": WCT(levels="relu1_1"), "size": 48}


@pytest.fixture(scope="module")
def coders(tmp_path_factory):
    """A file with small random coders."""
    return file_of_coders(coder_weights(), tmp_path_factory.mktemp("coders") / "coders.safetensors")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A file with coders that hand the colours on."""
    return file_of_coders(plain_weights(), tmp_path_factory.mktemp("plain") / "plain.safetensors")


def colours(picture):
    """Mean and covariance of the colours of a picture or a part of it, ``[h, w, 3]``."""
    pixels = picture.pixels if isinstance(picture, Picture) else picture
    found = mean_and_covariance(moments(torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None]))
    return [each[0].numpy() for each in found]


def muted(picture):
    """A picture of a little contrast around grey, so that no colour is clamped in its style."""
    return replace(picture, pixels=0.4 + 0.2 * picture.pixels)


# ------------------------------------------------------------------------------------- the network


def test_the_layers_of_a_level():
    assert layers_of("relu1_1") == ["conv1_1"]
    assert layers_of("relu3_1") == ["conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"]
    assert len(layers_of("relu5_1")) == 13
    assert [stage_of(level) for level in LEVELS] == [5, 4, 3, 2, 1]
    assert [stride_of(level) for level in LEVELS] == [16, 8, 4, 2, 1]
    assert all(radius_of(level) % stride_of(level) == 0 for level in LEVELS)


@pytest.mark.parametrize("level", LEVELS)
def test_coders_against_plain_functions(coders, level):
    weights = {name: tensor.float() for name, tensor in coder_weights().items()}
    network, stage, names = read_autoencoders(coders), stage_of(level), layers_of(level)
    image = torch.rand(1, 3, 64, 48, generator=torch.Generator().manual_seed(1))

    def convolved(x, name):
        x = F.pad(x, (1, 1, 1, 1), mode="reflect")
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    x = image
    for name in names:
        if name in ("conv2_1", "conv3_1", "conv4_1", "conv5_1"):
            x = F.max_pool2d(x, 2)
        x = convolved(x, f"encoder{stage}.{name}").relu()
    torch.testing.assert_close(network.encode(image, level), x)
    for name in reversed(names):
        y = convolved(x, f"decoder{stage}.{name}")
        x = y.relu()
        if name in ("conv2_1", "conv3_1", "conv4_1", "conv5_1"):
            x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(network.decode(network.encode(image, level), level), y)


@pytest.mark.parametrize("level", LEVELS)
def test_what_lies_beyond_the_radius_does_not_count(coders, level):
    network, radius = read_autoencoders(coders), radius_of(level)
    image = torch.rand(1, 3, 32, 32 + radius + 32, generator=torch.Generator().manual_seed(1))
    made = [network.decode(network.encode(x, level), level) for x in (image, image[..., :-32])]
    torch.testing.assert_close(made[0][..., :32], made[1][..., :32])
    assert not torch.allclose(made[0][..., 32:-32], made[1][..., 32:])  # and nearer pixels do


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda w: w.pop("encoder3.conv2_1.bias"), r"encoder3\.conv2_1\.bias is missing"),
        (lambda w: w.pop("decoder5.conv4_2.weight"), r"decoder5\.conv4_2\.weight is missing"),
        (lambda w: w.update({"head.weight": torch.ones(1)}), r"holds head\.weight, which is no part"),
        (
            lambda w: w.update({"decoder1.conv1_1.weight": torch.ones(3, 9, 3, 3)}),
            r"decoder1\.conv1_1\.weight is missing",
        ),
        (lambda w: w.update({"decoder1.conv1_1.bias": torch.ones(4)}), r"decoder1\.conv1_1\.bias is missing or wrong"),
        (
            lambda w: w.update({"encoder1.conv1_1.bias": torch.ones(4, 4)}),
            r"encoder1\.conv1_1\.bias is missing or wrong",
        ),
        (lambda w: w.update({"encoder2.conv1_1.weight": torch.ones(3, 3, 3, 3).int()}), "missing or wrong"),
        (lambda w: w["encoder4.conv3_3.weight"].fill_(torch.nan), "is damaged: encoder4.conv3_3.weight holds values"),
    ],
)
def test_files_that_do_not_fit(tmp_path, change, says):
    weights = coder_weights(3)
    change(weights)
    with pytest.raises(WeightsError, match=says) as caught:
        read_autoencoders(file_of_coders(weights, tmp_path / "a.safetensors"))
    assert "give a file with the encoders and decoders" in str(caught.value)


def test_weights_must_be_given_and_there(tmp_path, photo, painting):
    with pytest.raises(WeightsError, match="the method wct needs `weights`, and none are installed"):
        artune.style(photo, painting, **SMALL)
    with pytest.raises(WeightsError, match="there is no weights file"):
        artune.style(photo, painting, weights=tmp_path / "none.safetensors", **SMALL)
    (tmp_path / "a.safetensors").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="damaged or not a weights file"):
        artune.style(photo, painting, weights=tmp_path / "a.safetensors", **SMALL)
    with pytest.raises(WeightsError, match=r"encoder5\.conv1_1\.bias"):
        artune.style(photo, painting, weights=artune.assets.locate(artune.assets.PAINTER), **SMALL)


# ------------------------------------------------------------------------------------- the pictures


@pytest.mark.parametrize("transform", ["wct", "transport"])
def test_plain_coders_carry_the_colours_over(photo, painting, plain, transform):
    """At the first level, features are colours: the result has the painting's mean colour and covariance."""
    painting = muted(painting)
    found = artune.style(photo, painting, weights=plain, strength=1, transform=transform, **COLOURS).picture
    for ours, theirs in zip(colours(found), colours(painting), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_adain_carries_over_the_deviation_of_each_colour_alone(photo, painting, plain):
    painting = muted(painting)
    found = artune.style(photo, painting, weights=plain, strength=1, transform="adain", **COLOURS).picture
    (mean, cov), (wanted, theirs), (_, own) = map(colours, (found, painting, photo))
    np.testing.assert_allclose(mean, wanted, atol=1e-3)
    np.testing.assert_allclose(np.diag(cov), np.diag(theirs), atol=1e-3)
    found, before = (each / np.sqrt(np.outer(np.diag(each), np.diag(each))) for each in (cov, own))
    np.testing.assert_allclose(found, before, atol=0.01)  # colours correlate as in the photograph


def test_the_strength_blends_what_is_mapped(photo, painting, plain):
    made = [artune.style(photo, muted(painting), weights=plain, strength=s, **COLOURS).picture for s in (0.2, 0.6, 1)]
    for strength, each in zip((0.2, 0.6), made[:2], strict=True):
        wanted = strength * made[2].pixels + (1 - strength) * photo.pixels
        np.testing.assert_allclose(each.pixels, wanted, atol=1e-5)
    half = WCT(levels={"relu1_1": 0.6})
    by_share = artune.style(photo, muted(painting), weights=plain, strength=1, method=half, size=48).picture
    np.testing.assert_allclose(by_share.pixels, made[1].pixels, atol=1e-6)


def test_strength_0_is_the_photograph_to_the_bit(photo, painting, coders):
    found = artune.style(photo, painting, weights=coders, method=WCT(), size=48, strength=0)
    assert np.array_equal(found.picture.pixels, photo.pixels)
    near = artune.style(photo, painting, weights=coders, method=WCT(), size=48, strength=0.01)
    assert np.abs(near.picture.pixels - photo.pixels).max() < 0.1


def test_every_level_changes_the_picture(photo, painting, coders):
    whole = artune.style(photo, painting, weights=coders, **SMALL).picture.pixels
    for level in LEVELS:
        others = WCT(levels=[other for other in LEVELS if other != level])
        without = artune.style(photo, painting, weights=coders, **SMALL | {"method": others})
        assert without.record.steps == 4
        assert np.abs(without.picture.pixels - whole).mean() > 1e-3, level


def test_the_steps_are_the_levels_from_deep_to_shallow(photo, painting, plain):
    """By hand: encoded, mapped, decoded, and clamped, with the picture of one level as the next one's photograph."""
    levels, network = ["relu2_1", "relu1_1"], read_autoencoders(plain)
    spec = {"method": WCT(levels=levels[::-1]), "size": 48, "strength": 0.7}
    x, style = photo.tensor(), painting.tensor()
    for level in levels:
        features = network.encode(x, level)
        content, target = (gaussian(moments(each.double())) for each in (features, network.encode(style, level)))
        mapped = whitening_colouring(content, target).of(features.double()).float()
        x = network.decode(0.7 * mapped + 0.3 * features, level).clamp(0, 1)
    found = artune.style(photo, painting, weights=plain, **spec).picture
    torch.testing.assert_close(found.tensor(), x, rtol=0, atol=1e-4)


def test_its_record_makes_the_same_picture(photo, painting, coders):
    result = artune.style(photo, painting, method="wct", weights=coders, size=48)
    assert (result.record.spec.method.kind, result.record.spec.strength) == ("wct", 0.6)
    assert result.record.balance is None
    assert "strength 0.6, 5 steps, done" in repr(result)
    assert {*result.record.digests} == {"content", "style 0", "weights"}
    again = artune.style(photo, painting, spec=result.record.spec, weights=coders)
    assert again.record.key == result.record.key
    assert np.array_equal(again.picture.pixels, result.picture.pixels)
    others = [{"strength": 0.7}, {"transform": "transport"}, {"levels": "relu1_1"}, {"size": 32}, {"style_scale": 0.5}]
    network = WCTNetwork.load(StyleSpec(), coders)
    specs = [with_options(result.record.spec, one) for one in others]
    keys = {plan_run(api.read(photo, [painting], spec, network=network)).key for spec in specs}
    assert len(keys | {result.record.key}) == 6


def test_progress_and_checkpoint(photo, painting, coders, tmp_path):
    spec = StyleSpec(**SMALL | {"strength": 0.1})  # weak, so that the last step blends with the photograph
    run = plan_run(api.read(photo, [painting], spec, weights=coders))
    events = list(steps(run))
    assert [event.event for event in events] == ["begins", *["step"] * 5, "ends"]
    assert [event.share for event in events] == [0, 0.2, 0.4, 0.6, 0.8, 1, 1]
    for number, event in enumerate(events[:-1]):
        path = tmp_path / f"{number}.partial"
        event.save(path)
        *_, last = steps(run, Checkpoint.load(path))
        assert torch.equal(last.state.x, events[-1].state.x), number
    other = plan_run(api.read(photo, [painting], StyleSpec(**SMALL), weights=coders))
    with pytest.raises(CheckpointError):
        list(steps(other, Checkpoint.load(tmp_path / "1.partial")))


def test_cancelling_keeps_the_picture_so_far(photo, painting, coders):
    found = artune.style(photo, painting, weights=coders, on_step=lambda progress: progress.done == 2, **SMALL)
    assert (found.record.end, found.record.steps) == ("cancelled", 2)


@pytest.mark.parametrize("level", LEVELS)
def test_tiles_make_the_picture_that_the_whole_makes(coders, monkeypatch, level):
    network = WCTNetwork.load(StyleSpec(), coders)
    image = torch.rand(1, 3, 37, 410, generator=torch.Generator().manual_seed(2))
    mask = torch.rand(1, 1, 37, 410, generator=torch.Generator().manual_seed(3))
    made = []
    for side in (1024, 16):
        monkeypatch.setattr("artune.transfer.wct.WHOLE_SIDE", side)
        monkeypatch.setattr("artune.transfer.wct.TILE_SIDE", 64)
        found = run_to_end(_moments(network, image, [None, mask], level))
        maps = [whitening_colouring(gaussian(each), gaussian(found[0])).at(0.5) for each in found]
        made.append((found, run_to_end(_decoded(network, image, maps[1:], [mask], level))))
    for whole, tiled in zip(made[0][0], made[1][0], strict=True):
        assert whole.mass == pytest.approx(float(tiled.mass))
        torch.testing.assert_close(whole.second, tiled.second, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(made[0][1], made[1][1], rtol=0, atol=1e-4)


def test_a_run_in_tiles_tells_each_and_is_resumed_from_each(photo, painting, coders, monkeypatch, tmp_path):
    monkeypatch.setattr("artune.transfer.wct.WHOLE_SIDE", 64)
    monkeypatch.setattr("artune.transfer.wct.TILE_SIDE", 64)
    spec = StyleSpec(size=144, strength=0.6, method=WCT(levels=["relu2_1", "relu1_1"]))
    task = api.read(photo, [painting], spec, weights=coders)
    run = plan_run(task)
    assert method_of(run.plan).in_tiles(run)
    events = []
    for event in steps(run):
        events.append(event.event)
        if event.event == "part":
            assert event.part.total in (4, 6)
            event.save(tmp_path / f"{len(events):03d}.partial")
    assert events.count("part") >= 16
    for path in sorted(tmp_path.glob("*.partial"))[::8]:
        *_, last = steps(plan_run(task), Checkpoint.load(path))
        assert last.picture().digest() == event.picture().digest()


def test_regions_with_paintings_and_strengths_of_their_own(photo, painting, plain, coders):
    left = np.zeros((32, 48), np.float32)
    left[:, :24] = 1
    one, other = muted(painting), replace(painting, pixels=0.5 * muted(painting).pixels)
    parts = [artune.RegionStyle(left, one, 1.0), artune.RegionStyle(1 - left, other, 1.0)]
    found = artune.style(photo, weights=plain, regions=parts, strength=0.5, **COLOURS).picture.pixels
    for half, style in ((found[:, :24], one), (found[:, 24:], other)):
        for ours, theirs in zip(colours(half), colours(style), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-3)
    weaker = [artune.RegionStyle(left, one, 1.0), artune.RegionStyle(1 - left, other, 0.5)]
    blended = artune.style(photo, weights=plain, regions=weaker, **COLOURS).picture.pixels
    np.testing.assert_allclose(blended[:, :24], found[:, :24], atol=1e-5)
    np.testing.assert_allclose(blended[:, 24:], 0.5 * (found + photo.pixels)[:, 24:], atol=1e-5)
    alone = artune.style(photo, weights=coders, regions=parts[:1], **SMALL).picture.pixels
    assert np.array_equal(alone[:, 24:], photo.pixels[:, 24:])
    everywhere = [artune.RegionStyle(np.ones((32, 48), np.float32), painting)]
    pair = [
        artune.style(photo, *s, weights=coders, regions=r, **SMALL) for s, r in (([painting], []), ([], everywhere))
    ]
    np.testing.assert_allclose(pair[0].picture.pixels, pair[1].picture.pixels, atol=1e-6)


def test_several_paintings_are_mixed_by_weights(photo, painting, plain, coders):
    one, other = muted(painting), replace(painting, pixels=0.5 * muted(painting).pixels[:, ::-1])
    made = [
        artune.style(photo, one, other, style_weights=weights, strength=1, weights=plain, **COLOURS).picture.pixels
        for weights in ((1, 0), (3, 1), (0, 1))
    ]
    np.testing.assert_allclose(made[1], 0.75 * made[0] + 0.25 * made[2], atol=1e-5)
    mixed = artune.style(photo, painting, one, style_weights=(1, 0), weights=coders, **SMALL).picture.pixels
    alone = artune.style(photo, painting, weights=coders, **SMALL).picture.pixels
    np.testing.assert_allclose(mixed, alone, atol=1e-5)


def test_a_painting_of_which_a_part_counts(photo, plain, rng):
    """With one network: what it has read of one part is not taken for that of another, or of the whole."""
    cells = rng.random((40, 40, 3)).astype(np.float32)
    halves = Picture(np.concatenate([0.2 * cells[:, :20], 0.8 + 0.2 * cells[:, 20:]], 1))
    left = np.zeros((40, 40), np.float32)
    left[:, :20] = 1
    network = WCTNetwork.load(StyleSpec(), plain)
    means = []
    for style in (Masked(halves, left), halves, Masked(halves, 1 - left)):
        found = artune.style(photo, style, network=network, strength=1, **COLOURS).picture
        alone = artune.style(photo, style, weights=plain, strength=1, **COLOURS).picture
        assert np.array_equal(found.pixels, alone.pixels)
        means.append(found.pixels.mean())
    np.testing.assert_allclose(means, [0.1, 0.5, 0.9], atol=0.03)


def test_a_painting_is_read_once_for_many_photographs(photo, painting, coders, monkeypatch):
    network, seen = WCTNetwork.load(StyleSpec(), coders), []
    encode = type(network.network).encode
    monkeypatch.setattr(type(network.network), "encode", lambda *args: seen.append(1) or encode(*args))
    for photograph, count in ((photo, 15), (replace(photo, pixels=photo.pixels[::-1].copy()), 10)):
        seen.clear()
        artune.style(photograph, painting, network=network, **SMALL)
        assert len(seen) == count  # at each level: for the statistics, to be mapped, and the painting


def test_transparent_photographs_and_colours(photo, painting, coders):
    alpha = np.ones((32, 48), np.float32)
    alpha[:, :10] = 0
    seen = replace(photo, alpha=alpha)
    found = artune.style(seen, painting, weights=coders, **SMALL).picture
    assert np.array_equal(found.pixels[:, :10], photo.pixels[:, :10])
    made = [
        artune.style(photo, muted(painting), weights=coders, color=how, **SMALL).picture for how in ("style", LUMINANCE)
    ]
    chroma = [each.pixels - each.pixels.mean(2, keepdims=True) for each in (photo, *made)]
    assert np.abs(chroma[2] - chroma[0]).mean() < 0.2 * np.abs(chroma[1] - chroma[0]).mean()
    with pytest.raises(PictureError, match="transparent"):
        artune.style(replace(photo, alpha=np.zeros((32, 48), np.float32)), painting, weights=coders, **SMALL)


@pytest.mark.parametrize("transform", ["wct", "adain", "transport"])
@pytest.mark.parametrize("shape", [(90, 3), (1, 1)])
def test_small_and_flat_pictures(painting, coders, shape, transform, rng):
    flat, one = (Picture(np.full((*size, 3), 0.25, np.float32)) for size in (shape, (1, 1)))
    photograph = Picture(rng.random((*shape, 3)).astype(np.float32))
    for pair in ((photograph, one), (flat, painting)):
        options = SMALL | {"size": max(shape), "strength": 1.0, "method": WCT(transform=transform)}
        found = artune.style(*pair, weights=coders, **options).picture
        assert found.size == shape[::-1]
        assert np.isfinite(found.pixels).all()
        assert pair[0] is not flat or found.pixels.std((0, 1)).max() < 0.05  # and hardly any contrast of rounding


def test_a_start_of_its_own(photo, painting, coders):
    found = artune.style(photo, painting, weights=coders, start="gaussian", seed=3, **SMALL).picture.pixels
    assert np.abs(found - artune.style(photo, painting, weights=coders, **SMALL).picture.pixels).mean() > 1e-3


def test_the_result_is_smoothed_along_the_photograph_s_edges(photo, painting, coders, monkeypatch):
    given = []
    monkeypatch.setattr(
        "artune.transfer.wct.smoothed", lambda image, strength, shown: given.append(strength) or image / 2
    )
    made = [
        artune.style(photo, painting, weights=coders, photoreal_smoothing=strength, **SMALL).picture.pixels
        for strength in (0.0, 0.7)
    ]
    assert given == [0.0, 0.7]
    assert np.array_equal(made[0], made[1])


def test_what_is_refused(photo, painting, coders, monkeypatch):
    with pytest.raises(SpecError, match="the method wct has none"):
        artune.style(photo, painting, weights=coders, loss="gram", **SMALL)
    with pytest.raises(SpecError, match="fp32"):
        artune.style(photo, painting, weights=coders, precision="bf16", **SMALL)
    network = WCTNetwork.load(StyleSpec(device="cpu"), coders)
    with pytest.raises(SpecError, match="universal style transfer has cpu"):
        artune.style(photo, painting, network=network, device="cuda", **SMALL)
    with pytest.raises(ResourceError, match="and `memory` is 2MiB; give more `memory`"):
        artune.style(photo, painting, weights=coders, memory="2MiB", **SMALL)
    with pytest.raises(InputError, match="`method` is wct"):
        artune.tune(photo, painting, weights=coders, method="wct", size=48)
    monkeypatch.setattr("artune.transfer.budget.device_memory_free", lambda device: 2**20)
    with pytest.raises(ResourceError, match="smaller `size`"):
        artune.style(photo, painting, weights=coders, **SMALL)


def test_sides_are_long_enough_for_the_deepest_level(coders):
    network = read_autoencoders(coders)
    for size in ((1, 1), (16, 33), (40, 7)):
        image = padded(torch.rand(1, 3, *size), stride_of("relu5_1"))
        assert network.encode(image, "relu5_1").shape[-2:] == tuple(max(-(-side // 16), 2) for side in size)
