"""``artune style`` and ``artune demo``: style photographs."""

from pathlib import Path
from typing import Annotated

import typer

from artune.cli.arguments import (
    INSTANT,
    METHOD,
    METHODS_SHOWN,
    base_spec,
    by_method,
    check_lossy,
    given_options,
    size_from,
    spec_option,
)
from artune.cli.call import Call, check_tiled, result_format, results_format
from artune.cli.display import say
from artune.cli.options import (
    LOOK,
    OUTPUT,
    PARTS,
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
    Seed,
    SegmentModel,
    SegmentWeights,
    ShowTiled,
    Sixteen,
    Size,
    Strength,
    StyleScale,
    StyleWeights,
    Tile,
    Weights,
)
from artune.cli.parts import Parts
from artune.cli.photographs import check_there, divide_pictures, find_photographs, is_folder, is_many
from artune.errors import InputError
from artune.files import expanded
from artune.spec.options import with_options
from artune.spec.style import StyleSpec

DEMO = Path("artune-demo.png")
EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "artune style photo.jpg painting.jpg -o out.png\n\n"
    "artune style photo.jpg a.jpg b.jpg --style-weights 2,1 --strength 0.7 -o out.png\n\n"
    "artune style photo.jpg rest.jpg --region dress.png=a.jpg:0.7 -o out.png\n\n"
    "artune style photo.jpg --segment person=a.jpg --segment background=b.jpg -o out.png\n\n"
    "artune style photo.jpg painting.jpg --keep person:0.5 -o out.png\n\n"
    "artune style photo.jpg painting.jpg --tile both -o out.png\n\n"
    "artune style holiday/*.jpg painting.jpg --size original --quality best -o styled/\n\n"
    "artune style holiday painting.jpg --recursive --one-strength --format jpg -o styled/"
)


