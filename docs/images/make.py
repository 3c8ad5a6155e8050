"""Make the README's picture: python docs/images/make.py."""

from pathlib import Path

import numpy as np

from artune.assets import sample_photo, sample_style
from artune.images import Picture, read_picture, write_picture
from artune.transfer.style import style

SIDE, GAP = 400, 12


def main() -> None:
    photo, paintings = sample_photo("cat"), ("strokes", "mosaic", "woodcut")
    rows = []
    for name in paintings:
        result = style(photo, sample_style(name)).picture
        row = [
            read_picture(sample_style(name)).resized(SIDE * 2 // 3, SIDE * 2 // 3),
            result.resized(SIDE, SIDE * 2 // 3),
        ]
        rows.append(row)
    height = SIDE * 2 // 3
    first = read_picture(photo).resized(SIDE, height)
    width = SIDE + GAP + height + GAP + SIDE
    page = np.ones((len(rows) * (height + GAP) - GAP, width, 3), np.float32)
    page[:height, :SIDE] = first.pixels
    for index, (painting, result) in enumerate(rows):
        top = index * (height + GAP)
        page[top : top + height, SIDE + GAP : SIDE + GAP + height] = painting.pixels
        page[top : top + height, SIDE + height + 2 * GAP :] = result.pixels
    write_picture(Picture(page), Path(__file__).with_name("readme.jpg"), quality=88)


if __name__ == "__main__":
    main()
