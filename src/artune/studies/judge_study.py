"""Studies of judges: at each point a classifier of Gram matrices is trained, and tested on other pictures.

The trunk sees every picture once; the heads of all layers are trained on what is kept of it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from artune.backbones.base import Backbone
from artune.backbones.network import Network
from artune.data.folders import Folder, read_squares, to_image
from artune.errors import InputError, SpecError
from artune.files import file_digest, write
from artune.fitting import FitSettings, Fitting, cosine
from artune.judges.classes import HIDDEN
from artune.losses.moments import gram, moments
from artune.spec.study import Example, StudySpec
from artune.studies.measured import Tools
from artune.studies.points import Point, points_of
from artune.studies.run import loaded
from artune.studies.study import Study, StudyResult

MEASURE = "style_class"
EPOCHS, BATCH, RATE, PATIENCE = 20, 16, 1e-3, 6
"""Largest number of epochs, pictures in a step, rate of AdamW, and epochs without a better validation that end it."""
AT_ONCE = 8
"""Number of pictures that the trunk sees at once."""
POINTS = "points"
"""Folder with a file for each point that is finished."""

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Grams:
    """Gram matrices of pictures at one layer.

    Attributes:
        train: their upper triangles, by picture.
        val: likewise.
        test: likewise.
    """

    train: Float[Tensor, "train d"]
    val: Float[Tensor, "val d"]
    test: Float[Tensor, "test d"]


def run_judges(
    spec: StudySpec, folder: Path, limit: int | None = None, on_progress: OnProgress | None = None
) -> StudyResult:
    """Train and test a judge at each point that is not finished in a folder, and return everything.

    Args:
        spec: a study of judges; its paintings are a folder with ``train``, ``val`` and ``test``.
        folder: of the study.
        limit: largest number of training pictures of each class.
        on_progress: called with the number of points that are done, and of all.

    Raises:
        InputError: pictures or classes are missing, or a name is unknown.
        WeightsError: the weights of a network are missing.
    """
    if spec.styles.classes is None:
        raise SpecError("a study of judges needs `styles`, a folder with train, val and test, and classes in each")
    if [*spec.measures] != [MEASURE]:
        raise SpecError(f"a study of judges measures {MEASURE} alone")
    points = points_of(spec)
    if wanted := [point.wanted for point in points if point.wanted]:
        raise SpecError(f"the study needs the weights {wanted[0]!r}: give `weights` {wanted[0]}=FILE")
    data = Folder.read(spec.styles.classes)
    if limit is not None:
        data = data.subset("train", limit, spec.styles.seed)
    if len(data.classes) < 2:
        raise InputError(f"{data.root} has one class; a judge needs two to tell apart")
    files = {point_file(folder, point, data): point for point in points}
    pending = {file: point for file, point in files.items() if _hits(file) is None}
    done = len(files) - len(pending)
    if on_progress:
        on_progress(done, len(files))
    groups: dict[str, dict[Path, Point]] = {}
    for file, point in pending.items():
        groups.setdefault(f"{point.spec.model_dump_json()} {point.weights} {point.tap}", {})[file] = point
    labels = {split: torch.tensor([label for _, label in pictures]) for split, pictures in data.splits.items()}
    for same in groups.values():
        grams = grams_of(next(iter(same.values())), data)
        for file, point in same.items():
            hits = trained_hits(grams, labels, len(data.classes), point.standardised)
            write(file, json.dumps({"hits": hits, "labels": dict(point.labels)}).encode())
            done += 1
            if on_progress:
                on_progress(done, len(files))
    tested = tuple(Example(file=path, label=data.classes[label]) for path, label in data.splits["test"])
    values = np.array([_hits(file) for file in files], np.float64)[:, :, None]
    study = Study(spec, tuple(points), (), Tools(), tested)
    return StudyResult(study, {MEASURE: values}, {}, {}, ())


def point_file(folder: Path, point: Point, data: Folder) -> Path:
    """Where the answers of a point's judge are kept: named by everything that they follow from."""
    import hashlib

    weights = file_digest(Path(point.weights)) if Path(point.weights).is_file() else point.weights
    pictures = [str(path) for split in data.splits.values() for path, _ in split]
    parts = [point.spec.model_dump(mode="json"), point.tap, point.standardised, weights, pictures, EPOCHS, BATCH, RATE]
    return folder / POINTS / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]}.json"


