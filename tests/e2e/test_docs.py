"""What the documents say can be done can be done: every command is known, every link and file is there."""

import re
import shlex
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import typer

import artune
from artune.cli import app
from artune.cli.style import EXAMPLES
from artune.images.picture import Picture
from artune.images.write import write_picture

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
ROW = re.compile(r"^(?:    )?(artune [a-z]+ .*|artune [a-z]+)$", re.MULTILINE)


def commands() -> list[str]:
    found = [line for page in PAGES for line in ROW.findall(page.read_text(encoding="utf-8"))]
    found += re.findall(r"`(artune [a-z]+ [^`]+)`", "\n".join(page.read_text(encoding="utf-8") for page in PAGES))
    found += ROW.findall(EXAMPLES)
    known = typer.main.get_command(app).commands
    return sorted({line.split("  #")[0].strip() for line in found if line.split()[1] in known and "--help" not in line})


@pytest.mark.parametrize("line", commands())
def test_a_command_is_one_that_artune_takes(line):
    _, name, *words = shlex.split(line)
    command = typer.main.get_command(app).commands[name]
    while hasattr(command, "commands"):  # artune human make
        name, *words = words
        command = command.commands[name]
    if "-o" not in words and any(option.name == "out" and option.required for option in command.params):
        words += ["-o", "out.png"]  # in the middle of a sentence
    if name == "style" and "photo.jpg" not in words:
        words.insert(0, "photo.jpg")
    command.make_context(name, words)  # raises where an option is unknown, or a value of the wrong kind


def test_there_are_commands_to_check():
    assert len(commands()) > 20


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_files_are_there(page):
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#\s]*)(?:#[^)]*)?\)", text):
        if link and "://" not in link:
            assert (page.parent / link).exists(), link
    for name in re.findall(r"`((?:benchmarks|training|tests|docs)/[\w/.-]+)`", text):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"`((?:backbones|losses|engine|transfer|metrics|cli)/[\w/]+\.py)`", text):
        assert (ROOT / "src/artune" / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_sections_that_are_linked_to_are_there(page):
    for link, section in re.findall(r"\]\(([^)#\s]*)#([^)]*)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        target = (page.parent / link if link else page).read_text(encoding="utf-8")
        heads = [
            re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.*)", target, re.M)
        ]
        assert section in heads, f"{link}#{section}"


def blocks() -> list[tuple[str, str]]:
    return [
        (page.name, block)
        for page in PAGES
        for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    ]


@pytest.mark.parametrize(("page", "block"), blocks())
def test_python_in_the_documents_runs(page, block, tmp_path, photo, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(artune, "style", partial(artune.style, size=32, steps=1))
    width, height = photo.size
    left = np.zeros((height, width, 3), np.float32)
    left[:, : width // 2] = 1
    for name in re.findall(r"\"([\w/]+\.(?:png|jpg))\"", block):
        named = left if name.endswith(".png") and "photo" not in name else None
        picture = Picture(named) if named is not None else photo  # of one size, as masks need it
        write_picture(picture, Path(name))
    exec(compile(block, page, "exec"), {})
    assert any(tmp_path.iterdir())
