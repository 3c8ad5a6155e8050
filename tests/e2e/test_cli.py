"""The command line, as a user meets it."""

import json
import platform
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, get_args, get_origin

import numpy as np
import pytest
import torch
from PIL import Image

from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.write import write_picture
from artune.spec.style import METHOD_FIELDS, StyleSpec
from artune.transfer.budget import PROCESS_BYTES
from artune.transfer.optimise import in_tiles
from tests.coders import coder_weights, file_of_coders
from tests.commands import call, refused
from tests.runs import budget, planned

FAST = ["--size", "48", "--steps", "3", "--precision", "fp32", "--strength", "0.5"]


def style(files, *more, out="out.png"):
    return ["style", files / "photo.png", files / "painting.png", "-o", files / out, *FAST, *more]


def test_one_picture(files):
    result = call(*style(files))
    assert result.exit_code == 0, result.output
    assert "48x32, 3 steps" in result.output
    assert read_picture(files / "out.png").size == (48, 32)
    assert not (files / "out.png.partial").exists()


def test_the_balance_is_found_and_told(files):
    result = call(*style(files, "--strength", "auto"))
    assert re.search(r"strength 0\.\d\d.*\(found in \d+\.\d s\)", result.output)
    spec = json.loads(call("info", files / "out.png").output)
    assert f"strength {spec['strength']:.2f}" in result.output
    assert "strength" in spec["automatic"]
    assert "found in" not in call(*style(files, out="fixed.png")).output


def test_pictures_of_universal_style_transfer(files):
    weights = file_of_coders(coder_weights(), files / "coders.safetensors")
    pair, more = [files / "photo.png", files / "painting.png"], ["--method", "wct", "--weights", weights]
    result = call("style", *pair, "-o", files / "out.png", "--size", "48", "--levels", "relu2_1:0.5,relu1_1", *more)
    assert result.exit_code == 0, result.output
    assert "48x32, 2 steps" in result.output
    made = read_picture(files / "out.png")
    assert made.note["spec"]["method"]["levels"] == {"relu2_1": 0.5, "relu1_1": 1.0}
    again = call("style", *pair, "--spec", files / "out.png", "--weights", weights, "-o", files / "again.png")
    assert again.exit_code == 0, again.output
    np.testing.assert_array_equal(read_picture(files / "again.png").pixels, made.pixels)
    (files / "many").mkdir()
    for name in ("a.png", "b.png"):
        shutil.copy(files / "photo.png", files / "many" / name)
    folder = call("style", files / "many", pair[1], "-o", files / "styled", "--size", "32", *more)
    assert folder.exit_code == 0, folder.output
    assert {path.name for path in (files / "styled").iterdir()} == {"a.png", "b.png"}
    for wrong, says in (
        (["--method", "wct"], "the method wct needs --weights"),
        ([*more, "--strength", "auto"], "or --method is wct, or --color-only was given; leave them out"),
        ([*more, "--steps", "3"], "--steps: the method wct has none; leave it out, or take the method optimise"),
        ([*more, "--instant"], "--instant and --method are two ways"),
    ):
        refused = call("style", *pair, "-o", files / "other.png", *wrong)
        assert refused.exit_code == 2
        assert says in refused.output
    assert not (files / "other.png").exists()


def test_pictures_of_the_painter(files):
    line = ["style", files / "photo.png", files / "painting.png", "--instant", "--size", "48", "--strength", "0.6"]
    result = call(*line, "-o", files / "out.png")
    assert result.exit_code == 0, result.output
    assert "48x32, 2 steps" in result.output
    made = read_picture(files / "out.png")
    assert made.note["spec"]["method"]["kind"] == "instant"
    pair = [files / "photo.png", files / "painting.png"]
    assert call("style", *pair, "--spec", files / "out.png", "-o", files / "again.png").exit_code == 0
    np.testing.assert_array_equal(read_picture(files / "again.png").pixels, made.pixels)
    (files / "many").mkdir()
    for name in ("a.png", "b.png"):
        shutil.copy(files / "photo.png", files / "many" / name)
    folder = call("style", files / "many", files / "painting.png", "-o", files / "styled", *line[3:])
    assert folder.exit_code == 0, folder.output
    for name in ("a.png", "b.png"):
        np.testing.assert_array_equal(read_picture(files / "styled" / name).pixels, made.pixels)
    assert "loss" in refused(*line, "--loss", "gram", "-o", files / "gram.png")
    assert "not a weights file" in refused(*line, "--weights", files / "photo.png", "-o", files / "other.png")


def test_a_page_of_the_balance(files):
    pair = [files / "photo.png", files / "painting.png"]
    arguments = ["tune", *pair, "-o", files / "page", *FAST[:2], "--spec", files / "few.yaml"]
    (files / "few.yaml").write_text("method: {steps: 3}")
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    assert "The page is at" in result.output
    page = (files / "page/index.html").read_text()
    assert "<svg" in page
    assert page.count("data:image/jpeg") >= 3 + 5  # the three, and the ladder
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)  # nothing outside the file
    record = json.loads((files / "page/record.json").read_text())
    rows = (files / "page/curve.csv").read_text().splitlines()
    assert rows[0] == "strength,style,content"
    curve = record["balance"]["curve"]
    for style, content in zip(curve["style"], curve["content"], strict=True):
        assert f": style {style:.2f}, content {content:.2f}" in page
    assert len(rows) - 1 == len(curve["strengths"])
    assert read_picture(files / "page/picture.png").note["spec"]["strength"] == record["balance"]["strength"]
    assert read_picture(files / "page/chart.png").size[0] > 500
    assert "exists; --overwrite" in refused(*arguments)
    assert call(*arguments, "--overwrite").exit_code == 0


def test_a_page_needs_a_strength_to_find(files):
    (files / "fixed.yaml").write_text("strength: 0.4")
    pair = [files / "photo.png", files / "painting.png"]
    assert "no strength to be found" in refused("tune", *pair, "-o", files / "page", "--spec", files / "fixed.yaml")
    assert "is a file" in refused("tune", *pair, "-o", files / "photo.png")
    for out in ("", ".", ".."):
        assert "needs a folder of its own" in refused("tune", *pair, "-o", out)
    assert "none.png" in refused("tune", files / "none.png", pair[1], "-o", files / "page")


