"""Files that a call names: found in any part of it, and replaced; nothing else changes."""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from artune.spec.options import with_options
from artune.spec.study import Example, RunSpec
from artune.spec.style import StyleSpec
from artune.studies.inputs import input_at, inputs_of, with_paths


@dataclass(frozen=True)
class Judged:
    """What a call may be made of."""

    run: RunSpec
    weights: str = ""
    label: str = ""
    network: Path | None = None


def test_files_are_found_in_every_part_and_replaced_there(tmp_path):
    names = ("content", "style", "start", "weights", "trunk")
    paths = {name: tmp_path / name for name in names}
    for name, path in paths.items():
        path.write_bytes(name.encode())
    run = RunSpec(
        content=Example(file=paths["content"], label="a"),
        style=Example(file=paths["style"], label=str(paths["style"])),  # a class whose name is that of a file
        spec=with_options(StyleSpec(strength=0.5), {"start": str(paths["start"])}),
    )
    value = (partial(max, key=[paths["trunk"]]), {"one": Judged(run, str(paths["weights"]), str(paths["trunk"]))}, 7)
    found = inputs_of(value)
    assert found.keys() == {str(path) for path in paths.values()}
    assert found[str(paths["style"])].digest == hashlib.sha256(b"style").hexdigest()
    assert found[str(paths["style"])].size == 5

    function, judged, seven = with_paths(value, {path: f"/there{path}" for path in found})
    assert seven == 7
    assert function.keywords == {"key": [Path(f"/there{paths['trunk']}")]}
    assert judged["one"].run.content.file == Path(f"/there{paths['content']}")
    assert judged["one"].run.spec.method.start == f"/there{paths['start']}"
    assert judged["one"].weights == f"/there{paths['weights']}"
    assert (judged["one"].label, judged["one"].run.style.label) == (str(paths["trunk"]), str(paths["style"]))
    assert inputs_of((function, judged)) == {}
    assert with_paths((function, judged, 7), {f"/there{path}": path for path in found})[1] == value[1]


def test_a_value_without_files_stays_the_same_object():
    example = Example(file=Path("nowhere"), label="a")
    run = RunSpec(content=example, style=example, spec=StyleSpec())
    value = (partial(max, default=1), [Judged(run, weights="random")], {"a": Path("nowhere")})
    assert inputs_of(value) == {}
    assert with_paths(value, {"/elsewhere": "/there"}) is value


def test_what_is_no_file_is_no_input(tmp_path):
    assert input_at(str(tmp_path)) is None
    assert input_at(str(tmp_path / "nothing")) is None
    assert input_at("a\0b") is None
    assert input_at("content" * 1000) is None


def test_a_file_that_changed_is_another_input(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    before = input_at(str(path))
    path.write_bytes(b"three")
    assert input_at(str(path)) != before
