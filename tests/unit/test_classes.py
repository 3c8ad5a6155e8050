"""Class judges: heads by hand, files, training on made pictures."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from artune.backbones.compact import Compact
from artune.backbones.registry import load_network
from artune.data.augment import LADDER
from artune.data.edges import edges
from artune.data.folders import Folder
from artune.errors import CheckpointError, InputError, PictureError, SpecError, UnknownNameError, WeightsError
from artune.images.picture import Picture
from artune.images.write import write_picture
from artune.judges.classes import About, ClassJudge, ClassNetwork, GramHead, Pooled, as_edges, confusion
from artune.judges.training import ClassTraining, default_part, default_tap, trainable, with_extra
from artune.metrics.intervals import wilson
from artune.spec.train import Options, find_kind
from tests.tiny import Tiny

COLOURS = {"blue": (0.1, 0.2, 0.8), "green": (0.2, 0.7, 0.1), "red": (0.8, 0.1, 0.2)}
SMALL = Options("gram", size=32, epochs=3, batch=4, rate=3e-3)


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """Noise around three colours: 8 blue, 6 green, 4 red to train with, 3 of each to validate, 2 to test."""
    root, rng = tmp_path_factory.mktemp("colours"), np.random.default_rng(0)
    for split, counts in (("train", (8, 6, 4)), ("val", (3, 3, 3)), ("test", (2, 2, 2))):
        for (name, colour), count in zip(COLOURS.items(), counts, strict=True):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(colour + rng.normal(0, 0.1, (36, 48, 3)), 0, 1).astype(np.float32)
                write_picture(Picture(pixels), root / split / name / f"{number}.png")
    return root


def training(root, options=SMALL, **more):
    trunk, digest = load_network(options.trunk, smooth=False)
    return ClassTraining(Folder.read(root, ("train", "val")), options, trunk, digest, **more)


def right(judge, pictures):
    table = judge.confusion(pictures)
    return table.trace() / table.sum()


def trained(root, options=SMALL):
    begun = training(root, options)
    list(begun.run())
    return begun


@pytest.fixture(scope="module")
def judge(colours):
    return trained(colours).judge()


# ------------------------------------------------------------------------------------------------ networks


def test_the_mean_head_by_hand():
    head = Pooled(2, 2)
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


def resnet(folder: Path, last="layer3", seed=0):
    """ResNet-18 with random weights that end at a stage."""
    from torchvision.models import resnet18

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        whole = resnet18(weights=None).state_dict()
    kept = {k: v for k, v in whole.items() if k != "fc.weight" and (last == "layer4" or not k.startswith("layer4"))}
    save_file({k: v for k, v in kept.items() if not k.startswith("fc")}, folder / "resnet.safetensors")
    return load_network("resnet18", weights=folder / "resnet.safetensors", smooth=False)[0]


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


# ------------------------------------------------------------------------------------------------ training


def test_every_option_is_checked():
    with pytest.raises(UnknownNameError, match="no kind of class judge 'resnet'; did you mean resnet18"):
        find_kind("resnet")
    with pytest.raises(SpecError, match="--positive"):
        Options("binary")
    with pytest.raises(SpecError, match="leave out --positive"):
        Options("gram", positive="red")
    with pytest.raises(SpecError, match="leave out --network vgg19"):
        Options("resnet18", network="vgg19")
    for name in ("size", "augment", "epochs", "patience", "batch", "seed", "per_class"):
        with pytest.raises(SpecError, match=f"{name} must be at least"):
            replace(SMALL, **{name: -1})
    with pytest.raises(SpecError, match=r"seed must be below 2\*\*63"):
        replace(SMALL, seed=2**63)
    with pytest.raises(SpecError, match="size must be at most 4096"):
        replace(SMALL, size=5000)
    with pytest.raises(SpecError, match="rate must be above 0"):
        replace(SMALL, rate=0.0)


def test_every_class_counts_the_same(colours):
    begun = training(colours)
    assert begun.about.classes == ("blue", "green", "red")
    torch.testing.assert_close(begun.balance, torch.tensor([18 / 24, 18 / 18, 18 / 12]))


def test_an_epoch_takes_every_picture_once_and_order_follows_from_the_seed(colours):
    begun = training(colours, replace(SMALL, mirror=False))
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
    plain, mirrored = training(colours, replace(SMALL, mirror=False)), training(colours)
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


def test_colours_are_learned(judge, colours):
    test = Folder.read(colours, ("test",), judge.classes).splits["test"]
    assert right(judge, test) == 1
    assert judge.confusion(test).tolist() == np.diag([2, 2, 2]).tolist()


def test_seeds_decide_everything(colours):
    first, second, other = (trained(colours, replace(SMALL, epochs=1, seed=s)).judge() for s in (1, 1, 2))
    weight = "head.layers.1.weight"
    assert torch.equal(first.network.state_dict()[weight], second.network.state_dict()[weight])
    assert not torch.equal(first.network.state_dict()[weight], other.network.state_dict()[weight])


def test_resumed_is_uninterrupted(colours, tmp_path):
    options = Options("binary", network="compact", positive="red", size=32, epochs=2, batch=6)
    whole = trained(colours, options).judge()
    begun = training(colours, options)
    for progress in begun.run():
        if progress.step == 4:
            break
    begun.save(tmp_path / "c")
    second = training(colours, options)
    second.resume(tmp_path / "c")
    list(second.run())
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, second.judge().network.state_dict()[name]), name
    with pytest.raises(CheckpointError, match="its size is 32, here it is 40"):
        training(colours, replace(options, size=40)).resume(tmp_path / "c")
    paths = Folder.read(colours, ("train", "val"))
    trunk, digest = load_network("compact")
    fewer = ClassTraining(paths.subset("train", 3, 0), options, trunk, digest)
    with pytest.raises(CheckpointError, match="belongs to another training"):
        fewer.resume(tmp_path / "c")


def test_binary_tells_one_from_the_rest_and_changes_the_trunk(colours):
    options = Options("binary", network="compact", positive="green", size=32, epochs=4, batch=6)
    found = trained(colours, options).judge()
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
    options = replace(SMALL, kind="binary", positive="red", network="compact")
    labels = training(colours, options, styled=styled).train.labels
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
    assert len(training(colours, replace(SMALL, augment=10)).train.labels) == 28


@pytest.mark.parametrize("kind", ["plain", "denoised"])
def test_a_judge_of_edges_sees_edges_in_training_and_after(colours, kind):
    begun = training(colours, replace(SMALL, edges=kind, epochs=1))
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


def test_bad_folders_and_options_are_refused(colours, tmp_path):
    with pytest.raises(SpecError, match="needs pictures of at least 16 pixels"):
        training(colours, replace(SMALL, size=8))
    with pytest.raises(UnknownNameError, match=r"no class 'rde' .*did you mean red"):
        training(colours, replace(SMALL, kind="binary", positive="rde", network="compact"))
    for tap in ("relu9_1", "image"):
        with pytest.raises(UnknownNameError, match=f"no layer '{tap}'"):
            training(colours, replace(SMALL, tap=tap))
    for split in ("train", "val"):
        (tmp_path / split / "one").mkdir(parents=True)
        write_picture(Picture(np.zeros((9, 9, 3), np.float32)), tmp_path / split / "one" / "a.png")
    with pytest.raises(InputError, match="needs two to tell apart"):
        training(tmp_path)
    (tmp_path / "train" / "two").mkdir()
    write_picture(Picture(np.ones((9, 9, 3), np.float32)), tmp_path / "train" / "two" / "a.png")
    with pytest.raises(InputError, match="val has no picture of two"):
        training(tmp_path)


# ------------------------------------------------------------------------------------------------ judging, files


def test_probabilities_are_of_the_middle_square_at_its_own_size(judge):
    image = torch.rand((2, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    found = judge.probabilities(image)
    assert found.shape == (2, 3)
    torch.testing.assert_close(found.sum(1), torch.ones(2))
    torch.testing.assert_close(judge.probabilities(F.pad(image, (5, 5))), found)
    large = F.interpolate(image, scale_factor=4, mode="nearest")
    torch.testing.assert_close(judge.probabilities(large), found, atol=0.2, rtol=0)
    assert judge.probabilities(large).requires_grad is False


def test_a_confusion_by_hand():
    labels, found = torch.tensor([0, 0, 1, 2, 2, 2]), torch.tensor([0, 1, 1, 0, 2, 2])
    assert confusion(labels, found, 3).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 2]]


def test_a_picture_that_cannot_be_read_is_named(judge, tmp_path):
    (tmp_path / "x.png").write_bytes(b"nothing")
    with pytest.raises(PictureError, match=r"x\.png"):
        judge.confusion([(tmp_path / "x.png", 0)])


def test_a_file_gives_the_judge_back(judge, tmp_path):
    path = tmp_path / "judge.safetensors"
    judge.save(path)
    again = ClassJudge.load(path)
    assert again.about == judge.about
    assert again.about.name == "gram-compact-relu3_1"
    assert len(again.digest) == 64
    again.save(tmp_path / "again.safetensors")
    assert ClassJudge.load(tmp_path / "again.safetensors").digest == again.digest
    image = torch.rand((2, 3, 50, 40), generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.probabilities(image), judge.probabilities(image))


def test_a_judge_of_a_shortened_resnet_comes_back(colours, tmp_path):
    trunk = resnet(tmp_path)
    options = Options("resnet18", size=64, epochs=1, batch=9)
    begun = ClassTraining(Folder.read(colours, ("train", "val")), options, trunk, "abc")
    list(begun.run())
    found = begun.judge()
    assert found.about.name == "resnet18-layer3"
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
    about = About("resnet18", ("a", "b"), "resnet18", "layer3", 32)
    ClassJudge(ClassNetwork(trunk, "layer3", "resnet18", 2), about).save(tmp_path / "r.safetensors")
    with pytest.raises(WeightsError, match="a network that judges"):
        load_network("resnet18", weights=tmp_path / "r.safetensors")


def test_a_trunk_of_its_own_may_make_pictures(colours, tmp_path):
    options = Options("binary", network="compact", positive="green", size=32, epochs=1, batch=6)
    found = trained(colours, options).judge()
    found.save_trunk(tmp_path / "b.safetensors")
    backbone, _ = load_network("compact", weights=tmp_path / "b.safetensors")
    image = torch.rand((1, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    for tap, value in backbone(image, ["relu2_1", "relu5_1"]).items():
        torch.testing.assert_close(value, found.network.trunk(image, [tap])[tap])


def changed(path, out, about=None, tensors=None, **metadata):
    """The file with other contents."""
    from artune.assets import read_metadata

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
        weights = {key: value.detach().clone() for key, value in first.weights(tap).items()}
        second.load(weights, "test")
        torch.testing.assert_close(second(image, [tap]), first(image, [tap]))
        assert not second.taps["relu3_1" if name == "vgg19" else [*second.taps][-1]].reachable or name == "compact"
    assert Tiny().weights("half") == {}


# ------------------------------------------------------------------------------------------------ intervals


def test_wilson_against_its_definition():
    """The ends are the shares from which what was seen is just z deviations away."""
    from scipy.optimize import brentq

    for right, of in ((8, 10), (123, 150), (1, 7)):

        def apart(p, right=right, of=of):
            return (right / of - p) ** 2 - 1.959964**2 * p * (1 - p) / of

        low, high = brentq(apart, 1e-9, right / of), brentq(apart, right / of, 1 - 1e-9)
        assert wilson(right, of) == pytest.approx((low, high), abs=1e-8)


def test_wilson_at_the_ends():
    assert wilson(0, 0) == (0, 1)
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10) == pytest.approx((0.722, 1), abs=1e-3)
