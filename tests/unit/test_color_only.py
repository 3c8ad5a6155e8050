"""The method ``color``: the painting's colours alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import artune
from artune import api
from artune.errors import CheckpointError, InputError, ResourceError, SpecError
from artune.images.picture import Picture
from artune.spec.style import ColorOnly, StyleSpec
from artune.transfer import color_only
from artune.transfer.checkpoint import Checkpoint
from tests.scripts import imported

COLOURS = {"method": ColorOnly(), "size": 48}


@pytest.fixture
def warm(rng):
    """A painting in warm and light colours, 40x40."""
    return Picture((np.array([0.9, 0.6, 0.3]) + 0.1 * rng.standard_normal((40, 40, 3))).clip(0, 1).astype(np.float32))


@pytest.mark.parametrize("how", ["transport", "moments", "histogram"])
def test_the_colours_are_the_paintings_and_the_forms_are_the_photographs(photo, warm, how):
    result = artune.style(photo, warm, size=48, method=ColorOnly(color_only=how))
    made = result.picture.pixels
    assert np.abs(made.mean((0, 1)) - warm.pixels.mean((0, 1))).max() < 0.06
    ratio = made.std((0, 1)) / warm.pixels.std((0, 1))
    assert ((ratio > 0.5) & (ratio < 2)).all()
    one, other = (each.mean(2) - each.mean() for each in (made, photo.pixels))
    assert (one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum()) > 0.7
    assert (result.record.spec.method.color_only, result.record.spec.strength, result.record.end) == (how, 1.0, "done")


def test_the_strength_is_the_share_of_the_way(photo, warm):
    none, half, whole = (artune.style(photo, warm, strength=s, **COLOURS).picture.pixels for s in (0, 0.5, 1))
    np.testing.assert_array_equal(none, photo.pixels)
    np.testing.assert_allclose(half, (none + whole) / 2, atol=0.01)
    weak = artune.style(photo, warm, strength=0.1, **COLOURS).picture.pixels
    np.testing.assert_allclose(weak - none, 0.1 * (whole - none), atol=0.01)


def test_each_region_has_its_own_colours(photo, warm, painting):
    left = np.zeros((32, 48), np.float32)
    left[:, :24] = 1
    dark = replace(painting, pixels=0.2 * painting.pixels)
    regions = [artune.RegionStyle(left, warm), artune.RegionStyle(1 - left, dark, strength=0.5)]
    made = artune.style(photo, regions=regions, **COLOURS).picture.pixels
    assert np.abs(made[:, :16].mean((0, 1)) - warm.pixels.mean((0, 1))).max() < 0.1
    half = (photo.pixels[:, 32:].mean((0, 1)) + dark.pixels.mean((0, 1))) / 2
    assert np.abs(made[:, 32:].mean((0, 1)) - half).max() < 0.1
    alone = artune.style(photo, regions=regions[:1], **COLOURS).picture.pixels
    np.testing.assert_array_equal(alone[:, 24:], photo.pixels[:, 24:])


def test_what_is_transparent_does_not_count(photo, warm):
    pixels, alpha = photo.pixels.copy(), np.ones((32, 48), np.float32)
    pixels[:, :20], alpha[:, :20] = (0, 1, 0), 0
    made = artune.style(Picture(pixels, alpha), warm, **COLOURS).picture
    np.testing.assert_array_equal(made.alpha, alpha)
    np.testing.assert_array_equal(made.pixels[:, :20], pixels[:, :20])
    assert np.abs(made.pixels[:, 20:].mean((0, 1)) - warm.pixels.mean((0, 1))).max() < 0.06


def test_a_part_keeps_its_colours(photo, warm):
    mask = np.zeros((32, 48), np.float32)
    mask[8:24, 8:24] = 1
    plain, kept, half = (
        artune.style(photo, warm, keeps=keeps, **COLOURS).picture.pixels
        for keeps in ([], [artune.Keep(mask)], [artune.Keep(mask, 0.5)])
    )
    np.testing.assert_array_equal(kept[8:24, 8:24], photo.pixels[8:24, 8:24])
    inside = (plain + photo.pixels)[8:24, 8:24] / 2
    np.testing.assert_allclose(half[8:24, 8:24], inside, atol=0.01)
    np.testing.assert_allclose(kept[:, 30:], plain[:, 30:], atol=1e-6)


def test_several_paintings_are_one_palette(photo, warm, painting):
    both = artune.style(photo, warm, painting, style_weights=(3, 1), **COLOURS).picture.pixels.mean((0, 1))
    expected = 0.75 * warm.pixels.mean((0, 1)) + 0.25 * painting.pixels.mean((0, 1))
    assert np.abs(both - expected).max() < 0.08


@pytest.mark.parametrize("tile", ["none", "both"])
def test_bands_change_nothing(photo, warm, tile, monkeypatch):
    whole = artune.style(photo, warm, tile=tile, **COLOURS).picture.pixels
    monkeypatch.setattr(color_only, "BAND", 48 * 5)
    parts = []
    banded = artune.style(photo, warm, tile=tile, on_tile=lambda progress: parts.append(progress.part), **COLOURS)
    np.testing.assert_allclose(banded.picture.pixels, whole, atol=1e-6)
    assert [part.done for part in parts] == [*range(1, 8)]


def test_a_smooth_photograph_gets_no_bands(warm):
    """16 bits: a ramp of 2,000 steps stays one; no two neighbours are further apart than a few of its steps."""
    ramp = np.linspace(0.1, 0.9, 2000, dtype=np.float32)
    photograph = Picture(np.repeat(np.tile(ramp, (32, 1))[..., None], 3, 2))
    made = artune.style(photograph, warm, size=2000, method=ColorOnly()).picture
    samples = made.to_numpy(np.uint16)[16, :, 0].astype(int)
    assert np.abs(np.diff(samples)).max() <= 6 * 65535 * 0.8 / 2000
    assert len(np.unique(samples)) > 500


def test_grain_stays_what_it_is(rng, painting):
    """A flat photograph with grain, and one bright half: the map is steep, the grain is not."""
    pixels = np.full((64, 96, 3), 0.45, np.float32)
    pixels[:, 48:] = 0.5
    pixels += 0.004 * rng.standard_normal(pixels.shape).astype(np.float32)
    made = artune.style(Picture(pixels), painting, size=96, method=ColorOnly()).picture.pixels
    before, after = (each[10:54, 4:30].std((0, 1)).mean() for each in (pixels, made))
    assert after < 2 * before
    assert abs(made[:, 60:].mean() - made[:, :36].mean()) > 2 * 0.05


def test_a_smoothed_picture_keeps_edges_and_loses_grain(generator):
    image = torch.zeros((1, 3, 40, 60))
    image[..., 30:] = 0.8
    grain = 0.004 * torch.randn(image.shape, generator=generator)
    found = color_only.smoothed(image + grain)
    assert (found - image)[..., :20].std() < 0.3 * grain.std()
    assert (found[..., 32] - found[..., 27]).mean() > 0.75


def test_a_lattice_of_colours_as_they_are_changes_nothing(photo):
    steps = torch.linspace(0, 1, 33)
    table = torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"))[None]
    torch.testing.assert_close(color_only.looked_up(table, photo.tensor()), photo.tensor(), atol=1e-5, rtol=0)


def test_a_result_that_repeats(photo, warm):
    made = artune.style(photo, warm, tile="x", **COLOURS).picture
    with imported("seam") as seams:
        found, before = seams.jumps(made.pixels, 1), seams.jumps(photo.pixels, 1)
    assert found.seam_mean < 0.3 * before.seam_mean


def test_its_record_makes_the_same_picture(photo, warm):
    result = artune.style(photo, warm, **COLOURS)
    again = artune.style(photo, warm, spec=result.record.spec)
    assert again.record.key == result.record.key
    assert np.array_equal(again.picture.pixels, result.picture.pixels)


def test_a_run_is_cancelled_and_made_anew(photo, warm, tmp_path):
    def save(progress):
        progress.save(tmp_path / "run.partial")
        return True

    assert artune.style(photo, warm, on_tile=save, **COLOURS).record.end == "cancelled"
    resumed = artune.style(photo, warm, resume=tmp_path / "run.partial", **COLOURS)
    assert np.array_equal(resumed.picture.pixels, artune.style(photo, warm, **COLOURS).picture.pixels)
    other = api.read(photo, [warm], StyleSpec(strength=0.3, **COLOURS))
    with pytest.raises(CheckpointError, match="another run"):
        api.plan(other, checkpoint=Checkpoint.load(tmp_path / "run.partial"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"color": "content-luminance"}, "takes the painting's colours, and `color` content-luminance does not"),
        ({"style_scale": 0.5}, "`style_scale` has no effect on the colours"),
        ({"color_match": "histogram"}, "`color_match` has no effect"),
        ({"loss": "gram"}, "the method color has none"),
        ({"precision": "bf16"}, "fp32 alone"),
        ({"start": "gaussian"}, "'content'"),
    ],
)
def test_options_that_do_not_fit(photo, warm, options, message):
    with pytest.raises(SpecError, match=message):
        artune.style(photo, warm, **COLOURS, **options)


def test_more_that_is_refused(photo, warm, tmp_path):
    with pytest.raises(SpecError, match="no network takes part"):
        artune.style(photo, warm, weights=tmp_path / "a.pth", **COLOURS)
    with pytest.raises(ResourceError, match="and `memory` is 2MiB"):
        artune.style(photo, warm, memory="2MiB", **COLOURS)
    with pytest.raises(InputError, match="`color_only` was given"):
        artune.tune(photo, warm, **COLOURS)
    with pytest.raises(SpecError, match="'transport', 'moments' or 'histogram'"):
        artune.style(photo, warm, **COLOURS, color_only="reinhard")
