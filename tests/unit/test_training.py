"""Training class judges, on made pictures."""

import shutil

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from artune.backbones.compact import Compact
from artune.backbones.registry import load_network
from artune.data.augment import LADDER
from artune.data.folders import Folder
from artune.errors import CheckpointError, InputError, SpecError, UnknownNameError
from artune.images.picture import Picture
from artune.images.write import write_picture
from artune.judges.training import ClassTraining, default_part, default_tap, trainable, with_extra
from artune.spec.train import TrainSpec
from tests.class_judges import SMALL, colour_classes, resnet, right, trained, training


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    return colour_classes(tmp_path_factory.mktemp("colours"))


@pytest.mark.parametrize("last", ["layer3", "layer4"])
def test_a_resnet_is_looked_at_where_its_weights_end(tmp_path, last):
    assert default_tap("resnet18", resnet(tmp_path, last)) == last


def test_default_taps():
    assert default_tap("gram", Compact()) == "relu3_1"
    assert default_tap("binary", Compact()) == "relu5_1"


def test_default_parts():
    assert default_part("gram", "relu3_1") == "head"
    assert default_part("binary", "layer_18") == "all"
    assert [default_part("resnet18", tap) for tap in ("layer4", "layer3.1.bn2", "relu")] == ["layer4", "layer3", "all"]


def test_what_is_trained_begins_at_a_module(tmp_path):
    trunk = resnet(tmp_path)
    names = {id(p): name for name, p in trunk.network.named_parameters()}

    def chosen(begin):
        for p in trunk.parameters():
            p.requires_grad_(False)
        found = {names[id(p)] for p in trainable(trunk, "layer3", begin)}
        assert found == {name for name, p in trunk.network.named_parameters() if p.requires_grad}
        return found

    assert chosen("head") == set()
    assert chosen("layer3") == {
        *(f"layer3.{block}.conv{number}.weight" for block in (0, 1) for number in (1, 2)),
        "layer3.0.downsample.0.weight",
    }
    assert chosen("layer3.1") == {"layer3.1.conv1.weight", "layer3.1.conv2.weight"}
    assert len(chosen("all")) == 1 + 4 + 5 + 5  # without batch norm
    with pytest.raises(UnknownNameError, match="no module 'layer4' in resnet18 up to layer3; did you mean layer3"):
        trainable(trunk, "layer3", "layer4")


def test_every_class_counts_the_same(colours):
    begun = training(colours)
    assert begun.info.classes == ("blue", "green", "red")
    torch.testing.assert_close(begun.class_weights, torch.tensor([18 / 24, 18 / 18, 18 / 12]))


def test_an_epoch_takes_every_picture_once_and_order_follows_from_the_seed(colours):
    begun = training(colours, SMALL.model_copy(update={"mirror": False}))
    assert begun.epoch == 5

    def taken(seed):
        images = torch.cat([begun.batch(seed, step)[0] for step in range(9)])  # 36: two epochs
        return [
            int(np.flatnonzero([torch.equal(image, own / 255) for own in begun.train.images])[0]) for image in images
        ]

    order = taken(0)
    assert sorted(order[:18]) == sorted(order[18:]) == list(range(18))
    assert order[:18] != order[18:]
    assert taken(0) == order
    assert taken(1) != order


def test_pictures_are_mirrored_one_time_in_two(colours):
    plain, mirrored = training(colours, SMALL.model_copy(update={"mirror": False})), training(colours)
    same = flipped = 0
    for step in range(20):
        for a, b in zip(plain.batch(0, step)[0], mirrored.batch(0, step)[0], strict=True):
            same += torch.equal(a, b)
            flipped += torch.equal(a.flip(2), b)
    assert same + flipped == 80
    assert 25 < same < 55


def test_the_validation_is_the_mean_over_classes(colours, tmp_path):
    root = tmp_path / "colours"
    shutil.copytree(colours, root)
    next((root / "val/red").iterdir()).unlink()
    begun = training(root)
    assert len(torch.bincount(begun.val.labels).unique()) > 1  # not as in training
    begun.network.eval()
    with torch.no_grad():
        logits = begun.network(begun.val.images / 255)
        each = F.cross_entropy(logits, begun.val.labels, reduction="none")
        means = [each[begun.val.labels == label].mean().item() for label in range(3)]
        assert begun.validate() == pytest.approx(sum(means) / 3, rel=1e-4)


