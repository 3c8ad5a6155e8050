"""What the optional extras of the package bring, and what is said where they are missing."""

import json
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from artune.errors import MissingExtraError
from artune.extras import EXTRAS, require

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
INSTALLS = {
    extra: {canonicalize_name(Requirement(line).name) for line in lines}
    for extra, lines in PROJECT["optional-dependencies"].items()
}


def test_the_extras_are_those_that_pip_installs():
    distributions = packages_distributions()
    for extra, modules in EXTRAS.items():
        assert {canonicalize_name(distributions[module][0]) for module in modules} == INSTALLS[extra]


def test_all_brings_every_extra():
    (line,) = PROJECT["optional-dependencies"]["all"]
    assert Requirement(line).name == "artune"
    assert Requirement(line).extras == EXTRAS.keys()


def test_what_is_installed_is_not_refused():
    for extra in EXTRAS:
        require(extra, "anything")


@pytest.mark.parametrize("extra", EXTRAS)
def test_what_is_missing_is_refused_with_the_line_that_installs_it(extra, monkeypatch):
    monkeypatch.setitem(sys.modules, EXTRAS[extra][-1], None)
    with pytest.raises(MissingExtraError, match=rf"^a thing needs \w+, which is not installed: .*artune\[{extra}\]'$"):
        require(extra, "a thing")


COMMANDS = """
tune photo.png painting.png -o page
classes --contents . --styles . --content-judge a --style-judge b --strengths 0.1,0.9 -o page
human make page --study .
human score answers.csv
"""
WITHOUT_MATPLOTLIB = """
import json, sys
from typer.testing import CliRunner
sys.modules["matplotlib"] = None
from artune.cli import app
results = [CliRunner().invoke(app, line.split()) for line in sys.argv[1].split("\\n") if line]
print(json.dumps([(result.exit_code, result.stderr) for result in results]))
"""


def test_a_command_that_writes_a_page_is_refused_before_it_begins(files):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_MATPLOTLIB, COMMANDS], cwd=files, capture_output=True, text=True, check=True
    )
    said = "artune: writing a page with charts needs matplotlib, which is not installed: pip install 'artune[report]'\n"
    assert json.loads(done.stdout) == [[2, said]] * 4
    assert sorted(path.name for path in files.iterdir()) == ["painting.png", "photo.png"]
