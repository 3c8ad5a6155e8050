"""torchvision's classifiers by name, and other sources' names of their layers."""

from functools import partial

import torchvision
from torch import nn

from artune.assets import Asset
from artune.backbones.conventions import CENTRED, IMAGENET, InputConvention
from artune.backbones.pooling import Pooling
from artune.backbones.traced import Traced
from artune.spec.style import Padding

PORTED = ("googlenet", "inception_v3")
"""Networks that were trained in TensorFlow, on pictures in [-1, 1]. torchvision normalises for them as for ImageNet,
and its ``transform_input``, which goes with their weights, turns that into [-1, 1]."""

MOBILENET_RESIDUAL = (3, 5, 6, 8, 9, 10, 12, 13, 15, 16)
"""Blocks of MobileNetV2 with a skip addition."""


def listed() -> list[str]:
    """Names of all classifiers of torchvision."""
    return list(torchvision.models.list_models(module=torchvision.models))


def classifier(
    name: str, pooling: Pooling = "max", padding: Padding = "replicate", *, convention: InputConvention = IMAGENET
) -> Traced:
    """Any classifier of torchvision; its taps have the names of the graph.

    Args:
        name: as in ``torchvision.models``.
        pooling: replacement for max pooling.
        padding: of the first convolution.
        convention: what its weights expect of a picture.

    Raises:
        SpecError: it has no max pooling to replace, no padding to choose, or no feature maps.
    """
    return Traced(f"torchvision:{name}", partial(_build, name), pooling=pooling, padding=padding, convention=convention)


def resnet(
    name: str, pooling: Pooling = "max", padding: Padding = "replicate", *, convention: InputConvention = IMAGENET
) -> Traced:
    """ResNet (He et al. 2016) or ResNeXt (Xie et al. 2017): ``layer3.1.conv2``, ``layer3.1``, ``layer3``."""
    aliases = keras_resnet50() if name == "resnet50" else {}
    return Traced(name, partial(_build, name), pooling=pooling, padding=padding, convention=convention, aliases=aliases)


def plain(
    name: str, pooling: Pooling = "max", padding: Padding = "replicate", *, convention: InputConvention = IMAGENET
) -> Traced:
    """Inception V3 (Szegedy et al. 2016) or SqueezeNet (Iandola et al. 2016), by their modules' names."""
    return Traced(name, partial(_build, name), pooling=pooling, padding=padding, convention=convention)


def alexnet(
    pooling: Pooling = "max", padding: Padding = "replicate", *, convention: InputConvention = IMAGENET
) -> Traced:
    """AlexNet (Krizhevsky 2014): ``conv1`` .. ``conv5``, ``relu1`` .. ``relu5``, ``pool1``, ``pool2``, ``pool5``."""
    kinds = (
        "conv1", "relu1", "pool1", "conv2", "relu2", "pool2",
        "conv3", "relu3", "conv4", "relu4", "conv5", "relu5", "pool5",
    )  # fmt: skip
    own_names = {kind: f"features.{index}" for index, kind in enumerate(kinds)}
    return Traced(
        "alexnet",
        partial(_build, "alexnet"),
        pooling=pooling,
        padding=padding,
        convention=convention,
        own_names=own_names,
    )


def mobilenet_v2(
    pooling: Pooling = "max",
    padding: Padding = "replicate",
    *,
    convention: InputConvention = IMAGENET,
    flat: bool = False,
) -> Traced:
    """MobileNetV2 (Sandler et al. 2018).

    ``layer_I`` is the output of block I, ``conv_I_J`` that of its convolution J before batch norm, ``bn_I_J`` after it,
    and ``relu_I_J`` after its ReLU6, where it has one. Block 0 is the first convolution, block 18 the last.

    Args:
        pooling: ``max`` only, for the network has no max pooling to replace.
        padding: of the first convolution.
        convention: what its weights expect of a picture.
        flat: without the residual additions, one sequence of convolutions: the network of the report AutoArt, from
            which the names of the layers come.
    """
    name = "mobilenet_v2_flat" if flat else "mobilenet_v2"
    return Traced(
        name,
        partial(_build, "mobilenet_v2"),
        pooling=pooling,
        padding=padding,
        convention=convention,
        own_names=mobilenet_names(),
        aliases=keras_mobilenet_v2(additions=not flat),
        additions=not flat,
    )


