"""Palettes, and maps from the colours of one picture to those of another."""

import numpy as np
import pytest

from artune.assets import sample_photo, sample_style
from artune.images.color import SPACES
from artune.images.palette import MATCHES, MOST, SIDE, STEEPEST, Palette, lattice
from artune.images.read import read_picture

NODES = np.stack(np.meshgrid(*[np.linspace(0, 1, SIDE, dtype=np.float32)] * 3, indexing="ij"), -1)


@pytest.fixture(scope="module")
def palettes():
    pictures = (read_picture(file).resized(128, 96) for file in (sample_photo("cat"), sample_style("washes")))
    return [Palette.of(picture.pixels) for picture in pictures]


def mapped(table, colours):
    """The nearest colours of a lattice: exact to half a step of it."""
    at = np.rint(colours * (SIDE - 1)).astype(int)
    return table[tuple(at.T)]


def apart(one, other, space="lab"):
    """Mean distance of the distributions of two palettes along 30 directions, in units of the space."""
    draws, found = np.random.default_rng(1), []
    values = [SPACES[space].forward(each.colours) for each in (one, other)]
    for _ in range(30):
        axis = draws.standard_normal(3)
        along = [np.sort(each @ (axis / np.linalg.norm(axis))) for each in values]
        places = np.linspace(0.5, len(along[0]) - 0.5, 500) / len(along[0])
        quantiles = [np.quantile(each, places) for each in along]
        found.append(np.abs(quantiles[0] - quantiles[1]).mean())
    return float(np.mean(found))


# ------------------------------------------------------------------------------------- palettes


def test_a_palette_counts_what_is_seen(rng):
    pixels, weight = rng.random((40, 50, 3), np.float32), np.zeros((40, 50), np.float32)
    weight[3, 4], weight[20, 30] = 1, 0.25
    palette = Palette.of(pixels, weight)
    np.testing.assert_array_equal(palette.colours, pixels[[3, 20], [4, 30]])
    np.testing.assert_allclose(palette.shares, [0.8, 0.2])
    assert len(Palette.of(pixels).colours) == 2000


def test_a_large_picture_gives_a_part_of_its_pixels(rng):
    """Evenly: also of a picture whose columns repeat."""
    pixels = np.zeros((512, 256, 3), np.float32)
    pixels[:, ::4] = 1
    palette = Palette.of(pixels)
    assert len(palette.colours) == MOST
    assert palette.colours.mean() == pytest.approx(0.25, abs=0.01)


def test_palettes_are_mixed_by_their_weights(rng):
    one, other = (Palette.of(np.full((4, side, 3), value, np.float32)) for side, value in ((2, 0.0), (50, 1.0)))
    mixed = Palette.mix([one, other], [0.75, 0.25])
    assert mixed.shares.sum() == pytest.approx(1)
    assert float(mixed.shares @ mixed.colours[:, 0]) == pytest.approx(0.25)


# ------------------------------------------------------------------------------------- maps


@pytest.mark.parametrize("how", MATCHES)
@pytest.mark.parametrize("space", SPACES)
def test_a_picture_has_its_own_colours_already(palettes, how, space):
    table = lattice(palettes[0], palettes[0], how, space)
    np.testing.assert_allclose(mapped(table, palettes[0].colours), palettes[0].colours, atol=0.5 / 32 + 0.02)
    assert table.min() >= 0
    assert table.max() <= 1


@pytest.mark.parametrize("how", MATCHES)
def test_gaussian_colours_are_moved_and_stretched_as_is_known(how):
    """Greys with the mean 0.4 and the deviation 0.05, to the mean 0.6 and 0.1: twice the contrast around the mean."""
    draws = np.random.default_rng(0)
    one, other = (
        Palette.of(np.repeat((mean + deviation * draws.standard_normal((100, 100, 1))), 3, 2).astype(np.float32))
        for mean, deviation in ((0.4, 0.05), (0.6, 0.1))
    )
    table = lattice(one, other, how, "yiq")
    for value in (11, 13, 15):
        grey = value / (SIDE - 1)
        np.testing.assert_allclose(table[value, value, value], 0.6 + 2 * (grey - 0.4), atol=0.025)


def test_transport_comes_nearest_to_the_distribution(palettes):
    photo, painting = palettes
    found = {
        how: apart(Palette(mapped(lattice(photo, painting, how, "lab"), photo.colours), photo.shares), painting)
        for how in MATCHES
    }
    before = apart(photo, painting)
    assert found["transport"] < 0.2 * before
    assert found["transport"] < min(found["moments"], found["histogram"])
    assert max(found.values()) < 0.6 * before


@pytest.mark.parametrize("how", MATCHES)
def test_near_colours_stay_near(palettes, how):
    """Among the photograph's colours no step of the lattice leads far: what is smooth stays smooth."""
    table, at = lattice(*palettes, how, "lab"), np.rint(palettes[0].colours * (SIDE - 1)).astype(int)
    inner = np.minimum(at, SIDE - 2)
    for axis in np.eye(3, dtype=int):
        steps = np.linalg.norm(table[tuple((inner + axis).T)] - table[tuple(inner.T)], axis=1) * (SIDE - 1)
        assert np.quantile(steps, 0.99) < 5


def test_few_colours_are_not_blown_up(rng):
    """Noise of a grey photograph is no palette: its colours are enlarged by no more than the largest factor."""
    grey = np.repeat(rng.random((64, 64, 1), np.float32), 3, 2) + 0.002 * rng.standard_normal((64, 64, 3))
    photo = Palette.of(np.clip(grey, 0, 1).astype(np.float32))
    painting = Palette.of(rng.random((64, 64, 3), np.float32))
    noise = [SPACES["yiq"].forward(each)[:, 1].std() for each in (photo.colours, painting.colours)]
    table = lattice(photo, painting, "moments", "yiq")
    chroma = SPACES["yiq"].forward(table[16, 16, 16:18])[:, 1]
    gain = np.abs(np.diff(chroma))[0] / np.abs(np.diff(SPACES["yiq"].forward(NODES[16, 16, 16:18])[:, 1]))[0]
    assert noise[1] / noise[0] > 50
    assert gain < 1.1 * STEEPEST
