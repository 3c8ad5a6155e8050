import pytest

from artune.spec.style import Optimise
from artune.transfer.sizes import STEPS, least_size, planned


@pytest.mark.parametrize(
    ("size", "sizes"), [(512, [128, 256, 512]), (300, [150, 300]), (64, [64]), (2048, [128, 256, 512, 1024, 2048])]
)
def test_the_pyramid_doubles(size, sizes):
    rungs = planned(Optimise(), size)
    assert [rung.size for rung in rungs] == sizes
    if size >= 512:
        assert rungs[0].steps == STEPS["normal"][0]
    if size == 512:
        assert rungs[-1].steps == STEPS["normal"][2]


@pytest.mark.parametrize("steps", [0, 1, 7, 100, 999])
def test_steps_are_divided_without_loss(steps):
    assert sum(rung.steps for rung in planned(Optimise(steps=steps), 512)) == steps


@pytest.mark.parametrize(("shape", "size"), [((300, 200), 24), ((200, 300), 24), ((100, 100), 16), ((301, 200), 25)])
def test_the_least_size_has_enough_pixels_on_the_shorter_side(shape, size):
    assert least_size(shape, 16) == size
