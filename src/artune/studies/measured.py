"""What a study measures: each measure is a function and a line in ``MEASURES``.

A measure is a function of a ``Scene``: a result, the two pictures that it was made of, and the record of its run. What
is measured by a network needs its weights: those of a file, or the published ones.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from artune.errors import InputError, UnknownNameError
from artune.files import expanded, file_digest
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.record import Record
from artune.spec.study import RunSpec
from artune.spec.style import Optimise
from artune.studies.entries import SIDES, Measured, Side

if TYPE_CHECKING:
    from artune.judges.classes import ClassJudge
    from artune.metrics.lpips import LPIPS
    from artune.metrics.perceptual import Distances, Referee

LOSS = "loss:"
"""Prefix of measures that are losses: ``loss:total``, ``loss:style`` (the sum of all whose name begins so), or the
whole name of one, ``loss:style relu3_1``; in the units of the spec's scale."""
REFEREE: Literal["squeezenet1_1"] = "squeezenet1_1"
"""The network that measures: no loss network, so that none is measured by itself."""

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Tools:
    """Files of the networks that measure, and of the class judges.

    Attributes:
        weights: by the name of a network; default: the published weights.
        judges: by side.
    """

    weights: Mapping[str, Path] = field(default_factory=dict)
    judges: Mapping[Side, Path] = field(default_factory=dict)

    def by(self, measure: str) -> str:
        """What makes the value of a measure another one: the digest of the weights that measure."""
        if measure not in MEASURES:
            return ""
        network, version = MEASURES[measure].network, MEASURES[measure].version
        if network in SIDES:
            if network not in self.judges:
                raise InputError(f"the measure {measure} needs the judge of {network}; give it as `{network}_judge`")
            return _digest(str(expanded(self.judges[network])))
        by = _digest(str(self.weights[network])) if network in self.weights else network
        return by if version == 1 else f"{by} version {version}"

    def check(self, measures: Iterable[str]) -> None:
        """Raise unless the networks of some measures are there; they are loaded.

        Raises:
            InputError: a judge is missing.
            WeightsError: weights are missing or do not fit.
        """
        for name in measures:
            self.by(name)
            network = MEASURES[name].network if name in MEASURES else ""
            if name == "lpips_content":
                _lpips(self.weights.get(REFEREE))
            elif network == REFEREE:
                _referee(self.weights.get(REFEREE))
            elif network in SIDES:
                _judge(expanded(self.judges[network]))

    def check_classes(self, side: Side, labels: Iterable[str]) -> None:
        """Raise unless the judge of a side knows all of some classes.

        Raises:
            UnknownNameError: naming the first that it does not know.
        """
        known = _judge(expanded(self.judges[side])).classes
        for label in labels:
            if label not in known:
                raise UnknownNameError("class", label, known, where=f"the {side} judge")


@lru_cache(maxsize=32)
def _digest(file: str) -> str:
    try:
        return file_digest(Path(file))
    except OSError as error:
        raise InputError(f"cannot read the weights {file}: {error.strerror}") from error


@dataclass(frozen=True)
class Scene:
    """A result, with what it was made of.

    Attributes:
        result: the picture.
        run: what was asked for.
        record: what happened.
        tools: what measures.
        peak: largest memory of the process during the run, bytes; ``None`` where it is not known.
    """

    result: Picture
    run: RunSpec
    record: Record
    tools: Tools
    peak: int | None = None

    @cached_property
    def content(self) -> Picture:
        """The photograph, at the size of the result."""
        picture = read_picture(self.run.content.file)
        return picture.resized(*self.result.size) if picture.size != self.result.size else picture

    @cached_property
    def style(self) -> Picture:
        """The painting; its longer side is that of the result, unless it is smaller."""
        return read_picture(self.run.style.file).reduced(max(self.result.size))

    @cached_property
    def distances(self) -> "Distances":
        """The referee's distances."""
        return _referee(self.tools.weights.get(REFEREE)).measure(self.result, self.content, self.style)

    def verdict(self, side: Side) -> Measured:
        """Whether a class judge recognises the content, or the style."""
        label = (self.run.content if side == "content" else self.run.style).label
        if not label:
            raise InputError(f"the {side} has no class; give `classes`, a folder for each class")
        return verdict_on(self.result, label, self.tools.judges[side])


