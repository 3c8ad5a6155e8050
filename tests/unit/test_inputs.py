"""Parts of a picture with styles of their own: what is read, what stays, what takes part."""

from dataclasses import replace

import numpy as np
import pytest

from artune.api import style
from artune.backbones.network import Network
from artune.errors import ArtuneWarning, InputError, PictureError, SpecError
from artune.images.color import to_lab
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.write import write_picture
from artune.spec.options import parse_spec
from artune.spec.style import Optimise, Rung, StyleSpec
from artune.transfer.inputs import Inputs, Masked, RegionStyle
from tests.runs import planned

RUNGS = (Rung(size=32, steps=3), Rung(size=48, steps=4))


@pytest.fixture(scope="module")
def network():
    return Network.load(StyleSpec(precision="fp32"))


def spec(**more) -> StyleSpec:
    method = Optimise(**{"rungs": RUNGS, **more.pop("method", {})})
    return StyleSpec(**{"size": 48, "precision": "fp32", "strength": 0.5, **more}, method=method)


@pytest.fixture
def left(photo):
    """The left third, with a soft border."""
    width, height = photo.size
    x = np.arange(width, dtype=np.float32)
    return np.tile(np.clip((width / 3 + 2 - x) / 4, 0, 1), (height, 1)).astype(np.float32)


@pytest.fixture
def red():
    return Picture(np.full((32, 32, 3), (0.9, 0.1, 0.1), np.float32))


def test_the_rest_stays_bit_equal_without_a_style(photo, painting, network, left):
    result = style(photo, spec=spec(), regions=[RegionStyle(left, painting)], network=network).picture
    np.testing.assert_array_equal(result.pixels[left == 0], photo.pixels[left == 0])
    assert np.abs(result.pixels - photo.pixels)[left == 1].mean() > 0.03


def test_the_rest_stays_whatever_the_start_and_the_method(photo, painting, network, left):
    for method in ({"start": "style"}, {"optimiser": "lbfgs"}, {"balance_gradients": True}):
        run = spec(method=method)
        result = style(photo, spec=run, regions=[RegionStyle(left, painting)], network=network).picture
        np.testing.assert_array_equal(result.pixels[left == 0], photo.pixels[left == 0])


def test_the_rest_of_a_resized_photograph_stays(photo, painting, network, left):
    small = StyleSpec(size=32, strength=0.5, precision="fp32", method=Optimise(rungs=(Rung(size=32, steps=3),)))
    result = style(photo, spec=small, regions=[RegionStyle(left, painting)], network=network).picture
    shown = photo.resized(*result.size)
    np.testing.assert_array_equal(result.pixels[:, 20:], shown.pixels[:, 20:])


def test_two_regions_go_to_their_own_styles(photo, network, left, red):
    blue = Picture(np.ascontiguousarray(red.pixels[..., ::-1]))
    regions = [RegionStyle(left, red), RegionStyle(1 - left, blue)]
    method = {"start": "grey", "style_layers": {"relu1_1": 1.0}, "rungs": (Rung(size=48, steps=30),)}
    result = style(photo, spec=spec(strength=0.95, method=method), regions=regions, network=network).picture
    inside, outside = (result.pixels[mask == 1].mean(0) for mask in (left, 1 - left))
    assert inside[0] > inside[2] + 0.2
    assert outside[2] > outside[0] + 0.2


def test_a_style_for_the_rest_is_a_region_like_another(photo, painting, red, left):
    rest = Inputs.read(photo, [painting], [RegionStyle(left, red)])
    both = Inputs.read(photo, [], [RegionStyle(left, red), RegionStyle(1 - left, painting)])
    assert len(rest.regions) == len(both.regions) == 2
    np.testing.assert_allclose(rest.regions[1].mask, both.regions[1].mask, atol=1e-6)
    assert rest.covered is None


def test_regions_that_leave_nothing_leave_nothing_to_the_rest(photo, painting, red):
    inputs = Inputs.read(photo, [painting], [RegionStyle(np.ones((32, 48), np.float32), red)])
    assert len(inputs.regions) == 1


def test_overlaps_are_shared(photo, painting, red):
    whole = np.ones((32, 48), np.float32)
    inputs = Inputs.read(photo, [], [RegionStyle(whole, red), RegionStyle(whole, painting)])
    for place in inputs.regions:
        np.testing.assert_allclose(place.mask, 0.5)


