"""The page of a reconstruction: pictures by layer and seed, charts and a table of errors by layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from artune.analysis.reconstruct import (
    ALPHA,
    CHROMA,
    FILES,
    PAGE,
    RANGE,
    VARIATION,
    Errors,
    Item,
    Kind,
    Method,
    Reconstruction,
    read_all,
    spread,
)
from artune.files import expanded, write_together
from artune.images.picture import Picture
from artune.report.charts import Chart, Series, line_chart
from artune.report.page import drawing, page, picture_uri
from artune.report.tables import Table

NAMES: Mapping[tuple[Kind, Method], str] = {
    ("content", "regularised"): "content",
    ("content", "plain"): "content, no regularisation",
    ("content", "inverse"): "learned inverse",
    ("style", "regularised"): "style",
    ("style", "plain"): "style, no regularisation",
}
"""What tables and charts call the pictures."""


@dataclass(frozen=True)
class Row:
    """The pictures of a layer that differ in their seed alone.

    Attributes:
        layer: the tap.
        kind: what was made again.
        method: how.
        pictures: one for each seed.
        errors: of each picture.
        spread: see ``artune.analysis.reconstruct.spread``.
    """

    layer: str
    kind: Kind
    method: Method
    pictures: tuple[Picture, ...]
    errors: tuple[Errors, ...]
    spread: float

    @property
    def name(self) -> str:
        """What tables and charts call it."""
        return NAMES[self.kind, self.method]

    @property
    def mean(self) -> Errors:
        """Mean over the seeds."""
        return Errors(*np.mean(self.errors, 0).tolist())


def measured(asked: Reconstruction, pictures: Mapping[Item, Picture]) -> list[Row]:
    """Measure the pictures as they were written; one row for each layer and way, from shallow to deep."""
    groups: dict[tuple[str, Kind, Method], list[Item]] = {}
    for item in asked.items():
        groups.setdefault((item.layer, item.kind, item.method), []).append(item)
    rows = []
    for key, items in groups.items():
        made = tuple(pictures[item] for item in items)
        errors = tuple(asked.errors(item, pictures[item]) for item in items)
        rows.append(Row(*key, made, errors, spread([picture.pixels for picture in made])))
    return rows


def write_page(folder: Path, asked: Reconstruction, *, name: str, network: str, command: str) -> list[Row]:
    """Measure the pictures of a folder, and write the page, its charts and its table.

    Args:
        folder: with all pictures.
        asked: what was made again.
        name: of the original.
        network: its name.
        command: that makes the page again.

    Returns:
        the rows of the table.

    Raises:
        OutputError: no permission, no space.
        PictureError: a picture of the folder is missing or cannot be read.
    """
    rows = measured(asked, read_all(asked, folder))
    error, noise = error_chart(asked, rows), psnr_chart(asked, rows)
    html = page(
        "artune.analysis",
        "reconstruct.html",
        name=name,
        network=network,
        kinds=asked.kinds,
        sentence=sentence(rows),
        original=picture_uri(asked.picture),
        sheets=[(kind, _sheet(asked, rows, kind)) for kind in asked.kinds],
        error=drawing(error.svg),
        psnr=drawing(noise.svg) if noise else "",
        errors=_shown(rows),
        seeds=asked.seeds,
        steps=asked.steps,
        inverse=asked.inverse is not None,
        variation=VARIATION,
        range=RANGE,
        alpha=ALPHA,
        chroma=CHROMA,
        command=command,
    )
    texts = {"errors.csv": errors_table(asked, rows).csv(), "error.svg": error.svg, PAGE: html}
    data = {each: text.encode() for each, text in texts.items()} | {"error.png": error.png}
    if noise:
        data |= {"psnr.svg": noise.svg.encode(), "psnr.png": noise.png}
    write_together(expanded(folder), {each: data[each] for each in FILES if each in data})
    return rows


def sentence(rows: Sequence[Row]) -> str:
    """What the figures say, in a sentence."""
    found = []
    for kind in dict.fromkeys(row.kind for row in rows):
        own = [row for row in rows if (row.kind, row.method) == (kind, "regularised")]
        ends = own if len(own) == 1 else [own[0], own[-1]]
        if kind == "content":
            parts = [f"from {row.layer} at {row.mean.psnr:.1f} dB (SSIM {row.mean.ssim:.2f})" for row in ends]
            found.append(f"The picture comes back {', '.join(parts)}.")
        else:
            parts = [f"{100 * row.mean.error:.2g} % of the energy at {row.layer}" for row in ends]
            found.append(f"Textures reach the statistics to {', and to '.join(parts)}.")
    return " ".join(found)


def error_chart(asked: Reconstruction, rows: Sequence[Row]) -> Chart:
    """Chart of the relative error of the features by layer, with the range over the seeds."""
    return _chart(asked, rows, "error", "relative error of the features")


def psnr_chart(asked: Reconstruction, rows: Sequence[Row]) -> Chart | None:
    """Chart of the PSNR by layer; ``None`` for textures alone, whose pixels are meant to differ."""
    content = [row for row in rows if row.kind == "content"]
    return _chart(asked, content, "psnr", "PSNR, dB") if content else None


def _chart(asked: Reconstruction, rows: Sequence[Row], what: str, label: str) -> Chart:
    lines: dict[str, Series] = {}
    for name in dict.fromkeys(row.name for row in rows):
        own = [row for row in rows if row.name == name]
        values = [[float(getattr(errors, what)) for errors in row.errors] for row in own]
        lines[name] = Series(
            [float(asked.layers.index(row.layer)) for row in own],
            [float(getattr(row.mean, what)) for row in own],
            [min(each) for each in values],
            [max(each) for each in values],
        )
    ticks = {float(place): layer for place, layer in enumerate(asked.layers)}
    return line_chart(lines, x_label="layer", y_label=label, ticks=ticks, top=None)


def errors_table(asked: Reconstruction, rows: Sequence[Row]) -> Table:
    """A row for each picture.

    Columns:
        layer, of, method, seed: which picture; ``of`` is content or style.
        error: relative error of the features.
        psnr: dB.
        ssim: structural similarity.
        spread: mean over the pairs of seeds of the root mean squared difference of their pictures; empty for one seed.
    """
    cells = []
    for row in rows:
        apart = "" if np.isnan(row.spread) else f"{row.spread:.5f}"
        for seed, each in enumerate(row.errors):
            figures = (f"{each.error:.6g}", f"{each.psnr:.3f}", f"{each.ssim:.5f}", apart)
            cells.append((row.layer, row.kind, row.method, f"{seed}", *figures))
    return Table(("layer", "of", "method", "seed", "error", "psnr", "ssim", "spread"), tuple(cells))


def _shown(rows: Sequence[Row]) -> Table:
    """The table of the page: means over the seeds."""
    cells = []
    for row in rows:
        mean, apart = row.mean, "" if np.isnan(row.spread) else f"{row.spread:.3f}"
        figures = (f"{mean.error:.2g}", f"{mean.psnr:.1f}", f"{mean.ssim:.3f}", apart)
        cells.append((row.layer, row.name, f"{len(row.errors)}", *figures))
    return Table(("layer", "made again", "pictures", "error", "PSNR, dB", "SSIM", "spread"), tuple(cells))


def _sheet(asked: Reconstruction, rows: Sequence[Row], kind: Kind) -> list[tuple[str, list[tuple[str, str]]]]:
    """Layers, and for each the captions and pictures of all that was made of a kind."""
    sheet = []
    for layer in asked.layers:
        shown = []
        for row in rows:
            if (row.layer, row.kind) == (layer, kind):
                what = {"regularised": "seed", "plain": "no regularisation, seed", "inverse": "learned inverse"}[
                    row.method
                ]
                for seed, picture in enumerate(row.pictures):
                    number = "" if row.method == "inverse" else f" {seed}"
                    shown.append((f"{what}{number}", picture_uri(picture)))
        sheet.append((layer, shown))
    return sheet
