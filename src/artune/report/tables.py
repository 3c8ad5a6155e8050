"""Tables, as CSV and Markdown."""

import csv
import io
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        head: names of the columns.
        rows: cells of each row, one for each column.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def csv(self) -> str:
        """Comma-separated values; the first line is the head."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.head, *self.rows])
        return text.getvalue()

    def markdown(self) -> str:
        """A Markdown table with aligned columns; those after the first are aligned to the right."""
        lines = [tuple(cell.replace("|", "\\|") for cell in row) for row in (self.head, *self.rows)]
        widths = [max(3, *(len(cell) for cell in column)) for column in zip(*lines, strict=True)]

        def line(cells: tuple[str, ...]) -> str:
            first, *others = (
                cell.rjust(width) if place else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
            )
            return "| " + " | ".join([first, *others]) + " |"

        rule = (
            "| " + " | ".join("-" * (width - 1) + (":" if place else "-") for place, width in enumerate(widths)) + " |"
        )
        return "\n".join([line(lines[0]), rule, *map(line, lines[1:])]) + "\n"
