"""Which units answer to styles and which to contents: photographs painted like paintings, all by all."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

import artune
from artune.data.folders import class_folder, square
from artune.errors import InputError, PictureError
from artune.files import file_digest
from artune.images.picture import Picture, from_tensor
from artune.images.read import read_picture
from artune.images.write import write_picture

Array = np.ndarray
STRENGTH = 0.7
"""At which photographs are painted."""
SIDE = 160
"""Longer side of the painted pictures, pixels."""
SQUARE = 112
"""Side of their middle squares, of which activations are taken, pixels."""
FEWEST = 2
"""Paintings, and photographs, without which there is no variance."""

OnProgress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is to do."""


class Answers(NamedTuple):
    """The shares of the variance of units' mean activations that the painting and the photograph explain.

    Attributes:
        style: of each unit, by the painting.
        content: of each unit, by the photograph.
    """

    style: Float[Array, "units"]
    content: Float[Array, "units"]


class Placement(NamedTuple):
    """Layers for the losses.

    Attributes:
        style: layers for the style loss.
        content: layers for the content loss.
    """

    style: tuple[str, ...]
    content: tuple[str, ...]


@dataclass(frozen=True)
class Crossed:
    """Photographs and paintings of classes, to be painted all by all.

    Attributes:
        contents: the photographs.
        styles: the paintings.
    """

    contents: tuple[Path, ...]
    styles: tuple[Path, ...]

    @classmethod
    def read(cls, contents: Path, styles: Path, per_class: int) -> "Crossed":
        """The first pictures of each class.

        Args:
            contents: folder of photographs, ``CLASS/*``.
            styles: folder of paintings, ``CLASS/*``.
            per_class: pictures of each class.

        Raises:
            InputError: a folder or a class holds no pictures, or there are fewer than two of either.
        """
        chosen = []
        for what, folder in (("photographs", contents), ("paintings", styles)):
            found = [path for pictures in class_folder(folder).values() for path in pictures[:per_class]]
            if len(found) < FEWEST:
                raise InputError(
                    f"there is {len(found)} of the {what} in {folder}; at least {FEWEST} are needed to compare them"
                )
            chosen.append(tuple(found))
        return cls(*chosen)

    def paint(self, folder: Path, on_progress: OnProgress) -> list[list[Path]]:
        """Paint every photograph like every painting, by the painter; what is in the folder is not painted again.

        Args:
            folder: for the pictures.
            on_progress: called after each picture.

        Returns:
            The files, by painting and photograph.

        Raises:
            PictureError: a picture cannot be read.
            OutputError: no permission, no space.
        """
        names = [[self._name(style, content) for content in self.contents] for style in self.styles]
        total, done = len(self.contents) * len(self.styles), 0
        loaded = None
        for row, content in enumerate(self.contents):
            painter = None
            for column, style in enumerate(self.styles):
                file = folder / names[column][row]
                if not _is_there(file):
                    if painter is None:
                        painter = artune.prepare(content, style, network=loaded, method="instant", size=SIDE)
                        loaded = painter.task.network
                    write_picture(painter.paintings(style)(STRENGTH).picture, file)
                done += 1
                on_progress("painting", done, total)
        return [[folder / name for name in row] for row in names]

    def _name(self, style: Path, content: Path) -> str:
        """Name of a painted picture: a digest of what it is made of."""
        made_of = f"{file_digest(style)} {file_digest(content)} {SIDE} {STRENGTH} {artune.__version__}"
        return hashlib.sha256(made_of.encode()).hexdigest()[:24] + ".png"

    @property
    def digest(self) -> str:
        """sha256 of all that is painted."""
        names = [self._name(style, content) for style in self.styles for content in self.contents]
        return hashlib.sha256(" ".join(names).encode()).hexdigest()


def _is_there(file: Path) -> bool:
    try:
        read_picture(file)
    except PictureError:
        return False
    return True


def explained(values: Float[Array, "units styles contents"]) -> Answers:
    """The shares of variance that two crossed factors explain: omega squared, which is 0 on average by chance.

    ``omega^2_A = (SS_A - df_A MS_R) / (SS_T + MS_R)`` (Hays 1963; Olejnik and Algina 2003), where R is what neither
    factor explains: their interaction and noise, as each pair occurs once. Values below 0 count as 0. Without the
    correction (eta squared) a factor of many levels would explain much by chance.

    Args:
        values: one of each unit for each painting and photograph; at least two of both.
    """
    _, styles, contents = values.shape
    centred = values - values.mean((1, 2), keepdims=True)
    total = np.square(centred).sum((1, 2))
    of_style = contents * np.square(centred.mean(2)).sum(1)
    of_content = styles * np.square(centred.mean(1)).sum(1)
    noise = np.maximum(total - of_style - of_content, 0) / ((styles - 1) * (contents - 1))
    whole = np.where(total + noise > 0, total + noise, 1)
    return Answers(
        np.clip((of_style - (styles - 1) * noise) / whole, 0, 1),
        np.clip((of_content - (contents - 1) * noise) / whole, 0, 1),
    )


def placement(answers: Mapping[str, Answers]) -> Placement:
    """Layers for the losses, by what their units answer to.

    Layers are ranked by the share of style in what style and content explain together, on average over units. The
    upper half of them (rounded up) gets the style loss, the last one, or the last quarter of them, the content loss.

    Args:
        answers: of the units of each layer, in the order of the network.
    """

    def balance(layer: str) -> float:
        style, content = (float(each.mean()) for each in answers[layer])
        return style / (style + content) if style + content > 0 else 0.5

    ranked = sorted(answers, key=balance, reverse=True)
    style, content = ranked[: -(-len(ranked) // 2)], ranked[-max(1, len(ranked) // 4) :]
    return Placement(*(tuple(layer for layer in answers if layer in chosen) for chosen in (style, content)))


def reversed_placement(answers: Mapping[str, Answers]) -> Placement:
    """The opposite of ``placement``: each loss where the other answers."""
    return placement({layer: Answers(each.content, each.style) for layer, each in answers.items()})


def pairs_shown(files: Sequence[Sequence[Path]], crossed: Crossed, most: int) -> list[tuple[Path, Path, Path]]:
    """Some photographs, paintings and results: another photograph and another painting each time."""
    count = min(most, len(crossed.styles), len(crossed.contents))
    steps = (len(crossed.styles) // count, len(crossed.contents) // count)
    places = [(i * steps[0], i * steps[1]) for i in range(count)]
    return [(crossed.contents[c], crossed.styles[s], files[s][c]) for s, c in places]


def small(file: Path) -> Picture:
    """A picture at the size of the painted ones."""
    return read_picture(file).reduced(SIDE)


def middle_square(file: Path) -> Picture:
    """The middle square of a painted picture, at one size for all."""
    return from_tensor(square(read_picture(file).tensor(), SQUARE))
