"""How far a share that was counted can be trusted."""

import math

Z95 = 1.959964
"""Normal deviate of a two-sided 95 % interval."""


def wilson(right: int, of: int, z: float = Z95) -> tuple[float, float]:
    """Interval of a share of which ``right`` in ``of`` were seen (Wilson 1927); of nothing it is [0, 1]."""
    if of == 0:
        return 0.0, 1.0
    share, z2 = right / of, z * z / of
    middle = (share + z2 / 2) / (1 + z2)
    half = math.sqrt(z2 * (share * (1 - share) + z2 / 4)) / (1 + z2)
    return max(0.0, middle - half), min(1.0, middle + half)
