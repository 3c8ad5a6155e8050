"""The field side by side: networks, losses, smoothing, regions, photorealism and colours, on real pictures.

    python benchmarks/field.py --assets FOLDER networks -o networks.png
    python benchmarks/field.py --assets FOLDER untrained
    python benchmarks/field.py --assets FOLDER losses -o losses.png
    python benchmarks/field.py --assets FOLDER smoothing
    python benchmarks/field.py --assets FOLDER regions -o folder
    python benchmarks/field.py --assets FOLDER photoreal -o folder
    python benchmarks/field.py --assets FOLDER colours -o colours.png

FOLDER holds ``weights`` and ``data``. A sheet has a picture per row and column; figures are the referee's
(``artune.metrics.perceptual``), whose network is the loss of no run that it measures.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from quality import files, measured, pairs, referee
from safetensors.torch import save_file
from torchvision.models import get_model

from artune.api import style
from artune.backbones.base import PassOutput
from artune.backbones.network import Network
from artune.backbones.registry import NETWORKS
from artune.images import color
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.resize import fitted
from artune.images.write import write_picture
from artune.losses.terms import STYLE_TERMS
from artune.machine import keep_freed_memory
from artune.spec.options import with_options
from artune.spec.style import Optimise, StyleSpec
from artune.transfer.inputs import RegionStyle
from artune.transfer.result import Result

SIDE = 256
REAL = {
    "compact": None,
    "vgg19-emulator": "vgg19-emulator-16x",
    "vgg19": "vgg19-blocks1-3",
    "resnet18": "resnet18-layer1-3",
    "mobilenet_v2": "mobilenet_v2",
    "mobilenet_v2_flat": "mobilenet_v2",
    "squeezenet1_1": "squeezenet1_1-features",
}
"""Networks of which DIR holds real weights."""
REACH: dict[str, dict[str, Any]] = {
    "vgg19": {
        "content_layers": {"relu3_1": 1.0},
        "style_layers": {"relu1_1": 2.0, "relu2_1": 3.0, "relu3_1": 1.0, "relu3_4": 1.0},
    },
    "resnet18": {
        "content_layers": {"layer2": 1.0},
        "style_layers": {"relu": 1.0, "layer1": 1.0, "layer2": 1.0, "layer3": 1.0},
    },
}
"""Taps for networks whose weights in DIR end early."""


def network_of(name: str, assets: Path, **options: Any) -> tuple[StyleSpec, Network]:
    options = {"network": name, **REACH.get(name, {}), **options}
    spec = with_options(StyleSpec(strength=2 / 3), options)
    weights = REAL.get(name)
    return spec, Network.load(spec, weights and assets / "weights" / f"{weights}.safetensors")


def styled(spec: StyleSpec, network: Network, content: Picture, *paintings: Picture, **more: Any) -> Result:
    return style(content, *paintings, spec=spec, network=network, **more)


def sheet(rows: Sequence[tuple[str, Sequence[tuple[str, Picture]]]], path: Path, side: int = SIDE) -> None:
    """A table of pictures with their names."""
    columns, head = max(len(cells) for _, cells in rows), 14
    page = Image.new("RGB", (columns * side, len(rows) * (side + head)), "white")
    draw = ImageDraw.Draw(page)
    for y, (title, cells) in enumerate(rows):
        for x, (name, picture) in enumerate(cells):
            sized = picture.resized(*fitted(*picture.size, side))
            place = (x * side, y * (side + head) + head)
            page.paste(Image.fromarray((sized.pixels * 255 + 0.5).astype(np.uint8)), place)
            draw.text((place[0] + 2, place[1] - head + 1), f"{title} {name}".strip(), fill="black")
    page.save(path)


def pair_of(assets: Path, index: int, size: int) -> tuple[Picture, Picture]:
    content, painting = (read_picture(p) for p in files(assets, pairs(24)[index]))
    return content, painting.resized(*fitted(*painting.size, min(size, max(painting.size))))


def networks(args: argparse.Namespace) -> None:
    """One pair over all networks with real weights, smoothing off and on."""
    judge = referee(args.assets)
    content, painting = pair_of(args.assets, args.pair, args.size)
    rows = [("", [("photograph", content), ("painting", painting)])]
    for name in REAL:
        cells = []
        for smooth in (False, True):
            spec, network = network_of(name, args.assets, smooth=smooth, size=args.size)
            began = time.perf_counter()
            result = styled(spec, network, content, painting)
            seconds = time.perf_counter() - began
            cells.append(("smoothed" if smooth else "plain", result.picture))
            row: dict[str, Any] = {"network": name, "smooth": smooth, "seconds": round(seconds, 1)}
            if name != "squeezenet1_1":  # the referee does not judge itself
                row |= measured(judge, (result.picture, content, painting))
            print(json.dumps(row), flush=True)
        rows.append((name, cells))
    sheet(rows, args.output)


def untrained(args: argparse.Namespace) -> None:
    """A few steps with random weights of every network whose own are not in DIR."""
    content, painting = pair_of(args.assets, 0, args.size)
    with tempfile.TemporaryDirectory() as folder:
        for name in (*(name for name in NETWORKS if name not in REAL), "torchvision:densenet121"):
            torch.manual_seed(0)
            weights = Path(folder) / "random.safetensors"
            save_file(get_model(name.removeprefix("torchvision:"), weights=None).state_dict(), weights)
            spec = with_options(StyleSpec(strength=2 / 3), {"network": name, "size": args.size, "steps": 6})
            network = Network.load(spec, weights)
            began = time.perf_counter()
            result = styled(spec, network, content, painting)
            seconds = time.perf_counter() - began
            moved = np.abs(result.picture.pixels - content.resized(*result.picture.size).pixels).mean()
            taps = f"{len(network.backbone.taps)} taps, smoothing {'on' if network.smooth else 'off'}"
            print(
                f"{name:24} {taps}, {result.record.steps} steps {seconds:5.1f} s, pixels moved by {moved:.3f}",
                flush=True,
            )


def smoothing(args: argparse.Namespace) -> None:
    """Style distance with and without smoothing, at equal content distance."""
    judge = referee(args.assets)
    for name in args.networks:
        for smooth in (False, True):
            spec, network = network_of(name, args.assets, smooth=smooth, size=args.size)
            found = []
            for index in range(args.pairs):
                content, painting = pair_of(args.assets, index, args.size)
                picture, _, _ = at_content(spec, network, judge, content, painting, args.content)
                found.append(list(measured(judge, (picture, content, painting)).values()))
            fine, strokes, kept = np.median(found, 0)
            what = "smoothed" if smooth else "plain"
            print(f"{name:18} {what:9} fine {fine:.3f} strokes {strokes:.3f} content {kept:.3f}", flush=True)


def at_content(
    spec: StyleSpec, network: Network, judge: Any, content: Picture, painting: Picture, at: float
) -> tuple[Picture, float, float]:
    """The result whose content distance is nearest to ``at``, its strength and the seconds of one run, by bisection."""
    low, high = -9.0, 9.0  # log odds of the strength
    best: tuple[float, Picture, float, float] | None = None
    for _ in range(6):
        middle = (low + high) / 2
        strength = 1 / (1 + math.exp(-middle))
        began = time.perf_counter()
        picture = styled(spec.model_copy(update={"strength": strength}), network, content, painting).picture
        seconds = time.perf_counter() - began
        found = measured(judge, (picture, content, painting))["content"]
        if best is None or abs(found - at) < best[0]:
            best = abs(found - at), picture, strength, seconds
        low, high = (middle, high) if found < at else (low, middle)
    assert best is not None
    return best[1], best[2], best[3]


def losses(args: argparse.Namespace) -> None:
    """All style losses at equal content distance, with their times."""
    judge = referee(args.assets)
    rows = []
    network = Network.load(StyleSpec())
    sources = [pair_of(args.assets, index, args.size) for index in range(args.pairs)]
    for shown in range(min(2, args.pairs)):
        rows.append((f"pair {shown}", [("photograph", sources[shown][0]), ("painting", sources[shown][1])]))
    for loss in STYLE_TERMS:
        cells, found, times = [], [], []
        spec = StyleSpec(size=args.size, strength=2 / 3, method=Optimise(loss={loss: 1.0}))
        for index, (content, painting) in enumerate(sources):
            picture, strength, seconds = at_content(spec, network, judge, content, painting, args.content)
            found.append(list(measured(judge, (picture, content, painting)).values()))
            times.append(seconds)
            if index < 2:
                cells.append((f"strength {strength:.3f}", picture))
        rows.append((loss, cells))
        fine, strokes, kept = np.median(found, 0)
        print(f"{loss:10} fine {fine:.3f} strokes {strokes:.3f} content {kept:.3f} ", end="")
        print(f"{np.median(times):.1f} s", flush=True)
    sheet(rows, args.output)


def regions(args: argparse.Namespace) -> None:
    """A dress alone, and a frame with its object and the background in two styles."""
    args.output.mkdir(parents=True, exist_ok=True)
    data = args.assets / "data"
    network = Network.load(StyleSpec())
    paintings = [read_picture(data / f"styleid/style/{i:02d}.jpg") for i in (1, 6, 11)]
    labels = json.loads((data / "clothing/labels.json").read_text())
    for name in args.clothing:
        content = read_picture(data / f"clothing/photos/{name}.jpg")
        classes = np.asarray(Image.open(data / f"clothing/masks/{name}.png"))
        mask = (classes == labels.index("dress")).astype(np.float32)
        mask = np.asarray(Image.fromarray(mask).resize(content.size, Image.Resampling.NEAREST))
        size = max(content.size)
        for painting, number in zip(paintings[:2], "12", strict=True):
            spec = StyleSpec(size=size, strength=2 / 3)
            result = style(content, spec=spec, regions=[RegionStyle(mask, painting)], network=network)
            outside = mask == 0
            same = bool((result.picture.pixels[outside] == content.pixels[outside]).all())
            print(f"clothing {name} style {number}: {outside.mean():.1%} outside, bit-equal there: {same}", flush=True)
            write_picture(result.picture, args.output / f"dress-{name}-{number}.png")
    for clip in ("blackswan", "dance-twirl"):
        frame = sorted((data / f"video/davis/{clip}/frames").iterdir())[0]
        content = read_picture(frame)
        mask_file = data / f"video/davis/{clip}/masks/{frame.stem}.png"
        spec = StyleSpec(size=max(content.size), strength=2 / 3)
        regions = [RegionStyle(mask_file, paintings[2], 0.6)]
        result = style(content, paintings[0], spec=spec, regions=regions, network=network)
        print(f"{clip}: {result.record.timings['total']:.1f} s", flush=True)
        write_picture(result.picture, args.output / f"{clip}.png")


def photoreal(args: argparse.Namespace) -> None:
    """With and without the matting Laplacian and the smoothing afterwards."""
    from artune.losses.matting import matting

    args.output.mkdir(parents=True, exist_ok=True)
    network = Network.load(StyleSpec())
    for photo, painting in args.pairs_of:
        content, style = (read_picture(args.assets / f"data/styleid/{p}.jpg") for p in (photo, painting))
        energy = matting(content.resized(*fitted(*content.size, args.size)).tensor(), 1.0)
        for name, options in (
            ("plain", {}),
            ("laplacian", {"photoreal": args.weight}),
            ("laplacian and smoothing", {"photoreal": args.weight, "photoreal_smoothing": args.smoothing}),
        ):
            spec = with_options(StyleSpec(size=args.size, strength=2 / 3), options)
            result = styled(spec, network, content, style)
            loss = float(energy.loss(PassOutput({"image": result.picture.tensor()}, {}), 0))
            print(f"{photo} {painting} {name:24} Laplacian energy {loss:.5f}", flush=True)
            file = f"{photo}-{painting}-{name}.png".replace("/", "-").replace(" ", "-")
            write_picture(result.picture, args.output / file)
        reduced = content.resized(*fitted(*content.size, args.size)).tensor()
        own = float(energy.loss(PassOutput({"image": reduced}, {}), 0))
        print(f"{photo} the photograph itself: Laplacian energy {own:.5f}", flush=True)


def colours(args: argparse.Namespace) -> None:
    """Every colour mode, with the errors of luminance and chroma against photograph and plain result."""
    content, painting = pair_of(args.assets, args.pair, args.size)
    network = Network.load(StyleSpec())
    cells = [("photograph", content), ("painting", painting)]
    for mode in ("style", "content-luminance", "content-match"):
        for space in ("lab", "yiq") if mode != "style" else ("lab",):
            for how in ("moments", "histogram") if mode == "content-match" else ("moments",):
                spec = StyleSpec(size=args.size, strength=2 / 3, color=mode, color_space=space, color_match=how)
                result = styled(spec, network, content, painting).picture
                shown = content.resized(*result.size)
                ours, theirs = (color.to_lab(picture.pixels) for picture in (result, shown))
                chroma = float(np.abs(ours[..., 1:] - theirs[..., 1:]).mean())
                mean = float(np.abs(ours[..., 1:].mean((0, 1)) - theirs[..., 1:].mean((0, 1))).mean())
                luminance = float(np.abs(ours[..., 0] - theirs[..., 0]).mean())
                print(f"{mode:18} {space} {how:9} luminance off {luminance:5.2f} chroma off {chroma:5.2f}, ", end="")
                print(f"mean chroma {mean:5.2f} (Lab units, against the photograph)", flush=True)
                cells.append((f"{mode} {space} {how}", result))
    sheet([("", cells[:4]), ("", cells[4:])], args.output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--size", type=int, default=384)
    commands = parser.add_subparsers(required=True)

    def command(name: str, do: Any, output: bool = True) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=do.__doc__)
        sub.set_defaults(do=do)
        if output:
            sub.add_argument("-o", "--output", type=Path, required=True)
        return sub

    command("networks", networks).add_argument("--pair", type=int, default=0)
    command("untrained", untrained, output=False)
    sub = command("losses", losses)
    sub.add_argument("--pairs", type=int, default=4)
    sub.add_argument("--content", type=float, default=0.6, help="the content distance at which all are compared")
    sub = command("smoothing", smoothing, output=False)
    sub.add_argument("--pairs", type=int, default=4)
    sub.add_argument("--content", type=float, default=0.6)
    sub.add_argument("--networks", nargs="+", default=["resnet18", "mobilenet_v2"])
    command("regions", regions).add_argument("--clothing", nargs="+", default=["0001"])
    sub = command("photoreal", photoreal)
    sub.add_argument("--weight", type=float, default=1.0)
    sub.add_argument("--smoothing", type=float, default=1.0)
    sub.set_defaults(pairs_of=(("content/03", "style/07"), ("content/08", "style/21")))
    command("colours", colours).add_argument("--pair", type=int, default=0)
    args = parser.parse_args()
    keep_freed_memory()
    args.do(args)


if __name__ == "__main__":
    main()
