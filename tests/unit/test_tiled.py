"""A picture computed tile by tile is the picture computed as a whole."""

import pytest
import torch
from torch.nn import functional as F

from artune.backbones.base import stride_and_radius
from artune.backbones.registry import load_network
from artune.backbones.vgg import VGG
from artune.errors import SpecError
from artune.losses import tiled
from artune.losses.objective import Formulas, PaintingImage, RegionWeights, Terms, WeightedTerm
from artune.losses.terms import CONTENT_TERMS, STYLE_TERMS, VARIATIONS, TotalVariation
from artune.losses.tiled import TiledObjective, bands, spans
from tests.objectives import AllWeights, build_objective, build_tiled_objective
from tests.tiny import Tiny

SMALL = ((8, 1), (8, 1), (12, 1))
TAPS = AllWeights({"relu2_1": 1.0}, {"relu1_1": 1.0, "relu2_1": 2.0, "relu3_1": 1.0}, 0.5, 4.0, 0.1)
DEEP = AllWeights({"relu4_1": 1.0}, {f"relu{i}_1": 1.0 for i in (1, 2, 3, 4, 5)}, 0.5, 4.0, 0.1)
TINY = AllWeights({"double": 1.0}, {"double": 1.0, "half": 1.0}, 0.5, 4.0, 0.1)


def additive(table, make):
    return sorted(name for name in table if make(table[name]).additive)


STYLES = additive(STYLE_TERMS, lambda term: term("double"))
CONTENTS = additive(CONTENT_TERMS, lambda term: term("double"))
VARIED = additive(VARIATIONS, lambda term: term("calibrated"))


@pytest.fixture(scope="module")
def compact():
    return load_network("compact")[0]


@pytest.fixture(scope="module")
def vgg():
    torch.manual_seed(0)
    network = VGG("small", SMALL, pooling="average").eval().requires_grad_(False)
    return network.to(memory_format=torch.channels_last)


def picture(height, width, seed=0):
    """Forms, colours and grain, so that no statistic is that of noise."""
    noise = torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(seed))
    y, x = torch.meshgrid(torch.linspace(0, 3, height), torch.linspace(0, 4, width), indexing="ij")
    forms = torch.stack([torch.sin(x * (1 + seed)) * y, torch.cos(y * x), torch.sin(3 * y + seed)])
    return (0.5 + 0.2 * forms[None] + 0.3 * (noise - 0.5)).clamp(0, 1)


def pair(backbone, size, side, weights=TAPS, formulas=Formulas(), regions=None):
    """The objective as a whole, and in tiles."""
    content = picture(*size)
    regions = regions or [(RegionWeights(), [PaintingImage(picture(40, 36, seed=1))])]
    given = (backbone, content, regions, weights, formulas)
    return build_objective(*given), build_tiled_objective(*given, side=side)


