"""What `import artune` offers: names that are there, documented, and loaded when they are used."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import artune

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", artune.__all__)
def test_a_public_name_is_there_and_says_what_it_is(name):
    assert inspect.getdoc(getattr(artune, name))


def test_every_public_name_is_in_the_reference():
    pages = (path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "reference").rglob("*.md"))
    named = re.findall(r"^::: artune\.(\w+)$", "\n".join(pages), re.M)
    assert sorted(named) == sorted([*artune.__all__, "errors"])


def test_a_name_that_is_not_there_is_an_error():
    with pytest.raises(AttributeError, match="nothing"):
        _ = artune.nothing


@pytest.mark.parametrize("words", [["-c", "import artune"], ["-m", "artune", "--help"], ["-m", "artune", "--version"]])
def test_torch_is_loaded_by_need_alone(words):
    done = subprocess.run([sys.executable, "-X", "importtime", *words], capture_output=True, text=True, check=True)
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "artune" in loaded
    assert not loaded & {"torch", "matplotlib", "jinja2", "scipy"}


def test_the_version_is_that_of_the_newest_entry_of_the_changelog():
    heads = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert heads[0] == artune.__version__


def test_the_version_is_printed():
    printed = subprocess.check_output([sys.executable, "-m", "artune", "--version"], text=True)
    assert printed == f"artune {artune.__version__}\n"
