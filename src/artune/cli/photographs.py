"""Which of the given pictures are photographs, and where their results go."""

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from artune.cli.arguments import is_readable
from artune.errors import InputError, PictureError
from artune.files import expanded

MOST_STYLES = 4
"""Largest number of paintings that are mixed without ``--style-weights``; more are usually a glob that the shell has
expanded."""
MOST_NAMED = 5
"""Largest number of files that a message names."""


@dataclass(frozen=True)
class Photographs:
    """The photographs of a call.

    Attributes:
        files: the photographs, in order, each once.
        root: the folder that holds them all; results keep the folders below it.
        skipped: files without the suffix of a picture.
        folders: sub-folders that were not searched.
        styles: pictures that the call uses as styles or masks, and therefore does not style.
    """

    files: tuple[Path, ...]
    root: Path
    skipped: tuple[Path, ...] = ()
    folders: tuple[Path, ...] = ()
    styles: tuple[Path, ...] = ()

    def notes(self) -> list[str]:
        """What was left out, in a line for each reason."""
        lines = []
        if count := len(self.skipped):
            files = "1 file is no picture" if count == 1 else f"{count} files are no pictures"
            lines.append(f"{files} that artune reads: {_listed(self.skipped)}")
        if self.folders:
            lines.append(f"folders are left out without --recursive: {_listed(self.folders)}")
        if self.styles:
            lines.append(f"used as a style or a mask, and not styled: {_listed(self.styles)}")
        return lines

    def without(self, used: Iterable[Path]) -> "Photographs":
        """The photographs without pictures that the call uses otherwise."""
        others = {os.path.realpath(path) for path in used}
        styles = tuple(path for path in self.files if os.path.realpath(path) in others)
        return replace(self, files=tuple(path for path in self.files if path not in styles), styles=styles)


def divide_pictures(
    pictures: Sequence[str], out: str, *, weights: int | None = None, regions: bool = False
) -> tuple[list[str], list[str]]:
    """The photographs and the styles among the pictures of a call, in which a shell may have expanded a glob.

    - If the first picture is a folder or a glob, it stands for all photographs, and the others are styles.
    - Else, if OUT is a folder, the last picture is the style (or as many as have weights), and the others are
      photographs.
    - Else the first picture is the photograph, and the others are styles.

    Args:
        pictures: as they were typed, in order.
        out: where the results go, as it was typed.
        weights: number of weights in ``--style-weights``; ``None`` without them.
        regions: whether regions have styles, so that STYLE may be left out.

    Raises:
        InputError: it is not clear which pictures are photographs; the message shows the forms.
    """
    first, *rest = pictures
    if is_many(first):
        if len(rest) <= 1 or weights is not None:
            return [first], rest
        raise _either(len(pictures), f"{first} is a folder or a glob, and {len(rest)} more follow")
    if is_folder(out):
        if regions and rest:
            raise InputError(
                f"{len(pictures)} pictures, regions and a folder as OUT: the last picture could be a photograph or the "
                "style of the rest. Give the photographs as one folder or a quoted glob ('holiday/*.jpg'), or a file "
                "as OUT"
            )
        at = max(1, len(pictures) - (weights or 1))
        return list(pictures[:at]), list(pictures[at:])
    if len(rest) > 1 and not names_picture(out):
        raise _either(len(pictures), f"{out} could be a folder or a file")
    if len(rest) > MOST_STYLES and weights is None:
        raise _either(len(pictures), f"{len(rest)} styles for {first} are unusual; the shell may have expanded a glob")
    return [first], rest


def is_folder(out: str) -> bool:
    """Whether results go into a folder: one that exists, or a name that ends in a slash."""
    return out.endswith(("/", os.sep)) or (bool(out) and os.path.isdir(expanded(out)))


def is_many(name: str) -> bool:
    """Whether a name stands for several photographs: a folder, or a glob that the shell left as it is."""
    path = expanded(name)
    return (bool(name) and os.path.isdir(path)) or (not os.path.exists(path) and bool(_glob_parts(path)[1]))


def _glob_parts(path: Path) -> tuple[Path, str]:
    """The folder before the first wildcard, and the pattern below it; folders may have brackets in their names."""
    folder, parts = Path(), list(path.parts)
    while parts and (not glob.has_magic(parts[0]) or os.path.exists(folder / parts[0])):
        folder /= parts.pop(0)
    return folder, os.sep.join(parts)