def assert_same(whole, parts, x, within=1e-5):
    a, b = whole(x, 0), parts(x, 0)
    assert a.losses.keys() == b.losses.keys()
    for name, value in a.losses.items():
        torch.testing.assert_close(b.losses[name], value, rtol=2e-5, atol=1e-7, msg=name)
    assert (a.gradient - b.gradient).norm() < within * a.gradient.norm()
    torch.testing.assert_close(parts.losses(x), whole.losses(x), rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("size", [(192, 256), (181, 267)])
@pytest.mark.parametrize("side", [112, 500])
def test_the_bundled_network_in_tiles(compact, size, side):
    # a smaller painting has fewer positions at relu5_1 than channels, and roots of its covariance magnify rounding
    regions = [(RegionWeights(), [PaintingImage(picture(256, 256, seed=1))])]
    assert_same(*pair(compact, size, side, DEEP, regions=regions), picture(*size, seed=2))


def test_tiles_of_one_feature(compact):
    size = (40, 57)
    assert_same(*pair(compact, size, 16, DEEP, Formulas({"gram": 1.0})), picture(*size, seed=2))


@pytest.mark.parametrize("loss", STYLES)
@pytest.mark.parametrize("size", [(48, 64), (61, 45)])
def test_every_additive_style_loss(vgg, loss, size):
    assert_same(*pair(vgg, size, 12, formulas=Formulas({loss: 1.0})), picture(*size, seed=2))


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("variation", VARIED)
def test_every_additive_content_loss_and_variation(vgg, content, variation):
    weights = AllWeights({"relu2_1": 1.0, "image": 0.5}, {"relu1_1": 1.0}, 1.0, 0.1, 1.0)
    formulas = Formulas(content=content, variation=variation)
    assert_same(*pair(vgg, (53, 44), 16, weights, formulas), picture(53, 44, seed=2))


@pytest.mark.parametrize("variation", VARIED)
def test_a_picture_of_several_bands(variation):
    size = (600, 1800)
    assert len([*bands(*size)]) == 3
    weights = AllWeights({"double": 1.0}, {"half": 1.0}, 1.0, 0.1, 1.0)
    assert_same(*pair(Tiny(), size, 512, weights, Formulas(variation=variation)), picture(*size, seed=2))


@pytest.mark.parametrize("scale", ["tutorial", "gatys", "raw"])
def test_the_scales_of_the_literature(vgg, scale):
    weights = AllWeights(TAPS.content, TAPS.style, 1.0, 1e2, 0.1)
    assert_same(*pair(vgg, (53, 44), 16, weights, Formulas({"gram": 1.0}, scale=scale)), picture(53, 44, seed=2))


def test_by_hand_in_the_smallest_network(generator):
    whole, parts = pair(Tiny(), (9, 7), 2, TINY)
    assert len(parts.tiling.tiles) == 12
    assert_same(whole, parts, torch.rand((1, 3, 9, 7), generator=generator))


def test_a_batch(vgg):
    whole, parts = pair(vgg, (48, 40), 16)
    assert_same(whole, parts, torch.cat([picture(48, 40, seed=2), picture(48, 40, seed=3)]))


def test_soft_masks_and_several_styles(vgg):
    mask = F.interpolate(torch.rand((1, 1, 5, 5), generator=torch.Generator().manual_seed(3)), (51, 70))
    guided = (picture(40, 36)[:, :1] > 0.5).float()
    regions = [
        (
            RegionWeights(mask, style=2.0),
            [PaintingImage(picture(40, 36, 1), 0.3, guided), PaintingImage(picture(50, 61, 4), 0.7)],
        ),
        (RegionWeights(1 - mask, content=0.5), [PaintingImage(picture(33, 33, 5))]),
    ]
    for loss in STYLES:
        whole, parts = pair(vgg, (51, 70), 16, formulas=Formulas({loss: 1.0}), regions=regions)
        for one, other in zip(whole.terms, parts.whole.terms, strict=True):
            assert torch.equal(one.mask, other.mask)
        assert_same(whole, parts, picture(51, 70, seed=2))


def test_nothing_left_where_a_region_is_not(vgg):
    mask = torch.zeros(1, 1, 48, 64)
    mask[..., :20] = 1
    regions = [(RegionWeights(mask), [PaintingImage(picture(40, 36, 1))])]
    whole, parts = pair(vgg, (48, 64), 16, regions=regions)
    assert_same(whole, parts, picture(48, 64, seed=2))
    assert parts(picture(48, 64, seed=2), 0).gradient[..., 40:].abs().max() == 0


def test_no_gradient_where_the_style_has_arrived(vgg):
    flat = torch.full((1, 3, 32, 32), 0.5)
    parts = build_tiled_objective(vgg, flat, [(RegionWeights(), [PaintingImage(flat)])], TAPS, side=16)
    assert parts(flat, 0).gradient.abs().max() == 0


@pytest.mark.parametrize(
    ("length", "side", "halo", "stride"), [(100, 32, 16, 8), (97, 8, 40, 8), (5, 8, 8, 8), (9, 8, 0, 4)]
)
def test_cores_cover_a_length_once(length, side, halo, stride):
    made = spans(length, side, halo, stride)
    assert [i for span in made for i in range(span.core.start, span.core.stop)] == list(range(length))
    for span in made:
        assert span.window.start % stride == 0
        assert span.window.start == max(0, span.core.start - halo)
        assert span.window.stop == min(length, span.core.stop + halo)
        assert span.core.stop - span.core.start >= min(stride, length)
    assert [span.last for span in made] == [False] * (len(made) - 1) + [True]


@pytest.mark.parametrize("height", [1, 2, 3, 7, 8])
def test_bands_part_no_neighbours(height, generator):
    image = torch.rand((1, 3, height, 5), generator=generator)
    term = TotalVariation()
    found = [(sign, term.measure({"image": image[:, :, rows]})) for rows, sign in bands(height, 5, 10)]
    for i, want in enumerate(term.measure({"image": image})):
        torch.testing.assert_close(sum(sign * got[i] for sign, got in found), want)


def test_the_halo_is_as_wide_as_the_network_looks(compact):
    assert stride_and_radius(compact, ["relu1_1"]) == (1, 1)
    assert stride_and_radius(compact, ["image"]) == (1, 0)
    stride, halo = stride_and_radius(compact, ["relu5_1", "relu1_1"])
    assert stride == 16
    assert halo >= compact.taps["relu5_1"].receptive_field // 2
    assert halo % 16 == 0


class Narrow(Tiny):
    """It says that it looks less far than it does."""

    def forward(self, image, taps):
        features = dict(super().forward(F.avg_pool2d(image, 9, 1, 4), taps))
        return features | ({"image": image} if "image" in taps else {})


class Global(Tiny):
    """What is far away changes what is here."""

    def forward(self, image, taps):
        features = super().forward(image, taps)
        return {
            tap: value if tap == "image" else value / value.mean((2, 3), keepdim=True)
            for tap, value in features.items()
        }


class Misaligned(Tiny):
    """Its features do not lie where a tile's do."""

    def forward(self, image, taps):
        features = super().forward(image, taps)
        return features | ({"half": F.avg_pool2d(image[:, :1], 3)} if "half" in taps else {})


@pytest.mark.parametrize("network", [Narrow, Global, Misaligned])
def test_a_network_that_does_not_tile_is_refused(network):
    with pytest.raises(SpecError, match=r"network tiny needs the picture as a whole; .* `memory`"):
        pair(network(), (32, 32), 8, TINY)


def test_a_network_that_says_so_is_refused():
    smooth = Tiny()
    smooth.local = False
    with pytest.raises(SpecError, match="needs the picture as a whole"):
        pair(smooth, (32, 32), 8, TINY)


def test_losses_that_need_the_whole_are_refused():
    with pytest.raises(SpecError, match=r"loss remd is not additive over tiles; use .*gram.*, leave out `memory`, or"):
        pair(Tiny(), (32, 32), 8, TINY, Formulas({"gram": 1.0, "remd": 0.5}))
    pair(Tiny(), (32, 32), 8, TINY, Formulas({"gram": 1.0, "remd": 0.0}))
    with pytest.raises(SpecError, match="`balance_gradients`"):
        pair(Tiny(), (32, 32), 8, TINY, Formulas({"gram": 1.0}, balance_gradients=True))
    lines = WeightedTerm("lines", STYLE_TERMS["remd"]("image"), None, 1.0, 1.0)
    with pytest.raises(SpecError, match="loss style image is not additive"):
        build_tiled_objective(
            Tiny(),
            picture(32, 32),
            [(RegionWeights(), [PaintingImage(picture(32, 32))])],
            TINY,
            Formulas({"gram": 1.0}),
            [lines],
            side=8,
        )


def test_every_tile_is_a_part_of_the_evaluation(vgg):
    terms = Terms.of(TAPS.of_taps, Formulas())
    measuring = tiled.measure_in_tiles(vgg, picture(48, 64), terms.of_photograph([RegionWeights()]), side=16)
    assert [*measuring] == [(i, 12) for i in range(1, 13)]
    objective = build_tiled_objective(
        vgg, picture(48, 64), [(RegionWeights(), [PaintingImage(picture(40, 36, 1))])], TAPS, side=16
    )
    assert [*objective.in_parts(picture(48, 64), 0)] == [(i, 26) for i in range(1, 27)]  # 12 tiles and a band, twice


def test_bf16_features_keep_fp32_statistics():
    network = load_network("compact", dtype=torch.bfloat16)[0]
    weights = AllWeights({"relu4_1": 1.0}, {"relu1_1": 1.0, "relu4_1": 1.0}, 0.5, 4.0, 0.1)
    whole, parts = pair(network, (80, 96), 32, weights)
    x = picture(80, 96, seed=2)
    assert isinstance(parts, TiledObjective)
    a, b = whole(x, 0), parts(x, 0)
    torch.testing.assert_close(b.total, a.total, rtol=1e-3, atol=0)
    assert (a.gradient - b.gradient).norm() < 0.05 * a.gradient.norm()
