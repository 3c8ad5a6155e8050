from collections.abc import Collection as Names
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from artune.analysis import dissect as module
from artune.analysis.concepts import COLOURS, Collection
from artune.analysis.dissect import Dissection, dissect, mask_of, subjects
from artune.analysis.dissect_page import heated, masked, strip, write_dissection
from artune.analysis.folder import Results
from artune.analysis.triples import read_triples
from artune.backbones.base import NO_METADATA, Backbone, Features, Image, TapInfo
from artune.errors import InputError, OutputError, SpecError, UnknownNameError
from artune.images.picture import Picture
from artune.images.write import write_picture
from tests.commands import call

RED = [*COLOURS].index("red")


class Seer(Backbone):
    """Its first unit is redness; the others are brightness in some frequencies, and one is constant."""

    name = "seer"
    smallest = 8

    def __init__(self) -> None:
        super().__init__()
        self.taps = {"units": TapInfo(8, 4, 4, 1.0, 1.0)}
        self.pictures = 0

    def forward(self, image: Image, taps: Names[str]) -> Features:
        self.pictures += 1
        small = torch.nn.functional.avg_pool2d(image, 4)
        red = small[:, :1] - small[:, 1:].amax(1, keepdim=True)
        others = [5 * torch.sin(k * small.sum(1, keepdim=True)) for k in range(1, 7)]
        return {"units": torch.cat([red, *others, torch.ones_like(red)], 1)}

    def load(self, weights: Mapping[str, Tensor], where: str, metadata: Mapping[str, str] = NO_METADATA) -> None:
        """It has none."""

    def weights(self, tap: str) -> dict[str, Tensor]:
        return {}


@pytest.fixture
def seer(monkeypatch):
    """The name of every network stands for it."""
    network = Seer()
    monkeypatch.setattr(module, "load_network", lambda name, **more: (network, "0"))
    monkeypatch.setattr(module, "structure", lambda name: network)
    return network


@pytest.fixture
def pictures(tmp_path, rng):
    """Two classes of grey pictures with a red square; that of the first class is larger."""
    for number in range(8):
        label = "large" if number % 2 else "small"
        grey = 0.1 + 0.8 * np.kron(rng.random((16, 16)), np.ones((4, 4)))
        pixels = np.repeat(grey[..., None], 3, 2).astype(np.float32)
        side = 16 if number % 2 else 8
        top, left = 4 * rng.integers(0, 12, 2)
        pixels[top : top + side, left : left + side] = (0.9, 0.05, 0.05)
        write_picture(Picture(pixels), tmp_path / "data" / label / f"{number}.png")
    return tmp_path / "data"


def asked(pictures, **more):
    chosen = subjects(["compact"], {}, ["units"], controls=False)
    return Dissection(tuple(chosen), Collection.read([pictures], 64), **more)


def ignored(*call):
    """No progress is shown."""


def test_a_unit_that_is_red_matches_red(seer, pictures, tmp_path):
    found = dissect(asked(pictures), Results.open(tmp_path / "out"), ignored)
    units = found.layers["compact"]["units"]
    places, values = units.matched(found.concepts("colour"), "colour")
    assert places[0] == RED
    assert values[0] > 0.9
    own, rotated = values[: units.units], values[units.units :]
    assert len(rotated) == module.ROTATIONS * units.units
    assert (rotated > 0.5).mean() < 1 / units.units
    assert found.share("compact", "units", "colour") >= 1 / units.units
    assert own[-1] == 0  # never changes, so it is never active
    mask = mask_of(units, 0, 0, (64, 64))
    assert mask.shape == (16, 16)
    assert mask.any()


def test_pictures_that_excite_a_unit_most(seer, pictures, tmp_path):
    found = dissect(asked(pictures), Results.open(tmp_path / "out"), ignored)
    samples = found.dissection.collection.samples
    best = [samples[place].file for place in found.layers["compact"]["units"].best[0]]
    peaks = {}
    for sample in samples:
        picture = found.dissection.collection.picture(sample)
        peaks[sample.file] = seer(picture.tensor(), ["units"])["units"][0, 0].max()
    assert min(peaks[file] for file in best) >= sorted(peaks.values())[-len(best)]


def test_nothing_is_computed_twice(seer, pictures, tmp_path):
    results = Results.open(tmp_path / "out")
    first = dissect(asked(pictures), results, ignored)
    passed = seer.pictures
    assert passed == 16  # each picture twice
    again = dissect(asked(pictures), Results.open(tmp_path / "out"), ignored)
    assert (first.computed, again.computed, seer.pictures) == (1, 0, passed)
    np.testing.assert_equal(again.layers["compact"]["units"].arrays(), first.layers["compact"]["units"].arrays())
    next(iter((tmp_path / "out" / "layers").iterdir())).write_bytes(b"cut short")
    assert dissect(asked(pictures), results, ignored).computed == 1
    next(iter((pictures / "small").iterdir())).unlink()
    assert dissect(asked(pictures), results, ignored).computed == 1


def test_ctrl_c_leaves_what_is_finished(seer, pictures, tmp_path):
    chosen = subjects(["a=compact", "b=compact"], {}, ["units"], controls=False)
    two = Dissection(tuple(chosen), Collection.read([pictures], 64))

    def interrupted(what, done, total):
        if what == "b":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dissect(two, Results.open(tmp_path / "out"), interrupted)
    assert dissect(two, Results.open(tmp_path / "out"), ignored).computed == 1


