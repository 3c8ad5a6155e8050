"""Any classifier of torchvision as a loss network: its graph is traced, and its head is left out."""

import copy
import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import cached_property, partial

import torch
from torch import Tensor, fx, nn

from artune.backbones.base import NO_METADATA, WHOLE, Backbone, Features, Image, TapInfo, without_prefix
from artune.backbones.conventions import IMAGENET, InputConvention
from artune.backbones.graph import (
    Names,
    ancestors,
    count_padding,
    cut,
    describe,
    has_rectified_additions,
    shapes,
    trace,
    with_plain_activations,
    with_pooling,
    without_additions,
)
from artune.backbones.pooling import Pooling, pool
from artune.errors import SpecError, WeightsError
from artune.spec.style import Padding

HEADS = ("classifier", "fc", "head", "heads", "aux1", "aux2", "AuxLogits")
"""Names of the modules of torchvision that turn features into classes."""
COUNTER = "num_batches_tracked"
"""Name of batch norm's step counter, which only training uses."""
SIDE = 512
"""Side, in pixels, of the square picture for which shapes, costs and memory per pixel are computed."""
IN_WORDS = (
    ("pooling", "trained with average pooling that leaves the padding out of the count", "count_include_pad", "false"),
    ("input", "sRGB in [0, 1], normalised with torchvision's mean and deviation", "normalisation", "imagenet"),
)
"""Entries of the metadata that say in words what ``CHOICES`` say, as those of a converted Inception V3 do: entry,
beginning of its text, choice, its value."""
CHOICES: Mapping[str, tuple[str, ...]] = {"count_include_pad": ("true", "false"), "normalisation": ("imagenet",)}
"""Entries of the metadata that count, and their values."""
POSITIONS = 2
"""Rows and columns that every tap has at the smallest picture: one position has no statistics."""