def verdict_on(picture: Picture, label: str, judge: Path) -> Measured:
    """1 if a judge recognises the class of a picture, else 0; with the probabilities of all classes."""
    import torch

    found = _judge(expanded(judge))
    with torch.inference_mode():
        probabilities = found.probabilities(picture.tensor())[0].float().tolist()
    detail = {"classes": [*found.classes], "probabilities": probabilities}
    return Measured(_recognised(detail, label), found.digest, detail)


def _recognised(detail: Mapping[str, Any], label: str) -> float:
    """1 if the most probable class of a judge's answer is a picture's own, else 0."""
    return float(detail["classes"][detail["probabilities"].index(max(detail["probabilities"]))] == label)


@lru_cache(maxsize=1)
def _referee(weights: Path | None) -> "Referee":
    from artune.metrics.perceptual import Referee

    return Referee.load(weights)


@lru_cache(maxsize=1)
def _lpips(weights: Path | None) -> "LPIPS":
    from artune.metrics.lpips import LPIPS

    return LPIPS.load(REFEREE, weights)


@lru_cache(maxsize=2)
def _judge(file: Path) -> "ClassJudge":
    from artune.judges.classes import ClassJudge

    return ClassJudge.load(file)


@dataclass(frozen=True)
class Measure:
    """A measure.

    Attributes:
        title: how people write it.
        about: what it is, and its range.
        function: the value of a scene.
        better: the direction in which it is better; ``None`` where there is none.
        network: the network that measures, or the side of a judge; empty for none.
        digits: that are shown after the point.
        limits: the smallest and the largest value that there can be.
        version: raised by hand when its values change, so that they are measured again.
    """

    title: str
    about: str
    function: Callable[[Scene], float | Measured]
    better: Better | None = None
    network: str = ""
    digits: int = 3
    limits: tuple[float, float] = (0, math.inf)
    version: int = 1


def _metric(module: str, function: str, *pictures: Literal["result", "content", "style"]) -> Callable[[Scene], float]:
    """A function of ``artune.metrics``, which is imported when it is called."""

    def measure(scene: Scene) -> float:
        from importlib import import_module

        of = getattr(import_module(f"artune.metrics.{module}"), function)
        return float(of(*(getattr(scene, picture) for picture in pictures)))

    return measure


def _multiply_adds(scene: Scene) -> float:
    """Multiply-adds of the loss network for one step at the last size, in 1e9."""
    from artune.backbones.registry import structure
    from artune.metrics.work import multiply_adds

    method = scene.record.spec.method
    if not isinstance(method, Optimise):
        raise InputError("multiply-adds are those of a loss network; this method has none")
    taps = {**(method.content_layers or {}), **(method.style_layers or {})}
    width, height = scene.result.size
    return multiply_adds(structure(method.network), [*taps], height, width) / 1e9


def _peak(scene: Scene) -> float:
    if scene.peak is None:
        raise InputError("the memory of a process is only known on Linux, when its picture is made")
    return scene.peak / 2**20


