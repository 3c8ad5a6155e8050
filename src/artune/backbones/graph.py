"""The graph of a classifier of torchvision: tracing, editing, cutting to the taps asked for, and describing the taps.

The description (``TapInfo``) is computed without running the network, from shapes on the meta device and from the
kernels and strides of convolutions and pooling.
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torchvision.models.feature_extraction import NodePathTracer
from torchvision.ops import stochastic_depth

from artune.backbones.base import WHOLE, TapInfo
from artune.backbones.pooling import Pooling, pool

Names = dict[str, fx.Node]
Shapes = dict[fx.Node, tuple[int, ...]]

ACTIVATIONS: dict[type[nn.Module], Callable[..., Tensor]] = {nn.ReLU: F.relu, nn.ReLU6: F.relu6}
"""Activations that run in place where nothing else uses their input."""
OVERWRITABLE = (nn.Conv2d, nn.BatchNorm2d)
"""Modules whose backward pass does not need their output, so that it may be overwritten."""

SAME_SHAPE_MODULES = (
    nn.BatchNorm2d, nn.LayerNorm, nn.Dropout, nn.Identity, nn.SiLU, nn.GELU, nn.Sigmoid, nn.Hardswish, nn.Hardsigmoid,
)  # fmt: skip
SAME_SHAPE_FUNCTIONS = (F.relu, F.relu6, F.dropout, F.layer_norm, stochastic_depth)
BY_POSITION_MODULES = (*SAME_SHAPE_MODULES, nn.Linear)
BY_POSITION_FUNCTIONS = (
    *SAME_SHAPE_FUNCTIONS, operator.add, operator.mul, operator.getitem, operator.floordiv, getattr,
    torch.cat, torch.permute, torch.transpose,
)  # fmt: skip
BY_POSITION_METHODS = ("add", "mul", "size", "chunk", "view", "transpose", "permute", "contiguous")
"""Modules, functions and methods whose output at a position depends on that position alone. All that are not listed and
are no convolution or pooling are taken to depend on the whole picture."""
VIEWS = (operator.getitem, torch.permute, torch.transpose)
"""Functions that allocate no memory for their output."""


class _Tracer(NodePathTracer):  # type: ignore[misc]
    """Names every operation as torchvision does, and remembers the output node of every module."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: Names = {}

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        out = super().call_module(m, forward, args, kwargs)
        if isinstance(out, fx.Proxy):
            self.outputs[self.path_of_module(m)] = out.node
        return out


def trace(network: nn.Module) -> tuple[fx.Graph, Names]:
    """The graph of a network, and its nodes by name: every operation, and the output of every module."""
    tracer = _Tracer()
    graph = tracer.trace(network)
    for node in reversed(graph.nodes):
        if node.target is torch._assert:  # that the picture has the size that the head needs
            graph.erase_node(node)
    names = {name: node for node, name in tracer.node_to_qualname.items()}
    names |= {name: node for name, node in tracer.outputs.items() if name not in names}
    alive = set(graph.nodes)
    return graph, {
        name: node for name, node in names.items() if node in alive and node.op not in ("placeholder", "output")
    }


def without_additions(graph: fx.Graph, names: Names) -> Names:
    """Remove the residual additions from a graph: ``x + f(x)`` becomes ``f(x)``. Returns the other nodes by name."""
    for node in list(graph.nodes):
        if node.target is operator.add:
            through = node.args[1]
            names = {
                name: through if given is node else given
                for name, given in names.items()
                if not (given is node and name.split(".")[-1].startswith("add"))
            }
            node.replace_all_uses_with(through)
            graph.erase_node(node)
    return names


def with_pooling(graph: fx.Graph, names: Names, modules: Mapping[str, nn.Module], pooling: Pooling) -> Names:
    """Replace every max pooling in the graph by ``pool``. Returns the nodes by name."""
    new = {}
    for node in list(graph.nodes):
        window = _max_pooling(node, modules)
        if window is None:
            continue
        with graph.inserting_after(node):
            new[node] = graph.call_function(pool, (node.args[0], pooling, *window))
        node.replace_all_uses_with(new[node])
        graph.erase_node(node)
    return {name: new.get(node, node) for name, node in names.items()}


