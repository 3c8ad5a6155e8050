"""The page of a training: previews and curves of the losses, written anew at every validation."""

import os
from pathlib import Path

import numpy as np

from artune.errors import OutputError
from artune.files import check_writable, expanded, write_together
from artune.fitting import FitStep
from artune.images.read import read_picture
from artune.images.write import write_picture
from artune.learning.training import StyleTraining
from artune.report.charts import Series, line_chart
from artune.report.page import drawing, page, picture_uri
from artune.report.tables import Table

FILES = ("losses.csv", "losses.png", "losses.svg", "index.html")
"""Names of the files beside the previews, in the order in which they are written."""
POINTS = 200
"""Largest number of points of a curve; each is the mean over its steps."""
SHOWN = 12
"""Largest number of previews on the page; all of them stay in the folder."""


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Raise unless the page can be written to a folder without losing anything.

    Raises:
        OutputError: it cannot.
    """
    folder = expanded(folder)
    if folder.is_file():
        raise OutputError(f"{folder} is a file; give a folder for the `page`")
    check_writable(folder / FILES[-1])
    there = [folder / name for name in FILES if os.path.lexists(folder / name)]
    if there and not overwrite:
        raise OutputError(f"{there[0]} exists; --overwrite replaces what is in {folder}")


class TrainingPage:
    """Writes the page of a training.

    Args:
        folder: where; it is made if it is missing.
        name: of the style, for the title.
        training: the training; if it was resumed, the previews before are those in the folder.
    """

    def __init__(self, folder: Path, name: str, training: StyleTraining) -> None:
        self.folder, self.name, self.training = expanded(folder), name, training
        self.shown = len(training.fitting.validations)
        """Number of validations whose previews were written."""

    def add(self, progress: FitStep) -> None:
        """Write the preview after a step, and the page anew.

        Raises:
            OutputError: no permission, no space.
        """
        self.shown = len(progress.validations)
        write_picture(self.training.preview(), self.folder / preview_name(progress.step))
        chart = line_chart(self._curves(), x_label="step", y_label="weighted loss", top=None)
        html = page(
            "artune.learning",
            "train.html",
            name=self.name,
            step=progress.step,
            steps=self.training.steps,
            validation=progress.validations[-1],
            best=min(progress.validations),
            paintings=[picture_uri(each, 320) for each in self.training.sources.paintings(320)],
            photograph=picture_uri(self.training.sources.inputs.photograph, 320),
            previews=[(step, picture_uri(read_picture(path), 512)) for step, path in self._previews(progress.step)],
            chart=drawing(chart.svg),
        )
        data = (self.csv().encode(), chart.png, chart.svg.encode(), html.encode())
        write_together(self.folder, dict(zip(FILES, data, strict=True)))

    def _previews(self, last: int) -> list[tuple[int, Path]]:
        """Steps and files of the previews that the page shows: evenly spread, the newest first."""
        every = self.training.spec.every
        steps = [*range(every, last, every), last]
        chosen = sorted({steps[round(at)] for at in np.linspace(0, len(steps) - 1, SHOWN)}, reverse=True)
        places = [(step, self.folder / preview_name(step)) for step in chosen]
        return [(step, place) for step, place in places if place.is_file()]

    def _curves(self) -> dict[str, Series]:
        """Losses by kind over the steps, and the validation."""
        fitting = self.training.fitting
        lines = {}
        for name, values in fitting.losses.items():
            blocks = np.array_split(np.arange(len(values)), min(POINTS, len(values)))
            steps = [float(1 + block.mean()) for block in blocks]
            lines[name] = Series(steps, [float(np.mean(np.take(values, block))) for block in blocks])
        lines["validation"] = Series(*zip(*self._validations(), strict=True))
        return lines

    def _validations(self) -> list[tuple[float, float]]:
        """Step and value of each validation that is finite; of the first one, if none is."""
        every, found = self.training.spec.every, self.training.fitting.validations
        steps = [float(min(every * (1 + place), self.training.steps)) for place in range(len(found))]
        finite = [(step, value) for step, value in zip(steps, found, strict=True) if np.isfinite(value)]
        return finite or [(steps[0], 0.0)]

    def csv(self) -> str:
        """CSV with a row for each step.

        Columns:
            step: from 1.
            content, style and so on: weighted losses of the step's batch.
            validation: the sum of the losses of the validation after this step; empty where there was none.
        """
        fitting, validated = self.training.fitting, dict(self._validations())
        names = [*fitting.losses]
        rows = [
            (f"{step}", *(f"{value:.6g}" for value in row), f"{validated[step]:.6g}" if step in validated else "")
            for step, row in enumerate(zip(*fitting.losses.values(), strict=True), start=1)
        ]
        return Table(("step", *names, "validation"), tuple(rows)).csv()


def preview_name(step: int) -> str:
    """Name of the file of the preview after a step."""
    return f"{step:06d}.jpg"
