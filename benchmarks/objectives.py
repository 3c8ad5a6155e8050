"""The objective of a picture at one size, as a run builds it."""

from artune import api
from artune.backbones.base import Image
from artune.backbones.network import Network
from artune.engine.descend import run_to_end
from artune.images.picture import Picture
from artune.spec.style import Rung, StyleSpec
from artune.transfer.methods import plan_run
from artune.transfer.objective import MaskedObjective, ObjectiveBuilder, photograph_at


def objective_at(
    size: int, content: Picture, painting: Picture, spec: StyleSpec, network: Network, side: int | None = None
) -> tuple[MaskedObjective, Image]:
    """The objective of a spec whose strength is given, and the photograph at this size.

    Args:
        size: longer side, pixels.
        content: the photograph.
        painting: the painting.
        spec: what a run would be asked for.
        network: the loss network.
        side: side of the tiles, pixels; default: computed as a whole.
    """
    run = plan_run(api.read(content, [painting], spec, network=network))
    photograph = photograph_at(run.shown, size, network.device)
    builder = ObjectiveBuilder(run.plan, run.shown, network, Rung(size=size, steps=1), side)
    return run_to_end(builder.objective(photograph, run_to_end(builder.paintings()))), photograph