def _matches(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    """What matches a pattern below a folder, some of it several times.

    ``**`` stands for any folders, none included. As with ``--recursive``, links to folders are not followed there.
    """
    if "**" not in parts:
        yield from (folder / match for match in glob.glob(os.sep.join(parts), root_dir=folder))
        return
    at = parts.index("**")
    for begin in _matches(folder, parts[:at]) if at else [folder]:
        for place, folders, _ in os.walk(begin):
            folders[:] = [name for name in folders if not name.startswith(".")]
            rest = parts[at + 1 :] or ["*"]
            yield from _matches(Path(place), rest)


def names_picture(out: str) -> bool:
    """Whether a name has a suffix of the formats that are written."""
    from artune.images.formats import WRITABLE

    return Path(out).suffix.lower() in WRITABLE


def _either(count: int, why: str) -> InputError:
    return InputError(
        f"{count} pictures were given, and it is not clear which are photographs: {why}.\n"
        "  Several photographs and one style, which is the last: -o styled/ (a folder)\n"
        f"  One photograph and several styles: -o styled.png, and --style-weights 1,1,... for more than {MOST_STYLES}\n"
        "  Several of both: the photographs as a folder or a quoted glob ('holiday/*.jpg'), and --style-weights 1,1"
    )


def find_photographs(given: Sequence[str], *, recursive: bool = False, out: Path | None = None) -> Photographs:
    """The photographs that files, folders and globs stand for.

    Args:
        given: as they were typed. A folder stands for the pictures in it. A folder among other pictures, as in what the
            shell makes of ``holiday/*``, counts only with ``recursive``.
        recursive: search sub-folders, too.
        out: the folder of the results; it is not searched if it lies among the photographs.

    Raises:
        InputError: nothing was found, or a file is missing.
        PictureError: a folder cannot be read.
    """
    from artune.images.find import search_folder

    alone = len(given) == 1
    files: list[Path] = []
    walked: list[Path] = []
    unseen: list[Path] = []
    roots: list[Path] = []
    for name, path in zip(given, map(expanded, given), strict=True):
        root, pattern = _glob_parts(path)
        if name and os.path.isdir(path):
            roots.append(path)
            (walked if alone or recursive else unseen).append(path)
        elif os.path.exists(path) or not pattern:
            check_there(name)
            roots.append(path.parent)
            files.append(path)
        else:
            roots.append(root)
            matches = sorted(set(_matches(root, pattern.split(os.sep))))
            files += [match for match in matches if not match.is_dir()]
            if "**" not in pattern:
                (walked if recursive else unseen).extend(match for match in matches if match.is_dir())
    for folder in walked:
        found = search_folder(folder, recursive=recursive)
        files += sorted([*found.pictures, *(path for path in found.skipped if not path.is_dir())])
        unseen += [path for path in found.skipped if path.is_dir()]
    root = roots[0] if alone else Path(os.path.commonpath([os.path.abspath(root) for root in roots]))
    if out is not None and root.resolve() in out.resolve().parents:  # else the photographs may lie in it themselves
        files = [path for path in files if not path.resolve().is_relative_to(out.resolve())]
        unseen = [path for path in unseen if not path.resolve().is_relative_to(out.resolve())]
    each = list({os.path.abspath(path): path for path in files}.values())  # a file may be named, and be in a folder too
    one = alone and not is_many(given[0])  # which is a picture whatever its name says
    pictures = [path for path in each if one or is_readable(path)]
    result = Photographs(tuple(pictures), root, tuple(path for path in each if path not in pictures), tuple(unseen))
    if not pictures:
        raise InputError("; ".join([f"there is no picture in {' '.join(given)}", *result.notes()]))
    return result


def name_results(photographs: Photographs, folder: Path, form: str = "png") -> list[Path]:
    """Where each result goes: to the same place below ``folder`` as its photograph has below the root.

    Photographs whose results would have the same name keep their suffixes: ``a.jpg.png`` and ``a.png.png``.

    Args:
        photographs: of one call.
        folder: for the results.
        form: their suffix, without its dot.
    """
    places = [Path(os.path.relpath(path, photographs.root)) for path in photographs.files]
    whole: set[Path] = set()
    while True:
        outs = [folder / place.with_name(f"{place.name if place in whole else place.stem}.{form}") for place in places]
        count = Counter(str(out).casefold() for out in outs)  # some disks do not tell a from A
        twins = {place for place, out in zip(places, outs, strict=True) if count[str(out).casefold()] > 1} - whole
        if not twins:
            return outs
        whole |= twins


def _listed(paths: Sequence[Path]) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
    return ", ".join(path.name for path in paths[:MOST_NAMED]) + more


def check_there(given: Path | str) -> None:
    """Raise if a picture is missing; called before all other checks, because a typing error is the likeliest fault.

    Raises:
        PictureError: there is no such file; the nearest name is offered.
    """
    if not str(given):
        raise PictureError("the name of a picture is empty")
    picture = expanded(given)
    if re.match(r"[a-z][a-z0-9]+:/", str(given), re.IGNORECASE) and not os.path.exists(picture):
        raise PictureError(f"{given} is a web address; download the picture, and give its file")
    if not os.path.isfile(picture):
        from artune.images.read import read_picture

        read_picture(picture)  # which raises
