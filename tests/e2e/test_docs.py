"""What the documents say can be done can be done: every command is known, every link and file is there."""

import ast
import re
import shlex
from functools import partial
from itertools import cycle
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pytest
import typer

import artune
from artune.assets import SAMPLE_STYLES, sample_photo, sample_style
from artune.backbones.compact import Compact
from artune.cli import app
from artune.cli.style import EXAMPLES
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.write import write_picture
from artune.judges.classes import ClassJudge, ClassNetwork, JudgeInfo
from artune.spec.style import StyleSpec

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
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
    if "-o" not in words and any("-o" in option.opts and option.required for option in command.params):
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
    for name in re.findall(r"`([\w/]+/[\w]+\.py)`", text):
        assert (ROOT / name).exists() or (ROOT / "src/artune" / name).exists(), name
    for name in re.findall(r"(?<![\w/.-])artune((?:\.[A-Za-z_]\w*)+)", text):
        resolve_name(f"artune{name}")


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


def test_every_class_is_in_the_glossary():
    classes = {
        node.name
        for path in (ROOT / "src").rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    }
    assert classes - {*re.findall(r"`(\w+)`", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"))} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_sketches_import_what_is_there(page):
    """Indented Python is not run as a whole, as the blocks in fences are: it needs judges or folders of pictures."""
    for line in re.findall(r"^ {4}((?:import|from) \w.*)", page.read_text(encoding="utf-8"), re.M):
        exec(line, {})


def blocks() -> dict[str, str]:
    """The examples, each with the first page that has it."""
    return {
        block: str(page.relative_to(ROOT))
        for page in reversed(PAGES)
        for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    }


SIZE = (48, 32)
"""Of the pictures that the examples are given: real ones, and small."""
PAINTERS = ("hokusai", "monet")


def write_judge(path: Path) -> None:
    """A judge of painters that nobody trained."""
    network = ClassNetwork(Compact(), "relu1_1", "gram", len(PAINTERS)).eval()
    network.initialise(seed=0)
    ClassJudge(network, JudgeInfo("gram", PAINTERS, "compact", "relu1_1", 32)).save(path)


def styled(name: str, photo: Picture) -> Picture:
    """A picture that an example saved: of the photograph's shape, changed, and with its spec inside."""
    picture = read_picture(name)
    assert picture.size == SIZE
    assert StyleSpec.model_validate(picture.note["spec"]).size == SIZE[0]
    assert np.abs(picture.pixels - photo.pixels).mean() > 0.01
    return picture


def one_picture(photo: Picture, printed: str) -> None:
    styled("out.png", photo)


def a_balance(photo: Picture, printed: str) -> None:
    strength, low, high, reason = printed.split(maxsplit=3)
    assert 0 < float(strength) < 1
    assert (low, high) == ("None", "None") or float(low) <= float(strength) <= float(high)
    assert reason.strip() in {str(each) for each in artune.Reason}


def pictures_of_a_study(photo: Picture, printed: str) -> None:
    weak, strong = (read_picture(line) for line in printed.splitlines())
    assert weak.size == strong.size == (32, 21)
    assert len({picture.digest() for picture in (weak, strong, photo.resized(32, 21))}) == 3


def parts_of_a_picture(photo: Picture, printed: str) -> None:
    strengths = StyleSpec.model_validate(styled("out.png", photo).note["spec"]).region_strengths
    assert strengths is not None
    assert all(0 < strength <= 1 for strength in strengths)


def probabilities(photo: Picture, printed: str) -> None:
    names, values = zip(*map(str.split, printed.splitlines()), strict=True)
    assert names == PAINTERS
    assert sum(map(float, values)) == pytest.approx(1)


def a_network_and_a_loss(photo: Picture, printed: str) -> None:
    styled("out.png", photo)
    network, loss = printed.split()
    assert network == "compact"
    assert 0 < float(loss) < 10


def four_measures(photo: Picture, printed: str) -> None:
    similar, outlines, palette, texture = map(float, printed.split())
    assert 0 < similar < 1
    assert 0 < outlines < 1
    assert max(palette, texture) < 1


CLAIMS = {
    "README.md": one_picture,
    "docs/balance.md": a_balance,
    "docs/judges.md": probabilities,
    "docs/experiments.md": pictures_of_a_study,
    "docs/regions.md": parts_of_a_picture,
    "docs/looks.md": one_picture,
    "docs/measures.md": four_measures,
    "docs/reference/python.md": a_network_and_a_loss,
}
"""What the example of each page is to have made, given the photograph and what was printed."""


@pytest.mark.parametrize(("block", "page"), blocks().items(), ids=blocks().values())
def test_an_example_does_what_it_says(block, page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if "artune.style(" in block:
        monkeypatch.setattr(artune, "style", partial(artune.style, size=SIZE[0], steps=2))
    photo = read_picture(sample_photo("cat")).resized(*SIZE)
    paintings = cycle(read_picture(sample_style(name)).resized(*SIZE) for name in SAMPLE_STYLES)
    saved = re.findall(r"\.save\(\"(.*?)\"\)", block)
    for place, name in enumerate(re.findall(r"\"([\w/]+\.(?:png|jpg))\"", block)):
        if name in saved:
            continue
        if name.endswith(".png"):  # a mask: columns that those of the other masks leave
            picture = Picture(np.zeros((*SIZE[::-1], 3), np.float32))
            picture.pixels[:, 12 * place % 48 :][:, :12] = 1
        else:
            picture = photo if "photo" in name else next(paintings)
        write_picture(picture, Path(name))
    if "painters.safetensors" in block:
        write_judge(Path("painters.safetensors"))
    exec(compile(block, page, "exec"), {})
    CLAIMS[page](photo, capsys.readouterr().out)
