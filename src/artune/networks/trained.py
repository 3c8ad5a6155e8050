"""A trained style, and its file: weights, and where they come from, in one safetensors file.

A file holds Johnson's network, or a painter that was fine-tuned together with its paintings. Beside the weights there
are a thumbnail, the settings of the training, digests of what it was trained with, and licences.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from torch import Tensor

from artune.assets import OnBytes, read_metadata, read_weights
from artune.backbones.compact import Compact
from artune.backbones.network import check_runs
from artune.backbones.registry import load_network
from artune.blank import Blank
from artune.errors import PictureError, SpecError, WeightsError
from artune.files import atomic, expanded, file_digest
from artune.images.picture import Picture
from artune.images.sources import as_picture
from artune.images.write import encoded
from artune.machine import choose_device
from artune.networks.johnson import Johnson, JohnsonConfig
from artune.networks.loaded import ENCODER, PainterNetwork, encoder_digest
from artune.networks.painter import Painter, PainterConfig
from artune.networks.stored import fill, to_store
from artune.spec.style import StyleSpec
from artune.spec.train_style import StyleTrainSpec
from artune.tensors import write_tensors

ENTRY = "artune-style"
"""Name of the file's metadata that say what it holds."""
NETWORK, PAINTING, THUMBNAIL = "network.", "painting.", "thumbnail"
"""Beginnings of the names of tensors: weights; paintings and thumbnail as the bytes of JPEG files."""
LONGEST_PAINTING = 1024
"""Longer side of a painting in the file, pixels; strokes of larger results are as fine as those at this size."""
THUMBNAIL_SIZE = 256
"""Longer side of the thumbnail, pixels."""
MOST_PAINTINGS = 64
"""Largest number of paintings in a file."""
JPEG_QUALITY = 95
"""Of the pictures in the file."""
NEEDED = "give a file that artune train has written"


class StyleInfo(BaseModel):
    """What a file says of a trained style.

    Attributes:
        shape: shape of the network, ``JohnsonConfig`` or ``PainterConfig``.
        spec: settings of the training; its ``base`` is the kind of network.
        steps: number of steps of the training.
        validation: loss of the validation at which the weights were kept; ``None`` without one.
        paintings: names of the paintings' files.
        photographs: number of photographs that were trained on, without broken ones.
        licences: terms of what made the style, by what it is.
        digests: sha256 of paintings, preview, photographs, and weights of the loss network.
        encoder: digest of the compact network that a painter sees with; empty for Johnson's.
        versions: of artune and the libraries that trained it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: dict[str, Any]
    spec: StyleTrainSpec
    steps: int
    validation: float | None = None
    paintings: tuple[str, ...]
    photographs: int
    licences: dict[str, str]
    digests: dict[str, str]
    encoder: str = ""
    versions: dict[str, str] = {}

    @property
    def base(self) -> Literal["johnson", "painter"]:
        """Kind of the network."""
        return self.spec.base


@dataclass(frozen=True, eq=False)
class StyleFile:
    """What a file holds.

    Attributes:
        info: what it says of the style.
        network: Johnson's network, or a painter, on the CPU.
        paintings: of a painter; none for Johnson's network, which needs none.
        thumbnail: a small picture that the style has made.
        digest: sha256 of the file.
    """

    info: StyleInfo
    network: Johnson | Painter
    paintings: tuple[Picture, ...]
    thumbnail: Picture
    digest: str


def write_style(
    path: Path,
    info: StyleInfo,
    network: Johnson | Painter,
    paintings: Sequence[Picture],
    thumbnail: Picture,
    *,
    replace: bool = True,
) -> None:
    """Write a trained style, with its weights in fp16, atomically.

    Args:
        path: the file, ``.safetensors``.
        info: what the file says.
        network: on any device.
        paintings: of a painter; at most ``LONGEST_PAINTING`` pixels are kept.
        thumbnail: a picture that the style has made.
        replace: whether a file that exists may be replaced.

    Raises:
        OutputError: no permission, no space; or, without ``replace``, there is a file.
    """
    tensors = {NETWORK + name: tensor for name, tensor in to_store(network, _without(network)).items()}
    tensors |= {f"{PAINTING}{place}": _as_jpeg(each, LONGEST_PAINTING) for place, each in enumerate(paintings)}
    tensors[THUMBNAIL] = _as_jpeg(thumbnail, THUMBNAIL_SIZE)
    text = info.model_dump_json()
    with atomic(path, replace=replace) as temporary:
        write_tensors(temporary, tensors, {ENTRY: text, "sha256": _digest(tensors, text)})


def holds_style(path: Path | str) -> bool:
    """Whether a weights file says that it holds a trained style.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    return ENTRY in read_metadata(expanded(path))