def test_styles_and_contents_of_painted_pictures(seer, pictures, tmp_path, monkeypatch):
    """Paintings that differ in red, and photographs that differ in brightness."""
    files = []
    for style in range(3):
        files.append([])
        for content in range(3):
            pixels = np.full((16, 16, 3), 0.2 + 0.2 * content, np.float32)
            pixels[..., 0] += 0.15 * style
            files[-1].append(tmp_path / f"{style}{content}.png")
            write_picture(Picture(pixels), files[-1][-1])
    crossed = module.Crossed(tuple(files[0]), tuple(row[0] for row in files))
    monkeypatch.setattr(module.Crossed, "paint", lambda self, folder, on_progress: files)
    found = dissect(asked(pictures, crossed=crossed), Results.open(tmp_path / "out"), ignored)
    answers = found.answers("compact")["units"]
    assert answers.style[0] > 0.99
    assert answers.content[0] < 0.01
    assert len(found.triples) == 2
    write_dissection(tmp_path / "out", found)
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "Its scores place the style loss at units, the content loss at units" in page
    assert "Photograph, painting, result" in page
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )
    scores = (tmp_path / "out" / "scores.csv").read_text().splitlines()
    assert scores[1].startswith("compact,units,")
    units = (tmp_path / "out" / "units.csv").read_text().splitlines()
    assert len(units) == 9
    assert ",red," in units[1]


def test_networks_and_their_controls():
    found = subjects(["compact", "b=compact", "vgg16"], {"b": "w.safetensors", "vgg16": "random"})
    assert [(each.label, each.name, each.weights, each.control) for each in found] == [
        ("compact", "compact", None, ""),
        ("b", "compact", "w.safetensors", ""),
        ("vgg16", "vgg16", "random", ""),
        ("compact, untrained", "compact", "random", "untrained"),
    ]
    assert found[0].layers == ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


@pytest.mark.parametrize(
    ("networks", "weights", "layers", "error", "message"),
    [
        (["vgg9"], {}, [], UnknownNameError, "did you mean vgg19"),
        (["compact"], {}, ["relu9_1"], UnknownNameError, "there is no layer 'relu9_1' in network compact; did you"),
        (["compact"], {"compcat": "a"}, [], UnknownNameError, "did you mean compact"),
        (["compact", "compact"], {}, [], InputError, "two networks are called compact"),
        (["compact"], {}, ["image"], SpecError, "has no units"),
    ],
)
def test_networks_that_cannot_be(networks, weights, layers, error, message):
    with pytest.raises(error, match=message):
        subjects(networks, weights, layers)


def test_a_folder_of_other_files(tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds other files \(note.txt\) and no dissection"):
        Results.open(tmp_path)
    with pytest.raises(OutputError, match="is not a folder"):
        Results.open(tmp_path / "note.txt")


def test_triples_by_folder(tmp_path, photo):
    for name in ("content", "style", "result"):
        write_picture(photo, tmp_path / "one" / f"{name}.png")
    assert [file.name for file in read_triples(tmp_path)[0]] == ["content.png", "style.png", "result.png"]
    (tmp_path / "one" / "style.png").unlink()
    with pytest.raises(InputError, match="no picture called style"):
        read_triples(tmp_path)
    with pytest.raises(InputError, match="there is no triple"):
        read_triples(tmp_path / "one")


def test_pictures_of_the_page(photo):
    mask = np.zeros((8, 12), bool)
    mask[:4] = True
    shown = masked(photo, mask)
    np.testing.assert_array_equal(shown.pixels[:16], photo.pixels[:16])
    assert shown.pixels[16:].mean() < 0.5 * photo.pixels[16:].mean()
    heat = np.linspace(0, 1, 96, dtype=np.float32).reshape(8, 12)
    red = heated(photo, heat, 0.5, 1.0).pixels
    assert np.allclose(red[:6, ..., 0], red[:6, ..., 1], atol=0.01)
    assert (red[-1, :, 0] > red[-1, :, 1] + 0.2).all()
    assert strip([photo, photo]).size[0] > 2 * photo.size[0]


def test_the_command(seer, pictures, tmp_path):
    asked = ["--layers", "units", "--data", pictures, "--size", 64, "--no-controls"]
    found = call("dissect", "compact", *asked, "-o", tmp_path / "o")
    assert found.exit_code == 0, found.output
    assert "of the units match" in found.output
    assert {path.name for path in (tmp_path / "o").iterdir()} == {
        "dissection.json", "index.html", "layers", "shares.csv", "units.csv",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--layers", "relu9_1"], "did you mean"),
        (["--weights", "compact"], "write mobilenet_v2=FILE"),
        (["--weights", "other=a.pth"], "there is no network 'other'"),
        (["--styles", "x"], "belong together"),
        (["--data", "none"], "there is no folder none"),
    ],
)
def test_bad_input(pictures, tmp_path, more, message):
    found = call("dissect", "compact", "--data", pictures, "-o", tmp_path / "out", *more)
    assert found.exit_code == 2
    assert message in " ".join(found.output.split())
    assert not (tmp_path / "out").exists()


def test_a_foreign_folder(pictures, tmp_path):
    found = call("dissect", "compact", "--data", pictures, "-o", pictures)
    assert found.exit_code == 2
    assert "choose a new folder" in " ".join(found.output.split())
