"""Means over contents and styles, and how far they can be trusted: the pigeonhole bootstrap.

The contents and the styles of a study were drawn from many, and every content meets every style. So a band comes from
drawing both anew, independently of each other (Owen 2007, "The pigeonhole bootstrap", Annals of Applied Statistics 1).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Array = np.ndarray
DRAWS = 1000
"""Number of bootstrap draws."""
INNER = (0.025, 0.975)
"""Quantiles of the draws at the ends of a band, which holds 95 % of them."""


@dataclass(frozen=True)
class Band:
    """Values at each weight, and the ends of the intervals that hold 95 % of the draws."""

    value: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def resampled(cells: Float[Array, "w c s"], draws: int = DRAWS, seed: int = 0) -> Float[Array, "draws w"]:
    """Means over contents and styles that are drawn anew, with replacement and independently of each other.

    Args:
        cells: a value at each weight for each content and style; NaN where it is missing.
        draws: number of draws.
        seed: of the draws; the same one draws the same contents and styles.

    Returns:
        The mean at each weight in each draw; NaN where a draw holds missing values alone.
    """
    rng = np.random.default_rng(seed)
    _, contents, styles = cells.shape
    rows = rng.multinomial(contents, np.full(contents, 1 / contents), draws)
    columns = rng.multinomial(styles, np.full(styles, 1 / styles), draws)

    def weighted_sum(values: Float[Array, "w c s"]) -> Float[Array, "draws w"]:
        return np.asarray(np.einsum("di,dj,wij->dw", rows, columns, values, optimize=True), np.float64)

    with np.errstate(invalid="ignore"):
        total: Array = weighted_sum(np.nan_to_num(cells)) / weighted_sum(~np.isnan(cells) * 1.0)
        return total


def means(cells: Float[Array, "w c s"]) -> Float[Array, "w"]:
    """Means over contents and styles."""
    return np.asarray(np.nanmean(cells, axis=(1, 2)), np.float64)


def band_of(cells: Float[Array, "w c s"], draws: int, seed: int) -> Band:
    """Means over contents and styles, with their bands."""
    low, high = np.nanquantile(resampled(cells, draws, seed), INNER, axis=0)
    return Band(tuple(means(cells).tolist()), tuple(low.tolist()), tuple(high.tolist()))
