"""Reconstruction: the picture, or the texture, that a layer of a network still holds, made from noise.

The picture is found by descent: its features shall be those of the original (Mahendran and Vedaldi 2015, "Understanding
deep image representations by inverting them"), or their statistics (Gatys, Ecker and Bethge 2015, "Texture synthesis
using convolutional neural networks"). One rule of regularisation holds for all layers, so that they can be compared:

    error + VARIATION[kind] * variation + RANGE * range

with the relative error of the features, ``variation`` in units of grey uniform noise, and ``range`` in units of a
picture that is black and white alone. So weights need no unit: where the weight is 1, a picture as rough as noise costs
as much as an error of 100 %. Departures from Mahendran and Vedaldi: the weights do not depend on the layer, colours
count more than brightness, and pixels are kept in [0, 1].
"""

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from artune import __version__
from artune.backbones.base import IMAGE_TAP, Backbone, Features, Image
from artune.engine.descend import End, Evaluation, descend
from artune.engine.modes import own_mode
from artune.engine.optimisers import LBFGS
from artune.errors import InputError, OutputError, PictureError, SpecError
from artune.files import check_writable, expanded, temporary_files
from artune.images.picture import Floats, Picture, from_tensor
from artune.images.read import read_picture
from artune.images.write import write_picture
from artune.losses.moments import Gaussian, energy, gaussian, moments, wasserstein
from artune.losses.variation import total_variation
from artune.metrics.similarity import psnr, ssim
from artune.networks.wct import Autoencoders, stride_of
from artune.spec.style import LEVELS
from artune.threads import FreeCores, on_free_cores

Kind = Literal["content", "style"]
Method = Literal["regularised", "plain", "inverse"]
KINDS: Mapping[str, tuple[Kind, ...]] = {"content": ("content",), "style": ("style",), "both": get_args(Kind)}
"""What is made again, by the values of ``of``."""

VARIATION: Mapping[str, float] = {"content": 1.0, "style": 0.1}
"""Weight of the variation. It is smaller for textures, whose statistics say how rough they are."""
CHROMA = 4.0
"""Weight of colour in the variation, relative to brightness. Deep layers hardly see colours of single pixels: with 1,
pictures of theirs have rainbows along the edges."""
RANGE, ALPHA = 0.02, 6
"""Weight and exponent of the range."""
NOISE = 0.1
"""Deviation of the noise of the start, around grey."""
RULE = 1
"""Version of the rule: it is raised by hand when the same request gives other pictures."""
SMALLEST = 11
"""Shortest side of a picture, pixels: the window of SSIM."""
POSITIONS = 2
"""Positions that a layer needs along each side."""
PICTURES, PAGE = "pictures", "index.html"
FILES = ("errors.csv", "psnr.svg", "psnr.png", "error.svg", "error.png", PAGE)
"""Names of the files beside the pictures; a chart is missing where nothing is measured."""
NOTE = "reconstruction"
"""Where the note of a picture says what it is."""


class Item(NamedTuple):
    """One picture that is made again.

    Attributes:
        layer: the network's own name of the tap.
        kind: ``content``: the picture; ``style``: its texture.
        method: ``regularised``: by the rule; ``plain``: without regularisation; ``inverse``: by a decoder.
        seed: of the noise; 0 for an inverse.
    """

    layer: str
    kind: Kind
    method: Method
    seed: int

    @property
    def file(self) -> str:
        """Name of its file."""
        words = [self.layer, *([self.kind] * (self.kind == "style")), *([self.method] * (self.method != "regularised"))]
        return "-".join([*words, *([f"{self.seed}"] * (self.method != "inverse"))]) + ".png"


class Errors(NamedTuple):
    """How far a reconstruction is from the original.

    Attributes:
        error: relative error of the features, ``|phi - phi'|^2 / |phi'|^2``; of a style, the distance of the statistics
            over the energy of the features.
        psnr: peak signal to noise ratio, dB; see ``psnr``.
        ssim: structural similarity, at most 1.
    """

    error: float
    psnr: float
    ssim: float


