"""``artune networks``: the loss networks and their taps."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from artune.backbones.base import Backbone


def networks(
    name: Annotated[str | None, typer.Argument(help="List every tap of this network.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show the loss networks: taps, cost per pixel, and whether the weights are at hand."""
    from artune.assets import WEIGHTS, locate
    from artune.backbones.load import NETWORKS
    from artune.errors import UnknownNameError

    if name is not None and name not in NETWORKS:
        raise UnknownNameError("network", name, NETWORKS)
    made = {key: network.make("max") for key, network in NETWORKS.items() if name in (None, key)}
    where = {key: _weights_state(key, WEIGHTS, locate) for key in made}
    if as_json:
        typer.echo(json.dumps({key: _taps(backbone) | {"weights": where[key]} for key, backbone in made.items()}))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if name is None:
        table = Table(
            caption="cost: thousand multiply-adds per pixel, to the last tap; `artune networks NAME` lists taps"
        )
        for heading in ("network", "weights", "cost", "taps"):
            table.add_column(heading, no_wrap=True)
        table.add_column("what it is")
        for key, backbone in made.items():
            deepest = max(info.cost for info in backbone.taps.values())
            table.add_row(key, where[key], f"{deepest / 1000:.1f}", str(len(backbone.taps)), NETWORKS[key].about)
    else:
        table = Table("tap", "channels", "stride", "receptive field", "cost", title=f"{name}: {where[name]}")
        table.caption = "cost: thousand multiply-adds per pixel, up to the tap; receptive field: pixels"
        for tap, info in made[name].taps.items():
            numbers = (info.channels, info.stride, info.receptive_field)
            table.add_row(tap, *map(str, numbers), f"{info.cost / 1000:.1f}")
    console.print(table)


def _weights_state(name: str, known: dict[str, Any], locate: Callable[[Any], Path | None]) -> str:
    if name not in known:
        return "by --weights FILE"
    if known[name].url is None:
        return "in the package"
    return "in the cache" if locate(known[name]) else "to be downloaded"


def _taps(backbone: "Backbone") -> dict[str, Any]:
    from dataclasses import asdict

    return {"taps": {tap: asdict(info) for tap, info in backbone.taps.items()}}
