"""``artune info``: what a picture or a trained style carries."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from artune.cli.arguments import spec_of
from artune.errors import OutputError, SpecError

STYLE = ".safetensors"
"""Suffix of the files of trained styles."""


def info(
    picture: Annotated[Path, typer.Argument(help="Picture made by artune, or a style made by artune train.")],
    thumbnail: Annotated[
        Path | None, typer.Option(help="Of a style: file for the small picture that it carries.")
    ] = None,
) -> None:
    """Print the spec that a picture carries, for artune style --spec; or what a trained style says of itself."""
    if picture.suffix == STYLE:
        found = _style(picture, thumbnail)
    elif thumbnail is not None:
        raise SpecError(f"--thumbnail is for trained styles ({STYLE}), and {picture} is none; leave it out")
    else:
        found = spec_of(picture)
    typer.echo(json.dumps(found, indent=2))


def _style(path: Path, thumbnail: Path | None) -> dict[str, Any]:
    from artune.images.write import write_picture
    from artune.networks.trained import read_style

    style = read_style(path)
    if thumbnail is not None:
        if thumbnail.exists():
            raise OutputError(f"{thumbnail} exists; choose another file")
        write_picture(style.thumbnail, thumbnail)
    return {
        "sha256": style.digest,
        "base": style.info.base,
        "parameters": sum(parameter.numel() for parameter in style.network.parameters()),
        **style.info.model_dump(mode="json"),
    }
