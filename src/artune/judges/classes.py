"""Class judges: which of some painters, or of some animals, does a picture show?

A judge is a trunk (a backbone up to one tap) and a head: the mean over positions and a linear layer, or the Gram
classifier. It is made by ``artune judge train`` (:mod:`artune.judges.training`) and lives in one file.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from pydantic import TypeAdapter
from torch import Tensor, nn

from artune.assets import read_metadata, read_weights
from artune.backbones.base import Backbone, Image
from artune.backbones.registry import find_network
from artune.data.edges import edges
from artune.data.folders import Labelled, read_squares, square, to_image
from artune.errors import WeightsError
from artune.files import atomic, file_digest
from artune.losses.moments import gram, moments
from artune.spec.train import LARGEST, Edges, Kind
from artune.tensors import write_tensors

HIDDEN = 128
"""Width of the Gram classifier's hidden layer."""
AT_ONCE = 32
"""Pictures that are judged together."""


class Pooled(nn.Sequential):
    """Mean over positions, and a linear layer: the head of a ResNet."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


class GramHead(nn.Module):
    """The Gram matrix, two linear layers and a ReLU between them.

    Its entries differ by orders of magnitude, and are brought to mean 0 and deviation 1 over the pictures first.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        rows, columns = torch.triu_indices(channels, channels)
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("columns", columns, persistent=False)
        self.layers = nn.Sequential(
            nn.BatchNorm1d(len(rows), affine=False, eps=1e-12),
            nn.Linear(len(rows), HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, classes),
        )

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        found: Tensor = self.layers(gram(moments(features))[:, self.rows, self.columns])
        return found


class ClassNetwork(nn.Module):
    """A trunk, and a head that gives a logit for each class. The trunk's batch norm keeps its statistics in training.

    Args:
        trunk: a backbone, not smoothed.
        tap: where the head looks.
        kind: chooses the head.
        classes: their number.
    """

    def __init__(self, trunk: Backbone, tap: str, kind: Kind, classes: int) -> None:
        super().__init__()
        self.trunk, self.tap = trunk, tap
        channels = trunk.taps[tap].channels
        self.head = GramHead(channels, classes) if kind == "gram" else Pooled(channels, classes)

    def forward(self, image: Image) -> Float[Tensor, "b k"]:
        found: Tensor = self.head(self.trunk(image, (self.tap,))[self.tap].float())
        return found

    def train(self, mode: bool = True) -> "ClassNetwork":
        super().train(mode)
        self.trunk.eval()
        return self


@dataclass(frozen=True)
class About:
    """What a judge's file says of it.

    Attributes:
        kind: of judge.
        classes: names, in the order of the probabilities.
        network: name of the trunk.
        tap: where the head looks.
        size: side of the square that is judged, pixels.
        edges: what pictures are reduced to first.
        seed: of the training.
        trunk: sha256 of the weights that the training began with.
    """

    kind: Kind
    classes: tuple[str, ...]
    network: str
    tap: str
    size: int
    edges: Edges = "none"
    seed: int = 0
    trunk: str = ""

    @property
    def name(self) -> str:
        """Kind, and what it judges with, such as ``resnet18-layer3``."""
        trunk = "" if self.kind == self.network else f"-{self.network}"
        seen = {"none": "", "plain": "-edges", "denoised": "-denoised-edges"}[self.edges]
        return f"{self.kind}{trunk}-{self.tap}{seen}"


