"""The script that trains the bundled network, on random crops and targets."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from artune.backbones.compact import Compact, CompactConfig
from artune.backbones.registry import load_network

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

    held_out, seed, made = 4, 3, "random"

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


def test_an_earlier_network_with_fewer_convolutions_is_refused(distill):
    small, deep = (Compact(CompactConfig(shape), margin=0) for shape in (((4,), (5,)), ((4,), (5, 5))))
    with pytest.raises(SystemExit, match=r"--start lacks stages\.1\.1\.bias"):
        distill.begin(deep, torch.rand((1, 3, 32, 32)), small.state_dict())


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
    with (tmp_path / "killed.jsonl").open("a") as log:
        log.write('{"step": 4, "lo')  # torn by a kill
    train("killed.safetensors", "--steps", "4", "--shape", SMALL)
    assert [row["step"] for row in distill.read_lines(tmp_path / "killed.jsonl")] == [2, 4]
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


def test_a_trained_file_tells_its_shape(distill, train, tmp_path):
    train("net.safetensors", "--steps", "2", "--shape", SMALL)
    path = tmp_path / "net.safetensors"
    network, _ = load_network("compact", weights=path)
    assert network.config == distill.earlier(path).config == CompactConfig(((4,), (5, 5), (6,), (7,), (8,)), 0.1)
    again = distill.config_of(distill.parser().parse_args(["train", "--assets", "a", "--start", str(path)]))
    assert again == network.config


def test_a_start_that_does_not_fit_is_refused(train, tmp_path):
    train("net.safetensors", "--steps", "2", "--shape", SMALL)
    for number, other in enumerate(("4/5-4/6/7/8", "4/5/6/7/8")):
        with pytest.raises(SystemExit, match="does not fit"):
            train(f"{number}.safetensors", "--shape", other, "--start", str(tmp_path / "net.safetensors"))


class RandomTeachers(torch.nn.Module):
    """Features of the right strides, of more channels than there are components."""

    def __init__(self, assets):
        super().__init__()

    def forward(self, image):
        stride = {"1": 1, "2": 2, "3": 4, "4": 8, "5": 16}
        layers = ["relu1_1", "relu2_1", "relu3_1", "relu3_3", "relu4_1", "relu5_1"]
        generator = torch.Generator().manual_seed(0)
        mix = torch.randn((200, 3, 1, 1), generator=generator)
        pooled = {layer: torch.nn.functional.avg_pool2d(image, stride[layer[4]]) for layer in layers}
        return {layer: torch.nn.functional.conv2d(x, mix).sin() for layer, x in pooled.items()}


@pytest.fixture
def targets(distill, monkeypatch, tmp_path):
    monkeypatch.setattr(distill, "SIDE", 64)
    monkeypatch.setattr(distill, "Teachers", RandomTeachers)
    monkeypatch.setattr(distill, "teacher", lambda assets, name: None)
    some = [np.random.default_rng(i).integers(0, 255, (80, 90, 3), np.uint8) for i in range(3)]
    monkeypatch.setattr(distill, "pictures", lambda folder: some)
    monkeypatch.setattr(distill, "half_finished", lambda *args: iter([np.zeros((64, 64, 3), np.uint8)] * 4))

    def run(*options):
        line = ["targets", "--assets", str(tmp_path), "--work", str(tmp_path), "--crops", "16", *options]
        distill.make_targets(distill.parser().parse_args(line))

    return run


def test_targets_are_the_components_of_the_teachers_features(distill, targets, tmp_path):
    targets("--unfinished", "0.25")
    found = distill.Batches(tmp_path, tmp_path, 4, 0)
    assert sum(not crop.any() for crop in found.crops) == 4
    image, of_layer = found.at(np.array([3, 5]))
    wanted = RandomTeachers(None)(image)
    for layer, target in of_layer.items():
        assert target.shape[1] == found.components[layer] == distill.TARGETS[layer].components
        torch.testing.assert_close(target, distill.project(wanted[layer], found.basis, layer), rtol=0, atol=1e-3)
    with pytest.raises(SystemExit, match="other options"):
        targets("--unfinished", "0.5")


def test_targets_that_a_kill_has_left_are_refused_and_finished(distill, targets, tmp_path, monkeypatch):
    project = distill.project
    monkeypatch.setattr(distill, "project", None)
    with pytest.raises(TypeError):
        targets()
    with pytest.raises(SystemExit, match="no whole targets"):
        distill.Batches(tmp_path, tmp_path, 4, 0)
    monkeypatch.setattr(distill, "project", project)
    monkeypatch.setattr(distill, "all_crops", None)  # the crops are there
    targets()
    assert len(distill.Batches(tmp_path, tmp_path, 4, 0).crops) == 16
