"""Options that several commands share, and the panels in which help shows them."""

from pathlib import Path
from typing import Annotated

import typer

from artune.cli.arguments import spec_option
from artune.cli.parts import KEEP_FORM
from artune.cli.segment import DEFAULT_MODEL, MODELS
from artune.images.formats import QUALITY

LOOK, PARTS, RUN, FOLDERS, OUTPUT = "The look", "Parts of the picture", "The run", "Many photographs", "The output"

Size = Annotated[str | None, spec_option("size", panel=LOOK)]
Enlarge = Annotated[bool | None, spec_option("enlarge", "--enlarge/--no-enlarge", panel=LOOK)]
Strength = Annotated[str | None, spec_option("strength", panel=LOOK)]
StyleWeights = Annotated[str | None, spec_option("style_weights", panel=LOOK, metavar="W,W...")]
StyleScale = Annotated[float | None, spec_option("style_scale", panel=LOOK)]
Color = Annotated[str | None, spec_option("color", panel=LOOK)]
ColorSpace = Annotated[str | None, spec_option("color_space", panel=LOOK)]
ColorMatch = Annotated[str | None, spec_option("color_match", panel=LOOK)]
Tile = Annotated[str | None, spec_option("tile", panel=LOOK)]
ShowTiled = Annotated[
    Path | None,
    typer.Option(help="File for the result of --tile, repeated 2 x 2 to look at its seams.", rich_help_panel=OUTPUT),
]
KeptParts = Annotated[
    list[str] | None,
    typer.Option(
        help="A part of which more of the photograph is kept, by a mask, or by a name that a segmentation network "
        "finds: 0 changes nothing, 1 leaves the photograph (default: 1); repeatable.",
        metavar=KEEP_FORM,
        rich_help_panel=PARTS,
    ),
]
SegmentModel = Annotated[
    str | None,
    typer.Option(help=f"Segmentation network: {MODELS} (default: {DEFAULT_MODEL})", rich_help_panel=PARTS),
]
SegmentWeights = Annotated[
    Path | None, typer.Option(help="File with the segmentation network's weights.", rich_help_panel=PARTS)
]
Weights = Annotated[Path | None, typer.Option(help="File with the network's weights.", rich_help_panel=LOOK)]
Quality = Annotated[str | None, spec_option("quality", panel=RUN)]
Seed = Annotated[int | None, spec_option("seed", panel=RUN)]
Device = Annotated[str | None, spec_option("device", panel=RUN)]
Memory = Annotated[str | None, spec_option("memory", panel=RUN)]
Recursive = Annotated[
    bool,
    typer.Option("--recursive", "-r", help="Style the photographs in sub-folders, too.", rich_help_panel=FOLDERS),
]
OneStrength = Annotated[
    bool,
    typer.Option(
        "--one-strength",
        help="Use one strength for all photographs, found on a few of them.",
        rich_help_panel=FOLDERS,
    ),
]
Form = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="Format of results that go into a folder, such as jpg (default: png).",
        rich_help_panel=FOLDERS,
    ),
]
Overwrite = Annotated[bool, typer.Option(help="Replace an existing result.", rich_help_panel=OUTPUT)]
JpegQuality = Annotated[
    int | None,
    typer.Option(
        help=f"Quality of a JPEG, WebP, AVIF, HEIC or JPEG XL file (default: {QUALITY}).",
        min=1,
        max=100,
        rich_help_panel=OUTPUT,
    ),
]
Sixteen = Annotated[bool, typer.Option("--16", help="Write 16 bits per channel (PNG, TIFF).", rich_help_panel=OUTPUT)]
AllowHuge = Annotated[
    bool,
    typer.Option("--allow-huge", help="Read pictures of more than 100 million pixels.", rich_help_panel=OUTPUT),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.", rich_help_panel=OUTPUT)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the record of each run as JSON.", rich_help_panel=OUTPUT)]
