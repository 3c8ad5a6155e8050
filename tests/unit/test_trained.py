"""The file of a trained style: what was written is read, and what does not fit is refused."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from artune.errors import OutputError, SpecError, WeightsError
from artune.files import file_digest
from artune.networks.trained import ENTRY, LONGEST_PAINTING, StyleNetwork, _digest, painter_network, read_style
from artune.spec.style import StyleSpec
from tests.trained import info, johnson, write_johnson, write_painter


@pytest.fixture
def written(tmp_path, photo):
    network = write_johnson(tmp_path / "a.safetensors", photo)
    return network, tmp_path / "a.safetensors"


def test_a_network_that_was_written_is_read(written, photo, generator):
    network, path = written
    found = read_style(path)
    assert found.info == info(network)
    assert found.info.base == "johnson"
    assert found.digest == file_digest(path)
    assert found.paintings == ()
    assert found.thumbnail.size == photo.size
    assert np.abs(found.thumbnail.pixels - photo.pixels).mean() < 0.02
    own = network.state_dict()
    assert found.network.state_dict().keys() == own.keys()
    for name, tensor in found.network.state_dict().items():
        torch.testing.assert_close(tensor, own[name], rtol=5e-4, atol=1e-6)  # fp16 has 11 bits
        assert tensor.dtype == torch.float32
    image = torch.rand((1, 3, 20, 24), generator=generator)
    torch.testing.assert_close(found.network(image), network(image), rtol=0, atol=2e-3)
    assert not any(parameter.requires_grad for parameter in found.network.parameters())


def test_a_painter_brings_its_painting(tmp_path, painting):
    large = painting.resized(1500, 1000)
    network = write_painter(tmp_path / "p.safetensors", large)
    found = read_style(tmp_path / "p.safetensors")
    assert found.info.base == "painter"
    assert [each.size for each in found.paintings] == [(LONGEST_PAINTING, 683)]
    assert np.abs(found.paintings[0].pixels - large.resized(1024, 683).pixels).mean() < 0.01
    own = network.painter.state_dict()
    for name, tensor in found.network.state_dict().items():
        torch.testing.assert_close(tensor, own[name], rtol=5e-4, atol=1e-6)
    assert (tmp_path / "p.safetensors").stat().st_size < 2e6
    spec = StyleSpec(device="cpu")
    assert painter_network(found, spec).digest == found.digest
    with pytest.raises(WeightsError, match="holds a painter and its paintings"):
        StyleNetwork.load(spec, tmp_path / "p.safetensors")


def test_the_same_style_has_the_same_bytes(tmp_path, photo):
    for name in ("a", "b"):
        write_johnson(tmp_path / f"{name}.safetensors", photo)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_a_file_that_exists_is_kept_if_told_so(written, photo):
    from artune.networks.trained import write_style

    network, path = written
    before = path.read_bytes()
    with pytest.raises(OutputError, match="written by another run"):
        write_style(path, info(network), johnson(1), [], photo, replace=False)
    assert path.read_bytes() == before


def changed(path, tensors=None, about=None, *, seal=True):
    """The file with other tensors, or other words, and a digest that fits them."""
    with safe_open(path, "pt") as file:
        metadata = dict(file.metadata())
    found = load_file(path)
    if tensors:
        found = tensors(found)
    if about:
        data = json.loads(metadata[ENTRY])
        about(data)
        metadata[ENTRY] = json.dumps(data)
    if seal:
        metadata["sha256"] = _digest(found, metadata[ENTRY])
    save_file(found, path, metadata)
    return path


def without(name):
    return lambda tensors: {key: value for key, value in tensors.items() if key != name}


def setting(name, value):
    return lambda tensors: {**tensors, name: value}


LAST = "network.last.bias"


@pytest.mark.parametrize(
    ("tensors", "about", "message"),
    [
        (without(LAST), None, "does not fit a network of the shape that it names: last.bias is missing or wrong"),
        (setting("network.more", torch.zeros(1)), None, "holds more, which is no part of"),
        (setting(LAST, torch.zeros(4)), None, "does not fit .*: last.bias is missing"),
        (setting(LAST, torch.zeros(3, dtype=torch.int64)), None, "does not fit .*: last.bias is missing"),
        (setting(LAST, torch.tensor([0, torch.nan, 0])), None, "values that are not finite"),
        (without("thumbnail"), None, "does not hold the pictures"),
        (setting("painting.0", torch.zeros(9, dtype=torch.uint8)), None, "does not hold the pictures"),
        (setting("thumbnail", torch.zeros(9, dtype=torch.uint8)), None, "one of its pictures cannot be read"),
        (setting("thumbnail", torch.zeros(9)), None, "one of its pictures cannot be read"),
        (
            None,
            lambda data: data.update(shape={"widths": [4, 6, 10**6], "blocks": 1}),
            "that this version .* understands",
        ),
        (None, lambda data: data.update(shape={"widths": [4, 6], "blocks": 1}), "that this version .* understands"),
        (None, lambda data: data.update(shape={"widths": [4, 6, 8], "depth": 1}), "does not fit a network"),
        (None, lambda data: data.update(strange=1), "that this version .* understands"),
        (None, lambda data: data.pop("steps"), "that this version .* understands"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(written, tensors, about, message):
    with pytest.raises(WeightsError, match=message):
        read_style(changed(written[1], tensors, about))


def test_a_damaged_file_is_refused(written):
    _, path = written
    with pytest.raises(WeightsError, match="damaged: its sha256"):
        read_style(changed(path, setting(LAST, torch.ones(3)), seal=False))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="damaged"):
        read_style(path)


def test_a_painter_of_another_compact_network_is_refused(tmp_path, painting):
    path = tmp_path / "p.safetensors"
    write_painter(path, painting)
    with pytest.raises(WeightsError, match="another compact network"):
        read_style(changed(path, about=lambda data: data.update(encoder="0" * 16)))


def test_files_of_another_kind_are_refused(tmp_path, painting):
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="holds no trained style; give a file that artune train has written"):
        read_style(tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").write_text("words")
    with pytest.raises(WeightsError, match="damaged or not a weights file"):
        read_style(tmp_path / "b.safetensors")
    (tmp_path / "c.txt").write_text("words")
    with pytest.raises(WeightsError, match=r"is no trained style, whose file ends in \.safetensors"):
        read_style(tmp_path / "c.txt")
    with pytest.raises(WeightsError, match="no weights file"):
        read_style(tmp_path / "nothing.safetensors")


def test_what_cannot_be_asked_of_it(written):
    spec = StyleSpec(device="cpu")
    with pytest.raises(SpecError, match="needs a trained style"):
        StyleNetwork.load(spec)
    with pytest.raises(SpecError, match="fp32 alone"):
        StyleNetwork.load(spec.model_copy(update={"precision": "bf16"}), written[1])
    network = StyleNetwork.load(spec, written[1])
    with pytest.raises(SpecError, match="bf16"):
        network.check(spec.model_copy(update={"precision": "bf16"}))
