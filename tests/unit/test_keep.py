"""Parts of which more of the photograph is kept: lower strengths, for every method."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import artune
from artune.backbones.registry import load_network
from artune.errors import InputError, PictureError
from artune.losses.objective import Formulas, PaintingImage, RegionWeights
from artune.spec.style import Instant, Optimise, StyleSpec
from artune.transfer.inputs import Inputs
from artune.transfer.plan import strengths_by_part, weights_by_part
from tests.objectives import AllWeights, build_objective
from tests.runs import planned

INSTANT = {"method": Instant(), "size": 48}
SHORT = {"method": Optimise(steps=3, pyramid=False), "size": 48, "precision": "fp32"}


def square(share=1.0):
    mask = np.zeros((32, 48), np.float32)
    mask[8:24, 8:24] = share
    return mask


def read(photo, painting, *keeps, regions=()):
    return Inputs.read(photo, [painting], regions, keeps)


# ------------------------------------------------------------------------------------- reading


def test_parts_have_the_strength_that_is_left(photo, painting):
    left = np.zeros((32, 48), np.float32)
    left[:, :16] = 1
    regions = [artune.RegionStyle(left, painting, strength=0.4)]
    run = planned(
        photo, [painting], StyleSpec(strength=0.8, **INSTANT), regions=regions, keeps=[artune.Keep(square(), 0.5)]
    )
    np.testing.assert_allclose(strengths_by_part(run.plan, run.inputs), [0.2, 0.4, 0.4, 0.8])
    assert [part.region for part in run.inputs.parts] == [0, 0, 1, 1]
    np.testing.assert_allclose(sum(part.mask for part in run.inputs.parts), 1, atol=1e-6)
    assert run.inputs.parts[0].mask.sum() == 16 * 8


def test_without_keeps_the_parts_are_the_regions(photo, painting):
    (part,) = read(photo, painting).parts
    assert (part.region, part.mask, part.kept) == (0, None, 0)


def test_of_overlapping_parts_the_one_that_keeps_most_counts(photo, painting):
    whole = np.ones((32, 48), np.float32)
    inputs = read(photo, painting, artune.Keep(whole, 0.3), artune.Keep(square(), 0.8))
    kept = inputs.kept_at(48, 32)
    np.testing.assert_allclose(kept[8:24, 8:24], 0.8)
    np.testing.assert_allclose(kept[:, 30:], 0.3)
    again = read(photo, painting, artune.Keep(square(), 0.8), artune.Keep(whole, 0.3))
    assert again.digests == inputs.digests


def test_soft_edges_stay_soft(photo, painting):
    inputs = read(photo, painting, artune.Keep(square(0.5)))
    assert inputs.kept_at(48, 32)[10, 10] == pytest.approx(0.5)
    assert inputs.kept_at(24, 16)[5, 5] == pytest.approx(0.5)
    assert inputs.kept_at(24, 16)[0, 0] == 0


def test_the_key_depends_on_mask_and_share(photo, painting):
    def key(*keeps):
        return planned(photo, [painting], StyleSpec(strength=0.5, **INSTANT), keeps=keeps).key

    keys = [
        key(),
        key(artune.Keep(square(), 0.5)),
        key(artune.Keep(square(), 0.6)),
        key(artune.Keep(square()[:, ::-1], 0.5)),
    ]
    assert len({*keys}) == 4
    assert keys[1] == key(artune.Keep(square(), 0.5))


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan"), True])
def test_shares_that_are_none(share):
    with pytest.raises(InputError, match=r"give a number from 0 to 1"):
        artune.Keep(square(), share)


def test_what_cannot_be_kept(photo, painting, tmp_path, untyped):
    with pytest.raises(InputError, match="all of the photograph is kept"):
        read(photo, painting, artune.Keep(np.ones((32, 48)), 1))
    with pytest.raises(PictureError, match="the mask of kept part 1 is empty"):
        read(photo, painting, artune.Keep(0 * square()))
    with pytest.raises(InputError, match=r"a ndarray keeps nothing; give an artune\.Keep"):
        read(photo, painting, square())
    Image.new("L", (48, 32), 255).save(tmp_path / "mask.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "mask.png").read_bytes()[:60])
    with pytest.raises(PictureError, match="damaged or cut short"):
        read(photo, painting, artune.Keep(tmp_path / "cut.png"))
    with pytest.warns(artune.errors.ArtuneWarning, match="the mask of kept part 1 has 24x16 pixels"):
        read(photo, painting, artune.Keep(square()[::2, ::2], 0.5))


# ------------------------------------------------------------------------------------- painting


def test_the_painter_makes_what_a_lower_strength_makes(photo, painting):
    lower = artune.style(photo, painting, strength=0.4, **INSTANT).picture.pixels
    kept = artune.style(photo, painting, strength=0.8, keeps=[artune.Keep(np.ones((32, 48)), 0.5)], **INSTANT)
    np.testing.assert_allclose(kept.picture.pixels, lower, atol=2e-3)
    assert kept.record.kept == {"keep 0": 0.5}
    higher = artune.style(photo, painting, strength=0.8, **INSTANT).picture.pixels
    assert np.abs(higher - lower).mean() > 0.01


@pytest.mark.parametrize("options", [INSTANT, {**SHORT, "tile": "x"}])
def test_a_part_is_nearer_to_the_photograph_and_a_whole_share_is_the_photograph(photo, painting, options):
    spec = StyleSpec(strength=0.7, **options)
    mask = square()
    made = {
        share: artune.style(photo, painting, spec=spec, keeps=[artune.Keep(mask, share)] if share else [])
        for share in (0, 0.6, 1)
    }
    shown = planned(photo, [painting], spec).inputs.photograph.pixels  # whose edges may have been blended
    inside, outside = mask > 0, np.zeros((32, 48), bool)
    outside[:, 36:] = True
    away = {share: np.abs(each.picture.pixels - shown).mean(2) for share, each in made.items()}
    assert away[1][inside].max() < 1e-6
    assert 0.02 < away[0.6][inside].mean() < 0.75 * away[0][inside].mean()
    assert away[0.6][outside].mean() > 0.75 * away[0][outside].mean()


def test_the_gradient_is_that_of_the_lower_strength(photo, painting):
    """Of what is kept everywhere alike; the weights fall and rise as they do with the strength."""
    network, _ = load_network("compact", device=torch.device("cpu"), dtype=torch.float32)
    content, style = photo.tensor(), PaintingImage(painting.tensor())
    weights = AllWeights({"relu4_1": 1.0}, {"relu1_1": 1.0, "relu3_1": 1.0})
    x = content.lerp(painting.resized(48, 32).tensor(), 0.3)
    kept = torch.full((1, 1, 32, 48), 0.5)
    regions = [RegionWeights(None, style=0.4, content=0.6), RegionWeights(None, 0.8, 0.2, kept, kept_content=1.0)]
    lower, same = (build_objective(network, content, [(region, [style])], weights)(x, 0) for region in regions)
    torch.testing.assert_close(same.gradient, lower.gradient, rtol=1e-3, atol=1e-7)
    assert Formulas().scale == "calibrated"


def test_weights_that_were_given_are_kept_back_too(photo, painting):
    method = Optimise(content_weight=1, style_weight=10)
    keeps = [artune.Keep(square(), 0.75)]
    run = planned(photo, [painting], StyleSpec(size=48, method=method), keeps=keeps)
    assert weights_by_part(run.plan, run.inputs) == [(1, 2.5), (1, 10)]


@pytest.mark.slow
def test_a_kept_part_is_found_out_by_the_search(photo, painting):
    """The strength is found for the picture as it will be."""
    spec = StyleSpec(method=Instant(), size=64)
    plain, kept = (
        artune.tune(photo, painting, spec=spec, keeps=keeps) for keeps in ([], [artune.Keep(1 - square(), 0.6)])
    )
    assert kept.pictures[-1].digest() != plain.pictures[-1].digest()
    assert 0 < kept.balance.strength < 1


def test_prepared_pictures_keep_the_part(photo, painting):
    painter = artune.prepare(photo, painting, keeps=[artune.Keep(square())], size=48)
    np.testing.assert_allclose(painter(0.7).picture.pixels[8:24, 8:24], photo.pixels[8:24, 8:24], atol=1e-6)


def test_a_resumed_run_keeps_the_same(photo, painting, tmp_path):
    def stop(progress):
        progress.save(tmp_path / "a.partial")
        return progress.done == 2

    given = {**SHORT, "strength": 0.7, "keeps": [artune.Keep(square(0.7), 0.6)]}
    artune.style(photo, painting, on_step=stop, **given)
    resumed = artune.style(photo, painting, resume=tmp_path / "a.partial", **given)
    assert np.array_equal(resumed.picture.pixels, artune.style(photo, painting, **given).picture.pixels)


def test_transparency_and_kept_parts(photo, painting):
    alpha = np.ones((32, 48), np.float32)
    alpha[:, 40:] = 0
    made = artune.style(replace(photo, alpha=alpha), painting, strength=0.7, keeps=[artune.Keep(square())], **INSTANT)
    np.testing.assert_array_equal(made.picture.alpha, alpha)
    np.testing.assert_allclose(made.picture.pixels[8:24, 8:24], photo.pixels[8:24, 8:24], atol=1e-6)
