"""Films of real clips, measured as ``benchmarks/video.py`` does."""

from dataclasses import replace

import pytest

from artune.transfer.inputs import read_painting
from artune.transfer.methods import method_of
from artune.video.film import load_for_film
from artune.video.styler import Look
from tests.scripts import imported

pytestmark = [pytest.mark.assets, pytest.mark.filterwarnings("ignore:.* has a border:artune.errors.ArtuneWarning")]


@pytest.fixture(scope="module")
def script():
    with imported("video") as module:
        yield module


@pytest.mark.parametrize("name", ["blackswan", "dance-twirl"])
def test_a_film_flickers_less_than_its_frames_one_by_one_and_is_as_sharp(assets, script, name):
    clip = script.clip_of(assets, name, 8, 320)
    spec = script.METHODS["instant"].model_copy(update={"size": 320})
    painting = read_painting(assets / "data/styleid/style/06.jpg", False)
    alone, _ = script.styled(Look(spec, (painting,), method_of(spec).load(spec, None, None)), clip, alone=True)
    film, _ = script.styled(Look(spec, (painting,), load_for_film(spec)), clip, alone=False)
    origins = script.Origins(clip)
    assert origins.errors(film, 1) < 0.3 * origins.errors(alone, 1)
    assert script.sharpness(film) > 0.85 * script.sharpness(alone)
    ends = replace(clip, frames=[clip.frames[0], clip.frames[-1]])
    far = script.Origins(ends).errors
    assert far([film[0], film[-1]], 1) < 0.7 * far([alone[0], alone[-1]], 1)
