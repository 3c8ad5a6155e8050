"""Make the pictures of the README and of the documentation.

python docs/images/make.py                  the README's
python docs/images/make.py --looks          those of docs/looks.md
python docs/images/make.py --layers         the one of docs/reconstruct.md
python docs/images/make.py --vgg16 FILE     the one of docs/networks.md, with weights of VGG-16
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from artune.analysis.reconstruct import Item, Reconstruction
from artune.api import style
from artune.assets import sample_photo, sample_style
from artune.backbones.registry import load_network
from artune.engine.descend import run_to_end
from artune.images.picture import Floats, Picture
from artune.images.read import read_picture
from artune.images.write import write_picture
from artune.spec.style import ColorOnly
from artune.transfer.inputs import Keep

WIDTH, HEIGHT, INSET, GAP, SMALL = 480, 320, 120, 8, 240
MAPS = ("transport", "moments", "histogram")
HERE = Path(__file__).parent


def readme() -> None:
    """A photograph, and its results in three styles."""
    photo = sample_photo("cat")
    tiles = [read_picture(photo).resized(WIDTH, HEIGHT).pixels]
    for name in ("strokes", "mosaic", "woodcut"):
        painting = sample_style(name)
        tiles.append(with_inset(style(photo, painting).picture.resized(WIDTH, HEIGHT), read_picture(painting)))
    write_picture(page(tiles, columns=2), HERE / "readme.jpg", quality=88)


def networks(vgg16: Path) -> None:
    """Three pairs: results of VGG-16 above those of the bundled network."""
    pairs = [("cat", "strokes"), ("astronaut", "mosaic"), ("coffee", "woodcut")]
    tiles = []
    for network, weights in (("vgg16", vgg16), ("compact", None)):
        for photo, name in pairs:
            painting = sample_style(name)
            result = style(sample_photo(photo), painting, network=network, weights=weights, strength=0.5)
            tiles.append(with_inset(cropped(result.picture), read_picture(painting)))
    write_picture(page(tiles, columns=3), HERE / "vgg16.jpg", quality=88)


def looks() -> None:
    """A result that repeats beside one that does not; a photograph in a painting's colours; a face that is kept."""
    photo, painting = sample_photo("cat"), sample_style("woodcut")
    pair = [style(photo, painting, size=240, strength=0.7, tile=tile).picture.repeated() for tile in ("none", "both")]
    write_picture(page([picture.pixels for picture in pair], columns=2), HERE / "tile.jpg", quality=85)

    photo, painting = sample_photo("coffee"), sample_style("washes")
    tiles = [read_picture(photo).resized(SMALL, SMALL * 2 // 3), read_picture(painting).resized(SMALL, SMALL * 2 // 3)]
    tiles += [style(photo, painting, size=SMALL, method=ColorOnly(color_only=how)).picture for how in MAPS]
    tiles = [each.resized(SMALL, SMALL * 2 // 3) for each in tiles]
    write_picture(page([each.pixels for each in tiles], columns=5), HERE / "colours.jpg", quality=88)

    photo, painting = sample_photo("astronaut"), sample_style("strokes")
    y, x = np.mgrid[0:512, 0:512]
    face = np.clip(3 - 2 * np.hypot((x - 222) / 62, (y - 118) / 84), 0, 1)  # an ellipse with a soft edge
    shares = ([], [Keep(face, 0.5)], [Keep(face)])
    tiles = [style(photo, painting, strength=0.8, keeps=keeps).picture for keeps in shares]
    upper = [each.pixels[:320, 60:400] for each in tiles]
    write_picture(page(upper, columns=3), HERE / "keep.jpg", quality=86)


def layers() -> None:
    """What five layers of the bundled network hold of a photograph: the picture above, its texture below."""
    network, digest = load_network("compact")
    taps = [f"relu{block}_1" for block in range(1, 6)]
    asked = Reconstruction.prepare(
        read_picture(sample_photo("cat")), network, digest, taps, of="both", size=112, steps=60
    )
    tiles = []
    for kind in asked.kinds:
        tiles.append(asked.picture.pixels)
        tiles += [run_to_end(asked.make(Item(tap, kind, "regularised", 0))).pixels for tap in taps]
    write_picture(page(tiles, columns=6), HERE / "reconstruct.jpg", quality=85)


def cropped(picture: Picture) -> Picture:
    """The middle of a picture, at the size of a tile."""
    width, height = picture.size
    wide, high = min(width, height * WIDTH // HEIGHT), min(height, width * HEIGHT // WIDTH)
    top, left = (height - high) // 2, (width - wide) // 2
    return Picture(picture.pixels[top : top + high, left : left + wide]).resized(WIDTH, HEIGHT)


def with_inset(result: Picture, painting: Picture) -> Floats:
    """A result with its painting in the corner."""
    tile = result.pixels.copy()
    tile[HEIGHT - INSET - 4 :, : INSET + 4] = 1
    tile[HEIGHT - INSET :, :INSET] = painting.resized(INSET, INSET).pixels
    return tile


def page(tiles: Sequence[Floats], columns: int) -> Picture:
    """Tiles of one size in rows."""
    rows, (height, width) = len(tiles) // columns, tiles[0].shape[:2]
    whole = np.ones((rows * height + (rows - 1) * GAP, columns * width + (columns - 1) * GAP, 3), np.float32)
    for index, tile in enumerate(tiles):
        top, left = (height + GAP) * (index // columns), (width + GAP) * (index % columns)
        whole[top : top + height, left : left + width] = tile
    return Picture(whole)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vgg16", type=Path, help="weights of VGG-16")
    parser.add_argument("--looks", action="store_true", help="make the pictures of docs/looks.md")
    parser.add_argument("--layers", action="store_true", help="make the picture of docs/reconstruct.md")
    args = parser.parse_args()
    if args.vgg16:
        networks(args.vgg16)
    elif args.looks:
        looks()
    elif args.layers:
        layers()
    else:
        readme()


if __name__ == "__main__":
    main()
