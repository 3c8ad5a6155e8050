"""The frames of a scene, one by one."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from artune.images.picture import Picture
from artune.spec.style import Instant, Optimise, StyleSpec
from artune.transfer.frames import TEMPORAL_WEIGHT
from artune.transfer.inputs import RegionStyle, read_painting
from artune.transfer.methods import method_of
from artune.video.flow import FlowEstimator, warped
from artune.video.frames import Frame
from artune.video.steady import carried_on
from artune.video.styler import Look, Styler, mask_of
from artune.video.timeline import Timeline


@pytest.fixture(scope="module")
def networks():
    return {kind: method_of(spec).load(spec, None, None) for kind, spec in SPECS.items()}


SPECS = {
    "instant": StyleSpec(method=Instant(), size=64, strength=0.7),
    "optimise": StyleSpec(method=Optimise(size_steps=(2, 2, 4)), size=64, strength=0.7),
    "from the photograph": StyleSpec(method=Optimise(start="content", steps=6, pyramid=False), size=64, strength=0.7),
}


@pytest.fixture
def frames(rng):
    """A pan of two pixels a frame over a soft texture, with grain that is new in each frame."""
    small = rng.random((8, 14, 3)).astype(np.float32)
    wide = Picture(small).resized(84, 48).pixels
    pans = [wide[:, 2 * number : 2 * number + 64] for number in range(4)]
    return [
        Frame(
            number,
            Fraction(number, 25),
            Fraction(1, 25),
            Picture(np.clip(pan + 0.04 * rng.standard_normal(pan.shape), 0, 1).astype(np.float32)),
        )
        for number, pan in enumerate(pans)
    ]


def styled(look, frames, *, alone=False):
    styler, earlier, found = Styler(look), [], []
    for frame in frames:
        one = styler.style(frame, [] if alone else earlier)
        earlier = [one.kept, *earlier]
        found.append(one)
    return found


def flicker(frames, found):
    """Mean squared difference between frames along the flow, where it is valid."""
    estimator, errors = FlowEstimator(), []
    for number in range(1, len(found)):
        origin = estimator.origin(frames[number].picture.pixels, frames[number - 1].picture.pixels)
        apart = (found[number].picture.pixels - warped(found[number - 1].picture.pixels, origin.flow)) ** 2
        errors.append((apart.mean(2) * origin.valid).sum() / origin.valid.sum())
    return float(np.mean(errors))


@pytest.mark.parametrize("kind", ["instant", "optimise"])
def test_frames_flicker_less_than_one_by_one(frames, painting, networks, kind):
    look = Look(SPECS[kind], (read_painting(painting, False),), networks[kind])
    alone, together = styled(look, frames, alone=True), styled(look, frames)
    assert flicker(frames, together) < 0.6 * flicker(frames, alone)
    assert np.array_equal(alone[0].picture.pixels, together[0].picture.pixels)
    apart = np.abs(together[-1].picture.pixels - alone[-1].picture.pixels).mean()
    assert apart < 0.12  # it is still this frame


def test_temporal_weight_holds_a_frame_to_those_before(frames, painting, networks, monkeypatch):
    look = Look(SPECS["from the photograph"], (read_painting(painting, False),), networks["from the photograph"])

    def apart(weight):
        monkeypatch.setattr("artune.transfer.frames.TEMPORAL_WEIGHT", weight)
        return flicker(frames, styled(look, frames[:2]))

    assert apart(100 * TEMPORAL_WEIGHT) < 0.7 * apart(0.0)


def test_styles_change_over_time(frames, painting, photo, networks):
    dark, light = (read_painting(Picture((0.2 * painting.pixels + add).astype(np.float32)), False) for add in (0, 0.8))
    look = Look(SPECS["instant"], (dark, light), networks["instant"], Timeline.of([Fraction(0), Fraction(3, 25)]))
    means = [each.picture.pixels.mean() for each in styled(look, frames, alone=True)]
    assert means == sorted(means)
    assert means[-1] > means[0] + 0.2
    optimised = Look(SPECS["optimise"], (dark, light), networks["optimise"], look.timeline)
    means = [each.picture.pixels.mean() for each in styled(optimised, frames)]
    assert means[-1] > means[0] + 0.1


def test_regions_come_and_go(frames, painting, networks):
    half, none = np.zeros((48, 64), np.float32), np.zeros((48, 64), np.float32)
    half[:, 32:] = 1
    style = read_painting(painting, False)
    masks = [half, none, half, half]

    def regions(frame):
        return [RegionStyle(masks[frame.number], style)]

    for kind in ("instant", "optimise"):
        found = styled(Look(SPECS[kind], (), networks[kind], parts=regions), frames)
        left = [
            np.abs(each.picture.pixels - frame.picture.pixels)[:, :30].max()
            for each, frame in zip(found, frames, strict=True)
        ]
        right = [
            np.abs(each.picture.pixels - frame.picture.pixels)[:, 34:].mean()
            for each, frame in zip(found, frames, strict=True)
        ]
        assert max(left) < 1e-6
        assert right[1] == 0  # there is nothing of the region
        assert min(right[0], *right[2:]) > 0.02


def test_masks_that_a_network_finds_are_smoothed(frames, painting, networks):
    mask, none = np.ones((48, 64), np.float32), np.zeros((48, 64), np.float32)
    style = read_painting(painting, False)

    def found(frame):
        return [RegionStyle(none if frame.number == 2 else mask, style)]

    masks = [
        each.kept.masks[0] for each in styled(Look(SPECS["instant"], (), networks["instant"], found=found), frames)
    ]
    assert masks[0].min() == 1
    assert 0.3 < masks[2].mean() < 0.6  # the network has lost it for a frame


def test_a_mask_that_is_not_there_is_empty(frames, tmp_path):
    assert mask_of(RegionStyle(np.zeros((4, 4), np.float32), "a.jpg"), frames[0]).max() == 0


def test_a_frame_keeps_its_transparency(frames, painting, networks):
    alpha = np.zeros((48, 64), np.float32)
    alpha[:, :40] = 1
    clear = [Frame(f.number, f.time, f.duration, Picture(f.picture.pixels, alpha)) for f in frames[:2]]
    found = styled(Look(SPECS["instant"], (read_painting(painting, False),), networks["instant"]), clear)
    assert all(np.array_equal(each.picture.alpha, alpha) for each in found)


def test_what_was_hidden_for_a_frame_comes_back_as_it_was(frames, painting, networks, monkeypatch):
    """By the frame before the last one, as nothing of the last one is valid there."""
    hidden = frames[1].picture.pixels.copy()
    hidden[:, :32] = np.kron(np.indices((12, 8)).sum(0) % 2, np.ones((4, 4)))[..., None]  # something passes by
    still = [replace(frames[0], number=number) for number in range(3)]
    still[1] = replace(still[1], picture=Picture(hidden))
    look = Look(SPECS["from the photograph"], (read_painting(painting, False),), networks["from the photograph"])

    def apart():
        first, _, third = (each.picture.pixels[:, 2:28] for each in styled(look, still))
        return np.abs(third - first).mean()

    monkeypatch.setattr("artune.transfer.frames.TEMPORAL_WEIGHT", 100 * TEMPORAL_WEIGHT)
    kept = apart()
    monkeypatch.setattr("artune.video.styler.FAR", (1,))
    assert kept < 0.7 * apart()


@pytest.mark.parametrize("color", ["style", "content-luminance", "content-match"])
def test_a_frame_depends_on_those_before_it_alone(frames, painting, networks, color):
    """Not on what the one who styles it has seen, as a film may be resumed; and its colours are of its own light."""
    pictures = [Picture(np.clip(frame.picture.pixels + 0.2 * frame.number, 0, 1)) for frame in frames[:3]]
    lighter = [replace(frame, picture=picture) for frame, picture in zip(frames, pictures, strict=False)]
    spec = SPECS["from the photograph"].model_copy(update={"color": color})
    look = Look(spec, (read_painting(painting, False),), networks["from the photograph"])
    whole = styled(look, lighter)
    again = Styler(look).style(lighter[2], [whole[1].kept, whole[0].kept])
    assert np.array_equal(again.picture.pixels, whole[2].picture.pixels)
    if color != "style":
        rise = whole[2].picture.pixels.mean() - whole[0].picture.pixels.mean()
        assert rise > 0.5 * (lighter[2].picture.pixels.mean() - lighter[0].picture.pixels.mean())


def test_optimised_frames_keep_to_those_farther_back(frames, painting, networks):
    look = Look(SPECS["optimise"], (read_painting(painting, False),), networks["optimise"])
    assert look.reach == (1, 2, 4)
    assert Look(SPECS["instant"], (), networks["instant"]).reach == (1,)
    kept = [each.kept for each in styled(look, frames)]
    assert len(carried_on(frames[3].picture.pixels, kept[2::-1], Styler(look).estimator)) == 3
