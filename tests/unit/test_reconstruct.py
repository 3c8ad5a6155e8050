"""Reconstruction: pictures from features, by networks whose answer is known; the folder, and the page."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
import torch

from artune.analysis import reconstruct as subject
from artune.analysis.reconstruct import (
    NOTE,
    PICTURES,
    Inverse,
    Item,
    LayerDistance,
    Reconstruction,
    check_folder,
    contrast,
    psnr,
    read_all,
    reconstruct,
    roughness,
    spread,
    start,
)
from artune.analysis.reconstruct_page import measured, write_page
from artune.engine.descend import run_to_end
from artune.errors import InputError, OutputError, PictureError, SpecError, UnknownNameError
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.write import write_picture
from artune.networks.wct import read_autoencoders
from tests.coders import file_of_coders, plain_weights
from tests.tiny import Tiny, small_vgg


def asked(picture, layers=("double",), backbone=None, **more):
    return Reconstruction.prepare(picture, backbone or Tiny(), "digest", layers, **{"steps": 30, "seeds": 2, **more})


def made(of, **more):
    layer, kind = of.layers[-1], of.kinds[-1]
    return run_to_end(of.make(Item(layer, kind, more.get("method", "regularised"), more.get("seed", 0))))


def flat(level, side=16):
    return Picture(np.full((side, side, 3), level, np.float32))


@pytest.fixture
def inverse(tmp_path_factory):
    file = file_of_coders(plain_weights(), tmp_path_factory.mktemp("coders") / "coders.safetensors")
    return Inverse(read_autoencoders(file), "coders")


# ------------------------------------------------------------------------------------- the descent


def test_a_layer_that_loses_nothing_gives_the_picture_again(photo):
    of = asked(photo)
    for seed in (0, 1):
        assert psnr(made(of, method="plain", seed=seed), photo) > 45
    np.testing.assert_allclose(made(asked(flat(0.5))).pixels, 0.5, atol=1e-3)  # nothing in the rule is against grey


def test_the_rule_fills_in_what_a_layer_does_not_see(photo):
    """``half`` sees 2x2 sums of red alone: without the rule, the noise of the start stays in green and blue."""
    of = asked(photo, ["half"])
    plain, ruled = (made(of, method=method) for method in ("plain", "regularised"))
    assert psnr(ruled, photo) > psnr(plain, photo) + 0.4
    noise = start(of.original(), 0)[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(plain.pixels[..., 1:], noise[..., 1:])
    assert roughness(ruled.tensor())[0] < 0.2 * roughness(plain.tensor())[0]


def test_deep_layers_hold_less(photo):
    of = asked(photo, ["relu3_2", "relu1_1"], small_vgg(), steps=20, seeds=1)
    assert of.layers == ("relu1_1", "relu3_2")
    shallow, deep = (run_to_end(of.make(Item(layer, "content", "regularised", 0))) for layer in of.layers)
    assert psnr(shallow, photo) > psnr(deep, photo)


def test_a_texture_has_the_statistics_of_its_layer_and_of_those_before(photo):
    of = asked(photo, ["relu1_1", "relu2_1", "relu3_1"], small_vgg(), of="style")
    item = Item("relu2_1", "style", "plain", 0)
    assert of.taps_of(item) == ("relu1_1", "relu2_1")
    assert item.file == "relu2_1-style-plain-0.png"
    texture = run_to_end(of.make(item))
    noise = Picture(start(of.original(), 0)[0].permute(1, 2, 0).numpy())
    assert of.errors(item, texture).error < 0.05 * of.errors(item, noise).error
    assert psnr(texture, photo) < 20  # another picture


@pytest.mark.parametrize("kind", ["content", "style"])
def test_the_distance_is_relative(kind, generator):
    features = {"a": torch.rand(1, 3, 6, 7, generator=generator), "b": torch.rand(1, 2, 3, 3, generator=generator)}
    distance = LayerDistance(features, ["a", "b"], kind)
    assert distance(features) == pytest.approx(0, abs=1e-5)
    # twice the features: |2 f - f|^2 is the energy; the optimal transport moves each feature to its double
    assert distance({name: 2 * each for name, each in features.items()}) == pytest.approx(1, rel=1e-3)
    turned = {name: each.flip(2, 3) for name, each in features.items()}  # the same features at other places
    assert (distance(turned) > 0.1) == (kind == "content")
    half = {**features, "b": 2 * features["b"]}
    assert distance(half) == pytest.approx(0.5, rel=1e-3)


def test_the_units_of_the_rule(generator):
    noise = torch.rand(2, 3, 200, 200, generator=generator)
    torch.testing.assert_close(roughness(noise[:, :1].expand(2, 3, 200, 200)), torch.ones(2), rtol=0.02, atol=0)
    # of coloured noise, a third is brightness, and the rest counts four times
    torch.testing.assert_close(roughness(noise), torch.full((2,), 3.0), rtol=0.02, atol=0)
    assert roughness(torch.full((1, 3, 8, 8), 0.3)) == 0
    assert contrast((noise > 0.5).float()).tolist() == [1, 1]
    assert contrast(torch.full((1, 3, 8, 8), 0.5)) == 0


def test_a_descent_that_diverges_is_told(photo, monkeypatch):
    monkeypatch.setattr(subject, "RANGE", float("nan"))
    with pytest.raises(InputError, match="of double diverged after 1 steps"):
        made(asked(photo))


# ------------------------------------------------------------------------------------- inverses and measures


def test_a_learned_inverse_serves_the_layers_of_its_stride(photo, inverse):
    of = asked(photo, ["relu1_1", "relu2_1", "relu3_1"], small_vgg(), inverse=inverse, seeds=1)
    items = [item for item in of.items() if item.method == "inverse"]
    assert [item.layer for item in items] == ["relu1_1", "relu2_1", "relu3_1"]
    first, second, third = (run_to_end(of.make(item)) for item in items)
    np.testing.assert_allclose(first.pixels, photo.pixels, atol=1e-6)  # coders that hand the colours on
    pooled = photo.pixels.reshape(16, 2, 24, 2, 3).max((1, 3)).repeat(2, 0).repeat(2, 1)
    np.testing.assert_allclose(second.pixels, pooled, atol=1e-6)
    assert psnr(third, photo) < psnr(second, photo)


def test_the_spread_of_pictures_that_are_known():
    levels = [flat(level).pixels for level in (0.2, 0.3, 0.5)]
    assert spread(levels) == pytest.approx((0.1 + 0.2 + 0.3) / 3, abs=1e-6)
    assert np.isnan(spread(levels[:1]))


# ------------------------------------------------------------------------------------- the folder


def test_what_is_there_is_not_made_again(photo, tmp_path, monkeypatch):
    of = asked(photo, ["double", "half"], steps=4)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert [*reconstruct(of, whole)][-1] == (16, 16, 4)
    for progress in reconstruct(of, broken):
        if progress.done == 6:  # in the middle of the second picture
            break
    assert [path.name for path in (broken / PICTURES).iterdir()] == ["double-0.png"]
    assert next(reconstruct(of, broken)) == (0, 12, 1)
    *_, last = reconstruct(of, broken)
    assert last == (12, 12, 4)
    ours, theirs = read_all(of, broken), read_all(of, whole)
    assert {item: each.digest() for item, each in ours.items()} == {i: each.digest() for i, each in theirs.items()}
    monkeypatch.setattr(Reconstruction, "make", None)
    assert [*reconstruct(of, whole)] == [(0, 0, 4)]
    monkeypatch.undo()
    more = asked(photo, ["double", "half"], steps=4, seeds=3, plain=True)
    assert next(reconstruct(more, whole)) == (0, 16, 4)
    *_, last = reconstruct(more, whole)
    assert last == (16, 16, 8)
    assert read_picture(whole / PICTURES / "half-2.png").note[NOTE] == more.note(
        Item("half", "content", "regularised", 2)
    )


def test_a_folder_of_something_else_is_refused(photo, painting, tmp_path):
    of = asked(photo, steps=2)
    for _ in reconstruct(of, tmp_path / "ours"):
        pass
    for other, differs in (
        (asked(photo, steps=3), "steps"),
        (asked(painting, steps=2), "picture, size"),
        (asked(photo, ["half"], steps=3), "steps"),
    ):
        with pytest.raises(OutputError, match=rf"differ in {differs} \(double-0.png\); choose a new folder"):
            check_folder(tmp_path / "ours", other)
    check_folder(tmp_path / "ours", asked(photo, ["half"], steps=2))
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "index.html").touch()
    with pytest.raises(OutputError, match=r"holds other files \(index.html\) and no reconstructions"):
        check_folder(tmp_path / "theirs", of)
    write_picture(photo, tmp_path / "ours" / PICTURES / "double-1.png")
    with pytest.raises(OutputError, match=r"double-1\.png is no reconstruction of artune"):
        check_folder(tmp_path / "ours", of)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is not a folder"):
        check_folder(tmp_path / "file", of)


# ------------------------------------------------------------------------------------- requests


def test_requests_that_cannot_be(photo, inverse):
    with pytest.raises(UnknownNameError, match="did you mean double"):
        asked(photo, ["doubel"])
    with pytest.raises(SpecError, match="no `layers` are given"):
        asked(photo, [])
    with pytest.raises(SpecError, match="choose content, style or both"):
        asked(photo, of="contents")
    with pytest.raises(SpecError, match="must be at least 1"):
        asked(photo, steps=0)
    with pytest.raises(SpecError, match="not textures"):
        asked(photo, of="style", inverse=inverse)
    with pytest.raises(PictureError, match=r"8x8 pixels are too few: .* similarity needs .* 11; give a larger"):
        asked(flat(0.5, 8))
    with pytest.raises(SpecError, match=r"12x8 pixels are too few: .* choose a `size` of 17 or more"):
        asked(photo, size=12)
    deep = Tiny()
    deep.taps = {"double": replace(deep.taps["double"], stride=64)}
    with pytest.raises(PictureError, match="layer double needs a shorter side of 128; give a larger picture"):
        asked(photo, backbone=deep)
    deep.taps = {"double": replace(deep.taps["double"], stride=3)}
    with pytest.raises(SpecError, match="strides 1, 2, 4, 8, 16; none of the layers has one"):
        asked(photo, backbone=deep, inverse=inverse)


def test_a_picture_is_reduced_and_never_enlarged(photo):
    assert asked(photo).picture.size == photo.size == (48, 32)
    assert asked(photo, size=24).picture.size == (24, 16)


# ------------------------------------------------------------------------------------- the page


def test_the_page_has_all_layers_and_their_figures(photo, inverse, tmp_path):
    layers = ["relu1_1", "relu2_1"]
    of = asked(photo, layers, small_vgg(), of="both", steps=1, plain=True, inverse=inverse)
    for _ in reconstruct(of, tmp_path):
        pass
    rows = write_page(tmp_path, of, name="<cat>", network="small", command="artune reconstruct 'a b.png'")
    assert [(row.layer, row.name, len(row.pictures)) for row in rows] == [
        (layer, name, count)
        for names in (
            {"content": 2, "content, no regularisation": 1, "learned inverse": 1},
            {"style": 2, "style, no regularisation": 1},
        )
        for layer in layers
        for name, count in names.items()
    ]
    html = (tmp_path / "index.html").read_text()
    assert html.count("<figure>") == len(of.items()) + 4  # the original at each layer of each kind
    assert "hold of &lt;cat&gt;" in html
    assert "artune reconstruct &#39;a b.png&#39;" in html
    table = [*csv.DictReader(io.StringIO((tmp_path / "errors.csv").read_text()))]
    assert len(table) == len(of.items())
    first = read_picture(tmp_path / PICTURES / "relu1_1-0.png")
    found = of.errors(Item("relu1_1", "content", "regularised", 0), first)
    assert float(table[0]["psnr"]) == pytest.approx(found.psnr, abs=1e-3)
    assert float(table[0]["error"]) == pytest.approx(found.error, rel=1e-4)
    assert table[2] | {"error": "", "psnr": "", "ssim": ""} == {
        "layer": "relu1_1",
        "of": "content",
        "method": "plain",
        "seed": "0",
        "spread": "",
        "error": "",
        "psnr": "",
        "ssim": "",
    }
    assert {path.name for path in tmp_path.iterdir()} == {PICTURES, *subject.FILES}


def test_rows_are_means_over_the_seeds(photo):
    of = asked(photo)
    pictures = {item: flat(level, 48).resized(48, 32) for item, level in zip(of.items(), (0.4, 0.6), strict=True)}
    (row,) = measured(of, pictures)
    errors = [of.errors(item, picture) for item, picture in pictures.items()]
    assert row.mean == pytest.approx(tuple(np.mean(errors, 0)))
    assert row.spread == pytest.approx(0.2, abs=1e-6)
