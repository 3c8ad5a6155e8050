"""A painter that is loaded once and used for many pictures, and the file of its weights."""

import hashlib
import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Literal

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from artune.assets import PAINTER, Asset, OnBytes, fetch, read_metadata, read_weights
from artune.backbones.compact import Compact
from artune.backbones.network import check_runs
from artune.backbones.registry import load_network
from artune.blank import Blank
from artune.errors import SpecError, WeightsError
from artune.files import atomic, expanded, file_digest
from artune.losses.moments import Moments
from artune.machine import choose_device
from artune.networks.painter import Painter, PainterConfig
from artune.networks.stored import fill, to_store
from artune.spec.style import StyleSpec
from artune.tensors import write_tensors

KEPT = 32
"""Number of paintings, each at one size, whose moments are kept: up to a megabyte each."""
ENCODER = "encoder."
"""Beginning of the names of the compact network's weights, which are not in the painter's file."""


class Readings:
    """Moments of the paintings that were read last, by what they depend on: they serve many photographs."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Sequence[Moments]] = {}
        self._lock = Lock()  # runs of several threads may share a painter

    def clear(self) -> None:
        """Keep none."""
        with self._lock:
            self._kept.clear()

    def get(self, key: Hashable) -> Sequence[Moments] | None:
        """The moments that were kept under a key, if any."""
        with self._lock:
            found = self._kept.pop(key, None)
            if found is not None:
                self._kept[key] = found  # now the last one that was used
        return found

    def keep(self, key: Hashable, moments: Sequence[Moments]) -> None:
        """Keep moments under a key; those that were not used for longest give way."""
        with self._lock:
            self._kept[key] = moments
            while len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]


@dataclass(frozen=True)
class PainterNetwork:
    """A painter that is loaded once and used for many pictures.

    Attributes:
        painter: the painter itself, ready to run.
        digest: sha256 of the files with its weights and those of the compact network.
        device: where it runs.
        name: for messages.
        precision: of its activations.
        readings: moments of the paintings that were read last.
    """

    painter: Painter
    digest: str
    device: torch.device
    name: str = "painter"
    precision: Literal["fp32"] = "fp32"
    readings: Readings = field(default_factory=Readings, compare=False, repr=False)

    def check(self, spec: StyleSpec) -> None:
        """Raise if a spec asks for another device or precision.

        Raises:
            SpecError: naming what differs.
        """
        check_runs(spec, self.precision, self.device, "the painter")

    @classmethod
    @torch.inference_mode(False)
    def load(
        cls,
        spec: StyleSpec,
        weights: Path | str | None = None,
        on_bytes: OnBytes | None = None,
        *,
        asset: Asset = PAINTER,
        otherwise: str = "or leave out `weights`",
    ) -> "PainterNetwork":
        """The painter on the device that a spec asks for.

        Args:
            spec: its device and precision count.
            weights: a file with a painter's weights; default: a bundled one.
            on_bytes: not called, as all files travel with the package.
            asset: the bundled one.
            otherwise: what to do, in a message, where the file is not a painter's.

        Raises:
            SpecError: the precision is not fp32.
            WeightsError: missing or unfit weights.
        """
        if spec.precision == "bf16":
            raise SpecError("the painter runs in fp32 alone; leave out `precision`, or give fp32")
        device = choose_device(spec.device)
        encoder, of_encoder = load_network("compact", device=device, dtype=torch.float32, on_bytes=on_bytes)
        assert isinstance(encoder, Compact)
        if weights is None:
            path, digest = fetch(asset, network="painter")
        else:
            path = expanded(weights)
            digest = file_digest(path) if path.is_file() else ""
        painter = read_painter(path, encoder, otherwise).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        both = hashlib.sha256(f"{digest} {of_encoder}".encode()).hexdigest()
        return cls(painter, both, device)


def read_painter(path: Path, encoder: Compact, otherwise: str = "or leave out `weights`") -> Painter:
    """The painter of a file.

    Args:
        path: the file, as ``write_painter`` writes it.
        encoder: the compact network.
        otherwise: what to do, in a message, where the file is another.

    Raises:
        WeightsError: the file is missing or damaged, or does not hold a painter for this compact network.
    """
    weights, about = read_weights(path), read_metadata(path)
    needed = f"give a file that artune's training has written, {otherwise}"
    try:
        config = TypeAdapter(PainterConfig).validate_json(about["painter"])
    except (KeyError, ValidationError):
        raise WeightsError(f"{path} holds no painter; {needed}") from None
    if about.get("encoder") != encoder_digest(encoder):
        raise WeightsError(
            f"the painter of {path} was trained with another compact network than the one installed; {needed}"
        )
    with Blank():
        painter = Painter(encoder, config)
    fill(painter, weights, path, "a painter of the shape that it names", needed, ENCODER)
    return painter


def write_painter(path: Path, painter: Painter) -> None:
    """Write the weights of a painter, without those of the compact network, in fp16, atomically."""
    about = {"painter": json.dumps(painter.config.plain()), "encoder": encoder_digest(painter.encoder)}
    with atomic(path) as temporary:
        write_tensors(temporary, to_store(painter, ENCODER), about)


def encoder_digest(encoder: nn.Module) -> str:
    """Digest of the weights that a painter was trained with; the same on every device."""
    seen = hashlib.sha256()
    weights: dict[str, Tensor] = encoder.state_dict()
    for name in sorted(weights):
        seen.update(name.encode())
        seen.update(weights[name].detach().cpu().float().contiguous().numpy().tobytes())
    return seen.hexdigest()[:16]
