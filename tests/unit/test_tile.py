"""Results that repeat without a seam: the option ``tile``, for every method that paints."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import artune
from artune import api
from artune.assets import sample_photo, sample_style
from artune.engine.descend import run_to_end
from artune.errors import ArtuneWarning, PictureError, ResourceError, SpecError
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.resize import NO_WRAPS, WRAPS
from artune.spec.style import Instant, Optimise, StyleSpec
from artune.transfer.canvas import Canvas
from artune.transfer.optimise import budget_of, plan_unchecked
from artune.transfer.start import enlarged
from tests.runs import planned
from tests.scripts import imported

SHORT, FEW = Optimise(size_steps=(3, 3, 3), smallest_size=48), Optimise(steps=3, pyramid=False)


@pytest.fixture(scope="module")
def seams():
    with imported("seam") as script:
        yield script


@pytest.fixture(scope="module")
def real():
    """A real photograph, whose edges do not fit, and a painting."""
    return [read_picture(file).resized(100, 75) for file in (sample_photo("astronaut"), sample_style("strokes"))]


@pytest.mark.parametrize(
    ("method", "size", "tile"),
    [
        (Instant(), 96, "x"),
        (Instant(), 75, "both"),
        pytest.param(SHORT, 96, "both", marks=pytest.mark.slow),
        (FEW, 60, "x"),
    ],
)
def test_no_seam_where_the_result_repeats(seams, real, method, size, tile):
    """Also at sizes that are no multiples of the strides. Without the option there is a seam."""
    made, plain = (
        artune.style(*real, size=size, strength=0.7, method=method, tile=each).picture for each in (tile, "none")
    )
    for name, axis in seams.AXES.items():
        if tile in (name, "both"):
            found, before = (seams.jumps(each.pixels, axis) for each in (made, plain))
            assert found.seam_most <= found.inside_most
            assert found.seam_mean <= 1.2 * found.inside_mean
            assert found.seam_mean < 0.6 * before.seam_mean
            assert found.seam_step <= found.inside_step


def edged(picture):
    """The picture with a bright line at the upper edge, as scans and slides have."""
    pixels = picture.pixels.copy()
    pixels[:3] = 1
    return replace(picture, pixels=pixels)


def test_a_line_at_the_edge_of_the_photograph_is_no_line_along_the_seam(seams, real):
    given = {"size": 75, "strength": 0.8, "method": Instant(), "tile": "both"}
    with pytest.warns(ArtuneWarning, match="a line along the seam: it is cut off: 3 at the top"):
        result = artune.style(edged(real[0]), real[1], **given)
    assert result.picture.size == (75, 54)  # of 100 x 72
    assert result.record.borders["content"] == {"top": 3, "bottom": 0, "left": 0, "right": 0}
    found = seams.jumps(result.picture.pixels, 0)
    assert found.seam_step < found.inside_step


def test_only_edges_that_meet_are_cut(real):
    result = artune.style(edged(real[0]), real[1], size=48, strength=0.8, method=Instant(), tile="x")
    assert result.picture.size == (48, 36)
    assert "content" not in result.record.borders


def test_masks_are_cut_with_the_photograph(real):
    rows = np.zeros((75, 100), np.float32)
    rows[:3] = 1
    given = {"size": 75, "strength": 0.8, "method": Instant(), "tile": "y"}
    regions = [artune.RegionStyle(1 - rows, real[1])]
    with pytest.warns(ArtuneWarning, match="cut off"):
        made = artune.style(edged(real[0]), real[1], regions=regions, **given).picture
    with pytest.warns(ArtuneWarning, match="cut off"):
        plain = artune.style(edged(real[0]), real[1], **given).picture
    np.testing.assert_allclose(made.pixels, plain.pixels, atol=1e-5)
    with (
        pytest.warns(ArtuneWarning, match="cut off"),
        pytest.raises(PictureError, match="region 1 lies where the border of the photograph is cut off"),
    ):
        artune.style(edged(real[0]), real[1], regions=[artune.RegionStyle(rows, real[1])], **given)
    kept = np.zeros((75, 100), np.float32)
    kept[35:43] = 1
    with pytest.warns(ArtuneWarning, match="cut off"):
        made = artune.style(edged(real[0]), real[1], keeps=[artune.Keep(kept)], **given | {"size": "original"}).picture
    np.testing.assert_allclose(made.pixels[32:40], real[0].pixels[35:43], atol=0.02)


def test_the_measure_sees_a_line_beside_the_seam(seams):
    """Also one that the rows at the seam itself do not show."""
    pixels = np.full((40, 30, 3), 0.5, np.float32)
    pixels[[1, -2]] = 0.9
    found = seams.jumps(pixels, 0)
    assert found.seam_most == 0
    assert found.seam_step == pytest.approx(0.4)
    assert found.inside_step == 0
    moved = seams.jumps(np.roll(pixels, 20, 0), 0)
    assert (moved.seam_step, moved.inside_step) == (0, pytest.approx(0.4))


@pytest.mark.parametrize("size", [64, pytest.param(1200, marks=pytest.mark.slow)])
def test_the_painter_knows_no_edges(real, rng, size):
    """A step of the painter on a shifted picture is the shifted step, but for rounding; also in tiles."""
    spec = StyleSpec(size=size, strength=0.6, method=Instant())
    smooth = real[0].resized(size, size // 2).pixels  # without grain, the roots of its covariances lose digits
    photograph = Picture((smooth + 0.05 * rng.standard_normal(smooth.shape)).clip(0, 1).astype(np.float32))
    run = planned(photograph, [real[1]], spec)
    shift, odds = (16, size // 2 // 8 * 8), [torch.tensor([0.5])]

    def step(pixels):
        shown = replace(run.inputs, photograph=Picture(pixels), wraps=WRAPS["both"])
        canvas = run_to_end(Canvas.of(shown, run.plan, run.network, size, 512))
        return run_to_end(canvas.step(Picture(pixels).tensor(), odds, 0, True))

    pixels = run.inputs.photograph.pixels
    moved = step(np.roll(pixels, shift, (0, 1)))
    away = (moved - step(pixels).roll(shift, (2, 3))).abs()
    assert away.max() < 1e-2
    assert away.mean() < 5e-4


def test_sizes_go_over_into_each_other():
    """Enlarging a picture that repeats is the middle of its enlarged copies."""
    image = torch.rand((2, 3, 9, 14), generator=torch.Generator().manual_seed(0))
    content, before = torch.rand((1, 3, 17, 23)), None
    copies = F.interpolate(image.repeat(1, 1, 3, 3), (51, 69), mode="bicubic")[..., 17:34, 23:46].clamp(0, 1)
    torch.testing.assert_close(enlarged(image, content, before, WRAPS["both"]), copies, rtol=0, atol=1e-5)
    across = F.interpolate(image.repeat(1, 1, 1, 3), (17, 69), mode="bicubic")[..., 23:46].clamp(0, 1)
    torch.testing.assert_close(enlarged(image, content, before, WRAPS["x"]), across, rtol=0, atol=1e-5)
    plain = F.interpolate(image, (17, 23), mode="bicubic").clamp(0, 1)
    assert torch.equal(enlarged(image, content, before, NO_WRAPS), plain)


def test_regions_repeat_too(seams, real):
    left = np.zeros((75, 100), np.float32)
    left[:, :50] = 1
    dark = replace(real[1], pixels=0.3 * real[1].pixels)
    regions = [artune.RegionStyle(left, dark), artune.RegionStyle(1 - left, real[1])]
    made = artune.style(real[0], regions=regions, size=64, strength=0.7, tile="x", method=Instant()).picture
    found = seams.jumps(made.pixels, 1)
    assert found.seam_mean <= 1.2 * found.inside_mean


def test_the_key_and_the_record_know_of_it(real):
    specs = [StyleSpec(size=48, strength=0.5, method=Instant(), tile=tile) for tile in ("none", "x")]
    keys = [planned(real[0], [real[1]], spec).key for spec in specs]
    assert keys[0] != keys[1]
    result = artune.style(*real, spec=specs[1])
    again = artune.style(*real, spec=result.record.spec)
    assert np.array_equal(again.picture.pixels, result.picture.pixels)


@pytest.mark.slow
def test_a_strength_is_found_for_it(real):
    tuning = artune.tune(*real, size=64, method=Instant(), tile="both")
    assert 0 < tuning.balance.strength < 1


@pytest.mark.parametrize(
    ("method", "named"),
    [
        (Optimise(photoreal=1), "photoreal"),
        (Optimise(smooth=True), "smooth"),
        (Instant(photoreal_smoothing=1), "photoreal_smoothing"),
    ],
)
def test_what_needs_edges_is_refused(real, method, named):
    with pytest.raises(SpecError, match=f"`tile` makes a result without edges, but `{named}` needs them"):
        artune.style(*real, size=48, tile="x", method=method)


def test_tiles_of_a_large_picture_are_refused(real):
    with pytest.raises(SpecError, match="`tile` needs the picture as a whole"):
        artune.style(*real, size=768, strength=0.5, tile="x", memory="1100MiB", method=Optimise(start="content"))
    with pytest.raises(ResourceError, match="give more `memory`"):
        artune.style(*real, size=48, strength=0.5, tile="x", memory="2MiB", method=Instant())


def test_more_memory_is_counted(real):
    """What is seen beyond the edges counts."""
    budgets = []
    for tile in ("none", "both"):
        task = api.read(real[0], [real[1]], StyleSpec(size=256, strength=0.5, tile=tile))
        budgets.append(budget_of(plan_unchecked(task), task).need(256).whole)
    assert budgets[1] > 2 * budgets[0]
