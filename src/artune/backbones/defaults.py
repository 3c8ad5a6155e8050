"""Layers and step size that are used with a network where the user chooses none."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from artune.backbones.base import TapInfo

STYLE_TAPS = {"relu1_1": 2.0, "relu2_1": 3.0, "relu3_1": 1.0, "relu4_1": 1.0, "relu5_1": 1.0}
"""Style layers of VGG-19 and their weights. Shallow layers weigh more: fine texture comes nearer to the painting, and
strokes, which many layers carry, stay as near."""

DEEPEST = 16
"""Largest stride of the style layers of a network that has no defaults of its own."""
CONTENT_STRIDE = 8
"""Stride of the content layer of a network that has no defaults of its own."""


@dataclass(frozen=True)
class Defaults:
    """What was found best for a network by experiment (``docs/quality.md``): by default, VGG-19's.

    Attributes:
        content: content taps and their weights.
        style: style taps and their weights.
        tv: weight of total variation at strength 1; it falls with the strength.
        rate: step size of Adam, in units of the pixel range.
        average: decay of the average of the iterates.
    """

    content: Mapping[str, float] = field(default_factory=lambda: {"relu4_1": 1.0})
    style: Mapping[str, float] = field(default_factory=lambda: dict(STYLE_TAPS))
    tv: float = 0.05
    rate: float = 0.03
    average: float = 0.95


VGG_DEFAULTS = Defaults()
"""Those of VGG-19, and of every network whose layers have the names of VGG's."""


def equal(*taps: str) -> dict[str, float]:
    """Taps with the weight 1 each."""
    return dict.fromkeys(taps, 1.0)


def by_stride(taps: Mapping[str, TapInfo]) -> Defaults:
    """Defaults for a network of unknown structure.

    Style: the last block at each stride from 2 to ``DEEPEST``. Content: that at ``CONTENT_STRIDE``, or else the deepest
    of them. Blocks are the taps with the fewest dots in their names.

    Args:
        taps: of the network, in order.
    """
    last: dict[int, str] = {}
    for tap, info in taps.items():
        if info.stride <= DEEPEST and tap.count(".") <= last.get(info.stride, tap).count("."):
            last[info.stride] = tap
    style = {stride: tap for stride, tap in sorted(last.items()) if stride > 1} or last
    return Defaults(equal(style.get(CONTENT_STRIDE, style[max(style)])), equal(*style.values()))
