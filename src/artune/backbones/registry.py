"""The networks by name, and how each gets its weights."""

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from artune.assets import WEIGHTS, Asset, OnBytes, fetch, read_metadata, read_weights
from artune.backbones.base import Backbone
from artune.backbones.blank import Blank
from artune.backbones.compact import Compact
from artune.backbones.pooling import Pooling
from artune.backbones.smoothed import Smoothed
from artune.backbones.vgg import EMULATOR, VGG, VGG16
from artune.errors import SpecError, UnknownNameError, WeightsError
from artune.files import file_digest

if TYPE_CHECKING:
    import torch

    from artune.backbones.traced import Traced

OTHERS = "torchvision:"
"""Before the name of any classifier of torchvision."""


@dataclass(frozen=True)
class Known:
    """A network that can be asked for by name.

    Attributes:
        make: builds it, with the given pooling and random weights.
        about: one line for ``artune networks``.
        pools: whether its pooling can be chosen.
    """

    make: Callable[[Pooling], Backbone]
    about: str
    pools: bool = True


def _classifier(family: str, *arguments: str, **more: bool) -> "Callable[[Pooling], Traced]":
    """A function of ``classifiers``, which imports torchvision when it is called."""

    def make(pooling: Pooling) -> "Traced":
        from artune.backbones import classifiers

        network: Traced = getattr(classifiers, family)(*arguments, pooling, **more)
        return network

    return make


NETWORKS: dict[str, Known] = {
    "compact": Known(lambda pooling: Compact(), "travels with the package; distilled from VGG-19", pools=False),
    "vgg16": Known(lambda pooling: VGG("vgg16", VGG16, pooling=pooling), "VGG-16 (Simonyan and Zisserman 2015)"),
    "vgg19": Known(lambda pooling: VGG("vgg19", pooling=pooling), "VGG-19 (Simonyan and Zisserman 2015)"),
    "vgg19-emulator": Known(
        lambda pooling: VGG("vgg19-emulator", EMULATOR, pooling=pooling, normalise=False, reflect=True),
        "a 16 times smaller VGG-19 (Wang et al. 2020); by --weights only",
    ),
    "resnet18": Known(_classifier("resnet", "resnet18"), "ResNet-18 (He et al. 2016)"),
    "resnet50": Known(_classifier("resnet", "resnet50"), "ResNet-50 (He et al. 2016)"),
    "resnext50_32x4d": Known(_classifier("resnet", "resnext50_32x4d"), "ResNeXt-50 32x4d (Xie et al. 2017)"),
    "resnext101_32x8d": Known(_classifier("resnet", "resnext101_32x8d"), "ResNeXt-101 32x8d (Xie et al. 2017)"),
    "inception_v3": Known(_classifier("plain", "inception_v3"), "Inception V3 (Szegedy et al. 2016)"),
    "alexnet": Known(_classifier("alexnet"), "AlexNet (Krizhevsky 2014)"),
    "squeezenet1_1": Known(_classifier("plain", "squeezenet1_1"), "SqueezeNet 1.1 (Iandola et al. 2016)"),
    "mobilenet_v2": Known(_classifier("mobilenet_v2"), "MobileNetV2 (Sandler et al. 2018)"),
    "mobilenet_v2_flat": Known(
        _classifier("mobilenet_v2", flat=True), "MobileNetV2 without its residual additions (AutoArt)"
    ),
}


def find_network(name: str) -> Known:
    """A network by name: a key of ``NETWORKS``, or ``torchvision:NAME``.

    Raises:
        UnknownNameError: there is none.
    """
    if name.startswith(OTHERS):
        from artune.backbones.classifiers import listed

        bare = name.removeprefix(OTHERS)
        if bare not in (known := listed()):
            raise UnknownNameError("classifier of torchvision", bare, known)
        return Known(_classifier("classifier", bare), f"{bare} of torchvision")
    if name not in NETWORKS:
        raise UnknownNameError("network", name, [*NETWORKS, f"{OTHERS}NAME"])
    return NETWORKS[name]


def published_weights(name: str) -> Asset | None:
    """Where the weights of a network come from; ``None`` if they are not published."""
    if name.startswith(OTHERS):
        from artune.backbones.classifiers import published

        return published(name.removeprefix(OTHERS))
    return WEIGHTS.get(name)


def structure(name: str) -> Backbone:
    """A network to look at: its taps, without weights where that can be.

    Raises:
        UnknownNameError: there is no such network.
    """
    import torch

    make = find_network(name).make
    try:
        with torch.device("meta"):
            return make("max")
    except NotImplementedError:  # RegNet computes its own widths with tensors
        return make("max")


def load_network(
    name: str,
    *,
    weights: Path | None = None,
    pooling: Pooling = "max",
    smooth: bool | None = None,
    device: "torch.device | str" = "cpu",
    dtype: "torch.dtype | None" = None,
    progress: OnBytes | None = None,
    taps: Collection[str] = (),
) -> tuple[Backbone, str]:
    """A network ready to use, and the sha256 of its weights.

    Args:
        name: a key of ``NETWORKS``, or ``torchvision:NAME``.
        weights: a safetensors or weights-only .pth file, whole or truncated; default: bundled, cached or downloaded.
        pooling: how blocks hand on.
        smooth: softmax over the activations; default: for networks like ResNet.
        device: where it runs.
        dtype: of its parameters and activations; default fp32.
        progress: told of a download.
        taps: that will be asked for; looked up before a download.

    Raises:
        UnknownNameError: there is no such network, or it has no such tap.
        SpecError: its pooling is fixed.
        WeightsError: missing, damaged or unfit weights; or those of a judge.
    """
    import torch

    network = find_network(name)
    if pooling != "max" and not network.pools:
        raise SpecError(f"the pooling of network {name} is fixed; leave out --pooling")
    with Blank():
        backbone = network.make(pooling)
    for tap in taps:
        backbone.tap(tap)
    if weights is None:
        asset = published_weights(name)
        if asset is None:
            raise WeightsError(f"the weights of {name} are not published for download; give a file with --weights FILE")
        path = fetch(asset, network=name, progress=progress)
        found = file_digest(path)
    else:
        path = Path(weights)
        found = file_digest(path) if os.path.isfile(path) else ""
    tensors = read_weights(path)
    if read_metadata(path).get("role") == "judge":
        raise WeightsError(
            f"{path} holds a network that judges; it cannot also make the pictures. Give weights of {name}"
        )
    backbone.load(tensors, str(path))
    if not all(parameter.isfinite().all() for parameter in backbone.parameters()):
        raise WeightsError(f"{path} holds weights that are not finite; give another file")
    if backbone.residual if smooth is None else smooth:
        backbone = Smoothed(backbone)
    backbone.eval().requires_grad_(False)
    backbone.to(device=device, dtype=dtype or torch.float32).to(memory_format=torch.channels_last)
    return backbone, found
