"""``artune info``: the spec that a picture carries."""

import json
from pathlib import Path
from typing import Annotated

import typer

from artune.cli.arguments import spec_of


def info(picture: Annotated[Path, typer.Argument(help="Picture made by artune.")]) -> None:
    """Print the spec that a picture carries. artune style --spec takes it, and also the picture itself."""
    typer.echo(json.dumps(spec_of(picture), indent=2))