@dataclass(frozen=True)
class Inverse:
    """Decoders that have learned to make pictures from features, each with the encoder that gives its features.

    Attributes:
        network: encoders and decoders.
        digest: sha256 of their file.
    """

    network: Autoencoders
    digest: str


@dataclass(frozen=True)
class Reconstruction:
    """What is to be made again, and from what.

    Attributes:
        picture: the original at its size.
        backbone: the network.
        layers: taps from shallow to deep.
        kinds: what is made again.
        steps: of each descent.
        seeds: number of pictures for each layer.
        plain: whether each layer is also done without regularisation, from one seed.
        inverse: learned inverses to compare with.
        device: where the network is.
        about: what tells these pictures from those of another request.
    """

    picture: Picture
    backbone: Backbone
    layers: tuple[str, ...]
    kinds: tuple[Kind, ...]
    steps: int
    seeds: int
    plain: bool
    inverse: Inverse | None
    device: torch.device
    about: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def prepare(
        cls,
        picture: Picture,
        backbone: Backbone,
        digest: str,
        layers: Sequence[str],
        *,
        of: str = "content",
        size: int = 224,
        steps: int = 120,
        seeds: int = 3,
        plain: bool = False,
        inverse: Inverse | None = None,
        device: torch.device | None = None,
    ) -> "Reconstruction":
        """Check a request.

        Args:
            picture: the original, of any size.
            backbone: the network, on ``device``, in fp32.
            digest: sha256 of its weights.
            layers: names of taps, in any order.
            of: a key of ``KINDS``.
            size: longer side, pixels; a smaller picture is not enlarged.
            steps: of each descent.
            seeds: number of pictures for each layer.
            plain: also without regularisation.
            inverse: learned inverses to compare with; each serves the layers of its stride.
            device: where the network is; default: the CPU.

        Raises:
            UnknownNameError: the network has no such layer, or its weights end before it.
            PictureError: the picture is too small.
            SpecError: the size is too small for the network or a layer, a value is out of range, or there is no inverse
                for any of the layers.
        """
        if of not in KINDS:
            raise SpecError(f"`of` is {of!r}; choose content, style or both")
        if min(steps, seeds, size) < 1:
            raise SpecError(f"`size` {size}, `steps` {steps} and `seeds` {seeds} must be at least 1")
        backbone.check(layers)
        taps = sorted({backbone.tap(name) for name in layers}, key=[*backbone.taps, "image"].index)
        if not taps:
            raise SpecError("no `layers` are given; give one at least, such as relu3_1")
        fitted = Picture(picture.filled()).reduced(size)
        _check_size(picture, fitted, size, backbone, taps)
        if inverse is not None and "content" not in KINDS[of]:
            raise SpecError("`inverse` makes pictures again, not textures; leave it out, or give `of` content or both")
        strides = {_stride(backbone, tap): tap for tap in taps}
        if inverse is not None and not strides.keys() & _levels().keys():
            raise SpecError(
                f"`inverse` serves layers of the strides {', '.join(map(str, _levels()))}; none of the layers has one"
            )
        about = {
            "picture": fitted.digest(),
            "network": backbone.name,
            "weights": digest,
            "size": [*fitted.size],
            "steps": steps,
            "rule": RULE,
        }
        where = torch.device("cpu") if device is None else device
        kinds = KINDS[of]
        return cls(fitted, backbone, tuple(taps), kinds, steps, seeds, plain, inverse, where, about)

    def items(self) -> list[Item]:
        """All pictures that are made, from shallow layers to deep ones."""
        found: list[Item] = []
        for kind in self.kinds:
            for layer in self.layers:
                found += [Item(layer, kind, "regularised", seed) for seed in range(self.seeds)]
                found += [Item(layer, kind, "plain", 0)] * self.plain
                if self.inverse is not None and kind == "content" and _stride(self.backbone, layer) in _levels():
                    found.append(Item(layer, kind, "inverse", 0))
        return found

    def note(self, item: Item) -> dict[str, Any]:
        """What the file of a picture says of it; the same note means the same picture."""
        of = {name: value for name, value in self.about.items() if name != "steps" or item.method != "inverse"}
        if item.method == "inverse" and self.inverse is not None:
            of["inverse"] = self.inverse.digest
        if item.kind == "style":
            of["layers"] = [*self.taps_of(item)]
        return {**of, **item._asdict()}

    def taps_of(self, item: Item) -> tuple[str, ...]:
        """Taps that a picture is made from: a texture has the statistics of its layer and of those before it."""
        return (item.layer,) if item.kind == "content" else self.layers[: 1 + self.layers.index(item.layer)]

    def original(self) -> Image:
        """The original, ``[1, 3, h, w]``."""
        return self.picture.tensor().to(self.device)

    def make(self, item: Item) -> Generator[int, None, Picture]:
        """Make a picture; yields the number of steps done after each.

        Raises:
            InputError: the descent diverged.
        """
        if item.method == "inverse":
            return self._decoded(item.layer)
        original, ruled = self.original(), item.method == "regularised"
        objective = LayerObjective(self.backbone, original, self.taps_of(item), item.kind, regularised=ruled)
        x = start(original, item.seed)
        for step in descend(objective, x, LBFGS(), steps=self.steps):
            if step.end is End.DIVERGED:
                raise InputError(f"the descent of {item.layer} diverged after {step.index} steps; leave this layer out")
            x = step.image
            yield step.index
        return from_tensor(x)

    def _decoded(self, layer: str) -> Picture:
        """The original, encoded and decoded at the level of a layer's stride."""
        assert self.inverse is not None
        level, image = _levels()[_stride(self.backbone, layer)], self.original()
        height, width = image.shape[-2:]
        whole = stride_of(LEVELS[0])
        down, across = (-side % whole + whole * (side <= whole) for side in (height, width))  # two strides at least
        with torch.no_grad():
            padded = F.pad(image, (0, across, 0, down), mode="replicate")
            decoded = self.inverse.network.decode(self.inverse.network.encode(padded, level), level)
        return from_tensor(decoded[..., :height, :width])

    def errors(self, item: Item, made: Picture) -> Errors:
        """How far a picture is from the original: in features at its layer, and in pixels."""
        with torch.no_grad():
            ours, theirs = (
                self.backbone(picture.tensor().to(self.device), [item.layer]) for picture in (made, self.picture)
            )
        distance = LayerDistance(theirs, (item.layer,), item.kind)
        return Errors(
            float(distance(ours)),
            psnr(made, self.picture),
            ssim(made, self.picture),
        )