def test_a_strength_of_its_own_is_in_the_spec(photo, painting, red, left, network):
    regions = [RegionStyle(left, red, 0.9), RegionStyle(1 - left, painting)]
    job = planned(photo, [], spec(strength=0.4), regions=regions, network=network)
    assert job.plan.region_strengths == (0.9, 0.4)
    content, of_style = job.plan.at(0.9)
    assert of_style / content == pytest.approx(4 * 9)
    again = planned(photo, [], job.plan, regions=[replace(r, strength=None) for r in regions], network=network)
    assert again.key == job.key


def test_strength_zero_in_a_region_keeps_it(photo, painting, red, left, network):
    regions = [RegionStyle(left, red, 0.0), RegionStyle(1 - left, painting, 0.8)]
    result = style(photo, spec=spec(), regions=regions, network=network).picture
    np.testing.assert_array_equal(result.pixels[left == 1], photo.pixels[left == 1])
    assert np.abs(result.pixels - photo.pixels)[:, 24:].mean() > 0.01


def test_transparent_areas_come_back_and_take_no_part(photo, painting, network):
    alpha = np.zeros((32, 48), np.float32)
    alpha[:, 12:] = 1
    logo = Picture(photo.pixels, alpha)
    loud = photo.pixels.copy()
    loud[:, :12] = (1, 0, 1)
    results = [
        style(Picture(pixels, alpha), painting, spec=spec(), network=network).picture for pixels in (logo.pixels, loud)
    ]
    np.testing.assert_array_equal(results[0].alpha, alpha)
    np.testing.assert_array_equal(results[0].pixels[:, :12], photo.pixels[:, :12])
    np.testing.assert_array_equal(results[0].pixels[:, 12:], results[1].pixels[:, 12:])  # hidden colours are not seen


def test_a_masked_style_counts_only_where_it_is_white(photo, painting, network, red):
    half = painting.pixels.copy()
    half[:, 20:] = red.pixels[0, 0]
    mask = np.zeros((40, 40), np.float32)
    mask[:, 22:] = 1
    method = {"start": "grey", "style_layers": {"relu1_1": 1.0}, "rungs": (Rung(size=48, steps=30),)}
    result = style(photo, Masked(Picture(half), mask), spec=spec(strength=1.0, method=method), network=network).picture
    np.testing.assert_allclose(result.pixels.mean((0, 1)), red.pixels[0, 0], atol=0.12)


def test_masks_take_part_in_the_key(photo, painting, left, network):
    keys = {
        planned(photo, styles, spec(), regions=regions, network=network).key
        for styles, regions in (
            ([painting], []),
            ([painting], [RegionStyle(left, painting)]),
            ([], [RegionStyle(left, painting)]),
            ([], [RegionStyle(1 - left, painting)]),
            ([Masked(painting, np.eye(40, dtype=np.float32))], []),
        )
    }
    assert len(keys) == 5


def test_a_mask_of_another_size_is_resized_with_a_warning(photo, painting, tmp_path):
    mask = np.zeros((64, 96, 3), np.float32)
    mask[:, :32] = 1
    write_picture(Picture(mask), tmp_path / "mask.png")
    with pytest.warns(ArtuneWarning, match="96x64"):
        inputs = Inputs.read(photo, [], [RegionStyle(tmp_path / "mask.png", painting)])
    assert inputs.regions[0].mask.shape == (32, 48)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((32, 48), np.float32), "empty"),
        (np.zeros((32, 48, 3), np.float32), "shape"),
        (np.full((32, 48), 7, np.float32), "beyond"),
        (np.full((32, 48), np.nan, np.float32), "beyond"),
    ],
)
def test_masks_that_are_none(photo, painting, mask, message):
    with pytest.raises(PictureError, match=message):
        Inputs.read(photo, [], [RegionStyle(mask, painting)])


