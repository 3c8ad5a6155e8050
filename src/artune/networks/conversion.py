"""A module as an ONNX graph: traced by PyTorch, with parts that are called many times traced once, and made small."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from immutabledict import immutabledict
from torch import Tensor, nn

from artune import __version__

if TYPE_CHECKING:
    import onnx

OPSET = 18
"""Version of ONNX's operators: the lowest that PyTorch writes."""
DOMAIN = "artune"
"""Of the functions in a graph before they are put in place."""
SMALLEST_PICTURE = 16
"""Smallest side of a picture that a graph takes, pixels."""
HALVED = 64
"""Number of values from which a tensor is stored in fp16, if that is exact."""
Shape = tuple[int | str, ...]
"""Lengths, or names of those that are free."""
PICTURE: Shape = (1, 3, "height", "width")
NOTHING_KNOWN: Mapping[str, Any] = immutabledict()


class Port(NamedTuple):
    """An input or output of a graph: fp32.

    Attributes:
        name: its name.
        shape: its shape.
        bounds: least and largest value; ``None`` where it may have any.
    """

    name: str
    shape: Shape
    bounds: tuple[float, float] | None = (0.0, 1.0)


class Called(nn.Module):
    """Stands for a module that a graph calls, while the graph is traced.

    Args:
        name: of the function.
        shape: the shape of its output for some inputs.
    """

    def __init__(self, name: str, shape: Callable[..., Sequence[int | torch.SymInt]]) -> None:
        super().__init__()
        self.name, self.shape = name, shape

    def forward(self, *inputs: Tensor) -> Tensor:
        """A node of the graph; its values mean nothing."""
        return torch.onnx.ops.symbolic(
            f"{DOMAIN}::{self.name}", inputs, dtype=torch.float32, shape=self.shape(*inputs), version=1
        )


def converted(
    module: nn.Module, inputs: Mapping[Port, Tensor], output: Port, functions: "Iterable[onnx.FunctionProto]" = ()
) -> "onnx.ModelProto":
    """The graph of a module.

    Args:
        module: the module, in which ``Called`` may stand for others.
        inputs: examples of its inputs. What is a name in a port's shape is free.
        output: its output.
        functions: what it calls.
    """
    from onnx import checker, helper, inliner

    model = _traced(module, inputs, output)
    model.functions.extend(functions)
    model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    model = inliner.inline_local_functions(model)
    graph, names = model.graph, [opset.domain for opset in model.opset_import]
    for place in reversed(range(len(names))):
        if names[place] == DOMAIN:
            del model.opset_import[place]
    _store_small(graph)
    del graph.value_info[:], graph.input[:], graph.output[:], graph.metadata_props[:], model.metadata_props[:]
    for ports, values in ((inputs, graph.input), ([output], graph.output)):
        values.extend(helper.make_tensor_value_info(port.name, 1, port.shape) for port in ports)  # 1 is fp32
    graph.name, model.producer_name, model.producer_version = output.name, DOMAIN, __version__
    checker.check_model(model)
    return model


def function(
    name: str, module: nn.Module, inputs: Mapping[Port, Tensor], output: Port, multiple: int
) -> "onnx.FunctionProto":
    """A function that graphs call.

    Args:
        name: of the function.
        module: see ``converted``.
        inputs: likewise.
        output: likewise.
        multiple: number that free lengths are multiples of: what is known of them makes tracing fast.
    """
    from onnx import helper

    names = {length for port in inputs for length in port.shape if isinstance(length, str)}
    free = {length: multiple * torch.export.Dim(length) for length in sorted(names)}
    model = _traced(module, inputs, output, free)
    weights = [helper.make_node("Constant", [], [each.name], value=each) for each in model.graph.initializer]
    ports = [port.name for port in inputs]
    return helper.make_function(
        DOMAIN, name, ports, [output.name], [*weights, *model.graph.node], [*model.opset_import]
    )


def _traced(
    module: nn.Module, inputs: Mapping[Port, Tensor], output: Port, free: Mapping[str, Any] = NOTHING_KNOWN
) -> "onnx.ModelProto":
    """The graph of a module as PyTorch writes it; ``free`` says what is known of lengths."""
    shapes = tuple(
        {
            place: free.get(length, torch.export.Dim.DYNAMIC)
            for place, length in enumerate(port.shape)
            if isinstance(length, str)
        }
        for port in inputs
    )
    values = tuple(inputs.values())
    with torch.no_grad():
        traced = torch.export.export(
            module.eval(), values, dynamic_shapes=shapes, prefer_deferred_runtime_asserts_over_guards=True
        )
        program = torch.onnx.export(
            traced,
            values,
            input_names=[port.name for port in inputs],
            output_names=[output.name],
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def _store_small(graph: "onnx.GraphProto") -> None:
    """Store each constant once, and in fp16 where that is exact; the graph casts it to fp32."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants = [], [*graph.initializer]
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constant = TensorProto()
            constant.CopyFrom(node.attribute[0].t)
            constant.name = node.output[0]
            constants.append(constant)
        else:
            node.doc_string = ""
            del node.metadata_props[:]
            nodes.append(node)
    first: dict[tuple[str, tuple[int, ...], bytes], str] = {}
    same, stored, casts = {}, [], []
    for constant in constants:
        array = numpy_helper.to_array(constant)
        key = (array.dtype.str, array.shape, array.tobytes())
        same[constant.name] = first.setdefault(key, constant.name)
        if same[constant.name] != constant.name:
            continue
        half = array.astype(np.float16) if array.dtype == np.float32 and array.size >= HALVED else None
        if half is not None and (half == array).all():
            name = f"{constant.name} fp16"
            stored.append(numpy_helper.from_array(half, name))
            casts.append(helper.make_node("Cast", [name], [constant.name], to=TensorProto.FLOAT))
        else:
            stored.append(numpy_helper.from_array(array, constant.name))
    for node in nodes:
        node.input[:] = [same.get(name, name) for name in node.input]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(stored)
    graph.node.extend([*casts, *nodes])
