"""The networks by name: one record each, and the loading of a network with its weights."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from artune.assets import Asset, OnBytes, fetch, read_metadata, read_weights
from artune.backbones.base import Backbone, TapInfo
from artune.backbones.compact import Compact
from artune.backbones.conventions import CENTRED, IMAGENET, UNIT, InputConvention, adapt_input
from artune.backbones.defaults import VGG_DEFAULTS, Defaults, by_stride, equal
from artune.backbones.pooling import Pooling
from artune.backbones.smoothed import Smoothed
from artune.backbones.vgg import EMULATOR, VGG, VGG16, VGG19
from artune.blank import Blank
from artune.errors import SpecError, UnknownNameError, WeightsError
from artune.files import expanded, file_digest
from artune.spec.style import Padding

if TYPE_CHECKING:
    import torch

OTHERS = "torchvision:"
"""Prefix of the names of torchvision's other classifiers."""

Build = Callable[[Pooling, Padding, InputConvention], Backbone]


@dataclass(frozen=True)
class NetworkRecord:
    """All that is known of a network; a new one is a file that builds it and a line in ``NETWORKS``.

    Attributes:
        builder: makes it, given its pooling, its padding and its input convention; see ``build``.
        about: one line for ``artune networks``.
        weights: where its weights come from; ``None`` where they are published nowhere, and a file must be given.
        convention: what its weights expect of a picture.
        defaults: layers, weights and step size where the user chooses none; ``None``: by the strides of its layers.
        pools: whether its pooling can be chosen.
        pads: whether the padding of its first convolution can be chosen.
    """

    builder: Build
    about: str
    weights: Asset | None = None
    convention: InputConvention = IMAGENET
    defaults: Defaults | None = VGG_DEFAULTS
    pools: bool = True
    pads: bool = True

    def build(self, pooling: Pooling = "max", padding: Padding = "replicate") -> Backbone:
        """The network, with weights of zero until others are loaded.

        Args:
            pooling: replacement for max pooling.
            padding: of the first convolution.

        Raises:
            SpecError: it has no max pooling to replace, no padding to choose, or no feature maps.
        """
        with Blank():
            return self.builder(pooling, padding, self.convention)


def _vgg(name: str, blocks: tuple[tuple[int, int], ...], *, reflect: bool = False) -> Build:
    def build(pooling: Pooling, padding: Padding, convention: InputConvention) -> Backbone:
        return VGG(name, blocks, pooling=pooling, padding=padding, convention=convention, reflect=reflect)

    return build


def _classifier(family: str, *arguments: str, **more: bool) -> Build:
    """A function of ``classifiers``, which imports torchvision when it is called."""

    def build(pooling: Pooling, padding: Padding, convention: InputConvention) -> Backbone:
        from artune.backbones import classifiers

        network: Backbone = getattr(classifiers, family)(*arguments, pooling, padding, convention=convention, **more)
        return network

    return build


def _torchvision(file: str, sha256: str, entry: str) -> Asset:
    """Weights of torchvision.

    Args:
        file: name of the file; it ends with the first eight digits of its sha256.
        sha256: the whole digest as published by several others, or these eight digits where nobody was found to.
        entry: what torchvision calls the weights. Where there are several, those that the literature used.
    """
    return Asset(
        f"{file}-{sha256[:8]}.pth",
        sha256,
        "BSD-3-Clause (torchvision); trained on ImageNet, whose terms apply",
        url=f"https://download.pytorch.org/models/{file}-{sha256[:8]}.pth",
        source=f"torchvision, {entry}.IMAGENET1K_V1",
    )


COMPACT = Asset("compact.safetensors", "7876704c52deac2fb541f7611692bc1ebbb31c6d4c04416235ea44a715f0368a", "MIT")
MOBILENET_V2 = _torchvision(
    "mobilenet_v2", "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889", "MobileNet_V2_Weights"
)
SWAG = Defaults(equal("layer3"), equal("relu", "layer1", "layer2", "layer3", "layer4"))
"""The layers of ResNet-50 in the published code of SWAG's authors; ResNet-18 has stages of the same names."""
RESNEXT = Defaults(equal("layer2"), equal("layer1", "layer2", "layer3", "layer4"))
"""The layers of the report AutoArt for its ResNeXt."""