def read_style(path: Path | str) -> StyleFile:
    """The trained style of a file.

    Raises:
        WeightsError: the file is missing or damaged, or holds no trained style.
    """
    path = expanded(path)
    if path.is_file() and path.suffix != ".safetensors":
        raise WeightsError(f"{path} is no trained style, whose file ends in .safetensors; {NEEDED}")
    tensors = read_weights(path)
    about = read_metadata(path)
    if ENTRY not in about:
        raise WeightsError(f"{path} holds no trained style; {NEEDED}")
    if about.get("sha256") != _digest(tensors, about[ENTRY]):
        raise WeightsError(f"{path} is damaged: its sha256 is not what it says; {NEEDED}")
    try:
        info = StyleInfo.model_validate_json(about[ENTRY])
        network = _empty(info)
    except (ValidationError, ValueError) as error:
        raise WeightsError(
            f"{path} says nothing of its style that this version of artune understands "
            f"({str(error).splitlines()[0]}); {NEEDED}"
        ) from None
    if isinstance(network, Painter) and info.encoder != encoder_digest(network.encoder):
        raise WeightsError(
            f"the painter of {path} was trained with another compact network than the one installed; train it again"
        )
    pictures = {name: tensors[name] for name in tensors if name.startswith(PAINTING) or name == THUMBNAIL}
    weights = {name.removeprefix(NETWORK): tensors[name] for name in tensors.keys() - pictures.keys()}
    fill(network, weights, path, "a network of the shape that it names", NEEDED, _without(network))
    places = [f"{PAINTING}{place}" for place in range(len(pictures) - 1)]
    count_fits = len(places) == (len(info.paintings) if info.base == "painter" else 0) <= MOST_PAINTINGS
    if {*places, THUMBNAIL} != pictures.keys() or not count_fits:
        raise WeightsError(f"{path} does not hold the pictures of its style; {NEEDED}")
    try:
        *paintings, thumbnail = (_from_jpeg(pictures[name]) for name in (*places, THUMBNAIL))
    except PictureError as error:
        raise WeightsError(f"{path} is damaged: one of its pictures cannot be read ({error}); {NEEDED}") from None
    return StyleFile(info, network, tuple(paintings), thumbnail, file_digest(path))


def _empty(info: StyleInfo) -> Johnson | Painter:
    """The network of a file's shape, with weights of zero.

    Raises:
        ValidationError: the shape is none, or too large.
    """
    if info.base == "johnson":
        with Blank():
            return Johnson(TypeAdapter(JohnsonConfig).validate_python(info.shape))
    config = TypeAdapter(PainterConfig).validate_python(info.shape)
    encoder, _ = load_network("compact", dtype=torch.float32)
    assert isinstance(encoder, Compact)
    with Blank():
        return Painter(encoder, config)


def _without(network: Johnson | Painter) -> str:
    """Beginning of the names of weights that are not in the file: of the compact network that a painter sees with."""
    return ENCODER if isinstance(network, Painter) else ""


def _as_jpeg(picture: Picture, longest: int) -> Tensor:
    """The bytes of a picture as a JPEG file, reduced to a longer side."""
    data = encoded(Picture(picture.reduced(longest).filled()), ".jpg", JPEG_QUALITY)
    return torch.from_numpy(np.frombuffer(data, np.uint8).copy())


def _from_jpeg(data: Tensor) -> Picture:
    if data.dtype != torch.uint8 or data.dim() != 1:
        raise PictureError("it is no JPEG")
    picture = as_picture(data.numpy().tobytes())
    return Picture(picture.pixels)


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    """sha256 of what a file says and of all its tensors."""
    seen = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        seen.update(json.dumps([name, str(tensor.dtype), [*tensor.shape]]).encode())
        seen.update(tensor.numpy().tobytes())
    return seen.hexdigest()


@dataclass(frozen=True)
class StyleNetwork:
    """Johnson's network of a trained style, loaded once and used for many pictures.

    Attributes:
        network: the network itself, ready to run.
        digest: sha256 of its file.
        device: where it runs.
        name: for messages.
        precision: of its activations.
    """

    network: Johnson
    digest: str
    device: torch.device
    name: str = "trained style"
    precision: Literal["fp32"] = "fp32"

    def check(self, spec: StyleSpec) -> None:
        """Raise if a spec asks for another device or precision.

        Raises:
            SpecError: naming what differs.
        """
        check_runs(spec, self.precision, self.device, "the trained style")

    @classmethod
    def load(
        cls, spec: StyleSpec, weights: Path | str | None = None, on_bytes: OnBytes | None = None
    ) -> "StyleNetwork":
        """The network of a file on the device that a spec asks for.

        Args:
            spec: its device and precision count.
            weights: the file; there is no default.
            on_bytes: not called, as nothing is downloaded.

        Raises:
            SpecError: there is no file, or the precision is not fp32.
            WeightsError: the file holds no trained style, or a painter.
        """
        if weights is None:
            raise SpecError("the method trained needs a trained style; give its file as `weights`")
        found = read_style(weights)
        if isinstance(found.network, Painter):
            raise WeightsError(
                f"{weights} holds a painter and its paintings, whose method is instant; use artune apply, or "
                "artune.load_style"
            )
        return cls.of(found, spec)

    @classmethod
    def of(cls, file: StyleFile, spec: StyleSpec) -> "StyleNetwork":
        """The network of a file that was read, on the device that a spec asks for."""
        check_precision(spec)
        assert isinstance(file.network, Johnson)
        device = choose_device(spec.device)
        return cls(file.network.to(device), file.digest, device)


def painter_network(file: StyleFile, spec: StyleSpec) -> PainterNetwork:
    """The painter of a file that was read, on the device that a spec asks for."""
    check_precision(spec)
    assert isinstance(file.network, Painter)
    device = choose_device(spec.device)
    painter = file.network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return PainterNetwork(painter, file.digest, device)


def check_precision(spec: StyleSpec) -> None:
    """Raise if a spec asks for bf16.

    Raises:
        SpecError: it does.
    """
    if spec.precision == "bf16":
        raise SpecError("trained styles run in fp32 alone; leave out `precision`, or give fp32")