def test_nothing_to_style_is_said(photo, painting, left, network):
    with pytest.raises(InputError, match="no style picture"):
        Inputs.read(photo, [])
    gone = Picture(photo.pixels, np.zeros((32, 48), np.float32))
    with pytest.raises(PictureError, match="transparent all over"):
        Inputs.read(gone, [painting])
    with pytest.raises(PictureError, match="region 1 lies where the photograph is transparent"):
        Inputs.read(
            Picture(photo.pixels, np.float32(left == 0)), [painting], [RegionStyle(np.float32(left == 1), painting)]
        )
    hidden = Picture(painting.pixels, np.zeros((40, 40), np.float32))
    with pytest.raises(PictureError, match="transparent, or masked, all over"):
        Inputs.read(photo, [hidden])
    wanted = spec(region_strengths=(0.1, 0.2))
    with pytest.raises(SpecError, match="`region_strengths` holds 2 strengths, but there is 1 region"):
        planned(photo, [], wanted, regions=[RegionStyle(left, painting)], network=network)


def test_luminance_mode_keeps_the_photographs_colours(photo, painting, network):
    result = style(photo, painting, spec=spec(color="content-luminance"), network=network).picture
    plain = style(photo, painting, spec=spec(), network=network).picture
    ours, theirs, other = (to_lab(p.pixels) for p in (result, photo, plain))
    # hue stays; chroma may shrink where the new luminance has no such colour
    shrunk = np.linalg.norm(ours[..., 1:], axis=-1) <= np.linalg.norm(theirs[..., 1:], axis=-1) + 1
    assert shrunk.mean() > 0.99
    assert np.abs(ours - theirs)[..., 1:].mean() < 0.5 * np.abs(other - theirs)[..., 1:].mean()
    assert np.abs(ours - theirs)[..., 0].mean() > 1


@pytest.mark.parametrize("how", ["moments", "histogram"])
def test_match_mode_gives_the_style_the_photographs_colours(photo, painting, how):
    inputs = Inputs.read(photo, [painting]).coloured(spec(color="content-match", color_match=how))
    matched = inputs.paintings[0].picture.pixels
    np.testing.assert_allclose(matched.mean((0, 1)), photo.pixels.mean((0, 1)), atol=0.03)
    np.testing.assert_array_equal(inputs.photograph.pixels, photo.pixels)


def test_a_finished_picture_is_read_back_the_same(photo, painting, network, left, tmp_path):
    result = style(photo, spec=spec(), regions=[RegionStyle(left, painting)], network=network)
    result.save(tmp_path / "out.png")
    again = read_picture(tmp_path / "out.png").pixels
    eight = np.round(photo.pixels * 255) / 255
    np.testing.assert_allclose(again[left == 0], eight[left == 0], atol=1e-6)


@pytest.mark.parametrize("strength", [2.0, -1.0, float("nan"), "much"])
@pytest.mark.usefixtures("untyped")
def test_strengths_of_regions_are_checked(painting, left, strength):
    with pytest.raises(InputError, match="a number from 0 to 1"):
        RegionStyle(left, painting, strength)


@pytest.mark.usefixtures("untyped")
def test_what_is_no_region_or_mask_is_said(photo, painting, left):
    with pytest.raises(InputError, match="RegionStyle"):
        Inputs.read(photo, [], [(left, painting)])
    with pytest.raises(PictureError, match="no array of numbers"):
        Inputs.read(photo, [], [RegionStyle(["a", "b"], painting)])


def test_a_run_of_regions_alone_is_repeated_from_its_spec(photo, painting, left, network):
    regions = [RegionStyle(left, painting)]
    job = planned(photo, [], spec(), regions=regions, network=network)
    again = planned(photo, [], parse_spec(job.plan.model_dump(mode="json")), regions=regions, network=network)
    assert again.key == job.key


def test_half_transparent_is_not_half_of_the_contrast(photo):
    faint = Picture(photo.pixels, np.full((32, 48), 0.2, np.float32))
    for size in ((48, 32), (24, 16), (96, 64)):
        np.testing.assert_allclose(faint.resized(*size).pixels, photo.resized(*size).pixels, atol=2e-3)
        np.testing.assert_allclose(faint.resized(*size).tensor(), photo.resized(*size).tensor(), atol=2e-3)


def test_a_mask_that_no_file_could_hold_is_empty(photo, painting, network):
    faint = np.full((32, 48), 1e-6, np.float32)
    with pytest.raises(PictureError, match="is empty"):
        style(photo, spec=spec(), regions=[RegionStyle(faint, painting)], network=network)


