"""Everything that artune raises on purpose.

    ArtuneError (Exception)
    ├── InputError (ValueError)        something that was given cannot be used
    │   ├── UnknownNameError           a network, layer, loss or option that does not exist
    │   ├── PictureError               a picture that cannot be read, or must not be
    │   ├── SpecError                  a spec with a wrong shape or a value out of range
    │   ├── CheckpointError            a checkpoint that is damaged or belongs to another run
    │   └── MissingExtraError          something that an optional extra of the package does
    ├── WeightsError                   weights that are missing, damaged or do not fit
    ├── OutputError (OSError)          a place that cannot be written
    └── ResourceError (MemoryError)    not enough memory for the size asked for

and what it warns of:

    ArtuneWarning (UserWarning)        something was mended that may not be what was meant

A message says what was given, what is needed and what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class ArtuneError(Exception):
    """Root of all errors that artune raises on purpose."""


class InputError(ArtuneError, ValueError):
    """Something that was given cannot be used."""


MOST_NAMES = 60
"""Names that a message lists; of more it says how many there are."""


class UnknownNameError(InputError):
    """A name that does not exist; the message offers the nearest ones.

    Args:
        kind: what was named (``network``, ``layer``).
        name: what was given.
        known: the names there are; of very many the message lists the first.
        where: where they were looked for.
        why: why a name that is known elsewhere is missing here.
        also: names that mean the same, offered when near, and not listed.
    """

    def __init__(
        self, kind: str, name: str, known: Iterable[str], *, where: str = "", why: str = "", also: Iterable[str] = ()
    ) -> None:
        names = list(known)
        message = f"there is no {kind} {name!r}" + (f" in {where}" if where else "")
        if why:
            message += f": {why}"
        close = get_close_matches(name, [*names, *also], n=3, cutoff=0.6)
        message += f"; did you mean {' or '.join(close)}?" if close else "."
        listed = ", ".join(names[:MOST_NAMES]) + (f" ... ({len(names)} in all)" if len(names) > MOST_NAMES else "")
        super().__init__(f"{message} Known: {listed}.")
        self.name = name


class PictureError(InputError):
    """A picture that cannot be read, or must not be."""


class SpecError(InputError):
    """A spec with a wrong shape or a value out of range."""


class CheckpointError(InputError):
    """A checkpoint that is damaged or belongs to another run."""


class MissingExtraError(InputError):
    """Something that an optional extra of the package does, which is not installed.

    Args:
        what: was asked for (``the matting Laplacian``).
        package: that does it.
        extra: of artune that brings the package.
    """

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(f"{what} needs {package}, which is not installed: pip install 'artune[{extra}]'")


class WeightsError(ArtuneError):
    """Weights that are missing, damaged or do not fit."""


class OutputError(ArtuneError, OSError):
    """A place that cannot be written."""


class ResourceError(ArtuneError, MemoryError):
    """Not enough memory for the size asked for."""


class ArtuneWarning(UserWarning):
    """Something that was given was mended, and may not be what was meant."""
