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
from artune.judges.embedding import Calibration, Judge, chance_corrected
from artune.spec.options import with_options
from artune.spec.style import StyleSpec


@pytest.fixture(scope="module")
def judge():
    return Judge.load()


def test_probabilities_by_hand():
    own, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    bank = torch.tensor([[-1.0, 0.0], [0.0, -1.0]])
    found = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    e, never = np.exp(2.0), np.exp(2 * 0.5)
    p = e / (e + 1 + 3 * (1 / e + 1) / 2 + never)
    of_bank = (1 / e / (1 / e + 1 + 3 * 1 + never), 1 / (1 + 1 / e + 3 * 1 + never))
    chance = np.mean(of_bank)
    wanted = torch.tensor([(p - chance) / (1 - chance), 0.0]).float()
    torch.testing.assert_close(chance_corrected(found, own, other, bank, Calibration(2.0, 0.5, 3.0)), wanted)


def test_chance_is_zero_and_certainty_is_one(generator):
    bank = F.normalize(torch.randn(50, 8, generator=generator), dim=1)
    one, never = bank[:1], -1e3
    same = chance_corrected(one, one, one, one.expand(50, -1), Calibration(30.0, never, 4.0))
    torch.testing.assert_close(same, torch.zeros(1), atol=1e-6, rtol=0)
    assert chance_corrected(one, one, bank[1:3], bank[3:], Calibration(80.0, never, 4.0)).item() == pytest.approx(1)


def test_the_size_of_the_bank_alone_changes_nothing(generator):
    bank = F.normalize(torch.randn(50, 8, generator=generator), dim=1)
    some = Calibration(5.0, 0.2, 4.0)
    own, others, found = bank[:1], bank[1:2], torch.randn(3, 8, generator=generator)
    once, twice = (
        some.probability(found @ own.T, found @ others.T, found @ b.T) for b in (bank, torch.cat([bank, bank]))
    )
    torch.testing.assert_close(once, twice)


def test_pictures_that_have_nothing_to_do_with_it_are_recognised_as_often_as_chance_has_it(generator):
    others, bank = (F.normalize(torch.randn(n, 8, generator=generator), dim=1) for n in (4000, 300))
    calibration = Calibration(2.0, 0.0, 3.0)
    said = chance_corrected(others, bank[:1], bank[1:2], bank[2:], calibration)
    p = calibration.probability(others @ bank[:1].T, others @ bank[1:2].T, others @ bank[2:].T)
    less = (p - p.mean()) / (1 - p.mean())
    torch.testing.assert_close(said, less.clamp(min=0), atol=0.01, rtol=0)


def test_a_photograph_like_this_one_in_the_bank_is_a_distractor(judge, photo, painting):
    found, other = judge.embed(photo.tensor()), judge.embed(painting.tensor())
    twins = replace(judge, contents=found.content.expand(50, -1), styles=found.style.expand(50, -1))
    for usual, beside, own, others in (
        (judge.content_score, twins.content_score, found.content, other.content),
        (judge.style_score, twins.style_score, found.style, other.style),
    ):
        assert beside(own, own, others).item() < 0.6 * usual(own, own, others).item()


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
