import pytest
import torch
from torch.nn import functional as F

from artune.backbones.base import Backbone, without_prefix
from artune.backbones.compact import Compact, CompactConfig
from artune.backbones.traced import Traced
from artune.errors import UnknownNameError
from tests.tiny import TinyClassifier, small_vgg


@pytest.fixture(params=["compact", "vgg", "reflect", "traced"])
def backbone(request) -> Backbone:
    torch.manual_seed(0)
    if request.param == "compact":
        return Compact(CompactConfig(((6,), (8, 8), (8, 8)))).eval().requires_grad_(False)
    if request.param == "traced":
        return Traced("tiny", TinyClassifier).requires_grad_(False)
    return small_vgg(reflect=request.param == "reflect")


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


@pytest.mark.parametrize(
    ("given", "want"),
    [
        (["module.conv1.weight", "module.fc.bias"], ["conv1.weight", "fc.bias"]),
        (["net.module.conv1.weight", "net.module.layer1.0.conv1.weight"], ["conv1.weight", "layer1.0.conv1.weight"]),
        (["preconv1.weight"], ["preconv1.weight"]),  # of another network
    ],
)
def test_a_prefix_of_all_names_is_left_out(given, want):
    found = without_prefix({key: torch.zeros(i + 1) for i, key in enumerate(given)}, "conv1.weight")
    assert {key: len(value) for key, value in found.items()} == {key: i + 1 for i, key in enumerate(want)}
