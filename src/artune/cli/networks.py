"""``artune networks``: the loss networks, their taps and costs."""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from artune.assets import Asset
    from artune.backbones.base import Backbone
    from artune.backbones.defaults import Defaults

SIDE = 256
"""Side in pixels of the square picture that is measured."""
RUNS = 5
"""Forward passes that are measured."""


def networks(
    name: Annotated[str | None, typer.Argument(help="Network whose taps are listed.")] = None,
    aliases: Annotated[
        bool, typer.Option("--aliases", help="List the names that Keras and others have for the taps.")
    ] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help=f"Measure the time of a forward pass at {SIDE}x{SIDE} pixels.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show the loss networks: default taps, cost per pixel, and where the weights are.

    torchvision:NAME stands for any other classifier of torchvision.
    """
    from artune.backbones.registry import NETWORKS, structure

    made = {key: structure(key) for key in (NETWORKS if name is None else [name])}
    rows = {key: _about(key, backbone, measure) for key, backbone in made.items()}
    if as_json:
        for key, backbone in made.items():
            rows[key]["taps"] = {tap: asdict(info) for tap, info in backbone.taps.items()}
            rows[key]["smallest"] = backbone.smallest
            rows[key]["aliases"] = dict(backbone.aliases)
        typer.echo(json.dumps(rows))
    elif aliases and not any(backbone.aliases for backbone in made.values()):
        typer.echo(f"the taps of {name} have no other names")
    elif aliases:
        _print_table(
            ("network", "elsewhere", "here"),
            ((key, other, tap) for key, backbone in made.items() for other, tap in backbone.aliases.items()),
            "other sources' names of the taps",
        )
    elif name is None:
        _print_overview(rows, measure)
    else:
        _print_taps(made[name], rows[name])


def _about(name: str, backbone: "Backbone", measure: bool) -> dict[str, Any]:
    from artune.backbones.registry import defaults_of, find_network

    record, defaults = find_network(name), defaults_of(name, backbone.taps)
    used = [backbone.taps[tap] for tap in {*defaults.content, *defaults.style}]
    return {
        "about": record.about,
        "weights": _weights_state(record.weights),
        "licence": record.weights.licence if record.weights else None,
        "content": dict(defaults.content),
        "style": dict(defaults.style),
        "cost": max(info.cost for info in used),
        "receptive_field": max(info.receptive_field for info in used),
        "smooth": backbone.residual,
        **({"milliseconds": _measured(name, defaults)} if measure else {}),
    }


def _weights_state(asset: "Asset | None") -> str:
    from artune.assets import locate

    if asset is None:
        return "by --weights"
    if asset.url is None:
        return "in the package"
    return "in the cache" if locate(asset) else "to download"


def _measured(name: str, defaults: "Defaults") -> float:
    """Milliseconds of the shortest of ``RUNS`` forward passes. No weights are loaded: they do not change the time."""
    import torch

    from artune.backbones.registry import find_network
    from artune.machine import choose_device, choose_precision

    device = choose_device("auto")
    network = find_network(name).build().eval().requires_grad_(False)
    network.to(device=device, dtype=choose_precision("auto", device)).to(memory_format=torch.channels_last)
    image = torch.rand((1, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0)).to(device)
    taps, times = {*defaults.content, *defaults.style}, []
    for _ in range(RUNS):
        began = time.perf_counter()
        float(sum(x.float().sum() for x in network(image, taps).values()))  # waits for the device
        times.append(1000 * (time.perf_counter() - began))
    return min(times)


def _field(pixels: int) -> str:
    from artune.backbones.base import WHOLE

    return "all" if pixels >= WHOLE else str(pixels)


def _print_overview(rows: dict[str, dict[str, Any]], measure: bool) -> None:
    headings = ["network", "weights", "cost", *(["ms"] if measure else []), "field", "smooth", "content; style"]
    lines = []
    for key, row in rows.items():
        numbers = [f"{row['cost'] / 1000:.1f}", *([f"{row['milliseconds']:.0f}"] if measure else [])]
        smooth = "yes" if row["smooth"] else "no"
        taps = f"{', '.join(row['content'])}; {', '.join(row['style'])}"
        lines.append((key, row["weights"], *numbers, _field(row["receptive_field"]), smooth, taps))
    caption = (
        "cost: thousand multiply-adds per pixel, field: receptive field in pixels, both at the deepest default tap; "
        "smooth: softmax over the activations, where neither --smooth nor --no-smooth is given"
    )
    _print_table(headings, lines, caption + ("; ms: a forward pass to it, at 256x256" if measure else ""))


def _print_taps(backbone: "Backbone", row: dict[str, Any]) -> None:
    lines = []
    for tap, info in backbone.taps.items():
        use = " ".join(side for side in ("content", "style") if tap in row[side])
        sizes = (info.channels, info.stride, _field(info.receptive_field))
        lines.append((tap, *map(str, sizes), f"{info.cost / 1000:.1f}", use))
    time_taken = f"; {row['milliseconds']:.0f} ms forward at 256x256" if "milliseconds" in row else ""
    _print_table(
        ("tap", "channels", "stride", "receptive field", "cost", "default"),
        lines,
        f"{backbone.name}, weights {row['weights']}{time_taken}\n"
        "cost: thousand multiply-adds per pixel, up to the tap; receptive field: pixels",
    )


def _print_table(headings: Iterable[str], lines: Iterable[tuple[str, ...]], caption: str) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    first, *middle, last = headings
    table = Table(caption=caption, box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, overflow="fold")
    for heading in middle:
        table.add_column(heading, no_wrap=True)
    table.add_column(last)
    for line in lines:
        table.add_row(*line)
    console = Console()
    width = None if console.is_terminal else 400  # names are to be copied, and are not cut in a pipe
    Console(width=width).print(table)
