"""Class judges: classifiers that say which of some painters, or of some animals, a picture shows.

A class judge is a trunk (a backbone up to one tap) and a head that classifies the trunk's features: by their mean over
positions, or by their Gram matrix. It is trained by ``artune.judges.training`` and kept in one file.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from pydantic import TypeAdapter
from torch import Tensor, nn

from artune.assets import read_metadata, read_weights
from artune.backbones.base import Backbone, Image
from artune.backbones.registry import find_network
from artune.blank import Blank
from artune.data.edges import edges
from artune.data.folders import Labelled, read_squares, square, to_image
from artune.errors import WeightsError
from artune.files import atomic, file_digest
from artune.judges.accuracy import Confusion, confusion
from artune.losses.moments import gram, moments
from artune.spec.train import LARGEST, Edges, Kind
from artune.tensors import write_tensors

HIDDEN = 128
"""Width of the Gram head's hidden layer."""
AT_ONCE = 32
"""Number of pictures that are judged together, which bounds the memory."""


class MeanHead(nn.Sequential):
    """Head of a ResNet: the mean over positions and a linear layer; ``[b, c, h, w]`` to logits ``[b, classes]``."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


class GramHead(nn.Module):
    """The Gram matrix and two linear layers with a ReLU between them; ``[b, c, h, w]`` to logits ``[b, classes]``.

    The entries of a Gram matrix differ by orders of magnitude, so each is first brought to mean 0 and deviation 1 over
    the pictures.
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
    """A trunk and a head: from pictures to a logit for each class.

    The head's weights are zeros until ``initialise`` draws some or others are loaded.

    The trunk's batch norm keeps its statistics in training.

    Args:
        trunk: a backbone without smoothed activations.
        tap: the layer whose features the head classifies.
        kind: chooses the head.
        classes: number of classes.
    """

    def __init__(self, trunk: Backbone, tap: str, kind: Kind, classes: int) -> None:
        super().__init__()
        self.trunk, self.tap = trunk, tap
        channels = trunk.taps[tap].channels
        with Blank():
            self.head = GramHead(channels, classes) if kind == "gram" else MeanHead(channels, classes)

    def initialise(self, seed: int) -> None:
        """Draw the head's weights from the distribution that PyTorch has for linear layers.

        Args:
            seed: of a generator of its own.
        """
        generator = torch.Generator().manual_seed(seed)
        for layer in self.head.modules():
            if isinstance(layer, nn.Linear):
                bound = 1 / layer.in_features**0.5
                nn.init.kaiming_uniform_(layer.weight, a=5**0.5, generator=generator)
                nn.init.uniform_(layer.bias, -bound, bound, generator)

    def forward(self, image: Image) -> Float[Tensor, "b k"]:
        found: Tensor = self.head(self.trunk(image, (self.tap,))[self.tap].float())
        return found

    def train(self, mode: bool = True) -> "ClassNetwork":
        super().train(mode)
        self.trunk.eval()
        return self


