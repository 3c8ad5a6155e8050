"""Networks small enough to compute by hand."""

import torch
from torch import nn

from artune.backbones.base import Backbone, TapInfo


class Tiny(Backbone):
    """Tap ``double``: twice the picture. Tap ``half``: 2x2 sums of red. It counts how often it runs, and how deep."""

    name = "tiny"
    smallest = 2

    def __init__(self) -> None:
        super().__init__()
        self.taps = {"double": TapInfo(3, 1, 1, 3.0, 6.0), "half": TapInfo(1, 2, 2, 4.0, 7.0)}
        self.deepest: list[str] = []

    def forward(self, image, taps):
        out = {"image": image} if "image" in taps else {}
        self.deepest.append("half" if "half" in taps else "double")
        if "double" in taps:
            out["double"] = 2 * image
        if "half" in taps:
            out["half"] = 4 * torch.nn.functional.avg_pool2d(image[:, :1], 2)
        return out

    def load(self, weights, where):
        """It has none."""

    def weights(self, tap):
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

    def forward(self, x):
        x = self.block(self.maxpool(self.relu(self.bn1(self.conv1(x)))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class TinyBlock(nn.Module):
    """Two convolutions, and what was given."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.conv2(self.relu(self.bn1(self.conv1(x))))
        out += x
        return self.relu(out)
