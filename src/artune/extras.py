"""The optional extras of the package: ``pip install 'artune[NAME]'``."""

from importlib.util import find_spec

from artune.errors import MissingExtraError

EXTRAS = {
    "heif": ("pillow_heif",),
    "photoreal": ("pymatting",),
    "report": ("matplotlib", "jinja2"),
    "segformer": ("transformers",),
}
"""The modules that each extra brings, by its name in ``pyproject.toml``."""


def require(extra: str, what: str) -> None:
    """Refuse at once what cannot be done later, where an extra is not installed.

    Args:
        extra: a name of ``EXTRAS``.
        what: is to be done with it, for the message.

    Raises:
        MissingExtraError: with the line that installs it.
    """
    for module in EXTRAS[extra]:
        if find_spec(module) is None:
            raise MissingExtraError(what, module, extra)
