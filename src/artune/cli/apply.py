"""``artune apply``: paint photographs in a trained style."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from artune.cli.arguments import check_lossy, given_options, read_spec
from artune.cli.call import Call, check_tiled, result_format, results_format
from artune.cli.display import loading
from artune.cli.options import (
    OUTPUT,
    RUN,
    AllowHuge,
    AsJson,
    Color,
    ColorMatch,
    ColorSpace,
    Device,
    Enlarge,
    Form,
    JpegQuality,
    KeptParts,
    Memory,
    OneStrength,
    Overwrite,
    Quality,
    Quiet,
    Recursive,
    SegmentModel,
    SegmentWeights,
    ShowTiled,
    Sixteen,
    Size,
    Strength,
    StyleScale,
    StyleWeights,
    Tile,
)
from artune.cli.parts import Parts
from artune.cli.photographs import check_there, find_photographs, is_many
from artune.cli.video import style_all
from artune.errors import InputError, SpecError
from artune.extras import require
from artune.files import expanded
from artune.spec.options import with_options
from artune.spec.style import StyleSpec


def apply(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="Style made by artune train.")],
    content: Annotated[
        str,
        typer.Argument(help="Photograph, or film; or a folder or a quoted glob, then OUT is a folder.", metavar="IN"),
    ],
    out: Annotated[str, typer.Argument(help="File for the result; its suffix chooses the format. Or a folder.")],
    size: Size = None,
    enlarge: Enlarge = None,
    strength: Strength = None,
    style_scale: StyleScale = None,
    style_weights: StyleWeights = None,
    keep: KeptParts = None,
    segment_model: SegmentModel = None,
    segment_weights: SegmentWeights = None,
    tile: Tile = None,
    show_tiled: ShowTiled = None,
    color: Color = None,
    color_space: ColorSpace = None,
    color_match: ColorMatch = None,
    quality: Quality = None,
    device: Device = None,
    memory: Memory = None,
    spec: Annotated[
        Path | None,
        typer.Option(
            help="YAML or JSON file with options, or a picture made by artune apply; other options override it.",
            rich_help_panel=RUN,
        ),
    ] = None,
    recursive: Recursive = False,
    one_strength: OneStrength = False,
    form: Form = None,
    overwrite: Overwrite = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the checkpoint OUT.partial.", rich_help_panel=OUTPUT)
    ] = False,
    jpeg_quality: JpegQuality = None,
    sixteen: Sixteen = False,
    allow_huge: AllowHuge = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Paint a photograph, or many, in a style that artune train has learned."""
    options = given_options(context.params)
    model_name = None if segment_model is None else str(expanded(segment_model))
    parts = Parts.parse([], [], [], [], model_name, segment_weights, keep or [])
    if is_film(content, out):
        for flag, used in (
            ("--spec", spec),
            ("--recursive", recursive),
            ("--one-strength", one_strength),
            ("--format", form),
            ("--jpeg-quality", jpeg_quality),
            ("--16", sixteen),
            ("--allow-huge", allow_huge),
            ("--json", as_json),
            ("--keep", keep),
            ("--tile", tile),
            ("--show-tiled", show_tiled),
        ):
            if used:
                raise SpecError(f"{flag} is for photographs; the options of films are those of artune video --model")
        _film(model, content, out, options, overwrite=overwrite, resume=resume, quiet=quiet)
        return
    many, place = is_many(content), expanded(out)
    found = find_photographs([content], recursive=recursive, out=place) if many else None
    if found is None:
        check_there(content)
    for flag, used in (("--recursive", recursive), ("--one-strength", one_strength), ("--format", form)):
        if used and found is None:
            raise InputError(f"{flag} is for photographs that go into a folder; give a folder as IN and as OUT")
    suffix = result_format(out) if found is None else results_format(out, form)
    check_lossy(suffix, jpeg_quality)
    with loading():
        from artune import api

    style = api.load_style(model, device=options.get("device", "auto"))
    wanted = with_options(_base(spec, style.spec), options)
    if show_tiled:
        check_tiled(many=found is not None, spec=wanted)
    call = Call(
        wanted,
        parts,
        model,
        overwrite=overwrite,
        resume=resume,
        show_tiled=show_tiled,
        bits=16 if sixteen else 8,
        jpeg_quality=jpeg_quality,
        allow_huge=allow_huge,
        quiet=quiet,
        as_json=as_json,
        auto=options.get("strength") == "auto",
        trained=style,
    )
    if found is None:
        call.one(expanded(content), place)
    else:
        call.many(found, place, suffix, one_strength=one_strength)


def is_film(content: str, out: str) -> bool:
    """Whether a film is to be styled: by the suffixes of what is given and of the result."""
    from artune.images.formats import READABLE
    from artune.video.formats import ANIMATIONS, CONTAINERS

    path, wanted = expanded(content), expanded(out).suffix.lower()
    if wanted in CONTAINERS:
        return True
    if not path.is_file():
        return False
    return path.suffix.lower() not in READABLE or (wanted in ANIMATIONS and _moves(path))


def _moves(path: Path) -> bool:
    """Whether a picture file holds several frames."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return getattr(image, "n_frames", 1) > 1
    except (OSError, UnidentifiedImageError, ValueError):
        return False


def _film(
    model: Path, source: str, out: str, options: Mapping[str, Any], *, overwrite: bool, resume: bool, quiet: bool
) -> None:
    """Paint a film in the style."""
    require("video", "styling a film")
    with loading():
        from artune import api
        from artune.video.film import film_run

    style = api.load_style(model, device=options.get("device", "auto"))
    wanted = with_options(style.spec, options)
    run = film_run(source, out, *style.paintings, spec=wanted, network=style.network)
    style_all(run, overwrite=overwrite, resume=resume, quiet=quiet)


def _base(file: Path | None, own: StyleSpec) -> StyleSpec:
    """The spec that options override: that of the style, or a file's if it is for styles of this kind.

    Raises:
        SpecError: it is for another kind.
    """
    if file is None:
        return own
    given = read_spec(file)
    if not isinstance(given.method, type(own.method)):
        raise SpecError(
            f"the spec in {file} is of the method {given.method.kind}, and this style needs {own.method.kind}; leave "
            "out --spec"
        )
    return given