def test_a_strength_that_is_to_be_found_but_is_stated_by_weights_is_refused(files):
    line = style(files, "--style-weight", "3", "--content-weight", "1")
    line = [each for each in line if each not in ("--strength", "0.5")]
    assert "no strength to be found" in refused(*line, "--strength", "auto")
    assert not (files / "out.png").exists()
    assert call(*line).exit_code == 0


def test_quiet_says_nothing(files):
    assert call(*style(files, "--quiet")).output == ""


def test_json_is_the_record(files):
    record = json.loads(call(*style(files, "--json", "--quiet")).output)
    assert record["out"].endswith("out.png")
    assert record["end"] == "done"
    assert StyleSpec.model_validate(record["spec"]).method.steps == 3


def test_info_gives_the_spec_back(files):
    call(*style(files, "--strength", "0.3"))
    printed = call("info", files / "out.png").output
    assert json.loads(printed)["strength"] == 0.3
    (files / "spec.json").write_text(printed)
    result = call(
        "style", files / "photo.png", files / "painting.png", "-o", files / "b.png", "--spec", files / "spec.json"
    )
    assert result.exit_code == 0, result.output
    assert read_picture(files / "b.png").digest() == read_picture(files / "out.png").digest()


def test_flags_override_the_spec_file(files):
    (files / "spec.yaml").write_text("strength: 0.2\nsize: 40\nmethod:\n  steps: 2\n")
    call(
        "style",
        files / "photo.png",
        files / "painting.png",
        "-o",
        files / "o.png",
        "--spec",
        files / "spec.yaml",
        "--strength",
        "0.9",
    )
    spec = read_picture(files / "o.png").note["spec"]
    assert (spec["strength"], spec["size"], spec["method"]["steps"]) == (0.9, 40, 2)


def test_every_flag_reaches_the_spec(files):
    flags = {
        "--no-enlarge": None,
        "--strength": "0.4",
        "--style-scale": "0.5",
        "--content-layers": "relu3_1:2,relu4_1",
        "--style-layers": "relu1_1:0.5",
        "--loss": "gram",
        "--tv": "0.25",
        "--quality": "draft",
        "--optimiser": "lbfgs",
        "--rate": "0.01",
        "--start": "uniform",
        "--seed": "7",
    }
    more = [part for flag, value in flags.items() for part in ([flag] if value is None else [flag, value])]
    result = call(*style(files, *more, "--quiet", "--json"))
    spec = json.loads(result.output)["spec"]
    method = spec["method"]
    assert (spec["enlarge"], spec["strength"], spec["style_scale"], spec["seed"]) == (False, 0.4, 0.5, 7)
    assert method["content_layers"] == {"relu3_1": 2.0, "relu4_1": 1.0}
    assert method["style_layers"] == {"relu1_1": 0.5}
    assert [method[k] for k in ("loss", "tv", "quality", "optimiser", "rate", "start")] == [
        {"gram": 1.0}, 0.25, "draft", "lbfgs", 0.01, "uniform",
    ]  # fmt: skip


def test_the_other_flags_reach_the_spec_too(files):
    flags = {
        "--loss": "w2:2,moments",
        "--content-loss": "relative",
        "--variation": "l1",
        "--balance-gradients": None,
        "--decay": "0.5",
        "--decay-every": "2",
        "--average": "0.5",
        "--no-pyramid": None,
        "--color": "content-match",
        "--color-space": "yiq",
        "--color-match": "histogram",
        "--memory": "4GiB",
    }
    more = [part for flag, value in flags.items() for part in ([flag] if value is None else [flag, value])]
    result = call(*style(files, *more, "--quiet", "--json"))
    spec = json.loads(result.output)["spec"]
    method = spec["method"]
    assert method["loss"] == {"w2": 2.0, "moments": 1.0}
    assert [method[k] for k in ("content_loss", "variation", "balance_gradients", "pyramid")] == [
        "relative", "l1", True, False,
    ]  # fmt: skip
    assert [method[k] for k in ("decay", "decay_every", "average")] == [0.5, 2, 0.5]
    assert [spec[k] for k in ("color", "color_space", "color_match", "memory")] == [
        "content-match", "yiq", "histogram", "4GiB",
    ]  # fmt: skip


