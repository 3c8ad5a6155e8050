"""Make the pictures of the README and of the documentation.

python docs/images/make.py                  the README's
python docs/images/make.py --vgg16 FILE     the one of docs/networks.md, with weights of VGG-16
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from artune.api import style
from artune.assets import sample_photo, sample_style
from artune.images.picture import Floats, Picture
from artune.images.read import read_picture
from artune.images.write import write_picture

WIDTH, HEIGHT, INSET, GAP = 480, 320, 120, 8
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
    """Tiles in rows."""
    rows = len(tiles) // columns
    whole = np.ones((rows * HEIGHT + (rows - 1) * GAP, columns * WIDTH + (columns - 1) * GAP, 3), np.float32)
    for index, tile in enumerate(tiles):
        top, left = (HEIGHT + GAP) * (index // columns), (WIDTH + GAP) * (index % columns)
        whole[top : top + HEIGHT, left : left + WIDTH] = tile
    return Picture(whole)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vgg16", type=Path, help="weights of VGG-16")
    args = parser.parse_args()
    if args.vgg16:
        networks(args.vgg16)
    else:
        readme()


if __name__ == "__main__":
    main()
