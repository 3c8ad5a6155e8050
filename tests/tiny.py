"""A network small enough to compute by hand."""

import torch

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
