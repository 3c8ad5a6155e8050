"""The judge: probabilities by hand, sizes, masks, files."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from artune.assets import JUDGE, locate
from artune.backbones.network import Network
from artune.errors import WeightsError
from artune.judges.embedding import Calibration, Judge, margin
from artune.spec.options import with_options
from artune.spec.style import StyleSpec


@pytest.fixture(scope="module")
def judge():
    return Judge.load()


def test_probabilities_by_hand():
    calibration = Calibration(4.0, 0.1)
    said = calibration.probability(torch.tensor([0.1, 0.35, -1.0]))
    torch.testing.assert_close(said, torch.tensor([0.5, 1 / (1 + np.exp(-1.0)), 1 / (1 + np.exp(4.4))]).float())


def test_margins_by_hand():
    """The nearest other is at right angles, at a distance of 1; the copy in the bank does not count."""
    own, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    bank = torch.tensor([[-1.0, 0.0], [0.999, 0.0447]])
    found = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [-1.0, 0.0]])
    wanted = torch.tensor([1.0, (0.2 - 0.4) / (0.2 + 0.4), -1.0, -1.0])
    torch.testing.assert_close(margin(found, own, other, bank), wanted, atol=1e-5, rtol=0)
    assert margin(own, own, own, bank).item() == 0  # another picture of the pair counts, however near


def test_what_the_bank_holds_twice_changes_nothing(generator):
    bank, found = (F.normalize(torch.randn(n, 8, generator=generator), dim=1) for n in (50, 3))
    once, twice = (margin(found, bank[:1], bank[1:2], b[1:]) for b in (bank, torch.cat([bank, bank])))
    torch.testing.assert_close(once, twice)


def test_a_picture_in_the_bank_that_is_like_the_own_one_is_a_distractor(judge, photo, painting):
    found, other = judge.embed(photo.tensor()), judge.embed(painting.tensor())

    def like(embedding):
        """Another picture at a cosine of 0.9."""
        across = F.normalize(torch.ones_like(embedding) - (embedding.sum()) * embedding, dim=1)
        return 0.9 * embedding + 0.19**0.5 * across

    twins = replace(judge, contents=like(found.content).expand(50, -1), styles=like(found.style).expand(50, -1))
    for usual, beside, own, others in (
        (judge.content_score, twins.content_score, found.content, other.content),
        (judge.style_score, twins.style_score, found.style, other.style),
    ):
        changed = 0.9 * own + 0.1 * others
        assert beside(changed, own, others).item() < usual(changed, own, others).item()


def test_content_is_looked_at_without_the_finest_strokes(judge, photo):
    image = F.interpolate(photo.tensor(), (128, 192), mode="bicubic", antialias=True).clamp(0, 1)
    fine = (image + 0.2 * (torch.arange(192) % 2 - 0.5)).clamp(0, 1)
    seen, blurred = judge.embed(image), judge.embed(fine)
    assert (seen.content @ blurred.content.T).item() > 0.95 > (seen.style @ blurred.style.T).item()


def test_embeddings_have_length_1_and_are_the_same_alone_and_in_a_batch(judge, photo, painting):
    images = torch.cat([photo.tensor(), painting.resized(48, 32).tensor()])
    found = judge.embed(images)
    for embedding in found:
        torch.testing.assert_close(embedding.norm(dim=1), torch.ones(2))
    alone = judge.embed(images[1:])
    torch.testing.assert_close(found.style[1:], alone.style, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.content[1:], alone.content, atol=1e-4, rtol=0)


def test_a_mask_of_everything_changes_nothing_and_one_hides_the_rest(judge, photo, painting):
    image, mask = photo.tensor(), torch.zeros(1, 1, 32, 48)
    mask[..., :24] = 1
    torch.testing.assert_close(judge.embed(image, torch.ones_like(mask)).style, judge.embed(image).style)
    other = image.clone()
    other[..., 40:] = painting.resized(8, 32).tensor()
    seen, covered = ((judge.embed(other, m).style - judge.embed(image, m).style).norm() for m in (None, mask))
    assert covered < 0.3 * seen


@pytest.mark.parametrize("size", [(1, 1), (3, 400), (700, 500)])
def test_pictures_of_any_size(judge, size):
    found = judge.embed(torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)))
    assert found.style.isfinite().all()
    assert found.content.isfinite().all()


def test_the_banks_are_large_and_of_equal_size(judge):
    assert len(judge.styles) == len(judge.contents) >= 200
    half = judge.with_bank(range(0, len(judge.styles), 2))
    assert len(half.styles) == len(half.contents) == len(judge.styles) // 2


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
    banks = sum(value.nbytes for name, value in load_file(path).items() if name.startswith("bank"))
    assert banks < 1e6
