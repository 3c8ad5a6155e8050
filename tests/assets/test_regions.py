"""True masks of real pictures."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import distance_transform_edt

import artune
from artune.images.color import SPACES, match, moments, with_luminance_of
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.write import write_picture
from artune.regions.labels import flat_colours
from artune.regions.masks import composite, coverage, fitted_mask, normalised, read_label_map, read_mask, resized_mask

pytestmark = [pytest.mark.assets, pytest.mark.filterwarnings("ignore:.* has a border:artune.errors.ArtuneWarning")]


@pytest.fixture
def dressed(assets, tmp_path):
    """A photograph, and its dress as a mask file."""
    folder = assets / "data/clothing"
    dress = json.loads((folder / "labels.json").read_text()).index("dress")
    for path in sorted((folder / "masks").iterdir()):
        labels = np.asarray(Image.open(path))
        if (labels == dress).mean() > 0.05:
            Image.fromarray(((labels == dress) * 255).astype(np.uint8)).save(tmp_path / "dress.png")
            return read_picture(folder / "photos" / f"{path.stem}.jpg"), tmp_path / "dress.png", labels == dress
    pytest.fail("no photograph has a dress")


def test_a_dress_alone_changes_and_the_rest_comes_back_to_the_bit(dressed, tmp_path):
    photograph, path, dress = dressed
    mask = fitted_mask(read_mask(path), photograph.size)
    np.testing.assert_array_equal(mask, dress)
    result = composite(1 - photograph.pixels, photograph.pixels, coverage(normalised([mask], rest=False)))
    write_picture(Picture(result), tmp_path / "result.png")
    write_picture(photograph, tmp_path / "photograph.png")
    after, before = (read_picture(tmp_path / f"{name}.png").pixels for name in ("result", "photograph"))
    np.testing.assert_array_equal(after[~dress], before[~dress])
    np.testing.assert_allclose(after[dress], 1 - before[dress], atol=1.01 / 255)


def test_label_maps_of_photographs_are_read_by_name(assets):
    """The names come from labels.json in the folder above."""
    folder = assets / "data/clothing"
    names = json.loads((folder / "labels.json").read_text())
    for path in sorted((folder / "masks").iterdir())[::6]:
        numbers = np.asarray(Image.open(path))
        found = read_label_map(path)
        assert [str(label) for label in found.labels] == [names[number] for number in np.unique(numbers)]
        np.testing.assert_array_equal(
            read_mask(f"{path}#skin+null"), np.isin(numbers, [names.index(n) for n in ("skin", "null")])
        )


@pytest.mark.parametrize(("quality", "apart"), [(95, 0.01), (75, 0.02), (50, 0.02)])
def test_label_maps_survive_compression(assets, quality, apart, tmp_path, rng):
    """Painted in 59 colours and saved as JPEG, all but the edges comes back."""
    colours = rng.integers(0, 256, (59, 3), np.uint8)
    for path in sorted((assets / "data/clothing/masks").iterdir())[::12]:
        true = colours[np.asarray(Image.open(path))]
        Image.fromarray(true).save(tmp_path / "a.jpg", quality=quality)
        index, found = flat_colours(np.asarray(Image.open(tmp_path / "a.jpg").convert("RGB")))
        read = np.array([[int(colour[i : i + 2], 16) for i in (0, 2, 4)] for colour in found])[index]
        assert (np.abs(read - true.astype(int)).max(-1) > 8).mean() < apart


def test_the_masks_of_a_clip(assets):
    for clip in sorted((assets / "data/video/davis").iterdir()):
        for path in sorted((clip / "masks").iterdir())[::10]:
            mask = read_mask(path)
            assert mask.shape == (360, 640)
            np.testing.assert_array_equal(mask, np.asarray(Image.open(path)) / np.float32(255))
            small = resized_mask(mask, 320, 180)
            assert small.mean() == pytest.approx(mask.mean(), rel=0.01)
            inside, outside = normalised([small], rest=True)
            assert (coverage([inside, outside]) == 1).all()


@pytest.mark.parametrize("space", SPACES)
def test_luminance_is_kept_where_clipping_would_change_it(assets, space):
    folder, to, found, clipped = assets / "data/styleid", SPACES[space], [], []
    for a, b in zip(sorted((folder / "content").iterdir()), sorted((folder / "style").iterdir()), strict=False):
        photograph, result = read_picture(a).pixels, read_picture(b).pixels
        want = to.forward(result)[..., 0] / to.white
        joined = with_luminance_of(result, photograph, space)
        found.append(np.abs(to.forward(joined)[..., 0] / to.white - want).max())
        colours = to.forward(photograph)
        colours[..., 0] = want * to.white
        clipped.append(np.abs(to.forward(np.clip(to.back(colours), 0, 1))[..., 0] / to.white - want).max())
    assert max(found) < 2e-4
    assert np.median(clipped) > 0.02


@pytest.mark.parametrize("how", ["moments", "histogram"])
def test_paintings_in_photographs_colours(assets, how):
    """Their moments are the photographs' but for what clipping takes."""
    folder, means, covariances = assets / "data/styleid", [], []
    pairs = list(zip(sorted((folder / "content").iterdir()), sorted((folder / "style").iterdir()), strict=False))
    for a, b in pairs[:8]:
        photograph, painting = read_picture(a).pixels, read_picture(b).pixels
        (mean, covariance), (m, c) = (
            moments(x) for x in (photograph, match(painting, photograph, how=how, space="lab"))
        )
        means.append(np.linalg.norm(m - mean))
        covariances.append(np.linalg.norm(c - covariance) / np.linalg.norm(covariance))
    assert np.median(means) < 0.02
    assert np.median(covariances) < 0.2


