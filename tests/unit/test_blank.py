"""No network draws random weights before it is loaded: torch's global generator is the caller's."""

import pytest
import torch
from torch import nn

from artune.backbones.compact import Compact
from artune.backbones.registry import NETWORKS, find_network, load_network, structure
from artune.blank import Blank
from artune.judges.classes import ClassJudge, ClassNetwork, JudgeInfo
from artune.judges.embedding import Judge
from artune.regions.segment import load_segmenter

DEEPLAB = "deeplabv3_mobilenet_v3_large"


def a_bundled_network(folder):
    return lambda: load_network("compact")


def a_classifier(folder):
    from torchvision.models import squeezenet1_1

    torch.save(squeezenet1_1(weights=None).state_dict(), folder / "w.pth")
    return lambda: load_network("squeezenet1_1", weights=folder / "w.pth")


def a_structure(folder):
    return lambda: structure("resnet18")


def a_structure_that_needs_memory(folder):
    return lambda: structure("torchvision:regnet_y_400mf")


def the_judge(folder):
    return Judge.load


def a_class_judge(folder):
    network = ClassNetwork(Compact(), "relu2_1", "gram", 2)
    network.initialise(seed=0)
    ClassJudge(network.eval(), JudgeInfo("gram", ("a", "b"), "compact", "relu2_1", 32)).save(folder / "j.safetensors")
    return lambda: ClassJudge.load(folder / "j.safetensors")


def deeplab(folder):
    from torchvision.models import get_model

    network = get_model(DEEPLAB, weights=None, weights_backbone=None, num_classes=21, aux_loss=True)
    torch.save(network.state_dict(), folder / "d.pth")
    return lambda: load_segmenter(DEEPLAB, weights=folder / "d.pth")


def a_segformer(folder):
    transformers = pytest.importorskip("transformers")
    sizes = {"depths": [1] * 4, "hidden_sizes": [8] * 4, "num_attention_heads": [1] * 4, "decoder_hidden_size": 8}
    network = transformers.SegformerForSemanticSegmentation(transformers.SegformerConfig(**sizes))
    network.save_pretrained(folder)
    return lambda: load_segmenter(str(folder))


@pytest.mark.parametrize(
    "prepare",
    [
        a_bundled_network,
        a_classifier,
        a_structure,
        a_structure_that_needs_memory,
        the_judge,
        a_class_judge,
        deeplab,
        pytest.param(a_segformer, marks=pytest.mark.slow),
    ],
    ids=lambda prepare: prepare.__name__,
)
def test_loading_leaves_the_random_numbers_alone(prepare, tmp_path):
    load = prepare(tmp_path)
    before = torch.get_rng_state()
    load()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", [*(name for name in NETWORKS if name.startswith(("vgg", "mobile")))])
def test_a_network_that_is_built_has_weights_of_zero(name):
    network = find_network(name).build()
    assert all(not weight.any() for key, weight in network.named_parameters() if weight.dim() == 4)


def test_only_inside_the_block():
    with Blank():
        zeros = nn.Linear(3, 2)
    assert not zeros.weight.any()
    assert nn.Linear(3, 2).weight.any()
