"""How a class judge is trained: on which pictures, which of its parameters, and at which rate."""

import hashlib
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from artune.backbones.base import Backbone
from artune.data.augment import LADDER, extra
from artune.data.folders import Folder, Labelled, class_folder, read_squares, to_bytes, to_image
from artune.errors import InputError, SpecError, UnknownNameError
from artune.fitting import FitSettings, FitStep, Fitting, cosine
from artune.judges.accuracy import Confusion, confusion
from artune.judges.classes import AT_ONCE, ClassJudge, ClassNetwork, JudgeInfo, as_edges
from artune.spec.train import Edges, Kind, TrainSpec

GRAM_TAP = "relu3_1"
"""Default tap of a Gram classifier, in networks that have it."""
TRUNK_RATE = 0.1
"""Rate of the trunk over that of the head; small, because the trunk has been trained on a million pictures already."""
DECAY = 1e-2
"""Weight decay of AdamW (Loshchilov and Hutter 2019)."""


class Pictures(NamedTuple):
    """Square pictures and the places of their classes."""

    images: UInt8[Tensor, "n 3 s s"]
    labels: Int[Tensor, "n"]


class ClassTraining:
    """The training of a class judge.

    Args:
        folder: pictures with the splits ``train`` and ``val``.
        spec: what is trained, and how.
        trunk: the backbone, with weights.
        digest: sha256 of these weights.
        styled: folder with a folder of styled pictures for each class, which are trained on as well.

    Raises:
        InputError: a class or its pictures are missing, or a picture cannot be read.
        UnknownNameError: there is no such tap, module or class.
        SpecError: the size is too small for the trunk.
    """

    def __init__(
        self, folder: Folder, spec: TrainSpec, trunk: Backbone, digest: str, styled: Path | None = None
    ) -> None:
        if spec.size < trunk.smallest:
            raise SpecError(f"`size` {spec.size}: {trunk.name} needs pictures of at least {trunk.smallest} pixels")
        tap = trunk.tap(spec.tap) if spec.tap else default_tap(spec.kind, trunk)
        if tap not in trunk.taps:  # the image itself
            raise UnknownNameError("layer", tap, trunk.taps, where=f"network {trunk.name}")
        trunk.check([tap])
        self.train, self.val, classes = gather(folder, spec, styled)
        self.info = JudgeInfo(spec.kind, classes, spec.trunk, tap, spec.size, spec.edges, spec.seed, digest)
        self.network = ClassNetwork(trunk, tap, spec.kind, len(classes))
        self.network.initialise(spec.seed)
        self.device = next(trunk.parameters()).device
        self.network.to(self.device)
        self.class_weights, self.val_class_weights = (
            class_weights(part.labels, len(classes)).to(self.device) for part in (self.train, self.val)
        )
        trained = trainable(trunk, tap, spec.train_from or default_part(spec.kind, tap))
        groups = [{"params": list(self.network.head.parameters()), "lr": spec.rate}]
        if trained:
            groups.append({"params": trained, "lr": TRUNK_RATE * spec.rate})
        self.epoch = ceil(len(self.train.labels) / spec.batch)
        self.spec = spec
        self.fitting = Fitting(
            self.network,
            torch.optim.AdamW(groups, weight_decay=DECAY),
            FitSettings(spec.epochs * self.epoch, spec.seed, self.epoch, spec.patience),
            batch=self.batch,
            loss=lambda batch: {"loss": self.loss(*batch)},
            validate=self.validate,
            rate=cosine,
        )
        seen = hashlib.sha256()
        for pictures in (self.train, self.val):
            seen.update(pictures.images.numpy().data)
            seen.update(pictures.labels.numpy().data)
        self.run_of = {**spec.model_dump(), "trunk": digest, "pictures": seen.hexdigest()[:16]}

    def run(self) -> Iterator[FitStep]:
        """Train to the end, step by step; the caller shows progress, writes checkpoints, or stops."""
        return self.fitting.run()

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        self.fitting.save(path, self.run_of)

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint of the same training.

        Raises:
            CheckpointError: it is damaged, or belongs to another training.
        """
        self.fitting.resume(path, self.run_of)

    def judge(self) -> ClassJudge:
        """The judge as it was at its best validation."""
        self.network.load_state_dict(self.fitting.best, strict=False)
        return ClassJudge(self.network.eval().requires_grad_(False), self.info)

    def confusion(self) -> Confusion:
        """What the validation pictures of each class are taken for."""
        with torch.no_grad():
            answers = torch.cat([self.network(image).argmax(1).cpu() for image, _ in self._validated()])
        return confusion(self.info.classes, self.val.labels.numpy(), answers.numpy())

    def batch(self, seed: int, step: int) -> tuple[Float[Tensor, "b 3 s s"], Int[Tensor, "b"]]:
        """Pictures and labels of a step: every epoch takes all pictures once, in an order drawn anew."""
        count, size = len(self.train.labels), self.spec.batch
        epochs = range(step * size // count, ((step + 1) * size - 1) // count + 1)
        orders = np.concatenate([np.random.default_rng((seed, 0, epoch)).permutation(count) for epoch in epochs])
        chosen = torch.from_numpy(orders[step * size - epochs.start * count :][:size])
        images = to_image(self.train.images[chosen])
        if self.spec.mirror:
            flipped = torch.from_numpy(np.random.default_rng((seed, 1, step)).random(size) < 0.5)
            images[flipped] = images[flipped].flip(3)
        return images.to(self.device), self.train.labels[chosen].to(self.device)

    def loss(self, image: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy, in which every class has the same weight however many pictures it has."""
        return F.cross_entropy(self.network(image), labels, weight=self.class_weights)

    def validate(self) -> float:
        """Cross entropy of the validation pictures, in which every class has the same weight, too."""
        losses = [
            F.cross_entropy(self.network(image), labels, weight=self.val_class_weights, reduction="sum").item()
            for image, labels in self._validated()
        ]
        return sum(losses) / len(self.val.labels)

    def _validated(self) -> Iterator[tuple[Tensor, Tensor]]:
        for some in _parts(self.val.images):
            yield to_image(self.val.images[some]).to(self.device), self.val.labels[some].to(self.device)


