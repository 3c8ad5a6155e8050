"""Modules as ONNX graphs: free sizes, functions that are put in place, small files."""

import numpy as np
import pytest
import torch
from torch import nn

from artune.networks.conversion import DOMAIN, OPSET, PICTURE, Called, Port, converted, function

onnxruntime = pytest.importorskip("onnxruntime")
IMAGE, OUT = Port("image", PICTURE), Port("out", PICTURE)


class Twice(nn.Module):
    """What it holds, twice in a row."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, image):
        return self.inner(self.inner(image))


class Convolved(nn.Module):
    """A convolution whose weights fp16 holds exactly, and whose biases it does not."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv2d(3, 3, 9, padding=4)
        with torch.no_grad():
            self.convolution.weight.copy_(self.convolution.weight.half())

    def forward(self, image):
        return self.convolution(image).sigmoid()


@pytest.fixture(scope="module")
def convolved():
    return Convolved().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def model(convolved):
    image = torch.rand(1, 3, 20, 24)
    called = Called("Inner", lambda image: image.shape)
    return converted(Twice(called), {IMAGE: image}, OUT, [function("Inner", convolved, {IMAGE: image}, OUT, 4)])


def run(model, image):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image.numpy()})[0]


@pytest.mark.parametrize(("height", "width"), [(20, 24), (16, 32), (80, 16)])
def test_a_graph_takes_every_size_and_computes_what_pytorch_does(model, convolved, height, width):
    image = torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(run(model, image), Twice(convolved)(image), rtol=0, atol=1e-5)


def test_functions_are_put_in_place_and_their_weights_stored_once_in_fp16(model, convolved):
    assert not model.functions
    assert [opset.domain for opset in model.opset_import] == [""]
    assert model.opset_import[0].version == OPSET
    assert sum(node.op_type == "Conv" for node in model.graph.node) == 2
    stored = {tuple(each.dims): each.data_type for each in model.graph.initializer}
    assert len(model.graph.initializer) == 2
    assert stored == {(3, 3, 9, 9): 10, (3,): 1}  # fp16, fp32
    assert len(model.SerializeToString()) < 2 * convolved.convolution.weight.numel() + 1000


def test_ports_have_the_names_and_shapes_that_were_given(model):
    for values, port in ((model.graph.input, IMAGE), (model.graph.output, OUT)):
        (value,) = values
        shape = [each.dim_param or each.dim_value for each in value.type.tensor_type.shape.dim]
        assert (value.name, tuple(shape)) == (port.name, PICTURE)


def test_weights_that_fp16_does_not_hold_stay_as_they_are():
    module = Convolved().eval().requires_grad_(False)
    module.convolution.weight += 1e-5
    image = torch.rand(1, 3, 20, 24)
    model = converted(module, {IMAGE: image}, OUT)
    assert {each.data_type for each in model.graph.initializer} == {1}
    np.testing.assert_allclose(run(model, image), module(image), rtol=0, atol=1e-5)


def test_the_producer_is_named(model):
    assert model.producer_name == DOMAIN
