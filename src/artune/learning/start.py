"""Everything that a training of a style needs, read and checked."""

from collections.abc import Sequence
from pathlib import Path

import torch

from artune.assets import OnBytes
from artune.backbones.base import Image
from artune.backbones.registry import find_network, load_network
from artune.learning.johnson import JohnsonLearner
from artune.learning.photographs import TrainingPhotographs
from artune.learning.processes import ALONE, Processes
from artune.learning.training import NOT_STATED, StyleSources, StyleTraining
from artune.machine import choose_device, choose_precision
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
    place = choose_device(device)
    dtype = choose_precision(spec.precision, place)
    record = find_network(spec.network)
    layers = [*(spec.content_layers or ()), *(spec.style_layers or ())]
    backbone, digest = load_network(
        spec.network, weights=weights, smooth=None, device=place, dtype=dtype, on_bytes=on_bytes, taps=layers
    )
    known = record.weights is not None and digest.startswith(record.weights.sha256)
    terms = record.weights.licence if known and record.weights is not None else NOT_STATED
    licences = {"paintings": licence or NOT_STATED, "photographs": NOT_STATED, f"loss network {spec.network}": terms}
    names = tuple(path.name for path in styles)
    sources = StyleSources(inputs, names, photographs, digest, licences)
    learner = JohnsonLearner(spec, backbone, _images(sources, spec, place, backbone.smallest), place, dtype)
    return StyleTraining(learner, sources, processes)


def _images(sources: StyleSources, spec: StyleTrainSpec, device: torch.device, smallest: int) -> list[Image]:
    """The paintings at the size of the spec, ``[1, 3, h, w]`` each."""
    return [at_least(each.tensor().to(device), smallest) for each in sources.paintings(spec.style_size)]