def class_weights(labels: Int[Tensor, "n"], classes: int) -> Float[Tensor, "classes"]:
    """Weight of each class, inverse to its number of pictures; the weights of all labels sum to their number."""
    counts = torch.bincount(labels, minlength=classes)
    return counts.sum() / (classes * counts)


def default_part(kind: Kind, tap: str) -> str:
    """Default of ``train_from``: for resnet18 the stage in which the tap is."""
    stage = tap.partition(".")[0]
    return {"gram": "head", "binary": "all", "resnet18": stage if stage.startswith("layer") else "all"}[kind]


def default_tap(kind: Kind, trunk: Backbone) -> str:
    """Default of ``tap``: for gram ``relu3_1`` where there is one, else the deepest that the weights reach."""
    within = [tap for tap, info in trunk.taps.items() if info.reachable]
    return GRAM_TAP if kind == "gram" and GRAM_TAP in within else within[-1]


def trainable(trunk: Backbone, tap: str, begin: str) -> list[nn.Parameter]:
    """Let the trunk's parameters from a module on require gradients, and return them; not those of batch norm.

    Args:
        trunk: the backbone.
        tap: the last layer that is used.
        begin: ``head`` for none, ``all``, or the name of the first module that is trained.

    Raises:
        UnknownNameError: there is no such module before the tap.
    """
    if begin == "head":
        return []
    weights = trunk.weights(tap)
    names = list(dict.fromkeys(part for key in weights for part in _modules(key)))
    if begin != "all" and begin not in names:
        raise UnknownNameError("module", begin, ["head", "all", *names], where=f"{trunk.name} up to {tap}")
    keys = list(weights)
    first = 0 if begin == "all" else next(i for i, key in enumerate(keys) if begin in _modules(key))
    norms = {id(p) for m in trunk.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) for p in m.parameters()}
    chosen = [weights[key] for key in keys[first:]]
    trained = [value for value in chosen if isinstance(value, nn.Parameter) and id(value) not in norms]
    for parameter in trained:
        parameter.requires_grad_(True)
    return trained


def _modules(key: str) -> list[str]:
    """Names of all modules that hold a weight: layer3, layer3.0, layer3.0.conv1 for layer3.0.conv1.weight."""
    parts = key.split(".")[:-1]
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]


def gather(folder: Folder, spec: TrainSpec, styled: Path | None) -> tuple[Pictures, Pictures, tuple[str, ...]]:
    """Read what a judge is trained on.

    Returns:
        Training pictures, validation pictures, names of the classes.

    Raises:
        InputError: a class or its pictures are missing, or a picture cannot be read.
    """
    names = folder.classes
    if spec.positive is not None:
        folder = folder.against(spec.positive)
    if len(folder.classes) < 2:
        raise InputError(f"{folder.root} has one class, {names[0]}; a judge needs two to tell apart")
    for split in ("train", "val"):
        there = {label for _, label in folder.splits[split]}
        if missing := [name for place, name in enumerate(folder.classes) if place not in there]:
            raise InputError(
                f"{folder.root / split} has no picture of {missing[0]}; a judge needs some of each class, to train "
                "and to validate with"
            )
    if spec.per_class is not None:
        folder = folder.subset("train", spec.per_class, spec.seed)
    labelled = list(folder.splits["train"])
    if styled is not None:
        one = {name: folder.classes.index(name) if name in folder.classes else 1 for name in names}
        labelled += [(path, one[name]) for name, files in class_folder(styled, names).items() for path in files]
    train, val = (_squares(pictures, spec.size) for pictures in (labelled, folder.splits["val"]))
    train = with_extra(train, spec.augment, spec.seed)
    return _reduced(train, spec.edges), _reduced(val, spec.edges), folder.classes


def _squares(pictures: Sequence[Labelled], size: int) -> Pictures:
    return Pictures(read_squares([path for path, _ in pictures], size), torch.tensor([label for _, label in pictures]))


def with_extra(pictures: Pictures, count: int, seed: int) -> Pictures:
    """The pictures, and after them ``count`` more that ``artune.data.augment.LADDER`` makes of them."""
    images, labels = [pictures.images], [pictures.labels]
    for number in range(count):
        source, name, rng = extra(number, len(pictures.labels), seed)
        changed = LADDER[name](to_image(pictures.images[source : source + 1]), rng)
        images.append(to_bytes(changed))
        labels.append(pictures.labels[source : source + 1])
    return Pictures(torch.cat(images), torch.cat(labels))


def _reduced(pictures: Pictures, kind: Edges) -> Pictures:
    """The pictures, reduced to their edges where that is asked for."""
    if kind == "none":
        return pictures
    reduced = [to_bytes(as_edges(to_image(pictures.images[some]), kind)) for some in _parts(pictures.images)]
    return pictures._replace(images=torch.cat(reduced))


def _parts(images: Tensor) -> list[slice]:
    """Slices of ``AT_ONCE`` pictures: as floats, all of them at once would take four times their memory."""
    return [slice(begin, begin + AT_ONCE) for begin in range(0, len(images), AT_ONCE)]
