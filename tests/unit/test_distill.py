"""The script that trains the bundled network, on random crops and targets."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from artune.backbones.compact import Compact, CompactConfig

SCRIPT = Path(__file__).parents[2] / "training/distill.py"
SMALL, WIDER = "4/5-5/6/7/8", "4/5-6/8/7/9"


@pytest.fixture(scope="module")
def distill():
    spec = importlib.util.spec_from_file_location("distill", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["distill"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["distill"]


class RandomBatches:
    """Crops of 64 pixels, and targets that follow from them."""

    held_out, seed = 4, 3

    def __init__(self, distill, size):
        self.targets, self.size = distill.TARGETS, size
        self.crops = np.random.default_rng(0).integers(0, 255, (20, 64, 64, 3), np.uint8)
        self.components = {layer: target.components for layer, target in self.targets.items()}
        self.basis = {f"{layer}.kept": torch.tensor(0.9) for layer in self.targets}

    def taught(self, layer, image):
        stride = {"1": 1, "2": 2, "3": 4, "4": 8, "5": 16}[layer[4]]
        mean = torch.nn.functional.avg_pool2d(image, stride) if stride > 1 else image
        return mean.repeat(1, 64, 1, 1)[:, : self.targets[layer].components]

    def relu1_1(self, image):
        return self.taught("relu1_1", image)

    def at(self, index):
        image = torch.from_numpy(self.crops[index]).permute(0, 3, 1, 2).float() / 255
        return image, {layer: self.taught(layer, image) for layer in self.targets if layer != "relu1_1"}

    def step(self, step):
        return self.at(np.random.default_rng((self.seed, step)).choice(16, self.size, replace=False) + 4)


@pytest.fixture
def train(distill, monkeypatch, tmp_path):
    monkeypatch.setattr(distill, "SIDE", 65)
    monkeypatch.setattr(distill, "Batches", lambda assets, work, size, seed: RandomBatches(distill, size))

    def run(name, *options):
        line = ["train", "--assets", str(tmp_path), "--work", str(tmp_path), "-o", str(tmp_path / name)]
        line += ["--first", "3", "--batch", "2", "--every", "2", "--muon", "--slope", "0.1", *options]
        distill.train(distill.parser().parse_args(line))
        return load_file(tmp_path / name)

    return run


def test_a_killed_training_goes_on_to_the_same_bits(distill, train, tmp_path, monkeypatch):
    whole = train("whole.safetensors", "--steps", "4", "--shape", SMALL)
    replaced = Path.replace

    def killed(self, target):
        replaced(self, target)
        if Path(target).suffix == ".state":
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        train("killed.safetensors", "--steps", "4", "--shape", SMALL)
    monkeypatch.setattr(Path, "replace", replaced)
    resumed = train("killed.safetensors", "--steps", "4", "--shape", SMALL)
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    rows = [(tmp_path / f"{name}.jsonl").read_text().count("\n") for name in ("whole", "killed")]
    assert rows == [2, 2]
    with pytest.raises(SystemExit, match="other options"):
        train("killed.safetensors", "--steps", "6", "--shape", SMALL)


def test_a_wider_network_begins_with_what_the_earlier_one_computes(distill, tmp_path):
    torch.manual_seed(0)
    shapes = [tuple(tuple(map(int, stage.split("-"))) for stage in text.split("/")) for text in (SMALL, WIDER)]
    small, wide = (Compact(CompactConfig(shape, 0.1), margin=0) for shape in shapes)
    image = torch.rand((2, 3, 48, 48))
    distill.begin(small, image, {})
    distill.begin(wide, image, small.state_dict())
    taps = list(small.taps)
    with torch.no_grad():
        before, after = small(image, taps), wide(image, taps)
        new = wide.stages[2][0](torch.nn.functional.avg_pool2d(after["relu2_1"], 2))[:, 6:]
    for tap in taps:
        torch.testing.assert_close(after[tap][:, : before[tap].shape[1]], before[tap])
    torch.testing.assert_close(new.std((0, 2, 3)), torch.ones(2), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(new.mean((0, 2, 3)), torch.zeros(2), rtol=0, atol=1e-3)


@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (8, 8)])
def test_singular_values_become_alike(distill, shape, generator):
    matrix = torch.randn(shape, generator=generator)
    found = distill.orthogonal(matrix)
    values = torch.linalg.svdvals(found)
    assert 0.6 < values.min() < values.max() < 1.25
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    assert ((u.T @ found @ v.T) - torch.diag((u.T @ found @ v.T).diagonal())).abs().max() < 1e-4


def test_a_trained_file_tells_its_shape(train, tmp_path):
    from artune.assets import read_metadata

    train("net.safetensors", "--steps", "2", "--shape", SMALL)
    config = CompactConfig.of(read_metadata(tmp_path / "net.safetensors"))
    assert config == CompactConfig(((4,), (5, 5), (6,), (7,), (8,)), 0.1)
    save_file({"a": torch.zeros(1)}, tmp_path / "none.safetensors")
    assert CompactConfig.of(read_metadata(tmp_path / "none.safetensors")) == CompactConfig()