def _hits(file: Path) -> list[float] | None:
    """The answers that are kept in a file."""
    try:
        found = json.loads(file.read_bytes())["hits"]
    except (OSError, ValueError, KeyError):
        return None
    return [float(hit) for hit in found]


def grams_of(point: Point, data: Folder) -> Grams:
    """The Gram matrices of all pictures at the layer of a point."""
    network: Network = loaded(point.spec, point.weights)
    tap = network.backbone.tap(point.tap)
    size = point.spec.size
    assert isinstance(size, int)
    found = {
        split: _seen(network.backbone, tap, read_squares([path for path, _ in pictures], size))
        for split, pictures in data.splits.items()
    }
    return Grams(found["train"], found["val"], found["test"])


@torch.inference_mode()
def _seen(backbone: Backbone, tap: str, squares: Tensor) -> Float[Tensor, "n d"]:
    rows, columns = torch.triu_indices(backbone.taps[tap].channels, backbone.taps[tap].channels)
    parts = []
    for some in torch.split(squares, AT_ONCE):
        features = backbone(to_image(some), (tap,))[tap].float()
        parts.append(gram(moments(features))[:, rows, columns])
    return torch.cat(parts)


def trained_hits(grams: Grams, labels: Mapping[str, Int[Tensor, "n"]], classes: int, standardised: bool) -> list[float]:
    """Train a head, and test it.

    Args:
        grams: of all pictures.
        labels: places of their classes, by split.
        classes: number of classes.
        standardised: whether each entry is brought to mean 0 and deviation 1 over the training pictures; else all are
            divided by the largest of the first picture, so that they are of a size that can be computed with.

    Returns:
        For each test picture 1 if its class is recognised, else 0.
    """
    if standardised:
        mean, deviation = grams.train.mean(0), grams.train.std(0).clamp_min(1e-12)
    else:
        mean, deviation = torch.zeros(()), grams.train[0].abs().max().clamp_min(1e-12)
    train, val, test = (((part - mean) / deviation).clone() for part in (grams.train, grams.val, grams.test))
    generator = torch.Generator().manual_seed(0)
    head = nn.Sequential(nn.Linear(train.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes))
    for layer in head:
        if isinstance(layer, nn.Linear):
            bound = 1 / layer.in_features**0.5
            nn.init.uniform_(layer.weight, -bound, bound, generator)
            nn.init.uniform_(layer.bias, -bound, bound, generator)
    epoch = -(-len(train) // BATCH)

    def batch(seed: int, step: int) -> Tensor:
        order = np.random.default_rng((seed, step // epoch)).permutation(len(train))
        return torch.from_numpy(order[step % epoch * BATCH :][:BATCH])

    def loss(chosen: Tensor) -> dict[str, Tensor]:
        return {"loss": F.cross_entropy(head(train[chosen]), labels["train"][chosen])}

    fitting = Fitting(
        head,
        torch.optim.AdamW(head.parameters(), RATE, weight_decay=1e-2),
        FitSettings(EPOCHS * epoch, 0, epoch, PATIENCE),
        batch=batch,
        loss=loss,
        validate=partial(_validated, head, val, labels["val"]),
        rate=cosine,
    )
    for _ in fitting.run():
        pass
    head.load_state_dict(fitting.best)
    with torch.no_grad():
        answers = head(test).argmax(1)
    return [float(hit) for hit in answers == labels["test"]]


def _validated(head: nn.Module, val: Tensor, labels: Tensor) -> float:
    return F.cross_entropy(head(val), labels).item()