MEASURES: Mapping[str, Measure] = {
    "strokes": Measure(
        "style distance (strokes)",
        "style distance in the deeper layers of SqueezeNet: 1 the photograph, 0 the style",
        lambda scene: scene.distances.strokes,
        "lower",
        REFEREE,
    ),
    "fine": Measure(
        "style distance (fine texture)",
        "style distance in its first layers: 1 the photograph, 0 the style",
        lambda scene: scene.distances.fine,
        "lower",
        REFEREE,
    ),
    "content": Measure(
        "content distance",
        "content distance in its last layers: 0 the photograph, 1 unrelated",
        lambda scene: scene.distances.content,
        "lower",
        REFEREE,
    ),
    "ssim_content": Measure(
        "SSIM to the photograph",
        "structural similarity to the photograph: 1 the same",
        _metric("similarity", "ssim", "result", "content"),
        "higher",
        limits=(-1, 1),
    ),
    "ssim_style": Measure(
        "SSIM to the painting",
        "structural similarity to the painting, resized: 1 the same",
        _metric("similarity", "ssim", "result", "style"),
        "higher",
        limits=(-1, 1),
    ),
    "lpips_content": Measure(
        "LPIPS to the photograph",
        "LPIPS (Zhang et al. 2018) to the photograph, on SqueezeNet: 0 the same",
        lambda scene: _lpips(scene.tools.weights.get(REFEREE)).measure(scene.result, scene.content),
        "lower",
        REFEREE,
    ),
    "outlines": Measure(
        "outlines kept",
        "outlines of the photograph that are kept: 1 all, 0 as by chance",
        _metric("outlines", "outlines_kept", "result", "content"),
        "higher",
        limits=(-math.inf, 1),
    ),
    "palette": Measure(
        "palette distance",
        "distance of the colours to the painting's: 1 the photograph, 0 the style",
        _metric("colours", "relative_palette_distance", "result", "content", "style"),
        "lower",
    ),
    "texture": Measure(
        "texture distance",
        "distance of the texture to the painting's: 1 the photograph, 0 the style",
        _metric("texture", "relative_texture_distance", "result", "content", "style"),
        "lower",
    ),
    "sharpness": Measure(
        "sharpness", "standard deviation of the Laplacian of the luminance", _metric("sharpness", "sharpness", "result")
    ),
    "colourfulness": Measure(
        "colourfulness", "colourfulness, by Hasler and Süsstrunk", _metric("colours", "colourfulness", "result")
    ),
    "content_class": Measure(
        "content recognised",
        "share of results whose content a judge recognises",
        lambda scene: scene.verdict("content"),
        "higher",
        "content",
        limits=(0, 1),
    ),
    "style_class": Measure(
        "style recognised",
        "share of results whose style a judge recognises",
        lambda scene: scene.verdict("style"),
        "higher",
        "style",
        limits=(0, 1),
    ),
    "seconds": Measure("seconds", "time of the run, s", lambda scene: scene.record.timings["total"], "lower", digits=1),
    "memory": Measure(
        "memory, MiB",
        "largest memory of the process, MiB; it keeps networks of earlier runs",
        _peak,
        "lower",
        digits=0,
    ),
    "steps": Measure("steps", "steps of descent", lambda scene: float(scene.record.steps), digits=0),
    "multiply_adds": Measure(
        "multiply-adds, 1e9",
        "multiply-adds of the loss network for a look at the result, 1e9",
        _multiply_adds,
        "lower",
        digits=2,
    ),
}


def is_measure(name: str) -> bool:
    """Whether there is such a measure."""
    return name in MEASURES or (name.startswith(LOSS) and name != LOSS)


def better_of(name: str) -> Better | None:
    """The direction in which a measure is better."""
    return "lower" if name.startswith(LOSS) else MEASURES[name].better


def limits_of(name: str) -> tuple[float, float]:
    """The smallest and the largest value that a measure can have; a loss may be anything."""
    return MEASURES[name].limits if name in MEASURES else (-math.inf, math.inf)


def shown(name: str, value: float) -> str:
    """A value of a measure in text; a loss to four digits, as its unit may be any."""
    return f"{value:.{MEASURES[name].digits}f}" if name in MEASURES else f"{value:.4g}"


def title_of(name: str) -> str:
    """How people write a measure."""
    return MEASURES[name].title if name in MEASURES else f"loss {name.removeprefix(LOSS)}"


def measured(names: Sequence[str], scene: Scene) -> dict[str, Measured]:
    """The values of some measures; one that cannot be had is NaN, and says why."""
    found = {}
    for name in names:
        try:
            value = _loss(scene.record, name) if name.startswith(LOSS) else MEASURES[name].function(scene)
            found[name] = value if isinstance(value, Measured) else Measured(value, scene.tools.by(name))
        except Exception as error:  # the picture is kept, whatever happens to a measure
            found[name] = Measured(math.nan, scene.tools.by(name), {"why": f"{title_of(name)}: {error}"})
    return found


def labelled(name: str, value: Measured, run: RunSpec) -> Measured:
    """A judge's answer by the class that the picture has now: a folder may have got another name."""
    if "probabilities" not in value.detail:
        return value
    label = run.content.label if name == "content_class" else run.style.label
    return Measured(_recognised(value.detail, label), value.by, value.detail)


def _loss(record: Record, name: str) -> float:
    """The last value of a loss, or of the sum of all whose name begins so."""
    wanted = name.removeprefix(LOSS)
    own = [
        values[-1]
        for key, values in record.losses.items()
        if values and (key == wanted or key.startswith(f"{wanted} "))
    ]
    if not own:
        raise InputError(f"the run has no loss {wanted}; it has {', '.join(record.losses) or 'none'}")
    return sum(own)
