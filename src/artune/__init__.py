"""Style transfer that tunes itself.

import artune

artune.style("photo.jpg", "painting.jpg").save("out.png")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from artune.errors import ArtuneError as ArtuneError
    from artune.images import Picture as Picture
    from artune.images import read_picture as read_picture
    from artune.metrics.judges import Judge as Judge
    from artune.recipes import find_recipe as find_recipe
    from artune.segmentation import load_segmenter as load_segmenter
    from artune.spec import Optimise as Optimise
    from artune.spec import StyleSpec as StyleSpec
    from artune.transfer.inputs import Masked as Masked
    from artune.transfer.inputs import RegionStyle as RegionStyle
    from artune.transfer.network import Network as Network
    from artune.transfer.style import Progress as Progress
    from artune.transfer.style import Result as Result
    from artune.transfer.style import style as style
    from artune.transfer.tune import Tuning as Tuning
    from artune.transfer.tune import tune as tune
    from artune.tuning import Balance as Balance
    from artune.tuning import Reason as Reason

_HOMES = {
    "ArtuneError": "artune.errors",
    "Balance": "artune.tuning",
    "Masked": "artune.transfer.inputs",
    "Network": "artune.transfer.network",
    "Optimise": "artune.spec",
    "Picture": "artune.images",
    "Progress": "artune.transfer.style",
    "Reason": "artune.tuning",
    "RegionStyle": "artune.transfer.inputs",
    "Result": "artune.transfer.style",
    "StyleSpec": "artune.spec",
    "find_recipe": "artune.recipes",
    "load_segmenter": "artune.segmentation",
    "read_picture": "artune.images",
    "style": "artune.transfer.style",
    "tune": "artune.transfer.tune",
    "Tuning": "artune.transfer.tune",
    "Judge": "artune.metrics.judges",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Public names are loaded when first used: importing artune imports no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'artune' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
