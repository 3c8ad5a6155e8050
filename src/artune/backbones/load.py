"""The networks by name, and how each gets its weights."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from artune.assets import WEIGHTS, OnBytes, fetch, read_weights
from artune.backbones.base import Backbone
from artune.backbones.compact import Compact
from artune.backbones.vgg import EMULATOR, VGG, Pooling
from artune.errors import SpecError, UnknownNameError, WeightsError
from artune.files import file_digest

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Known:
    """A network that can be asked for by name.

    Attributes:
        make: builds it, with the given pooling, without weights.
        about: one line for ``artune networks``.
        pools: whether its pooling can be chosen.
    """

    make: Callable[[Pooling], Backbone]
    about: str
    pools: bool = True


NETWORKS: dict[str, Known] = {
    "compact": Known(lambda pooling: Compact(), "travels with the package; distilled from VGG-19", pools=False),
    "vgg19": Known(
        lambda pooling: VGG("vgg19", pooling=pooling), "VGG-19 (Simonyan and Zisserman 2015), trained on ImageNet"
    ),
    "vgg19-emulator": Known(
        lambda pooling: VGG("vgg19-emulator", EMULATOR, pooling=pooling, normalise=False, reflect=True),
        "a 16 times smaller VGG-19 (Wang et al. 2020); by --weights only",
    ),
}


def load_network(
    name: str,
    *,
    weights: Path | None = None,
    pooling: Pooling = "max",
    device: "torch.device | str" = "cpu",
    dtype: "torch.dtype | None" = None,
    progress: OnBytes | None = None,
) -> tuple[Backbone, str]:
    """A network ready to use, and the sha256 of its weights.

    Args:
        name: a key of ``NETWORKS``.
        weights: a safetensors or weights-only .pth file, whole or truncated; default: bundled, cached or downloaded.
        pooling: how blocks hand on.
        device: where it runs.
        dtype: of its parameters and activations; default fp32.
        progress: told of a download.

    Raises:
        UnknownNameError: there is no such network.
        WeightsError: missing, damaged or unfit weights.
    """
    import torch

    if name not in NETWORKS:
        raise UnknownNameError("network", name, NETWORKS)
    network = NETWORKS[name]
    if pooling != "max" and not network.pools:
        raise SpecError(f"the pooling of network {name} is fixed; leave out --pooling")
    backbone = network.make(pooling)
    if weights is None:
        if name not in WEIGHTS:
            raise WeightsError(f"the weights of {name} are not published for download; give a file with --weights FILE")
        path = fetch(WEIGHTS[name], network=name, progress=progress)
        found = file_digest(path)
    else:
        path = Path(weights)
        found = file_digest(path) if os.path.isfile(path) else ""
    backbone.load(read_weights(path), str(path))
    if not all(parameter.isfinite().all() for parameter in backbone.parameters()):
        raise WeightsError(f"{path} holds weights that are not finite; give another file")
    backbone.eval().requires_grad_(False)
    backbone.to(device=device, dtype=dtype or torch.float32).to(memory_format=torch.channels_last)
    return backbone, found
