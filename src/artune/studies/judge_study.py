"""Studies of judges: at each point a classifier of Gram matrices is trained, and tested on other pictures.

The trunk sees every picture once; the heads of all layers are trained on what is kept of it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from artune.backbones.base import Backbone
from artune.backbones.network import Network
from artune.backbones.registry import structure
from artune.data.folders import Folder, read_squares, to_image
from artune.errors import InputError, SpecError
from artune.files import file_digest, write
from artune.fitting import FitSettings, Fitting, cosine
from artune.judges.classes import HIDDEN
from artune.losses.moments import gram, moments
from artune.record import ALGORITHM
from artune.spec.study import Example, StudySpec
from artune.studies.entries import Measured
from artune.studies.measured import Tools
from artune.studies.points import Point, check_names, network_of, points_of
from artune.studies.run import loaded
from artune.studies.store import Store
from artune.studies.study import OnProgress, Study, StudyResult, check_given

MEASURE = "style_class"
EPOCHS, BATCH, RATE, PATIENCE = 20, 16, 1e-3, 6
"""Largest number of epochs, pictures in a step, rate of AdamW, and epochs without a better validation that end it."""
MEMORY = 2**30
"""Bytes that the Gram matrices of several layers may take together."""
AT_ONCE = 8
"""Number of pictures that the trunk sees at once."""
POINTS, FINISHED = "points", "judges.json"
"""Folder with a file for each point that is finished; and the names of those of the study, once all are."""


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
    spec: StudySpec, store: Store, per_class: int | None = None, on_progress: OnProgress | None = None
) -> StudyResult:
    """Train and test a judge at each point that is not finished in a store's folder, and return everything.

    Args:
        spec: a study of judges; its paintings are a folder with ``train``, ``val`` and ``test``.
        store: keeps the share of the pictures that each judge recognises; its folder the answers.
        per_class: largest number of training pictures of each class.
        on_progress: called with the number of points that are done, and of all.

    Raises:
        InputError: pictures or classes are missing, or a name is unknown.
        WeightsError: the weights of a network are missing.
    """
    points, data = prepared_judges(spec, per_class)
    folder = store.folder
    digests = {path: file_digest(path) for split in data.splits.values() for path, _ in split}
    files = {point: folder / POINTS / f"{_key(point, data, digests)}.json" for point in points}
    pending = [point for point, file in files.items() if _answers(file) is None]
    done = len(files) - len(pending)
    if on_progress:
        on_progress(done, len(files))
    labels = {split: torch.tensor([label for _, label in pictures]) for split, pictures in data.splits.items()}
    tested = [[path.name, data.classes[label]] for path, label in data.splits["test"]]
    for same in _groups(pending, len(digests)):
        grams = grams_of(same, data)
        for point in same:
            hits = trained_hits(grams[point.tap], labels, len(data.classes), point.standardised)
            store.add_values(files[point].stem, {MEASURE: Measured(sum(hits) / len(hits))})
            write(files[point], json.dumps({"labels": dict(point.labels), "hits": hits, "tested": tested}).encode())
            done += 1
            if on_progress:
                on_progress(done, len(files))
    write(folder / FINISHED, json.dumps([file.name for file in files.values()]).encode())
    return judged(spec, folder)


def judged(spec: StudySpec, folder: Path) -> StudyResult:
    """What a folder holds of a study of judges.

    Raises:
        InputError: it holds none that is finished.
    """
    points = points_of(spec, files=False)
    try:
        found = [_answers(folder / POINTS / name) for name in json.loads((folder / FINISHED).read_bytes())]
    except (OSError, ValueError):
        found = []
    answers = [each for each in found if each is not None]
    if len(answers) != len(points):
        raise InputError(f"the judges in {folder} are not finished; run the study again")
    tested = tuple(Example(file=Path(name), label=label) for name, label in answers[0]["tested"])
    values = np.array([each["hits"] for each in answers], np.float64)[:, :, None]
    return StudyResult(Study(spec, tuple(points), (), Tools(), tested), {MEASURE: values})


def prepared_judges(spec: StudySpec, per_class: int | None = None) -> tuple[list[Point], Folder]:
    """The points of a study of judges, and its pictures.

    Raises:
        InputError: they cannot be used.
    """
    if spec.styles.classes is None:
        raise SpecError("a study of judges needs `styles`, a folder with train, val and test, and classes in each")
    if [*spec.measures] != [MEASURE]:
        raise SpecError(f"a study of judges measures {MEASURE} alone")
    points = points_of(spec)
    check_names(spec, points)
    check_given(points)
    data = Folder.read(spec.styles.classes)
    if len(data.classes) < 2:
        raise InputError(f"{data.root} has one class; a judge needs two to tell apart")
    return points, data if per_class is None else data.subset("train", per_class, spec.styles.seed)


def _key(point: Point, data: Folder, digests: Mapping[Path, str]) -> str:
    """A name for the answers of a point's judge, by everything that they follow from."""
    weights = file_digest(Path(point.weights)) if Path(point.weights).is_file() else point.weights
    pictures = [[split, digests[path], label] for split, those in data.splits.items() for path, label in those]
    head = [EPOCHS, BATCH, RATE, PATIENCE, HIDDEN, ALGORITHM]
    parts = [point.spec.model_dump(mode="json"), point.tap, point.standardised, weights, pictures, head]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _answers(file: Path) -> dict[str, Any] | None:
    """The answers that are kept in a file."""
    try:
        found: dict[str, Any] = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return found


def _groups(points: Sequence[Point], pictures: int) -> list[list[Point]]:
    """Points of one network, whose layers are looked at together as long as their Gram matrices fit into ``MEMORY``."""
    groups: list[list[Point]] = []
    taken = 0
    for point in points:
        same = bool(groups) and _network(groups[-1][0]) == _network(point)
        size = 0
        if not same or point.tap not in {each.tap for each in groups[-1]}:
            channels = structure(network_of(point.spec)).taps[point.tap].channels
            size = pictures * channels * (channels + 1) // 2 * 4
        if not same or taken + size > MEMORY:
            groups.append([])
            taken = 0
        groups[-1].append(point)
        taken += size
    return groups


def _network(point: Point) -> tuple[str, str]:
    return point.spec.model_dump_json(), point.weights


def grams_of(points: Sequence[Point], data: Folder) -> dict[str, Grams]:
    """The Gram matrices of all pictures at the layers of some points, which share a network; by layer."""
    network: Network = loaded(points[0].spec, points[0].weights)
    taps = {point.tap: network.backbone.tap(point.tap) for point in points}
    size = points[0].spec.size
    assert isinstance(size, int)
    found = {
        split: _seen(network.backbone, taps, read_squares([path for path, _ in pictures], size))
        for split, pictures in data.splits.items()
    }
    return {tap: Grams(found["train"][tap], found["val"][tap], found["test"][tap]) for tap in taps}


@torch.inference_mode()
def _seen(backbone: Backbone, taps: Mapping[str, str], squares: Tensor) -> dict[str, Tensor]:
    """The upper triangles of the Gram matrices at some layers, by the names that were asked for."""
    parts: dict[str, list[Tensor]] = {tap: [] for tap in taps}
    for some in torch.split(squares, AT_ONCE):
        features = backbone(to_image(some), tuple(taps.values()))
        for asked, tap in taps.items():
            rows, columns = torch.triu_indices(backbone.taps[tap].channels, backbone.taps[tap].channels)
            parts[asked].append(gram(moments(features[tap].float()))[:, rows, columns])
    return {tap: torch.cat(each) for tap, each in parts.items()}


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
