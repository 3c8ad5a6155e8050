import warnings

import numpy as np
import pytest
import torch

from artune.errors import MissingExtraError, PictureError, WeightsError
from artune.extras import EXTRAS
from artune.images.picture import Picture
from artune.metrics import lpips as ours
from artune.metrics.lpips import HEADS, LPIPS, read_heads


@pytest.fixture(scope="module")
def squeeze(tmp_path_factory):
    """A file with random weights of the smallest trunk."""
    from torchvision.models import squeezenet1_1

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "squeeze.pth"
    torch.save(squeezenet1_1(weights=None).state_dict(), path)
    return path


def theirs(file):
    """The measure of the package, with its heads and a trunk of random weights; what it prints is not shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lpips

        torch.manual_seed(0)
        return lpips.LPIPS(net=file, pnet_rand=True, verbose=False)


def agree(name, tmp_path, pictures):
    package = theirs(HEADS[name].file)
    path = tmp_path / "trunk.pth"
    # its modules keep the numbers of torchvision's layers
    named = {key.split(".", 1)[1]: value for key, value in package.net.state_dict().items()}
    torch.save({f"features.{key}": value for key, value in named.items()}, path)
    measure = LPIPS.load(name, path)
    one, other = pictures
    with torch.no_grad():
        want = package(one.tensor(), other.resized(*one.size).tensor(), normalize=True).item()
    assert want > 1e-3
    assert measure.measure(one, other) == pytest.approx(want, abs=1e-5, rel=1e-4)


@pytest.mark.parametrize(
    "name", ["squeezenet1_1", *(pytest.param(n, marks=pytest.mark.slow) for n in ("vgg16", "alexnet"))]
)
def test_the_same_as_the_package(name, tmp_path, photo, painting):
    agree(name, tmp_path, (photo.resized(112, 96), painting))


def test_equal_pictures_and_a_reference_that_is_kept(squeeze, photo, painting, monkeypatch):
    photo, painting = photo.resized(72, 48), painting.resized(60, 60)
    measure, seen = LPIPS.load("squeezenet1_1", squeeze), []
    plain = measure.features
    monkeypatch.setattr(measure, "features", lambda image: seen.append(1) or plain(image))
    assert measure.measure(photo, photo) == 0
    first = measure.measure(painting.resized(*photo.size), photo)
    assert (first > 0, len(seen)) == (True, 3)
    assert measure.measure(painting, photo) > 0
    assert len(seen) == 5
    with pytest.raises(PictureError, match="pixels or more"):
        measure.measure(photo.resized(9, 9), photo)


def test_heads_weigh_channels_and_are_not_negative():
    for name, (_, taps, _) in HEADS.items():
        heads = read_heads(name)
        assert tuple(heads) == taps
        assert all(head.min() >= 0 and head.max() > 0 for head in heads.values())


def test_no_package_and_a_damaged_one(monkeypatch):
    monkeypatch.setitem(EXTRAS, "studies", ("no_such_module",))
    with pytest.raises(MissingExtraError, match=r"LPIPS needs no_such_module.*artune\[studies\]"):
        read_heads("alexnet")
    monkeypatch.setitem(EXTRAS, "studies", ())
    monkeypatch.setattr(ours, "read_weights", lambda path: {"lin0.model.1.weight": torch.zeros(1, 64, 1, 1)})
    with pytest.raises(WeightsError, match=r"no lin1\.model\.1\.weight; reinstall"):
        read_heads("alexnet")


def test_a_known_distance():
    """Two trunks' worth of hand-made features: directions (1, 0) and (0, 1), whose squared difference is (1, 1)."""

    class Trunk(torch.nn.Module):
        smallest = 1

        def forward(self, image, taps):
            return {"two": image[:, :2]}

    measure = LPIPS.__new__(LPIPS)
    measure.trunk, measure.name, measure.heads, measure._last = (
        Trunk(),
        "vgg16",
        {"two": torch.tensor([2.0, 3.0])},
        None,
    )
    red, green = (Picture(np.tile(np.float32(colour), (2, 2, 1))) for colour in ([0.3, 0, 0], [0, 0.9, 0]))
    assert measure.measure(red, green) == pytest.approx(5)
