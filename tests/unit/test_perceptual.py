import math

import numpy as np
import pytest
import torch

from artune.errors import InputError, UnknownNameError, WeightsError
from artune.images.picture import Picture
from artune.metrics import perceptual
from artune.metrics.perceptual import CONTENT, FINE, STROKES, Referee


@pytest.fixture(scope="module")
def weights():
    """Random weights whose activations neither grow nor vanish."""
    from torchvision.models import squeezenet1_1

    torch.manual_seed(0)
    return squeezenet1_1(weights=None).features.state_dict()


@pytest.fixture(scope="module")
def referee(weights):
    return Referee(weights)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(perceptual, "SIDE", 96)


def test_the_controls(referee, photo, painting):
    same, other = referee.measure(photo, photo, painting), referee.measure(painting, photo, painting)
    assert (same.fine, same.strokes, same.content) == pytest.approx((1, 1, 0), abs=1e-5)
    assert (other.fine, other.strokes) == pytest.approx((0, 0), abs=1e-6)
    assert other.content > 0.1


def test_against_the_formulas_in_numpy(referee, photo, painting):
    result = Picture(0.5 * (photo.pixels + painting.resized(*photo.size).pixels))
    r, c, s = (
        {tap: x[0].flatten(1).double().numpy() for tap, x in referee.features(each.tensor()).items()}
        for each in (result, photo, painting)
    )

    def apart(a, b):
        ca, cb = np.cov(a, bias=True), np.cov(b, bias=True)
        means = ((a.mean(1) - b.mean(1)) ** 2).sum() / (b.mean(1) ** 2).sum()
        return means + ((ca - cb) ** 2).sum() / (cb**2).sum()

    def unlike(a, b):
        a, b = ((x - x.mean(1, keepdims=True)).ravel() for x in (a, b))
        return 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    def styled(taps):
        return np.mean([apart(r[str(t)], s[str(t)]) / apart(c[str(t)], s[str(t)]) for t in taps])

    moved = np.mean([unlike(r[str(t)], c[str(t)]) / perceptual.APART[t] for t in CONTENT])
    found = referee.measure(result, photo, painting)
    want = (styled(FINE), styled(STROKES), moved)
    assert (found.fine, found.strokes, found.content) == pytest.approx(want, rel=1e-3)


def test_pictures_and_tensors_give_the_same(referee, photo, painting):
    assert referee.measure(painting, photo, painting) == referee.distances(
        painting.tensor(), photo.tensor(), painting.tensor()
    )


def test_unrelated_photographs_have_a_content_distance_of_one(weights, photo, painting):
    referee = Referee(weights, [photo.tensor(), painting.tensor()])
    assert referee.measure(painting, photo, painting).content == pytest.approx(1, rel=1e-5)
    with pytest.raises(InputError, match="two or more"):
        Referee(weights, [photo.tensor()])


def test_a_result_costs_one_pass_once_its_pictures_are_known(weights, photo, painting, monkeypatch):
    referee, seen = Referee(weights), []
    plain = referee.features
    monkeypatch.setattr(referee, "features", lambda image: seen.append(1) or plain(image))
    first = [referee.measure(result, photo, painting) for result in (photo, painting)]
    assert len(seen) == 4
    monkeypatch.setattr(perceptual, "KEPT", 1)  # the painting is forgotten for the photograph, which is then forgotten
    assert referee.measure(photo, photo, painting) == first[0]
    assert len(seen) == 6
    assert referee.measure(painting, painting, painting).content == pytest.approx(0, abs=1e-6)
    assert len(seen) == 7


def test_flat_pictures_and_equal_ones_give_numbers(referee, photo):
    flat = Picture(np.full((24, 24, 3), 0.5, np.float32))
    for trio in ((photo, photo, flat), (flat, flat, photo), (photo, flat, flat), (photo, photo, photo)):
        found = referee.measure(*trio)
        assert all(map(math.isfinite, (found.fine, found.strokes, found.content)))
    same = referee.measure(photo, photo, photo)
    assert (same.fine, same.strokes, same.content) == pytest.approx((0, 0, 0), abs=1e-6)


def test_weights_from_a_file(weights, tmp_path, photo, painting, referee):
    path = tmp_path / "squeezenet.pth"
    torch.save({f"features.{key}": value for key, value in weights.items()}, path)
    loaded = Referee.load(path)
    assert len(loaded.digest) == 64
    assert loaded.measure(painting, photo, painting) == referee.measure(painting, photo, painting)
    torch.save({f"features.{key}": value for key, value in weights.items() if not key.startswith("12")}, path)
    with pytest.raises(UnknownNameError, match="weights end before it"):
        Referee.load(path)
    with pytest.raises(WeightsError, match="no weights file"):
        Referee.load(tmp_path / "none.pth")