# ------------------------------------------------------------------------------------- the descent


class LayerDistance:
    """Relative distance of features from those of the original, as a mean over taps.

    Args:
        features: of the original.
        taps: that count.
        kind: ``content``: of the features themselves; ``style``: the Wasserstein distance of their Gaussians.
    """

    def __init__(self, features: Features, taps: Collection[str], kind: Kind) -> None:
        self.taps, self.kind = tuple(taps), kind
        self.content, self.style, self.energy = dict[str, Tensor](), dict[str, Gaussian](), dict[str, Tensor]()
        for tap in self.taps:
            feature = features[tap].detach().float()
            if kind == "content":
                self.content[tap], self.energy[tap] = feature.clone(), feature.square().sum()
            else:
                found = moments(feature)
                self.style[tap], self.energy[tap] = gaussian(found), energy(found).sum()

    def __call__(self, features: Features) -> Tensor:
        """The distance, a number; 0 where the original's features are zero and ours are, too."""
        return torch.stack([self._at(tap, features[tap].float()) for tap in self.taps]).mean()

    def _at(self, tap: str, feature: Float[Tensor, "b c h w"]) -> Tensor:
        if self.kind == "content":
            apart = (feature - self.content[tap]).square().sum()
        else:
            apart = wasserstein(moments(feature), self.style[tap]).sum()
        return apart / self.energy[tap].clamp(min=1e-12)


