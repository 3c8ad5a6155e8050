"""How a class judge is trained: pictures, what is made of them, which part learns, and at which rate."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
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
from artune.fitting import Fitting, Plan, Progress, cosine
from artune.judges.classes import AT_ONCE, About, ClassJudge, ClassNetwork, as_edges, confusion
from artune.spec.train import Edges, Kind, Options

GRAM_TAP = "relu3_1"
"""Where the Gram classifier looks, in networks that have it."""
TRUNK_RATE = 0.1
"""Of the head's rate: what was learned from a million pictures is changed with care."""
DECAY = 1e-2
"""Weight decay (Loshchilov and Hutter 2019)."""


class Pictures(NamedTuple):
    """Squares with their labels."""

    images: UInt8[Tensor, "n 3 s s"]
    labels: Int[Tensor, "n"]


class ClassTraining:
    """A training of a class judge, begun or to be resumed.

    Args:
        folder: with the splits ``train`` and ``val``.
        options: what and how.
        trunk: the backbone, with weights.
        digest: of its weights.
        styled: a folder of a folder of styled pictures for each class, which are trained with as well.

    Raises:
        InputError: of the folders, or their pictures.
        UnknownNameError: no such tap, module or class.
        SpecError: the size is too small for the trunk.
    """

    def __init__(
        self, folder: Folder, options: Options, trunk: Backbone, digest: str, styled: Path | None = None
    ) -> None:
        if options.size < trunk.smallest:
            raise SpecError(f"size {options.size}: {trunk.name} needs pictures of at least {trunk.smallest} pixels")
        tap = trunk.tap(options.tap) if options.tap else default_tap(options.kind, trunk)
        if tap not in trunk.taps:  # the image itself
            raise UnknownNameError("layer", tap, trunk.taps, where=f"network {trunk.name}")
        trunk.check([tap])
        self.train, self.val, classes = gather(folder, options, styled)
        self.about = About(options.kind, classes, options.trunk, tap, options.size, options.edges, options.seed, digest)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            self.network = ClassNetwork(trunk, tap, options.kind, len(classes))
        self.device = next(trunk.parameters()).device
        self.network.to(self.device)
        self.balance, self.weighing = (
            balanced(part.labels, len(classes)).to(self.device) for part in (self.train, self.val)
        )
        trained = trainable(trunk, tap, options.train_from or default_part(options.kind, tap))
        groups = [{"params": list(self.network.head.parameters()), "lr": options.rate}]
        if trained:
            groups.append({"params": trained, "lr": TRUNK_RATE * options.rate})
        self.epoch = ceil(len(self.train.labels) / options.batch)
        self.options = options
        self.fitting = Fitting(
            self.network,
            torch.optim.AdamW(groups, weight_decay=DECAY),
            Plan(options.epochs * self.epoch, options.seed, self.epoch, options.patience),
            batch=self.batch,
            loss=lambda batch: {"loss": self.loss(*batch)},
            validate=self.validate,
            rate=cosine,
        )
        seen = hashlib.sha256()
        for pictures in (self.train, self.val):
            seen.update(pictures.images.numpy().data)
            seen.update(pictures.labels.numpy().data)
        self.run_of = {**asdict(options), "trunk": digest, "pictures": seen.hexdigest()[:16]}

    def run(self) -> Iterator[Progress]:
        """Train; what happens between two steps is up to the caller."""
        return self.fitting.run()

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        self.fitting.save(path, self.run_of)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint of the same training.

        Raises:
            CheckpointError: it is of another one, or damaged.
        """
        self.fitting.resume(path, self.run_of)

    def judge(self) -> ClassJudge:
        """The judge at its best validation."""
        self.network.load_state_dict(self.fitting.best, strict=False)
        return ClassJudge(self.network.eval().requires_grad_(False), self.about)

    def confusion(self) -> np.ndarray:
        """The judge's table of the validation pictures (:func:`artune.judges.classes.confusion`)."""
        with torch.no_grad():
            found = torch.cat([self.network(image).argmax(1).cpu() for image, _ in self._validated()])
        return confusion(self.val.labels, found, len(self.about.classes))

    def batch(self, seed: int, step: int) -> tuple[Float[Tensor, "b 3 s s"], Int[Tensor, "b"]]:
        """The next pictures of an endless row of shuffled epochs."""
        count, size = len(self.train.labels), self.options.batch
        epochs = range(step * size // count, ((step + 1) * size - 1) // count + 1)
        orders = np.concatenate([np.random.default_rng((seed, 0, epoch)).permutation(count) for epoch in epochs])
        chosen = torch.from_numpy(orders[step * size - epochs.start * count :][:size])
        images = to_image(self.train.images[chosen])
        if self.options.mirror:
            flipped = torch.from_numpy(np.random.default_rng((seed, 1, step)).random(size) < 0.5)
            images[flipped] = images[flipped].flip(3)
        return images.to(self.device), self.train.labels[chosen].to(self.device)

    def loss(self, image: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy, in which every class counts the same however many pictures it has."""
        return F.cross_entropy(self.network(image), labels, weight=self.balance)

    def validate(self) -> float:
        """The loss of the validation pictures, in which every class counts the same too."""
        losses = [
            F.cross_entropy(self.network(image), labels, weight=self.weighing, reduction="sum").item()
            for image, labels in self._validated()
        ]
        return sum(losses) / len(self.val.labels)

    def _validated(self) -> Iterator[tuple[Tensor, Tensor]]:
        for some in _parts(self.val.images):
            yield to_image(self.val.images[some]).to(self.device), self.val.labels[some].to(self.device)


def balanced(labels: Int[Tensor, "n"], classes: int) -> Float[Tensor, "classes"]:
    """Weights of the classes, with which each counts the same; of all labels they sum to their number."""
    counts = torch.bincount(labels, minlength=classes)
    return counts.sum() / (classes * counts)


def default_part(kind: Kind, tap: str) -> str:
    """The part of the trunk that is trained, where none is asked for; of ResNet-18 the stage in which the tap is."""
    stage = tap.partition(".")[0]
    return {"gram": "head", "binary": "all", "resnet18": stage if stage.startswith("layer") else "all"}[kind]


def default_tap(kind: Kind, trunk: Backbone) -> str:
    """Where the head looks: for ``gram`` ``relu3_1`` where there is one, else the deepest tap within reach."""
    within = [tap for tap, info in trunk.taps.items() if info.reachable]
    return GRAM_TAP if kind == "gram" and GRAM_TAP in within else within[-1]


def trainable(trunk: Backbone, tap: str, begin: str) -> list[nn.Parameter]:
    """Parameters of the trunk from a module on, which then require gradients; batch norm stays as it is.

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
    """``layer3``, ``layer3.0``, ``layer3.0.conv1`` of ``layer3.0.conv1.weight``."""
    parts = key.split(".")[:-1]
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]


def gather(folder: Folder, options: Options, styled: Path | None) -> tuple[Pictures, Pictures, tuple[str, ...]]:
    """Pictures to train and to validate with, and the names of the classes.

    Raises:
        InputError: of the folders, or their pictures.
    """
    names = folder.classes
    if options.positive is not None:
        folder = folder.against(options.positive)
    if len(folder.classes) < 2:
        raise InputError(f"{folder.root} has one class, {names[0]}; a judge needs two to tell apart")
    for split in ("train", "val"):
        there = {label for _, label in folder.splits[split]}
        if missing := [name for place, name in enumerate(folder.classes) if place not in there]:
            raise InputError(
                f"{folder.root / split} has no picture of {missing[0]}; a judge needs some of each class, to train "
                "and to validate with"
            )
    if options.per_class is not None:
        folder = folder.subset("train", options.per_class, options.seed)
    labelled = list(folder.splits["train"])
    if styled is not None:
        one = {name: folder.classes.index(name) if name in folder.classes else 1 for name in names}
        labelled += [(path, one[name]) for name, files in class_folder(styled, names).items() for path in files]
    train, val = (_squares(pictures, options.size) for pictures in (labelled, folder.splits["val"]))
    train = with_extra(train, options.augment, options.seed)
    return _reduced(train, options.edges), _reduced(val, options.edges), folder.classes


def _squares(pictures: Sequence[Labelled], size: int) -> Pictures:
    return Pictures(read_squares([path for path, _ in pictures], size), torch.tensor([label for _, label in pictures]))


def with_extra(pictures: Pictures, count: int, seed: int) -> Pictures:
    """The pictures and, after them, so many that are made of them by :data:`artune.data.augment.LADDER`."""
    images, labels = [pictures.images], [pictures.labels]
    for number in range(count):
        source, name, rng = extra(number, len(pictures.labels), seed)
        changed = LADDER[name](to_image(pictures.images[source : source + 1]), rng)
        images.append(to_bytes(changed))
        labels.append(pictures.labels[source : source + 1])
    return Pictures(torch.cat(images), torch.cat(labels))


def _reduced(pictures: Pictures, kind: Edges) -> Pictures:
    """Pictures as the judge sees them."""
    if kind == "none":
        return pictures
    reduced = [to_bytes(as_edges(to_image(pictures.images[some]), kind)) for some in _parts(pictures.images)]
    return pictures._replace(images=torch.cat(reduced))


def _parts(images: Tensor) -> list[slice]:
    """So few pictures at a time that their floats take no memory to speak of."""
    return [slice(begin, begin + AT_ONCE) for begin in range(0, len(images), AT_ONCE)]
