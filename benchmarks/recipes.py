"""Published recipes beside their sources: losses at a given picture, and totals after 150 steps.

    python benchmarks/recipes.py --assets FOLDER
    python benchmarks/recipes.py --assets FOLDER --only tutorial crowsonkb
    python benchmarks/recipes.py --assets FOLDER --originals

FOLDER holds ``weights`` and ``data/styleid``. All is computed at 128 pixels, of pictures that Pillow made that small
(Lanczos, 8 bits), as in the originals.

**Formulas.** The losses of every source are written here once more, in plain PyTorch on torchvision's networks, from
its paper or published code. They and artune's are taken at one picture that is neither photograph nor painting, so
that no term is zero. Layers of which FOLDER has no trained weights have random ones. A difference above the column
``allowed`` makes the exit status 1; where a departure changes a figure on purpose, ``allowed`` covers it or is empty.

**Runs.** ``ORIGINALS`` holds totals of the originals: the tutorial's were taken from its own code for photograph 07,
all others from ``--originals``, which runs the sources' loops again in plain PyTorch and SciPy. A ratio below 1 says
that artune ends lower. A run has no right figure, so it is shown and not judged.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import scipy.optimize
import torch
import torchvision
from PIL import Image
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

import artune
from artune.assets import read_metadata
from artune.images.picture import Picture
from artune.recipes import find_recipe
from artune.spec.options import with_options
from artune.spec.style import StyleSpec, optimise_of

SIDE = 128
IMAGENET = (torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None])
"""Mean and deviation that the networks' weights expect."""
PAIRS = (("07", "27"), ("03", "03"))
"""Photographs and paintings of StyleID."""
Features = Callable[[Tensor, Sequence[str]], dict[str, Tensor]]
"""Activations of a picture ``[1, 3, h, w]`` in [0, 1], by the names of torchvision's modules."""
Losses = dict[str, Tensor]
"""Weighted losses by side: style, content, tv."""

ORIGINALS: Mapping[tuple[str, str], Mapping[int, float]] = {
    ("tutorial", "07"): {1: 2.19467e11, 50: 3.102e8, 150: 5.822e7},
    ("tutorial", "03"): {1: 6.66631e11, 50: 7.1652e9, 150: 2.47615e8},
    ("gatys2016", "07"): {1: 1.88075e10, 50: 3.04304e9, 150: 2.79618e9},
    ("gatys2016", "03"): {1: 4.82241e10, 50: 5.28647e9, 150: 5.0575e9},
    ("crowsonkb", "07"): {1: 2519.84, 50: 468.944, 150: 440.526},
    ("crowsonkb", "03"): {1: 4541.55, 50: 1028.89, 150: 926.49},
}
"""Total of the originals at a step, by recipe and photograph."""


# pictures and networks


def picture(path: Path) -> Picture:
    small = Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return Picture(np.asarray(small, np.float32) / np.float32(255))


def pair(assets: Path, content: str, style: str) -> tuple[Picture, Picture]:
    folder = assets / "data/styleid"
    return picture(folder / f"content/{content}.jpg"), picture(folder / f"style/{style}.jpg")


def weights_of(name: str, assets: Path, folder: Path) -> Path:
    """A file with weights of a network of torchvision: trained ones where there are any, else random ones."""
    torch.manual_seed(0)
    tensors = torchvision.models.get_model(name, weights=None, **CREATE.get(name, {})).state_dict()
    said: dict[str, str] = {}
    if name in TRAINED:
        file = assets / "weights" / f"{TRAINED[name]}.safetensors"
        tensors, said = tensors | load_file(file), PADDING.get(name, {})
    path = folder / f"{name}.safetensors"
    heads = ("classifier", "fc", "AuxLogits", "Mixed_7")
    save_file({key: value for key, value in tensors.items() if not key.startswith(heads)}, path, said)
    return path


