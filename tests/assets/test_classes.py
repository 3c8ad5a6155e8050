"""A class judge with a real trunk, on real pictures."""

import numpy as np
import pytest

from artune import style
from artune.backbones.registry import load_network
from artune.data.folders import Folder
from artune.judges.training import ClassTraining
from artune.spec.train import TrainSpec

pytestmark = [pytest.mark.assets, pytest.mark.filterwarnings("ignore:.* has a border:artune.errors.ArtuneWarning")]


def test_animals_are_told_apart_by_a_head_on_few_pictures(assets):
    """20 of each, at half size: far above the fifth that chance gives."""
    trunk, digest = load_network("resnet18", weights=assets / "weights/resnet18-layer1-3.safetensors", smooth=False)
    spec = TrainSpec(kind="resnet18", size=112, train_from="head", per_class=20, epochs=4, rate=1e-2)
    folder = Folder.read(assets / "data/animals")
    training = ClassTraining(folder, spec, trunk, digest)
    list(training.run())
    judge = training.judge()
    assert judge.info.name == "resnet18-layer3"
    found = judge.confusion(folder.subset("test", 10, 0).splits["test"])
    assert found.accuracy.share > 0.6


def test_mobilenet_learns_one_painter_and_then_makes_the_picture(assets, tmp_path):
    """AutoArt's fine-tuned network: one painter against five others, 60 pictures of either side."""
    weights = assets / "weights/mobilenet_v2.safetensors"
    trunk, digest = load_network("mobilenet_v2", weights=weights, smooth=False)
    spec = TrainSpec(kind="binary", positive="katsushika-hokusai", size=96, per_class=60, epochs=4, rate=3e-3)
    folder = Folder.read(assets / "data/painters")
    training = ClassTraining(folder, spec, trunk, digest)
    list(training.run())
    judge = training.judge()
    found = judge.confusion(folder.against("katsushika-hokusai").splits["test"])
    shares = [own.share for own in found.by_class.values()]  # of the painter, and of all others
    assert np.mean(shares) > 0.7  # 0.5 by chance
    tuned = tmp_path / "hokusai.safetensors"
    judge.save_trunk(tuned)
    content = assets / "data/animals/test/cat"
    painting = next(iter(sorted((assets / "data/painters/test/katsushika-hokusai").iterdir())))
    photograph = next(iter(sorted(content.iterdir())))
    how = {"network": "mobilenet_v2", "size": 128, "strength": 0.7, "steps": 20}
    one, other = (style(photograph, painting, weights=file, **how).picture.pixels for file in (weights, tuned))
    assert np.isfinite(other).all()
    assert np.abs(one - other).mean() > 0.01  # what was learnt decides on the picture
