"""Make the README's picture: python docs/images/make.py."""

from pathlib import Path

import numpy as np

from artune.api import style
from artune.assets import sample_photo, sample_style
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.write import write_picture

WIDTH, HEIGHT, INSET, GAP = 480, 320, 120, 8


def main() -> None:
    photo = sample_photo("cat")
    tiles = [read_picture(photo).resized(WIDTH, HEIGHT).pixels]
    for name in ("strokes", "mosaic", "woodcut"):
        painting = sample_style(name)
        tile = style(photo, painting).picture.resized(WIDTH, HEIGHT).pixels.copy()
        tile[HEIGHT - INSET - 4 :, : INSET + 4] = 1
        tile[HEIGHT - INSET :, :INSET] = read_picture(painting).resized(INSET, INSET).pixels
        tiles.append(tile)
    page = np.ones((2 * HEIGHT + GAP, 2 * WIDTH + GAP, 3), np.float32)
    for index, tile in enumerate(tiles):
        top, left = (HEIGHT + GAP) * (index // 2), (WIDTH + GAP) * (index % 2)
        page[top : top + HEIGHT, left : left + WIDTH] = tile
    write_picture(Picture(page), Path(__file__).with_name("readme.jpg"), quality=88)


if __name__ == "__main__":
    main()