class LayerObjective:
    """What the descent minimises; see the module.

    Args:
        backbone: the network.
        original: the original, ``[1, 3, h, w]``.
        taps: that count.
        kind: see ``LayerDistance``.
        regularised: whether the rule holds; otherwise the error counts alone.
    """

    def __init__(
        self, backbone: Backbone, original: Image, taps: Collection[str], kind: Kind, regularised: bool = True
    ) -> None:
        self.taps, self.weight = tuple(taps), VARIATION[kind] if regularised else 0.0
        self.pass_ = backbone.make_pass(self.taps, [])
        with torch.no_grad():
            self.distance = LayerDistance(self.pass_(original).features, self.taps, kind)

    def __call__(self, x: Tensor, step: int) -> Evaluation:
        """Value, parts and gradient at a picture ``[1, 3, h, w]``."""
        with own_mode(), torch.enable_grad():
            x = x.detach().requires_grad_()
            losses = {"error": self.distance(self.pass_(x).features)[None]}
            total = losses["error"]
            if self.weight:
                losses |= {"variation": self.weight * roughness(x), "range": RANGE * contrast(x)}
                total = total + losses["variation"] + losses["range"]
            (gradient,) = torch.autograd.grad(total.sum(), x)
        return Evaluation(total.detach(), {name: loss.detach() for name, loss in losses.items()}, gradient)


def roughness(image: Image) -> Float[Tensor, "b"]:
    """Total variation with beta = 2, in units of that of grey uniform noise, whose neighbours differ by 1/6 (mean
    square)."""
    total, pairs = total_variation(image, chroma=CHROMA)
    return total / (3 * pairs.clamp(min=1)) * 6


def contrast(image: Image) -> Float[Tensor, "b"]:
    """Alpha norm of a picture around grey, in units of that of one that is black and white alone."""
    return (2 * image - 1).pow(ALPHA).mean((1, 2, 3))


