"""What a spec is: frozen, hashable, checked, and the same in JSON."""

import json
import pickle
import subprocess
import sys

import pytest
from pydantic import ValidationError

from artune.spec.options import parse_spec, with_options
from artune.spec.style import Optimise, StyleSpec, bytes_of


def test_specs_are_frozen_and_come_back_from_json():
    spec = StyleSpec(method=Optimise(style_layers={"relu1_1": 2.0}), strength=0.25, style_weights=(1.0, 3.0))
    assert parse_spec(json.loads(spec.model_dump_json())) == spec
    with pytest.raises(Exception, match="frozen"):
        spec.strength = 1.0


def test_layers_and_losses_are_frozen_too():
    method = Optimise(style_layers={"relu1_1": 2}, loss="gram")
    for weights in (method.style_layers, method.loss, Optimise().loss):
        with pytest.raises(TypeError):
            weights["relu1_1"] = 1.0
    assert method.style_layers == {"relu1_1": 2.0}
    assert method.model_dump()["style_layers"] == {"relu1_1": 2.0}
    assert type(method.model_dump()["style_layers"]) is dict
    assert json.loads(method.model_dump_json())["loss"] == {"gram": 1.0}


def test_equal_specs_have_equal_hashes():
    def spec(**layers):
        return StyleSpec(method=Optimise(style_layers=layers), region_strengths=(0.5,))

    assert hash(StyleSpec()) == hash(StyleSpec())
    one, other = spec(relu1_1=1, relu2_1=2), spec(relu2_1=2.0, relu1_1=1.0)
    assert one == other
    assert len({one, other, spec(relu1_1=1), StyleSpec(), parse_spec(one.model_dump())}) == 3


def test_changed_specs_can_be_hashed():
    spec = with_options(StyleSpec(), {"loss": {"gram": 2}, "content_layers": {"relu4_1": 1}})
    copied = spec.model_copy(update={"method": spec.method.model_copy(update={"loss": {"gram": 2.0}})})
    assert copied == spec
    assert hash(copied) == hash(spec)
    with pytest.raises(TypeError):
        copied.method.loss["gram"] = 1.0


def test_specs_travel_to_other_processes():
    """Where strings have other hashes: a hash that was kept would be wrong there."""
    spec = StyleSpec(method=Optimise(loss={"w2": 1, "gram": 2}))
    hash(spec)
    code = (
        "import pickle, sys; from artune.spec.style import *; spec = pickle.loads(sys.stdin.buffer.read()); "
        "assert hash(spec) == hash(StyleSpec(method=Optimise(loss={'gram': 2, 'w2': 1})))"
    )
    subprocess.run([sys.executable, "-c", code], input=pickle.dumps(spec), check=True)


def test_layers_are_checked():
    for bad in ({"relu1_1": -1}, {"relu1_1": "x"}, {"relu1_1": 0}, [1], 1):
        with pytest.raises(ValidationError):
            Optimise(style_layers=bad)


def test_names_alone_have_weight_1():
    for names in ("relu1_1", ["relu1_1"], ("relu1_1",)):
        assert Optimise(style_layers=names, content_layers=names) == Optimise(
            style_layers={"relu1_1": 1}, content_layers={"relu1_1": 1}
        )
    assert Optimise(loss=["w2", "gram"]).loss == {"w2": 1, "gram": 1}


@pytest.mark.parametrize(
    ("text", "size"), [("4GiB", 4 * 2**30), ("500MB", 500_000_000), ("6e9", 6_000_000_000), ("1.5 gib", 3 * 2**29)]
)
def test_sizes_of_memory(text, size):
    assert bytes_of(text) == size
    assert StyleSpec(memory=text).memory == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8", "8 is 8 bytes, too few for any picture; did you mean 8GiB"),
        (" 0.5 ", "did you mean 0.5GiB"),
        ("4096", "did you mean 4096MiB"),
        ("8k", "8k is 8000 bytes, too few for any picture; did you mean 4GiB"),
        ("much", "'much' is no size; write 4GiB"),
        ("0GiB", "is no size"),
    ],
)
def test_memory_without_a_unit(text, message):
    with pytest.raises(ValidationError, match=message):
        StyleSpec(memory=text)


def test_neither_specs_nor_the_command_line_import_torch():
    code = "import sys, artune, artune.spec.style, artune.record, artune.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
