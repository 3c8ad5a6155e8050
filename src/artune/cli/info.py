"""``artune info``: what a picture says of itself."""

import json
from pathlib import Path
from typing import Annotated

import typer

from artune.errors import InputError


def info(picture: Annotated[Path, typer.Argument(help="A picture made by artune.")]) -> None:
    """Print the spec that a picture carries; it can be given back with --spec."""
    from artune.images.read import read_picture

    note = read_picture(picture, allow_huge=True).note
    if "spec" not in note:
        raise InputError(
            f"{picture} carries no spec: it was not written by artune, the spec was removed, or the format (GIF, BMP) "
            "holds none"
        )
    typer.echo(json.dumps(note["spec"], indent=2))
