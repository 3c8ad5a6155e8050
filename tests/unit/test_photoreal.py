"""The matting Laplacian, against Levin's formula by loops."""

import builtins
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from artune.backbones.base import PassOutput
from artune.errors import InputError, MissingExtraError
from artune.losses.matting import (
    EPSILON,
    PAINTED_SHARE,
    SMOOTHING_WEIGHT,
    Matting,
    SparseRows,
    laplacian,
    matting,
    smooth_like,
)
from artune.losses.objective import PaintingImage, RegionWeights
from tests.objectives import AllWeights, build_objective
from tests.tiny import Tiny


def by_loops(picture):
    """Levin 2008, equation 12: over windows of 3x3 of delta_ij - (1 + (I_i - m)' (S + eps / 9)^-1 (I_j - m)) / 9."""
    height, width, _ = picture.shape
    matrix = np.zeros((height * width, height * width))
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            places = [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
            colours = np.array([picture[p] for p in places])
            mean = colours.mean(0)
            spread = np.cov(colours.T, bias=True)
            inverse = np.linalg.inv(spread + EPSILON / 9 * np.eye(3))
            for i, p in enumerate(places):
                for j, q in enumerate(places):
                    affinity = (1 + (colours[i] - mean) @ inverse @ (colours[j] - mean)) / 9
                    matrix[p[0] * width + p[1], q[0] * width + q[1]] += (i == j) - affinity
    return matrix


@pytest.fixture
def photograph(rng):
    return rng.random((5, 5, 3))


@pytest.fixture
def content(photograph):
    return torch.from_numpy(photograph).permute(2, 0, 1)[None]


def test_the_laplacian_is_levins(photograph):
    np.testing.assert_allclose(laplacian(photograph).toarray(), by_loops(photograph), atol=1e-6)


def test_energy_by_loops(photograph, content, rng):
    picture = rng.random((5, 5, 3))
    flat = picture.reshape(25, 3)
    want = np.trace(flat.T @ by_loops(photograph) @ flat) / 25
    term = Matting(content)
    image = torch.from_numpy(picture).permute(2, 0, 1)[None]
    assert term.distance(term.measure({"image": image}), None).item() == pytest.approx(want, rel=1e-5)


def test_energy_of_the_unit_by_loops(photograph, content):
    flat = photograph.reshape(25, 3)
    diagonal = by_loops(photograph).diagonal()
    want = PAINTED_SHARE * (diagonal[:, None] * (flat - flat.mean(0)) ** 2).sum() / 25
    assert Matting(content).energy(content).item() == pytest.approx(want, rel=1e-5)


def test_recoloured_photographs_cost_nothing(content, generator):
    colours = torch.rand((3, 3), generator=generator, dtype=torch.float64)
    recoloured = torch.einsum("dc,bchw->bdhw", colours, content) + 0.2
    frozen = matting(content, 1.0)
    assert frozen.loss(PassOutput({"image": recoloured}, {}), 0).item() < 0.01  # but for EPSILON
    assert frozen.loss(PassOutput({"image": torch.rand(content.shape, generator=generator).double()}, {}), 0).item() > 1


def test_gradient(content, generator):
    term = Matting(content)
    x = torch.rand((2, 3, 5, 5), generator=generator, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x: term.distance(x, None), (x,), fast_mode=True)


def test_a_flat_photograph_stays_finite():
    flat = torch.full((1, 3, 5, 5), 0.5)
    x = (flat + 0.1 * torch.eye(5)).requires_grad_()
    value = matting(flat, 1.0).loss(PassOutput({"image": x}, {}), 0)
    value.sum().backward()
    assert value.isfinite().all()
    assert x.grad.isfinite().all()


def test_it_is_part_of_an_objective(generator):
    content, style = (torch.rand((1, 3, 8, 6), generator=generator) for _ in range(2))
    weights = AllWeights({"double": 1.0}, {"double": 1.0})
    plain, extra = (
        build_objective(Tiny(), content, [(RegionWeights(), [PaintingImage(style)])], weights, extra=e)
        for e in ([], [matting(content, 2.0)])
    )
    x = (content + style) / 2
    a, b = plain(x, 0), extra(x, 0)
    torch.testing.assert_close(b.total, a.total + 2 * b.losses["photoreal"])
    assert not torch.equal(a.gradient, b.gradient)


def test_smoothing_solves_its_equation(photograph, rng):
    picture = 0.3 + 0.4 * rng.random((5, 5, 3))
    system = SMOOTHING_WEIGHT * 0.05 * by_loops(photograph) + np.eye(25)
    want = np.linalg.solve(system, picture.reshape(25, 3)).reshape(5, 5, 3).clip(0, 1)
    np.testing.assert_allclose(smooth_like(picture, photograph, 0.05), want, atol=2e-3)


def test_smoothing_by_strength(photograph, rng):
    picture = rng.random((5, 5, 3)).astype(np.float32)
    assert smooth_like(picture, photograph, 0.0) is picture
    matrix = laplacian(photograph)

    def energy(x):
        flat = x.reshape(25, 3).astype(float)
        return np.trace(flat.T @ (matrix @ flat))

    energies = [energy(smooth_like(picture, photograph, s)) for s in (0.0, 0.01, 0.1, 1.0)]
    assert energies == sorted(energies, reverse=True)
    smooth = smooth_like(picture, photograph, 1.0)
    assert smooth.dtype == np.float32
    assert smooth.min() >= 0
    assert smooth.max() <= 1


def test_without_pymatting_it_says_what_to_install(content, monkeypatch):
    plain = builtins.__import__

    def without(name, *rest):
        if name.startswith("pymatting"):
            raise ImportError(name)
        return plain(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'artune\[photoreal\]'") as caught:
        matting(content, 1.0)
    assert isinstance(caught.value, InputError)


@pytest.mark.parametrize("size", [(1, 1), (2, 5)])
def test_a_picture_smaller_than_a_window_is_left_alone(size, rng):
    picture = rng.random((*size, 3))
    np.testing.assert_allclose(smooth_like(picture, picture, 1.0), picture)
    content = torch.from_numpy(picture).permute(2, 0, 1)[None]
    assert matting(content, 1.0).loss(PassOutput({"image": 0.5 * content}, {}), 0).item() == 0


UNTOUCHED = """
import sys, warnings, torch
filters, seen = list(warnings.filters), set()
torch.set_num_threads(3)
import numpy as np
from artune.losses.matting import Matting
def watch(frame, event, function):
    if event == "c_call" and function.__name__ in ("set_num_threads", "_filters_mutated"):
        seen.add(function.__name__)
term = Matting(torch.rand(1, 3, 8, 6))
sys.setprofile(watch)
term = Matting(torch.rand(1, 3, 8, 6))
term.distance(torch.rand(1, 3, 8, 6), None)
sys.setprofile(None)
print(torch.get_num_threads(), seen)
"""


@pytest.mark.slow
def test_nothing_is_switched_for_the_whole_process():
    """In a process of its own, for PyMatting's first import sets a number of threads, and PyTorch warns once only."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", UNTOUCHED],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("3 set()\n", "")


def test_the_product_is_that_of_the_matrix(photograph, rng):
    matrix = laplacian(photograph)
    rows = rng.random((25, 6))
    product = SparseRows.of(matrix, like=torch.zeros((), dtype=torch.float64)).times(torch.from_numpy(rows))
    np.testing.assert_allclose(product.numpy(), matrix.toarray() @ rows, atol=1e-12)