class Traced(Backbone):
    """A classifier of torchvision with a tap for every operation and every module whose output is a feature map.

    Taps have the names that torchvision's feature extraction gives to operations (``layer3.1.conv2``,
    ``layer3.1.add``), and those of modules (``layer3.1``: the output of the block). They are 4-D, channels-first
    tensors whose height and width grow with the picture. A tap before a ReLU is the value before it. Batch norm uses
    its running statistics.

    Args:
        name: the network's name in specs and messages.
        build: makes the classifier; its average pooling counts its padding, as torchvision's does.
        pooling: replacement for max pooling.
        padding: of the first convolution. It repeats the border of the picture; with zeros, as torchvision has them,
            results may get a frame.
        convention: what the weights expect of a picture.
        own_names: tap -> name in the graph, which then becomes an alias; default: the names in the graph.
        aliases: other sources' names of taps -> the names here.
        additions: whether the residual additions are kept.

    Raises:
        SpecError: it has no max pooling to replace, no padding to choose, or no feature maps.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        build: Callable[[], nn.Module],
        *,
        pooling: Pooling = "max",
        padding: Padding = "replicate",
        convention: InputConvention = IMAGENET,
        own_names: Mapping[str, str] | None = None,
        aliases: Mapping[str, str] | None = None,
        additions: bool = True,
    ) -> None:
        super().__init__()
        self.name = name
        network = build().eval()
        blueprint = copy.deepcopy(network).to("meta")
        modules = dict(network.named_modules())
        for module in modules.values():
            if getattr(module, "inplace", False):
                module.inplace = False
        graph, names = trace(blueprint)
        names = {known: node for known, node in names.items() if known.split(".")[0] not in HEADS}
        if not additions:
            names = without_additions(graph, names)
        names = with_plain_activations(graph, names, modules)
        names = with_pooling(graph, names, modules, pooling)
        if pooling != "max" and not any(node.target is pool for node in graph.nodes):
            raise SpecError(f"network {name} has no max pooling to replace; leave out `pooling`")

        sizes, halves = (shapes(blueprint, graph, side) for side in (SIDE, SIDE // 2))
        names = {known: node for known, node in names.items() if _is_map(sizes.get(node, ()), halves.get(node, ()))}
        if not names:
            raise SpecError(f"network {name} has no feature maps; choose a convolutional network")
        self.aliases = dict(aliases or {})
        if own_names is not None:
            self.aliases |= {inner: own for own, inner in own_names.items()}
            names = {own: names[inner] for own, inner in own_names.items()}
        order = {node: place for place, node in enumerate(graph.nodes)}
        self.nodes: Names = dict(sorted(names.items(), key=lambda item: order[item[1]]))
        about = describe(graph, modules, sizes, SIDE)
        self.taps: dict[str, TapInfo] = {tap: about[node] for tap, node in self.nodes.items()}
        self.local = all(info.receptive_field < WHOLE for info in self.taps.values())
        self.residual = has_rectified_additions(ancestors(self.nodes.values()))
        first = next(module for module in modules.values() if isinstance(module, nn.Conv2d))
        if any(first.padding) and padding == "replicate":
            first.padding_mode = "replicate"
        elif not any(first.padding) and padding != "replicate":
            raise SpecError(f"the first convolution of network {name} does not pad; leave out `padding`")
        self.graph, self._shapes = graph, partial(shapes, blueprint, graph)
        self._convention, self._counted = convention, True
        self.network = fx.GraphModule(network, cut(graph, self.nodes, modules))  # without the head
        self._extractors: dict[frozenset[str], fx.GraphModule] = {}
        self.register_buffer("mean", torch.tensor(convention.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(convention.std).view(3, 1, 1), persistent=False)

    @cached_property
    def smallest(self) -> int:  # type: ignore[override]
        """Shortest picture side, in pixels, at which every tap has 2 rows and columns."""

        def enough(side: int) -> bool:
            sizes = self._shapes(side)
            return all(node in sizes and min(sizes[node][2:]) >= POSITIONS for node in self.nodes.values())

        return bisect_left(range(SIDE), True, key=enough)

    def forward(self, image: Image, taps: Collection[str]) -> Features:
        features: dict[str, Tensor] = {"image": image} if "image" in taps else {}
        wanted = frozenset(taps) - {"image"}
        if not wanted:
            return features
        if wanted not in self._extractors:
            outputs = {tap: node for tap, node in self.nodes.items() if tap in wanted}
            kept = cut(self.graph, outputs, dict(self.network.named_modules()))
            self._extractors[wanted] = fx.GraphModule(self.network, kept)
        x = (image - self.mean) / self.std
        x = x.to(next(self.network.parameters()).dtype, memory_format=torch.channels_last)
        features |= self._extractors[wanted](x)
        return features

    def load(self, weights: Mapping[str, Tensor], where: str, metadata: Mapping[str, str] = NO_METADATA) -> None:
        """Copy weights with torchvision's keys, with or without a common prefix such as ``module.``.

        The head is ignored: it may have other classes or be missing. The file may end early: the taps beyond are marked
        as not reachable.

        Two entries of the metadata count, or the words of ``IN_WORDS``. ``count_include_pad: false``: averages leave
        the padding out of the count, as Keras' do; torchvision's count it. ``normalisation: imagenet``: the weights
        expect ImageNet's mean and deviation, also where torchvision's own of this network expect another input.

        Raises:
            WeightsError: a tensor has another shape, a layer between others is missing, or there is one that the
                network does not have; or one of these entries has another value.
        """
        metadata = _choices(metadata, where)
        own = {key: value for key, value in self.network.state_dict().items() if not key.endswith(COUNTER)}
        first = next(iter(own))
        weights = {_renamed(key): value for key, value in without_prefix(weights, first).items()}
        weights = {key: value for key, value in weights.items() if not key.endswith(COUNTER)}
        if not own.keys() & weights.keys():
            given = ", ".join(sorted(weights)[:5]) or "nothing"
            raise WeightsError(f"{where}: no weights of {self.name} in it; it needs {first}, and has {given}")
        for key, value in own.items():
            if key in weights and value.shape != weights[key].shape:
                shape, needed = tuple(weights[key].shape), tuple(value.shape)
                raise WeightsError(f"{where}: {key} has shape {shape}, {self.name} needs {needed}")
        trunk = {key.split(".")[0] for key in own}
        if strange := [key for key in weights if key not in own and key.split(".")[0] in trunk]:
            raise WeightsError(f"{where}: {self.name} has no {strange[0]}; give weights of {self.name}")
        lacks: dict[fx.Node, str] = {}
        for node in self.graph.nodes:
            needs = [key for key in own if key == node.target or key.startswith(f"{node.target}.")]
            before = next((lacks[other] for other in node.all_input_nodes if other in lacks), None)
            gone = next((key for key in needs if key not in weights), None)
            if before and needs and not gone:
                raise WeightsError(f"{where}: it has {needs[0]} but not {before}; give weights of {self.name}")
            if before or gone:
                lacks[node] = before or gone or ""
        for tap, node in self.nodes.items():
            self.taps[tap] = replace(self.taps[tap], reachable=node not in lacks)
        with torch.no_grad():
            for key in own.keys() & weights.keys():
                own[key].copy_(weights[key])
        self._configure(metadata)

    def _configure(self, metadata: Mapping[str, str]) -> None:
        """Take over the entries of ``CHOICES``; those that the metadata lack are as they were at first."""
        self.metadata = metadata
        counted = metadata.get("count_include_pad") != "false"
        if counted != self._counted:
            count_padding(self.graph, dict(self.network.named_modules()), counted)
            self._counted = counted
            self._extractors.clear()
        expected = IMAGENET if metadata.get("normalisation") == "imagenet" else self._convention
        self.mean.copy_(torch.tensor(expected.mean).view(3, 1, 1))
        self.std.copy_(torch.tensor(expected.std).view(3, 1, 1))

    def weights(self, tap: str) -> dict[str, Tensor]:
        """The weights that a tap needs, by torchvision's keys; not copies."""
        kept = cut(self.graph, {tap: self.nodes[tap]}, dict(self.network.named_modules()))
        whole = fx.GraphModule(self.network, kept).state_dict(keep_vars=True)
        return {key: value for key, value in whole.items() if not key.endswith(COUNTER)}


def _choices(metadata: Mapping[str, str], where: str) -> dict[str, str]:
    """The entries of the metadata that count."""
    said = {choice: value for entry, text, choice, value in IN_WORDS if metadata.get(entry, "").startswith(text)}
    metadata = {**said, **metadata}
    for key, known in CHOICES.items():
        if metadata.get(key, known[0]) not in known:
            raise WeightsError(f"{where}: its metadata have {key} {metadata[key]!r}; write {' or '.join(known)}")
    return {key: metadata[key] for key in CHOICES if key in metadata}


def _is_map(whole: tuple[int, ...], half: tuple[int, ...]) -> bool:
    """Whether a tensor is channels-first and grows in height and width with the picture, given its shapes for two."""
    return len(whole) == len(half) == 4 and whole[1] == half[1] and whole[2] > half[2] and whole[3] > half[3]


def _renamed(key: str) -> str:
    """Today's name of a weight: DenseNet's published files say ``norm.1`` for ``norm1``, as torchvision once did."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", key)
