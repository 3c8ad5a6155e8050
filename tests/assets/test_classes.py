"""A class judge with a real trunk, on real pictures."""

import pytest

from artune.backbones.load import load_network
from artune.data import Folder
from artune.metrics.class_options import Options
from artune.metrics.class_training import ClassTraining

pytestmark = pytest.mark.assets


def test_animals_are_told_apart_by_a_head_on_few_pictures(assets):
    """20 of each, at half size: far above the fifth that chance gives."""
    trunk, digest = load_network("resnet18", weights=assets / "weights/resnet18-layer1-3.safetensors", smooth=False)
    options = Options("resnet18", size=112, train_from="head", per_class=20, epochs=4, rate=1e-2)
    folder = Folder.read(assets / "data/animals")
    training = ClassTraining(folder, options, trunk, digest)
    list(training.run())
    judge = training.judge()
    assert judge.about.name == "resnet18-layer3"
    assert judge.accuracy(folder.subset("test", 10, 0).splits["test"]) > 0.6