def test_the_head_is_drawn_from_a_generator_of_its_own(colours, monkeypatch):
    """The numbers are those that PyTorch's own layers draw from the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        begun = training(colours)  # for its size alone: nothing of it is drawn from the global generator
        layers = [nn.Linear(layer.in_features, layer.out_features) for layer in begun.network.head.layers[1::2]]

    def forbidden(seed):
        raise AssertionError("the global generator is the caller's")

    monkeypatch.setattr(torch, "manual_seed", forbidden)
    head = training(colours, SMALL.model_copy(update={"seed": 4})).network.head
    for own, other in zip(head.layers[1::2], layers, strict=True):
        assert torch.equal(own.weight, other.weight)
        assert torch.equal(own.bias, other.bias)


def test_seeds_decide_everything(colours):
    first, second, other = (
        trained(colours, SMALL.model_copy(update={"epochs": 1, "seed": s})).judge() for s in (1, 1, 2)
    )
    weight = "head.layers.1.weight"
    assert torch.equal(first.network.state_dict()[weight], second.network.state_dict()[weight])
    assert not torch.equal(first.network.state_dict()[weight], other.network.state_dict()[weight])


def test_resumed_is_uninterrupted(colours, tmp_path):
    spec = TrainSpec(kind="binary", network="compact", positive="red", size=32, epochs=2, batch=6)
    whole = trained(colours, spec).judge()
    begun = training(colours, spec)
    for progress in begun.run():
        if progress.step == 4:
            break
    begun.save(tmp_path / "c")
    second = training(colours, spec)
    second.resume(tmp_path / "c")
    list(second.run())
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, second.judge().network.state_dict()[name]), name
    with pytest.raises(CheckpointError, match="its size is 32, here it is 40"):
        training(colours, spec.model_copy(update={"size": 40})).resume(tmp_path / "c")
    paths = Folder.read(colours, ("train", "val"))
    trunk, digest = load_network("compact")
    fewer = ClassTraining(paths.subset("train", 3, 0), spec, trunk, digest)
    with pytest.raises(CheckpointError, match="belongs to another training"):
        fewer.resume(tmp_path / "c")


def test_binary_tells_one_from_the_rest_and_changes_the_trunk(colours):
    spec = TrainSpec(kind="binary", network="compact", positive="green", size=32, epochs=4, batch=6)
    found = trained(colours, spec).judge()
    assert found.classes == ("green", "not green")
    before = load_network("compact")[0].weights("relu5_1")
    after = found.network.trunk.weights("relu5_1")
    assert all(not torch.equal(before[key], after[key]) for key in before if key.endswith("weight"))
    test = Folder.read(colours, ("test",)).against("green").splits["test"]
    assert right(found, test) == 1


def test_styled_pictures_are_trained_with(colours):
    styled = colours / "val"
    assert len(training(colours, styled=styled).train.labels) == 18 + 9
    assert len(training(colours).train.labels) == 18
    spec = SMALL.model_copy(update={"kind": "binary", "positive": "red", "network": "compact"})
    labels = training(colours, spec, styled=styled).train.labels
    assert labels.tolist() == [1] * 14 + [0] * 4 + [1] * 6 + [0] * 3


def test_extra_pictures_are_added_and_the_first_stay(colours):
    plain = training(colours).train
    some, more = (with_extra(plain, count, seed=3) for count in (10, 20))
    assert len(more.labels) == 38
    assert torch.equal(some.images, more.images[:28])
    assert torch.equal(some.images[:18], plain.images)
    mirrored = some.images[18 + list(LADDER).index("mirror")]
    label = int(some.labels[18 + list(LADDER).index("mirror")])
    source = [i for i, image in enumerate(plain.images) if torch.equal(image.flip(2), mirrored)]
    assert len(source) == 1
    assert int(plain.labels[source[0]]) == label
    assert len(training(colours, SMALL.model_copy(update={"augment": 10})).train.labels) == 28


def test_bad_folders_and_options_are_refused(colours, tmp_path):
    with pytest.raises(SpecError, match="needs pictures of at least 16 pixels"):
        training(colours, SMALL.model_copy(update={"size": 8}))
    with pytest.raises(UnknownNameError, match=r"no class 'rde' .*did you mean red"):
        training(colours, SMALL.model_copy(update={"kind": "binary", "positive": "rde", "network": "compact"}))
    for tap in ("relu9_1", "image"):
        with pytest.raises(UnknownNameError, match=f"no layer '{tap}'"):
            training(colours, SMALL.model_copy(update={"tap": tap}))
    for split in ("train", "val"):
        (tmp_path / split / "one").mkdir(parents=True)
        write_picture(Picture(np.zeros((9, 9, 3), np.float32)), tmp_path / split / "one" / "a.png")
    with pytest.raises(InputError, match="needs two to tell apart"):
        training(tmp_path)
    (tmp_path / "train" / "two").mkdir()
    write_picture(Picture(np.ones((9, 9, 3), np.float32)), tmp_path / "train" / "two" / "a.png")
    with pytest.raises(InputError, match="val has no picture of two"):
        training(tmp_path)
