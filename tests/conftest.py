"""What all tests share. beartype checks every annotation of the package, shapes included, at each call."""

import os
import signal
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import settings
from torch.optim.optimizer import register_optimizer_step_post_hook

import tests.checking  # noqa: F401 - named to the hook

settings.register_profile("steady", deadline=None, derandomize=True)  # a busy machine fails no test
settings.load_profile("steady")

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as a shell begins what it runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which the commands that tests interrupt inherit

jaxtyping.install_import_hook("artune", "tests.checking.check_types").__enter__()

from artune.images.picture import Picture  # noqa: E402
from artune.images.write import write_picture  # noqa: E402


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """No test sees the user's cache."""
    monkeypatch.setenv("ARTUNE_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def untyped(monkeypatch):
    """Types are not checked, as in use: for tests of what the package itself says of an argument of a wrong type."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def photo(rng):
    """A small picture with forms and colours, 48x32."""
    y, x = np.mgrid[0:32, 0:48] / 32
    pixels = np.stack([x / 1.5, y, 0.5 + 0.5 * np.sin(9 * x * y)], -1)
    return Picture((0.9 * pixels + 0.1 * rng.random(pixels.shape)).astype(np.float32))


@pytest.fixture
def painting(rng):
    """A small picture of another kind, 40x40."""
    cells = rng.random((8, 8, 3)).astype(np.float32)
    return Picture(np.kron(cells, np.ones((5, 5, 1), np.float32)))


@pytest.fixture
def files(tmp_path, photo, painting):
    """The two pictures as files, and a folder to write to."""
    write_picture(photo, tmp_path / "photo.png")
    write_picture(painting, tmp_path / "painting.png")
    return tmp_path


@pytest.fixture
def diverging(monkeypatch):
    """Call it with a number: every objective is finite for so many evaluations, and then never again."""
    from artune.losses.objective import Objective

    def after(count):
        plain, calls = Objective.__call__, []

        def breaks(self, x, step):
            calls.append(1)
            value = plain(self, x, step)
            return value if len(calls) <= count else value._replace(total=value.total * float("nan"))

        monkeypatch.setattr(Objective, "__call__", breaks)

    return after


@pytest.fixture(scope="session")
def assets():
    """The folder with pictures and weights, or a skip that says why."""
    folder = os.environ.get("ARTUNE_ASSETS")
    if not folder or not (Path(folder) / "weights").is_dir():
        pytest.skip("ARTUNE_ASSETS names no folder with weights and pictures")
    return Path(folder)


@pytest.fixture
def stopping():
    """Ctrl-C after so many steps of an optimiser of PyTorch."""
    hooks = []

    def after(count):
        steps = []

        def step(*_):
            steps.append(1)
            if len(steps) == count:
                signal.raise_signal(signal.SIGINT)

        hooks.append(register_optimizer_step_post_hook(step))

    yield after
    for hook in hooks:
        hook.remove()