def test_a_region_that_is_everything_keeps_the_photograph_at_strength_zero(photo, painting, red, network):
    region = RegionStyle(np.ones((32, 48), np.float32), red, 0.0)
    for rest in ((), (painting,)):
        result = style(photo, *rest, spec=spec(), regions=[region], network=network).picture
        np.testing.assert_array_equal(result.pixels, photo.pixels)


# ------------------------------------------------------------------------------------- borders of paintings


MAT = (
    r"^a style picture has a border, which is cut .*: 4 at the top, 5 at the bottom, 6 at the left \(pixels\)\. A mask"
)


def framed(painting):
    """The painting with a white mat at three sides."""
    return Picture(np.pad(painting.pixels, ((4, 5), (6, 0), (0, 0)), constant_values=1))


def test_the_border_of_a_painting_is_left_out_with_a_warning(photo, painting):
    plain = Inputs.read(photo, [painting])
    with pytest.warns(ArtuneWarning, match=MAT):
        found = Inputs.read(photo, [framed(painting)])
    np.testing.assert_array_equal(found.paintings[0].picture.pixels, painting.pixels)
    assert found.digests == plain.digests
    assert plain.paintings[0].picture is painting
    assert plain.borders == {}
    with pytest.warns(ArtuneWarning, match=MAT):
        region = Inputs.read(photo, [], [RegionStyle(np.ones((32, 48)), framed(painting))])
    np.testing.assert_array_equal(region.paintings[0].picture.pixels, painting.pixels)
    assert region.borders == {"region 0 style": (4, 5, 6, 0)}


def test_a_border_is_in_the_record_and_its_painting_in_the_warning(photo, painting, network, tmp_path):
    write_picture(framed(painting), tmp_path / "mat.png")
    with pytest.warns(ArtuneWarning, match=r"^.*mat\.png has a border, "):
        result = style(photo, painting, tmp_path / "mat.png", spec=spec(), network=network)
    assert result.record.borders == {"style 1": {"top": 4, "bottom": 5, "left": 6, "right": 0}}


def test_a_mask_keeps_the_border_of_a_painting(photo, painting):
    mat = framed(painting)
    kept = Inputs.read(photo, [Masked(mat, np.ones((49, 46)))])
    assert kept.paintings[0].picture is mat
    assert kept.borders == {}


# ------------------------------------------------------------------------------------- two label maps


@pytest.fixture
def maps():
    """Label arrays of the photograph and the painting: sky 1 above sea 2, and 3 or 4 in the lowest rows."""
    here, there = np.ones((32, 48), int), np.ones((40, 40), int)
    here[16:], there[30:] = 2, 2
    here[-4:], there[-2:] = 3, 4
    return here, there


def test_two_label_maps_pair_part_with_part(photo, painting, maps):
    here, there = maps
    with pytest.warns(
        ArtuneWarning, match="the mask of region 1 and that of its style do not share, .* the labels 3: these"
    ):
        inputs = Inputs.read(photo, [], [RegionStyle(here, Masked(painting, there), 0.7)])
    assert inputs.strengths == (0.7, 0.7)
    for place, label in zip(inputs.regions, (1, 2), strict=True):
        np.testing.assert_array_equal(place.mask, here == label)
        np.testing.assert_array_equal(place.paintings[0].mask, there == label)
    np.testing.assert_array_equal(inputs.covered, here < 3)


def test_a_run_of_two_label_maps_leaves_the_rest(photo, painting, maps, network):
    here, there = maps
    with pytest.warns(ArtuneWarning):
        result = style(photo, spec=spec(), regions=[RegionStyle(here, Masked(painting, there))], network=network)
    np.testing.assert_array_equal(result.picture.pixels[-4:], photo.pixels[-4:])
    assert np.abs(result.picture.pixels - photo.pixels)[:-4].mean() > 0.03
    assert len(set(result.record.spec.region_strengths)) == 1
    assert len(result.record.spec.region_strengths) == 2


def test_label_maps_with_nothing_in_common(photo, painting, maps):
    here, there = maps
    with pytest.raises(PictureError, match=r"no label in common: .* has 1 \(50.0%\), .*; .* has 11 \(75.0%\)"):
        Inputs.read(photo, [], [RegionStyle(here, Masked(painting, there + 10))])


def test_a_label_map_needs_one_beside_the_painting(photo, painting, maps):
    with pytest.raises(PictureError, match="label map of several parts"):
        Inputs.read(photo, [], [RegionStyle(maps[0], painting)])