def mobilenet_names() -> dict[str, str]:
    """Our taps of MobileNetV2 -> torchvision's modules."""
    names: dict[str, str] = {}
    for block in range(19):
        stem = f"features.{block}"
        if block in (0, 18):
            places = [(f"{stem}.0", f"{stem}.1", f"{stem}.2")]
        else:
            expanding = 1 if block == 1 else 2
            places = [(f"{stem}.conv.{j}.0", f"{stem}.conv.{j}.1", f"{stem}.conv.{j}.2") for j in range(expanding)]
            places.append((f"{stem}.conv.{expanding}", f"{stem}.conv.{expanding + 1}", ""))
        for j, place in enumerate(places):
            kinds = (f"conv_{block}_{j}", f"bn_{block}_{j}", f"relu_{block}_{j}")
            names |= {kind: inner for kind, inner in zip(kinds, place, strict=True) if inner}
        names[f"layer_{block}"] = stem
    return names


def keras_mobilenet_v2(*, additions: bool = True) -> dict[str, str]:
    """Keras' layers of MobileNetV2 -> our taps. Keras pads strided convolutions at the bottom and right only."""
    names = {"Conv1": "conv_0_0", "bn_Conv1": "bn_0_0", "Conv1_relu": "relu_0_0"}
    names |= {"Conv_1": "conv_18_0", "Conv_1_bn": "bn_18_0", "out_relu": "relu_18_0"}
    for block in range(1, 18):
        stem = "expanded_conv" if block == 1 else f"block_{block - 1}"
        parts = ("depthwise", "project") if block == 1 else ("expand", "depthwise", "project")
        for j, part in enumerate(parts):
            names |= {f"{stem}_{part}": f"conv_{block}_{j}", f"{stem}_{part}_BN": f"bn_{block}_{j}"}
            if part != "project":
                names[f"{stem}_{part}_relu"] = f"relu_{block}_{j}"
        if additions and block in MOBILENET_RESIDUAL:
            names[f"{stem}_add"] = f"layer_{block}"
    return names


def keras_resnet50() -> dict[str, str]:
    """Keras' layers of ResNet-50 -> our taps: ``conv4_block2_2_conv`` is ``layer3.1.conv2``, before batch norm.

    In the first block of a stage Keras halves the size in the first convolution (1x1), torchvision in the second (3x3).
    """
    names = {"conv1_conv": "conv1", "conv1_bn": "bn1", "conv1_relu": "relu", "pool1_pool": "maxpool"}
    for stage, depth in enumerate((3, 4, 6, 3), start=1):
        for block in range(depth):
            keras, own = f"conv{stage + 1}_block{block + 1}", f"layer{stage}.{block}"
            for j in (1, 2, 3):
                names |= {f"{keras}_{j}_conv": f"{own}.conv{j}", f"{keras}_{j}_bn": f"{own}.bn{j}"}
            names |= {f"{keras}_1_relu": f"{own}.relu", f"{keras}_2_relu": f"{own}.relu_1"}
            names |= {f"{keras}_add": f"{own}.add", f"{keras}_out": own}
            if block == 0:
                names |= {f"{keras}_0_conv": f"{own}.downsample.0", f"{keras}_0_bn": f"{own}.downsample.1"}
    return names


def published(name: str) -> Asset:
    """The weights that torchvision uses by default for a classifier, with the digits of their sha256 that it gives."""
    entry = torchvision.models.get_model_weights(name).DEFAULT
    file = entry.url.rsplit("/", 1)[-1]
    return Asset(
        file,
        file.rsplit("-", 1)[-1].split(".")[0],
        entry.meta.get("license", "BSD-3-Clause (torchvision); trained on ImageNet, whose terms apply"),
        url=entry.url,
        source=f"torchvision, {type(entry).__name__}.{entry.name}",
    )


def convention_of(name: str) -> InputConvention:
    """What the weights of ``published`` expect of a picture."""
    if name in PORTED:
        return CENTRED
    transforms = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    return InputConvention(tuple(transforms.mean), tuple(transforms.std))


def _build(name: str) -> nn.Module:
    """The structure with random weights, without the parts that only training uses."""
    more = {"aux_logits": False, "init_weights": False} if name in PORTED else {}
    network: nn.Module = torchvision.models.get_model(name, weights=None, **more)
    return network
