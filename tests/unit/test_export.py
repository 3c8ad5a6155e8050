"""Networks as ONNX files: what is written, and what is refused."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

import artune
from artune.assets import sample_photo, sample_style
from artune.backbones.compact import Compact, CompactConfig
from artune.cli import app
from artune.errors import MissingExtraError, OutputError, UnknownNameError, WeightsError
from artune.files import file_digest
from artune.images.read import read_picture
from artune.images.sources import as_picture
from artune.networks import export as module
from artune.networks.conversion import OPSET
from artune.networks.loaded import PainterNetwork
from artune.networks.painter import REVISION_TAPS, STEP_TAPS, Painter, PainterConfig
from artune.networks.portable import LARGE, SMALL, Size
from artune.spec.style import StyleSpec
from tests.networks import Tiny
from tests.scripts import imported
from tests.trained import write_johnson, write_painter

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "onnx_apply.py"
SIZES = (Size(1, 1, REVISION_TAPS),)
"""Of a layout that is quickly exported."""


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Tiny()


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported") / "folder"
    seen = []
    files = artune.export_network(network, out, licence="MIT", on_graph=lambda done, total: seen.append((done, total)))
    assert [file.name for file in files] == ["network.onnx", "model.json"]
    assert all(file.parent == out for file in files)
    assert seen == [(0, 1)]
    assert network.training  # as it was given
    assert all(parameter.requires_grad for parameter in network.parameters())
    return out


@pytest.fixture(scope="module", autouse=True)
def _few_iterations():
    """Each takes long to be traced, and they are all alike."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("artune.networks.roots.NEAR", 0.7)
        yield


@pytest.fixture(scope="module")
def painter():
    """A small one, whose steps change a picture much."""
    torch.manual_seed(1)
    encoder = Compact(CompactConfig(((6,), (8,), (8,), (10,), (12,)))).eval()
    config = PainterConfig(widths=(4, 4, 8), convolutions=(1, 1, 1), revision=4, revision_convolutions=1, embedding=8)
    made = Painter(encoder, config).eval()
    for part in (made.whole, made.revision):
        for parameter in part.parameters():
            nn.init.normal_(parameter, std=0.1)
    made.requires_grad_(False)
    made.set_units(torch.stack([each.square().mean().sqrt() for each in made.features(torch.rand(1, 3, 64, 64))]))
    return made


@pytest.fixture(scope="module")
def painter_folder(painter, tmp_path_factory):
    """The files of a painter that makes one revision."""
    out = tmp_path_factory.mktemp("painter") / "folder"
    module._write(module.painter_graphs(painter, {"": SIZES}), {"kind": "painter", "licence": "MIT"}, {}, out, None)
    return out


@pytest.mark.parametrize(("height", "width"), [(48, 32), (33, 71), (100, 20)])
def test_a_network_computes_the_same_elsewhere(exported, network, height, width):
    image = torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(exported / "network.onnx")
    (found,) = session.run(["picture"], {"photograph": image.numpy()})
    np.testing.assert_allclose(found, network(image).detach(), rtol=0, atol=1e-4)


def test_the_description_is_that_of_the_file_and_stands_in_it(exported):
    about = json.loads((exported / "model.json").read_text())
    model = onnx.load(exported / "network.onnx")
    within = {each.key: each.value for each in model.metadata_props}
    assert (about["format"], about["version"], about["kind"]) == ("artune-onnx", 1, "trained")
    assert (about["artune"], about["licence"], len(about["weights"])) == (artune.__version__, "MIT", 64)
    assert about["opset"] == OPSET == model.opset_import[0].version
    files = about.pop("files")
    assert within == {key: value if isinstance(value, str) else json.dumps(value) for key, value in about.items()} | {
        key: json.dumps(value) for key, value in files["network.onnx"].items()
    }
    described = {"type": "float32", "shape": [1, 3, "height", "width"], "range": [0.0, 1.0], "smallest": 16}
    assert files["network.onnx"] == {"inputs": {"photograph": described}, "outputs": {"picture": described}}


@pytest.fixture
def traced(exported, monkeypatch):
    """The graph of the network as it was exported before; to trace it takes seconds."""
    monkeypatch.setattr(module, "converted", lambda *args: onnx.load(exported / "network.onnx"))


def test_the_digest_is_that_of_the_weights(exported, traced, network, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "difference", lambda *args: 0.0)
    other = Tiny()
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        other.body[1].bias += 1
    artune.export_network(other, tmp_path / "other", licence="MIT")
    one, two = (json.loads((folder / "model.json").read_text()) for folder in (exported, tmp_path / "other"))
    assert one["weights"] != two["weights"]


class Otherwise(nn.Module):
    """A network that is traced otherwise than it computes."""

    def forward(self, image):
        return image * (0.9 if torch.compiler.is_exporting() else 1.0)


