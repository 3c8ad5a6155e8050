"""The bootstrap, against distributions that are known."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from artune.studies.bootstrap import resampled


def test_draws_of_one_content_are_binomial():
    """With one content and n styles, a draw is the mean of n independent ones."""
    hits, n = 13, 20
    cells = (np.arange(n) < hits).astype(float)[None, None]
    draws = resampled(cells, 20_000, seed=1)[:, 0]
    assert draws.mean() == pytest.approx(hits / n, abs=0.003)
    for share in (0.025, 0.25, 0.5, 0.75, 0.975):
        assert np.quantile(draws, share) * n == pytest.approx(binom.ppf(share, n, hits / n), abs=1)


def test_what_all_results_of_a_content_share_is_not_counted_often():
    """Where the content alone decides, a hundred styles tell no more than one."""
    n, hits = 16, 12
    cells = np.repeat((np.arange(n) < hits).astype(float)[None, :, None], 100, axis=2)
    share = hits / n
    assert resampled(cells, 20_000).std() == pytest.approx(math.sqrt(share * (1 - share) / n), rel=0.03)


def test_contents_and_styles_are_drawn_once_for_all_weights():
    rng = np.random.default_rng(0)
    cells = np.repeat(rng.integers(0, 2, (1, 6, 5)).astype(float), 3, axis=0)
    draws = resampled(cells, 100, seed=2)
    assert np.array_equal(draws[:, 0], draws[:, 2])
    assert np.ptp(draws[:, 0]) > 0
    assert np.array_equal(draws, resampled(cells, 100, seed=2))
    assert not np.array_equal(draws, resampled(cells, 100, seed=3))


def test_missing_results_are_left_out():
    cells = np.ones((1, 4, 4))
    cells[0, 1, :3] = np.nan
    draws = resampled(cells, 200)
    assert np.all(draws == 1)
    cells[0, :, 1:] = np.nan  # one style is left: some draws hold nothing
    assert np.isnan(resampled(cells, 200)).any()
    assert np.nanmin(resampled(cells, 200)) == 1
