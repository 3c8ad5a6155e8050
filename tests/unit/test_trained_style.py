"""The method ``trained`` and styles that were loaded: pictures, options that they have not, checkpoints, tensors."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import artune
from artune import api
from artune.errors import InputError, PictureError, ResourceError, SpecError, WeightsError
from artune.images.picture import Picture
from artune.images.resize import NO_WRAPS, Wraps
from artune.networks.johnson import Convolution
from artune.networks.trained import StyleNetwork
from artune.spec.style import StyleSpec, Trained
from artune.transfer.checkpoint import Checkpoint
from artune.transfer.methods import plan_run, steps
from artune.transfer.trained import painted
from tests.trained import write_johnson, write_painter


@pytest.fixture
def path(tmp_path, photo):
    write_johnson(tmp_path / "a.safetensors", photo)
    return tmp_path / "a.safetensors"


@pytest.fixture
def style(path):
    return artune.load_style(path, device="cpu")


def test_a_photograph_is_what_the_network_makes_of_it(style, photo):
    result = style(photo, size=48)
    expected = style.module(photo.tensor())[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(result.picture.pixels, expected, atol=1e-5)
    assert (result.record.steps, result.record.end) == (1, "done")
    assert result.record.digests["weights"] == style.digest
    assert isinstance(result.record.spec.method, Trained)
    assert repr(result) == "Result(48x32, 1 steps, done)"
    assert repr(style) == "TrainedStyle(johnson, a.png)"


def test_a_record_makes_the_same_picture_again(style, path, photo):
    result = style(photo, size=40)
    again = artune.style(photo, spec=result.record.spec, weights=path)
    assert again.record.key == result.record.key
    assert np.array_equal(again.picture.pixels, result.picture.pixels)


def test_another_style_has_another_key(style, photo, tmp_path):
    write_johnson(tmp_path / "b.safetensors", photo, seed=1)
    other = artune.load_style(tmp_path / "b.safetensors", device="cpu")
    assert other(photo, size=48).record.key != style(photo, size=48).record.key


def test_transparency_is_kept(style, photo):
    alpha = np.ones((32, 48), np.float32)
    alpha[:, :10] = 0
    made = style(replace(photo, alpha=alpha), size=48).picture
    assert np.array_equal(made.alpha, alpha)
    np.testing.assert_allclose(made.pixels[:, :10], photo.pixels[:, :10], atol=1e-6)
    with pytest.raises(PictureError, match="transparent all over"):
        style(replace(photo, alpha=np.zeros((32, 48), np.float32)))


def test_what_is_kept_of_a_style_without_strength_is_blended(style, photo):
    mask = np.zeros((32, 48), np.float32)
    mask[8:24, 8:24] = 1
    plain = style(photo, size=48).picture.pixels
    made = style(photo, keeps=[artune.Keep(mask, 0.25)], size=48)
    inside = np.s_[8:24, 8:24]
    expected = 0.75 * plain[inside] + 0.25 * photo.pixels[inside]
    np.testing.assert_allclose(made.picture.pixels[inside], expected, atol=1e-5)
    assert np.array_equal(made.picture.pixels[24:], plain[24:])
    assert made.record.kept == {"keep 0": 0.25}
    assert made.record.key != style(photo, size=48).record.key
    with pytest.raises(InputError, match="all of the photograph is kept"):
        style(photo, keeps=[artune.Keep(np.ones((32, 48), np.float32))], size=48)


def test_colours_may_stay_those_of_the_photograph(style, photo):
    made = style(photo, size=48, color="content-luminance").picture.pixels
    plain = style(photo, size=48).picture.pixels

    def chroma(pixels):
        return pixels - pixels.mean(2, keepdims=True)

    assert (
        np.abs(chroma(made) - chroma(photo.pixels)).mean() < 0.5 * np.abs(chroma(plain) - chroma(photo.pixels)).mean()
    )


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"strength": 0.5}, SpecError, "has no slider; leave out `strength`"),
        ({"color": "content-match"}, SpecError, "content-match needs the painting"),
        ({"style_scale": 0.5}, SpecError, "`style_scale` has no effect"),
        ({"style_weights": (1, 2)}, SpecError, "`style_weights` are given, but there is no painting"),
        ({"size": 20}, SpecError, "a 48x32 picture at size 20 is too small .* give `size` 24 or more"),
        ({"memory": "1025MiB", "size": 8192}, ResourceError, "needs .*MiB, as its statistics .* `memory` is 1025MiB"),
        ({"tile": "x", "memory": "1025MiB", "size": 8192}, ResourceError, "needs .*MiB"),
        ({"steps": 3}, SpecError, "the method trained has none"),
        ({"network": "vgg16"}, SpecError, "the method trained has none"),
    ],
)
def test_what_it_has_not_is_refused(style, photo, options, error, message):
    with pytest.raises(error, match=message):
        style(photo, **options)


@pytest.mark.filterwarnings("ignore:the photograph has a border")  # a wave's crest at the edge
@pytest.mark.parametrize(("width", "height"), [(48, 32), (45, 34), (50, 35)])
@pytest.mark.parametrize("tile", ["x", "y", "both"])
def test_a_result_that_repeats_has_no_seam(style, width, height, tile):
    y, x = np.mgrid[0:height, 0:width]
    waves = [0.5 + 0.4 * np.sin(x / 9 + y / (7 + channel) + channel) for channel in range(3)]
    photo = Picture(np.stack(waves, 2).astype(np.float32))
    made = style(photo, size=width, tile=tile).picture.pixels
    for axis, repeats in ((0, tile != "x"), (1, tile != "y")):
        inside = np.abs(np.diff(made, axis=axis)).mean(axis=(1 - axis, 2)).max()
        seam = np.abs(np.take(made, 0, axis) - np.take(made, -1, axis)).mean()
        assert seam <= 1.1 * inside or not repeats


def test_a_shift_of_a_picture_that_repeats_shifts_the_result(style, photo):
    image = photo.tensor()
    with torch.no_grad():
        for wraps, shift in ((Wraps(down=True, across=True), (8, 20)), (Wraps(across=True), (0, 20))):
            made = painted(style.module, image, wraps)
            moved = painted(style.module, image.roll(shift, (2, 3)), wraps)
            torch.testing.assert_close(moved, made.roll(shift, (2, 3)), atol=1e-5, rtol=0)
        assert torch.equal(painted(style.module, image, NO_WRAPS), style.module(image))
        odd = painted(style.module, image[..., :31, :45], Wraps(down=True))
        assert odd.shape == (1, 3, 31, 45)
    assert not any(any(module.wraps) for module in style.module.modules() if isinstance(module, Convolution))


def test_it_takes_no_paintings(path, photo, painting):
    with pytest.raises(InputError, match="takes no paintings and no regions"):
        artune.style(photo, painting, method=Trained(), weights=path)
    with pytest.raises(SpecError, match="needs a trained style; give its file as `weights`"):
        artune.style(photo, method=Trained())
    with pytest.raises(InputError, match="no strength to be found"):
        artune.tune(photo, method=Trained(), weights=path)


def test_more_memory_than_there_is(style, photo, monkeypatch):
    monkeypatch.setattr("artune.transfer.trained.device_memory_free", lambda device: 2**28 + 2**20)
    with pytest.raises(ResourceError, match=r"needs .*MiB, .* 0\.0 GiB are free; choose a smaller `size`"):
        style(photo, size=512)
    assert style(photo, size=48).picture.size == (48, 32)


def test_progress_and_checkpoint(path, photo, tmp_path):
    def run(**more):
        spec = StyleSpec(method=Trained(), size=48, device="cpu", **more)
        return plan_run(api.read(photo, [], spec, network=StyleNetwork.load(spec, path)))

    events = list(steps(run()))
    assert [(event.event, event.done, event.share) for event in events] == [
        ("begins", 0, 0.0),
        ("step", 1, 1.0),
        ("ends", 1, 1.0),
    ]
    for number, event in enumerate(events):
        event.save(tmp_path / f"{number}.partial")
        *_, last = steps(run(), Checkpoint.load(tmp_path / f"{number}.partial"))
        assert torch.equal(last.state.x, events[-1].state.x), event.event
    with pytest.raises(InputError, match="belongs to another run"):
        list(steps(run(color="content-luminance"), Checkpoint.load(tmp_path / "1.partial")))


def test_a_tensor_is_painted_at_its_own_size(style, generator):
    image = torch.rand((1, 3, 33, 27), generator=generator)
    made = style.paint(image)
    assert made.shape == image.shape
    torch.testing.assert_close(made, style.module(image))
    assert not made.requires_grad
    with pytest.raises(SpecError, match="no slider"):
        style.paint(image, 0.5)
    with pytest.raises(SpecError, match="16 a side are needed"):
        style.paint(torch.zeros(1, 3, 8, 40))


def test_a_painter_paints_as_artune_style_does_with_its_painting(tmp_path, photo, painting):
    write_painter(tmp_path / "p.safetensors", painting)
    style = artune.load_style(tmp_path / "p.safetensors", device="cpu")
    made = style(photo, size=48, strength=0.7).picture.pixels
    method = artune.Instant()
    expected = artune.style(photo, style.paintings[0], method=method, size=48, strength=0.7).picture.pixels
    np.testing.assert_allclose(made, expected, atol=5e-3)  # weights in the file are fp16
    weak, strong = (style(photo, size=48, strength=strength).picture.pixels for strength in (0.1, 0.9))
    assert np.abs(weak - photo.pixels).mean() < np.abs(strong - photo.pixels).mean()
    tensor = style.paint(photo.tensor(), 0.7)
    assert tensor.shape == (1, 3, 32, 48)
    np.testing.assert_allclose(tensor[0].permute(1, 2, 0).numpy(), made, atol=1e-5)
    usual = style.paint(photo.tensor())
    torch.testing.assert_close(usual, style.paint(photo.tensor(), style.info.spec.strength))
    assert not torch.equal(usual, tensor)


def test_a_painters_strength_is_found_if_none_is_given(tmp_path, photo, painting):
    write_painter(tmp_path / "p.safetensors", painting)
    result = artune.load_style(tmp_path / "p.safetensors", device="cpu")(photo, size=48)
    assert result.record.balance is not None


def test_what_is_no_style_is_refused(tmp_path, files):
    with pytest.raises(WeightsError, match="is no trained style"):
        artune.load_style(files / "photo.png")
    with pytest.raises(WeightsError, match="no weights file"):
        artune.load_style(tmp_path / "nothing.safetensors")


def test_a_picture_in_memory_is_enough(style, rng):
    made = style(Picture(rng.random((20, 30, 3)).astype(np.float32)), size="original")
    assert made.picture.size == (30, 20)
