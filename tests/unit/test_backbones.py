import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from artune.assets import WEIGHTS, fetch
from artune.backbones.base import Backbone
from artune.backbones.compact import GAIN, Compact, CompactConfig, fork
from artune.backbones.pooling import pool
from artune.backbones.registry import NETWORKS, load_network, read_weights, structure
from artune.backbones.traced import Traced
from artune.backbones.vgg import VGG
from artune.errors import SpecError, UnknownNameError, WeightsError
from tests.tiny import TinyClassifier

SMALL = ((4, 2), (6, 2), (8, 2))


def vgg(**more) -> VGG:
    torch.manual_seed(0)
    return VGG("small", SMALL, **more).eval().requires_grad_(False)


@pytest.fixture(params=["compact", "vgg", "reflect", "traced"])
def backbone(request) -> Backbone:
    torch.manual_seed(0)
    if request.param == "compact":
        return Compact(CompactConfig(((6,), (8, 8), (8, 8)))).eval().requires_grad_(False)
    if request.param == "traced":
        return Traced("tiny", TinyClassifier).requires_grad_(False)
    return vgg(reflect=request.param == "reflect")


@pytest.fixture
def image(generator):
    return torch.rand((1, 3, 48, 40), generator=generator)


def test_taps_are_what_they_say(backbone, image):
    features = backbone(image, backbone.taps)
    assert set(features) == set(backbone.taps)
    for tap, info in backbone.taps.items():
        b, c, h, w = features[tap].shape
        assert (b, c, h, w) == (1, info.channels, 48 // info.stride, 40 // info.stride), tap


def test_a_receptive_field_is_what_a_feature_sees(backbone):
    for tap, info in backbone.taps.items():
        # many pictures: a ReLU or a maximum hides some pixels of any single one
        seen = torch.zeros(96, 96)
        torch.manual_seed(1)
        for _ in range(8):
            x = torch.rand((1, 3, 96, 96)).requires_grad_()
            feature = backbone(x, [tap])[tap]
            at = feature.shape[-1] // 2
            feature[0, :, at, at].sum().backward()
            seen += x.grad.abs().sum((0, 1))
        rows = seen.sum(1).nonzero()
        side = int(rows.max() - rows.min()) + 1
        assert side <= info.receptive_field, tap
        assert side >= info.receptive_field - 2 * info.stride, tap


def test_it_stops_at_the_deepest_tap_asked_for(backbone, image, monkeypatch):
    ran = []
    plain = F.conv2d
    monkeypatch.setattr(F, "conv2d", lambda *a, **k: ran.append(1) or plain(*a, **k))
    first = next(iter(backbone.taps))
    backbone(image, [first, "image"])
    assert len(ran) == 1
    ran.clear()
    backbone(image, ["image"])
    assert not ran


def test_image_is_a_tap(backbone, image):
    assert backbone(image, ["image"])["image"] is image


def test_asking_for_less_changes_nothing(backbone, image):
    whole = backbone(image, backbone.taps)
    for tap in backbone.taps:
        assert torch.equal(backbone(image, [tap])[tap], whole[tap])


def test_a_flat_picture_has_no_frame_at_the_first_layer(backbone):
    first = next(iter(backbone.taps))
    flat = backbone(torch.full((1, 3, 24, 24), 0.4), [first])[first]
    middle = flat.shape[-1] // 2
    torch.testing.assert_close(flat, flat[..., middle, middle, None, None].expand_as(flat))


def test_an_unknown_tap_is_named_with_the_nearest(backbone):
    with pytest.raises(UnknownNameError, match="did you mean"):
        backbone.check(["relu1_l"])


def test_vgg_against_torchvisions():
    from torchvision.models import vgg19

    torch.manual_seed(0)
    reference = vgg19(weights=None).features.eval()
    ours = VGG()
    ours.load({f"features.{key}": value for key, value in reference.state_dict().items()}, "memory")
    x = torch.rand(1, 3, 64, 64)
    normal = (x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.no_grad():
        got = ours(x, ["conv1_2", "relu3_4", "conv5_1"])
        for tap, end, inside in (("conv1_2", 3, 4), ("relu3_4", 18, 8), ("conv5_1", 29, None)):
            want = reference[:end](normal)
            if inside is not None:  # our border is repeated, torchvision's is black
                cut = (..., slice(inside, -inside), slice(inside, -inside))
                torch.testing.assert_close(got[tap][cut], want[cut], rtol=1e-4, atol=1e-5)
            assert got[tap].shape == want.shape


def test_loading_names_of_both_kinds(image):
    one = vgg()
    by_layer = {}
    for b, block in enumerate(one.blocks, start=1):
        for layer, conv in enumerate(block, start=1):
            by_layer[f"conv{b}_{layer}.weight"], by_layer[f"conv{b}_{layer}.bias"] = conv.weight, conv.bias
    other = VGG("small", SMALL).eval().requires_grad_(False)
    other.load(by_layer, "memory")
    assert torch.equal(one(image, ["relu3_2"])["relu3_2"], other(image, ["relu3_2"])["relu3_2"])


def test_truncated_weights_mark_what_is_out_of_reach():
    whole = {f"features.{i}.{p}": t for i, p, t in _torchvision_names(vgg())}
    cut = {key: value for key, value in whole.items() if int(key.split(".")[1]) <= 7}
    network = VGG("small", SMALL)
    network.load(cut, "memory")
    assert network.taps["relu2_2"].reachable
    assert not network.taps["conv3_1"].reachable
    with pytest.raises(UnknownNameError, match="the weights at hand end before it") as error:
        network.check(["relu3_2"])
    assert "relu2_2" in str(error.value)


def _torchvision_names(network):
    position = 0
    for block in network.blocks:
        for conv in block:
            yield position, "weight", conv.weight
            yield position, "bias", conv.bias
            position += 2
        position += 1


def test_weights_of_another_shape_are_refused():
    weights = {"features.0.weight": torch.zeros(5, 3, 3, 3), "features.0.bias": torch.zeros(5)}
    with pytest.raises(WeightsError, match=r"shape \(5, 3, 3, 3\), small needs \(4, 3, 3, 3\)"):
        VGG("small", SMALL).load(weights, "memory")


def test_pooling_factors_keep_the_level():
    for shape in ((2, 2, 0, False), (3, 2, 0, True), (3, 2, 1, False)):
        torch.manual_seed(0)
        # what the blocks of a trained network hand on: sparse and correlated between neighbours
        far = 2 * shape[0] - 1
        x = F.relu(F.avg_pool2d(far * torch.randn(1, 16, 256 + far, 256 + far), far, stride=1) - 0.3)
        level = pool(x, "max", *shape).mean()
        for name in ("average", "l2"):
            assert pool(x, name, *shape).shape == pool(x, "max", *shape).shape
            assert 0.6 < pool(x, name, *shape).mean() / level < 1.5, (name, shape)


def test_pooling_by_hand():
    x = torch.tensor([[[[3.0, 0.0], [4.0, 0.0]]]])
    assert pool(x, "max").item() == 4
    assert pool(x, "l2").item() == pytest.approx(0.64 * 5)
    assert pool(x, "average").item() == pytest.approx(1.4 * 7 / 4)


def test_what_lies_beyond_the_border_is_not_pooled():
    x = torch.full((1, 1, 5, 5), 2.0)
    for name, level in (("average", 1.6 * 2), ("l2", 0.48 * 6)):
        torch.testing.assert_close(pool(x, name, 3, 2, 1), torch.full((1, 1, 3, 3), level))


@pytest.mark.parametrize("shape", [(6, 8), (7, 5), (1, 9)])
@pytest.mark.parametrize("paths", ["tap", "half", "both"])
def test_a_fork_is_relu_and_its_average_pooling(shape, paths, generator):
    x = torch.randn((2, 3, *shape), generator=generator, dtype=torch.float64)
    if min(shape) < 2:
        with pytest.raises(RuntimeError):
            fork(x.clone())
        return
    weights = [torch.rand(like.shape, generator=generator, dtype=torch.float64) for like in (x, F.avg_pool2d(x, 2))]
    uses = {"tap": (1, 0), "half": (0, 1), "both": (1, 1)}[paths]

    def gradient(outputs, leaf):
        used = [(out * weight).sum() for out, weight, use in zip(outputs, weights, uses, strict=True) if use]
        return torch.autograd.grad(sum(used), leaf)[0]

    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    mine, plain = fork(a * 1), (F.relu(b), F.avg_pool2d(F.relu(b), 2))
    for one, other in zip(mine, plain, strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(gradient(mine, a), gradient(plain, b))


def test_bundled_weights_load_and_show_every_colour(image):
    network, digest = load_network("compact")
    assert digest == WEIGHTS["compact"].sha256
    first = network(image, ["relu1_1"])["relu1_1"]
    torch.testing.assert_close(first[:, :3] / GAIN, image, atol=1 / 2550, rtol=0)


def test_bundled_weights_show_every_colour_in_bf16(image):
    network, _ = load_network("compact", dtype=torch.bfloat16)
    first = network(image, ["relu1_1"])["relu1_1"].float()
    assert ((first[:, :3] / GAIN - image).abs() <= 1 / 255).all()


def test_the_bundle_is_small():
    assert fetch(WEIGHTS["compact"], network="compact").stat().st_size <= 4_000_000


def test_unknown_network():
    with pytest.raises(UnknownNameError, match="did you mean vgg19"):
        load_network("vgg9")


def test_the_pooling_of_compact_is_fixed():
    with pytest.raises(SpecError, match="pooling"):
        load_network("compact", pooling="l2")


def test_networks_without_published_weights_ask_for_a_file():
    with pytest.raises(WeightsError, match="--weights FILE"):
        load_network("vgg19-emulator")


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_weights_that_do_not_fit(name, tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"conv1.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(WeightsError, match=r"other\.safetensors"):
        structure(name).load(read_weights(path), str(path))


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 cut short", bytes(64)])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_damaged_weights(content, suffix, tmp_path):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged or not a weights file"):
        load_network("vgg19", weights=path)


def test_a_pickle_with_code_is_refused(tmp_path):
    import os
    import pickle

    class Bomb:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/boom",)

    path = tmp_path / "bomb.pth"
    path.write_bytes(pickle.dumps({"features.0.weight": Bomb()}))
    with pytest.raises(WeightsError):
        load_network("vgg19", weights=path)
    assert not (tmp_path / "boom").exists()


def test_a_state_dict_inside_a_checkpoint(tmp_path):
    path = tmp_path / "checkpoint.pth"
    one = vgg()
    weights = {f"features.{i}.{p}": t for i, p, t in _torchvision_names(one)}
    torch.save({"state_dict": weights, "epoch": 3}, path)
    with pytest.raises(WeightsError, match="shape"):  # found, and too small for vgg19
        load_network("vgg19", weights=path)


@pytest.mark.parametrize(("height", "width"), [(16, 17), (33, 47), (40, 23)])
def test_the_deepest_tap_of_compact_sees_every_row_of_a_picture_of_any_size(height, width, generator):
    network = Compact().double().requires_grad_(False)
    network.load_state_dict({name: torch.rand_like(value) for name, value in network.state_dict().items()})
    image = torch.rand((1, 3, height, width), generator=generator, dtype=torch.float64).requires_grad_()
    features = network(image, network.taps)
    for tap, info in network.taps.items():
        assert features[tap].shape[-2:] == (-(-height // info.stride), -(-width // info.stride)), tap
    features["relu5_1"].sum().backward()
    assert (image.grad > 0).all()


def test_compact_sees_a_picture_as_one_whose_border_goes_on(generator):
    network = Compact().requires_grad_(False)
    image = torch.rand((1, 3, 40, 32), generator=generator)
    wide = F.pad(image, (8, 8, 8, 8), mode="replicate")
    for tap, info in list(network.taps.items())[:2]:  # those whose receptive field lies within the margin
        inner = network(wide, [tap])[tap][..., 8 // info.stride :, 8 // info.stride :]
        found = network(image, [tap])[tap]
        torch.testing.assert_close(found, inner[..., : found.shape[-2], : found.shape[-1]])