TRAINED = {
    "vgg16": "vgg16-features",
    "vgg19": "vgg19-blocks1-3",
    "mobilenet_v2": "mobilenet_v2",
    "inception_v3": "inception_v3-to-6e",
}
PADDING = {"inception_v3": {"count_include_pad": "false", "normalisation": "imagenet"}}
"""How these weights were trained, where torchvision's own were trained in another way."""
CREATE: dict[str, dict[str, Any]] = {"inception_v3": {"init_weights": False}}


def features_of(
    name: str, weights: Path, *, average: float = 0.0, replicate: bool = False, flat: bool = False
) -> Features:
    """Torchvision's network, of which each module tells its output.

    Args:
        name: of the network.
        weights: a file of :func:`weights_of`.
        average: factor of the average pooling that stands for max pooling; 0 for none.
        replicate: whether the first convolution repeats the border of the picture.
        flat: whether the residual additions of MobileNetV2 are left out.
    """
    network = torchvision.models.get_model(name, weights=None, **CREATE.get(name, {})).eval().requires_grad_(False)
    network.load_state_dict(load_file(weights), strict=False)
    counted = read_metadata(weights).get("count_include_pad") != "false"
    modules = dict(network.named_modules())
    for module in modules.values():
        if getattr(module, "inplace", False):
            module.inplace = False
        if flat and hasattr(module, "use_res_connect"):
            module.use_res_connect = False
    if replicate:
        next(module for module in modules.values() if isinstance(module, nn.Conv2d)).padding_mode = "replicate"

    def pooled(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        return average * F.avg_pool2d(inputs[0], 2)

    if average:
        for module in modules.values():
            if isinstance(module, nn.MaxPool2d):
                module.register_forward_hook(pooled)

    def features(image: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}

        def note(tap: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
            found[tap] = output

        hooks = [modules[tap].register_forward_hook(partial(note, tap)) for tap in dict.fromkeys(names)]
        body = network.features if hasattr(network, "features") else network
        if all(tap.startswith("features.") for tap in names):
            body = body[: 1 + max(int(tap.split(".")[1]) for tap in names)]
        mean, deviation = IMAGENET
        pool = partial(F.avg_pool2d, count_include_pad=counted)
        with patch.object(F, "avg_pool2d", pool):
            body((image - mean) / deviation)
        for hook in hooks:
            hook.remove()
        return found

    return features


def relu(name: str, depths: Sequence[int]) -> str:
    """Torchvision's module of ``relu3_1`` or ``conv3_1`` of a VGG with so many convolutions in each block."""
    block, layer = int(name[4]) - 1, int(name[6]) - 1
    place = sum(2 * depth + 1 for depth in depths[:block]) + 2 * layer
    return f"features.{place + name.startswith('relu')}"


VGG16, VGG19 = (2, 2, 3, 3, 3), (2, 2, 4, 4, 4)
vgg16, vgg19 = partial(relu, depths=VGG16), partial(relu, depths=VGG19)


def gram(features: Tensor) -> Tensor:
    """Inner products of the channels, as sums over positions."""
    flat = features.flatten(2)[0]
    return flat @ flat.T


# the sources


@dataclass(frozen=True)
class Original:
    """A published recipe as its source has it.

    Attributes:
        network: of torchvision.
        losses: of a picture, given features, photograph and painting.
        content: modules of the content.
        style: modules of the style.
        allowed: largest difference of a loss from artune's, relative, by side.
        average: factor of average pooling.
        replicate: whether the first convolution repeats the border.
        flat: whether the residual additions are left out.
    """

    network: str
    losses: Callable[["Original", Features, Tensor, Tensor, Tensor], Losses]
    content: Sequence[str]
    style: Sequence[str]
    allowed: Mapping[str, float]
    average: float = 0.0
    replicate: bool = False
    flat: bool = False

    def features(self, weights: Path) -> Features:
        """Features of its network with weights of a file."""
        return features_of(self.network, weights, average=self.average, replicate=self.replicate, flat=self.flat)


def added(parts: Iterable[Tensor]) -> Tensor:
    return torch.stack([*parts]).sum()


def tutorial(
    this: Original, features: Features, x: Tensor, photo: Tensor, painting: Tensor, content: float, style: float
) -> Losses:
    """PyTorch's tutorial: mean squared differences, of Gram matrices over all their numbers."""

    def normed(f: Tensor) -> Tensor:
        return gram(f) / f.numel()

    here, there, wanted = (features(image, [*this.content, *this.style]) for image in (x, photo, painting))
    return {
        "content": content * added(F.mse_loss(here[name], there[name]) for name in this.content),
        "style": style * added(F.mse_loss(normed(here[name]), normed(wanted[name])) for name in this.style),
    }


def gatys(this: Original, features: Features, x: Tensor, photo: Tensor, painting: Tensor) -> Losses:
    """Gatys 2016, equations 1, 4 and 5; for a style of the picture's size."""
    here, there, wanted = (features(image, [*this.content, *this.style]) for image in (x, photo, painting))
    style = torch.zeros(())
    for name in this.style:
        _, n, h, w = here[name].shape
        style = style + (gram(here[name]) - gram(wanted[name])).square().sum() / (4 * n**2 * (h * w) ** 2) / 5
    content = added(0.5 * (here[name] - there[name]).square().sum() for name in this.content)
    return {"content": content, "style": 1000 * style}


def narayanan(this: Original, features: Features, x: Tensor, photo: Tensor, painting: Tensor) -> Losses:
    """Narayanan's lesson with Keras, which has Oxford's weights: denominators of the picture, power of 1.25."""
    here, there, wanted = (features(image, [*this.content, *this.style]) for image in (x, photo, painting))
    size = x.shape[2] * x.shape[3]
    style = added((gram(here[n]) - gram(wanted[n])).square().sum() / (4 * 3**2 * size**2) for n in this.style)
    content = added((here[name] - there[name]).square().sum() for name in this.content)
    u = 255 * x
    down, across = u[:, :, :-1, :-1] - u[:, :, 1:, :-1], u[:, :, :-1, :-1] - u[:, :, :-1, 1:]
    smooth = (down.square() + across.square() + 1e-12).pow(1.25).sum()
    return {"content": 0.025 * content, "style": 5.0 / len(this.style) * style, "tv": 1.0 * smooth}


def gordic(this: Original, features: Features, x: Tensor, photo: Tensor, painting: Tensor) -> Losses:
    """Gordić's program: means of squared differences, Gram matrices over channels and positions, sums of differences.

    For weights whose activations are as large as those of pixels of 0 to 255. The recipe's total variation is made for
    400 x 600 pixels.
    """

    def normed(f: Tensor) -> Tensor:
        return gram(f) / f.numel()

    here, there, wanted = (features(image, [*this.content, *this.style]) for image in (x, photo, painting))
    style = added((normed(here[name]) - normed(wanted[name])).square().sum() for name in this.style)
    content = added(F.mse_loss(here[name], there[name]) for name in this.content)
    apart = (255 * x.diff(dim=2)).abs().sum() + (255 * x.diff(dim=3)).abs().sum()
    height, width = x.shape[2:]
    made_for = (400 * 599 + 399 * 600) / (height * (width - 1) + (height - 1) * width)
    return {"content": 1e5 * content, "style": 3e4 * style / len(this.style), "tv": made_for * apart}


def crowson(this: Original, features: Features, x: Tensor, photo: Tensor, painting: Tensor) -> Losses:
    """Crowson's style-transfer-pytorch: Wasserstein-2 as a mean over channels, total variation of nine points."""

    def statistics(f: Tensor) -> tuple[Tensor, Tensor]:
        flat = f.flatten(2)[0].double()
        return flat.mean(1), torch.cov(flat, correction=0) + 1e-4 * torch.eye(len(flat))

    def root(matrix: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(matrix)
        half: Tensor = vectors * values.clamp(min=0).sqrt() @ vectors.T
        return half

    here, there, wanted = (features(image, [*this.content, *this.style]) for image in (x, photo, painting))
    weights = [256, 64, 16, 4, 1][: len(this.style)]
    style = torch.zeros(())
    for name, weight in zip(this.style, weights, strict=True):
        (m1, c1), (m2, c2) = statistics(here[name]), statistics(wanted[name])
        half = root(c2)
        values, _ = torch.linalg.eigh(half @ c1 @ half)
        crossed = values.clamp(min=1e-12).sqrt().sum()
        apart = (m1 - m2).square().mean() + (c1.trace() + c2.trace() - 2 * crossed) / len(m1)
        style = style + weight / 341 * apart
    content = added(F.mse_loss(here[name], there[name]) for name in this.content)
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    straight = [padded[..., 1:-1, 1:].diff(dim=3), padded[..., 1:, 1:-1].diff(dim=2)]
    diagonal = [padded[..., 1:, 1:] - padded[..., :-1, :-1], padded[..., 1:, :-1] - padded[..., :-1, 1:]]
    pairs = [*(d.square().mean() / 3 for d in straight), *(d.square().mean() / 12 for d in diagonal)]
    return {"content": 0.015 * content, "style": style, "tv": 2.0 * 2 * added(pairs)}


def without_denominator(this: Original, features: Features, x: Tensor, photo: Tensor, painting: Tensor) -> Losses:
    """The Turin report: half of the sum for the content, sums of Gram matrices for the style, 1e-4 to 1."""
    here, there, wanted = (features(image, [*this.content, *this.style]) for image in (x, photo, painting))
    style = added((gram(here[name]) - gram(wanted[name])).square().sum() for name in this.style)
    return {"content": 1e-4 * 0.5 * added((here[n] - there[n]).square().sum() for n in this.content), "style": style}


EXACT = {"content": 1e-4, "style": 1e-4, "tv": 1e-4}
RELU = [f"relu{block}_1" for block in range(1, 6)]
CONV = [f"conv{layer}" for layer in ("1_1", "1_2", "2_1", "2_2", "3_1")]
MIXED = ["Conv2d_1a_3x3", "Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e"]
FLAT = ["features.1.conv.1", *(f"features.{block}.conv.2" for block in (2, 4, 8, 14))]
GORDIC = [vgg16(f"relu{layer}") for layer in ("1_2", "2_2", "3_3", "4_3")]
KERAS = [vgg16(f"relu{layer}") for layer in ("1_2", "2_2", "3_3", "4_3", "5_3")]

SOURCES: dict[str, Original] = {
    "tutorial": Original(
        "vgg19", partial(tutorial, content=1, style=1e6), [vgg19("conv2_2")], [vgg19(name) for name in CONV], EXACT
    ),
    "gatys2016": Original("vgg19", gatys, [vgg19("relu4_2")], [vgg19(name) for name in RELU], EXACT, average=1.4),
    "crowsonkb": Original(
        "vgg19",
        crowson,
        [vgg19("relu4_2")],
        [vgg19(name) for name in RELU],
        {"content": 1e-4, "style": 2e-2, "tv": 2e-2},
        replicate=True,
    ),
    "keras-oxford": Original("vgg16", narayanan, [vgg16("relu2_2")], KERAS, {"content": 1e-4, "style": 1e-3}),
    "gordicaleksa-oxford": Original("vgg16", gordic, [vgg16("relu2_2")], GORDIC, EXACT),
    "alexnet": Original(
        "alexnet",
        partial(tutorial, content=1e7, style=100),
        ["features.7"],
        [f"features.{place}" for place in (1, 4, 7, 9, 11)],
        EXACT,
    ),
    "inception": Original("inception_v3", partial(tutorial, content=1, style=1e6), ["Mixed_5d"], MIXED, EXACT),
    "resnext": Original(
        "resnext101_32x8d",
        partial(tutorial, content=1, style=1e6),
        ["layer2"],
        [f"layer{stage}" for stage in range(1, 5)],
        EXACT,
    ),
    "mobilenet-flat": Original("mobilenet_v2", partial(tutorial, content=1, style=1e5), FLAT, FLAT, EXACT, flat=True),
    "resnet50-e": Original(
        "resnet50",
        without_denominator,
        ["layer4.2.conv3"],
        [f"layer{stage}.2.conv1" for stage in range(1, 5)],
        EXACT,
    ),
}


def at(name: str, spec: StyleSpec, contents: Picture, painting: Picture, start: Picture, weights: Path) -> Losses:
    """Artune's losses of a recipe at a picture, weighted, by side."""
    spec = with_options(spec, {"start": "content", "steps": 1, "pyramid": False, "size": SIDE})
    record = artune.style(contents, painting, spec=spec, weights=weights, first=start).record
    method = optimise_of(record.spec)
    sides = {
        "content": (method.content_weight or 0.0, method.content_layers),
        "style": (method.style_weight or 0.0, method.style_layers),
    }
    out = {
        side: torch.tensor(
            weight * sum(share * record.losses[f"{side} {tap}"][0] for tap, share in (layers or {}).items())
        )
        for side, (weight, layers) in sides.items()
    }
    return out | ({"tv": torch.tensor(method.tv * record.losses["tv"][0])} if method.tv else {})


def compare_formulas(args: argparse.Namespace, folder: Path) -> bool:
    """Show artune's losses beside the sources'; whether all are as near as they should be."""
    table = Table("recipe", "loss", "source", "artune", "artune / source", "allowed", title="Losses at one picture")
    good = True
    photo, painting = pair(args.assets, *PAIRS[0])
    between = Picture((0.5 * photo.pixels + 0.5 * painting.pixels[::-1]).astype(np.float32))
    for name, source in SOURCES.items():
        if args.only and name not in args.only:
            continue
        weights = weights_of(source.network, args.assets, folder)
        features = source.features(weights)
        with torch.no_grad():
            theirs = source.losses(source, features, between.tensor(), photo.tensor(), painting.tensor())
        ours = at(name, find_recipe(name).spec, photo, painting, between, weights)
        for side, value in theirs.items():
            mine, allowed = ours[side].item(), source.allowed.get(side)
            ratio = mine / value.item()
            fits = allowed is None or abs(ratio - 1) <= allowed
            good &= fits
            table.add_row(
                name, side, f"{value.item():.6g}", f"{mine:.6g}", f"{ratio:.6f}",
                "" if allowed is None else f"{allowed:g}", style=None if fits else "bold red",
            )  # fmt: skip
    Console().print(table)
    return good


# runs


REACH: Mapping[str, Mapping[str, Mapping[str, float]]] = {
    "crowsonkb": {"content_layers": {"relu3_1": 1}, "style_layers": {"relu1_1": 256, "relu2_1": 64, "relu3_1": 16}},
    "gatys2016": {"content_layers": {"relu3_1": 1}, "style_layers": {"relu1_1": 0.2, "relu2_1": 0.2, "relu3_1": 0.2}},
}
"""Layers of VGG-19 of which there are trained weights, for recipes that have others."""
MARKS = (1, 50, 150)
"""Steps whose total is compared."""


def reached(name: str) -> Original:
    """The source of a recipe with the layers of ``REACH``."""
    source = SOURCES[name]
    if name not in REACH:
        return source
    content, style = ([vgg19(tap) for tap in REACH[name][side]] for side in ("content_layers", "style_layers"))
    return replace(source, content=content, style=style, allowed={})


def by_torch_lbfgs(
    total: Callable[[Tensor], Tensor], x: Tensor, steps: int, *, clamp: bool = True, white: float = 1.0
) -> list[float]:
    """PyTorch's L-BFGS as its tutorial runs it; the total at every evaluation.

    Gatys' code has no clamp, and pixels up to 255.
    """
    totals: list[float] = []
    x = (white * x).requires_grad_()
    optimiser = torch.optim.LBFGS([x])

    def closure() -> Tensor:
        if clamp:
            with torch.no_grad():
                x.clamp_(0, 1)
        optimiser.zero_grad()
        value = total(x / white)
        value.backward()  # type: ignore[no-untyped-call]
        totals.append(value.item())
        return value

    while len(totals) < steps:
        optimiser.step(closure)  # type: ignore[no-untyped-call]
    return totals


def by_scipy(total: Callable[[Tensor], Tensor], x: Tensor, steps: int) -> list[float]:
    """SciPy's L-BFGS-B in rounds of 20 evaluations, as Keras' examples run it; pixels of 0 to 255."""
    totals: list[float] = []

    def value(flat: Any) -> tuple[float, Any]:
        u = torch.from_numpy(flat).float().view(x.shape).requires_grad_()
        found = total(u / 255)
        (gradient,) = torch.autograd.grad(found, u)
        totals.append(found.item())
        return found.item(), gradient.double().flatten().numpy()

    here = 255 * x.double().flatten().numpy()
    while len(totals) < steps:
        here, *_ = scipy.optimize.fmin_l_bfgs_b(value, here, maxfun=20)
    return totals


def by_adam(total: Callable[[Tensor], Tensor], x: Tensor, steps: int) -> list[float]:
    """Crowson's loop at one size; the total of the iterate at every step, not of their average."""
    totals: list[float] = []
    x = x.clone().requires_grad_()
    optimiser = torch.optim.Adam([x], lr=0.02, betas=(0.9, 0.99))
    for _ in range(steps):
        optimiser.zero_grad()
        value = total(x)
        value.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        with torch.no_grad():
            x.clamp_(0, 1)
        totals.append(value.item())
    return totals


LOOPS: dict[str, Callable[..., list[float]]] = {
    "tutorial": by_torch_lbfgs,
    "gatys2016": partial(by_torch_lbfgs, clamp=False, white=255.0),
    "crowsonkb": by_adam,
    "keras-oxford": by_scipy,
}


def original_run(name: str, start: Tensor, photo: Picture, painting: Picture, weights: Path) -> dict[int, float]:
    """Totals of a source's own loop at ``MARKS``."""
    source = reached(name)
    features = source.features(weights)

    content, style = photo.tensor(), painting.tensor()
    with torch.no_grad():
        targets = {image: features(image, [*source.content, *source.style]) for image in (content, style)}

    def known(image: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        return targets[image] if image in targets else features(image, names)

    def total(x: Tensor) -> Tensor:
        return sum(source.losses(source, known, x, content, style).values(), torch.zeros(()))

    totals = LOOPS[name](total, start, max(MARKS))
    return {mark: totals[mark - 1] for mark in MARKS}


def compare_runs(args: argparse.Namespace, folder: Path) -> None:
    """Show artune's totals beside those of the originals."""
    table = Table("recipe", "photograph", "step", "source", "artune", "artune / source", title="Totals of runs")
    for name in LOOPS:
        if args.only and name not in args.only:
            continue
        source = reached(name)
        weights = weights_of(source.network, args.assets, folder)
        for content, style in PAIRS:
            photo, painting = pair(args.assets, content, style)
            # all begin at the photograph, for a source's noise is another than artune's
            options = {"size": SIDE, "steps": max(MARKS), "start": "content", **REACH.get(name, {})}
            if args.originals:
                theirs: Mapping[int, float] = original_run(name, photo.tensor(), photo, painting, weights)
                print(f'    ("{name}", "{content}"): {{{", ".join(f"{k}: {v:.6g}" for k, v in theirs.items())}}},')
            else:
                theirs = ORIGINALS.get((name, content), {})
            if not theirs:
                continue
            spec = with_options(find_recipe(name).spec, options)
            totals = artune.style(photo, painting, spec=spec, weights=weights).record.losses["total"]
            for mark, value in theirs.items():
                mine = totals[mark - 1]
                table.add_row(name, content, str(mark), f"{value:.5g}", f"{mine:.5g}", f"{mine / value:.3f}")
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, required=True, help="folder with weights and data")
    parser.add_argument("--only", nargs="+", metavar="RECIPE", help="these recipes alone")
    parser.add_argument("--originals", action="store_true", help="run the originals again, and print their figures")
    parser.add_argument("--no-runs", action="store_true", help="the formulas alone")
    args = parser.parse_args()
    if strange := {*(args.only or [])} - SOURCES.keys():
        parser.error(f"--only {min(strange)}: no source of it is written here; there are {', '.join(SOURCES)}")
    with tempfile.TemporaryDirectory() as folder:
        good = compare_formulas(args, Path(folder))
        if not args.no_runs:
            compare_runs(args, Path(folder))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
