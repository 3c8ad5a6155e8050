"""Regions, segments and masks of paintings, as they are typed."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artune.cli.parts import Parts, parse_keep, parse_region, parse_style_mask
from artune.errors import ArtuneWarning, InputError, SpecError, WeightsError
from artune.transfer.inputs import Masked, RegionStyle


def parts(styles=(), regions=(), segments=(), masks=()):
    return Parts.parse([Path(style) for style in styles], regions, segments, masks, None, None)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("dress.png=a.jpg", RegionStyle("dress.png", "a.jpg")),
        ("dress.png=a.jpg:0.7", RegionStyle("dress.png", "a.jpg", 0.7)),
        ("dress.png=a.jpg:1", RegionStyle("dress.png", "a.jpg", 1.0)),
        ("dress.png=a.jpg:0", RegionStyle("dress.png", "a.jpg", 0.0)),
        ("dress.png=a:b.jpg", RegionStyle("dress.png", "a:b.jpg")),
        ("dress.png=a=b.jpg:0.5", RegionStyle("dress.png", "a=b.jpg", 0.5)),
        ("upper=lower.png=a.jpg:.5", RegionStyle("upper=lower.png", "a.jpg", 0.5)),
        ("dress.png=take:2", RegionStyle("dress.png", "take:2")),
        ("shirt+dress=a.jpg", RegionStyle("shirt+dress", "a.jpg")),
        ("map.png#person=a.jpg:.5", RegionStyle("map.png#person", "a.jpg", 0.5)),
        ("upper=lower.png##ff0000=a.jpg", RegionStyle("upper=lower.png##ff0000", "a.jpg")),
    ],
)
def test_regions_are_read(text, want, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("upper=lower.png", "take:2", "a.jpg"):
        (tmp_path / name).touch()
    found = parse_region(text)
    assert (found.mask, found.style, found.strength) == (want.mask, want.style, want.strength)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dress.png", r"--region dress\.png: there is no '='; MASK=STYLE\[:STRENGTH\] is needed"),
        ("=a.jpg", "nothing stands before '='"),
        ("dress.png=", "nothing stands after '='"),
        ("dress.png=:0.5", "no style before the strength"),
        ("dress.png=a.jpg:1.5", "the strength is 1.5; give a number from 0 to 1"),
        ("dress.png=a.jpg:-1", "the strength is -1"),
        ("dress.png=a.jpg:nan", "the strength is nan"),
        ("dress.png=a.jpg:much", "'much' is no strength"),
    ],
)
def test_regions_that_cannot_be_read(text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg").touch()
    with pytest.raises(InputError, match=message):
        parse_region(text)


def test_the_option_is_named():
    with pytest.raises(InputError, match=r"^--segment cat: .*NAME=STYLE is needed"):
        parse_region("cat", option="--segment", form="NAME=STYLE")
    assert parse_style_mask("a.jpg=m.png") == ("a.jpg", "m.png")
    with pytest.raises(InputError, match=r"^--style-mask a\.jpg: .*STYLE=MASK is needed"):
        parse_style_mask("a.jpg")


def test_a_style_gets_its_mask_however_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = parts(["a.jpg"], ["m.png=./b.jpg"], masks=["./a.jpg=x.png", f"{tmp_path}/b.jpg=y.png"])
    (rest,) = found.paintings()
    ((region,), _) = found.of(Path("photo.jpg"), None, False)
    assert isinstance(rest, Masked)
    assert isinstance(region.style, Masked)
    assert (rest.mask, region.style.mask) == ("x.png", "y.png")
    with pytest.raises(SpecError, match=r"\./a\.jpg has two masks|a\.jpg has two masks"):
        parts(["a.jpg"], masks=["a.jpg=x.png", "./a.jpg=y.png"])
    with pytest.raises(SpecError, match=r"c\.jpg is none of the styles \(a\.jpg\)"):
        parts(["a.jpg"], masks=["c.jpg=x.png"])


def test_the_file_of_a_label_map_is_among_the_files(tmp_path):
    label_map = tmp_path / "map.png"
    Image.fromarray(np.eye(4, dtype=np.uint8)).save(label_map)
    found = parts([], [f"{label_map}#1=a.jpg"], masks=[f"a.jpg={label_map}#0"])
    assert list(found.files()) == [Path("a.jpg"), label_map, label_map]


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse_region("~/m.png=~/a.jpg").mask == str(tmp_path / "m.png")
    assert parse_region("~/m.png=~/a.jpg:.5").style == str(tmp_path / "a.jpg")


def test_a_segmentation_network_has_a_flag_of_its_own_for_its_weights(monkeypatch):
    def refuse(*args, **kwargs):
        raise ConnectionError("no route")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(WeightsError, match="or give one as --segment-weights, or draw the masks yourself"):
        parts(segments=["person=a.jpg"]).segmenter("cpu", quiet=True)


# ------------------------------------------------------------------------------------- parts that keep more


@pytest.mark.parametrize(
    ("text", "mask", "share"),
    [
        ("face.png:0.5", "face.png", 0.5),
        ("face.png", "face.png", 1.0),
        ("take:2", "take:2", 1.0),
        ("take:2:0", "take:2", 0.0),
        ("map.png#person:.5", "map.png#person", 0.5),
        ("person:0.5", "person", 0.5),
        ("person+dog", "person+dog", 1.0),
    ],
)
def test_kept_parts_are_read(text, mask, share, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("face.png", "take:2", "map.png"):
        (tmp_path / name).touch()
    found = parse_keep(text)
    assert (found.mask, found.share) == (mask, share)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("person:2", "the share is '2'; give a number from 0 to 1"),
        ("person:nan", "the share is 'nan'"),
        ("person:much", "the share is 'much'"),
        (":0.5", r"there is no part before the share; MASK\|NAME\[:SHARE\] is needed"),
        ("nothing.png:0.5", r"there is no file nothing\.png"),
        ("folder/person", "there is no file folder/person"),
    ],
)
def test_kept_parts_that_cannot_be_read(text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        parse_keep(text)


class Finds:
    """A stand-in for a segmentation network: the left half is a person, and there is no dog."""

    def masks(self, picture, classes, *, absent=False):
        mask = np.zeros(picture.size[::-1], np.float32)
        mask[:, : picture.size[0] // 2] = 1
        return {name: mask if name == "person" else 0 * mask for name in classes}


def test_what_a_network_finds_is_kept(files, monkeypatch):
    monkeypatch.chdir(files)
    Image.new("L", (48, 32), 255).save("all.png")
    asked = Parts.parse([Path("painting.png")], [], [], [], None, None, ["person:0.5", "all.png:0.2", "dog"])
    assert Path("all.png") in asked.files()
    with pytest.warns(ArtuneWarning, match=r"the network finds no dog in photo\.png: nothing is kept there"):
        regions, keeps = asked.of(Path("photo.png"), Finds(), False)
    assert not regions
    assert [keep.share for keep in keeps] == [0.2, 0.5]
    assert keeps[0].mask == "all.png"
    assert keeps[1].mask.mean() == 0.5


def test_a_network_that_finds_what_is_kept_may_be_chosen():
    found = Parts.parse([], [], [], [], "deeplabv3_mobilenet_v3_large", None, ["person"])
    assert found.model == "deeplabv3_mobilenet_v3_large"
    with pytest.raises(SpecError, match="--segment-model has no effect"):
        Parts.parse([], [], [], [], "deeplabv3_mobilenet_v3_large", None, [])
