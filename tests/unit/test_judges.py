"""The judge: probabilities by hand, sizes, masks, files."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from artune.assets import JUDGE, locate
from artune.backbones.network import Network
from artune.errors import InputError, WeightsError
from artune.judges.embedding import COPY, ContentCalibration, Judge, StyleCalibration, change, margin, style_of
from artune.losses.moments import mean_and_covariance, moments
from artune.spec.options import with_options
from artune.spec.style import TUNED_METHODS, StyleSpec
from artune.transfer.methods import METHODS


@pytest.fixture(scope="module")
def judge():
    return Judge.load()


def style(judge, image, mask=None):
    return judge.style(judge.see(image), mask)


def layout(judge, image):
    return judge.layout(judge.see(image))


def test_probabilities_by_hand():
    style = StyleCalibration(margin=4.0, bias=1.0).probability(torch.tensor([0.1, -1.0]))
    torch.testing.assert_close(style, torch.tensor([1.4, -3.0]).sigmoid())
    content = ContentCalibration(change=-2.0, log_odds=0.5, bias=1.0)
    said = content.probability(torch.tensor([0.7, 0.0]), torch.tensor([0.0, 2.0]))
    torch.testing.assert_close(said, torch.tensor([-0.4, 2.0]).sigmoid())


def test_margins_by_hand():
    """The nearest other is at right angles, at a distance of 1; the copy in the bank does not count."""
    own, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    bank = torch.tensor([[-1.0, 0.0], [0.999, 0.0447]])
    assert (bank @ own[0])[1] > COPY
    found = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [-1.0, 0.0]])
    wanted = torch.tensor([1.0, (0.2 - 0.4) / (0.2 + 0.4), -1.0, -1.0])
    torch.testing.assert_close(margin(found, own, other, bank), wanted, atol=1e-5, rtol=0)
    assert margin(own, own, own, bank).item() == 0  # another picture of the pair counts, however near


def test_a_style_by_hand(generator):
    """The cosine of two styles is the mean of the cosines of their means and of their covariances."""
    features = torch.randn(2, 5, 8, 8, generator=generator) + torch.linspace(-1, 1, 5)[:, None, None]
    basis = torch.linalg.qr(torch.randn(5, 3, generator=generator))[0]
    one, two = style_of(features, basis)
    mean, covariance = mean_and_covariance(moments(features))
    along = [mean @ basis, (basis.T @ covariance @ basis).flatten(1)]
    expected = sum(F.cosine_similarity(*each, dim=0) for each in along) / 2
    assert (one @ two).item() == pytest.approx(expected.item(), abs=1e-5)
    assert one.norm().item() == pytest.approx(1)


def test_what_the_bank_holds_twice_changes_nothing(generator):
    bank, found = (F.normalize(torch.randn(n, 8, generator=generator), dim=1) for n in (50, 3))
    once, twice = (margin(found, bank[:1], bank[1:2], b[1:]) for b in (bank, torch.cat([bank, bank])))
    torch.testing.assert_close(once, twice)


def test_a_painting_in_the_bank_that_is_like_the_own_one_is_a_distractor(judge, photo, painting):
    own, other = style(judge, painting.tensor()), style(judge, photo.tensor())
    across = F.normalize(torch.ones_like(own) - own.sum() * own, dim=1)
    like = 0.9 * own + 0.19**0.5 * across  # at a cosine of 0.9
    usual, beside = (margin(own, own, other, bank).item() for bank in (judge.styles, torch.cat([judge.styles, like])))
    assert usual == pytest.approx(1, abs=1e-3)
    found = F.normalize(own + 0.3 * across, dim=1)
    usual, beside = (margin(found, own, other, bank).item() for bank in (judge.styles, torch.cat([judge.styles, like])))
    assert beside < usual - 0.2


def test_a_layout_is_what_lies_where(judge, photo, rng):
    """Other colours change it a little, another place of things much; strokes of a pixel not at all."""
    image = photo.resized(192, 128).tensor()
    own = layout(judge, image)
    assert change(own, own).item() == pytest.approx(0, abs=1e-5)
    lighter, mirrored = layout(judge, 0.7 * image + 0.2), layout(judge, image.flip(3))
    noisy = layout(judge, (image + 0.02 * torch.from_numpy(rng.standard_normal(image.shape)).float()).clamp(0, 1))
    apart = [change(each, own).item() for each in (lighter, noisy, mirrored)]
    assert max(apart[:2]) < 0.5 * apart[2]
    assert apart[2] > 0.3


def test_embeddings_have_length_1_and_are_the_same_alone_and_in_a_batch(judge, photo, painting):
    images = torch.cat([photo.tensor(), painting.resized(48, 32).tensor()])
    for look in (style, layout):
        found = look(judge, images)
        torch.testing.assert_close(found.norm(dim=1), torch.ones(2))
        torch.testing.assert_close(found[1:], look(judge, images[1:]), atol=1e-4, rtol=0)


def test_a_mask_of_everything_changes_nothing_and_one_hides_the_rest(judge, photo, painting):
    image, mask = photo.tensor(), torch.zeros(1, 1, 32, 48)
    mask[..., :24] = 1
    torch.testing.assert_close(style(judge, image, torch.ones_like(mask)), style(judge, image))
    other = image.clone()
    other[..., 40:] = painting.resized(8, 32).tensor()
    seen, covered = ((style(judge, other, m) - style(judge, image, m)).norm() for m in (None, mask))
    assert covered < 0.3 * seen


@pytest.mark.parametrize("size", [(1, 1), (3, 400), (700, 500)])
def test_pictures_of_any_size(judge, size):
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    assert style(judge, image).isfinite().all()
    assert layout(judge, image).isfinite().all()
    assert style(judge, image, torch.zeros(1, 1, *size)).isfinite().all()


def test_the_bank_is_large_and_a_part_of_it_can_be_taken(judge):
    assert len(judge.styles) >= 200
    assert len(judge.with_bank(range(0, len(judge.styles), 2)).styles) == len(judge.styles) // 2
    with pytest.raises(InputError, match="at least two"):
        judge.with_bank([0])


def test_there_are_calibrations_of_every_method_whose_strength_is_found(judge):
    """The margin speaks for the style, more change and more strength against the content."""
    assert {*judge.calibrations} == {*TUNED_METHODS} == {kind for kind, method in METHODS.items() if method.ladder}
    for style, content in judge.calibrations.values():
        assert style.margin > 0
        assert max(content.change, content.log_odds) < 0


def test_other_files_are_no_judge(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="holds no judge"):
        Judge.load(tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="damaged"):
        Judge.load(tmp_path / "b.safetensors")
    with pytest.raises(WeightsError, match="no weights file"):
        Judge.load(tmp_path / "c.safetensors")


@pytest.mark.parametrize("name", ["compact", "mobilenet_v2", "vgg19"])
def test_the_judge_is_refused_as_a_loss(name):
    path = locate(JUDGE)
    spec = with_options(StyleSpec(), {"network": name})
    with pytest.raises(WeightsError, match="judge"):
        Network.load(spec, path)


def test_the_file_is_small():
    path = locate(JUDGE)
    assert path is not None
    assert path.stat().st_size < 4e6
    assert sum(value.nbytes for value in load_file(path).values()) < 1.2e6