def style(
    context: typer.Context,
    content: Annotated[
        str, typer.Argument(help="Photograph. Or several, a folder or a quoted glob; then OUT is a folder.")
    ],
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            help="File for the result; its suffix chooses the format. Or a folder, which exists or ends in /.",
        ),
    ],
    styles: Annotated[
        list[str] | None,
        typer.Argument(
            help="Paintings. After several photographs only the last picture is one. With --region or --segment they "
            "style the rest, and may be left out.",
            metavar="STYLE...",
        ),
    ] = None,
    size: Size = None,
    enlarge: Enlarge = None,
    strength: Strength = None,
    style_weights: StyleWeights = None,
    style_scale: StyleScale = None,
    region: Annotated[
        list[str] | None,
        typer.Option(
            help="A part with a style of its own, by a mask or by a label of a label map (map.png#person); repeatable.",
            metavar="MASK=STYLE[:STRENGTH]",
            rich_help_panel=PARTS,
        ),
    ] = None,
    segment: Annotated[
        list[str] | None,
        typer.Option(
            help="A part with a style of its own, found by a segmentation network; repeatable.",
            metavar="NAME=STYLE[:STRENGTH]",
            rich_help_panel=PARTS,
        ),
    ] = None,
    segment_model: SegmentModel = None,
    segment_weights: SegmentWeights = None,
    style_mask: Annotated[
        list[str] | None,
        typer.Option(
            help="The part of a painting whose style is taken; repeatable.",
            metavar="STYLE=MASK",
            rich_help_panel=PARTS,
        ),
    ] = None,
    keep: KeptParts = None,
    color: Color = None,
    color_space: ColorSpace = None,
    color_match: ColorMatch = None,
    color_only: Annotated[str | None, spec_option("color_only", panel=LOOK)] = None,
    tile: Tile = None,
    show_tiled: ShowTiled = None,
    network: Annotated[str | None, spec_option("network", panel=LOOK)] = None,
    weights: Weights = None,
    pooling: Annotated[str | None, spec_option("pooling", panel=LOOK)] = None,
    padding: Annotated[str | None, spec_option("padding", panel=LOOK)] = None,
    content_layers: Annotated[str | None, spec_option("content_layers", panel=LOOK, metavar="TAP[:W],...")] = None,
    style_layers: Annotated[str | None, spec_option("style_layers", panel=LOOK, metavar="TAP[:W],...")] = None,
    smooth: Annotated[bool | None, spec_option("smooth", "--smooth/--no-smooth", panel=LOOK)] = None,
    loss: Annotated[str | None, spec_option("loss", panel=LOOK, metavar="LOSS[:W],...")] = None,
    content_loss: Annotated[str | None, spec_option("content_loss", panel=LOOK)] = None,
    scale: Annotated[str | None, spec_option("scale", panel=LOOK)] = None,
    content_weight: Annotated[float | None, spec_option("content_weight", panel=LOOK)] = None,
    style_weight: Annotated[float | None, spec_option("style_weight", panel=LOOK)] = None,
    tv: Annotated[float | None, spec_option("tv", panel=LOOK)] = None,
    variation: Annotated[str | None, spec_option("variation", panel=LOOK)] = None,
    photoreal: Annotated[float | None, spec_option("photoreal", panel=LOOK)] = None,
    photoreal_smoothing: Annotated[float | None, spec_option("photoreal_smoothing", panel=LOOK)] = None,
    transform: Annotated[str | None, spec_option("transform", panel=LOOK)] = None,
    levels: Annotated[str | None, spec_option("levels", panel=LOOK, metavar="LEVEL[:SHARE],...")] = None,
    balance_gradients: Annotated[
        bool | None, spec_option("balance_gradients", "--balance-gradients/--no-balance-gradients", panel=LOOK)
    ] = None,
    method: Annotated[str | None, typer.Option(help=METHOD, metavar=METHODS_SHOWN, rich_help_panel=RUN)] = None,
    instant: Annotated[bool, typer.Option("--instant", help=INSTANT, rich_help_panel=RUN)] = False,
    quality: Quality = None,
    steps: Annotated[int | None, spec_option("steps", panel=RUN)] = None,
    optimiser: Annotated[str | None, spec_option("optimiser", panel=RUN)] = None,
    line_search: Annotated[str | None, spec_option("line_search", panel=RUN)] = None,
    rate: Annotated[float | None, spec_option("rate", panel=RUN)] = None,
    decay: Annotated[float | None, spec_option("decay", panel=RUN)] = None,
    decay_every: Annotated[int | None, spec_option("decay_every", panel=RUN)] = None,
    average: Annotated[float | None, spec_option("average", panel=RUN)] = None,
    history: Annotated[int | None, spec_option("history", panel=RUN)] = None,
    pyramid: Annotated[bool | None, spec_option("pyramid", "--pyramid/--no-pyramid", panel=RUN)] = None,
    smallest_size: Annotated[int | None, spec_option("smallest_size", panel=RUN)] = None,
    size_factor: Annotated[float | None, spec_option("size_factor", panel=RUN)] = None,
    size_steps: Annotated[str | None, spec_option("size_steps", panel=RUN, metavar="FIRST,BETWEEN,LAST")] = None,
    start: Annotated[str | None, spec_option("start", panel=RUN)] = None,
    seed: Seed = None,
    device: Device = None,
    precision: Annotated[str | None, spec_option("precision", panel=RUN)] = None,
    memory: Memory = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Published recipe (artune recipes lists them); options override it.", rich_help_panel=RUN),
    ] = None,
    spec: Annotated[
        Path | None,
        typer.Option(
            help="YAML or JSON file with options, or a picture made by artune; other options override it.",
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
    keep_steps: Annotated[
        Path | None,
        typer.Option(help="Folder in which to keep the picture after every tenth step.", rich_help_panel=OUTPUT),
    ] = None,
    film: Annotated[
        Path | None,
        typer.Option(help="Film of the picture after each step: mp4, webm, gif, a folder ...", rich_help_panel=OUTPUT),
    ] = None,
    sixteen: Sixteen = False,
    allow_huge: AllowHuge = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Style a photograph, or many."""
    options = given_options(context.params)
    base = by_method(
        base_spec(spec, recipe), instant=instant, method=method, color_only=color_only is not None, recipe=recipe
    )
    wanted = with_options(base, options)
    parted = bool(region or segment)
    weighed = None if wanted.style_weights is None else len(wanted.style_weights)
    given, paintings = divide_pictures([content, *(styles or [])], out, weights=weighed, regions=parted)
    many, place = is_folder(out) or is_many(given[0]), expanded(out)
    parts = Parts.parse(
        [expanded(painting) for painting in paintings],
        region or [],
        segment or [],
        style_mask or [],
        None if segment_model is None else str(expanded(segment_model)),
        segment_weights,
        keep or [],
    )
    found = find_photographs(given, recursive=recursive, out=place) if many else None
    for picture in paintings if found else (given[0], *paintings):
        check_there(picture)
    if not (paintings or parted):
        raise InputError("no style picture was given; give one: artune style photo.jpg painting.jpg -o out.png")
    if film is not None and found is not None:
        raise InputError("--film is for one photograph; leave it out, or style one")
    if film is not None and not wanted.method.paints:
        raise InputError("--film shows the steps of a painting, and --color-only takes none; leave out either")
    if options.get("strength") == "auto" and not wanted.method.paints:
        raise InputError(
            "--strength auto: with --color-only no strength is searched for; give a number, or leave it out"
        )
    for flag, used in (("--recursive", recursive), ("--one-strength", one_strength), ("--format", form)):
        if used and found is None:
            raise InputError(f"{flag} is for photographs that go into a folder; give one: -o styled/")
    if show_tiled:
        check_tiled(many=found is not None, spec=wanted)
    suffix = result_format(out) if found is None else results_format(out, form)
    check_lossy(suffix, jpeg_quality)
    call = Call(
        wanted,
        parts,
        weights,
        overwrite=overwrite,
        resume=resume,
        keep_steps=keep_steps,
        film=film,
        show_tiled=show_tiled,
        bits=16 if sixteen else 8,
        jpeg_quality=jpeg_quality,
        allow_huge=allow_huge,
        quiet=quiet,
        as_json=as_json,
        auto=options.get("strength") == "auto",
    )
    if found is None:
        if len(parts.styles) > 1 and not quiet:
            say(f"{given[0]} in a mix of {len(parts.styles)} styles: {', '.join(map(str, parts.styles))}")
        call.one(expanded(given[0]), place)
    else:
        call.many(found, place, suffix, one_strength=one_strength)


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="File for the result.")] = DEMO,
    photo: Annotated[str, typer.Option(help="A sample photograph by name.")] = "astronaut",
    style: Annotated[str, typer.Option(help="A sample painting by name.")] = "strokes",
    size: Annotated[str, typer.Option(help="Longer side, pixels.")] = "512",
    overwrite: Annotated[
        bool, typer.Option(help="Replace an existing result; the default file is always replaced.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Style a sample photograph: no file and no download needed."""
    from artune.assets import sample_photo, sample_style

    spec = with_options(StyleSpec(), {"size": size_from(size)})
    painting = sample_style(style)
    photograph = sample_photo(photo)
    if not quiet:
        say(f"{photo} in the style {style}")
    Call(spec, Parts((painting,)), overwrite=overwrite or out == DEMO, quiet=quiet).one(photograph, out)
    if not quiet:
        say(f"The picture is at {out.resolve()}")