def _max_pooling(node: fx.Node, modules: Mapping[str, nn.Module]) -> tuple[int, int, int, bool] | None:
    """Kernel, stride, padding and ceil mode of a max pooling; ``None`` for other nodes."""
    if node.op == "call_module" and isinstance(module := modules[str(node.target)], nn.MaxPool2d):
        return module.kernel_size, module.stride, module.padding, module.ceil_mode  # type: ignore[return-value]
    if node.target is F.max_pool2d:
        given = dict(zip(("kernel_size", "stride", "padding"), node.args[1:], strict=False)) | dict(node.kwargs)
        kernel = given["kernel_size"]
        return kernel, given.get("stride") or kernel, given.get("padding", 0), given.get("ceil_mode", False)  # type: ignore[return-value]
    return None


COUNTED = 5
"""Place of ``count_include_pad`` among the arguments of ``avg_pool2d``."""


def count_padding(graph: fx.Graph, modules: Mapping[str, nn.Module], counted: bool) -> None:
    """Make every average pooling in the graph count the zeros of its padding, or leave them out."""
    for node in graph.nodes:
        if node.target is F.avg_pool2d:
            if len(node.args) > COUNTED:
                node.update_arg(COUNTED, counted)
            else:
                node.update_kwarg("count_include_pad", counted)
        elif node.op == "call_module" and isinstance(module := modules.get(str(node.target)), nn.AvgPool2d):
            module.count_include_pad = counted


def with_plain_activations(graph: fx.Graph, names: Names, modules: Mapping[str, nn.Module]) -> Names:
    """Make no activation run in place, so that a tap before a ReLU keeps its value. Returns the nodes by name.

    ``cut`` lets activations run in place again where that is safe.
    """
    new = {}
    for node in list(graph.nodes):
        if node.kwargs.get("inplace"):
            node.update_kwarg("inplace", False)
        function = ACTIVATIONS.get(type(modules.get(str(node.target)))) if node.op == "call_module" else None  # type: ignore[arg-type]
        if function is not None:
            with graph.inserting_after(node):
                new[node] = graph.call_function(function, (node.args[0],))
            node.replace_all_uses_with(new[node])
            graph.erase_node(node)
    return {name: new.get(node, node) for name, node in names.items()}


def cut(graph: fx.Graph, outputs: Mapping[str, fx.Node], modules: Mapping[str, nn.Module]) -> fx.Graph:
    """A graph that computes the outputs, as a dict, and nothing else. Activations run in place where that is safe."""
    needed = ancestors(outputs.values())
    kept = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        if node not in needed:
            continue
        copies[node] = kept.node_copy(node, copies.__getitem__)
        if node.target in ACTIVATIONS.values() and _expendable(node.args[0], needed, outputs.values(), modules):
            copies[node].update_kwarg("inplace", True)
    kept.output({name: copies[node] for name, node in outputs.items()})
    return kept


def _expendable(
    node: Any, needed: Iterable[fx.Node], outputs: Iterable[fx.Node], modules: Mapping[str, nn.Module]
) -> bool:
    """Whether a value may be overwritten: it is used once, and not by the backward pass."""
    if node in outputs or sum(user in needed for user in node.users) > 1:
        return False
    return node.target is operator.add or (
        node.op == "call_module" and isinstance(modules[str(node.target)], OVERWRITABLE)
    )


def ancestors(nodes: Iterable[fx.Node]) -> set[fx.Node]:
    """All nodes that some nodes are computed from, themselves included."""
    found: set[fx.Node] = set()
    open_ends = list(nodes)
    while open_ends:
        node = open_ends.pop()
        if node not in found:
            found.add(node)
            open_ends += node.all_input_nodes
    return found


def has_rectified_additions(nodes: Iterable[fx.Node]) -> bool:
    """Whether a ReLU follows an addition, as in ResNet, whose activations have high peaks for that reason."""
    return any(node.target is operator.add and any(user.target is F.relu for user in node.users) for node in nodes)


class _Shapes(fx.Interpreter):
    """Records the shape of every tensor. Operations that keep the shape are not run."""

    def __init__(self, network: nn.Module, graph: fx.Graph) -> None:
        super().__init__(network, graph=graph)
        self.found: Shapes = {}

    def run_node(self, n: fx.Node) -> Any:
        module = self.fetch_attr(str(n.target)) if n.op == "call_module" else None
        same = n.target in SAME_SHAPE_FUNCTIONS or isinstance(module, SAME_SHAPE_MODULES)
        out = self.map_nodes_to_values(n.args, n)[0] if same else super().run_node(n)  # type: ignore[index]
        if isinstance(out, Tensor):
            self.found[n] = tuple(out.shape)
        return out


