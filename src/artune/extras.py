"""The optional extras of the package: ``pip install 'artune[NAME]'``."""

from importlib.util import find_spec

from artune.errors import MissingExtraError

EXTRAS = {
    "cluster": ("distributed", "dask_jobqueue"),
    "export": ("onnx", "onnxruntime", "onnxscript"),
    "heif": ("pillow_heif",),
    "jxl": ("pillow_jxl",),
    "photoreal": ("pymatting",),
    "report": ("matplotlib", "jinja2"),
    "segformer": ("transformers",),
    "studies": ("lpips", "pyarrow"),
    "video": ("av", "cv2"),
}
"""The modules that each extra installs, by the name of the extra in ``pyproject.toml``."""


def require(extra: str, what: str) -> None:
    """Raise an error unless an extra is installed; called before the work that needs it.

    Args:
        extra: a name of ``EXTRAS``.
        what: what needs it, for the message.

    Raises:
        MissingExtraError: a module is missing; with the line that installs it.
    """
    for module in EXTRAS[extra]:
        if find_spec(module) is None:
            raise MissingExtraError(what, module, extra)
