"""A loss network that is loaded once and used for many pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from artune.assets import OnBytes
from artune.backbones.base import Backbone
from artune.backbones.registry import load_network
from artune.backbones.smoothed import Smoothed
from artune.errors import SpecError
from artune.machine import choose_device, choose_precision, precision_of
from artune.spec.style import Padding, StyleSpec, optimise_of


@dataclass(frozen=True)
class Network:
    """A loss network that is loaded once and used for many pictures.

    Attributes:
        backbone: the network itself, ready to run.
        name: as in the spec.
        pooling: as in the spec.
        digest: sha256 of the file with its weights.
        device: where it runs.
        dtype: of its activations.
        smooth: whether its activations are smoothed.
        padding: as in the spec.
    """

    backbone: Backbone
    name: str
    pooling: str
    digest: str
    device: torch.device
    dtype: torch.dtype
    smooth: bool = False
    padding: Padding = "replicate"

    @property
    def precision(self) -> Literal["fp32", "bf16"]:
        """Precision of its activations, as in the spec."""
        return precision_of(self.dtype)

    def check(self, spec: StyleSpec) -> None:
        """Raise if a spec asks for another network.

        Raises:
            SpecError: naming what differs.
        """
        method = optimise_of(spec)
        asked = {name: getattr(method, name) for name in ("network", "pooling", "padding", "smooth")}
        has = {"network": self.name, "pooling": self.pooling, "padding": self.padding, "smooth": self.smooth}
        check_has(asked, has, "the network given")
        check_runs(spec, self.precision, self.device, "the network given")

    @classmethod
    @torch.inference_mode(False)  # weights made in the caller's inference mode could not be differentiated through
    def load(cls, spec: StyleSpec, weights: Path | str | None = None, on_bytes: OnBytes | None = None) -> "Network":
        """The network that a spec asks for.

        Args:
            spec: its network, pooling, padding, smoothing, layers, device and precision count.
            weights: a file with weights; default: bundled, cached or downloaded.
            on_bytes: called during a download with the bytes received so far and in all.

        Raises:
            UnknownNameError: no such network, layer or device.
            WeightsError: missing or unfit weights.
        """
        method, device = optimise_of(spec), choose_device(spec.device)
        dtype = choose_precision(spec.precision, device)
        backbone, digest = load_network(
            method.network,
            weights=None if weights is None else Path(weights),
            pooling=method.pooling,
            padding=method.padding,
            smooth=method.smooth,
            device=device,
            dtype=dtype,
            on_bytes=on_bytes,
            taps=[*(method.content_layers or ()), *(method.style_layers or ())],
        )
        smooth = isinstance(backbone, Smoothed)
        return cls(backbone, method.network, method.pooling, digest, device, dtype, smooth, method.padding)


def check_runs(spec: StyleSpec, precision: str, device: torch.device, of: str) -> None:
    """Raise if a spec asks for another precision or device than what is loaded has.

    Args:
        spec: the spec.
        precision: of what is loaded.
        device: where it runs.
        of: what it is, for messages.

    Raises:
        SpecError: naming what differs.
    """
    whole_kind = spec.device == device.type
    has = {"precision": precision, "device": spec.device if whole_kind else str(device)}
    check_has({"precision": spec.precision, "device": spec.device}, has, of)


def check_has(asked: Mapping[str, Any], has: Mapping[str, Any], of: str) -> None:
    """Raise if something asked for differs from what is loaded; ``None`` and ``auto`` ask for nothing.

    Args:
        asked: values of a spec, by name.
        has: those of what is loaded, by the same names.
        of: what is loaded, for messages.

    Raises:
        SpecError: naming what differs.
    """
    for name, value in asked.items():
        if value not in (None, "auto", has[name]):
            raise SpecError(f"the spec asks for {name} {value}, {of} has {has[name]}; make them equal")
