"""Names of the labels of a map: from a file beside it, or those of Pascal VOC, known by its colours."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from artune.errors import InputError

HEX = re.compile(r"#?([0-9a-fA-F]{6})")
"""A colour ``rrggbb``, also after a ``#``."""

VOC = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""The classes of Pascal VOC by their numbers, which DeepLabV3 finds; its maps are known by their colours."""

_VOC_VOID = "e0e0c0"  # of the borders between things


def label_names(path: Path) -> dict[int | str, str] | None:
    """Names of the labels of a map, by number or by colour ``rrggbb``; ``None`` where no file names them.

    Looked for beside the map as ``MAP.json`` or ``MAP.txt``, then as ``labels.json`` or ``labels.txt`` in its folder
    and in the folder above. JSON is a list of names from number 0 on, an object of names by number or colour, of
    numbers or colours by name, or the ``config.json`` of a network, with its ``id2label``. Text is a name in each
    line, from number 0 on, or a number, a colour ``#rrggbb`` or three values of 0 to 255 before each name.

    Raises:
        InputError: the file does not name labels.
    """
    beside = [path.with_suffix(".json"), path.with_suffix(".txt")]
    around = [
        folder / f"labels{suffix}" for folder in (path.parent, path.parent.parent) for suffix in (".json", ".txt")
    ]
    file = next((file for file in (*beside, *around) if file.is_file()), None)
    if file is None:
        return None
    try:
        text = file.read_text("utf-8-sig")
        named = _json_names(json.loads(text)) if file.suffix == ".json" else _text_names(text.splitlines())
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{file} does not name the labels of {path}: {error}; give a list of names, or names by number or colour"
        ) from error
    return {key: name.strip() for key, name in named.items()}


def _json_names(data: Any) -> dict[int | str, str]:
    if isinstance(data, list):
        return {number: str(name) for number, name in enumerate(data)}
    named = data.get("id2label", data)
    if _are_names(named.values(), named.keys()):
        return {_key(key): name for key, name in named.items()}
    return {_key(key): name for name, key in named.items()}


def _are_names(values: Iterable[Any], keys: Iterable[str]) -> bool:
    """Whether the values of an object are names and its keys are numbers or colours; if not, it is the other way round.

    Words such as facade can be read as colours. Where both sides can be read so, the side with more digits or ``#`` is
    that of the numbers and colours.
    """
    values, keys = list(values), list(keys)
    if not all(isinstance(value, str) for value in values) or not all(map(_is_key, keys)):
        return False
    return not all(map(_is_key, values)) or _with_digits(keys) >= _with_digits(values)


def _is_key(text: str) -> bool:
    return text.isdecimal() or HEX.fullmatch(text) is not None


def _with_digits(texts: Iterable[str]) -> int:
    return sum(re.search(r"[#\d]", text) is not None for text in texts)


def _text_names(lines: Sequence[str]) -> dict[int | str, str]:
    between = r"[\s:,=]+"
    form = re.compile(rf"(#[0-9a-fA-F]{{6}}|\d+{between}\d+{between}\d+|\d+){between}(\S.*)")
    named: dict[int | str, str] = {}
    for number, line in enumerate(line.strip() for line in lines if line.strip()):
        found = form.fullmatch(line)
        if found is None:
            named[number] = line
            continue
        values = [int(value) if value.isdecimal() else value for value in re.split(between, found[1])]
        named[_key(values if len(values) == 3 else values[0])] = found[2]
    return named


def _key(value: Any) -> int | str:
    """A number, or a colour as ``rrggbb``, of what a file says."""
    if isinstance(value, list):
        red, green, blue = (int(part) for part in value)
        return f"{red:02x}{green:02x}{blue:02x}"
    if isinstance(value, int):
        return value
    colour = HEX.fullmatch(value)
    return colour[1].lower() if colour else int(value)


def voc_names(colours: Sequence[str]) -> dict[int | str, str] | None:
    """The names of Pascal VOC, where all colours are of its palette, and not black and white alone."""
    palette: dict[int | str, str] = {_voc_colour(number): name for number, name in enumerate(VOC)}
    palette[_VOC_VOID] = "border"
    things = set(colours) - {"000000", _VOC_VOID}
    return palette if things and things <= palette.keys() else None


def _voc_colour(number: int) -> str:
    """Pascal VOC's colour of a class: bits of its number, dealt in turn to red, green and blue, from the top down."""
    parts = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            parts[channel] |= (number >> (3 * bit + channel) & 1) << (7 - bit)
    return "{:02x}{:02x}{:02x}".format(*parts)