def shapes(blueprint: nn.Module, graph: fx.Graph, side: int) -> Shapes:
    """The shape of every tensor for a square picture, up to the first layer that the picture is too small for.

    Args:
        blueprint: the network, on the meta device.
        graph: its graph.
        side: of the picture, in pixels.
    """
    seen = _Shapes(blueprint, graph)
    try:
        seen.run(torch.empty(1, 3, side, side, device="meta"))
    except RuntimeError:  # too small, or not the fixed size that the network takes
        pass
    return seen.found


@dataclass(frozen=True)
class _Window:
    """The window of a convolution or a pooling, height and width each."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int] = (1, 1)


def describe(graph: fx.Graph, modules: Mapping[str, nn.Module], sizes: Shapes, side: int) -> dict[fx.Node, TapInfo]:
    """The ``TapInfo`` of every node whose output is a feature map.

    The receptive field is the largest over all paths from the picture.

    Args:
        graph: of the network.
        modules: the network's modules by name.
        sizes: shapes of the network's tensors for a square picture.
        side: of that picture, in pixels.
    """
    strides: dict[fx.Node, float] = {}
    fields: dict[fx.Node, tuple[float, float]] = {}
    costs: dict[fx.Node, float] = {}
    values: dict[fx.Node, float] = {}
    found = {}
    for node in graph.nodes:
        before = [other for other in node.all_input_nodes if other in strides]
        if node.op == "placeholder":
            strides[node], fields[node] = 1, (1, 1)
        elif before:
            stride = min(strides[other] for other in before)
            height, width = (max(fields[other][axis] for other in before) for axis in (0, 1))
            window = _window(node, modules)
            if window:
                height, width = (
                    seen + (kernel - 1) * dilation * stride
                    for seen, kernel, dilation in zip((height, width), window.kernel, window.dilation, strict=True)
                )
                stride *= window.stride[0]
            elif not _by_position(node, modules):
                height = width = WHOLE
            strides[node], fields[node] = stride, (min(height, WHOLE), min(width, WHOLE))
        if node not in sizes or node not in strides:
            continue
        positions = sizes[node][2] * sizes[node][3] if len(sizes[node]) == 4 else 1
        numbers = _count(sizes[node])
        module = modules.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, nn.Conv2d):
            costs[node] = module.weight.numel() * positions / side**2
        elif isinstance(module, nn.Linear):
            costs[node] = module.in_features * numbers / side**2
        if node.target not in (*ACTIVATIONS.values(), *VIEWS) and node.op != "call_method":
            values[node] = numbers / side**2
        if len(sizes[node]) == 4:
            path = ancestors([node])
            found[node] = TapInfo(
                channels=sizes[node][1],
                stride=int(strides[node]),
                receptive_field=int(max(fields[node])),
                cost=sum(costs.get(other, 0.0) for other in path),
                values=sum(values.get(other, 0.0) for other in path),
            )
    return found


def _count(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())


def _window(node: fx.Node, modules: Mapping[str, nn.Module]) -> _Window | None:
    if node.op == "call_module":
        module = modules[str(node.target)]
        if isinstance(module, nn.Conv2d):
            return _Window(_pair(module.kernel_size), _pair(module.stride), _pair(module.dilation))
        if isinstance(module, nn.AvgPool2d):
            return _Window(_pair(module.kernel_size), _pair(module.stride))
    if node.target is pool:
        return _Window(_pair(node.args[2]), _pair(node.args[3]))
    if node.target is F.avg_pool2d:
        given = dict(zip(("kernel_size", "stride"), node.args[1:], strict=False)) | dict(node.kwargs)
        return _Window(_pair(given["kernel_size"]), _pair(given.get("stride") or given["kernel_size"]))
    return None


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _by_position(node: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    if node.op == "call_module":
        return isinstance(modules[str(node.target)], BY_POSITION_MODULES)
    if node.op == "call_method":
        return node.target in BY_POSITION_METHODS
    return node.target in BY_POSITION_FUNCTIONS
