"""Real weights and real pictures."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from artune.api import style
from artune.backbones.compact import GAIN
from artune.backbones.network import Network
from artune.backbones.registry import load_network
from artune.errors import UnknownNameError
from artune.images.read import read_picture
from artune.metrics.perceptual import APART, Referee
from artune.spec.style import Optimise, StyleSpec

pytestmark = [pytest.mark.assets, pytest.mark.filterwarnings("ignore:.* has a border:artune.errors.ArtuneWarning")]
PAIRS = [(8, 21), (4, 24), (12, 7)]


@pytest.fixture(scope="module")
def referee(assets):
    photographs = [read_picture(p).tensor() for p in sorted((assets / "data/styleid/content").iterdir())]
    return Referee(load_file(assets / "weights/squeezenet1_1-features.safetensors"), photographs)


def pictures(assets, pair):
    folder = assets / "data/styleid"
    return read_picture(folder / f"content/{pair[0]:02d}.jpg"), read_picture(folder / f"style/{pair[1]:02d}.jpg")


@pytest.fixture(scope="module")
def image(assets):
    return pictures(assets, (0, 1))[0].tensor()


def test_true_vgg19_against_torchvisions_layers(assets, image):
    from torchvision.models import vgg19

    path = assets / "weights/vgg19-blocks1-3.safetensors"
    ours, _ = load_network("vgg19", weights=path)
    reference = vgg19(weights=None).features[:17].eval()
    reference.load_state_dict({k.removeprefix("features."): v for k, v in load_file(path).items()})
    normal = (image - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(
        3, 1, 1
    )
    with torch.no_grad():
        want = reference(normal)
    got = ours(image, ["conv3_4"])["conv3_4"]
    torch.testing.assert_close(got[..., 8:-8, 8:-8], want[..., 8:-8, 8:-8], rtol=1e-3, atol=1e-2)


def test_truncated_vgg19_names_what_is_out_of_reach(assets):
    ours, _ = load_network("vgg19", weights=assets / "weights/vgg19-blocks1-3.safetensors")
    ours.check(["relu3_4"])
    with pytest.raises(UnknownNameError, match="the loaded weights end before it"):
        ours.check(["relu4_1"])


def test_the_emulator_stands_for_vgg19(assets, image):
    """Its published maps to the normalised VGG-19 correlate with the true features, channel by channel."""
    weights = load_file(assets / "weights/vgg19-emulator-16x.safetensors")
    small, _ = load_network("vgg19-emulator", weights=assets / "weights/vgg19-emulator-16x.safetensors")
    large, _ = load_network("vgg19", weights=assets / "weights/vgg19-blocks1-3.safetensors")
    for tap, least in (("1_1", 0.75), ("2_1", 0.6), ("3_1", 0.55)):
        mapped = small(image, [f"relu{tap}"])[f"relu{tap}"]
        mapped = F.relu(F.conv2d(mapped, weights[f"conv{tap}.to_vgg19.weight"], weights[f"conv{tap}.to_vgg19.bias"]))
        true = large(image, [f"relu{tap}"])[f"relu{tap}"]
        a, b = (x[0].flatten(1) - x[0].flatten(1).mean(1, keepdim=True) for x in (mapped, true))
        alive = (a.norm(dim=1) > 0) & (b.norm(dim=1) > 0)
        correlation = F.cosine_similarity(a[alive], b[alive], dim=1)
        assert correlation.mean() > least, tap


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_colour_of_every_photograph_is_in_the_first_tap(assets, dtype):
    compact, _ = load_network("compact", dtype=dtype)
    for path in sorted((assets / "data/styleid/content").iterdir()):
        image = read_picture(path).tensor()
        first = compact(image, ["relu1_1"])["relu1_1"].float()
        assert ((first[:, :3] / GAIN - image).abs() <= 1 / 255).all()


def test_the_distance_of_unrelated_photographs_is_what_is_written(referee):
    assert referee.apart == pytest.approx(APART, rel=1e-5)


def test_the_referees_controls(assets, referee):
    content, painting = (p.tensor() for p in pictures(assets, (8, 21)))
    same, other = referee.distances(content, content, painting), referee.distances(painting, content, painting)
    assert (same.fine, same.strokes) == pytest.approx((1, 1))
    assert same.content == pytest.approx(0, abs=1e-4)
    assert (other.fine, other.strokes) == pytest.approx((0, 0), abs=1e-5)
    assert 0.7 < other.content < 1.3


def test_the_referee_against_its_formula_in_numpy(assets, referee):
    content, painting = (p.tensor() for p in pictures(assets, (4, 24)))
    result = 0.5 * (content + painting)
    features = [referee.features(x) for x in (result, content, painting)]

    def apart(a, b):
        a, b = (x[0].flatten(1).double().numpy() for x in (a, b))
        ma, mb, ca, cb = a.mean(1), b.mean(1), np.cov(a, bias=True), np.cov(b, bias=True)
        return ((ma - mb) ** 2).sum() / (mb**2).sum() + ((ca - cb) ** 2).sum() / (cb**2).sum()

    want = np.mean(
        [apart(features[0][t], features[2][t]) / apart(features[1][t], features[2][t]) for t in ("6", "7", "9", "11")]
    )
    assert referee.distances(result, content, painting).strokes == pytest.approx(want, rel=1e-3)


def test_defaults_style_well_and_keep_the_content(assets, referee):
    network = Network.load(StyleSpec())
    found = []
    for pair in PAIRS:
        content, painting = pictures(assets, pair)
        result = style(content, painting, network=network).picture
        found.append(referee.distances(result.tensor(), content.tensor(), painting.tensor()))
    assert np.median([d.strokes for d in found]) < 0.6
    assert np.median([d.fine for d in found]) < 0.2
    assert np.median([d.content for d in found]) < 0.8


def test_vgg19_as_far_as_its_weights_go(assets, referee):
    spec = StyleSpec(
        size=256,
        method=Optimise(
            network="vgg19",
            content_layers={"relu3_1": 1.0},
            style_layers={f"relu{b}_1": 1.0 for b in (1, 2, 3)},
            steps=40,
        ),
    )
    content, painting = pictures(assets, (8, 21))
    result = style(content, painting, spec=spec, weights=assets / "weights/vgg19-blocks1-3.safetensors")
    assert referee.distances(result.picture.tensor(), content.tensor(), painting.tensor()).fine < 0.5


def test_true_mobilenet_against_torchvisions(assets, image):
    """Up to the features that its classifier takes, with the same border."""
    from torchvision.models import mobilenet_v2

    path = assets / "weights/mobilenet_v2.safetensors"
    ours, _ = load_network("mobilenet_v2", weights=path, smooth=False)
    reference = mobilenet_v2(weights=None).eval()
    reference.load_state_dict(load_file(path))
    reference.features[0][0].padding_mode = "replicate"
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        want = reference.features((image - mean) / std)
    torch.testing.assert_close(ours(image, ["layer_18"])["layer_18"], want, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("network", "file", "deepest", "beyond"),
    [
        ("squeezenet1_1", "squeezenet1_1-features", "features.12", None),
        ("mobilenet_v2", "mobilenet_v2", "layer_18", None),
        ("mobilenet_v2_flat", "mobilenet_v2", "layer_18", None),
        ("resnet18", "resnet18-layer1-3", "layer3", "layer4"),
    ],
)
def test_real_weights_load(assets, image, network, file, deepest, beyond):
    ours, _ = load_network(network, weights=assets / f"weights/{file}.safetensors")
    ours.check([deepest])
    assert ours(image, [deepest])[deepest].isfinite().all()
    if beyond:
        with pytest.raises(UnknownNameError, match="choose others with `content_layers` and `style_layers`"):
            ours.check([beyond])


@pytest.mark.parametrize(
    ("network", "file", "tap", "least"),
    [
        ("squeezenet1_1", "squeezenet1_1-features", "features.12", 0.75),
        ("resnet18", "resnet18-layer1-3", "layer3", 0.9),
    ],
)
def test_pooling_factors_of_three_by_three(assets, image, network, file, tap, least):
    level = {}
    for pooling in ("max", "average", "l2"):
        backbone, _ = load_network(
            network, weights=assets / f"weights/{file}.safetensors", pooling=pooling, smooth=False
        )
        level[pooling] = backbone(image, [tap])[tap].mean().item()
    assert least < level["average"] / level["max"] < 1 / least
    assert least < level["l2"] / level["max"] < 1 / least


def test_pooling_factors_on_the_true_vgg19(assets, image):
    """What the other poolings hand to relu3_4 is as strong as what the maximum does."""
    path = assets / "weights/vgg19-blocks1-3.safetensors"
    level = {}
    for pooling in ("max", "average", "l2"):
        network, _ = load_network("vgg19", weights=path, pooling=pooling)
        level[pooling] = network(image, ["relu3_4"])["relu3_4"].mean().item()
    assert 0.75 < level["average"] / level["max"] < 1.33
    assert 0.75 < level["l2"] / level["max"] < 1.33