def test_nothing_is_written_where_the_results_differ(tmp_path):
    with pytest.raises(WeightsError, match=r"nothing was written: in network\.onnx, .* differs from PyTorch by 0\.08"):
        artune.export_network(Otherwise(), tmp_path / "out", licence="MIT")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_written_only_if_that_is_asked_for(traced, network, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="exists and is not empty; give a new folder as `out`, or `overwrite`"):
        artune.export_network(network, tmp_path, licence="MIT")
    with pytest.raises(OutputError, match="exists and is not empty"):
        artune.export("painter", tmp_path)
    artune.export_network(network, tmp_path, licence="MIT", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "network.onnx", "notes.txt"]


def test_a_file_is_no_folder(network, tmp_path):
    (tmp_path / "a").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="it is a file; give a folder as `out`"):
            artune.export_network(network, tmp_path / "a", licence="MIT", overwrite=overwrite)


def test_models_that_there_are_not(tmp_path):
    with pytest.raises(UnknownNameError, match=r"there is no model 'paintr'.*did you mean painter\?"):
        artune.export("paintr", tmp_path / "out")
    (tmp_path / "a.txt").write_text("no model")
    with pytest.raises(WeightsError, match=r"a\.txt is damaged or not a weights file"):
        artune.export(tmp_path / "a.txt", tmp_path / "out")
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match=r"a\.safetensors holds no painter; give .*, or export `painter`$"):
        artune.export(tmp_path / "a.safetensors", tmp_path / "out")
    with pytest.raises(WeightsError, match="is a folder"):
        artune.export(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_the_extra_it_is_said_before_the_work(monkeypatch, tmp_path, network):
    monkeypatch.setattr("artune.extras.find_spec", lambda name: None)
    for call in (
        lambda: artune.export("painter", tmp_path / "out"),
        lambda: artune.export_network(network, tmp_path / "out", licence="MIT"),
    ):
        with pytest.raises(MissingExtraError, match=r"exporting needs onnx, .*: pip install 'artune\[export\]'"):
            call()


def test_all_graphs_of_a_painter_are_written(monkeypatch, tmp_path):
    """Without making them, which takes minutes."""
    written = {}

    def write(graphs, about, others, out, on_graph):
        written.update(g=graphs, a=about, o=others)
        return []

    monkeypatch.setattr(module, "_write", write)
    artune.export("painter", tmp_path / "out")
    assert [graph.file for graph in written["g"]] == [
        "painting.onnx",
        "painter.onnx",
        "painting-large.onnx",
        "painter-large.onnx",
    ]
    assert written["a"] == {
        "kind": "painter",
        "K": 147_960,  # part of the format
        "weights": PainterNetwork.load(StyleSpec()).digest,
        "licence": "MIT",
    }
    assert written["g"][0].output.shape == written["g"][1].inputs[1].shape == (1, 147_960)
    assert not written["o"]
    painting = read_picture(sample_style("mosaic"))
    write_painter(tmp_path / "style.safetensors", painting)
    artune.export(tmp_path / "style.safetensors", tmp_path / "out")
    assert len(written["g"]) == 4
    assert written["a"] == {
        "kind": "painter",
        "K": 147_960,
        "weights": file_digest(tmp_path / "style.safetensors"),
        "licence": "paintings: CC0",
        "trained_on": ["a.png"],
    }
    (name, data), *_ = written["o"].items()
    assert name == "painting-1.jpg"
    assert np.abs(as_picture(data).pixels - painting.pixels).mean() < 0.02


def test_a_trained_style_is_one_graph(tmp_path):
    """Its sides need not be multiples of 4, which is where the network enlarges to more than it was given."""
    photo = read_picture(sample_photo("cat"))
    write_johnson(tmp_path / "style.safetensors", photo)
    artune.export(tmp_path / "style.safetensors", tmp_path / "out")
    about = json.loads((tmp_path / "out" / "model.json").read_text())
    assert about["kind"] == "trained"
    assert about["licence"] == "paintings: CC0"
    assert about["trained_on"] == ["a.png"]
    style = artune.load_style(tmp_path / "style.safetensors")
    for name, (width, height) in {"a": (64, 48), "b": (37, 18), "c": (16, 101)}.items():
        small = photo.resized(width, height)
        small.save(tmp_path / f"{name}.png")
        words = [tmp_path / "out", tmp_path / f"{name}.png", tmp_path / f"{name}-out.png"]
        made = without_artune(ROOT / "examples" / "onnx_style.py", *words)
        wanted = style.paint(read_picture(tmp_path / f"{name}.png").tensor())
        assert wanted.std() > 0.02
        np.testing.assert_allclose(made.tensor(), wanted, rtol=0, atol=0.6 / 255)


WITHOUT = """
import runpy, sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "artune"):
            raise ImportError(f"{name} is imported")
sys.meta_path.insert(0, Refused())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def without_artune(example, *words):
    """The picture that an example writes to its last argument."""
    words = [example, *words]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return read_picture(words[-1])


def test_the_example_needs_neither_artune_nor_pytorch(painter_folder, painter, tmp_path):
    photo, painting = (
        read_picture(file).resized(*size)
        for file, size in zip((sample_photo("cat"), sample_style("mosaic")), ((61, 40), (48, 36)), strict=True)
    )
    photo.save(tmp_path / "photo.png")
    painting.save(tmp_path / "painting.png")
    with Image.open(tmp_path / "painting.png") as small:  # it is enlarged to the longer side of the photograph
        small.resize((61, 46), Image.Resampling.LANCZOS).save(tmp_path / "enlarged.png")
    photo = read_picture(tmp_path / "photo.png")
    made = {
        share: without_artune(
            EXAMPLE, painter_folder, tmp_path / "photo.png", tmp_path / "painting.png", share, tmp_path / "out.png"
        )
        for share in (0, 0.8)
    }
    assert made[0].digest() == photo.digest()
    assert made[0.8].size == photo.size
    assert np.abs(made[0.8].pixels - photo.pixels).mean() > 0.01
    read, paint = module.painter_graphs(painter, {"": SIZES})
    with torch.no_grad():
        style = read.compute(read_picture(tmp_path / "enlarged.png").tensor())
        wanted = paint.compute(photo.tensor(), style, torch.tensor([0.8]))
    np.testing.assert_allclose(made[0.8].tensor(), wanted, rtol=0, atol=1 / 255)


def test_the_page_shows_the_example():
    _, _, code = EXAMPLE.read_text().split('"""')
    assert f"~~~python\n{code.strip()}\n~~~\n" in (ROOT / "docs/export.md").read_text()
    lines = code.splitlines()
    assert sum(bool(line.strip()) and not line.startswith(("import", "from")) for line in lines) <= 15


@pytest.mark.parametrize(("sizes", "largest"), [(SMALL, (320, 240)), (LARGE, (640, 480))])
def test_a_layout_is_compared_at_a_size_that_it_is_for(painter, sizes, largest):
    for graph in module.painter_graphs(painter, {"": sizes}):
        assert [example[0].shape[:1:-1] for example in graph.examples] == [*module.COMPARED, largest]


@pytest.mark.slow
def test_whole_steps_and_revisions_at_several_sizes_compute_the_same_elsewhere(painter):
    _, graph = module.painter_graphs(painter, {"": (Size(2, 1, STEP_TAPS), Size(1, 1, REVISION_TAPS))})
    model = graph.make(graph.examples[1])
    assert module.difference(model.SerializeToString(), graph) < 1e-3


def test_the_benchmark_prints_times_and_distances(painter_folder, painter, monkeypatch, capsys):
    with imported("exported") as benchmark:
        monkeypatch.setattr(benchmark, "SMALL", SIZES)
        network = replace(PainterNetwork.load(StyleSpec()), painter=painter)
        monkeypatch.setattr(benchmark.PainterNetwork, "load", lambda *args: network)
        monkeypatch.setattr(sys, "argv", ["exported.py", str(painter_folder), "--sizes", "48", "--runs", "1"])
        monkeypatch.setattr(benchmark.torch, "set_num_threads", lambda count: None)
        benchmark.main()
    printed = capsys.readouterr().out
    assert printed.startswith("48 px")
    assert printed.count(" ms\n") == 5
    (ours,) = re.findall(r"from PyTorch +([\d.]+) dB", printed)
    assert float(ours) > 60
    assert "from instant" in printed


def test_the_command(monkeypatch, tmp_path):
    made = []

    def export(model, out, *, overwrite, on_graph):
        made.append((model, out, overwrite))
        on_graph(0, 1)
        (tmp_path / "a.onnx").write_bytes(bytes(2_500_000))
        return [tmp_path / "a.onnx"]

    monkeypatch.setattr(module, "export", export)
    done = CliRunner().invoke(app, ["export", "painter", "-o", str(tmp_path), "--overwrite"])
    assert done.exit_code == 0
    assert made == [("painter", tmp_path, True)]
    assert done.stderr == f"{tmp_path / 'a.onnx'}: 2.5 MB\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["paintr", "-o", "new"], "did you mean painter?"),
        (["painter", "-o", "."], "give a new folder as --out, or --overwrite"),
        (["painter", "-o", "text.txt"], "it is a file; give a folder as --out"),
        (["text.txt", "-o", "new"], "not a weights file"),
        (["painter", "-o", "text.txt/a"], "is not a folder"),
    ],
)
def test_what_the_command_refuses(words, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text("text")
    done = CliRunner().invoke(app, ["export", *words])
    assert done.exit_code == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not Path("new").exists()