NETWORKS: dict[str, NetworkRecord] = {
    "compact": NetworkRecord(
        lambda pooling, padding, convention: Compact(),
        "travels with the package; distilled from VGG",
        COMPACT,
        convention=UNIT,
        pools=False,
        pads=False,
    ),
    "vgg16": NetworkRecord(
        _vgg("vgg16", VGG16),
        "VGG-16 (Simonyan and Zisserman 2015)",
        _torchvision("vgg16", "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0", "VGG16_Weights"),
    ),
    "vgg19": NetworkRecord(
        _vgg("vgg19", VGG19),
        "VGG-19 (Simonyan and Zisserman 2015)",
        _torchvision("vgg19", "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44", "VGG19_Weights"),
    ),
    "vgg19-emulator": NetworkRecord(
        _vgg("vgg19-emulator", EMULATOR, reflect=True),
        "a 16 times smaller VGG-19 (Wang et al. 2020); by file only",
        convention=UNIT,
        pads=False,
    ),
    "resnet18": NetworkRecord(
        _classifier("resnet", "resnet18"),
        "ResNet-18 (He et al. 2016)",
        _torchvision(
            "resnet18", "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec", "ResNet18_Weights"
        ),
        defaults=SWAG,
    ),
    "resnet50": NetworkRecord(
        _classifier("resnet", "resnet50"),
        "ResNet-50 (He et al. 2016)",
        _torchvision(
            "resnet50", "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a", "ResNet50_Weights"
        ),
        defaults=SWAG,
    ),
    "resnext50_32x4d": NetworkRecord(
        _classifier("resnet", "resnext50_32x4d"),
        "ResNeXt-50 32x4d (Xie et al. 2017)",
        _torchvision("resnext50_32x4d", "7cdf4587", "ResNeXt50_32X4D_Weights"),
        defaults=RESNEXT,
    ),
    "resnext101_32x8d": NetworkRecord(
        _classifier("resnet", "resnext101_32x8d"),
        "ResNeXt-101 32x8d (Xie et al. 2017)",
        _torchvision("resnext101_32x8d", "8ba56ff5", "ResNeXt101_32X8D_Weights"),
        defaults=RESNEXT,
    ),
    "inception_v3": NetworkRecord(
        _classifier("plain", "inception_v3"),
        "Inception V3 (Szegedy et al. 2016)",
        _torchvision(
            "inception_v3_google",
            "0cc3c7bd75056d25e46cba549dc184522069b81e9787eff6df84f397bd52a5ef",
            "Inception_V3_Weights",
        ),
        convention=CENTRED,
        # the last module at each stride from 2 to 16; content as for VGG-19, at stride 8
        defaults=Defaults(
            equal("Mixed_5d"), equal("Conv2d_1a_3x3", "Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e")
        ),
    ),
    "alexnet": NetworkRecord(
        _classifier("alexnet"),
        "AlexNet (Krizhevsky 2014)",
        _torchvision(
            "alexnet-owt", "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02", "AlexNet_Weights"
        ),
        # all five layers, as for VGG-19; content at the third, the first behind all large strides
        defaults=Defaults(equal("relu3"), equal("relu1", "relu2", "relu3", "relu4", "relu5")),
    ),
    "squeezenet1_1": NetworkRecord(
        _classifier("plain", "squeezenet1_1"),
        "SqueezeNet 1.1 (Iandola et al. 2016)",
        _torchvision(
            "squeezenet1_1",
            "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
            "SqueezeNet1_1_Weights",
        ),
        # the layers of Stanford's course CS231n, whose weights (3e5, 1e3, 15, 3) are of another scale
        defaults=Defaults(equal("features.3"), equal("features.1", "features.4", "features.6", "features.7")),
    ),
    "mobilenet_v2": NetworkRecord(
        _classifier("mobilenet_v2"),
        "MobileNetV2 (Sandler et al. 2018)",
        MOBILENET_V2,
        # the layers of the report AutoArt
        defaults=Defaults(equal("layer_8", "layer_14"), equal("layer_1", "layer_2", "layer_4", "layer_8", "layer_14")),
    ),
    "mobilenet_v2_flat": NetworkRecord(
        _classifier("mobilenet_v2", flat=True),
        "MobileNetV2 without its residual additions (AutoArt)",
        MOBILENET_V2,
        # the layers of the report AutoArt
        defaults=Defaults(
            equal("conv_8_2", "conv_14_2"), equal("conv_1_1", "conv_2_2", "conv_4_2", "conv_8_2", "conv_14_2")
        ),
    ),
}


def find_network(name: str) -> NetworkRecord:
    """The record of a network.

    Args:
        name: a key of ``NETWORKS``, or ``torchvision:NAME`` for any other classifier of torchvision.

    Raises:
        UnknownNameError: there is none.
    """
    if name.startswith(OTHERS):
        from artune.backbones import classifiers

        bare = name.removeprefix(OTHERS)
        if bare not in (known := classifiers.listed()):
            raise UnknownNameError("classifier of torchvision", bare, known)
        return NetworkRecord(
            _classifier("classifier", bare),
            f"{bare} of torchvision",
            classifiers.published(bare),
            convention=classifiers.convention_of(bare),
            defaults=None,
        )
    if name not in NETWORKS:
        raise UnknownNameError("network", name, [*NETWORKS, f"{OTHERS}NAME"])
    return NETWORKS[name]


