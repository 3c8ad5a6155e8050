"""Styled films in Chromium: a browser plays them, with their sound, and shows the frames at their times."""

import shutil
from fractions import Fraction

import numpy as np
import pytest
from typer.testing import CliRunner

from artune.cli import app
from artune.images.picture import Picture
from artune.images.write import write_picture
from tests.films import frames_of, panned, rgb, write_frames
from tests.scripts import imported

THERE = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(THERE is None, reason="Chromium is missing: install chromium")]
LOAD = """(async () => {
    const video = document.querySelector('video');
    video.src = URL.createObjectURL(await (await fetch('NAME')).blob());
    await new Promise((done, failed) => {
        video.onloadeddata = done;
        video.onerror = () => failed(new Error(video.error.message));
    });
    return [video.videoWidth, video.videoHeight, video.duration];
})()"""
SEEK = """(async () => {
    const video = document.querySelector('video');
    await new Promise((done) => { video.onseeked = done; video.currentTime = TIME; });
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight), context = canvas.getContext('2d');
    context.drawImage(video, 0, 0);
    return [...context.getImageData(0, 0, canvas.width, canvas.height).data];
})()"""
PLAY = """(async () => {
    const video = document.querySelector('video');
    video.currentTime = 0;
    await video.play();
    await new Promise((done) => { video.onended = done; });
    return video.webkitAudioDecodedByteCount;
})()"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A page with a film, and styled films of twelve frames with a tone."""
    folder = tmp_path_factory.mktemp("plays")
    rng = np.random.default_rng(0)
    wide = Picture(rng.random((6, 14, 3)).astype(np.float32)).resized(128, 64).pixels
    given = [rgb(frame, "bgr0") for frame in panned(wide, 12, 96, 2)]
    write_frames(folder / "film.mkv", given, rate=24, sounds=["libopus"])
    write_picture(Picture(np.kron(rng.random((8, 8, 3)), np.ones((5, 5, 1))).astype(np.float32)), folder / "a.png")
    (folder / "index.html").write_text("<!doctype html><video muted></video>")
    for name in ("out.mp4", "out.webm"):
        words = ["video", "film.mkv", name, "a.png"]
        given = [str(folder / word) if "." in word else word for word in words]
        done = CliRunner().invoke(app, [*given, "--size", "96", "--strength", "0.6", "--crf", "10"])
        assert done.exit_code == 0, done.output
    return folder


@pytest.mark.parametrize("name", ["out.mp4", "out.webm"])
def test_a_browser_plays_a_film(folder, name):
    frames = frames_of(folder / name)
    with imported("chromium") as module, module.Chromium(["--autoplay-policy=no-user-gesture-required"]) as browser:
        server = module.serve(folder)
        try:
            browser.open(f"http://{server.address}/index.html")
            browser.wait("document.querySelector('video') !== null")
            width, height, seconds = browser.evaluate(LOAD.replace("NAME", name))
            assert (width, height) == (96, 64)
            assert seconds == pytest.approx(12 / 24, abs=0.05)
            shown = []
            for number in (0, 5, 11):
                time = float(Fraction(2 * number + 1, 48))
                data = np.reshape(browser.evaluate(SEEK.replace("TIME", str(time))), (height, width, 4))[..., :3]
                shown.append(data)
                assert np.abs(data - frames[number].astype(float)).mean() < 4, number
            assert np.abs(shown[0] - shown[2]).mean() > 8  # it moves
            assert browser.evaluate(PLAY) > 0
        finally:
            server.close()
