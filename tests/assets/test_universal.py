"""Universal style transfer with real encoders and decoders: a check of our own transforms in the coders of others."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from artune.api import style
from artune.images.read import read_picture
from artune.losses.moments import gaussian, mean_and_covariance, moments, wasserstein
from artune.metrics.perceptual import Referee
from artune.networks.transforms import TRANSFORMS, transport
from artune.networks.wct import WCTNetwork
from artune.spec.style import LEVELS, StyleSpec

pytestmark = [pytest.mark.assets, pytest.mark.filterwarnings("ignore:.* has a border:artune.errors.ArtuneWarning")]
KNOWN = dict(zip(LEVELS, (20, 24, 27, 32, 49), strict=True))
"""PSNR of what each level makes of a photograph, in decibels: as measured on other pictures when the file was made."""


@pytest.fixture(scope="module")
def network(assets):
    return WCTNetwork.load(StyleSpec(), assets / "weights/wct-16x.safetensors")


@pytest.fixture(scope="module")
def pair(assets):
    data = assets / "data/styleid"
    return [read_picture(data / name).resized(256, 256) for name in ("content/07.jpg", "style/11.jpg")]


def test_every_level_makes_the_photograph_again(network, assets):
    photographs = [read_picture(path).tensor() for path in sorted((assets / "data/styleid/content").iterdir())]
    for level, known in KNOWN.items():
        with torch.no_grad():
            made = [network.network.decode(network.network.encode(x, level), level).clamp(0, 1) for x in photographs]
        apart = [-10 * float((x - y).square().mean().log10()) for x, y in zip(photographs, made, strict=True)]
        assert np.mean(apart) == pytest.approx(known, abs=2), level


@pytest.mark.parametrize("level", LEVELS)
def test_our_transport_takes_the_features_as_far_as_our_distance_says(network, pair, level):
    """The mean squared displacement of the transport is the Wasserstein distance, and no other map of them is shorter.

    The features are those of a network that artune did not train, where channels are silent and covariances singular.
    """
    with torch.no_grad():
        ours, theirs = (network.network.encode(picture.tensor(), level).double() for picture in pair)
    content, target = (gaussian(moments(each)) for each in (ours, theirs))
    moved = {
        name: float((transform(content, target).of(ours) - ours).square().sum(1).mean())
        for name, transform in TRANSFORMS.items()
    }
    assert moved["transport"] == pytest.approx(float(wasserstein(moments(ours), target)), rel=0.02)
    assert moved["transport"] <= moved["wct"]
    mean, cov = mean_and_covariance(moments(transport(content, target).of(ours)))
    torch.testing.assert_close(mean, target.mean, rtol=1e-4, atol=1e-4)
    assert float((cov - target.cov).norm() / target.cov.norm()) < 0.05


def test_pictures_near_the_painting(network, pair, assets):
    """At full strength each transform is nearer to the painting by fine texture; only means and deviations are not so
    near."""
    data = assets / "data/styleid/content"
    photographs = [read_picture(path).tensor() for path in sorted(data.iterdir())[:4]]
    referee = Referee(load_file(assets / "weights/squeezenet1_1-features.safetensors"), photographs)
    found = {}
    for transform in TRANSFORMS:
        result = style(*pair, network=network, method="wct", transform=transform, strength=1, size=256).picture
        found[transform] = referee.distances(*(picture.tensor() for picture in (result, *pair)))
    assert max(found[name].fine for name in ("wct", "transport")) < 0.3
    assert max(found[name].strokes for name in ("wct", "transport")) < 0.8
    assert found["adain"].fine > min(found[name].fine for name in ("wct", "transport"))