def test_regions_of_a_call(files, photo):
    mask = np.zeros((32, 48, 3), np.float32)
    mask[:, :20] = 1
    write_picture(Picture(mask), files / "mask.png")
    result = call(
        "style", files / "photo.png", "-o", files / "o.png", *FAST, "--region",
        f"{files}/mask.png={files}/painting.png:0.8",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    out, plain = read_picture(files / "o.png"), read_picture(files / "photo.png")
    np.testing.assert_array_equal(out.pixels[:, 20:], plain.pixels[:, 20:])
    assert out.note["spec"]["region_strengths"] == [0.8]


def test_a_mask_of_another_size_is_told(files):
    write_picture(Picture(np.ones((64, 96, 3), np.float32)), files / "mask.png")
    result = call(
        "style", files / "photo.png", "-o", files / "o.png", *FAST, "--region", f"{files}/mask.png={files}/painting.png"
    )
    assert result.exit_code == 0, result.output
    assert "96x64 pixels and its picture 48x32: it is resized" in result.output


def test_recipes_are_listed_and_used(files):
    listed = re.sub(r"[\s│]+", " ", call("recipes").output)
    for name in ("tutorial", "gatys2016", "mobilenet-flat", "strotss"):
        assert name in listed
    shown = call("recipes", "tutorial").output
    assert "Departures" in shown
    assert "conv_4" in shown
    assert len(json.loads(call("recipes", "--json").output)) > 20
    training = call("recipes", "stylist").output
    assert "Stylist, progress report" in training
    assert "rate: 0.0075" in training
    assert {recipe["for"] for recipe in json.loads(call("recipes", "--json").output)} == {"style", "train"}
    message = refused(*style(files, "--recipe", "tutorial", "--strength", "auto", "--weights", files / "none.pth"))
    assert "there is no weights file" in message


def test_two_styles_with_weights(files):
    painting = files / "painting.png"
    result = call(
        "style", files / "photo.png", painting, painting, "-o", files / "o.png", *FAST, "--style-weights", "3,1"
    )
    assert result.exit_code == 0, result.output
    assert read_picture(files / "o.png").note["spec"]["style_weights"] == [0.75, 0.25]


def test_steps_are_kept(files):
    call(*style(files, "--keep-steps", files / "steps"))
    assert [p.name for p in sorted((files / "steps").iterdir())] == ["00003.png"]


def test_sixteen_bits(files):
    call(*style(files, "--16"))
    assert (files / "out.png").read_bytes()[24] == 16


def test_a_folder(files, photo):
    folder = files / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        write_picture(photo, folder / name)
    (folder / "bad.png").write_bytes(b"nothing")
    message = refused("style", folder, files / "painting.png", "-o", files / "styled", *FAST)
    assert "1 of 3 pictures failed" in message
    assert "bad.png is not a picture" in message
    assert sorted(p.name for p in (files / "styled").iterdir()) == ["a.png", "b.png"]
    again = refused("style", folder, files / "painting.png", "-o", files / "styled", *FAST)
    assert again.count("exists, left as it is") == 2


def test_a_border_is_told_once_for_all_photographs_of_a_folder(files, photo, painting):
    for name in ("a.png", "b.png"):
        write_picture(photo, files / "photos" / name)
    write_picture(Picture(np.pad(painting.pixels, ((4, 4), (6, 6), (0, 0)), constant_values=1)), files / "mat.png")
    result = call("style", files / "photos", files / "mat.png", "-o", files / "styled", *FAST)
    assert result.exit_code == 0, result.output
    assert result.output.count("mat.png has a border, which is cut off") == 1


def test_a_quoted_glob_and_twins(files, photo):
    write_picture(photo, files / "photo.jpg")
    result = call("style", f"{files}/photo.*", files / "painting.png", "-o", files / "styled", *FAST)
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in (files / "styled").iterdir()) == ["photo.jpg.png", "photo.png.png"]
    assert "there is no picture in" in refused(
        "style", f"{files}/x*.png", files / "painting.png", "-o", files / "s", *FAST
    )
    assert "needs a folder as OUT" in refused(
        "style", f"{files}/photo.*", files / "painting.png", "-o", files / "out.png", *FAST
    )


def test_demo_and_networks(tmp_path):
    result = call("demo", "-o", tmp_path / "demo.png", "--size", "48", "--photo", "cat", "--style", "mosaic")
    assert result.exit_code == 0, result.output
    assert f"The picture is at {tmp_path / 'demo.png'}" in result.output
    assert read_picture(tmp_path / "demo.png").size == (48, 32)
    table = call("networks").output
    for word in ("compact", "vgg19", "in the package", "to download", "by --weights", "mobilenet_v2_flat"):
        assert word in re.sub(r"[\s│]+", " ", table)
    taps = {name: json.loads(call("networks", name, "--json").output)[name] for name in ("vgg16", "resnet50")}
    assert taps["vgg16"]["taps"]["relu4_2"]["channels"] == 512
    assert taps["resnet50"]["aliases"]["conv4_block2_2_conv"] == "layer3.1.conv2"
    assert (taps["resnet50"]["smooth"], taps["vgg16"]["smooth"]) == (True, False)
    assert "receptive" in call("networks", "compact").output
    assert "have no other names" in call("networks", "compact", "--aliases").output
    assert re.search(r"block4_conv2\s+relu4_2", call("networks", "vgg19", "--aliases").output)
    assert json.loads(call("networks", "compact", "--measure", "--json").output)["compact"]["milliseconds"] > 0
    assert "features.3.squeeze" in call("networks", "torchvision:squeezenet1_0").output
    assert "did you mean squeezenet1_0" in refused("networks", "torchvision:squezenet1_0")


def test_help_shows_the_defaults():
    text = re.sub(r"[\s│]+", " ", call("style", "--help").output)
    assert "(default: 512)" in text
    assert "Examples" in text
    assert "(default: ())" not in text
    assert "resolved spec" not in text


