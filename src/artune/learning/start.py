"""Everything that a training of a style needs, read and checked."""

from collections.abc import Sequence
from pathlib import Path

from artune.assets import PAINTER, OnBytes
from artune.backbones.registry import find_network, load_network
from artune.errors import SpecError
from artune.learning.johnson import JohnsonLearner
from artune.learning.painter import PainterLearner
from artune.learning.photographs import TrainingPhotographs
from artune.learning.processes import ALONE, Processes
from artune.learning.training import NOT_STATED, Learner, StyleSources, StyleTraining
from artune.machine import choose_device, choose_precision
from artune.networks.loaded import PainterNetwork
from artune.spec.style import StyleSpec
from artune.spec.train_style import StyleTrainSpec
from artune.transfer.inputs import Inputs, Source
from artune.transfer.objective import at_least


def start_training(
    spec: StyleTrainSpec,
    styles: Sequence[Path],
    photos: Path,
    preview: Source,
    *,
    weights: Path | None = None,
    device: str = "auto",
    licence: str | None = None,
    processes: Processes = ALONE,
    on_bytes: OnBytes | None = None,
) -> StyleTraining:
    """Read the pictures, load what is needed, and return the training, which has not begun.

    Args:
        spec: what is trained, and how.
        styles: paintings.
        photos: folder of photographs, which is searched with its sub-folders.
        preview: photograph of the previews.
        weights: file with the weights of the loss network; default: bundled, cached or downloaded.
        device: where it is trained.
        licence: terms of the paintings.
        processes: those that train together.
        on_bytes: called during a download.

    Raises:
        InputError: a picture, a name or a setting cannot be used.
        WeightsError: weights are missing or do not fit.
    """
    inputs = Inputs.read(preview, styles)
    photographs = TrainingPhotographs(photos, spec.size, augment=spec.augment, seed=spec.seed)
    names = tuple(path.name for path in styles)
    licences = {"paintings": licence or NOT_STATED, "photographs": NOT_STATED}
    learner: Learner
    if spec.base == "painter":
        if weights is not None:
            raise SpecError("`weights` are those of a loss network, and the painter has its own; leave them out")
        painter = PainterNetwork.load(StyleSpec(device=device), on_bytes=on_bytes)
        licences["painter"] = PAINTER.licence
        sources = StyleSources(inputs, names, photographs, painter.digest, licences)
        learner = PainterLearner(spec, painter, inputs)
    else:
        place = choose_device(device)
        dtype = choose_precision(spec.precision, place)
        layers = [*(spec.content_layers or ()), *(spec.style_layers or ())]
        backbone, digest = load_network(
            spec.network, weights=weights, device=place, dtype=dtype, on_bytes=on_bytes, taps=layers
        )
        licences[f"loss network {spec.network}"] = _licence(spec.network, digest)
        sources = StyleSources(inputs, names, photographs, digest, licences)
        images = [at_least(each.tensor().to(place), backbone.smallest) for each in sources.paintings(spec.style_size)]
        learner = JohnsonLearner(spec, backbone, images, place, dtype)
    return StyleTraining(learner, sources, processes)


def _licence(network: str, digest: str) -> str:
    """The terms of a network's published weights, if they are the ones that were loaded."""
    asset = find_network(network).weights
    return asset.licence if asset is not None and digest.startswith(asset.sha256) else NOT_STATED