def defaults_of(name: str, taps: Mapping[str, TapInfo] | None = None) -> Defaults:
    """Layers, weights and step size of a network where the user chooses none.

    A network without defaults of its own that has VGG-19's layers has VGG-19's defaults, others are chosen by stride.

    Args:
        name: of the network.
        taps: of the network; default: those of VGG-19.
    """
    record = NETWORKS.get(name)
    if record is not None and record.defaults is not None:
        return record.defaults
    if taps is None or {*VGG_DEFAULTS.content, *VGG_DEFAULTS.style} <= taps.keys():
        return VGG_DEFAULTS
    return by_stride(taps)


def structure(name: str) -> Backbone:
    """A network to look at: its taps, without memory for weights where that can be.

    Raises:
        UnknownNameError: there is no such network.
    """
    import torch

    record = find_network(name)
    try:
        with torch.device("meta"):
            return record.build()
    except NotImplementedError:  # RegNet computes its own widths with tensors
        return record.build()


def load_network(
    name: str,
    *,
    weights: Path | None = None,
    pooling: Pooling = "max",
    padding: Padding = "replicate",
    smooth: bool | None = None,
    device: "torch.device | str" = "cpu",
    dtype: "torch.dtype | None" = None,
    on_bytes: OnBytes | None = None,
    taps: Collection[str] = (),
) -> tuple[Backbone, str]:
    """A network ready to use, and the sha256 of its weights.

    Args:
        name: a key of ``NETWORKS``, or ``torchvision:NAME``.
        weights: a safetensors or weights-only .pth file, which may hold the first layers alone; default: bundled,
            cached or downloaded. Files in Caffe's input convention are converted with a warning, or refused.
        pooling: replacement for max pooling.
        padding: of the first convolution: the border of the picture repeated, or zeros.
        smooth: whether a softmax smooths the activations; default: for networks with residual additions before a ReLU.
        device: where it runs.
        dtype: of its parameters and activations; default fp32.
        on_bytes: called during a download.
        taps: that will be asked for; a wrong name is found before a download.

    Raises:
        UnknownNameError: there is no such network, or it has no such tap.
        SpecError: it has no such pooling or padding.
        WeightsError: missing, damaged or unfit weights; or those of a judge.
    """
    import torch

    record = find_network(name)
    if pooling != "max" and not record.pools:
        raise SpecError(f"the pooling of network {name} is fixed; leave out `pooling`")
    if padding != "replicate" and not record.pads:
        raise SpecError(f"the padding of network {name} is fixed; leave out `padding`")
    backbone = record.build(pooling, padding)
    for tap in taps:
        backbone.tap(tap)
    if weights is None:
        if record.weights is None:
            raise WeightsError(f"the weights of {name} are not published for download; give a file as `weights`")
        path, digest = fetch(record.weights, network=name, on_bytes=on_bytes)
        tensors = read_weights(path)
    else:
        path = expanded(weights)
        tensors, digest = read_weights(path), file_digest(path)
    metadata = read_metadata(path)
    if metadata.get("role") == "judge":
        raise WeightsError(
            f"{path} holds a network that judges; it cannot also make the pictures. Give weights of {name}"
        )
    for key, tensor in tensors.items():
        if not tensor.is_floating_point() and tensor.dtype != torch.int64:  # counters and indices are int64
            raise WeightsError(f"{path}: {key} is {tensor.dtype}; give weights in floating point, not quantised ones")
    backbone.load(tensors, str(path), metadata)
    if not all(parameter.isfinite().all() for parameter in backbone.parameters()):
        raise WeightsError(f"{path} holds weights that are not finite; give another file")
    adapt_input(backbone, record.convention, str(path))
    return made_ready(backbone, smooth=smooth, device=device, dtype=dtype), digest


def made_ready(
    backbone: Backbone, *, smooth: bool | None, device: "torch.device | str", dtype: "torch.dtype | None"
) -> Backbone:
    """A network that has its weights, smoothed where that is asked for, without gradients, at its place.

    Args:
        backbone: the network.
        smooth: as for ``load_network``.
        device: where it runs.
        dtype: of its parameters and activations; default fp32.
    """
    import torch

    if backbone.residual if smooth is None else smooth:
        backbone = Smoothed(backbone)
    backbone.eval().requires_grad_(False)
    return backbone.to(device=device, dtype=dtype or torch.float32).to(memory_format=torch.channels_last)
