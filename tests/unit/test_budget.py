"""What fits, as a whole or in tiles, and a run that is computed in tiles."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from artune import api, machine
from artune.api import style
from artune.backbones.network import Network
from artune.errors import ArtuneWarning, ResourceError, SpecError
from artune.images.picture import Picture
from artune.spec.style import Optimise, Rung, StyleSpec, bytes_of
from artune.transfer.budget import PROCESS_BYTES
from artune.transfer.checkpoint import Checkpoint
from artune.transfer.optimise import in_tiles
from tests.runs import budget, planned

RUNGS = (Rung(size=128, steps=3), Rung(size=256, steps=3))
SHALLOW = {"content_layers": {"relu1_1": 1.0}, "style_layers": {"relu1_1": 1.0}}
"""Layers that see so little around a pixel that small tiles save memory."""


@pytest.fixture(scope="module")
def network():
    return Network.load(StyleSpec(precision="fp32"))


def spec(memory="all", **method) -> StyleSpec:
    method = {"rungs": RUNGS, "start": "content", "optimiser": "adam", **SHALLOW, **method}
    return StyleSpec(size=256, strength=0.5, precision="fp32", memory=memory, method=Optimise(**method))


@pytest.fixture
def tight(photo, painting, network):
    """A memory that holds the first size as a whole, and the second in tiles of 128 pixels alone."""

    def memory(**method) -> str:
        room = budget(planned(photo, [painting], spec(**method), network=network))
        small, large = room.need(128), room.need(256)
        needed = max(large.tiled(128), small.whole)
        assert needed < large.whole
        return f"{PROCESS_BYTES + math.ceil((needed + min(large.whole, large.tiled(256))) / 2)}B"

    return memory


def free(monkeypatch, size):
    monkeypatch.setattr(machine, "memory_free", lambda: size)


def test_a_picture_that_fits_is_computed_as_a_whole(photo, painting, network):
    for memory in ("all", "4GiB"):
        job = planned(photo, [painting], spec(memory), network=network)
        assert job.plan.memory == memory
        assert [budget(job).side(rung.size) for rung in RUNGS] == [None, None]
        assert not in_tiles(job)


def test_only_what_does_not_fit_is_computed_in_tiles(photo, painting, network, tight):
    job = planned(photo, [painting], spec(tight()), network=network)
    assert [budget(job).side(rung.size) for rung in RUNGS] == [None, 128]
    assert in_tiles(job)


def test_more_memory_makes_larger_tiles(photo, painting, network):
    large = StyleSpec(size=8192, strength=0.5, precision="fp32", memory="6GiB")
    sides = [
        budget(planned(photo, [painting], large.model_copy(update={"memory": memory}), network=network)).side(8192)
        for memory in ("6GiB", "7GiB", "8GiB")
    ]
    assert sides == sorted({*sides})


def test_a_run_in_tiles_is_the_run_as_a_whole(photo, painting, network, tight):
    whole = style(photo, painting, spec=spec(), network=network)
    told = []
    parts = style(
        photo, painting, spec=spec(tight()), network=network, on_tile=lambda p: told.append((p.done, *p.part))
    )
    np.testing.assert_allclose(parts.picture.pixels, whole.picture.pixels, atol=2e-3)
    for name, values in whole.record.losses.items():
        assert parts.record.losses[name] == pytest.approx(values, rel=1e-3, abs=1e-5)
    assert {done for done, *_ in told} == {3, 4, 5}  # tiles of the second size alone
    assert max(done for done, tile, tiles_ in told) <= 6
    assert parts.record.spec.memory == tight()


@pytest.mark.parametrize("stop", [3, 4, 6])
def test_resumed_is_uninterrupted_to_the_bit(photo, painting, network, tmp_path, tight, stop):
    given = {"spec": spec(tight()), "network": network}
    whole, path = style(photo, painting, **given), tmp_path / "a.partial"

    def halt(progress):
        if progress.done == stop:
            progress.save(path)
        return progress.done == stop

    assert style(photo, painting, **given, on_step=halt).record.end == "cancelled"
    rest = style(photo, painting, **given, resume=path)
    assert rest.picture.digest() == whole.picture.digest()
    assert rest.record.losses == whole.record.losses


@pytest.mark.parametrize("stop", [1, 3, 6, 11])
def test_cancelled_between_two_tiles_resumes_to_the_bit(photo, painting, network, tmp_path, tight, stop):
    given = {"spec": spec(tight()), "network": network}
    whole, path, told = style(photo, painting, **given), tmp_path / "a.partial", []

    def halt(progress):
        told.append(progress.part.done)
        if len(told) == stop:
            progress.save(path)
        return len(told) == stop

    part = style(photo, painting, **given, on_tile=halt)
    assert part.record.end == "cancelled"
    assert 3 <= part.record.steps < 6
    assert len(told) == stop
    assert part.picture.size == (256, 171)
    rest = style(photo, painting, **given, resume=path)
    assert rest.picture.digest() == whole.picture.digest()
    assert rest.record.losses == whole.record.losses
    assert rest.record.steps == 6


def test_one_that_diverges_keeps_the_last_good_picture(photo, painting, network, tight):
    method = {"optimiser": "sgd", "rate": 1e9, "rungs": (Rung(size=128, steps=0), Rung(size=256, steps=50))}
    with pytest.warns(ArtuneWarning, match="nothing but 0 and 255"):
        result = style(photo, painting, spec=spec(tight(), **method), network=network)
    assert result.record.end == "diverged"
    assert result.record.steps < 50
    assert np.isfinite(result.picture.pixels).all()


@pytest.mark.parametrize("optimiser", ["sgd", "lbfgs"])
def test_every_optimiser_in_tiles(photo, painting, network, tight, optimiser):
    method = {"optimiser": optimiser, "rate": 0.5 if optimiser == "sgd" else None}
    whole = style(photo, painting, spec=spec(**method), network=network)
    parts = style(photo, painting, spec=spec(tight(**method), **method), network=network)
    np.testing.assert_allclose(parts.picture.pixels, whole.picture.pixels, atol=1e-2)


def test_regions_transparency_and_colours_in_tiles(photo, painting, network, tight):
    alpha = np.ones((32, 48), np.float32)
    alpha[:, :9] = 0
    clear = Picture(photo.pixels, alpha)
    luminance = {"color": "content-luminance"}
    whole = style(clear, painting, spec=spec().model_copy(update=luminance), network=network)
    parts = style(clear, painting, spec=spec(tight()).model_copy(update=luminance), network=network)
    np.testing.assert_allclose(parts.picture.pixels, whole.picture.pixels, atol=6e-3)
    np.testing.assert_array_equal(parts.picture.alpha, whole.picture.alpha)


def test_where_the_machine_is_too_small_a_memory_is_chosen(photo, painting, network, monkeypatch, tight):
    left = machine.OVERHEAD + bytes_of(tight()) - PROCESS_BYTES
    free(monkeypatch, left)
    job = planned(photo, [painting], spec(), network=network)
    assert bytes_of(job.plan.memory) >= PROCESS_BYTES + budget(job).need(256).tiled(128)
    assert "memory" in job.plan.automatic
    assert budget(job).side(256) == 128
    free(monkeypatch, left + 1000)  # a little more is the same run
    assert planned(photo, [painting], spec(), network=network).key == job.key


def test_resumed_with_more_free_memory_is_the_run_in_tiles_that_was_begun(
    photo, painting, network, monkeypatch, tight, tmp_path
):
    little, path = machine.OVERHEAD + bytes_of(tight()) - PROCESS_BYTES, tmp_path / "a.partial"
    free(monkeypatch, little)
    whole = style(photo, painting, spec=spec(), network=network)
    assert whole.record.spec.memory != "all"

    def halt(progress):
        if progress.done == 4:
            progress.save(path)
        return progress.done == 4

    style(photo, painting, spec=spec(), network=network, on_step=halt)
    free(monkeypatch, 100 * little)
    rest = style(photo, painting, spec=spec(), network=network, resume=path)
    assert rest.picture.digest() == whole.picture.digest()
    assert rest.record.key == whole.record.key
    assert rest.record.spec == whole.record.spec


@pytest.mark.parametrize("tiled", [False, True])
def test_the_usual_optimiser_gives_way_before_the_picture_is_cut_in_tiles(
    photo, painting, network, monkeypatch, tmp_path, tiled
):
    usual = spec(optimiser="auto", start="instant")
    sizes = [planned(photo, [painting], usual, network=network)]
    sizes.append(planned(photo, [painting], spec(start="instant"), network=network))
    monkeypatch.setattr("artune.transfer.budget.painter_bytes", lambda *given: 0)
    most, least = (budget(job).need(256) for job in sizes)
    assert least.tiled(128) < least.whole < most.whole
    left = machine.OVERHEAD + round(least.tiled(128) if tiled else least.whole) + 1000
    free(monkeypatch, left)
    path = tmp_path / "a.partial"
    whole = style(photo, painting, spec=usual, network=network, on_step=lambda p: p.done == 4 and p.save(path))
    assert whole.record.spec.method.optimiser == "adam"
    assert in_tiles(planned(photo, [painting], usual, network=network)) is tiled
    free(monkeypatch, 100 * left)
    assert planned(photo, [painting], usual, network=network).plan.method.optimiser == "lbfgs"
    rest = style(photo, painting, spec=usual, network=network, resume=path)
    assert rest.picture.digest() == whole.picture.digest()


def test_resumed_with_too_little_free_memory_says_so(photo, painting, network, monkeypatch, tight, tmp_path):
    """In tiles, the run would come to other bits."""
    path = tmp_path / "a.partial"
    style(photo, painting, spec=spec(), network=network, on_step=lambda p: p.save(path))
    free(monkeypatch, machine.OVERHEAD + bytes_of(tight()) - PROCESS_BYTES)
    with pytest.raises(ResourceError, match=r"256x171 pixels need about .* as much memory as it began with, or start"):
        style(photo, painting, spec=spec(), network=network, resume=path)


def test_a_checkpoint_can_be_used_again(photo, painting, network, tight, tmp_path):
    """A run in tiles overwrites its state."""
    path, given = tmp_path / "a.partial", spec(tight())
    style(photo, painting, spec=given, network=network, on_step=lambda p: p.save(path) or p.done == 4)
    run, checkpoint = planned(photo, [painting], given, network=network), Checkpoint.load(path)
    one, two = (api.finish(run, checkpoint=checkpoint).picture.digest() for _ in range(2))
    assert one == two


def test_a_size_that_is_said_to_fit_fits(photo, painting, network, monkeypatch):
    free(monkeypatch, machine.OVERHEAD + 700_000_000)

    def prepared(size):
        given = StyleSpec(size=size, strength=0.5, precision="fp32")
        return planned(photo, [painting], given, network=network)

    with pytest.raises(ResourceError, match=r"8000x5333 pixels need about .* GiB are free; `size` (\d+) fits") as error:
        prepared(8000)
    fits = int(str(error.value).split("`size` ")[1].split()[0])
    assert 1000 < fits < 4000
    prepared(fits)
    with pytest.raises(ResourceError):
        prepared(round(1.2 * fits))


def test_no_size_fits_in_nothing(photo, painting, network, monkeypatch):
    free(monkeypatch, 1_000_000)
    with pytest.raises(ResourceError, match="no size fits"):
        planned(photo, [painting], spec(), network=network)


def test_too_little_memory_names_what_is_needed(photo, painting, network):
    small = StyleSpec(size=8192, strength=0.5, precision="fp32", memory="2GiB")
    with pytest.raises(ResourceError, match=r"8192x5461 pixels need (\d+)MiB in the smallest tiles, .* 2GiB") as error:
        style(photo, painting, spec=small, network=network)
    needed = int(str(error.value).split(" need ")[1].split("MiB")[0])
    enough = small.model_copy(update={"memory": f"{needed}MiB"})
    assert budget(planned(photo, [painting], enough, network=network)).side(8192) == 128


def test_the_memory_that_a_small_picture_needs_as_a_whole_is_enough(photo, painting, network):
    plain = Optimise(pyramid=False)
    small = StyleSpec(size=64, strength=0.5, precision="fp32", memory="1025MiB", method=plain)
    with pytest.raises(ResourceError, match=r"64x\d+ pixels need (\d+)MiB as a whole, .* 1025MiB") as error:
        style(photo, painting, spec=small, network=network)
    needed = str(error.value).split(" need ")[1].split("MiB")[0]
    enough = small.model_copy(update={"memory": f"{needed}MiB"})
    assert budget(planned(photo, [painting], enough, network=network)).side(64) is None


def test_8192_fits_into_6_gib(photo, painting, network):
    square = Picture(np.zeros((512, 512, 3), np.float32))
    for precision, dtype, least in (("fp32", torch.float32, 128), ("bf16", torch.bfloat16, 512)):
        large = StyleSpec(size=8192, strength=0.5, memory="6GiB", precision=precision)
        job = planned(square, [painting], large, network=replace(network, dtype=dtype))
        assert (budget(job).side(8192) or 0) >= least
        assert budget(job).need(8192).tiled(budget(job).side(8192)) + PROCESS_BYTES <= 6 * 2**30


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({"loss": {"remd": 1.0}}, r"loss remd is not additive over tiles; use .*w2.*, leave out `memory`, or choose"),
        ({"content_loss": "self-similarity"}, "loss self-similarity is not additive over tiles; use mse"),
        ({"balance_gradients": True}, "leave out `balance_gradients`, or leave out `memory`"),
        ({"photoreal": 1.0}, "`photoreal` needs the picture as a whole; .* `memory`"),
        ({"photoreal_smoothing": 1.0}, "`photoreal_smoothing` needs the picture as a whole"),
    ],
)
def test_what_needs_the_whole_is_refused_before_the_work(photo, painting, network, tight, monkeypatch, method, message):
    memory = tight()
    with pytest.raises(SpecError, match=message):
        planned(photo, [painting], spec(memory, **method), network=network)
    free(
        monkeypatch, machine.OVERHEAD + bytes_of(memory) - PROCESS_BYTES
    )  # not asked for tiles, it is told of the memory
    with pytest.raises(ResourceError, match=r"`size` .* fits"):
        planned(photo, [painting], spec(**method), network=network)
