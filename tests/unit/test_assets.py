import hashlib
import http.server
import threading
from pathlib import Path

import pytest

from artune.assets import SAMPLE_PHOTOS, SAMPLE_STYLES, WEIGHTS, Asset, cache_folder, fetch, sample_photo, sample_style
from artune.errors import UnknownNameError, WeightsError
from artune.images.read import read_picture

DATA = bytes(range(256)) * 9000


@pytest.fixture
def server():
    """Serves DATA at /good, half of it at /short with the full length, nothing elsewhere."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path not in ("/good", "/short"):
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(DATA)))
            self.end_headers()
            self.wfile.write(DATA if self.path == "/good" else DATA[: len(DATA) // 2])

        def log_message(self, *args):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def asset(url, sha256=hashlib.sha256(DATA).hexdigest()) -> Asset:
    return Asset("thing.bin", sha256, "MIT", url=url)


def test_a_download_is_checked_kept_and_not_repeated(server):
    told = []
    path = fetch(asset(f"{server}/good"), network="vgg19", progress=lambda done, total: told.append((done, total)))
    assert path == cache_folder() / "thing.bin"
    assert path.read_bytes() == DATA
    assert told[-1] == (len(DATA), len(DATA))
    assert len(told) > 1
    assert fetch(asset("http://127.0.0.1:9/never"), network="vgg19") == path


@pytest.mark.parametrize(
    ("place", "sha256", "message"),
    [
        ("/good", "00" * 32, "is not the file that was asked for"),
        ("/short", hashlib.sha256(DATA).hexdigest(), "ended after"),
        ("/missing", "00", "404"),
    ],
)
def test_a_bad_download_leaves_nothing(server, place, sha256, message):
    with pytest.raises(WeightsError, match=message):
        fetch(asset(server + place, sha256), network="vgg19")
    assert not cache_folder().exists() or not list(cache_folder().iterdir())


def test_without_internet_the_message_says_what_to_do():
    with pytest.raises(WeightsError) as error:
        fetch(asset("http://127.0.0.1:9/vgg19.pth"), network="vgg19")
    message = str(error.value)
    for part in ("http://127.0.0.1:9/vgg19.pth", str(cache_folder() / "thing.bin"), "--weights", "--network compact"):
        assert part in message


def test_a_damaged_file_in_the_cache_is_not_used():
    cache_folder().mkdir(parents=True, exist_ok=True)
    (cache_folder() / "thing.bin").write_bytes(DATA[:-1])
    with pytest.raises(WeightsError, match=r"is damaged.*remove"):
        fetch(asset("http://127.0.0.1:9/"), network="vgg19")


def test_what_is_missing_from_the_package_is_said():
    with pytest.raises(WeightsError, match="reinstall"):
        fetch(Asset("nothing.safetensors", "00", "MIT"), network="compact")


def test_known_weights_have_a_digest_and_a_licence():
    for one in WEIGHTS.values():
        assert len(one.sha256) >= 8
        assert int(one.sha256, 16) >= 0
        assert one.licence


@pytest.mark.parametrize("name", SAMPLE_STYLES)
def test_sample_styles(name):
    assert read_picture(sample_style(name)).size == (512, 512)


@pytest.mark.parametrize("name", SAMPLE_PHOTOS)
def test_sample_photos(name):
    assert min(read_picture(sample_photo(name)).size) >= 300


def test_unknown_samples():
    with pytest.raises(UnknownNameError, match="did you mean mosaic"):
        sample_style("mosiac")
    with pytest.raises(UnknownNameError, match="did you mean coffee"):
        sample_photo("cofee")


def test_a_user_without_a_home_has_a_cache(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    for name in ("ARTUNE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert cache_folder().name == "artune"
