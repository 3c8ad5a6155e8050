"""Films that are made of pictures one after the other."""

from fractions import Fraction

import numpy as np
import pytest

from artune.errors import OutputError
from artune.images.picture import Picture
from artune.video import reel as module
from artune.video.read import open_film
from artune.video.reel import Reel


def grey(value, height=8, width=12):
    return Picture(np.full((height, width, 3), value, np.float32))


@pytest.mark.parametrize("name", ["a.gif", "frames"])
def test_pictures_become_a_film(tmp_path, monkeypatch, name):
    monkeypatch.setattr(module, "AT_ONCE", 3)
    with Reel(tmp_path / name, (12, 8), rate=10, hold=1.0) as reel:
        for number in range(7):
            reel.add(grey(number / 10, 4, 6))  # a smaller size than the film's
    frames = [*open_film(tmp_path / name).frames()]
    assert len(frames) == 7
    assert np.allclose([each.picture.pixels.mean() for each in frames], np.arange(7) / 10, atol=0.02)
    if name == "a.gif":
        assert frames[-1].duration == Fraction(11, 10)


def test_nothing_is_written_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), Reel(tmp_path / "a.gif", (12, 8)) as reel:  # noqa: PT012
        reel.add(grey(0.5))
        raise RuntimeError
    with Reel(tmp_path / "a.gif", (12, 8)):
        pass
    assert [*tmp_path.iterdir()] == []


def test_a_suffix_that_is_not_known(tmp_path):
    with pytest.raises(OutputError, match="is no kind of film"):
        Reel(tmp_path / "a.txt", (12, 8))
