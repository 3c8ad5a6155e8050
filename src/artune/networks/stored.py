"""The weights of networks that paint, as files hold them: matrices in fp16, vectors in fp32."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from artune.errors import WeightsError


def own_weights(network: nn.Module, without: str = "") -> dict[str, Tensor]:
    """The weights of a network by name.

    Args:
        network: the network.
        without: beginning of the names of weights that belong to another network; none if it is empty.
    """
    weights: dict[str, Tensor] = network.state_dict()
    return {name: tensor for name, tensor in weights.items() if not (without and name.startswith(without))}


def to_store(network: nn.Module, without: str = "") -> dict[str, Tensor]:
    """The same on the CPU, as a file holds them."""
    return {
        name: (tensor if tensor.dim() <= 1 else tensor.half()).detach().cpu().contiguous()
        for name, tensor in own_weights(network, without).items()
    }


def fill(
    network: nn.Module, weights: Mapping[str, Tensor], path: Path, what: str, needed: str, without: str = ""
) -> None:
    """Set the weights of a network to those of a file, in fp32, and freeze it.

    Args:
        network: the network.
        weights: what the file holds.
        path: the file, for messages.
        what: what it should hold, for messages.
        needed: what to give instead, for messages.
        without: see ``own_weights``.

    Raises:
        WeightsError: a weight is missing, is of another shape, belongs to no such network, or is not finite.
    """
    own = own_weights(network, without)
    for name in sorted(own.keys() | weights.keys()):
        tensor = weights.get(name)
        if name not in own:
            raise WeightsError(f"{path} holds {name}, which is no part of {what}; {needed}")
        if tensor is None or tensor.shape != own[name].shape or not tensor.is_floating_point():
            raise WeightsError(f"{path} does not fit {what}: {name} is missing or wrong; {needed}")
        if not tensor.isfinite().all():
            raise WeightsError(f"{path} is damaged: {name} holds values that are not finite; {needed}")
    network.load_state_dict({name: tensor.float() for name, tensor in weights.items()}, strict=False)
    network.eval().requires_grad_(False)