@dataclass(frozen=True)
class JudgeInfo:
    """What a class judge is; kept in its file.

    Attributes:
        kind: kind of judge.
        classes: names, in the order of the probabilities.
        network: name of the trunk.
        tap: the layer whose features the head classifies.
        size: side of the square that is judged, pixels.
        edges: what pictures are reduced to first.
        seed: seed of the training.
        trunk: sha256 of the weights with which the training began.
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
        """Kind, trunk, tap and edges in one word, such as ``resnet18-layer3``."""
        trunk = "" if self.kind == self.network else f"-{self.network}"
        seen = {"none": "", "plain": "-edges", "denoised": "-denoised-edges"}[self.edges]
        return f"{self.kind}{trunk}-{self.tap}{seen}"


@dataclass(frozen=True, eq=False)
class ClassJudge:
    """A class judge, ready to use.

    Attributes:
        network: trunk and head, without gradients, in ``eval()``.
        info: what it is.
        digest: sha256 of its file; empty for a judge that was not loaded from one.
    """

    network: ClassNetwork
    info: JudgeInfo
    digest: str = ""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the order of the probabilities."""
        return self.info.classes

    @classmethod
    def load(cls, path: Path, device: torch.device | str = "cpu") -> "ClassJudge":
        """Read a judge from its file.

        Raises:
            WeightsError: the file is missing, damaged, or holds something else.
        """
        tensors = read_weights(path)
        try:
            metadata = read_metadata(path)
            info = _parsed(metadata["class_judge"])
            trunk = find_network(info.network).build()
            parts: dict[str, dict[str, Tensor]] = {"trunk": {}, "head": {}}
            for key, tensor in tensors.items():
                part, _, name = key.partition(".")
                parts[part][name] = tensor
            trunk.load(parts["trunk"], str(path), metadata)
            trunk.check([info.tap])
            network = ClassNetwork(trunk, info.tap, info.kind, len(info.classes))
            network.head.load_state_dict(parts["head"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise WeightsError(f"{path} holds no class judge; give a file made by artune judge train") from error
        if not all(tensor.isfinite().all() for tensor in tensors.values()):
            raise WeightsError(f"{path} holds weights that are not finite; give another file")
        network.eval().requires_grad_(False)
        network.to(device).to(memory_format=torch.channels_last)
        return cls(network, info, file_digest(path))

    def save(self, path: Path, *, replace: bool = True) -> None:
        """Write the judge, as safetensors.

        Raises:
            OutputError: the place cannot be written.
        """
        tensors = {f"trunk.{key}": value for key, value in self.network.trunk.weights(self.info.tap).items()}
        tensors |= {f"head.{key}": value for key, value in self.network.head.state_dict().items()}
        about = {"role": "judge", "class_judge": json.dumps(asdict(self.info))}
        self._write(path, tensors, about, replace=replace)

    def save_trunk(self, path: Path, *, replace: bool = True) -> None:
        """Write the trunk alone, as weights of a loss network.

        Raises:
            OutputError: the place cannot be written.
        """
        tensors = self.network.trunk.weights(self.info.tap)
        about = {"role": "backbone", "network": self.info.network, "source": f"artune judge train, {self.info.name}"}
        self._write(path, tensors, about, replace=replace)

    def _write(self, path: Path, tensors: dict[str, Tensor], about: dict[str, str], *, replace: bool) -> None:
        """Write tensors, and what ``load`` of the trunk must know beside them."""
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        with atomic(path, replace=replace) as temporary:
            write_tensors(temporary, whole, {**self.network.trunk.metadata, **about})

    @torch.no_grad()
    def probabilities(self, images: Image) -> Float[Tensor, "b k"]:
        """Probability of each class, in the order of ``classes``.

        The judge sees the middle square of a picture, at the size and with the edges that it was trained with.

        Args:
            images: ``[b, 3, h, w]``, sRGB in [0, 1], of any size.
        """
        there = next(self.network.head.parameters()).device
        x = square(images.float(), self.info.size)
        if self.info.edges != "none":
            x = as_edges(x, self.info.edges)
        found: Tensor = self.network(x.to(there)).softmax(1)
        return found.to(images.device)

    def confusion(self, pictures: Sequence[Labelled]) -> Confusion:
        """Judge pictures, and count what each class is taken for.

        Raises:
            PictureError: one cannot be read.
        """
        answers = []
        for begin in range(0, len(pictures), AT_ONCE):
            paths = [path for path, _ in pictures[begin : begin + AT_ONCE]]
            images = to_image(read_squares(paths, self.info.size))
            answers.append(self.probabilities(images).argmax(1).numpy())
        labels = np.array([label for _, label in pictures], np.int64)
        return confusion(self.classes, labels, np.concatenate(answers))


def as_edges(image: Image, kind: Edges) -> Image:
    """Reduce each of some pictures to its edges."""
    rows = image.cpu().permute(0, 2, 3, 1).contiguous().numpy()
    lines = np.stack([edges(pixels, denoise=kind == "denoised") for pixels in rows])
    return torch.from_numpy(lines).permute(0, 3, 1, 2).contiguous()


def _parsed(text: str) -> JudgeInfo:
    data = json.loads(text)
    info = TypeAdapter(JudgeInfo).validate_python(data)  # raises ValueErrors
    if not (data.keys() <= vars(info).keys() and 1 <= info.size <= LARGEST):
        raise ValueError(text)
    return info
