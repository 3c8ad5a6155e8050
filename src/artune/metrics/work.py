"""How much a network computes."""

from collections.abc import Collection

import torch
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from artune.backbones.base import Backbone
from artune.errors import PictureError


def multiply_adds(backbone: Backbone, taps: Collection[str], height: int, width: int) -> int:
    """Multiplications that are added up in one pass to the deepest of some taps.

    Those of convolutions and matrix products count; activations, pooling and normalisation do not. Nothing is computed:
    the pass runs on tensors without values. VGG-16 takes 15.35e9 for its features at 224x224.

    Args:
        backbone: the network, on any device.
        taps: its own names.
        height: of the picture, pixels.
        width: of the picture, pixels.

    Raises:
        PictureError: the picture is smaller than the network takes.
    """
    if min(height, width) < backbone.smallest:
        raise PictureError(
            f"a picture of {width}x{height} is too small for {backbone.name}: sides of {backbone.smallest} pixels or "
            "more are needed"
        )
    states = {name: value.to("meta") for name, value in backbone.state_dict(keep_vars=True).items()}
    states |= {name: value.to("meta") for name, value in backbone.named_buffers()}
    image = torch.empty(1, 3, height, width, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        functional_call(backbone, states, (image, tuple(taps)))
    return int(counter.get_total_flops()) // 2
