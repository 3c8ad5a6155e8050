"""The painter of ordinary operators, against the painter itself, Pillow and PyTorch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import artune
from artune.assets import sample_photo, sample_style
from artune.images.read import read_picture
from artune.losses import moments as fn
from artune.networks.loaded import PainterNetwork
from artune.networks.painter import REVISION_TAPS, STEP_TAPS, Painter
from artune.networks.portable import (
    SMALL,
    PortablePainter,
    PortablePainting,
    PortableReading,
    PortableStep,
    Size,
    Target,
    at_size,
    doubled,
    features_of,
    lanczos,
    mean_and_covariance,
    padded,
    reduced,
    roots_of,
    style_length,
    transport,
)
from artune.spec.style import Rung, StyleSpec


@pytest.fixture(scope="module")
def painter():
    return PainterNetwork.load(StyleSpec()).painter


def modules(painter, sizes):
    taps = {size.taps for size in sizes}
    return (
        PortablePainting(sizes, {each: PortableReading(painter, each) for each in taps}),
        PortablePainter(painter, sizes, {each: PortableStep(painter, each) for each in taps}),
    )


def sample(width, height):
    return read_picture(sample_photo("cat")).resized(width, height), read_picture(sample_style("mosaic")).resized(
        96, 96
    )


def whole(painting):
    """A painting of which no border is cut off."""
    return artune.Masked(painting, np.ones(painting.size[::-1]))


def psnr(a, b):
    return -10 * float((a - b).square().mean().log10())


@torch.no_grad()
def test_pictures_are_those_of_the_method_instant(painter):
    photo, painting = sample(96, 64)
    rungs = tuple(Rung(size=96 // size.factor, steps=size.steps) for size in SMALL)
    wanted = artune.style(photo, whole(painting), strength=0.7, size=96, method=artune.Instant(rungs=rungs))
    read, paint = modules(painter, SMALL)
    found = paint(photo.tensor(), read(painting.tensor()), torch.tensor([0.7]))
    assert psnr(found, wanted.picture.tensor()) > 40
    assert psnr(found, photo.tensor()) < 25


@torch.no_grad()
def test_the_last_size_of_a_large_picture_renews_fine_texture_alone(painter):
    photo, painting = (each.tensor() for each in sample(96, 64))
    (read, paint), (read_half, paint_half) = (
        modules(painter, sizes)
        for sizes in ((Size(2, 1, STEP_TAPS), Size(1, 1, REVISION_TAPS)), (Size(1, 1, STEP_TAPS),))
    )
    found = paint(photo, read(painting), torch.ones(1))
    half = paint_half(reduced(photo, 2), read_half(reduced(painting, 2)), torch.ones(1))
    assert psnr(reduced(found, 4), reduced(half, 2)) > 20
    assert psnr(reduced(found, 4), reduced(photo, 4)) < 15


@torch.no_grad()
def test_strength_0_is_the_photograph_and_a_weak_one_is_blended(painter):
    photo, painting = sample(48, 33)
    read, paint = modules(painter, (Size(1, 1, STEP_TAPS),))
    style, image = read(painting.tensor()), photo.tensor()
    at = {share: paint(image, style, torch.tensor([share])) for share in (0.0, 0.1, 0.18)}
    assert torch.equal(at[0.0], image)
    # beyond its range, a strength counts as the nearest in it
    for beyond, nearest in ((-0.5, 0.0), (1.5, 1.0)):
        assert torch.equal(*(paint(image, style, torch.tensor([share])) for share in (beyond, nearest)))
    weaker, stronger = (at[share] - image for share in (0.1, 0.18))  # below the least strength of the training
    torch.testing.assert_close(weaker / 0.5, stronger / 0.9, rtol=1e-4, atol=1e-5)
    assert weaker.abs().max() > 0.02


@torch.no_grad()
def test_every_size_from_a_pixel_on_has_a_picture(painter):
    read, paint = modules(painter, SMALL)
    for height, width in ((16, 16), (17, 33), (16, 80)):
        image = torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(height))
        found = paint(image, read(image.flip(3)), torch.tensor([1.0]))
        assert found.shape == image.shape
        assert found.isfinite().all()
        assert (found >= 0).all()
        assert (found <= 1).all()


@torch.no_grad()
def test_features_are_those_of_the_network(painter):
    image = torch.rand((1, 3, 40, 56), generator=torch.Generator().manual_seed(0))
    for found, wanted in zip(features_of(painter, image, STEP_TAPS), painter.features(image), strict=False):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("whitening", [True, False])
@torch.no_grad()
def test_transports_are_those_of_the_painter(painter, whitening):
    painter = Painter(painter.encoder, replace(painter.config, whitening=whitening))
    photo, painting = (each.tensor() for each in sample(96, 64))
    features, theirs = painter.features(photo, STEP_TAPS), painter.features(painting, STEP_TAPS)
    gaussians = painter.gaussians([fn.moments(each) for each in theirs])
    wanted = painter.transports([fn.moments(each) for each in features], gaussians)
    for place, (mine, target, expected) in enumerate(zip(features, theirs, wanted, strict=True)):
        mean, cov = mean_and_covariance(painter, target, place)
        found = transport(painter, mine, Target(mean, roots_of(painter, cov, place)[0]), place)
        rows = mine[0].flatten(1) - mine[0].flatten(1).mean(1, keepdim=True)
        moved, expected_moved = (each.matrix[0] @ rows for each in (found, expected))
        assert (moved - expected_moved).norm() < 0.02 * expected_moved.norm()


@torch.no_grad()
def test_transports_are_nearer_to_those_in_fp64_than_by_eigenvalues_in_fp32(painter):
    photo, painting = (each.tensor() for each in sample(96, 64))
    features, theirs = painter.features(photo, STEP_TAPS), painter.features(painting, STEP_TAPS)
    by_eigenvalues = painter.transports(
        [fn.moments(each) for each in features], painter.gaussians([fn.moments(each) for each in theirs])
    )
    errors = []
    for place, (mine, target, other) in enumerate(zip(features, theirs, by_eigenvalues, strict=True)):
        mean, cov = mean_and_covariance(painter, target, place)
        found = transport(painter, mine, Target(mean, roots_of(painter, cov, place)[0]), place)
        root = fn.matrix_root(cov.double()[None])[0]
        values, vectors = torch.linalg.eigh(root @ mean_and_covariance(painter, mine, place)[1].double() @ root)
        exact = root @ (vectors * values.rsqrt()) @ vectors.T @ root - torch.eye(len(root))
        rows = (mine - mine.mean((2, 3), keepdim=True))[0].flatten(1).double()
        wanted = exact @ rows
        errors.append(
            [float((each.matrix[0].double() @ rows - wanted).norm() / wanted.norm()) for each in (found, other)]
        )
    ours, eigenvalues = zip(*errors, strict=True)
    assert max(ours) < 2e-3
    assert sum(ours) < sum(eigenvalues)


def test_what_is_read_has_the_length_that_is_said(painter):
    sizes = (Size(2, 1, STEP_TAPS), Size(1, 1, REVISION_TAPS))
    style = modules(painter, sizes)[0](torch.rand(1, 3, 20, 24))
    assert style.shape == (1, style_length(painter, sizes))


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_pictures_are_reduced_as_by_pillow(photo, factor):
    picture = photo.resized(160, 128)
    found, wanted = reduced(picture.tensor(), factor), picture.resized(160 // factor, 128 // factor).tensor()
    inside = (..., slice(3, -3), slice(3, -3))
    torch.testing.assert_close(found[inside], wanted[inside], rtol=0, atol=1e-6)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0.03)
    assert sum(lanczos(factor)) == pytest.approx(1)


def test_changes_are_enlarged_as_by_pytorch(generator):
    change = torch.randn((1, 3, 7, 9), generator=generator)
    wanted = F.interpolate(change, scale_factor=2, mode="bicubic")
    torch.testing.assert_close(doubled(change, torch.zeros(1, 3, 14, 18)), wanted, rtol=1e-5, atol=1e-5)
    assert torch.equal(doubled(change, torch.zeros(1, 3, 13, 17)), doubled(change, wanted)[..., :13, :17])


@pytest.mark.parametrize(("height", "width"), [(16, 24), (17, 23), (1, 1)])
def test_pictures_are_padded_by_their_border(height, width):
    image = torch.arange(3.0 * height * width).view(1, 3, height, width)
    found = padded(image, 8)
    assert found.shape[-2] % 8 == found.shape[-1] % 8 == 0
    assert found.shape[-2] - height < 8 > found.shape[-1] - width
    assert torch.equal(found[..., :height, :width], image)
    assert (found[..., height:, width - 1] == image[..., -1:, -1]).all()


def test_each_size_is_at_most_half_of_the_next_rounded_up(painter):
    image = torch.rand(1, 3, 45, 50)
    shapes = [tuple(at_size(image, SMALL, size).shape[-2:]) for size in SMALL]
    assert shapes == [(12, 13), (23, 25), (45, 50)]