def test_a_styled_dress_has_no_seam_and_the_rest_is_bit_equal(dressed, assets):
    """Across the border of the mask neighbours differ as they do in the photograph, or as within the painted part."""
    photograph, path, dress = dressed
    painting = assets / "data/styleid/style/07.jpg"
    options = {"size": max(photograph.size), "quality": "draft", "strength": 0.5}
    result = artune.style(photograph, regions=[artune.RegionStyle(path, painting)], **options).picture
    np.testing.assert_array_equal(result.pixels[~dress], photograph.pixels[~dress])
    change = np.abs(result.pixels - photograph.pixels).mean(-1)
    assert change[dress].mean() > 0.03

    border = dress[:, 1:] != dress[:, :-1]
    within = dress[:, 1:] & dress[:, :-1]

    def steps(pixels, where):
        return np.abs(np.diff(pixels, axis=1)).mean(-1)[where].mean()

    assert steps(result.pixels, border) < 2 * steps(photograph.pixels, border) + steps(result.pixels, within)


def test_a_frame_in_two_styles_is_painted_up_to_the_border(assets):
    """Each side of the border is as painted as the rest of its part: neither halo nor photograph is left between."""
    clip = assets / "data/video/davis/blackswan"
    frame = sorted((clip / "frames").iterdir())[0]
    mask = clip / "masks" / f"{frame.stem}.png"
    paintings = [assets / f"data/styleid/style/{i:02d}.jpg" for i in (1, 11)]
    region = artune.RegionStyle(mask, paintings[1])
    options = {"size": 320, "quality": "draft"}
    both = artune.style(frame, paintings[0], regions=[region], **options).picture.pixels
    alone = [artune.style(frame, painting, **options).picture.pixels for painting in paintings]
    inside = resized_mask(read_mask(mask), *both.shape[1::-1]) > 0.5
    near = [distance_transform_edt(part) for part in (~inside, inside)]
    for part, away, pixels in zip((~inside, inside), near, alone, strict=True):
        apart = np.abs(both - pixels).mean(-1)
        assert apart[part & (away <= 4)].mean() < 2 * apart[part & (away > 12)].mean() + 0.05
