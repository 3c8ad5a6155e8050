"""The painter: its transports by known answers, its steps on pictures, and the file of its weights."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from artune.backbones.compact import Compact, CompactConfig
from artune.errors import WeightsError
from artune.losses import moments as fn
from artune.networks.folded import Folded
from artune.networks.loaded import PainterNetwork, Readings, encoder_digest, read_painter, write_painter
from artune.networks.painter import (
    CONTENT,
    FLOOR,
    LOG_ODDS,
    REVISION_TAPS,
    RIDGES,
    STEP_TAPS,
    TAPS,
    Painter,
    PainterConfig,
    displacement,
)
from artune.spec.style import StyleSpec

SMALL = PainterConfig(widths=(4, 4, 8), revision=4, embedding=8)


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return Compact(CompactConfig(((6,), (6, 8), (8, 8), (10, 12), (12,)))).eval().requires_grad_(False)


@pytest.fixture
def painter(encoder):
    torch.manual_seed(1)
    made = Painter(encoder, SMALL).eval()
    for parameter in made.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.1)
    features = made.features(torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(2)))
    made.set_units(torch.stack([each.square().mean().sqrt() for each in features]))
    return made


def images(generator, count=2, height=40, width=48) -> list[Tensor]:
    return [torch.rand((1, 3, height, width), generator=generator) for _ in range(count)]


def moments_of(painter: Painter, image: Tensor) -> list[fn.Moments]:
    return [fn.moments(each) for each in painter.features(image)]


@pytest.mark.parametrize("whitening", [True, False])
def test_carried_features_have_the_moments_of_the_painting(encoder, generator, whitening, monkeypatch):
    monkeypatch.setattr("artune.networks.painter.RIDGES", (1e-6,) * len(TAPS))
    painter = Painter(encoder, replace(SMALL, whitening=whitening))
    photograph, painting = images(generator, height=96, width=96)
    features, theirs = painter.features(photograph), moments_of(painter, painting)
    transports = painter.transports([fn.moments(each) for each in features], painter.gaussians(theirs))
    for each, transport, wanted in zip(features[:3], transports, theirs, strict=False):
        mean, cov = fn.mean_and_covariance(fn.moments(each + displacement(each, transport)))
        expected_mean, expected_cov = fn.mean_and_covariance(wanted)
        torch.testing.assert_close(mean, expected_mean, rtol=1e-3, atol=1e-3)
        if not whitening:
            cov, expected_cov = (m.diagonal(dim1=1, dim2=2) for m in (cov, expected_cov))
        torch.testing.assert_close(cov, expected_cov, rtol=0.02, atol=2e-3 * float(expected_cov.abs().max()))


def test_the_length_of_the_displacements_is_the_wasserstein_distance(photo, painting):
    painter = PainterNetwork.load(StyleSpec()).painter
    photograph, painting = (each.resized(96, 96).tensor() for each in (photo, painting))
    features, theirs = painter.features(photograph), moments_of(painter, painting)
    transports = painter.transports([fn.moments(each) for each in features], painter.gaussians(theirs))
    for each, transport, target in list(zip(features, transports, theirs, strict=True))[:4]:
        found = displacement(each, transport).square().sum(1).mean()
        expected = fn.wasserstein(fn.moments(each), fn.gaussian(target))
        assert found.item() == pytest.approx(expected.item(), rel=0.1)


def test_a_picture_in_the_style_already_is_not_displaced(painter, generator):
    (painting,) = images(generator, 1)
    theirs = moments_of(painter, painting)
    for each, transport in zip(
        painter.features(painting), painter.transports(theirs, painter.gaussians(theirs)), strict=True
    ):
        size = displacement(each, transport).square().mean() / each.square().mean()
        assert size < 1e-4


def test_a_flat_photograph_is_not_enlarged_to_noise(painter, generator):
    (painting,) = images(generator, 1)
    flat = torch.full((1, 3, 40, 48), 0.5)
    features = painter.features(flat)
    wanted = painter.gaussians(moments_of(painter, painting))
    transports = painter.transports([fn.moments(each) for each in features], wanted)
    for each, transport in zip(features, transports, strict=True):
        moved = each + displacement(each, transport)
        assert moved.isfinite().all()
        assert moved.flatten(2).std(2).max() < 1e-2 * (1 + each.abs().max())


def test_ridges_by_hand(encoder):
    painter = Painter(encoder, SMALL)
    painter.units[0] = 2.0
    features = torch.tensor([[[[1.0, 3.0]], [[0.0, 4.0]]]])
    (found,) = painter.gaussians([fn.moments(features)])
    level = RIDGES[0] * ((1 + 4) / 2 + FLOOR * 4)
    torch.testing.assert_close(found.cov, torch.tensor([[[1 + level, 2], [2, 4 + level]]]))
    torch.testing.assert_close(found.root @ found.root, found.cov)


def stepped(painter, photograph, painting, odds, image=None, done=0, first=True):
    image = photograph if image is None else image
    features, own = painter.features(image, STEP_TAPS), painter.features(photograph, STEP_TAPS)
    gaussians = painter.gaussians(moments_of(painter, painting)[:STEP_TAPS])
    transports = painter.transports([fn.moments(each) for each in features], gaussians)
    displacements = [displacement(*each) for each in zip(features, transports, strict=True)]
    return painter.whole(
        image, photograph, features, displacements, own[CONTENT] - features[CONTENT], odds, done, first
    )


def test_a_new_painter_changes_colours_alone(encoder, generator):
    torch.manual_seed(0)
    painter = Painter(encoder)
    encoder.pin_colour()
    photograph, painting = images(generator, height=64, width=64)
    found = stepped(painter, photograph, 0.3 * painting, torch.zeros(1))
    halfway = (photograph.mean((2, 3)) + (0.3 * painting).mean((2, 3))) / 2
    torch.testing.assert_close(found.mean((2, 3)), halfway, rtol=0.05, atol=0.02)


def test_a_batch_is_painted_as_its_pictures_are(painter, generator):
    photographs, paintings = (torch.cat(images(generator)) for _ in range(2))
    odds = torch.tensor([-1.0, 2.0])
    both = stepped(painter, photographs, paintings, odds)
    for i in range(2):
        alone = stepped(painter, photographs[i : i + 1], paintings[i : i + 1], odds[i : i + 1])
        torch.testing.assert_close(both[i : i + 1], alone, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("what", ["odds", "done", "first"])
def test_what_a_step_is_told_counts(painter, generator, what):
    photograph, painting = images(generator)
    plain = stepped(painter, photograph, painting, torch.zeros(1))
    told = {"odds": torch.zeros(1), "done": 0, "first": True} | {
        what: {"odds": torch.ones(1), "done": 2, "first": False}[what]
    }
    assert not torch.allclose(plain, stepped(painter, photograph, painting, **told), atol=1e-5)


def test_everything_that_is_trained_gets_a_gradient_and_the_encoder_none(painter, generator):
    photograph, painting = images(generator)
    stepped(painter, photograph, painting, torch.ones(1)).square().sum().backward()
    features = painter.features(photograph, REVISION_TAPS)
    painter.revision(
        photograph, photograph, features, features, None, torch.ones(1), 0, False
    ).square().sum().backward()
    for name, parameter in painter.named_parameters():
        assert (parameter.grad is None) == name.startswith("encoder"), name


def test_the_file_of_a_painter(painter, encoder, tmp_path, generator):
    painter.set_units(torch.rand(len(TAPS)) + 1)
    write_painter(tmp_path / "a.safetensors", painter)
    found = read_painter(tmp_path / "a.safetensors", encoder)
    assert found.config == painter.config
    photograph, painting = images(generator)
    one, other = (stepped(each, photograph, painting, torch.zeros(1)) for each in (painter, found))
    torch.testing.assert_close(one, other, rtol=0, atol=0.02)
    assert not any(parameter.requires_grad for parameter in found.parameters())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t, m: (t, {}), "holds no painter"),
        (lambda t, m: (t, m | {"painter": "{}x"}), "holds no painter"),
        *(
            (lambda t, m, shape=shape: (t, m | {"painter": json.dumps(shape)}), "holds no painter")
            for shape in (
                {"widths": 3},
                {"widths": [4, -4, 8]},
                {"widths": [4] * 5},
                {"widths": [4, 4, 10**7]},
                {"convolutions": [2, 1]},
            )
        ),
        (lambda t, m: (t, m | {"encoder": "0" * 16}), "another compact network"),
        (lambda t, m: ({k: v for k, v in t.items() if "last" not in k}, m), "does not fit"),
        (lambda t, m: (t | {"more": torch.zeros(1)}, m), "holds more, which is no part of a painter"),
        (lambda t, m: ({k: v * torch.nan for k, v in t.items()}, m), "not finite"),
    ],
)
def test_files_of_others_are_refused(painter, encoder, tmp_path, change, says):
    path = tmp_path / "a.safetensors"
    write_painter(path, painter)
    about = {"painter": json.dumps(painter.config.plain()), "encoder": encoder_digest(encoder)}
    tensors, metadata = change(load_file(path), about)
    save_file(tensors, path, metadata)
    with pytest.raises(WeightsError, match=says):
        read_painter(path, encoder)


def test_the_painter_that_is_installed():
    network = PainterNetwork.load(StyleSpec())
    assert network.painter.units.min() > 0
    assert LOG_ODDS[0] < 0 < LOG_ODDS[1]
    assert network.device.type == "cpu"


def test_readings_are_kept_until_there_are_too_many(monkeypatch):
    monkeypatch.setattr("artune.networks.loaded.KEPT", 2)
    readings, read = Readings(), []
    for name in "aabacab":
        if readings.get(name) is None:
            read.append(name)
            readings.keep(name, [])
    assert read == ["a", "b", "c", "b"]


@pytest.mark.parametrize("number", [STEP_TAPS, REVISION_TAPS])
def test_a_folded_step_makes_the_same_picture(painter, generator, number):
    photograph, painting = images(generator)
    x = photograph * 0.8 + 0.1
    features, own = painter.features(x, number), painter.features(photograph)[CONTENT]
    transports = painter.transports(
        [fn.moments(each) for each in features], painter.gaussians(moments_of(painter, painting))
    )
    displacements = [displacement(*each) for each in zip(features, transports, strict=True)]
    step, odds = painter.whole if number == STEP_TAPS else painter.revision, torch.tensor([0.7])
    lost = own - features[CONTENT] if number == STEP_TAPS else None
    expected = step(x, photograph, features, displacements, lost, odds, 1, False)
    made = Folded(step, transports, step.about_steps(odds, 1, False))(photograph, features, own)
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-5)
    assert (expected - x).abs().max() > 0.05
