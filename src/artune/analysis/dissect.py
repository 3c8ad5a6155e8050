"""The dissection of networks: what each unit of some layers is active on, beside controls.

Bau et al. 2017, "Network Dissection". Thresholds and concepts are chosen on one half of the pictures and measured on
the other, so that the best of many concepts is not better by chance. Two controls: random rotations of the units of a
layer, and the same network with random weights.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from artune.analysis.concepts import KINDS, Collection, Concept, Kind, Sample, grid_of
from artune.analysis.crossed import Answers, Crossed, OnProgress, explained, middle_square, pairs_shown, small
from artune.analysis.folder import Results
from artune.analysis.units import (
    TOP,
    active,
    average_precision,
    kept_highest,
    overlap,
    precision_by_chance,
    rotation,
    thresholds,
)
from artune.backbones.base import Backbone
from artune.backbones.registry import defaults_of, load_network, structure
from artune.backbones.untrained import untrained
from artune.errors import InputError, SpecError, UnknownNameError
from artune.files import file_digest
from artune.images.picture import Picture

Array = np.ndarray
ALGORITHM = 2
"""Raised when the same pictures and weights give other results."""
ABOVE = 0.04
"""IoU above which a unit counts as matching a colour, a texture or a part (Bau et al.)."""
CLASS_ABOVE, CLASS_QUANTILE = 0.25, 0.99
"""A unit counts as matching a class where its average precision is above chance by the first, a quarter of the way to
perfect, and by this quantile of random ranks, which is more where pictures are few. An IoU says nothing of whole
pictures, as a unit is active in ``TOP`` of all cells and a class fills far more."""
ROTATIONS = 3
"""Random rotations of each layer."""
BEST = 4
"""Pictures that excite a unit most, which are kept with the mask of the unit."""
HEATED = 2
"""Units of each layer whose heat maps are kept: those that match a concept best."""
RANDOM = "random"
"""Instead of a file of weights: random weights."""

Control = Literal["", "rotated", "untrained"]
Triple = tuple[Path, Path, Path]
"""Files of a photograph, a painting, and the photograph in its style."""


@dataclass(frozen=True)
class Subject:
    """A network to be dissected.

    Attributes:
        label: what it is called in tables; the same network may come several times, with other weights.
        name: of the network.
        weights: a file; ``RANDOM``; or ``None`` for the published ones.
        layers: whose units are dissected.
        control: whether it is there as a control alone.
    """

    label: str
    name: str
    weights: Path | str | None
    layers: tuple[str, ...]
    control: Control = ""

    def load(self) -> tuple[Backbone, str]:
        """The network, and the sha256 of its weights.

        Raises:
            WeightsError: missing or unfit weights.
            UnknownNameError: the weights end before a layer.
        """
        if self.weights == RANDOM:
            return untrained(self.name, smooth=False)
        weights = None if self.weights is None else Path(self.weights)
        backbone, digest = load_network(self.name, weights=weights, smooth=False, taps=self.layers)
        backbone.check(self.layers)
        return backbone, digest


def subjects(
    networks: Sequence[str], weights: Mapping[str, str], layers: Sequence[str] = (), *, controls: bool = True
) -> list[Subject]:
    """The networks that are asked for, checked, each with its control.

    Args:
        networks: names, or ``LABEL=NAME`` to give a network a label of its own.
        weights: files of weights, or ``RANDOM``, by label.
        layers: that are dissected; default: those of the losses.
        controls: whether each structure is also dissected with random weights.

    Raises:
        UnknownNameError: there is no such network, layer or label.
        InputError: a label is given twice, or a layer has a single unit.
    """
    found: dict[str, Subject] = {}
    for text in networks:
        label, _, name = text.rpartition("=")
        label = label or name
        if label in found:
            raise InputError(f"two networks are called {label}; give them labels: a={name} b={name}")
        backbone = structure(name)
        defaults = defaults_of(name, backbone.taps)
        asked = dict.fromkeys(backbone.tap(layer) for layer in layers or (*defaults.style, *defaults.content))
        if "image" in asked:
            raise SpecError("the picture itself has no units; leave the layer `image` out")
        own = tuple(tap for tap in backbone.taps if tap in asked)  # in the order of the network
        found[label] = Subject(label, name, weights.get(label), own)
    if strange := [label for label in weights if label not in found]:
        raise UnknownNameError("network", strange[0], found, where="the call")
    chosen = [*found.values()]
    if controls:
        known = {subject.name for subject in chosen if subject.weights == RANDOM}
        chosen += [
            replace(subject, label=f"{subject.name}, untrained", weights=RANDOM, control="untrained")
            for subject in {subject.name: subject for subject in chosen}.values()
            if subject.name not in known
        ]
    return chosen


@dataclass(frozen=True, eq=False)
class LayerUnits:
    """What was found of the units of a layer.

    ``rotations + 1`` times the units: first the layer's own, then those of each rotation.

    Attributes:
        threshold: of each unit, by the first half of the pictures.
        chosen: IoU with each concept on the first half.
        reported: the same on the second half.
        chosen_classes: average precision above chance for each class, on the first half.
        reported_classes: the same on the second half.
        best: places of the pictures that excite each own unit most.
        masks: where the unit is active in these, packed bits of the rows of the grid.
        means: mean activation of each own unit for each painting and photograph; no paintings where none were given.
        heated: own units whose heat maps are kept.
        heat: of these, by triple, picture, unit: activations at ``HEAT`` rows and columns.
    """

    threshold: Float[Array, "all"]
    chosen: Float[Array, "all concepts"]
    reported: Float[Array, "all concepts"]
    chosen_classes: Float[Array, "all classes"]
    reported_classes: Float[Array, "all classes"]
    best: Int[Array, "units best"]
    masks: UInt8[Array, "units best bytes"]
    means: Float[Array, "units styles contents"]
    heated: Int[Array, "heated"]
    heat: Float[Array, "triples 3 heated rows columns"]

    @property
    def units(self) -> int:
        """Number of own units."""
        return len(self.best)

    def matched(self, concepts: Sequence[Concept], kind: Kind) -> tuple[Int[Array, "all"], Float[Array, "all"]]:
        """The concept of a kind that fits each unit best on the first half, and its measure on the second.

        Args:
            concepts: all that cells are labelled by; or all classes, for the kind ``object``.
            kind: of the concept.

        Returns:
            Places among the concepts, and IoU or average precision above chance; -1 and 0 where there are no concepts
            of the kind.
        """
        chosen, reported = self._measures(kind)
        places = np.array([place for place, each in enumerate(concepts) if each.kind == kind], int)
        if not len(places):
            return np.full(len(chosen), -1), np.zeros(len(chosen))
        best = places[chosen[:, places].argmax(1)]
        return best, reported[np.arange(len(chosen)), best]

    def _measures(self, kind: Kind) -> tuple[Float[Array, "all c"], Float[Array, "all c"]]:
        if kind == "object":
            return self.chosen_classes, self.reported_classes
        return self.chosen, self.reported

    @cached_property
    def answers(self) -> Answers | None:
        """What explains the mean activations of the units; ``None`` where nothing was painted."""
        return explained(self.means.astype(np.float64)) if self.means.size else None

    def arrays(self) -> dict[str, Array]:
        """All arrays by name."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def of(cls, arrays: Mapping[str, Array]) -> Self:
        """What ``arrays`` gave."""
        return cls(**{name: arrays[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True, eq=False)
class Dissection:
    """Networks and pictures, ready to be dissected.

    Attributes:
        subjects: the networks.
        collection: labelled pictures.
        crossed: photographs and paintings, for what units answer to.
        triples: photographs, paintings and results that are shown; default: some of those that are painted.
    """

    subjects: tuple[Subject, ...]
    collection: Collection
    crossed: Crossed | None = None
    triples: tuple[Triple, ...] = ()


@dataclass(frozen=True, eq=False)
class Found:
    """What was found of all networks.

    Attributes:
        dissection: what was asked for.
        layers: by the label of the network and the layer.
        triples: that are shown.
        computed: number of layers that were not there before.
    """

    dissection: Dissection
    layers: Mapping[str, Mapping[str, LayerUnits]]
    triples: tuple[Triple, ...]
    computed: int

    def share(self, label: str, layer: str, kind: Kind, *, rotated: bool = False) -> float:
        """The share of units that match a concept of a kind on the second half.

        Args:
            label: of the network.
            layer: the layer.
            kind: of the concepts.
            rotated: of the rotated units, on average over rotations.
        """
        found = self.layers[label][layer]
        places, values = found.matched(self.concepts(kind), kind)
        hits = values > (self.class_levels[places] if kind == "object" else ABOVE)
        return float((hits[found.units :] if rotated else hits[: found.units]).mean())

    def concepts(self, kind: Kind) -> tuple[Concept, ...]:
        """All classes, or all concepts that cells are labelled by; ``LayerUnits.matched`` counts their places."""
        collection = self.dissection.collection
        return collection.classes if kind == "object" else collection.concepts

    @cached_property
    def class_levels(self) -> Float[Array, "classes"]:
        """Average precision above chance above which a unit counts as matching each class."""
        samples = [sample for sample in self.dissection.collection.samples if sample.half == 1]
        levels = []
        for each in self.dissection.collection.classes:
            labels = [sample.label for sample in samples if sample.folder == each.folder]
            by_chance = precision_by_chance(len(labels), labels.count(each.name), CLASS_QUANTILE)
            levels.append(max(CLASS_ABOVE, by_chance))
        return np.array(levels)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds of which there are concepts."""
        there = {each.kind for each in (*self.dissection.collection.concepts, *self.dissection.collection.classes)}
        return tuple(kind for kind in KINDS if kind in there)

    def answers(self, label: str) -> dict[str, Answers]:
        """What the units of a network's layers answer to; empty where nothing was painted."""
        return {layer: each.answers for layer, each in self.layers[label].items() if each.answers is not None}


def dissect(asked: Dissection, results: Results, on_progress: OnProgress) -> Found:
    """Dissect all networks; layers that are in the folder already are not computed again.

    Args:
        asked: networks and pictures.
        results: the folder.
        on_progress: called with what is being done.

    Raises:
        WeightsError: missing or unfit weights.
        PictureError: a picture cannot be read.
        OutputError: no permission, no space.
    """
    painted = asked.crossed.paint(results.painted, on_progress) if asked.crossed else []
    triples = asked.triples
    if asked.crossed and not triples:
        triples = tuple(pairs_shown(painted, asked.crossed, 2))
    layers: dict[str, dict[str, LayerUnits]] = {}
    computed = 0
    for subject in asked.subjects:
        backbone, digest = subject.load()
        made_of = _made_of(asked, digest, subject, triples)
        keys = {layer: hashlib.sha256(f"{made_of} {layer}".encode()).hexdigest() for layer in subject.layers}
        there = {layer: results.read(subject.label, layer, key) for layer, key in keys.items()}
        if missing := [layer for layer, arrays in there.items() if arrays is None]:
            for layer, units in _Pass(subject.label, backbone, missing, asked.collection, on_progress).run(
                painted, triples
            ):
                results.write(subject.label, layer, keys[layer], units.arrays())
                there[layer] = units.arrays()
                computed += 1
        layers[subject.label] = {layer: LayerUnits.of(there[layer] or {}) for layer in subject.layers}
    return Found(asked, layers, triples, computed)


def _made_of(asked: Dissection, digest: str, subject: Subject, triples: Sequence[Triple]) -> str:
    """All that the results of a network depend on."""
    shown = [file_digest(file) for triple in triples for file in triple]
    painted = asked.crossed.digest if asked.crossed else ""
    settings = [ALGORITHM, subject.name, digest, asked.collection.digest, painted, shown, ROTATIONS, BEST, HEATED, TOP]
    return json.dumps(settings)


# ------------------------------------------------------------------------------------- one network

HEAT = 24
"""Rows and columns of heat maps at most."""


@dataclass
class _Layer:
    """The sums of a layer while pictures pass.

    Attributes:
        bases: units and their rotations, as combinations of channels.
        highest: activations of each unit on the first half.
        count: number of them.
        lowest: activation of each unit.
        peaks: highest activation of each unit in each picture.
    """

    bases: Float[Tensor, "all channels"]
    highest: Float[Tensor, "all kept"]
    lowest: Float[Tensor, "all"]
    peaks: Float[Tensor, "all pictures"]
    count: int = 0


class _Pass:
    """The passes of pictures through one network.

    Args:
        label: of the network.
        backbone: the network.
        layers: whose units are dissected.
        collection: labelled pictures.
        on_progress: called after each picture.
    """

    def __init__(
        self, label: str, backbone: Backbone, layers: Sequence[str], collection: Collection, on_progress: OnProgress
    ) -> None:
        self.label, self.backbone, self.layers, self.collection = label, backbone, tuple(layers), collection
        self.on_progress = on_progress
        self.done, self.total = 0, 0
        self.domains = sorted({sample.folder for sample in collection.samples})

    @torch.inference_mode()
    def run(self, painted: Sequence[Sequence[Path]], triples: Sequence[Triple]) -> Iterator[tuple[str, LayerUnits]]:
        """All passes; then each layer with what was found."""
        samples = self.collection.samples
        self.total = 2 * len(samples) + sum(map(len, painted)) + 3 * len(triples)
        state = self._first()
        threshold = {layer: thresholds(each.highest, each.count) for layer, each in state.items()}
        best = {layer: self._excited(each) for layer, each in state.items()}
        overlaps, masks = self._second(state, threshold, best)
        classes = {layer: self._classes(each.peaks) for layer, each in state.items()}
        means = self._means(painted)
        heated = {layer: self._heated(overlaps[layer][1], len(best[layer])) for layer in self.layers}
        heat = self._heat(triples, heated)
        for layer in self.layers:
            chosen, reported = overlaps[layer]
            chosen_classes, reported_classes = classes[layer]
            yield (
                layer,
                LayerUnits(
                    threshold=threshold[layer].numpy(),
                    chosen=chosen.numpy(),
                    reported=reported.numpy(),
                    chosen_classes=chosen_classes.numpy(),
                    reported_classes=reported_classes.numpy(),
                    best=best[layer].numpy(),
                    masks=masks[layer],
                    means=means[layer],
                    heated=heated[layer].numpy(),
                    heat=heat[layer],
                ),
            )

    def _features(self, picture: Picture) -> dict[str, Float[Tensor, "channels h w"]]:
        """Activations of all layers for a picture, which is enlarged where it is too small."""
        width, height = picture.size
        if (short := min(width, height)) < self.backbone.smallest:
            scale = self.backbone.smallest / short
            picture = picture.resized(math.ceil(width * scale), math.ceil(height * scale))
        features = self.backbone(picture.tensor(), self.layers)
        self.done += 1
        self.on_progress(self.label, self.done, self.total)
        return {layer: features[layer][0].float() for layer in self.layers}

    def _first(self) -> dict[str, _Layer]:
        """The highest activations, and the peaks."""
        samples = self.collection.samples
        state: dict[str, _Layer] = {}
        first = sum(sample.half == 0 for sample in samples)
        for place, sample in enumerate(samples):
            for layer, x in self._features(self.collection.picture(sample)).items():
                if layer not in state:
                    state[layer] = _empty(x.shape[0], len(samples))
                here = state[layer]
                values = here.bases @ x.flatten(1)
                here.peaks[:, place] = values.amax(1)
                here.lowest = torch.minimum(here.lowest, values.amin(1))
                if sample.half == 0:
                    here.count += values.shape[1]
                    most = round(TOP * self._most(layer) * first) + 1
                    here.highest = kept_highest(here.highest, values, most)
        return state

    def _most(self, layer: str) -> int:
        """No picture has more positions than this at a layer."""
        side = max(self.collection.size, self.backbone.smallest) // self.backbone.taps[layer].stride + 3
        return side * side

    def _excited(self, state: _Layer) -> Int[Tensor, "units best"]:
        """The pictures that excite the own units most."""
        own = state.peaks[: state.bases.shape[1]]
        return own.topk(min(BEST, own.shape[1]), dim=1).indices

    def _second(
        self,
        state: Mapping[str, _Layer],
        threshold: Mapping[str, Float[Tensor, "_"]],
        best: Mapping[str, Int[Tensor, "_ best"]],
    ) -> tuple[dict[str, tuple[Tensor, Tensor]], dict[str, UInt8[Array, "_ best bytes"]]]:
        """IoU of all units and concepts on both halves, and the masks of the pictures that excite units most."""
        concepts = self.collection.concepts
        of_concept = torch.zeros(2, len(concepts))
        both = {layer: torch.zeros(2, len(each.bases), len(concepts)) for layer, each in state.items()}
        areas = {layer: torch.zeros(2, len(self.domains), len(each.bases)) for layer, each in state.items()}
        most = -(-(grid_of(self.collection.size, self.collection.size)[0] ** 2) // 8)
        masks = {layer: np.zeros((*best[layer].shape, most), np.uint8) for layer in state}
        for place, sample in enumerate(self.collection.samples):
            picture = self.collection.picture(sample)
            rows, columns = grid_of(*picture.size)
            cells = torch.from_numpy(self.collection.cells(sample, picture)).float()
            of_concept[sample.half] += cells.sum(0)
            for layer, x in self._features(picture).items():
                here = state[layer]
                values = (here.bases @ x.flatten(1)).view(-1, *x.shape[1:])
                shown = active(values, threshold[layer], here.lowest, rows, columns)
                both[layer][sample.half] += shown.float() @ cells
                areas[layer][sample.half, self.domains.index(sample.folder)] += shown.sum(1)
                for unit, rank in (best[layer] == place).nonzero().tolist():
                    packed = np.packbits(shown[unit].numpy())
                    masks[layer][unit, rank, : len(packed)] = packed
        overlaps = {}
        for layer in state:
            halves = [
                overlap(both[layer][half], self._area(areas[layer][half], concepts), of_concept[half])
                for half in (0, 1)
            ]
            overlaps[layer] = halves[0], halves[1]
        return overlaps, masks

    def _area(self, areas: Float[Tensor, "folders all"], concepts: Sequence[Concept]) -> Float[Tensor, "all concepts"]:
        """Cells in which units are active, of the pictures in which each concept is labelled."""
        whole = areas.sum(0)
        return torch.stack([whole if c.folder < 0 else areas[self.domains.index(c.folder)] for c in concepts], 1)

    def _classes(self, peaks: Float[Tensor, "all pictures"]) -> tuple[Tensor, Tensor]:
        """Average precision of all units for all classes, on both halves."""
        samples = self.collection.samples
        found: list[Tensor] = []
        for half in (0, 1):
            columns = []
            for each in self.collection.classes:
                places = [i for i, s in enumerate(samples) if s.half == half and s.folder == each.folder]
                truth = torch.tensor([[samples[i].label == each.name for i in places]])
                columns.append(average_precision(peaks[:, places], truth)[:, 0])
            found.append(torch.stack(columns, 1) if columns else torch.zeros(len(peaks), 0))
        return found[0], found[1]

    def _means(self, painted: Sequence[Sequence[Path]]) -> dict[str, Float[Array, "_ styles contents"]]:
        """Mean activations for the middle squares of painted pictures; else they would answer to shapes of frames."""
        shape = (len(painted), len(painted[0])) if painted else (0, 0)
        channels = {layer: self.backbone.taps[layer].channels for layer in self.layers}
        means = {layer: np.zeros((channels[layer], *shape), np.float32) for layer in self.layers}
        for row, files in enumerate(painted):
            for column, file in enumerate(files):
                for layer, x in self._features(middle_square(file)).items():
                    means[layer][:, row, column] = x.mean((1, 2)).numpy()
        return means

    def _heated(self, reported: Float[Tensor, "all concepts"], units: int) -> Int[Tensor, "heated"]:
        """The own units that match a concept best."""
        return reported[:units].amax(1).topk(min(HEATED, units)).indices

    def _heat(
        self, triples: Sequence[Triple], heated: Mapping[str, Int[Tensor, "heated"]]
    ) -> dict[str, Float[Array, "triples 3 heated rows columns"]]:
        """Activations of some units for triples."""
        maps: dict[str, list[Tensor]] = {layer: [] for layer in self.layers}
        for triple in triples:
            for file in triple:
                for layer, x in self._features(small(file)).items():
                    own = x[heated[layer]][None]
                    maps[layer].append(torch.nn.functional.interpolate(own, (HEAT, HEAT), mode="bilinear")[0])
        return {
            layer: torch.stack(each).view(len(triples), 3, -1, HEAT, HEAT).numpy().astype(np.float32)
            if each
            else np.zeros((0, 3, len(heated[layer]), HEAT, HEAT), np.float32)
            for layer, each in maps.items()
        }


def _empty(channels: int, pictures: int) -> _Layer:
    bases = torch.cat([torch.eye(channels), *(rotation(channels, seed) for seed in range(ROTATIONS))])
    count = len(bases)
    return _Layer(bases, torch.empty(count, 0), torch.full((count,), torch.inf), torch.zeros(count, pictures))


def mask_of(units: LayerUnits, unit: int, rank: int, size: tuple[int, int]) -> Bool[Array, "rows columns"]:
    """Where a unit is active in one of the pictures that excite it most.

    Args:
        units: of the layer.
        unit: the unit.
        rank: of the picture among them.
        size: of the picture: width and height.
    """
    rows, columns = grid_of(*size)
    bits = np.unpackbits(units.masks[unit, rank], count=rows * columns)
    return bits.reshape(rows, columns).astype(bool)


def sample_of(found: Found, place: int) -> Sample:
    """A picture of the collection by its place."""
    return found.dissection.collection.samples[place]
