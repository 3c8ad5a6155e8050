"""Total variation of pictures that repeat. Of others, see test_terms.py."""

import pytest
import torch

from artune.images.resize import WRAPS
from artune.losses.variation import total_variation


def picture():
    return torch.rand((2, 3, 6, 7), generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("kind", ["l2", "l1", "nine-point"])
def test_a_shift_changes_nothing(kind):
    image, mask = picture(), torch.rand((1, 1, 6, 7), dtype=torch.float64)
    for given in (None, mask):
        before = total_variation(image, given, kind=kind, wraps=WRAPS["both"])
        moved = None if given is None else given.roll((2, 3), (2, 3))
        after = total_variation(image.roll((2, 3), (2, 3)), moved, kind=kind, wraps=WRAPS["both"])
        torch.testing.assert_close(after, before)


@pytest.mark.parametrize(("tile", "pairs"), [("x", 6 * 7 + 5 * 7), ("y", 6 * 6 + 6 * 7), ("both", 2 * 6 * 7)])
def test_the_pairs_across_the_seam_count(tile, pairs):
    image, wraps = picture(), WRAPS[tile]
    total, count = total_variation(image, wraps=wraps)
    inside, _ = total_variation(image)
    seam = torch.zeros(2, dtype=torch.float64)
    if wraps.across:
        seam += (image[..., 0] - image[..., -1]).square().sum((1, 2))
    if wraps.down:
        seam += (image[..., 0, :] - image[..., -1, :]).square().sum((1, 2))
    torch.testing.assert_close(total, inside + seam)
    assert count.tolist() == [pairs, pairs]
