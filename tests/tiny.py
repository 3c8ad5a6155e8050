"""Networks small enough to compute by hand."""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from artune.backbones.base import NO_METADATA, Backbone, Features, Image, TapInfo
from artune.backbones.traced import Traced
from artune.backbones.vgg import VGG


class Tiny(Backbone):
    """Tap ``double``: twice the picture. Tap ``half``: 2x2 sums of red. It counts how often it runs, and how deep."""

    name = "tiny"
    smallest = 2

    def __init__(self) -> None:
        super().__init__()
        self.taps = {"double": TapInfo(3, 1, 1, 3.0, 6.0), "half": TapInfo(1, 2, 2, 4.0, 7.0)}
        self.deepest: list[str] = []

    def forward(self, image: Image, taps: Collection[str]) -> Features:
        out = {"image": image} if "image" in taps else {}
        self.deepest.append("half" if "half" in taps else "double")
        if "double" in taps:
            out["double"] = 2 * image
        if "half" in taps:
            out["half"] = 4 * torch.nn.functional.avg_pool2d(image[:, :1], 2)
        return out

    def load(self, weights: Mapping[str, Tensor], where: str, metadata: Mapping[str, str] = NO_METADATA) -> None:
        """It has none."""

    def weights(self, tap: str) -> dict[str, Tensor]:
        return {}


class TinyClassifier(nn.Module):
    """A residual network with everything that torchvision's have: activations in place, batch norm, pooling, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.block = TinyBlock()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(self.maxpool(self.relu(self.bn1(self.conv1(x)))))
        scores: Tensor = self.fc(torch.flatten(self.avgpool(x), 1))
        return scores


class TinyBlock(nn.Module):
    """Two convolutions, and what was given."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(self.relu(self.bn1(self.conv1(x))))
        out += x
        rectified: Tensor = self.relu(out)
        return rectified


def randomised(network: nn.Module) -> nn.Module:
    """A network whose batch norm does something: by default it is the identity in eval mode."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.bias, 0, 0.1)
    return network.eval().requires_grad_(False)


def tiny_traced(**more: Any) -> Traced:
    """``TinyClassifier`` as a loss network."""
    torch.manual_seed(0)
    return Traced("tiny", lambda: randomised(TinyClassifier()), **more).requires_grad_(False)


SMALL = ((4, 2), (6, 2), (8, 2))
"""Channels and depth of the blocks of ``small_vgg``."""


def small_vgg(**more: Any) -> VGG:
    """A VGG with three narrow blocks and random weights."""
    torch.manual_seed(0)
    return VGG("small", SMALL, **more).eval().requires_grad_(False)
