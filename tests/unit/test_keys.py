"""Keys: what decides on a picture, and nothing else."""

import shutil

import pytest
import torch

import artune.record
import artune.studies.keys
from artune.errors import InputError, SpecError
from artune.files import file_digest
from artune.record import run_key
from artune.spec.study import Example, RunSpec
from artune.spec.style import StyleSpec
from artune.studies.grid import examples, grid
from artune.studies.keys import differences, keyed, pinned, settings
from tests.studies import SPEC, grey_classes


@pytest.fixture
def folder(tmp_path):
    return grey_classes(tmp_path / "in")


@pytest.fixture
def machine(monkeypatch):
    """Call it with a device and a type: that is what `auto` stands for."""

    def of(device, dtype=torch.float32):
        def device_of(name):
            return torch.device(device if name == "auto" else name)

        monkeypatch.setattr(artune.studies.keys, "choose_device", device_of)
        types = {"auto": dtype, "fp32": torch.float32, "bf16": torch.bfloat16}
        monkeypatch.setattr(artune.studies.keys, "choose_precision", lambda name, device: types[name])

    return of


def test_a_key_follows_from_the_files_and_the_spec_alone(folder, tmp_path, monkeypatch):
    content, style = examples(folder, 1)[:2]

    def key(content=content, style=style, spec=SPEC, weights=None):
        (found,) = keyed([RunSpec(content=content, style=style, spec=spec, weights=str(weights or ""))])
        return found

    first = key()
    shutil.copy(content.file, tmp_path / "other name.png")
    assert key(content=Example(file=tmp_path / "other name.png", label="other")) == first
    unknown = StyleSpec(strength=0.5, method={"network": "there is none"})  # no network is looked at
    weights = tmp_path / "weights"
    weights.write_bytes(b"1")
    others = [key(style=content), key(spec=StyleSpec(strength=0.4)), key(spec=unknown), key(weights=weights)]
    weights.write_bytes(b"2")
    others += [key(weights=weights), key(weights="random")]
    start = StyleSpec(strength=0.5, method={"start": str(weights)})
    others.append(key(spec=start))
    weights.write_bytes(b"3")
    others.append(key(spec=start))
    monkeypatch.setattr(artune.studies.keys, "ALGORITHM", artune.record.ALGORITHM + 1)
    others.append(key())
    assert len({first, *others}) == 1 + len(others)


def test_a_key_is_that_of_a_run(folder, tmp_path, machine):
    machine("cpu")
    content, style = examples(folder, 1)[:2]
    runs = [RunSpec(content=content, style=style, spec=SPEC, weights=weights) for weights in ("", str(style.file))]
    digests = {"content": file_digest(content.file), "style": file_digest(style.file)}
    expected = [run_key(pinned(SPEC), {**digests, **more}) for more in ({}, {"weights": digests["style"]})]
    assert [*keyed(runs)] == expected


def test_runs_share_their_spec(folder, machine):
    """A million runs of a hundred specs need no million specs."""
    machine("cpu")
    content, *styles = examples(folder, 1)
    found = keyed(grid([content], styles, [SPEC, StyleSpec(strength=0.1)]))
    assert len(found) == 4
    assert len({id(each.spec) for each in found.values()}) == 2


def test_a_picture_in_two_classes_is_refused(folder, tmp_path):
    content, style = examples(folder, 1)[:2]
    copy = Example(file=tmp_path / "copy.png", label="other")
    shutil.copy(content.file, copy.file)
    with pytest.raises(InputError, match=r"are the same picture in two classes"):
        keyed(RunSpec(content=each, style=style, spec=SPEC) for each in (content, copy))
    keyed([RunSpec(content=content, style=copy, spec=SPEC)])  # of two sides, it may be


def key_of(folder, **options):
    content, style = examples(folder, 1)[:2]
    (key,) = keyed([RunSpec(content=content, style=style, spec=StyleSpec(strength=0.5, **options))])
    return key


def test_a_key_holds_what_auto_stands_for(folder, machine):
    machine("cpu")
    first = key_of(folder)
    assert first == key_of(folder, device="cpu") == key_of(folder, precision="fp32", device="cpu")
    machine("cpu", torch.bfloat16)
    second = key_of(folder)
    assert second == key_of(folder, device="cpu", precision="bf16")
    machine("cuda", torch.bfloat16)
    third = key_of(folder)
    assert third == key_of(folder, device="cuda:1") == key_of(folder, device="cuda:1", precision="bf16")
    assert len({first, second, third}) == 3


def test_runs_are_pinned_for_other_processes(folder, machine):
    machine("cpu", torch.bfloat16)
    content, style = examples(folder, 1)[:2]
    (run,) = keyed([RunSpec(content=content, style=style, spec=SPEC)]).values()
    assert (run.spec.device, run.spec.precision) == ("cpu", "bf16")
    machine("cuda")
    assert pinned(run.spec) == run.spec
    assert pinned(StyleSpec(device="cuda:1")).device == "cuda:1"


def test_what_was_made_elsewhere_can_be_looked_at_here():
    """A device that this machine lacks is refused where pictures are made, and not by the key."""
    far = StyleSpec(device="cuda:7", precision="bf16")
    assert pinned(far) == far
    with pytest.raises(SpecError, match="cuda:7"):
        pinned(StyleSpec(device="cuda:7"))


def test_settings_are_all_but_pictures_and_weight():
    digests = {"weights": "w", "content": "c"}
    first = settings(StyleSpec(strength=0.5, device="cuda:1"), digests)
    assert first == settings(StyleSpec(strength=0.9, device="cuda:0"), {**digests, "content": "d"})
    assert differences([first, first]) == []
    other = settings(StyleSpec(strength=0.5, size=64, device="cpu", seed=3), {"weights": "v"})
    assert differences([first, other]) == [
        "size (512, 64)",
        "seed (0, 3)",
        "device (cuda, cpu)",
        "weights of the network (w, v)",
    ]
    long = settings(StyleSpec(strength=0.5, device="cuda"), {"weights": "v" * 64})
    assert differences([first, long]) == ["weights of the network"]
