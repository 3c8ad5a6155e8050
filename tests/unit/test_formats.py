"""The table of formats against Pillow's."""

import sys

import pytest
from PIL import Image

from artune.images.formats import (
    ALL,
    AVIF,
    FORMATS,
    HEIF,
    JXL,
    READABLE,
    WRITABLE,
    guess_format,
    is_installed,
    load_plugins,
)
from tests.pictures import file_of


def test_suffixes_are_lower_case_and_of_one_format():
    assert len(READABLE) == sum(len(form.suffixes) for form in ALL)
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in READABLE)
    assert set(WRITABLE) < set(READABLE)


def test_pillow_agrees():
    load_plugins()
    known = Image.registered_extensions()
    for suffix, form in FORMATS.items():
        assert form.name in Image.OPEN or form.needs
        if suffix in known:
            assert known[suffix] == form.name


@pytest.mark.parametrize("form", [HEIF, AVIF, JXL])
def test_a_file_is_told_by_its_first_bytes(form):
    if not is_installed(form):
        pytest.skip(f"needs {form.needs}")
    assert guess_format(file_of(Image.new("RGB", (16, 16)), form.name)) is form


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", AVIF),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf", HEIF),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", None),  # a film
        (b"\0\0\0\x0cJXL \r\n\x87\n", JXL),
        (b"\xff\xd8\xff\xe0", None),
        (b"", None),
    ],
)
def test_brands(data, form):
    assert guess_format(data) is form


@pytest.mark.parametrize("module", ["pillow_heif", "pillow_jxl"])
def test_plugins_may_be_missing(module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    load_plugins()
