"""Styling small pictures with the bundled network, end to end in memory."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

import artune
from artune import machine
from artune.api import style
from artune.backbones.base import PassOutput
from artune.backbones.compact import Compact
from artune.backbones.network import Network
from artune.errors import (
    ArtuneError,
    ArtuneWarning,
    CheckpointError,
    InputError,
    OutputError,
    PictureError,
    ResourceError,
    SpecError,
    UnknownNameError,
)
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.write import write_picture
from artune.losses.matting import matting
from artune.spec.style import Optimise, Rung, StyleSpec
from artune.transfer.inputs import RegionStyle
from artune.transfer.sizes import painting_size
from artune.transfer.start import STARTS
from tests.runs import planned

RUNGS = (Rung(size=32, steps=4), Rung(size=48, steps=4))


@pytest.fixture(scope="module")
def network():
    return Network.load(StyleSpec(precision="fp32"))


def spec(**method) -> StyleSpec:
    optimise = Optimise(**{"rungs": RUNGS, **method})
    strength = 0.5 if optimise.scale == "calibrated" else "auto"
    return StyleSpec(size=48, strength=strength, precision="fp32", method=optimise)


def test_the_result_is_nearer_to_the_style(photo, painting, network):
    result = style(photo, painting, spec=spec(start="content"), network=network)
    assert result.picture.size == (48, 32)
    assert result.record.end == "done"
    assert result.record.steps == 8
    losses = result.record.losses
    assert len(losses["total"]) == 9  # before each step, and of the picture
    for tap in ("relu1_1", "relu3_1", "relu5_1"):
        assert losses[f"style {tap}"][-1] < 0.75 * losses[f"style {tap}"][0]


def test_strength_0_is_the_photograph(photo, painting, network):
    result = style(photo, painting, spec=spec().model_copy(update={"strength": 0.0}), network=network)
    np.testing.assert_array_equal(result.picture.pixels, photo.pixels)


def test_strength_1_is_style_alone(photo, painting, network):
    result = style(photo, painting, spec=spec().model_copy(update={"strength": 1.0}), network=network)
    assert not any(name.startswith("content") for name in result.record.losses)


def test_more_strength_is_less_content(photo, painting, network):
    def distance(strength):
        result = style(photo, painting, spec=spec().model_copy(update={"strength": strength}), network=network)
        return np.abs(result.picture.pixels - photo.pixels).mean()

    assert distance(0.02) < distance(0.5) < distance(0.99)


@pytest.mark.parametrize("optimiser", ["adam", "lbfgs", "sgd"])
@pytest.mark.parametrize("loss", ["w2", "gram"])
def test_every_loss_with_every_optimiser(photo, painting, network, loss, optimiser):
    result = style(photo, painting, spec=spec(loss=loss, optimiser=optimiser), network=network)
    total = result.record.losses["total"]
    assert result.record.end == "done"
    assert total[-1] < total[0]
    assert result.picture.pixels.min() >= 0
    assert result.picture.pixels.max() <= 1


@pytest.mark.parametrize("scale", ["tutorial", "gatys", "raw"])
def test_scales_of_the_literature(photo, painting, network, scale):
    method = {"loss": "gram", "scale": scale}
    if scale == "raw":
        method |= {"content_weight": 1.0, "style_weight": 1e-6}
    result = style(photo, painting, spec=spec(**method), network=network)
    assert (
        result.record.losses["total"][-1] < result.record.losses["total"][4]
    )  # within one size: the units are its own


@pytest.mark.parametrize("optimiser", ["adam", "lbfgs"])
def test_the_same_spec_gives_the_same_bits(photo, painting, network, optimiser):
    one, two = (style(photo, painting, spec=spec(optimiser=optimiser, start="uniform"), network=network) for _ in "12")
    assert one.record.key == two.record.key
    assert one.picture.digest() == two.picture.digest()


def test_another_seed_gives_another_noise(photo, painting, network):
    one = style(photo, painting, spec=spec(start="uniform"), network=network)
    two = style(photo, painting, spec=spec(start="uniform").model_copy(update={"seed": 1}), network=network)
    assert one.record.key != two.record.key
    assert one.picture.digest() != two.picture.digest()


DESCENTS = {
    "adam": {},
    "adam, decay": {"decay": 0.5, "decay_every": 3},  # in the middle of both sizes
    "lbfgs": {"optimiser": "lbfgs"},
    "lbfgs, decay": {"optimiser": "lbfgs", "decay": 0.5, "decay_every": 3},
    "lbfgs, search": {"optimiser": "lbfgs", "line_search": "strong-wolfe"},
    "sgd": {"optimiser": "sgd"},
    "sgd, decay": {"optimiser": "sgd", "decay": 0.5, "decay_every": 3},
}


@pytest.mark.parametrize("descent", DESCENTS)
@pytest.mark.parametrize("stop", [1, 4, 5, 7])
def test_resumed_is_uninterrupted_to_the_bit(photo, painting, network, tmp_path, descent, stop):
    method = DESCENTS[descent]
    whole = style(photo, painting, spec=spec(**method), network=network)
    path = tmp_path / "a.partial"

    def halt(progress):
        if progress.done == stop:
            progress.save(path)
        return progress.done == stop

    part = style(photo, painting, spec=spec(**method), network=network, on_step=halt)
    assert part.record.end == "cancelled"
    assert part.record.steps == stop
    rest = style(photo, painting, spec=spec(**method), network=network, resume=path)
    assert rest.picture.digest() == whole.picture.digest()
    assert rest.record.losses == whole.record.losses
    assert rest.record.steps == whole.record.steps


def test_a_checkpoint_of_another_run_is_refused(photo, painting, network, tmp_path):
    path = tmp_path / "a.partial"
    style(photo, painting, spec=spec(), network=network, on_step=lambda p: p.save(path))
    with pytest.raises(CheckpointError, match="belongs to another run"):
        style(photo, painting, spec=spec(tv=2.0), network=network, resume=path)
    with pytest.raises(CheckpointError, match="belongs to another run"):
        style(painting, photo, spec=spec(), network=network, resume=path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda t, a: a.pop("mass"),
        lambda t, a: a.update(level=99),
        lambda t, a: a.update(step=99),
        lambda t, a: a.update(losses=3),
        lambda t, a: t.pop("average"),
        lambda t, a: a.update(memory="much"),
        lambda t, a: t.pop("slot.second"),
        lambda t, a: t.update({"slot.second": torch.zeros(1, 3, 5, 5)}),
        lambda t, a: t.update({"slot.unit": torch.zeros(2)}),
        lambda t, a: t.update({"slot.other": torch.zeros(())}),
        lambda t, a: t.update(x=torch.zeros(1, 3, 5, 5)),
        lambda t, a: t["x"].fill_(float("nan")),
    ],
)
def test_a_checkpoint_with_damaged_fields_is_refused(photo, painting, network, tmp_path, damage):
    from artune.tensors import load_checkpoint, save_checkpoint

    path = tmp_path / "a.partial"
    adam = spec(start="content", optimiser="adam")
    style(photo, painting, spec=adam, network=network, on_step=lambda p: p.save(path))
    tensors, about = load_checkpoint(path)
    damage(tensors, about)
    save_checkpoint(path, tensors, about)
    with pytest.raises(CheckpointError, match="remove it to start anew"):
        style(photo, painting, spec=spec(), network=network, resume=path)


def test_a_network_of_another_name_is_refused(photo, painting, network):
    with pytest.raises(SpecError, match="asks for network vgg19"):
        style(photo, painting, spec=spec(network="vgg19"), network=network)


@pytest.mark.usefixtures("untyped")
def test_pictures_that_are_none(photo, network):
    with pytest.raises(PictureError, match="not finite"):
        style(photo, Picture(photo.pixels * np.float32("nan")), spec=spec(), network=network)
    with pytest.raises(PictureError, match="several styles are given one by one"):
        style(photo, [photo], spec=spec(), network=network)
    with pytest.raises(PictureError, match=r"\[height, width, 3\]"):
        Picture(photo.pixels[..., 0])


def test_transparency_comes_back(photo, painting, network):
    alpha = np.zeros((32, 48), np.float32)
    alpha[:, 8:] = 1
    result = style(Picture(photo.pixels, alpha), painting, spec=spec(), network=network)
    np.testing.assert_array_equal(result.picture.alpha, alpha)


def test_starts(photo, painting, network, tmp_path):
    write_picture(painting, tmp_path / "start.png")
    painting = read_picture(tmp_path / "start.png")  # rounded
    results = [
        style(photo, painting, spec=spec(start=start), network=network)
        for start in (*STARTS, str(tmp_path / "start.png"))
    ]
    # the file is the style, and auto is instant
    assert len({result.picture.digest() for result in results}) == len(STARTS) - 1
    for result in results:
        assert result.record.losses["total"][-1] < result.record.losses["total"][0]
    with pytest.raises(UnknownNameError, match=r"'unifrom': there is no such file.* did you mean uniform\?.*colours"):
        style(photo, painting, spec=spec(start="unifrom"), network=network)
    with pytest.raises(UnknownNameError, match="contains no picture: give it again"):
        style(photo, painting, spec=spec(start="file"), network=network)


@pytest.mark.usefixtures("untyped")
def test_an_earlier_result_to_start_from(photo, painting, network, tmp_path):
    earlier = style(photo, painting, spec=spec(), network=network)
    write_picture(earlier.picture, tmp_path / "start.png")
    saved = read_picture(tmp_path / "start.png")
    one, two, three = (
        style(photo, painting, spec=spec(), network=network, first=first)
        for first in (saved, tmp_path / "start.png", replace(earlier, picture=saved))
    )
    assert one.record.key == two.record.key == three.record.key
    assert one.picture.digest() == two.picture.digest() == three.picture.digest()
    assert one.record.spec.method.start == "file"
    assert one.record.digests["start"] == saved.digest()
    assert one.record.losses["total"][0] < earlier.record.losses["total"][0]
    again = style(photo, painting, spec=one.record.spec, network=network, first=saved)
    assert again.record.key == one.record.key
    with pytest.raises(SpecError, match="`start` 'grey' and `first`"):
        style(photo, painting, spec=spec(start="grey"), network=network, first=saved)
    with pytest.raises(PictureError, match="type int is no picture"):
        style(photo, painting, spec=spec(), network=network, first=3)


def test_grey_does_not_stall_even_without_content(photo, painting, network):
    result = style(photo, painting, spec=spec(start="grey"), network=network, strength=1.0)
    assert result.record.end == "done"
    assert result.picture.pixels.std((0, 1)).min() > 0.02  # a flat picture has become one with forms


def test_a_decay_counts_over_all_sizes(photo, painting, network):
    steps = []
    late = {"decay": 1e-9, "decay_every": 6}  # from the third step of the second size on, nothing moves
    style(photo, painting, spec=spec(**late), network=network, on_step=lambda p: steps.append(p.state.x))
    moved = [float((b - a).abs().max()) for a, b in pairwise(steps[4:])]
    assert moved[0] > 1e-3
    assert max(moved[1:]) < 1e-6


def test_plain_descent_with_too_high_a_rate_has_diverged(photo, painting, network):
    wild = spec(optimiser="sgd", rate=1e9, rungs=(Rung(size=48, steps=40),))
    with pytest.warns(ArtuneWarning, match="nothing but 0 and 255"):
        result = style(photo, painting, spec=wild, network=network)
    assert result.record.end == "diverged"
    assert np.isfinite(result.picture.pixels).all()


def test_plain_descent_in_the_units_of_the_literature_needs_a_rate(photo, painting, network):
    literature = {"optimiser": "sgd", "loss": "gram", "scale": "gatys"}
    with pytest.raises(SpecError, match="no default rate with `scale` gatys; give `rate`"):
        style(photo, painting, spec=spec(**literature), network=network)
    assert style(photo, painting, spec=spec(**literature, rate=1e-6), network=network).record.end == "done"


def test_a_line_search_lowers_the_total_at_every_step(photo, painting, network):
    search = spec(optimiser="lbfgs", line_search="strong-wolfe", rungs=(Rung(size=48, steps=12),))
    total = style(photo, painting, spec=search, network=network).record.losses["total"]
    assert all(b < a for a, b in pairwise(total[:-1]))  # the last is that of the average


def test_several_styles(photo, painting, network):
    other = Picture(painting.pixels[::-1, :, ::-1] ** 2)
    both = spec().model_copy(update={"style_weights": (1.0, 0.0)})
    alone = style(photo, painting, spec=spec(), network=network).picture.pixels
    first = style(photo, painting, other, spec=both, network=network).picture.pixels
    mixed = style(photo, painting, other, spec=spec(), network=network).picture.pixels
    assert np.abs(first - alone).mean() < 0.02
    assert np.abs(mixed - alone).mean() > np.abs(first - alone).mean()


def test_size_original_and_no_enlarging(photo, painting, network):
    plain = StyleSpec(size="original", strength=0.5, precision="fp32", method=Optimise(steps=2))
    assert style(photo, painting, spec=plain, network=network).picture.size == (48, 32)
    capped = plain.model_copy(update={"size": 400, "enlarge": False})
    assert style(photo, painting, spec=capped, network=network).picture.size == (48, 32)


def test_a_picture_that_diverges_keeps_the_last_good_one(photo, painting, network, diverging):
    diverging(5)
    result = style(photo, painting, spec=spec(), network=network)
    assert result.record.end == "diverged"
    assert result.record.steps == 5
    assert np.isfinite(result.picture.pixels).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (3, 200)])
def test_too_small_for_the_network(painting, network, shape):
    thin = Picture(np.full((*shape, 3), 0.5, np.float32))
    with pytest.raises(SpecError, match=r"network compact needs at least 16 .* `size` \d+ or more"):
        style(thin, painting, spec=StyleSpec(size=15, precision="fp32"), network=network)


def test_a_picture_too_thin_at_any_size(painting, network):
    thread = Picture(np.full((5000, 1, 3), 0.5, np.float32))
    with pytest.raises(SpecError, match="crop"):
        style(thread, painting, spec=StyleSpec(precision="fp32"), network=network)


def test_a_single_pixel_can_be_styled_and_be_a_style(photo, network):
    dot = Picture(np.full((1, 1, 3), 0.25, np.float32))
    small = StyleSpec(size=32, strength=0.5, precision="fp32", method=Optimise(steps=3))
    assert style(dot, photo, spec=small, network=network).picture.size == (32, 32)
    result = style(photo, dot, spec=small, network=network)
    assert np.isfinite(result.picture.pixels).all()


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_flat_pictures(photo, network, value):
    flat = Picture(np.full((32, 48, 3), value, np.float32))
    for content, painting in ((flat, photo), (photo, flat)):
        result = style(content, painting, spec=spec(), network=network)
        assert np.isfinite(result.picture.pixels).all()
        assert result.record.end in ("done", "stalled")


@pytest.mark.parametrize("value", [0.0, 0.25, 0.5, 1.0])
def test_a_flat_picture_in_its_own_style_is_itself(network, value):
    flat = Picture(np.full((32, 48, 3), value, np.float32))
    result = style(flat, flat, spec=spec(start="content"), network=network)
    assert result.record.end == "stalled"
    np.testing.assert_array_equal(result.picture.pixels, flat.pixels)
    from_painter = style(flat, flat, spec=spec(), network=network)
    apart = np.abs(from_painter.picture.pixels - flat.pixels)  # a faint tint; at single pixels more, by the processor
    assert apart.mean() < 0.04
    assert np.quantile(apart, 0.99) < 0.08


def test_the_painter_s_start_is_nearer_to_the_style_from_the_first_step_on(photo, painting, network):
    content, painted = (
        style(photo, painting, spec=spec(start=start, optimiser="adam"), network=network).record.losses["total"]
        for start in ("content", "instant")
    )
    assert painted[0] < 0.8 * content[0]
    assert painted[-1] < content[-1]


def test_what_follows_the_painter(photo, painting, network):
    """Few steps of L-BFGS, of which no average is taken; above 1024 pixels Adam, which takes less memory."""

    def method(size=512, strength=0.5, **given):
        asked = StyleSpec(size=size, strength=strength, method=Optimise(**given))
        return planned(photo, [painting], asked, network=network).plan.method

    usual = method()
    assert (usual.start, usual.optimiser, usual.average) == ("instant", "lbfgs", 0.0)
    assert [(rung.size, rung.steps) for rung in usual.rungs] == [(128, 6), (256, 6), (512, 10)]
    assert method(size=1536).optimiser == "adam"
    mean = {"strength": "auto", "scale": "mean", "content_weight": 1.0, "style_weight": 1.0}
    for other in ({"start": "content"}, {"photoreal": 1.0}, mean, {"balance_gradients": True, "start": "instant"}):
        found = method(**other)
        assert found.optimiser == "adam", other
        assert found.start == other.get("start", "content")


def test_content_as_its_own_style_stays_recognisable(photo, network):
    result = style(photo, photo, spec=spec(), network=network)
    assert np.abs(result.picture.pixels - photo.pixels).mean() < 0.12


def test_the_saved_picture_carries_its_spec_and_gives_the_same_again(photo, painting, network, tmp_path):
    result = style(photo, painting, spec=spec(), network=network)
    result.save(tmp_path / "a.png")
    note = read_picture(tmp_path / "a.png").note
    assert "photo.png" not in str(note)
    assert str(tmp_path) not in str(note)
    again = StyleSpec.model_validate(note["spec"])
    assert again == result.record.spec
    assert style(photo, painting, spec=again, network=network).record.key == result.record.key


def test_not_enough_memory_names_a_size_that_fits(photo, painting, network, monkeypatch):
    monkeypatch.setattr(machine, "memory_free", lambda: 350_000_000)
    big = StyleSpec(size=8000, precision="fp32")
    with pytest.raises(ResourceError, match=r"8000x5333 pixels need about .* `size` (\d+) fits") as error:
        style(photo, painting, spec=big, network=network)
    fits = int(str(error.value).split("`size` ")[1].split()[0])
    assert 100 < fits < 1000


class Exhausting(Compact):
    """A network for which memory runs out."""

    def padded(self, image):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")


def test_memory_that_runs_out_on_the_way(photo, painting, network):
    with pytest.raises(ResourceError, match="choose a smaller `size`"):
        style(photo, painting, spec=spec(), network=replace(network, backbone=Exhausting()))


def test_bad_names(photo, painting, network):
    with pytest.raises(UnknownNameError, match="did you mean relu1_1"):
        style(photo, painting, spec=spec(style_layers={"relu1_l": 1.0}), network=network)
    with pytest.raises(UnknownNameError, match="device"):
        Network.load(StyleSpec(device="gpu"))
    if not torch.cuda.is_available():
        with pytest.raises(SpecError, match="0 CUDA devices"):
            Network.load(StyleSpec(device="cuda"))
    with pytest.raises(InputError, match="at least one"):
        style(photo, spec=spec(), network=network)


def test_the_public_function_takes_options(files):
    result = artune.style(files / "photo.png", str(files / "painting.png"), size=48, steps=2, precision="fp32")
    assert result.record.steps == 2
    assert result.record.spec.size == 48
    with pytest.raises(SpecError, match="did you mean `strength`"):
        artune.style(files / "photo.png", files / "painting.png", stength=0.5)


def test_public_names_are_there():
    for name in artune.__all__:
        assert getattr(artune, name) is not None
    with pytest.raises(AttributeError):
        _ = artune.nothing


def test_bf16_statistics_are_fp32(photo, painting):
    network = Network.load(StyleSpec(precision="bf16"))
    result = style(photo, painting, spec=spec().model_copy(update={"precision": "bf16"}), network=network)
    exact = style(photo, painting, spec=spec())
    for name, values in exact.record.losses.items():
        assert result.record.losses[name][0] == pytest.approx(values[0], rel=0.05, abs=0.01), name
    assert result.record.losses["total"][-1] == pytest.approx(exact.record.losses["total"][-1], rel=0.1)
    assert result.record.spec.precision == "bf16"


def test_other_weights_give_another_key(photo, painting, network):
    one = style(photo, painting, spec=spec(), network=network)
    other = replace(network, digest="0" * 64)
    assert style(photo, painting, spec=spec(), network=other).record.key != one.record.key


def test_the_smallest_strengths_hardly_move_the_photograph(photo, painting, network):
    still = style(photo, painting, spec=spec(), network=network, strength=0.0).picture.pixels
    moved = [
        np.abs(style(photo, painting, spec=spec(), network=network, strength=s).picture.pixels - still).max()
        for s in (1e-6, 1e-2, 0.5)
    ]
    assert moved[0] < 0.5 / 255
    assert moved[0] < moved[1] < moved[2]


def test_a_network_that_contradicts_the_spec_is_refused(photo, painting, network):
    for options in ({"precision": "bf16"}, {"device": "cuda:3"}):
        with pytest.raises(SpecError, match="the network given has"):
            style(photo, painting, spec=spec().model_copy(update=options), network=network)
    with pytest.raises(SpecError, match="leave out either"):
        style(photo, painting, spec=spec(), network=network, weights="/nowhere")


@pytest.mark.usefixtures("untyped")
def test_pictures_of_other_values_are_refused(photo, painting, network):
    with pytest.raises(PictureError, match="float32"):
        Picture((photo.pixels * 255).astype(np.uint8))
    with pytest.raises(PictureError, match="does not fit"):
        Picture(photo.pixels, np.ones((3, 3), np.float32))
    with pytest.raises(PictureError, match="divide 8-bit values by 255"):
        style(Picture(photo.pixels * 255), painting, spec=spec(), network=network)


def test_an_error_of_the_caller_is_his(photo, painting, network):
    def fail(progress):
        raise RuntimeError("can't allocate memory, says the caller")

    with pytest.raises(RuntimeError, match="says the caller") as error:
        style(photo, painting, spec=spec(), network=network, on_step=fail)
    assert not isinstance(error.value, ResourceError)


def test_strength_0_with_a_style_weight_is_no_photograph(photo, painting, network):
    result = style(photo, painting, spec=spec(style_weight=50.0), network=network, strength=0.0)
    assert result.record.steps > 0


def test_a_network_by_name_is_an_option(photo, painting):
    result = artune.style(photo, painting, network="compact", size=32, steps=1)
    assert result.record.spec.method.network == "compact"
    with pytest.raises(UnknownNameError, match="did you mean vgg19"):
        artune.style(photo, painting, network="vgg91")


@pytest.mark.parametrize("options", [{"photoreal": 10.0}, {"photoreal_smoothing": 1.0}])
def test_photorealism_lowers_the_laplacian_energy(photo, painting, network, options):
    energy = matting(photo.tensor(), 1.0)

    def of(**method):
        result = style(photo, painting, spec=spec(**method), network=network).picture
        return energy.loss(PassOutput({"image": result.tensor()}, {}), 0).item()

    assert of(**options) < 0.7 * of()


def test_the_painting_is_shown_at_its_scale(painting):
    large = painting.resized(400, 200)
    assert painting_size(large, 128, 0.5) == (64, 32)
    assert painting_size(large, 128, 2.0) == (256, 128)
    assert painting_size(large, 128, 4.0) == (400, 200)  # never enlarged


def test_strengths_of_regions_need_weights_to_follow_from_them(photo, painting, network):
    region = RegionStyle(np.ones((32, 48), np.float32), painting, 0.9)
    given = spec(content_weight=1.0, style_weight=2.0)
    with pytest.raises(SpecError, match="`content_weight` and `style_weight` are both given"):
        style(photo, spec=given, regions=[region], network=network)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"network": object()}, "`network` is of type object; give a name"),
        ({"weights": 3}, "`weights` is of type int; give a file"),
        ({"regions": RegionStyle("mask.png", "a.png")}, "give a list of artune.RegionStyle"),
        ({"on_step": 3}, "`on_step` is of type int; give a function"),
        ({"on_tile": 3}, "`on_tile` is of type int; give a function"),
        ({"recipe": "tutoral"}, "did you mean tutorial"),
        ({"recipe": "tutorial", "spec": StyleSpec()}, "leave out either"),
        ({"content_weight": 0, "style_weight": 0}, "are both 0"),
        ({"color": "content-match", "color_space": "yiq"}, "take `color_match` histogram"),
        ({"tv": 0, "variation": "l1"}, "`variation` has no effect with `tv` 0"),
    ],
)
@pytest.mark.usefixtures("untyped")
def test_arguments_of_the_wrong_kind(photo, painting, given, message):
    with pytest.raises(ArtuneError, match=message):
        style(photo, painting, **given)


@pytest.mark.usefixtures("untyped")
def test_a_recipe_by_its_name(photo, painting):
    options = {"network": "compact", "content_layers": {"relu4_1": 1}, "size": 96, "steps": 5}
    result = style(photo, painting, recipe="crowsonkb", **options)
    assert result.record.spec.method.style_layers["relu1_1"] == 256
    with pytest.raises(OutputError, match="cannot write to a int"):
        result.save(3)


def test_a_region_that_is_everything_is_no_region(photo, painting, network):
    region = RegionStyle(np.ones((32, 48), np.float32), painting)
    part = style(photo, spec=spec(), regions=[region], network=network).picture
    assert part.digest() == style(photo, painting, spec=spec(), network=network).picture.digest()


def test_the_record_names_the_build_of_torch(photo, painting, network):
    assert style(photo, painting, spec=spec(), network=network).record.versions["torch"] == torch.__version__
