"""Class judges: heads by hand, probabilities, files."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from artune.assets import read_metadata
from artune.backbones.compact import Compact, CompactConfig
from artune.backbones.registry import load_network
from artune.data.edges import edges
from artune.data.folders import Folder
from artune.errors import PictureError, WeightsError
from artune.judges.classes import ClassJudge, ClassNetwork, GramHead, JudgeInfo, MeanHead, as_edges
from artune.judges.training import ClassTraining
from artune.spec.train import TrainSpec
from tests.class_judges import SMALL, colour_classes, resnet, right, trained, training
from tests.tiny import Tiny


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    return colour_classes(tmp_path_factory.mktemp("colours"))


@pytest.fixture(scope="module")
def judge(colours):
    return trained(colours).judge()


def test_the_mean_head_by_hand():
    head = MeanHead(2, 2)
    head[2].load_state_dict({"weight": torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "bias": torch.tensor([0.5, 0.0])})
    features = torch.tensor([[[[0.0, 2.0]], [[3.0, 5.0]]]])  # means 1 and 4
    assert head(features).tolist() == [[9.5, 19.0]]


def test_the_gram_head_sees_products_of_channels_alone(generator):
    head = GramHead(4, 3).eval()
    x = torch.randn((2, 4, 6, 5), generator=generator)
    flat = x.flatten(2)
    gram = flat @ flat.transpose(1, 2) / 30
    entries = torch.stack([gram[:, i, j] for i in range(4) for j in range(i, 4)], 1)
    _, first, _, second = head.layers
    want = second(F.relu(first(entries)))
    torch.testing.assert_close(head(x), want, rtol=1e-5, atol=1e-5)
    shuffled = x.flatten(2)[..., torch.randperm(30, generator=generator)].view_as(x)
    torch.testing.assert_close(head(shuffled), want, rtol=1e-4, atol=1e-5)


def test_the_gram_head_brings_entries_to_one_size(generator):
    head = GramHead(3, 2).train()
    x = torch.randn((8, 3, 5, 5), generator=generator) * torch.tensor([1e-2, 1.0, 1e2]).view(3, 1, 1)
    entries = head.layers[0](_entries(x))
    torch.testing.assert_close(entries.mean(0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(entries.std(0, correction=0), torch.ones(6), atol=1e-2, rtol=0)


def _entries(x):
    flat = x.flatten(2)
    gram = flat @ flat.transpose(1, 2) / flat.shape[2]
    return torch.stack([gram[:, i, j] for i in range(3) for j in range(i, 3)], 1)


def test_the_batch_norm_of_the_trunk_keeps_its_statistics(tmp_path):
    trunk = resnet(tmp_path)
    network = ClassNetwork(trunk, "layer3", "resnet18", 2).train()
    before = trunk.network.bn1.running_mean.clone()
    network(torch.rand((2, 3, 64, 64), generator=torch.Generator().manual_seed(0)))
    assert network.head.training
    assert torch.equal(trunk.network.bn1.running_mean, before)


def test_colours_are_learned(judge, colours):
    test = Folder.read(colours, ("test",), judge.classes).splits["test"]
    assert right(judge, test) == 1
    assert judge.confusion(test).table.tolist() == np.diag([2, 2, 2]).tolist()


@pytest.mark.parametrize("kind", ["plain", "denoised"])
def test_a_judge_of_edges_sees_edges_in_training_and_after(colours, kind):
    begun = training(colours, SMALL.model_copy(update={"edges": kind, "epochs": 1}))
    assert set(begun.train.images.unique().tolist()) <= {0, 255}
    list(begun.run())
    found = begun.judge()
    image = torch.rand((2, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    lines = torch.stack(
        [
            torch.from_numpy(edges(i.permute(1, 2, 0).numpy(), denoise=kind == "denoised")).permute(2, 0, 1)
            for i in image
        ]
    )
    assert torch.equal(as_edges(image, kind), lines)
    with torch.no_grad():
        want = found.network(lines).softmax(1)
    torch.testing.assert_close(found.probabilities(image), want)


def test_probabilities_are_of_the_middle_square_at_its_own_size(judge):
    image = torch.rand((2, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    found = judge.probabilities(image)
    assert found.shape == (2, 3)
    torch.testing.assert_close(found.sum(1), torch.ones(2))
    torch.testing.assert_close(judge.probabilities(F.pad(image, (5, 5))), found)
    large = F.interpolate(image, scale_factor=4, mode="nearest")
    torch.testing.assert_close(judge.probabilities(large), found, atol=0.2, rtol=0)
    assert judge.probabilities(large).requires_grad is False


def test_a_picture_that_cannot_be_read_is_named(judge, tmp_path):
    (tmp_path / "x.png").write_bytes(b"nothing")
    with pytest.raises(PictureError, match=r"x\.png"):
        judge.confusion([(tmp_path / "x.png", 0)])


def test_a_file_gives_the_judge_back(judge, tmp_path):
    path = tmp_path / "judge.safetensors"
    judge.save(path)
    again = ClassJudge.load(path)
    assert again.info == judge.info
    assert again.info.name == "gram-compact-relu3_1"
    assert len(again.digest) == 64
    again.save(tmp_path / "again.safetensors")
    assert ClassJudge.load(tmp_path / "again.safetensors").digest == again.digest
    image = torch.rand((2, 3, 50, 40), generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.probabilities(image), judge.probabilities(image))


def test_a_trunk_keeps_what_its_file_says_of_its_weights(tmp_path):
    trunk = Compact(CompactConfig(((4,), (5,), (6,), (7,), (8,)), slope=0.25))
    network = ClassNetwork(trunk, "relu2_1", "gram", 2)
    network.initialise(seed=0)
    judge = ClassJudge(network.eval(), JudgeInfo("gram", ("a", "b"), "compact", "relu2_1", 32))
    image = torch.rand((1, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    judge.save(tmp_path / "judge.safetensors")
    judge.save_trunk(tmp_path / "trunk.safetensors")
    assert torch.equal(ClassJudge.load(tmp_path / "judge.safetensors").probabilities(image), judge.probabilities(image))
    assert read_metadata(tmp_path / "trunk.safetensors")["slope"] == "0.25"


def test_a_judge_of_a_shortened_resnet_comes_back(colours, tmp_path):
    trunk = resnet(tmp_path)
    spec = TrainSpec(kind="resnet18", size=64, epochs=1, batch=9)
    begun = ClassTraining(Folder.read(colours, ("train", "val")), spec, trunk, "abc")
    list(begun.run())
    found = begun.judge()
    assert found.info.name == "resnet18-layer3"
    found.save(tmp_path / "j.safetensors")
    assert not any("layer4" in key or "fc" in key for key in load_file(tmp_path / "j.safetensors"))
    image = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        ClassJudge.load(tmp_path / "j.safetensors").probabilities(image), found.probabilities(image)
    )


def test_a_judge_makes_no_pictures(judge, colours, tmp_path):
    judge.save(tmp_path / "j.safetensors")
    with pytest.raises(WeightsError, match="a network that judges; it cannot also make the pictures"):
        load_network("compact", weights=tmp_path / "j.safetensors")
    trunk = resnet(tmp_path)  # its weights alone would fit: a prefix of all names is no matter
    info = JudgeInfo("resnet18", ("a", "b"), "resnet18", "layer3", 32)
    ClassJudge(ClassNetwork(trunk, "layer3", "resnet18", 2), info).save(tmp_path / "r.safetensors")
    with pytest.raises(WeightsError, match="a network that judges"):
        load_network("resnet18", weights=tmp_path / "r.safetensors")


def test_a_trunk_of_its_own_may_make_pictures(colours, tmp_path):
    spec = TrainSpec(kind="binary", network="compact", positive="green", size=32, epochs=1, batch=6)
    found = trained(colours, spec).judge()
    found.save_trunk(tmp_path / "b.safetensors")
    backbone, _ = load_network("compact", weights=tmp_path / "b.safetensors")
    image = torch.rand((1, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    for tap, value in backbone(image, ["relu2_1", "relu5_1"]).items():
        torch.testing.assert_close(value, found.network.trunk(image, [tap])[tap])


def changed(path, out, about=None, tensors=None, **metadata):
    """The file with other contents."""
    found, said = load_file(path), read_metadata(path)
    if about:
        said["class_judge"] = json.dumps({**json.loads(said["class_judge"]), **about})
    save_file(tensors(found) if tensors else found, out, {**said, **metadata})
    return out


def test_files_that_hold_no_judge_are_refused(judge, tmp_path):
    good, bad = tmp_path / "j.safetensors", tmp_path / "bad.safetensors"
    judge.save(good)
    for about in (
        {"classes": ["a"]},
        {"kind": "tree"},
        {"network": "vgg9"},
        {"tap": "relu9_1"},
        {"edges": "some"},
        {"size": 0},
        {"size": 32.5},
        {"size": 10**7},
        {"classes": [1, 2]},
        {"classes": 3},
        {"more": 1},
    ):
        with pytest.raises(WeightsError, match="holds no class judge"):
            ClassJudge.load(changed(good, bad, about))
    with pytest.raises(WeightsError, match="holds no class judge"):
        ClassJudge.load(changed(good, bad, class_judge="{"))
    with pytest.raises(WeightsError, match="holds no class judge"):
        ClassJudge.load(changed(good, bad, tensors=lambda f: {k: v for k, v in f.items() if "head" not in k}))
    with pytest.raises(WeightsError, match="not weights of the compact network"):
        ClassJudge.load(changed(good, bad, tensors=lambda f: {k: v for k, v in f.items() if "stages.1" not in k}))
    with pytest.raises(WeightsError, match="not finite"):
        ClassJudge.load(
            changed(
                good, bad, tensors=lambda f: {k: v * torch.nan if v.is_floating_point() else v for k, v in f.items()}
            )
        )
    save_file({"x": torch.zeros(1)}, bad)
    with pytest.raises(WeightsError, match="holds no class judge"):
        ClassJudge.load(bad)
    bad.write_bytes(good.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="damaged"):
        ClassJudge.load(bad)
    with pytest.raises(WeightsError, match="no weights file"):
        ClassJudge.load(tmp_path / "none.safetensors")
    torch.save({"x": torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="holds no class judge"):
        ClassJudge.load(tmp_path / "x.pth")


def test_every_backbone_gives_the_weights_that_it_takes(tmp_path, generator):
    image = torch.rand((1, 3, 64, 64), generator=generator)
    from artune.backbones.registry import NETWORKS

    for name, tap in (
        ("vgg19", "relu2_2"),
        ("resnet18", "layer2"),
        ("compact", "relu2_1"),
        ("mobilenet_v2", "layer_4"),
    ):
        first, second = (NETWORKS[name].build().eval() for _ in range(2))
        for value in first.weights(tap).values():
            torch.nn.init.uniform_(value, 0.01, 0.1)
        weights = {key: value.detach().clone() for key, value in first.weights(tap).items()}
        second.load(weights, "test", first.metadata)
        torch.testing.assert_close(second(image, [tap]), first(image, [tap]))
        assert not second.taps["relu3_1" if name == "vgg19" else [*second.taps][-1]].reachable or name == "compact"
    assert Tiny().weights("half") == {}
