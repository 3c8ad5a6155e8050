"""The losses of a batch: those of a run for each photograph, and the authors' formulas by hand."""

import pytest
import torch

from artune import api
from artune.engine.descend import run_to_end
from artune.errors import SpecError, UnknownNameError
from artune.judges.embedding import bundled_encoder
from artune.learning.objective import BatchObjective, resolved
from artune.spec.style import Optimise, Rung, StyleSpec
from artune.spec.train_style import StyleTrainSpec
from artune.transfer.methods import plan_run
from artune.transfer.objective import ObjectiveBuilder
from tests.tiny import small_vgg

GRAM = {"loss": "gram", "scale": "tutorial", "content_weight": 1.0, "style_weight": 5.0}
LAYERS = {"content_layers": {"relu2_2": 1.0}, "style_layers": {"relu1_2": 1.0, "relu2_2": 1.0}}


@pytest.fixture(scope="module")
def compact():
    return bundled_encoder()


def test_calibrated_losses_are_those_of_a_run(compact, photo, painting):
    """Of each photograph by itself, at the same strength: the same total and the same gradient."""
    photographs = [photo.resized(64, 64), photo.resized(64, 64)]
    photographs[1] = type(photo)(photographs[1].pixels[::-1].copy())
    style = painting.resized(64, 64)
    spec = resolved(StyleTrainSpec(strength=0.6, size=64), compact)
    objective = BatchObjective(compact, [style.tensor()], spec)
    images = torch.cat([0.5 * each.tensor() + 0.2 for each in photographs]).requires_grad_()
    losses = objective.losses(images, torch.cat([each.tensor() for each in photographs]), 0)
    total = torch.stack([*losses.values()]).sum()
    total.backward()
    expected, gradients = [], []
    for place, photograph in enumerate(photographs):
        method = Optimise(rungs=[Rung(size=64, steps=1)], start="content")
        run = plan_run(api.read(photograph, [style], StyleSpec(size=64, strength=0.6, precision="fp32", method=method)))
        builder = ObjectiveBuilder(run.plan, run.shown, run.network, run.plan.method.rungs[0])
        theirs = run_to_end(builder.objective(photograph.tensor(), run_to_end(builder.paintings())))
        value = theirs(images[place : place + 1].detach(), 0)
        expected.append(value.total.item())
        gradients.append(value.gradient / 2)  # the losses are means over the batch
    assert total.item() == pytest.approx(sum(expected) / 2, rel=1e-4)
    torch.testing.assert_close(images.grad, torch.cat(gradients), rtol=1e-3, atol=1e-7)


def test_a_second_batch_is_measured_as_the_first(compact, painting, generator):
    """The pass that is kept for all steps keeps nothing of a batch."""
    spec = resolved(StyleTrainSpec(size=32), compact)
    objective = BatchObjective(compact, [painting.tensor()], spec)
    batches = [torch.rand((2, 3, 32, 32), generator=generator) for _ in range(2)]
    images = [batch.flip(3) for batch in batches]
    for _ in range(2):
        found = [objective.losses(*pair, 0) for pair in zip(images, batches, strict=True)]
    fresh = BatchObjective(compact, [painting.tensor()], spec).losses(images[1], batches[1], 0)
    assert {name: value.item() for name, value in found[1].items()} == pytest.approx(
        {name: value.item() for name, value in fresh.items()}, rel=1e-5
    )


def test_the_authors_losses_by_hand(painting, generator):
    """Content: the mean squared difference. Style: that of Gram matrices divided by channels and positions."""
    network = small_vgg()
    spec = resolved(StyleTrainSpec(**GRAM, **LAYERS, tv=0.0, size=32), network)
    style = painting.resized(32, 32).tensor()
    objective = BatchObjective(network, [style], spec)
    photographs, images = (torch.rand((3, 3, 32, 32), generator=generator) for _ in range(2))
    found = {name: value.item() for name, value in objective.losses(images, photographs, 0).items()}

    def gram(features):
        rows = features.flatten(2)
        return rows @ rows.transpose(1, 2) / rows[0].numel()

    seen, kept, wanted = (network(each, {"relu1_2", "relu2_2"}) for each in (images, photographs, style))
    expected = {"content relu2_2": (seen["relu2_2"] - kept["relu2_2"]).square().mean().item()}
    for tap in ("relu1_2", "relu2_2"):
        expected[f"style {tap}"] = 5 * (gram(seen[tap]) - gram(wanted[tap])).square().mean().item()
    assert found == pytest.approx(expected, rel=1e-4)


def test_several_paintings_are_mixed(painting, photo):
    network = small_vgg()
    spec = resolved(StyleTrainSpec(**GRAM, **LAYERS, size=32), network)
    one, other = painting.tensor(), photo.tensor()
    x = torch.full((1, 3, 32, 32), 0.5)
    alone, twice, mixed = (
        BatchObjective(network, some, spec).losses(x, x, 0) for some in ([one], [one, one], [one, other])
    )
    assert twice["style relu2_2"].item() == pytest.approx(alone["style relu2_2"].item(), rel=1e-4)
    assert mixed["style relu2_2"].item() != pytest.approx(alone["style relu2_2"].item(), rel=1e-2)


def test_what_is_left_open_is_chosen_by_the_network(compact):
    spec = resolved(StyleTrainSpec(strength=0.25), compact)
    assert {*spec.content_layers} == {"relu4_1"}
    assert len(spec.style_layers) == 5
    assert (spec.content_weight, spec.style_weight) == (0.75, 1.0)
    assert spec.tv is not None


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"loss": {"grm": 1}}, UnknownNameError, "did you mean gram"),
        ({"content_loss": "mee"}, UnknownNameError, "did you mean mse"),
        ({"style_layers": {"relu9_1": 1}}, UnknownNameError, "relu9_1"),
        ({"content_weight": 0, "style_weight": 0, "tv": 0}, SpecError, "are all 0"),
    ],
)
def test_what_the_network_does_not_have_is_refused(compact, fields, error, message):
    with pytest.raises(error, match=message):
        resolved(StyleTrainSpec(**fields), compact)


def test_squares_must_be_large_enough_for_the_network():
    network = small_vgg()
    network.smallest = 64
    with pytest.raises(SpecError, match="needs pictures of at least 64 pixels"):
        resolved(StyleTrainSpec(**GRAM, **LAYERS, size=32), network)
