"""One strength for many photographs."""

import pytest

from artune.balance.shared import common_strength, shared_strength, spread
from artune.errors import InputError, PictureError


@pytest.mark.parametrize(
    ("items", "count", "chosen"),
    [(10, 5, [1, 3, 5, 7, 9]), (3, 5, [0, 1, 2]), (5, 5, [0, 1, 2, 3, 4]), (100, 1, [50]), (7, 2, [1, 5])],
)
def test_a_few_are_spread_evenly(items, count, chosen):
    assert spread(range(items), count) == chosen


def test_no_photograph_is_chosen_twice_and_both_ends_are_as_near():
    for items in range(1, 60):
        chosen = spread(range(items), 5)
        assert len(set(chosen)) == min(items, 5)
        assert abs(chosen[0] - (items - 1 - chosen[-1])) <= 1


def test_the_median_in_log_odds():
    assert common_strength([0.2, 0.9, 0.5]) == 0.5
    assert common_strength([0.2, 0.8]) == 0.5  # odds 1:4 and 4:1
    assert common_strength([0.5, 0.8]) == 0.667  # odds 1 and 4: 2


def test_it_is_found_on_a_few_and_those_that_fail_are_passed_over():
    asked = []

    def find(photograph):
        asked.append(photograph)
        if photograph == 3:
            raise PictureError("damaged")
        return 0.4

    assert shared_strength(range(10), find) == 0.4
    assert asked == [1, 3, 5, 7, 9]


def test_none_found():
    def find(photograph):
        raise PictureError(f"{photograph} is damaged")

    with pytest.raises(InputError, match="one strength for all photographs: b is damaged"):
        shared_strength(["a", "b"], find)
