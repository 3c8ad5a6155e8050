"""``artune segment``: the masks of what is in a picture."""

from pathlib import Path
from typing import Annotated

import typer

from artune.cli.arguments import spec_option
from artune.cli.display import download_bar, loading, say

DEFAULT_MODEL = "deeplabv3_resnet50"
MODELS = "deeplabv3_resnet50, deeplabv3_mobilenet_v3_large, or the name or folder of a SegFormer from Hugging Face."


def segment(
    picture: Annotated[Path, typer.Argument(help="Photograph.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the masks, one PNG per part.")],
    model: Annotated[str, typer.Option(help=MODELS)] = DEFAULT_MODEL,
    weights: Annotated[Path | None, typer.Option(help="File with the network's weights.")] = None,
    device: Annotated[str | None, spec_option("device")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace existing masks.")] = False,
    allow_huge: Annotated[bool, typer.Option("--allow-huge", help="Read pictures above 100 million pixels.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Find the parts of a picture, for artune style --region."""
    with loading():
        from artune.images import read_picture
        from artune.segmentation import load_segmenter, write_masks
        from artune.transfer.machine import choose_device

    photograph = read_picture(picture, allow_huge=allow_huge)
    with download_bar(quiet) as told:
        segmenter = load_segmenter(model, weights=weights, device=choose_device(device or "auto"), progress=told)
    for path, share in write_masks(segmenter, photograph, out, replace=overwrite).items():
        if not quiet:
            say(f"{path}: {share:.1%} of the picture")
