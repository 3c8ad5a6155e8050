"""Networks as ONNX files, which other runtimes compute without artune and without PyTorch; ``docs/export.md``.

A network is written as a folder with a file for each graph, and ``model.json``, which says what goes in and what comes
out. Before anything is written, ONNX Runtime computes each graph at several sizes, and is compared with PyTorch.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from artune import __version__
from artune.assets import PAINTER, sample_photo, sample_style
from artune.backbones.base import Image
from artune.errors import OutputError, UnknownNameError, WeightsError
from artune.extras import require
from artune.files import check_writable, expanded, write_together
from artune.images.read import read_picture
from artune.images.write import encoded
from artune.networks.conversion import OPSET, PICTURE, SMALLEST_PICTURE, Called, Port, converted, function
from artune.networks.loaded import PainterNetwork
from artune.networks.painter import STRIDE, Painter
from artune.networks.portable import (
    LARGE,
    SMALL,
    PortablePainter,
    PortablePainting,
    PortableReading,
    PortableStep,
    Size,
    style_length,
)
from artune.networks.trained import StyleFile, holds_style, read_style
from artune.spec.style import StyleSpec

if TYPE_CHECKING:
    import onnx

FORMAT = "artune-onnx"
VERSION = 1
"""Of the format: raised when a reader of the files must change."""
TOLERANCE = 1 / 255
"""Largest difference from PyTorch: in units of the largest value of the output where that is above 1."""
COMPARED = ((96, 72), (75, 131), (160, 32))
"""Width and height at which a graph is compared: whole, odd, and elongated."""
USUAL = (80, 60)
"""A painter is compared, too, where the smallest size at which it paints has this width and height."""
STRENGTHS = (0.7, 1.0, 0.1, 0.5)
"""Strengths at these sizes."""
OnGraph = Callable[[int, int], None]
"""Called with the number of graphs that are done, and of all."""


@dataclass(frozen=True)
class Graph:
    """A graph that is to be written.

    Attributes:
        file: name of its file.
        inputs: its inputs.
        output: its output.
        make: makes the graph, given examples of the inputs.
        compute: the same in PyTorch.
        examples: inputs with which both are compared.
    """

    file: str
    inputs: tuple[Port, ...]
    output: Port
    make: "Callable[[Sequence[Tensor]], onnx.ModelProto]"
    compute: Callable[..., Tensor]
    examples: Sequence[tuple[Tensor, ...]]

    def about(self) -> dict[str, Any]:
        """Plain data that describes its inputs and its output."""
        return {"inputs": _described(self.inputs), "outputs": _described([self.output])}


def export(
    model: Path | str, out: Path | str, *, overwrite: bool = False, on_graph: OnGraph | None = None
) -> list[Path]:
    """Write a network as ONNX files.

    Args:
        model: ``painter``; or a file with a trained style, or with a painter's weights.
        out: folder to write; it must be new or empty.
        overwrite: whether to write into a folder that holds something, in place of files of the same names.
        on_graph: called with the number of graphs that are done, and of all.

    Returns:
        the files.

    Raises:
        UnknownNameError: there is no such model.
        MissingExtraError: the extra ``export`` is not installed.
        WeightsError: the weights are damaged; or ONNX Runtime and PyTorch do not compute the same.
        OutputError: the folder holds something, or cannot be written.
    """
    require("export", "exporting")
    _check_folder(out, overwrite)
    file = None if model == "painter" else expanded(model)
    if file is not None and not file.exists():
        raise UnknownNameError("model", str(model), ["painter"], why="there is no such file, either")
    if file is not None and holds_style(file):
        return _export_style(read_style(file), out, on_graph)
    network = PainterNetwork.load(StyleSpec(device="cpu"), file, otherwise="or export `painter`")
    about = {"weights": network.digest, "licence": PAINTER.licence if file is None else "not stated"}
    return _export_painter(network.painter, about, {}, out, on_graph)


def _export_style(style: StyleFile, out: Path | str, on_graph: OnGraph | None) -> list[Path]:
    """Write a trained style; a painter with its paintings."""
    about = {
        "weights": style.digest,
        "licence": "; ".join(f"{what}: {terms}" for what, terms in style.info.licences.items()),
        "trained_on": [*style.info.paintings],
    }
    if isinstance(style.network, Painter):
        paintings = {f"painting-{place}.jpg": encoded(each, ".jpg") for place, each in enumerate(style.paintings, 1)}
        return _export_painter(style.network, about, paintings, out, on_graph)
    return _write([_network_graph(style.network)], {"kind": "trained", **about}, {}, out, on_graph)


def _export_painter(
    painter: Painter,
    about: dict[str, Any],
    paintings: Mapping[str, bytes],
    out: Path | str,
    on_graph: OnGraph | None,
) -> list[Path]:
    painter = painter.to(memory_format=torch.contiguous_format)
    graphs = painter_graphs(painter, {"": SMALL, "-large": LARGE})
    about = {"kind": "painter", "K": style_length(painter, SMALL), **about}
    return _write(graphs, about, paintings, out, on_graph)


def export_network(
    network: nn.Module,
    out: Path | str,
    *,
    licence: str,
    kind: str = "trained",
    overwrite: bool = False,
    on_graph: OnGraph | None = None,
) -> list[Path]:
    """Write a network that makes one picture of another, ``[1, 3, h, w]`` in [0, 1], as ``network.onnx``.

    Args:
        network: the network, on the CPU.
        out: folder to write; see ``export``.
        licence: the terms under which its weights may be used.
        kind: what kind of network it is.
        overwrite: see ``export``.
        on_graph: see ``export``.

    Returns:
        the files.

    Raises:
        MissingExtraError: the extra ``export`` is not installed.
        WeightsError: ONNX Runtime and PyTorch do not compute the same.
        OutputError: the folder holds something, or cannot be written.
    """
    require("export", "exporting")
    _check_folder(out, overwrite)
    seen = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        seen.update(name.encode() + tensor.detach().float().contiguous().numpy().tobytes())
    about = {"kind": kind, "weights": seen.hexdigest(), "licence": licence}
    return _write([_network_graph(network)], about, {}, out, on_graph)


def _network_graph(network: nn.Module) -> Graph:
    """The graph of a network that makes one picture of another, which is left as it was."""
    photograph, picture = Port("photograph", PICTURE), Port("picture", PICTURE)
    network = deepcopy(network).eval().requires_grad_(False)
    return Graph(
        "network.onnx",
        (photograph,),
        picture,
        lambda examples: converted(network, dict(zip([photograph], examples, strict=True)), picture),
        network,
        [(_sample(sample_photo("cat"), *size),) for size in COMPARED],
    )


def painter_graphs(painter: Painter, layouts: Mapping[str, Sequence[Size]]) -> list[Graph]:
    """The graphs of a painter: for each layout, one reads a painting, and one paints.

    Args:
        painter: the painter, on the CPU.
        layouts: sizes from small to large, by what their files' names end with.
    """
    painting, photograph = Port("painting", PICTURE), Port("photograph", PICTURE)
    strength, picture = Port("strength", (1,)), Port("picture", PICTURE)
    image, odds = torch.rand((1, 3, 40, 56), generator=torch.Generator().manual_seed(0)), torch.zeros(1)

    def style_of(sizes: Sequence[Size]) -> Port:
        return Port("style", (1, style_length(painter, sizes)), None)

    @cache  # all layouts call the same functions
    def reading(taps: int) -> "onnx.FunctionProto":
        module, style = PortableReading(painter, taps), style_of([Size(1, 1, taps)])
        return function(f"Reading{taps}", module, {painting: image}, style, STRIDE)

    @cache
    def step(taps: int) -> "onnx.FunctionProto":
        about = painter.whole.about_steps(odds, 0, True)
        inputs = {
            picture: image,
            photograph: image.flip(3),
            style_of([Size(1, 1, taps)]): PortableReading(painter, taps)(image),
            Port("about", (1, about.shape[1]), None): about,
        }
        return function(f"Step{taps}", PortableStep(painter, taps), inputs, Port("stepped", PICTURE), STRIDE)

    graphs = []
    for suffix, sizes in layouts.items():
        graphs += [
            _reader(painter, sizes, suffix, painting, style_of(sizes), reading),
            _painter(painter, sizes, suffix, (photograph, style_of(sizes), strength), picture, step),
        ]
    return graphs


def _reader(
    painter: Painter,
    sizes: Sequence[Size],
    suffix: str,
    painting: Port,
    style: Port,
    function_of: "Callable[[int], onnx.FunctionProto]",
) -> Graph:
    """The graph that reads a painting."""
    taps = sorted({size.taps for size in sizes})

    def called(count: int) -> Called:
        shape = (1, style_length(painter, [Size(1, 1, count)]))
        return Called(f"Reading{count}", lambda image: shape)

    def make(examples: Sequence[Tensor]) -> "onnx.ModelProto":
        module = PortablePainting(sizes, {count: called(count) for count in taps})
        return converted(module, {painting: examples[0]}, style, map(function_of, taps))

    compute = PortablePainting(sizes, {count: PortableReading(painter, count) for count in taps})
    examples = [(_sample(sample_style("strokes"), *size),) for size in compared(sizes)]
    return Graph(f"painting{suffix}.onnx", (painting,), style, make, compute, examples)


def _painter(
    painter: Painter,
    sizes: Sequence[Size],
    suffix: str,
    inputs: tuple[Port, ...],
    picture: Port,
    function_of: "Callable[[int], onnx.FunctionProto]",
) -> Graph:
    """The graph that paints."""
    taps = sorted({size.taps for size in sizes})

    def make(examples: Sequence[Tensor]) -> "onnx.ModelProto":
        called = {count: Called(f"Step{count}", lambda image, *others: image.shape) for count in taps}
        module = PortablePainter(painter, sizes, called)
        return converted(module, dict(zip(inputs, examples, strict=True)), picture, map(function_of, taps))

    read = PortablePainting(sizes, {count: PortableReading(painter, count) for count in taps})
    compute = PortablePainter(painter, sizes, {count: PortableStep(painter, count) for count in taps})
    with torch.no_grad():
        examples = [
            (_sample(sample_photo("cat"), *size), read(_sample(sample_style("strokes"), *size)), torch.tensor([share]))
            for size, share in zip(compared(sizes), STRENGTHS, strict=True)
        ]
    return Graph(f"painter{suffix}.onnx", inputs, picture, make, compute, examples)


def compared(sizes: Sequence[Size]) -> list[tuple[int, int]]:
    """Width and height at which the graphs of a layout are compared."""
    return [*COMPARED, (USUAL[0] * sizes[0].factor, USUAL[1] * sizes[0].factor)]


def difference(model: bytes, graph: Graph) -> float:
    """Largest difference of what ONNX Runtime and PyTorch compute, in the units of ``TOLERANCE``.

    Args:
        model: the graph, as bytes.
        graph: the graph.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    largest = 0.0
    for example in graph.examples:
        with torch.no_grad():
            wanted = graph.compute(*example).numpy()
        named = {port.name: value.numpy() for port, value in zip(graph.inputs, example, strict=True)}
        (found,) = session.run(None, named)
        if found.shape != wanted.shape or not np.isfinite(found).all():
            return float("inf")
        largest = max(largest, float(np.abs(found - wanted).max() / max(1.0, np.abs(wanted).max())))
    return largest


