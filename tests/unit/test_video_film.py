"""A film, from reading to writing."""

import json

import numpy as np
import pytest
import torch

import artune
from artune.assets import PAINTER, locate
from artune.backbones.network import Network
from artune.errors import CheckpointError, InputError, OutputError, PictureError, SpecError
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.write import write_picture
from artune.regions.segment import Segmenter
from artune.spec.style import Instant, Optimise, StyleSpec
from artune.transfer.inputs import Keep, Masked, RegionStyle
from artune.transfer.methods import method_of
from artune.video import stylise
from artune.video.film import FilmPart, check_result, film_run, load_for_film, style_film
from artune.video.read import open_film
from artune.video.stylise import style_frames, write_so_far
from tests.films import film_file, frames_of, panned, sound_packets
from tests.trained import write_johnson

SMALL = {"size": 48, "strength": 0.6}


@pytest.fixture(scope="module")
def network():
    spec = StyleSpec(method=Instant())
    return method_of(spec).load(spec, None, None)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Two scenes of ten frames each, 48x32, with a tone."""
    small = np.random.default_rng(0).random((6, 14, 3)).astype(np.float32)
    wide = Picture(small).resized(96, 32).pixels
    frames = [*panned(wide, 10, 48), *panned(1 - wide[:, ::-1], 10, 48)]
    return film_file(tmp_path_factory.mktemp("film") / "film.mkv", frames)


@pytest.fixture(scope="module")
def painting():
    cells = np.random.default_rng(1).random((8, 8, 3)).astype(np.float32)
    return Picture(np.kron(cells, np.ones((5, 5, 1), np.float32)))


@pytest.fixture(scope="module")
def whole(film, painting, network, tmp_path_factory):
    """The bytes of the styled film, in segments of eight frames."""
    out = tmp_path_factory.mktemp("whole") / "out.mkv"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stylise, "MOST_SEGMENT", 8)
        style_film(film, out, painting, network=network, **SMALL)
    return out.read_bytes()


def test_a_film_is_styled_with_its_sound(film, tmp_path, painting, network):
    out = tmp_path / "out.mkv"
    events = []
    found = style_film(film, out, painting, network=network, on_step=events.append, **SMALL)
    assert found == out
    frames, before = frames_of(out), frames_of(film)
    assert len(frames) == 20
    assert frames[0].shape == (32, 48, 3)
    assert np.abs(frames[5].astype(int) - before[5]).mean() > 8
    assert sound_packets(out) == sound_packets(film)
    assert not (tmp_path / "out.mkv.partial").exists()
    assert [each.event for each in events if each.event not in ("frame", "scanned")] == [
        "scene",
        "scene",
        "begins",
        "ends",
    ]
    assert sum(each.event == "frame" for each in events) == 20
    times = [frame.time for frame in open_film(out).frames()]
    assert times == [frame.time for frame in open_film(film).frames()]


def test_the_first_frame_is_that_of_a_picture(film, tmp_path, painting, network):
    folder = tmp_path / "frames"
    style_film(film, folder, painting, network=network, part=FilmPart(end=0.08), **SMALL)
    first = next(open_film(film).frames()).picture
    alone = artune.style(first, painting, method=Instant(), network=network, **SMALL).picture
    made = sorted(folder.iterdir())
    assert len(made) == 2
    assert np.abs(read_picture(made[0]).pixels - alone.pixels).max() <= 0.5 / 255 + 1e-6


class Killed(BaseException):
    """As if the process had been killed."""


@pytest.mark.parametrize("after", [1, 8, 13])
def test_a_killed_film_is_resumed_to_the_same_bytes(film, tmp_path, painting, network, whole, monkeypatch, after):
    monkeypatch.setattr(stylise, "SAVED_EVERY", 0.0)
    monkeypatch.setattr(stylise, "MOST_SEGMENT", 8)
    out = tmp_path / "out.mkv"

    def kill(progress):
        if progress.event == "frame" and progress.done == after:
            raise Killed

    with pytest.raises(Killed):
        style_film(film, out, painting, network=network, on_step=kill, **SMALL)
    assert not out.exists()
    again = []
    style_film(film, out, painting, network=network, resume=True, on_step=again.append, **SMALL)
    assert sum(each.event == "frame" for each in again) <= 20 - after + 1
    assert out.read_bytes() == whole


def test_a_kill_between_state_and_segment(film, tmp_path, painting, network, whole, monkeypatch):
    monkeypatch.setattr(stylise, "MOST_SEGMENT", 8)
    out = tmp_path / "out.mkv"

    def kill(*given):
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):  # noqa: PT012
        patched.setattr(stylise, "write_segment", kill)
        style_film(film, out, painting, network=network, **SMALL)
    style_film(film, out, painting, network=network, resume=True, **SMALL)
    assert out.read_bytes() == whole


def test_a_cancelled_film_plays_and_is_resumed(film, tmp_path, painting, network, whole, monkeypatch):
    monkeypatch.setattr(stylise, "MOST_SEGMENT", 8)
    out = tmp_path / "out.mkv"
    given = {"network": network, **SMALL}
    found = style_film(film, out, painting, on_step=lambda p: p.event == "frame" and p.done == 11, **given)
    assert found == out
    assert len(frames_of(out)) == 11
    assert len(sound_packets(out)) < len(sound_packets(film))
    style_film(film, out, painting, resume=True, **given)
    assert out.read_bytes() == whole
    assert style_film(film, tmp_path / "b.mkv", painting, on_step=lambda p: p.event == "scene", **given) is None
    assert not (tmp_path / "b.mkv").exists()


def test_another_film_is_not_resumed(film, tmp_path, painting, network):
    out = tmp_path / "out.mkv"
    run = film_run(film, out, painting, network=network, **SMALL)
    frames = style_frames(run)
    assert any(progress.event == "frame" for progress in frames)
    frames.close()
    with pytest.raises(CheckpointError, match=r"begun with another `strength` \(.*, here 0\.7\); give the same"):
        style_film(film, out, painting, network=network, resume=True, size=48, strength=0.7)
    with pytest.raises(OutputError, match="begun and not finished"):
        style_film(film, out, painting, network=network, **SMALL)
    assert write_so_far(run) == 1


def test_a_result_that_exists_is_left(film, tmp_path, painting, network):
    out = tmp_path / "out.mkv"
    out.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists"):
        style_film(film, out, painting, network=network, **SMALL)
    with pytest.raises(OutputError, match="exists"):
        style_film(film, out, painting, network=network, resume=True, **SMALL)
    assert out.read_bytes() == b"mine"
    check_result(film_run(film, out, painting, network=network, **SMALL), overwrite=True, resume=False)


def test_each_scene_has_its_strength(film, tmp_path, painting, network, monkeypatch):
    asked = []

    class Balance:
        strength = 0.4

    class Found:
        balance = Balance

    def find(task):
        asked.append(task.inputs.photograph.pixels.mean())
        return Found

    monkeypatch.setattr(stylise.api, "find_strength", find)
    strengths = []
    given = {"network": network, "size": 48, "part": FilmPart(end=0.54)}
    style_film(film, tmp_path / "o.mkv", painting, on_step=lambda p: strengths.append(p.strength), **given)
    assert len(asked) == 6
    assert [each for each in strengths if each] == [0.4, 0.4]


def test_parts_of_the_film(film, tmp_path, painting, network):
    out = tmp_path / "out.mkv"
    part = FilmPart(0.08, 0.499, 3, False)
    style_film(film, out, painting, network=network, part=part, **SMALL)
    frames = [*open_film(out).frames()]
    assert [round(float(frame.time), 3) for frame in frames] == [0.003, 0.128, 0.253, 0.378]  # .mkv has milliseconds
    assert open_film(out).info.sounds == ()
    with pytest.raises(PictureError, match="no frame between"):
        style_film(film, tmp_path / "none.mkv", painting, network=network, part=FilmPart(start=100), **SMALL)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"start": -1}, "`start` is -1"),
        ({"start": float("nan")}, "`start` is nan"),
        ({"start": 3, "end": 3}, "not after `start`"),
        ({"every": 0}, "`every` is 0"),
        ({"end": 2e9}, "`end` is"),
    ],
)
def test_parts_that_cannot_be(given, message):
    with pytest.raises(SpecError, match=message):
        FilmPart(**given)


def test_a_mask_for_each_frame(film, tmp_path, painting, network):
    masks = tmp_path / "masks"
    masks.mkdir()
    for number in range(20):
        pixels = np.zeros((32, 48, 3), np.float32)
        pixels[:, : 2 * number] = 1
        write_picture(Picture(pixels), masks / f"{number}.png")
    out = tmp_path / "frames"
    region = RegionStyle(str(masks), painting)
    style_film(film, out, regions=[region], network=network, part=FilmPart(end=0.55, sound=False), **SMALL)
    before, frames = frames_of(film), [frame.picture.pixels for frame in open_film(out).frames()]
    for number in (0, 4, 12):
        apart = np.abs(frames[number] - before[number] / 255).mean(2)
        assert apart[:, 2 * number + 1 :].max() < 1e-6
        assert number == 0 or apart[:, : 2 * number - 2].mean() > 0.03
    for part in (FilmPart(start=0.2), FilmPart(every=2)):
        with pytest.raises(
            PictureError, match=r"has 20 masks for 1\d frames that are styled; give one for each of them"
        ):
            style_film(film, tmp_path / "c.mkv", regions=[region], network=network, part=part, **SMALL)
    (masks / "19.png").unlink()
    with pytest.raises(PictureError, match="has 19 masks for 20 frames that are styled"):
        style_film(film, tmp_path / "b.mkv", regions=[region], network=network, **SMALL)
    assert not (tmp_path / "b.mkv.partial").exists()


def test_other_masks_are_another_film(film, tmp_path, painting, network):
    """Also where only one mask of a folder is another one."""
    masks = tmp_path / "masks"
    masks.mkdir()
    for number in range(20):
        write_picture(Picture(np.ones((32, 48, 3), np.float32)), masks / f"{number}.png")
    region = RegionStyle(str(masks), painting)
    before = film_run(film, tmp_path / "a.mkv", regions=[region], network=network, **SMALL).parts()
    half = np.ones((32, 48, 3), np.float32)
    half[:16] = 0
    write_picture(Picture(half), masks / "7.png")
    after = film_run(film, tmp_path / "a.mkv", regions=[region], network=network, **SMALL).parts()
    assert {name for name in before if before[name] != after[name]} == {"region 0"}


def test_a_fault_in_the_first_frame_leaves_nothing_behind(film, tmp_path, painting, network):
    (tmp_path / "masks").mkdir()
    for number in range(20):
        (tmp_path / "masks" / f"{number}.png").write_bytes(b"no picture")
    region = RegionStyle(str(tmp_path / "masks"), painting)
    with pytest.raises(PictureError):
        style_film(film, tmp_path / "b.mkv", regions=[region], network=network, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]


@pytest.mark.parametrize("place", ["frames", "frames/%04d.png"])
def test_the_frames_of_the_input_are_not_lost(tmp_path, painting, network, place):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(1, 4):
        write_picture(Picture(np.full((32, 48, 3), number / 4, np.float32)), folder / f"{number:04d}.png")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for source in ("frames", "frames/%04d.png"):
        with pytest.raises(OutputError, match="is one of the inputs, and would be lost"):
            style_film(tmp_path / source, tmp_path / place, painting, network=network, overwrite=True, **SMALL)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_shorter_film_leaves_no_frames_of_a_longer_one(film, tmp_path, painting, network):
    (tmp_path / "out").mkdir()
    for number in range(1, 8):
        (tmp_path / "out" / f"{number:04d}.png").write_bytes(b"old")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    given, part = {"network": network, **SMALL}, FilmPart(end=0.1, sound=False)
    with pytest.raises(OutputError, match="`overwrite` replaces all of them"):
        style_film(film, tmp_path / "out", painting, part=part, **given)
    style_film(film, tmp_path / "out", painting, part=part, overwrite=True, **given)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["0001.png", "0002.png", "0003.png", "notes.txt"]


def test_a_film_of_a_few_pixels(tmp_path, painting, network):
    """Smaller than a patch of the search for motion."""
    frames = panned(np.random.default_rng(0).random((8, 20, 3)).astype(np.float32), 4, 8)
    source = film_file(tmp_path / "film.mkv", frames)
    out = tmp_path / "out.gif"
    style_film(source, out, painting, network=network, size="original", strength=0.5, part=FilmPart(sound=False))
    assert open_film(out).info.size == (8, 8)


def test_a_method_without_strength_tells_none(film, tmp_path, painting):
    path = tmp_path / "style.safetensors"
    write_johnson(path, painting)
    style, seen = artune.load_style(path), []
    part = FilmPart(end=0.1, sound=False)
    spec = style.spec.model_copy(update={"size": 48})
    style_film(film, tmp_path / "o.gif", spec=spec, network=style.network, part=part, on_step=seen.append)
    assert [each.strength for each in seen if each.event == "scene"] == [None]


def test_parts_are_kept_by_a_mask_for_each_frame(film, tmp_path, painting, network):
    masks = tmp_path / "masks"
    masks.mkdir()
    for number in range(3):
        pixels = np.zeros((32, 48, 3), np.float32)
        pixels[:, : 16 * number] = 1
        write_picture(Picture(pixels), masks / f"{number}.png")
    given, part = {"network": network, **SMALL}, FilmPart(end=0.12, sound=False)
    style_film(film, tmp_path / "kept", painting, keeps=[Keep(str(masks))], part=part, **given)
    style_film(film, tmp_path / "plain", painting, part=part, **given)
    before = frames_of(film)
    kept, plain = ([each.picture.pixels for each in open_film(tmp_path / name).frames()] for name in ("kept", "plain"))
    for number, columns in enumerate((0, 16, 32)):
        apart, usual = (np.abs(each[number] - before[number] / 255).mean((0, 2)) for each in (kept, plain))
        assert columns == 0 or apart[: columns - 6].max() < 0.5 * usual[: columns - 6].mean()
        assert apart[columns + 6 :].mean() > 0.7 * usual[columns + 6 :].mean()


def test_what_a_network_finds_may_be_absent(film, tmp_path, painting, network):
    """The second class is light; the film's last frames are dark in its segmenter's eyes, as a thing that has left."""
    seen = []

    def logits(image):
        seen.append(len(seen))
        there = 1.0 if len(seen) <= 2 else -1.0
        light = torch.full((1, 1, 32, 48), there)
        light[..., 24:] = -1
        return torch.cat([-light, light], 1) * 20

    segmenter = Segmenter(logits, ("wall", "thing"), side=32)
    out = tmp_path / "frames"
    segments = [RegionStyle("thing", painting), Keep("wall", 0.5)]
    part = FilmPart(end=0.16, sound=False)
    style_film(film, out, segments=segments, segmenter=segmenter, part=part, network=network, **SMALL)
    before, frames = frames_of(film), [frame.picture.pixels for frame in open_film(out).frames()]
    apart = [np.abs(frame - given / 255).mean((0, 2)) for frame, given in zip(frames, before, strict=False)]
    assert len(frames) == 4
    assert min(each[:20].mean() for each in apart[:2]) > 0.03
    assert max(each[28:].max() for each in apart) < 1e-6
    assert apart[3][:20].mean() < 0.5 * apart[0][:20].mean()  # its mask fades along the flow


def test_what_names_the_result_is_in_it(film, tmp_path, painting, network):
    out = tmp_path / "out.mkv"
    style_film(film, out, painting, network=network, **SMALL)
    note = json.loads(open_film(out).info.metadata["comment"])
    assert note["spec"]["strength"] == 0.6


def test_an_optimised_film(film, tmp_path, painting):
    out = tmp_path / "out.gif"
    method = Optimise(size_steps=(1, 1, 2))
    style_film(film, out, painting, method=method, part=FilmPart(end=0.12, sound=False), **SMALL)
    assert len([*open_film(out).frames()]) == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"moments": [0, 1]}, "2 times for 1 paintings"),
        ({"moments": [0], "style_weights": (1.0,)}, "both weigh"),
        ({"segments": [RegionStyle("person", "a.png")]}, "needs a `segmenter`"),
        ({"crf": 99}, "`crf` is 99"),
        ({"rate": float("nan")}, "`rate`"),
        ({"rate": 24}, "has times of its own"),
        ({"moments": [float("inf")]}, "`moments`"),
    ],
)
def test_options_that_cannot_be(film, tmp_path, painting, network, given, message):
    write_picture(painting, tmp_path / "a.png")
    for region in given.get("segments", []):
        object.__setattr__(region, "style", str(tmp_path / "a.png"))
    with pytest.raises(InputError, match=message):
        film_run(film, tmp_path / "out.mkv", painting, network=network, **{**SMALL, **given})


def test_films_have_a_painter_of_their_own():
    spec = StyleSpec(method=Instant())
    pictures, films = method_of(spec).load(spec, None, None), load_for_film(spec)
    assert pictures.digest != films.digest
    assert load_for_film(spec, locate(PAINTER)).digest == pictures.digest
    assert isinstance(load_for_film(StyleSpec()), Network)


def test_no_painting_is_told(film, tmp_path):
    with pytest.raises(InputError, match="no style picture"):
        film_run(film, tmp_path / "out.mkv")


def test_the_key_depends_on_all_that_the_frames_depend_on(film, tmp_path, painting, photo, network):
    def key(*styles, **given):
        run = film_run(film, tmp_path / "o.mkv", *styles, network=network, **{**SMALL, **given})
        return frozenset(run.parts().items())

    mask = np.ones((40, 40), np.float32)
    mask[:20] = 0
    keys = [
        key(painting),
        key(photo),
        key(Masked(painting, mask)),
        key(painting, strength=0.5),
        key(painting, crf=30),
        key(painting, part=FilmPart(every=2)),
        key(painting, photo, moments=[0, 1]),
        key(painting, photo, moments=[0, 2]),
        key(painting, regions=[RegionStyle(np.ones((32, 48), np.float32), photo)]),
        key(painting, regions=[RegionStyle(np.ones((32, 48), np.float32), photo, 0.3)]),
        key(painting, keeps=[Keep(np.ones((32, 48), np.float32))]),
        key(painting, keeps=[Keep(np.pad(np.zeros((16, 16), np.float32), 16, constant_values=1))]),
        key(painting, keeps=[Keep(np.ones((32, 48), np.float32), 0.5)]),
    ]
    assert len({*keys}) == len(keys)
    assert keys[0] == key(painting)
