"""The report of a dissection: a page, and tables as CSV."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from artune.analysis.concepts import Kind
from artune.analysis.crossed import Answers, placement, small
from artune.analysis.dissect import ABOVE, CLASS_ABOVE, Found, LayerUnits, Subject, mask_of, sample_of
from artune.analysis.units import TOP
from artune.files import write_together
from artune.images.picture import Picture, floats
from artune.report.charts import Chart, Series, line_chart
from artune.report.page import drawing, page, picture_uri
from artune.report.tables import Table

Array = np.ndarray
SHOWN = 5
"""Units of each layer on the page: those that match a concept best on the second half."""
FIRM, WEAK = 0.5, 0.1
"""A unit answers to styles and not to contents where styles explain at least the first share of its variance and
contents at most the second; and the reverse."""
TILE = 128
"""Height of pictures on the page, pixels."""
DIMMED = 0.4
"""Brightness of what is outside of a mask."""

HEATED = (0.7, 0.995)
"""Quantiles of the activations for a triple at which a heat map is 0 and full."""


def write_dissection(folder: Path, found: Found) -> None:
    """Write the page and its tables into the folder of a dissection.

    Args:
        folder: of the dissection.
        found: what was found.

    Raises:
        OutputError: no permission, no space.
        PictureError: a picture cannot be read.
    """
    tables = {"shares": shares_table(found), "units": units_table(found)}
    answered = any(found.answers(subject.label) for subject in found.dissection.subjects)
    if answered:
        tables["scores"] = scores_table(found)
    samples = found.dissection.collection.samples
    html = page(
        "artune.analysis",
        "dissect.html",
        summary=summary(found),
        pictures=len(samples),
        halves=[sum(sample.half == half for sample in samples) for half in (0, 1)],
        size=found.dissection.collection.size,
        top=100 * TOP,
        above=ABOVE,
        class_above=CLASS_ABOVE,
        firm=FIRM,
        weak=WEAK,
        shares=tables["shares"],
        kinds=[(kind, drawing(_shares_chart(found, kind).svg)) for kind in found.kinds],
        scores=tables.get("scores"),
        answers=[
            (subject.label, drawing(_answers_chart(found.answers(subject.label)).svg), _extremes(found, subject))
            for subject in found.dissection.subjects
            if found.answers(subject.label)
        ],
        triples=_triples(found),
        networks=_networks(found),
    )
    write_together(
        folder, {**{f"{name}.csv": table.csv().encode() for name, table in tables.items()}, "index.html": html.encode()}
    )


def summary(found: Found) -> str:
    """What was found, in a few sentences."""
    sentences = []
    kinds = [kind for kind in found.kinds if kind != "object"]
    for subject in _asked(found):
        own = _mean_share(found, subject, rotated=False)
        text = f"{subject.label}: {own:.1%} of the units match a {' or '.join(kinds)} above IoU {ABOVE}, "
        text += f"{_mean_share(found, subject, rotated=True):.1%} after random rotations"
        control = next((s for s in found.dissection.subjects if s.control and s.name == subject.name), None)
        if control is not None:
            text += f", {_mean_share(found, control, rotated=False):.1%} with random weights"
        sentences.append(text + ".")
        if answers := found.answers(subject.label):
            chosen = placement(answers)
            sentences.append(
                f"Its scores place the style loss at {', '.join(chosen.style)}, the content loss at "
                f"{', '.join(chosen.content)}."
            )
    return " ".join(sentences)


def _asked(found: Found) -> list[Subject]:
    return [subject for subject in found.dissection.subjects if not subject.control]


def _mean_share(found: Found, subject: Subject, *, rotated: bool) -> float:
    """The share of all units of a network that match any concept of cells."""
    hits = []
    for layer in subject.layers:
        units = found.layers[subject.label][layer]
        any_kind = np.zeros(len(units.threshold), bool)
        for kind in found.kinds:
            if kind != "object":
                any_kind |= units.matched(found.concepts(kind), kind)[1] > ABOVE
        hits.append(any_kind[units.units :] if rotated else any_kind[: units.units])
    return float(np.concatenate(hits).mean())


# ------------------------------------------------------------------------------------- tables


def shares_table(found: Found) -> Table:
    """The share of units that match a concept of each kind, by network and layer, beside rotated units."""
    rows = []
    for subject in found.dissection.subjects:
        for layer in subject.layers:
            for rotated in (False, True):
                shares = (found.share(subject.label, layer, kind, rotated=rotated) for kind in found.kinds)
                count = found.layers[subject.label][layer].units
                rows.append(
                    (
                        subject.label,
                        layer,
                        "rotated" if rotated else "own",
                        str(count),
                        *(f"{share:.3f}" for share in shares),
                    )
                )
    return Table(("network", "layer", "units", "number", *found.kinds), tuple(rows))


def units_table(found: Found) -> Table:
    """Every unit with the concept of each kind that fits it best, and what it answers to."""
    head = ["network", "layer", "unit", "threshold"]
    for kind in found.kinds:
        head += [kind, f"{kind} chosen", f"{kind} reported"]
    rows = []
    for subject in found.dissection.subjects:
        for layer in subject.layers:
            units = found.layers[subject.label][layer]
            matched = {kind: units.matched(found.concepts(kind), kind) for kind in found.kinds}
            for unit in range(units.units):
                row = [subject.label, layer, str(unit), f"{units.threshold[unit]:.4g}"]
                for kind, (places, values) in matched.items():
                    chosen = units.chosen_classes if kind == "object" else units.chosen
                    name = found.concepts(kind)[places[unit]].name
                    row += [name, f"{chosen[unit, places[unit]]:.4f}", f"{values[unit]:.4f}"]
                if units.answers is not None:
                    row += [f"{units.answers.style[unit]:.4f}", f"{units.answers.content[unit]:.4f}"]
                rows.append(tuple(row))
    if any(found.answers(subject.label) for subject in found.dissection.subjects):
        head += ["style", "content"]
    return Table(tuple(head), tuple(rows))


def scores_table(found: Found) -> Table:
    """What the units of each layer answer to, and where that places the losses."""
    rows = []
    for subject in found.dissection.subjects:
        answers = found.answers(subject.label)
        chosen = placement(answers)
        for layer, each in answers.items():
            losses = [name for name, layers in zip(chosen._fields, chosen, strict=True) if layer in layers]
            style, content = _firm(each)
            rows.append(
                (
                    subject.label,
                    layer,
                    f"{each.style.mean():.3f}",
                    f"{each.content.mean():.3f}",
                    f"{style.mean():.3f}",
                    f"{content.mean():.3f}",
                    " and ".join(losses),
                )
            )
    return Table(("network", "layer", "style", "content", "style only", "content only", "loss"), tuple(rows))


def _firm(answers: Answers) -> tuple[Bool[Array, "units"], Bool[Array, "units"]]:
    """Units that answer to styles and not to contents, and the reverse."""
    style = (answers.style >= FIRM) & (answers.content <= WEAK)
    content = (answers.content >= FIRM) & (answers.style <= WEAK)
    return style, content


# ------------------------------------------------------------------------------------- charts


def _shares_chart(found: Found, kind: Kind) -> Chart:
    """The share of units of a kind by layer: a line for each network, and one for the rotations of all asked for."""
    lines = {}
    longest = max((subject.layers for subject in found.dissection.subjects), key=len)
    for subject in found.dissection.subjects:
        shares = [found.share(subject.label, layer, kind) for layer in subject.layers]
        lines[subject.label] = Series(range(len(shares)), shares)
    count = min(len(subject.layers) for subject in found.dissection.subjects)
    rotated = [
        float(np.mean([found.share(s.label, s.layers[i], kind, rotated=True) for s in _asked(found)]))
        for i in range(count)
    ]
    lines["rotated (mean)"] = Series(range(count), rotated)
    return line_chart(
        lines,
        x_label="layer",
        y_label=f"share of units: {kind}",
        ticks=dict(enumerate(longest)),
        top=max(0.05, 1.1 * max(max(line.y) for line in lines.values())),
    )


def _answers_chart(answers: dict[str, Answers]) -> Chart:
    """What the units of each layer answer to, on average."""
    places = range(len(answers))
    return line_chart(
        {
            "style": Series(places, [float(each.style.mean()) for each in answers.values()]),
            "content": Series(places, [float(each.content.mean()) for each in answers.values()]),
        },
        x_label="layer",
        y_label="share of variance explained",
        ticks=dict(enumerate(answers)),
    )


def _extremes(found: Found, subject: Subject) -> list[str]:
    """The units that answer most to one side alone."""
    lines = []
    for name, place in (("styles", 0), ("contents", 1)):
        ranked = sorted(
            (
                (float(answers[place][unit] - answers[1 - place][unit]), layer, unit)
                for layer, answers in found.answers(subject.label).items()
                for unit in range(len(answers.style))
            ),
            reverse=True,
        )[:SHOWN]
        listed = ", ".join(f"{layer} unit {unit} (+{difference:.2f})" for difference, layer, unit in ranked)
        lines.append(f"most to {name}: {listed}")
    return lines


# ------------------------------------------------------------------------------------- pictures


@dataclass(frozen=True)
class _Shown:
    """Pictures of a collection at the size of the page; each is read once."""

    found: Found

    @cached_property
    def _pictures(self) -> dict[int, Picture]:
        return {}

    def of(self, place: int) -> Picture:
        if place not in self._pictures:
            collection = self.found.dissection.collection
            self._pictures[place] = collection.picture(sample_of(self.found, place))
        return self._pictures[place]


def masked(picture: Picture, mask: Bool[Array, "rows columns"]) -> Picture:
    """A picture that is dark outside of a mask of fewer rows and columns."""
    rows = np.arange(picture.size[1]) * mask.shape[0] // picture.size[1]
    columns = np.arange(picture.size[0]) * mask.shape[1] // picture.size[0]
    shown = mask[np.ix_(rows, columns)][..., None]
    return Picture(floats(np.where(shown, picture.pixels, DIMMED * picture.pixels)))


def heated(picture: Picture, heat: Float[Array, "rows columns"], low: float, high: float) -> Picture:
    """A picture in grey, under a heat map: nothing at ``low``, red at ``high``."""
    width, height = picture.size
    share = floats(np.clip((heat - low) / max(high - low, 1e-9), 0, 1))
    large = Picture(floats(np.repeat(share[..., None], 3, 2))).resized(width, height).pixels[..., :1]
    grey = floats(picture.pixels.mean(2, keepdims=True) * 0.6 + 0.2)
    red = np.array([0.85, 0.2, 0.1], np.float32)
    return Picture(floats(grey * (1 - large) + red * large))


def strip(pictures: Sequence[Picture]) -> Picture:
    """Pictures side by side, at one height."""
    tiles = []
    for picture in pictures:
        width, height = picture.size
        tiles.append(picture.resized(max(1, round(width * TILE / height)), TILE).pixels)
        tiles.append(np.ones((TILE, 4, 3), np.float32))
    return Picture(floats(np.concatenate(tiles[:-1], 1)))


def _networks(found: Found) -> list[dict[str, object]]:
    """The units that match best, by network and layer, with the pictures that excite them most."""
    shown = _Shown(found)
    return [
        {
            "label": subject.label,
            "layers": [
                {"name": layer, "units": _best_units(found, shown, found.layers[subject.label][layer])}
                for layer in subject.layers
            ],
        }
        for subject in _asked(found)
    ]


def _best_units(found: Found, shown: _Shown, units: LayerUnits) -> list[dict[str, object]]:
    concepts = found.dissection.collection.concepts
    names = units.chosen[: units.units].argmax(1)
    values = units.reported[np.arange(units.units), names]
    out: list[dict[str, object]] = []
    for unit in np.argsort(-values, kind="stable")[:SHOWN].tolist():
        pictures = [shown.of(int(place)) for place in units.best[unit]]
        masks = [mask_of(units, unit, rank, picture.size) for rank, picture in enumerate(pictures)]
        row = strip([masked(picture, mask) for picture, mask in zip(pictures, masks, strict=True)])
        text = f"unit {unit}: {concepts[int(names[unit])].name}, IoU {values[unit]:.3f}"
        if found.dissection.collection.classes:
            places, precision = units.matched(found.concepts("object"), "object")
            if precision[unit] > found.class_levels[places[unit]]:
                text += f"; {found.concepts('object')[places[unit]].name}, precision +{precision[unit]:.2f}"
        out.append({"text": text, "picture": picture_uri(row)})
    return out


def _triples(found: Found) -> list[dict[str, object]]:
    """Each triple, and the heat maps of the best unit of each layer of each network."""
    out: list[dict[str, object]] = []
    for number, files in enumerate(found.triples):
        pictures = [small(file) for file in files]
        rows = []
        for subject in _asked(found):
            cells = []
            for layer in subject.layers:
                units = found.layers[subject.label][layer]
                heat = units.heat[number, :, 0]
                unit = int(units.heated[0])
                name = found.dissection.collection.concepts[int(units.chosen[unit].argmax())].name
                low, high = np.quantile(heat, HEATED).tolist()
                row = strip([heated(p, each, low, high) for p, each in zip(pictures, heat, strict=True)])
                cells.append({"text": f"{layer}, unit {unit}: {name}", "picture": picture_uri(row)})
            rows.append({"label": subject.label, "cells": cells})
        out.append({"picture": picture_uri(strip(pictures)), "rows": rows})
    return out