@dataclass(frozen=True, eq=False)
class ClassJudge:
    """A class judge, ready to use.

    Attributes:
        network: without gradients, in ``eval()``.
        about: what it is.
        digest: sha256 of its file; empty before it is written.
    """

    network: ClassNetwork
    about: About
    digest: str = ""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the order of the probabilities."""
        return self.about.classes

    @classmethod
    def load(cls, path: Path, device: torch.device | str = "cpu") -> "ClassJudge":
        """The judge of a file made by ``artune judge train``.

        Raises:
            WeightsError: missing, damaged or something else.
        """
        tensors = read_weights(path)
        try:
            about = _parsed(read_metadata(path)["class_judge"])
            trunk = find_network(about.network).build()
            parts: dict[str, dict[str, Tensor]] = {"trunk": {}, "head": {}}
            for key, tensor in tensors.items():
                part, _, name = key.partition(".")
                parts[part][name] = tensor
            trunk.load(parts["trunk"], str(path))
            trunk.check([about.tap])
            network = ClassNetwork(trunk, about.tap, about.kind, len(about.classes))
            network.head.load_state_dict(parts["head"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise WeightsError(f"{path} holds no class judge; give a file made by artune judge train") from error
        if not all(tensor.isfinite().all() for tensor in tensors.values()):
            raise WeightsError(f"{path} holds weights that are not finite; give another file")
        network.eval().requires_grad_(False)
        network.to(device).to(memory_format=torch.channels_last)
        return cls(network, about, file_digest(path))

    def save(self, path: Path, *, replace: bool = True) -> None:
        """Write the judge, as safetensors.

        Raises:
            OutputError: the place cannot be written.
        """
        tensors = {f"trunk.{key}": value for key, value in self.network.trunk.weights(self.about.tap).items()}
        tensors |= {f"head.{key}": value for key, value in self.network.head.state_dict().items()}
        text = json.dumps(asdict(self.about))
        _write(path, tensors, {"role": "judge", "class_judge": text}, replace=replace)

    def save_trunk(self, path: Path, *, replace: bool = True) -> None:
        """Write the trunk alone, as weights of a loss network (``artune style --network NAME --weights FILE``).

        Raises:
            OutputError: the place cannot be written.
        """
        tensors = self.network.trunk.weights(self.about.tap)
        about = {"role": "backbone", "network": self.about.network, "source": f"artune judge train, {self.about.name}"}
        _write(path, tensors, about, replace=replace)

    @torch.no_grad()
    def probabilities(self, images: Image) -> Float[Tensor, "b k"]:
        """Of each class, for pictures of any size.

        Looked at is the middle square, as in training, at the size and with the edges that the judge was trained with.
        """
        there = next(self.network.head.parameters()).device
        x = square(images.float(), self.about.size)
        if self.about.edges != "none":
            x = as_edges(x, self.about.edges)
        found: Tensor = self.network(x.to(there)).softmax(1)
        return found.to(images.device)

    def confusion(self, pictures: Sequence[Labelled]) -> NDArray[np.int64]:
        """How often a picture of each class (row) is taken for one of each class (column).

        Raises:
            PictureError: one cannot be read.
        """
        table = np.zeros((len(self.classes),) * 2, np.int64)
        for begin in range(0, len(pictures), AT_ONCE):
            some = pictures[begin : begin + AT_ONCE]
            images = to_image(read_squares([path for path, _ in some], self.about.size))
            labels = torch.tensor([label for _, label in some])
            table += confusion(labels, self.probabilities(images).argmax(1), len(self.classes))
        return table


def confusion(labels: Int[Tensor, "n"], found: Int[Tensor, "n"], classes: int) -> NDArray[np.int64]:
    """Counts of (label, found), ``[classes, classes]``."""
    table: NDArray[np.int64] = torch.bincount(labels * classes + found, minlength=classes**2).numpy()
    return table.reshape(classes, classes)


def as_edges(image: Image, kind: Edges) -> Image:
    """Pictures reduced to their edges, one by one."""
    rows = image.cpu().permute(0, 2, 3, 1).contiguous().numpy()
    lines = np.stack([edges(pixels, denoise=kind == "denoised") for pixels in rows])
    return torch.from_numpy(lines).permute(0, 3, 1, 2).contiguous()


def _parsed(text: str) -> About:
    data = json.loads(text)
    about = TypeAdapter(About).validate_python(data)  # whose errors are ValueErrors
    if not (data.keys() <= vars(about).keys() and 1 <= about.size <= LARGEST):
        raise ValueError(text)
    return about


def _write(path: Path, tensors: dict[str, Tensor], about: dict[str, str], *, replace: bool) -> None:
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic(path, replace=replace) as temporary:
        write_tensors(temporary, whole, about)