def start(like: Image, seed: int) -> Image:
    """Noise around grey, of a picture's shape and device."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(like.shape, generator=generator)
    return (0.5 + NOISE * noise).clamp(0, 1).to(like.device)


# ------------------------------------------------------------------------------------- measures


def spread(pictures: Sequence[Floats]) -> float:
    """Mean over the pairs of the root mean squared difference; NaN for a single picture."""
    apart = [float(np.sqrt(np.mean(np.square(one - other)))) for one, other in combinations(pictures, 2)]
    return float(np.mean(apart)) if apart else float("nan")


# ------------------------------------------------------------------------------------- the folder


class ReconstructionStep(NamedTuple):
    """Event: a step is done, or a picture.

    Attributes:
        done: steps done; those of pictures that were there do not count.
        total: steps in all.
        pictures: pictures that are in the folder.
    """

    done: int
    total: int
    pictures: int


def reconstruct(asked: Reconstruction, folder: Path) -> Generator[ReconstructionStep, None, None]:
    """Make the pictures that a folder lacks; each is written as soon as it is finished.

    Args:
        asked: what is made again.
        folder: a new or empty one, or one with pictures of the same request; see ``check_folder``.

    Yields:
        a progress at the beginning, and after each step. The caller may leave the loop between two.

    Raises:
        OutputError: the folder holds something else, or cannot be written.
        InputError: a descent diverged.
    """
    return on_free_cores(_missing_made(asked, expanded(folder)), FreeCores())


def _missing_made(asked: Reconstruction, folder: Path) -> Generator[ReconstructionStep, None, None]:
    check_folder(folder, asked)
    items = asked.items()
    missing = [item for item in items if not (folder / PICTURES / item.file).exists()]
    done, total, there = 0, sum(_steps(asked, item) for item in missing), len(items) - len(missing)
    yield ReconstructionStep(done, total, there)
    for item in missing:
        making = asked.make(item)
        while True:
            try:
                step = next(making)
            except StopIteration as end:
                picture = replace(end.value, note={"artune": __version__, NOTE: asked.note(item)})
                break
            yield ReconstructionStep(done + step, total, there)
        write_picture(picture, folder / PICTURES / item.file)
        done, there = done + _steps(asked, item), there + 1
        yield ReconstructionStep(done, total, there)


def check_folder(folder: Path, asked: Reconstruction) -> None:
    """Raise unless a folder is new, is empty, or holds pictures of the same request.

    More layers, seeds and methods may be asked for than before.

    Raises:
        OutputError: naming what is there instead.
    """
    folder = expanded(folder)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is not a folder; choose another place")
    check_writable(folder / PAGE)
    left = {path.name for path in temporary_files(folder)} if folder.is_dir() else set()
    names = {path.name for path in folder.iterdir()} - left if folder.is_dir() else set[str]()
    others = sorted(names - {PICTURES, *FILES}) or sorted(names)
    if names - {PICTURES, *FILES} or (names and PICTURES not in names):
        raise OutputError(f"{folder} holds other files ({others[0]}) and no reconstructions; choose a new folder")
    wanted = {item.file: asked.note(item) for item in asked.items()}
    for path in sorted((folder / PICTURES).glob("*.png")):
        note = _note(path)
        expected = wanted.get(path.name, {name: asked.about[name] for name in asked.about if name in note})
        if different := [name for name, value in expected.items() if note.get(name) != value]:
            what = f"{', '.join(different)} ({path.name})"
            raise OutputError(f"{folder} holds reconstructions that differ in {what}; choose a new folder")


def _note(path: Path) -> Mapping[str, Any]:
    """What the file of a picture says of it."""
    try:
        note = read_picture(path).note.get(NOTE)
    except PictureError:
        note = None
    if not isinstance(note, dict):
        raise OutputError(f"{path} is no reconstruction of artune; remove it, or choose a new folder")
    return note


def read_all(asked: Reconstruction, folder: Path) -> dict[Item, Picture]:
    """The finished pictures of a folder.

    Raises:
        PictureError: one is missing or damaged.
    """
    return {item: read_picture(expanded(folder) / PICTURES / item.file) for item in asked.items()}


def _steps(asked: Reconstruction, item: Item) -> int:
    return 1 if item.method == "inverse" else asked.steps


# ------------------------------------------------------------------------------------- checks


def _check_size(picture: Picture, fitted: Picture, size: int, backbone: Backbone, taps: Sequence[str]) -> None:
    """Raise unless a picture is large enough for the network, for each layer, and for what is measured."""
    needs = {f"layer {tap}": POSITIONS * _stride(backbone, tap) for tap in taps}
    needs |= {"the structural similarity": SMALLEST, f"network {backbone.name}": backbone.smallest}
    what = max(needs, key=lambda name: needs[name])
    (width, height), least = fitted.size, needs[what]
    if min(width, height) >= least:
        return
    short = f"{width}x{height} pixels are too few: {what} needs a shorter side of {least}"
    if min(picture.size) < least:
        raise PictureError(f"{short}; give a larger picture")
    raise SpecError(f"{short}; choose a `size` of {-(-least * max(picture.size) // min(picture.size))} or more")


def _stride(backbone: Backbone, tap: str) -> int:
    return backbone.taps.get(tap, IMAGE_TAP).stride


def _levels() -> dict[int, str]:
    """The levels of learned inverses by stride, ascending."""
    return {stride_of(level): level for level in reversed(LEVELS)}
