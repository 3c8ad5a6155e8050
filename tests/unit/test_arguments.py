"""Paths, specs and options as they are typed."""

import json
from pathlib import Path

import pytest

from artune.cli.arguments import by_method, check_lossy, format_from, given_options, read_spec, spec_of
from artune.errors import InputError, OutputError, SpecError
from artune.files import expanded
from artune.images.picture import Picture
from artune.images.write import write_picture
from artune.spec.options import with_options
from artune.spec.style import WCT, Instant, Optimise, StyleSpec

SPEC = StyleSpec(strength=0.25, method=Optimise(tv=2.0, style_layers={"relu1_1": 2.0}))


def test_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded("~/a.jpg") == Path("/home/me/a.jpg")
    assert expanded(Path("~/a.jpg")) == Path("/home/me/a.jpg")
    assert expanded("a~/b.jpg") == Path("a~/b.jpg")
    assert with_options(StyleSpec(), given_options({"start": "~/a.jpg"})).method.start == "/home/me/a.jpg"
    assert given_options({"start": "grey"}) == {"start": "grey"}


@pytest.fixture
def specs(tmp_path, photo):
    """The same spec in a file, in two pictures, and in the record of a run."""
    data = SPEC.model_dump(mode="json")
    (tmp_path / "spec.json").write_text(json.dumps(data))
    (tmp_path / "record.json").write_text(json.dumps({"key": "k", "spec": data, "steps": 3}))
    noted = Picture(photo.pixels, note={"artune": "0", "spec": data})
    write_picture(noted, tmp_path / "spec.png")
    write_picture(noted, tmp_path / "spec.jpg")
    return tmp_path


@pytest.mark.parametrize("name", ["spec.json", "spec.png", "spec.jpg", "record.json"])
def test_a_spec_is_read_from_whatever_carries_one(specs, name):
    assert read_spec(specs / name) == SPEC


def test_pictures_without_a_spec(tmp_path, photo):
    for name in ("a.png", "a.bmp"):
        write_picture(photo, tmp_path / name)
        with pytest.raises(
            InputError, match=f"{name} carries no spec: artune did not write it, or its format holds none"
        ):
            read_spec(tmp_path / name)
    write_picture(Picture(photo.pixels, note={"artune": "0", "spec": {"strenth": 1}}), tmp_path / "b.png")
    assert spec_of(tmp_path / "b.png") == {"strenth": 1}
    with pytest.raises(SpecError, match=r"b.png: strenth: there is no such field; did you mean strength\?"):
        read_spec(tmp_path / "b.png")


def test_the_method_by_its_flags():
    assert by_method(SPEC, instant=False) == SPEC == by_method(SPEC, instant=False, method="optimise")
    assert by_method(SPEC, instant=True).method == Instant() == by_method(SPEC, instant=True, method="instant").method
    wct = by_method(SPEC, instant=False, method="wct")
    assert (wct.method, wct.strength) == (WCT(), SPEC.strength)
    with pytest.raises(SpecError, match="--instant and --method are two ways"):
        by_method(SPEC, instant=True, method="wct")
    with pytest.raises(SpecError, match="there is no method 'wtc'; did you mean wct"):
        by_method(SPEC, instant=False, method="wtc")
    assert given_options({"levels": "relu5_1:0.5,relu1_1"}) == {"levels": {"relu5_1": 0.5, "relu1_1": 1.0}}


def test_formats_of_results():
    assert [format_from(text) for text in ("jpg", ".JPG", "webp")] == ["jpg", "jpg", "webp"]
    with pytest.raises(OutputError, match="--format: 'xyz' cannot be written; use jpg"):
        format_from("xyz")
    check_lossy("jpg", 50)
    check_lossy("png", None)
    with pytest.raises(OutputError, match=r"--jpeg-quality has no effect on png files; .*jpg"):
        check_lossy("png", 50)


@pytest.mark.parametrize("text", ["90", " 90", "90%"])
def test_a_quality_that_is_meant_for_the_file(text):
    with pytest.raises(SpecError, match="the quality of a written JPEG is --jpeg-quality 90"):
        given_options({"quality": text})
    assert given_options({"quality": "draft"}) == {"quality": "draft"}
