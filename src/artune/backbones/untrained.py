"""Networks with random weights: what their structure alone can see, as a control."""

import math
from typing import TYPE_CHECKING

from artune.backbones.base import Backbone
from artune.backbones.pooling import Pooling
from artune.backbones.registry import find_network, made_ready
from artune.spec.style import Padding

if TYPE_CHECKING:
    import torch


def untrained(
    name: str,
    seed: int = 0,
    *,
    pooling: Pooling = "max",
    padding: Padding = "replicate",
    smooth: bool | None = None,
    device: "torch.device | str" = "cpu",
    dtype: "torch.dtype | None" = None,
) -> tuple[Backbone, str]:
    """A network with random weights, ready to use, and a text that stands for the digest of its weights.

    Weights of convolutions are normal with the variance ``2 / inputs`` (He et al. 2015), so that activations keep
    their size through layers with ReLUs. Biases are 0, and batch norm is the identity.

    Args:
        name: as for ``load_network``.
        seed: of the weights; the same seed gives the same weights on every machine.
        pooling: as for ``load_network``.
        padding: as for ``load_network``.
        smooth: as for ``load_network``.
        device: where it runs.
        dtype: of its parameters and activations; default fp32.

    Raises:
        UnknownNameError: there is no such network.
        SpecError: it has no such pooling or padding.
    """
    import torch
    from torch import nn

    backbone = find_network(name).build(pooling, padding)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in backbone.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                inputs = module.weight[0].numel()
                module.weight.normal_(0, math.sqrt(2 / inputs), generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
    return made_ready(backbone, smooth=smooth, device=device, dtype=dtype), f"untrained-{seed}"