def _write(
    graphs: Sequence[Graph],
    about: dict[str, Any],
    others: Mapping[str, bytes],
    out: Path | str,
    on_graph: OnGraph | None,
) -> list[Path]:
    """Make the graphs, compare them with PyTorch, and write them and other files: all or none."""
    from onnx import helper

    common = {"format": FORMAT, "version": VERSION, "artune": __version__, "opset": OPSET, **about}
    files = dict(others)
    for done, graph in enumerate(graphs):
        if on_graph is not None:
            on_graph(done, len(graphs))
        model = graph.make(graph.examples[1])
        helper.set_model_props(model, {key: _text(value) for key, value in {**common, **graph.about()}.items()})
        files[graph.file] = model.SerializeToString()
        found = difference(files[graph.file], graph)
        if not found <= TOLERANCE:
            raise WeightsError(
                f"nothing was written: in {graph.file}, what ONNX Runtime computes differs from PyTorch by "
                f"{found:.1g}, and at most {TOLERANCE:.1g} is allowed; install another version of onnxruntime or torch"
            )
    described = {graph.file: graph.about() for graph in graphs}
    files["model.json"] = (json.dumps({**common, "files": described}, indent=2) + "\n").encode()
    write_together(expanded(out), files)
    return [expanded(out) / name for name in files]


def _check_folder(out: Path | str, overwrite: bool) -> None:
    """Raise if a folder cannot be written, or holds something that would be lost."""
    out = expanded(out)
    if out.exists() and not out.is_dir():
        raise OutputError(f"cannot write {out}: it is a file; give a folder as `out`")
    if not overwrite and out.exists() and any(out.iterdir()):
        raise OutputError(f"{out} exists and is not empty; give a new folder as `out`, or `overwrite`")
    check_writable(out / "model.json")


def _sample(path: Path, width: int, height: int) -> Image:
    return read_picture(path).resized(width, height).tensor()


def _described(ports: Sequence[Port]) -> dict[str, Any]:
    """Plain data that describes ports."""
    found: dict[str, dict[str, Any]] = {}
    for port in ports:
        found[port.name] = {"type": "float32", "shape": [*port.shape]}
        if port.bounds is not None:
            found[port.name]["range"] = [*port.bounds]
        if port.shape == PICTURE:
            found[port.name]["smallest"] = SMALLEST_PICTURE
    return found


def _text(value: object) -> str:
    """A value as ONNX's metadata hold it: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
