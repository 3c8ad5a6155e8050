"""A loss network that is loaded once and used for many pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
        for name, asked, has in (
            ("network", method.network, self.name),
            ("pooling", method.pooling, self.pooling),
            ("padding", method.padding, self.padding),
            ("smooth", method.smooth, self.smooth),
            ("precision", spec.precision, self.precision),
            ("device", spec.device, str(self.device)),
        ):
            if asked not in (None, "auto", has, self.device.type if name == "device" else has):
                raise SpecError(f"the spec asks for {name} {asked}, the network given has {has}; make them equal")

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
