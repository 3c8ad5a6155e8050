"""Whole processes: killed, interrupted, short of disk and memory, without network."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.write import write_picture

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def command(files, out, *more):
    pictures = [str(files / "photo.png"), str(files / "painting.png")]
    fixed = ["--size", "128", "--steps", "400", "--precision", "fp32", "--strength", "0.5", "--quiet"]
    return [sys.executable, "-m", "artune", "style", *pictures, "-o", str(files / out), *fixed, *more]


def begun(files, out, *more) -> subprocess.Popen:
    """A run that has written a checkpoint of its own."""
    partial = files / f"{out}.partial"

    def written():
        return partial.stat().st_mtime_ns if partial.exists() else None

    before, deadline = written(), time.monotonic() + 300
    process = subprocess.Popen(command(files, out, *more), stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    while written() == before:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def test_killed_and_interrupted_then_resumed_gives_the_same_bits(files):
    subprocess.run(command(files, "whole.png"), check=True, env=ENVIRONMENT)
    process = begun(files, "out.png")
    process.kill()
    process.communicate()
    assert not (files / "out.png").exists()
    process = begun(files, "out.png", "--resume")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Go on with --resume" in said
    assert "Traceback" not in said
    assert read_picture(files / "out.png").size == (128, 85)
    subprocess.run(command(files, "out.png", "--resume"), check=True, env=ENVIRONMENT)
    assert read_picture(files / "out.png").digest() == read_picture(files / "whole.png").digest()
    assert not (files / "out.png.partial").exists()


@pytest.mark.parametrize("module", ["typer", "artune.cli", "torch._C", "artune.transfer.run"])
def test_interrupted_before_the_first_step_is_quiet(files, module):
    """At a known point of the start, however slow the machine: when ``module`` has just been imported."""
    watched = [sys.executable, "-X", "importtime", *command(files, "out.png")[1:]]
    process = subprocess.Popen(watched, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    for line in process.stderr:
        if line.rpartition("|")[2].strip() == module:
            break
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert list(files.glob("out.png*")) == []


def test_a_full_disk(files):
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("mounting a small disk needs root")
    disk = files / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        done = subprocess.run(
            command(files, "disk/out.png", "--steps", "20"),
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            check=False,
        )
        assert done.returncode == 2
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_too_little_memory_names_a_size(files):
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))

    arguments = [*command(files, "out.png"), "--size", "20000"]
    done = subprocess.run(arguments, capture_output=True, text=True, env=ENVIRONMENT, check=False, preexec_fn=limit)
    assert done.returncode == 2, done.stderr
    assert "GiB are free; --size" in done.stderr


@pytest.mark.parametrize("regions", [0, 3])
def test_a_run_in_tiles_stays_within_its_memory(files, regions):
    """A small process starts the command, and tells its peak: a child's counts from what its parent held."""
    (files / "spec.yaml").write_text("method: {rungs: [{size: 256, steps: 2}, {size: 2048, steps: 1}]}")
    options = ["--size", "2048", "--strength", "0.5", "--memory", "1500MiB", "--precision", "fp32", "--json"]
    options += ["--spec", str(files / "spec.yaml")]
    width, height = read_picture(files / "photo.png").size
    for number in range(regions):
        mask = np.zeros((height, width, 3), np.float32)
        mask[:, number * width // regions : (number + 1) * width // regions] = 1
        write_picture(Picture(mask), files / f"mask{number}.png")
        options += ["--region", f"{files}/mask{number}.png={files}/painting.png"]
    pictures = [str(files / "photo.png"), str(files / "painting.png"), "-o", str(files / "out.png")]
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)"
    )
    arguments = [sys.executable, "-c", code, sys.executable, "-m", "artune", "style", *pictures, *options]
    done = subprocess.run(arguments, capture_output=True, text=True, env=ENVIRONMENT, check=True)
    record, peak = done.stdout.strip().splitlines()
    assert json.loads(record)["end"] == "done"
    assert read_picture(files / "out.png").size == (2048, 1365)
    assert int(peak) < 1.03 * 1500 * 2**20  # the system's own share differs from run to run by 20 MB


def test_interrupted_between_tiles_goes_on(files):
    options = ["--size", "512", "--memory", "1200MiB", "--steps", "20"]
    process = begun(files, "out.png", *options)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130, said
    assert "Go on with --resume" in said
    subprocess.run(command(files, "out.png", *options, "--resume"), check=True, env=ENVIRONMENT)
    subprocess.run(command(files, "whole.png", *options), check=True, env=ENVIRONMENT)
    assert read_picture(files / "out.png").digest() == read_picture(files / "whole.png").digest()


def test_folders_without_permission(files):
    humble = []
    if os.geteuid() == 0:  # who may write everywhere, unless the right to is given up
        if not shutil.which("setpriv"):
            pytest.skip("root may write everywhere")
        humble = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    locked = files / "locked"
    locked.mkdir(mode=0o500)
    arguments = [*humble, *command(files, "locked/out.png")]
    done = subprocess.run(arguments, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 2
    assert "Permission denied; choose another place" in done.stderr


def test_the_wheel_holds_all_that_the_demo_needs(tmp_path):
    """Built, unpacked elsewhere, and run from there with every connection refused."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(pip, check=True)
    (wheel,) = tmp_path.glob("artune-*.whl")
    assert wheel.stat().st_size < 8_000_000
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise OSError('no network')\n"
        "socket.socket.connect = socket.create_connection = refuse\n"
        "import artune; assert artune.__file__.startswith(sys.argv.pop(1)), artune.__file__\n"
        "from artune.__main__ import main; main()\n"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "site"), "demo", "-o", "demo.png", "--size", "64"]
    environment = {**ENVIRONMENT, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert read_picture(tmp_path / "demo.png").size == (64, 64)


def test_a_run_of_the_bundled_network_imports_no_library_that_it_does_not_use(files):
    code = (
        "import sys; from artune.cli import app; app(sys.argv[1:], standalone_mode=False);"
        "print(*sorted({'torchvision', 'scipy.optimize', 'matplotlib', 'skimage', 'transformers'} & {*sys.modules}))"
    )
    pictures = [str(files / "photo.png"), str(files / "painting.png"), "-o", str(files / "out.png")]
    options = ["--size", "64", "--no-pyramid", "--steps", "1", "--strength", "0.5", "--quiet"]
    command = [sys.executable, "-c", code, "style", *pictures, *options]
    assert subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip() == ""
