"""Style transfer that tunes itself.

import artune

artune.style("photo.jpg", "painting.jpg").save("out.png")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from artune.api import style as style
    from artune.api import tune as tune
    from artune.backbones.network import Network as Network
    from artune.balance.curve import Balance as Balance
    from artune.balance.curve import Reason as Reason
    from artune.balance.ladder import Tuning as Tuning
    from artune.errors import ArtuneError as ArtuneError
    from artune.images.picture import Picture as Picture
    from artune.images.read import read_picture as read_picture
    from artune.judges.embedding import Judge as Judge
    from artune.recipes import find_recipe as find_recipe
    from artune.regions.segment import load_segmenter as load_segmenter
    from artune.spec.style import Optimise as Optimise
    from artune.spec.style import StyleSpec as StyleSpec
    from artune.transfer.inputs import Masked as Masked
    from artune.transfer.inputs import RegionStyle as RegionStyle
    from artune.transfer.result import Result as Result
    from artune.transfer.run import Progress as Progress

_HOMES = {
    "ArtuneError": "artune.errors",
    "Balance": "artune.balance.curve",
    "Masked": "artune.transfer.inputs",
    "Network": "artune.backbones.network",
    "Optimise": "artune.spec.style",
    "Picture": "artune.images.picture",
    "Progress": "artune.transfer.run",
    "Reason": "artune.balance.curve",
    "RegionStyle": "artune.transfer.inputs",
    "Result": "artune.transfer.result",
    "StyleSpec": "artune.spec.style",
    "find_recipe": "artune.recipes",
    "load_segmenter": "artune.regions.segment",
    "read_picture": "artune.images.read",
    "style": "artune.api",
    "tune": "artune.api",
    "Tuning": "artune.balance.ladder",
    "Judge": "artune.judges.embedding",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Public names are loaded when first used: importing artune imports no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'artune' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
