"""``artune morph``: a film from photograph to painting, through all strengths."""

import os
from pathlib import Path
from typing import Annotated

import typer

from artune.cli.arguments import given_options, spec_option
from artune.cli.display import CANCELLED, counting, interruptible, loading, say
from artune.cli.photographs import check_there
from artune.errors import SpecError
from artune.extras import require

HOLD = 1.0
"""How long the last picture stays, in seconds."""


def morph(
    context: typer.Context,
    content: Annotated[str, typer.Argument(help="Photograph.", metavar="PHOTO")],
    painting: Annotated[str, typer.Argument(help="Painting.", metavar="PAINTING")],
    out: Annotated[
        str, typer.Option("--out", "-o", help="Film (mp4, webm, ...), animation (gif, webp, apng), folder.")
    ],
    size: Annotated[str | None, spec_option("size")] = None,
    style_scale: Annotated[float | None, spec_option("style_scale")] = None,
    color: Annotated[str | None, spec_option("color")] = None,
    quality: Annotated[str | None, spec_option("quality")] = None,
    seconds: Annotated[float, typer.Option(help="How long the way lasts.", min=0.1, max=600)] = 4.0,
    rate: Annotated[int, typer.Option(help="Frames a second.", min=1, max=120)] = 25,
    back: Annotated[bool, typer.Option("--back", help="Go the same way back.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing result.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Film the way from photograph to painted picture, through all strengths."""
    require("video", "writing a film")
    for picture in (content, painting):
        check_there(picture)
    if not Path(out).suffix and not out.endswith(("/", os.sep)):
        raise SpecError(f"-o {out} names no format; give {out}.mp4 for a film, {out}/ for a folder of pictures")
    with loading():
        from artune import api
        from artune.machine import keep_freed_memory
        from artune.video.place import check_place
        from artune.video.reel import Reel

    check_place(out, [content, painting], replace=overwrite)
    keep_freed_memory()
    prepared = api.prepare(content, painting, **given_options({**context.params, "rate": None}))
    first = prepared(0.0).picture
    count = max(2, round(seconds * rate))
    strengths = [number / (count - 1) for number in range(count)]
    if back:
        strengths += strengths[-2:0:-1]
    with (
        interruptible() as interrupted,
        counting("painting", quiet) as show,
        Reel(out, first.size, rate, 0 if back else HOLD, alpha=first.alpha is not None) as reel,
    ):
        for number, strength in enumerate(strengths, start=1):
            reel.add(prepared(strength).picture)
            show(number, len(strengths))
            if interrupted() and number < len(strengths):
                say("cancelled; nothing was written")
                raise typer.Exit(CANCELLED)
    if not quiet:
        say(f"{out}: {count} strengths from 0 to 1")
