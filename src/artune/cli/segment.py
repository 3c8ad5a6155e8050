"""``artune segment``: write the masks of the parts of a picture that a network finds."""

from pathlib import Path
from typing import Annotated

import typer

from artune.cli.arguments import spec_option
from artune.cli.display import download_bar, loading, say
from artune.errors import PictureError

DEFAULT_MODEL = "deeplabv3_resnet50"
MODELS = "deeplabv3_resnet50, deeplabv3_mobilenet_v3_large, or the name or folder of a SegFormer from Hugging Face."


def segment(
    picture: Annotated[Path, typer.Argument(help="Photograph.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the masks, a PNG for each part.")],
    model: Annotated[
        str, typer.Option("--model", "--segment-model", help=f"Segmentation network: {MODELS}")
    ] = DEFAULT_MODEL,
    weights: Annotated[
        Path | None, typer.Option("--weights", "--segment-weights", help="File with the network's weights.")
    ] = None,
    device: Annotated[str | None, spec_option("device")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace existing masks.")] = False,
    allow_huge: Annotated[
        bool, typer.Option("--allow-huge", help="Read pictures of more than 100 million pixels.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Find the parts of a picture, and write their masks for artune style --region."""
    with loading():
        from artune.files import check_writable
        from artune.images.read import read_picture
        from artune.machine import choose_device
        from artune.regions.segment import load_segmenter, write_masks

    photograph = read_picture(picture, allow_huge=allow_huge)
    check_writable(out / "mask.png")
    with download_bar(quiet) as on_bytes:
        segmenter = load_segmenter(model, weights=weights, device=choose_device(device or "auto"), on_bytes=on_bytes)
    written = write_masks(segmenter, photograph, out, overwrite=overwrite)
    for path, share in written.items():
        if not quiet:
            say(f"{path}: {share:.1%} of the picture")
    if not written:
        raise PictureError(f"the network finds nothing in {picture}; give another picture, or draw the masks")