def test_help_lists_the_choices_of_every_option_with_a_fixed_set(monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    found = 0
    text = re.sub(r"[\s│]+", " ", call("style", "--help").output)
    for name, field in {**StyleSpec.model_fields, **METHOD_FIELDS}.items():
        flag = f" --{name.replace('_', '-')} "
        if get_origin(field.annotation) is Literal and flag in text:
            assert flag + " | ".join(get_args(field.annotation)) + " " in text
            found += 1
    assert found == 13


BAD = {
    "missing": (["missing.png", "painting.png"], "there is no picture missing.png; did you mean painting.png?"),
    "typo": (["phto.png", "painting.png"], "did you mean"),
    "empty": (["empty.png", "painting.png"], "is empty"),
    "truncated": (["cut.png", "painting.png"], "damaged or cut short"),
    "no picture": (["photo.png", "text.jpg"], "not a picture that can be read"),
    "1x5000": (["thin.png", "painting.png"], "needs at least 16 on the shorter side: crop it"),
    "huge": (["huge.png", "painting.png"], "--allow-huge"),
    "folder as style": (["photo.png", "."], "is a folder"),
    "network": (["photo.png", "painting.png", "--network", "vgg91"], "did you mean vgg19"),
    "layer": (["photo.png", "painting.png", "--style-layers", "relu1_2"], "there is no layer 'relu1_2'"),
    "layer of a network to download": (
        ["photo.png", "painting.png", "--network", "vgg19", "--style-layers", "block4_conv5"],
        "did you mean block4_conv",
    ),
    "memory for the last size": (
        ["photo.png", "painting.png", "--size", "8192", "--memory", "1GiB"],
        "8192x5461 pixels need",
    ),
    "loss": (["photo.png", "painting.png", "--loss", "gramm"], "did you mean gram"),
    "device": (["photo.png", "painting.png", "--device", "tpu"], "there is no device 'tpu'"),
    "option": (["photo.png", "painting.png", "--strenght", "1"], "No such option: --strenght"),
    "nan": (["photo.png", "painting.png", "--strength", "nan"], "strength"),
    "above 1": (["photo.png", "painting.png", "--strength", "2"], "--strength must be a number from 0 to 1, or 'auto'"),
    "negative": (["photo.png", "painting.png", "--tv=-1"], "--tv must be a number from 0 to 1e+12"),
    "negative layer": (["photo.png", "painting.png", "--style-layers", "relu1_1:-1"], "relu1_1 must be a number"),
    "layer weight": (["photo.png", "painting.png", "--style-layers", "relu1_1:x"], "is not a weight"),
    "style weights": (
        ["photo.png", "painting.png", "--style-weights", "1,2"],
        "--style-weights holds 2 weights, but there is 1 painting",
    ),
    "style weight": (
        ["photo.png", "painting.png", "--style-weights=-1"],
        "--style-weights: the first must be a number",
    ),
    "size steps": (
        ["photo.png", "painting.png", "--size-steps", "1,2"],
        "--size-steps must be three whole numbers: the",
    ),
    "words": (["photo.png", "painting.png", "--style-weights", "a,b"], "not a list of numbers"),
    "too small": (["photo.png", "painting.png", "--size", "8"], "needs at least 16"),
    "size": (["photo.png", "painting.png", "--size", "big"], "must be a whole number from 1 to 65536, or 'original'"),
    "weights": (["photo.png", "painting.png", "--weights", "text.jpg"], "damaged or not a weights file"),
    "no weights": (["photo.png", "painting.png", "--weights", "none.pth"], "there is no weights file"),
    "spec": (["photo.png", "painting.png", "--spec", "bad.yaml"], "did you mean strength"),
    "spec syntax": (["photo.png", "painting.png", "--spec", "cut.yaml"], "neither YAML nor JSON"),
    "spec list": (["photo.png", "painting.png", "--spec", "list.yaml"], "must hold names and values"),
    "no spec": (["photo.png", "painting.png", "--spec", "none.yaml"], "cannot read the spec"),
    "start": (["photo.png", "painting.png", "--start", "nosie"], "there is no start 'nosie'"),
    "glob": (["photo.png", *["painting.png"] * 5], "the shell may have expanded a glob"),
    "no style": (["photo.png"], "no style picture was given"),
    "content loss": (["photo.png", "painting.png", "--content-loss", "mze"], "did you mean mse"),
    "variation": (["photo.png", "painting.png", "--variation", "l3"], "there is no total variation 'l3'"),
    "pooling": (["photo.png", "painting.png", "--pooling", "average"], "pooling of network compact is fixed"),
    "decay": (["photo.png", "painting.png", "--decay", "0"], "--decay must be a number above 0"),
    "decay every": (["photo.png", "painting.png", "--decay-every", "0"], "must be a whole number from 1 to"),
    "line search": (
        ["photo.png", "painting.png", "--optimiser", "adam", "--line-search", "strong-wolfe"],
        "--line-search strong-wolfe is for lbfgs; use --optimiser lbfgs",
    ),
    "average": (["photo.png", "painting.png", "--average", "1"], "of at least 0 and below 1, not 1"),
    "photoreal": (["photo.png", "painting.png", "--photoreal", "nan"], "photoreal"),
    "memory": (["photo.png", "painting.png", "--memory", "much"], "'much' is no size; write 4GiB"),
    "memory without a unit": (
        ["photo.png", "painting.png", "--memory", "8"],
        "--memory: 8 is 8 bytes, too few for any picture; did you mean 8GiB?",
    ),
    "quality of a file": (["photo.png", "painting.png", "--quality", "90"], "is --jpeg-quality 90"),
    "quality of a png": (["photo.png", "painting.png", "--jpeg-quality", "90"], "has no effect on png files"),
    "one strength for one": (["photo.png", "painting.png", "--one-strength"], "for photographs that go into a folder"),
    "format of one": (["photo.png", "painting.png", "--format", "jpg"], "--format is for photographs that go into"),
    "spec of a picture without one": (["photo.png", "painting.png", "--spec", "photo.png"], "carries no spec"),
    "web address": (["https://e.org/a.png", "painting.png"], "https://e.org/a.png is a web address; download"),
    "empty name": (["", "painting.png"], "the name of a picture is empty"),
    "empty style": (["photo.png", ""], "the name of a picture is empty"),
    "color": (["photo.png", "painting.png", "--color", "content"], "content-luminance' or 'content-match'"),
    "colour space": (["photo.png", "painting.png", "--color-space", "hsv"], "must be 'lab' or 'yiq'"),
    "colour match": (["photo.png", "painting.png", "--color-match", "mean"], "must be 'moments' or 'histogram'"),
    "smoothing": (["photo.png", "painting.png", "--photoreal-smoothing=-1"], "must be a number from 0 to"),
    "smooth in tiles": (
        ["photo.png", "painting.png", "--size", "2048", "--smooth", "--memory", "1500MiB"],
        "smoothing (--smooth) needs the picture as a whole; switch it off, leave out --memory",
    ),
    "photoreal in tiles": (
        ["photo.png", "painting.png", "--size", "2048", "--photoreal", "1", "--memory", "1500MiB"],
        "--photoreal needs the picture as a whole; leave it out, leave out --memory",
    ),
    "search of balanced gradients": (
        ["photo.png", "painting.png", "--optimiser", "lbfgs", "--line-search", "strong-wolfe", "--balance-gradients"],
        "leave out either",
    ),
    "colour space of the style": (
        ["photo.png", "painting.png", "--color-space", "yiq"],
        "--color-space has no effect with --color style; take content-luminance or content-match",
    ),
    "match of luminance": (
        ["photo.png", "painting.png", "--color", "content-luminance", "--color-match", "histogram"],
        "--color-match has no effect with --color content-luminance; take content-match",
    ),
    "decay every, of nothing": (["photo.png", "painting.png", "--decay-every", "5"], "give a decay below 1"),
    "quality of a recipe": (
        ["photo.png", "painting.png", "--recipe", "crowsonkb", "--quality", "draft"],
        "--quality has no effect where the steps are given",
    ),
    "segment model of nothing": (
        ["photo.png", "painting.png", "--segment-model", "deeplabv3_resnet50"],
        "--segment-model has no effect without --segment",
    ),
    "recipe": (["photo.png", "painting.png", "--recipe", "tutoral"], "did you mean tutorial"),
    "recipe and spec": (["photo.png", "painting.png", "--recipe", "keras", "--spec", "bad.yaml"], "leave out either"),
    "region without style": (["photo.png", "--region", "mask.png"], "MASK=STYLE[:STRENGTH] is needed"),
    "region's strength": (["photo.png", "--region", "mask.png=painting.png:2"], "a number from 0 to 1"),
    "region's mask": (["photo.png", "--region", "none.png=painting.png"], "there is no picture none.png"),
    "region's style": (["photo.png", "--region", "mask.png=none.png"], "there is no style picture none.png"),
    "black mask": (["photo.png", "--region", "black.png=painting.png"], "paint the region white"),
    "style mask": (["photo.png", "painting.png", "--style-mask", "x.png=mask.png"], "is none of the styles"),
    "empty style mask": (["photo.png", "painting.png", "--style-mask", "painting.png=black.png"], "is empty"),
    "segment weights": (
        ["photo.png", "--segment", "person=painting.png", "--segment-weights", "none.pth"],
        "there is no weights file",
    ),
    "nothing between commas": (["photo.png", "painting.png", "--loss", "w2,"], "a name is missing in 'w2,'"),
    "class of a segment": (["photo.png", "--segment", "persn=painting.png"], "did you mean person"),
    "folder of weights": (["photo.png", "painting.png", "--weights", "."], ". is a folder; give a file with weights"),
    "weights of no styles": (
        ["photo.png", "--region", "mask.png=painting.png", "--style-weights", "1"],
        "--style-weights are given, but there is no painting outside of the regions",
    ),
    "patches in tiles": (
        ["photo.png", "painting.png", "--size", "2048", "--loss", "remd", "--memory", "900MiB"],
        "loss remd is not additive over tiles",
    ),
    "segment model": (
        ["photo.png", "--segment", "person=painting.png", "--segment-model", "deeplab"],
        "deeplabv3_resnet50",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(files, case, monkeypatch):
    monkeypatch.chdir(files)
    (files / "empty.png").write_bytes(b"")
    (files / "text.jpg").write_text("hello")
    (files / "cut.png").write_bytes((files / "photo.png").read_bytes()[:-900])
    (files / "bad.yaml").write_text("stregth: 0.5")
    (files / "cut.yaml").write_text("{a: [1")
    (files / "list.yaml").write_text("- 1")
    write_picture(Picture(np.ones((32, 48, 3), np.float32)), files / "mask.png")
    write_picture(Picture(np.zeros((32, 48, 3), np.float32)), files / "black.png")
    write_picture(Picture(np.zeros((1, 5000, 3), np.float32)), files / "thin.png")
    if case == "huge":
        Image.new("1", (20_000, 20_000)).save(files / "huge.png")
    arguments, message = BAD[case]
    steps = [] if "--size" in arguments else ["--size", "48"]
    assert message in refused("style", *arguments, "-o", "out.png", *steps, "--steps", "1")
    assert not (files / "out.png").exists()
    assert not list(files.glob("*.partial"))


def test_offline_weights_say_what_to_do(files, monkeypatch):
    import urllib.request

    def offline(*args, **kwargs):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    message = refused(*style(files, "--network", "vgg19"))
    for part in ("download.pytorch.org", "a file as --weights", "--network compact"):
        assert part in message


def test_outputs_that_cannot_be_written(files):
    assert "unknown format" in refused(*style(files, out="out.xyz"))
    assert "is not a folder" in refused(*style(files, out="photo.png/out.png"))
    assert "16 bits" in refused(*style(files, "--16", out="out.jpg"))


def test_an_existing_result_is_kept(files):
    (files / "out.png").write_bytes(b"mine")
    assert "--overwrite replaces it" in refused(*style(files))
    assert (files / "out.png").read_bytes() == b"mine"
    assert call(*style(files, "--overwrite")).exit_code == 0
    assert read_picture(files / "out.png").size == (48, 32)


def test_checkpoints_that_cannot_be_resumed(files):
    (files / "out.png.partial").write_bytes(b"rubbish")
    assert "--resume, or start anew with --overwrite" in refused(*style(files))
    assert "damaged or no checkpoint" in refused(*style(files, "--resume"))
    assert (files / "out.png.partial").read_bytes() == b"rubbish"
    assert call(*style(files, "--overwrite")).exit_code == 0
    assert not (files / "out.png.partial").exists()
    assert "is finished" in refused(*style(files, "--resume"))


def test_resume_without_a_checkpoint_starts_anew(files):
    result = call(*style(files, "--resume"))
    assert result.exit_code == 0
    assert "starting anew" in result.output


def test_a_full_disk_at_the_end_is_said_plainly(files, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    message = refused(*style(files))
    assert "No space left on device" in message
    assert not (files / "out.png").exists()


def test_a_full_disk_ends_a_folder(files, photo, monkeypatch):
    """Nothing is computed after the first photograph that could not be written."""
    for name in ("a.png", "b.png", "c.png"):
        (files / "many").mkdir(exist_ok=True)
        write_picture(photo, files / "many" / name)
    line = ["style", files / "many", files / "painting.png", "-o", files / "styled", *FAST]

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        said = refused(*line)
    assert said.count("No space left on device") == 1
    assert "1 of 3 pictures failed" in said
    assert "the disk is full, and 2 more are left: free some space, and go on with --resume" in said
    assert call(*line, "--resume").exit_code == 0
    assert written(files / "styled") == ["a.png", "b.png", "c.png"]


def test_info_of_a_picture_without_a_spec(files):
    assert "carries no spec" in refused("info", files / "photo.png")
    assert "there is no picture" in refused("info", files / "no.png")
    assert "did you mean compact" in refused("networks", "compct")


def test_a_flag_opens_what_followed_from_it(files):
    """A resolved spec, given back, must not hold on to weights, sizes or steps that a flag changes."""
    call(*style(files, "--strength", "0.3"))
    (files / "spec.json").write_text(call("info", files / "out.png").output)
    again = ["style", files / "photo.png", files / "painting.png", "-o", files / "b.png", "--spec", files / "spec.json"]
    spec = json.loads(call(*again, "--strength", "0.9", "--overwrite", "--json").output.splitlines()[-1])["spec"]
    fresh = json.loads(call(*style(files, "--strength", "0.9", "--json", "--overwrite")).output.splitlines()[-1])[
        "spec"
    ]
    assert spec["method"]["style_weight"] == fresh["method"]["style_weight"]
    assert spec["method"]["content_weight"] == pytest.approx(0.1)
    spec = json.loads(call(*again, "--size", "40", "--steps", "5", "--overwrite", "--json").output.splitlines()[-1])[
        "spec"
    ]
    assert (spec["size"], spec["method"]["steps"]) == (40, 5)


def test_inputs_are_never_overwritten(files):
    before = (files / "photo.png").read_bytes()
    assert "is one of the inputs" in refused(*style(files, "--overwrite", out="photo.png"))
    assert "is one of the inputs" in refused(*style(files, "--overwrite", out="painting.png"))
    (files / "link.png").symlink_to(files / "photo.png")
    assert "is one of the inputs" in refused(*style(files, "--overwrite", out="link.png"))
    assert "is the folder of the photographs" in refused(
        "style", files, files / "painting.png", "-o", files, *FAST, "--overwrite"
    )
    assert (files / "photo.png").read_bytes() == before


def test_the_demo_keeps_files_that_are_not_its_own(tmp_path):
    (tmp_path / "mine.png").write_bytes(b"mine")
    assert "--overwrite replaces it" in refused("demo", "-o", tmp_path / "mine.png")


def test_the_embedded_spec_names_no_path(files):
    assert call(*style(files, "--start", files / "painting.png")).exit_code == 0
    assert str(files) not in call("info", files / "out.png").output
    assert json.loads(call("info", files / "out.png").output)["method"]["start"] == "file"


def test_a_link_with_another_suffix_takes_the_format_of_its_name(files):
    (files / "store").write_bytes(b"")
    (files / "out.png").symlink_to(files / "store")
    assert call(*style(files, "--overwrite")).exit_code == 0
    assert (files / "store").read_bytes().startswith(b"\x89PNG")


def test_formats_that_end_before_the_size(files):
    message = refused("style", files / "photo.png", files / "painting.png", "-o", files / "o.webp", "--size", "20000")
    assert "WEBP ends at 16383" in message


def test_diverging_is_said(files, diverging):
    diverging(1)
    assert "diverged after 1 steps" in refused(*style(files))
    assert read_picture(files / "out.png").size == (48, 32)


def test_names_that_are_too_long(files):
    long = "x" * 300 + ".png"
    assert "File name too long" in refused("style", files / long, files / "painting.png", "-o", files / "o.png")
    assert "File name too long" in refused(*style(files, out=long))
    assert "File name too long" in refused(*style(files, "--spec", files / long))
    assert "there is no such file, either" in refused(*style(files, "--start", files / long))
    assert "the name of the result is missing" in refused(*style(files, out=""), "-o", "")


def test_a_checkpoint_that_is_a_folder(files):
    (files / "out.png.partial").mkdir()
    assert "it is a folder" in refused(*style(files, "--overwrite"))


def test_weights_that_cancel_the_run(files):
    weights = "--content-weight", "0", "--style-weight", "0", "--tv", "0"
    pictures = files / "photo.png", files / "painting.png"
    assert "are both 0" in refused("style", *pictures, "-o", files / "out.png", *weights)
    assert "no strength to be found" in refused(*style(files, "--strength", "auto", *weights))


def test_spec_files_that_yaml_chokes_on(files):
    for text in ("a: 2021-99-99", "[" * 5000, "a: " + "9" * 5000):
        (files / "spec.yaml").write_text(text)
        refused(*style(files, "--spec", files / "spec.yaml"))


def test_each_picture_of_a_folder_keeps_its_own_steps(files, photo):
    folder = files / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        write_picture(photo, folder / name)
    call("style", folder, files / "painting.png", "-o", files / "styled", *FAST, "--keep-steps", files / "steps")
    assert sorted(str(p.relative_to(files / "steps")) for p in (files / "steps").rglob("*.png")) == [
        "a/00003.png",
        "b/00003.png",
    ]


def test_photographs_of_one_name_do_not_overwrite_each_other(files):
    for folder in ("a", "b"):
        (files / "trips" / folder).mkdir(parents=True)
        shutil.copy(files / "photo.png", files / "trips" / folder / "x.png")
    result = call("style", str(files / "trips/*/x.png"), files / "painting.png", "-o", files / "out", *FAST)
    assert result.exit_code == 0, result.output
    assert (files / "out/a/x.png").exists()
    assert (files / "out/b/x.png").exists()


def test_kept_steps_lose_nothing(files):
    (files / "steps").mkdir()
    shutil.copy(files / "photo.png", files / "steps/00010.png")
    before = (files / "steps/00010.png").read_bytes()
    kept = ("--keep-steps", files / "steps")
    assert "00010.png exists; --overwrite replaces" in refused(*style(files, *kept))
    arguments = ["style", files / "steps/00010.png", files / "painting.png", "-o", files / "o.png", *FAST, *kept]
    assert "is one of the inputs" in refused(*arguments, "--overwrite")
    assert (files / "steps/00010.png").read_bytes() == before
    assert "not a folder" in refused(*style(files, "--keep-steps", files / "photo.png"))


def test_a_field_of_the_method_at_the_top_is_explained(files):
    (files / "s.yaml").write_text("steps: 3\n")
    assert "it belongs under method" in refused(*style(files, "--spec", files / "s.yaml"))


def test_what_is_said_twice_is_refused(files):
    assert "relu1_1 is given twice" in refused(*style(files, "--style-layers", "relu1_1:1,relu1_1:3"))
    (files / "s.yaml").write_text("seed: 1\nseed: 2\n")
    assert "seed is given twice" in refused(*style(files, "--spec", files / "s.yaml"))


def test_kept_steps_of_photographs_of_one_name(files):
    for folder in ("a", "b"):
        (files / "trips" / folder).mkdir(parents=True)
        shutil.copy(files / "photo.png", files / "trips" / folder / "x.png")
    steps = ("--keep-steps", files / "steps")
    result = call("style", str(files / "trips/*/x.png"), files / "painting.png", "-o", files / "out", *FAST, *steps)
    assert result.exit_code == 0, result.output
    assert sorted(str(p.relative_to(files / "steps")) for p in (files / "steps").rglob("0*.png")) == [
        "a/x/00003.png",
        "b/x/00003.png",
    ]


def test_another_run_that_was_faster(files):
    """It writes its result while this one is under way: when this one keeps its tenth step."""
    kept, deadline = files / "steps" / "00010.png", time.monotonic() + 60

    def write():
        while not kept.exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        (files / "out.png").write_bytes(b"theirs")

    with ThreadPoolExecutor(1) as other:
        other.submit(write)
        said = refused(*style(files, "--steps", "40", "--keep-steps", kept.parent))
    assert f"out.png was written by another run meanwhile; the result of this run is {files}/out-2.png" in said
    assert (files / "out.png").read_bytes() == b"theirs"
    assert read_picture(files / "out-2.png").note["spec"]["method"]["rungs"][-1]["size"] == 48
    assert not list(files.glob("*.partial"))


def test_steps_of_no_number_need_no_search(files):
    line = [each for each in style(files, "--steps", "0") if each not in ("--strength", "0.5")]
    result = call(*line, "--steps", "0")
    assert "0 steps" in result.output
    assert "found in" not in result.output
    assert "no strength to be found" in refused(*line, "--strength", "auto", "--overwrite")


def test_memory_that_runs_out_anywhere(files, monkeypatch):
    def fail(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(Picture, "digest", fail)
    assert "memory ran out" in refused(*style(files))


def test_a_panorama_needs_no_larger_size(files, rng):
    write_picture(Picture(rng.random((200, 2000, 3)).astype(np.float32)), files / "pano.png")
    arguments = ["style", files / "pano.png", files / "painting.png", "-o", files / "out.png", "--steps", "2"]
    assert call(*arguments, "--size", "300").exit_code == 0
    assert read_picture(files / "out.png").size == (300, 30)
    assert "at size 150 is 150x15 pixels" in refused(*arguments, "--size", "150", "--overwrite")


def test_a_spec_serves_other_pictures(files, photo):
    write_picture(photo.resized(30, 20), files / "small.png")
    call(*style(files, "--no-enlarge", "--size", "400"))
    (files / "s.json").write_text(call("info", files / "out.png").stdout)
    two = ["style", files / "small.png", files / "painting.png", files / "photo.png", "-o", files / "two.png"]
    result = call(*two, "--spec", files / "s.json")
    assert result.exit_code == 0, result.output
    assert read_picture(files / "two.png").size == (30, 20)


def test_the_version():
    assert call("--version").stdout.startswith("artune 0.")


# ------------------------------------------------------------------------------------- many photographs


@pytest.fixture
def holiday(files, photo):
    """A folder of photographs with sub-folders and other files; the current folder holds it and a painting."""
    for name in ("a.png", "b.png", "2023/x.png", "2024/x.png"):
        (files / "holiday" / name).parent.mkdir(parents=True, exist_ok=True)
        write_picture(photo, files / "holiday" / name)
    (files / "holiday/notes.txt").write_text("x")
    return files


def written(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_a_shell_makes_of_a_glob_is_several_photographs(holiday, monkeypatch):
    monkeypatch.chdir(holiday)
    result = call("style", "holiday/a.png", "holiday/b.png", "painting.png", "-o", "styled/", *FAST)
    assert result.exit_code == 0, result.output
    assert written(holiday / "styled") == ["a.png", "b.png"]
    alone = call("style", "holiday/b.png", "painting.png", "-o", "alone.png", *FAST)
    assert alone.exit_code == 0
    assert read_picture("styled/b.png").digest() == read_picture("alone.png").digest()  # one style, and not a mix


def test_a_file_as_out_is_one_photograph_in_a_mix_of_styles(holiday, monkeypatch):
    monkeypatch.chdir(holiday)
    result = call("style", "photo.png", "holiday/a.png", "painting.png", "-o", "out.png", *FAST)
    assert "photo.png in a mix of 2 styles: holiday/a.png, painting.png" in result.output
    message = refused("style", "holiday/a.png", "holiday/b.png", "painting.png", "-o", "styled", *FAST)
    assert "Several photographs and one style, which is the last: -o styled/" in message
    assert "One photograph and several styles: -o styled.png" in message


def test_weights_mix_styles_for_several_photographs(holiday, monkeypatch):
    monkeypatch.chdir(holiday)
    more = ("--style-weights", "3,1")
    result = call("style", "holiday", "painting.png", "photo.png", "-o", "styled/", *FAST, *more)
    assert result.exit_code == 0, result.output
    assert read_picture("styled/a.png").note["spec"]["style_weights"] == [0.75, 0.25]


def test_sub_folders_are_kept_and_what_is_skipped_is_told(holiday, monkeypatch):
    monkeypatch.chdir(holiday)
    arguments = ["style", "holiday", "painting.png", "-o", "holiday/styled", *FAST]
    result = call(*arguments)
    assert "1 file is no picture that artune reads: notes.txt" in result.output
    assert "folders are left out without --recursive: 2023, 2024" in result.output
    assert written(holiday / "holiday/styled") == ["a.png", "b.png"]
    result = call(*arguments, "--recursive")
    assert "left out" not in result.output
    assert written(holiday / "holiday/styled") == [
        "2023/x.png",
        "2024/x.png",
        "a.png",
        "b.png",
    ]  # no results of results


def test_the_format_and_quality_of_results(holiday, monkeypatch):
    monkeypatch.chdir(holiday)
    sizes = []
    for quality in ("20", "95"):
        more = ("--format", "JPG", "--jpeg-quality", quality, "--overwrite", "--quiet")
        assert call("style", "holiday", "painting.png", "-o", "styled", *FAST, *more).output == ""
        assert written(holiday / "styled") == ["a.jpg", "b.jpg"]
        sizes.append((holiday / "styled/a.jpg").stat().st_size)
    assert sizes[0] < sizes[1]
    assert (holiday / "styled/a.jpg").read_bytes().startswith(b"\xff\xd8")
    assert "'xyz' cannot be written; use jpg" in refused(
        "style", "holiday", "painting.png", "-o", "styled", *FAST, "--format", "xyz"
    )


def page_faults():
    """Of ten large tensors, one after the other: few where the memory of one is kept for the next."""
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.zeros(2**23)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_a_photograph_in_tiles_changes_nothing_for_the_next(files, photo, painting):
    """The first one is too large for the memory, and the command gives back the memory of its large tensors."""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("the C library is not glibc")
    large = photo.resized(256, 171)
    for name, picture in (("a.png", large), ("b.png", photo)):
        write_picture(picture, files / "photos" / name)
    layers = {"content_layers": {"relu1_1": 1.0}, "style_layers": {"relu1_1": 1.0}}
    method = {"start": "content", "steps": 2, "optimiser": "adam", **layers}
    spec = StyleSpec(size=256, strength=0.5, precision="fp32", method=method)
    need = budget(planned(large, [painting], spec)).need(256)
    memory = f"{PROCESS_BYTES + (need.tiled(128) + need.whole) // 2}B"
    assert in_tiles(planned(large, [painting], spec.model_copy(update={"memory": memory})))
    line = ["style", files / "photos", files / "painting.png", "-o", files / "styled/", *FAST, "--size", "256"]
    taps = ["--content-layers", "relu1_1", "--style-layers", "relu1_1"]
    said = call(*line, "--no-enlarge", "--start", "content", "--memory", memory, *taps)
    assert said.exit_code == 0, said.output
    page_faults()
    assert page_faults() <= 2**13  # the pages of at most one of the ten


def test_one_strength_for_all(holiday, monkeypatch):
    monkeypatch.chdir(holiday)
    line = ["style", "holiday", "painting.png", "-o", "styled", *FAST[:-2]]
    for name in ("b.png", "2024/x.png"):  # two are enough, one of them in a sub-folder
        (holiday / "holiday" / name).unlink()
    result = call(*line, "--one-strength", "--recursive")
    assert result.exit_code == 0, result.output
    strength = float(re.search(r"one strength for 2 photographs: (\S+)", result.output)[1])
    found = {read_picture(f"styled/{name}").note["spec"]["strength"] for name in written(holiday / "styled")}
    assert found == {strength}
    assert len(re.findall(r"png: strength 0\.\d+", result.output)) == 2
    message = refused(*line[:-2], "--one-strength", "--strength", "0.3")
    assert "one strength for all photographs: there is no strength to be found" in message


def test_a_painting_among_the_photographs_is_not_styled(holiday, monkeypatch):
    monkeypatch.chdir(holiday)
    result = call("style", "holiday", "holiday/b.png", "-o", "styled", *FAST)
    assert "used as a style or a mask, and not styled: b.png" in result.output
    assert written(holiday / "styled") == ["a.png"]


def test_one_photograph_into_a_folder(holiday, monkeypatch):
    monkeypatch.chdir(holiday)
    assert call("style", "photo.png", "painting.png", "-o", "new/sub/", *FAST).exit_code == 0
    assert written(holiday / "new") == ["sub/photo.png"]
    message = refused("style", "text.png", "painting.png", "-o", "new/", *FAST)
    assert message.startswith("artune: there is no picture text.png")
    assert "names no format; give new2.png for a picture, new2/ for a folder" in refused(
        "style", "photo.png", "painting.png", "-o", "new2", *FAST
    )


# ------------------------------------------------------------------------------------- paths and specs


def test_a_missing_photograph_is_named_before_all_else(holiday, monkeypatch):
    monkeypatch.chdir(holiday)
    for out in ("out.xyz", "out", "out/", "photo.png", "holiday"):
        assert refused("style", "holliday", "painting.png", "-o", out, *FAST).startswith(
            "artune: there is no picture holliday; did you mean holiday?"
        )
        assert "there is no picture paintng.png" in refused("style", "photo.png", "paintng.png", "-o", out, *FAST)


def test_the_home_folder_in_every_place(files, monkeypatch):
    monkeypatch.setenv("HOME", str(files))
    result = call(
        "style", "~/photo.png", "~/painting.png", "-o", "~/new/out.png", *FAST, "--start", "~/painting.png",
        "--keep-steps", "~/steps",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert read_picture(files / "new/out.png").size == (48, 32)
    assert (files / "steps/00003.png").exists()
    assert call("style", "~/*o.png", "~/painting.png", "-o", "~/styled/", *FAST).exit_code == 0
    assert written(files / "styled") == ["photo.png"]
    assert call("info", "~/new/out.png").exit_code == 0


def test_a_spec_is_taken_from_a_picture_or_a_record(files):
    record = call(*style(files, "--strength", "0.3", "--json", "--quiet")).stdout
    (files / "record.json").write_text(record)
    for number, source in enumerate(("out.png", "record.json")):
        out = files / f"again{number}.png"
        pair = [files / "photo.png", files / "painting.png"]
        result = call("style", *pair, "-o", out, "--spec", files / source)
        assert result.exit_code == 0, result.output
        assert read_picture(out).digest() == read_picture(files / "out.png").digest()
