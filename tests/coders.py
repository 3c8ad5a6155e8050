"""Weights of universal style transfer that are small, and what they do is known."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from artune.networks.wct import layers_of, stage_of
from artune.spec.style import LEVELS


def coder_weights(width: int = 4) -> dict[str, Tensor]:
    """Random coders whose layers have as many channels, three or more. The first three hand the colours on, nearly."""
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for level in LEVELS:
        names, stage = layers_of(level), stage_of(level)
        ways = (("encoder", names, [3, *[width] * len(names)]), ("decoder", names[::-1], [*[width] * len(names), 3]))
        for coder, order, channels in ways:
            for place, name in enumerate(order):
                before, after = channels[place : place + 2]
                weight = 0.08 * torch.randn(after, before, 3, 3, generator=generator) / (4.5 * before) ** 0.5
                weight[:3, :3, 1, 1] += torch.eye(3)
                weights[f"{coder}{stage}.{name}.weight"] = weight.half()
                weights[f"{coder}{stage}.{name}.bias"] = 0.01 * torch.rand(after, generator=generator).half()
    return weights


def plain_weights() -> dict[str, Tensor]:
    """Coders that hand the colours on: they make the picture again, but for what pooling loses."""
    weights = coder_weights(3)
    for name, tensor in weights.items():
        tensor.zero_()
        if name.endswith("weight"):
            tensor[:, :, 1, 1] = torch.eye(3)
    return weights


def file_of_coders(weights: dict[str, Tensor], path: Path) -> Path:
    """The file of some weights."""
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, path)
    return path
