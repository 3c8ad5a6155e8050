"""Everything that artune raises on purpose.

    ArtuneError (Exception)
    ├── InputError (ValueError)        something that was given cannot be used
    │   ├── UnknownNameError           there is no network, layer, loss or option of that name
    │   ├── PictureError               a picture cannot be read, or is refused
    │   │   └── EmptyMaskError         nothing is in a mask
    │   ├── SpecError                  a spec has a wrong shape, or a value is out of range
    │   ├── CheckpointError            a checkpoint is damaged, or belongs to another run
    │   └── MissingExtraError          an optional extra of the package is needed and not installed
    ├── WeightsError                   weights are missing, damaged, or do not fit
    ├── OutputError (OSError)          a file or folder cannot be written
    └── ResourceError (MemoryError)    there is not enough memory for the size asked for
        └── WorkersLostError           the workers of a cluster that carried out a run died

and the category of its warnings:

    ArtuneWarning (UserWarning)        the input was corrected; the result may not be what was meant

A message says what was given, what is needed and what to do. It writes parameters in backticks (`` `size` ``); the
command line shows them as its flags (``--size``).
"""

from collections.abc import Iterable
from difflib import get_close_matches


class ArtuneError(Exception):
    """The root of all errors that artune raises on purpose."""


class InputError(ArtuneError, ValueError):
    """Something that was given cannot be used."""


MOST_NAMES = 60
"""How many names a message lists; where there are more, it says how many."""


class UnknownNameError(InputError):
    """There is no such name; the message offers the nearest ones.

    Args:
        kind: what the name stands for (``network``, ``layer``).
        name: what was given.
        known: all names there are; the message lists the first ``MOST_NAMES``.
        where: where the name was looked for, such as a network or a file.
        why: why a name that exists elsewhere is missing here.
        also: other spellings; they are offered where they are near, and not listed.
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
    """A picture cannot be read, or is refused."""


class EmptyMaskError(PictureError):
    """Nothing is in a mask: it is 0 everywhere, or has no part of that name."""


class SpecError(InputError):
    """A spec has a wrong shape, or a value is out of range."""


class CheckpointError(InputError):
    """A checkpoint is damaged, or belongs to another run."""


class MissingExtraError(InputError):
    """An optional extra of the package is needed and not installed.

    Args:
        what: what was asked for, such as ``the matting Laplacian``.
        package: the package that is missing.
        extra: the extra of artune that installs it.
    """

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(f"{what} needs {package}, which is not installed: pip install 'artune[{extra}]'")


class WeightsError(ArtuneError):
    """Weights are missing, damaged, or do not fit."""


class OutputError(ArtuneError, OSError):
    """A file or folder cannot be written."""


class ResourceError(ArtuneError, MemoryError):
    """There is not enough memory for the size asked for."""


class WorkersLostError(ResourceError):
    """The workers of a cluster that carried out a run died, perhaps for lack of memory."""


class ArtuneWarning(UserWarning):
    """The input was corrected; the result may not be what was meant."""
