import hashlib
import http.server
import os
import pickle
import tempfile
import threading
import time
from pathlib import Path

import platformdirs
import pytest
import torch

from artune.assets import (
    ABANDONED,
    SAMPLE_PHOTOS,
    SAMPLE_STYLES,
    Asset,
    cache_folder,
    fetch,
    read_weights,
    sample_photo,
    sample_style,
)
from artune.errors import UnknownNameError, WeightsError
from artune.files import atomic
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
    path, digest = fetch(
        asset(f"{server}/good"), network="vgg19", on_bytes=lambda done, total: told.append((done, total))
    )
    assert path == cache_folder() / "thing.bin"
    assert path.read_bytes() == DATA
    assert digest == hashlib.sha256(DATA).hexdigest()
    assert told[-1] == (len(DATA), len(DATA))
    assert len(told) > 1
    assert fetch(asset("http://127.0.0.1:9/never"), network="vgg19") == (path, digest)


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
    for part in ("http://127.0.0.1:9/vgg19.pth", str(cache_folder() / "thing.bin"), "`weights`", "`network` compact"):
        assert part in message


def test_a_damaged_file_in_the_cache_is_not_used():
    cache_folder().mkdir(parents=True, exist_ok=True)
    (cache_folder() / "thing.bin").write_bytes(DATA[:-1])
    with pytest.raises(WeightsError, match=r"is damaged.*remove"):
        fetch(asset("http://127.0.0.1:9/"), network="vgg19")


def test_what_is_missing_from_the_package_is_said():
    with pytest.raises(WeightsError, match="reinstall"):
        fetch(Asset("nothing.safetensors", "00", "MIT"), network="compact")


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


def test_the_cache_is_where_the_user_or_the_system_keeps_it(monkeypatch):
    monkeypatch.setenv("ARTUNE_CACHE", "~/kept")
    assert cache_folder() == Path.home() / "kept"
    monkeypatch.setenv("ARTUNE_CACHE", "")
    assert cache_folder() == platformdirs.user_cache_path("artune", appauthor=False)


@pytest.mark.parametrize("answer", [RuntimeError("no home"), Path("~/.cache/artune")])
def test_a_user_without_a_home_has_a_cache(answer, monkeypatch):
    """platformdirs raises, or leaves the tilde as it is."""

    def homeless(*args, **more):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.delenv("ARTUNE_CACHE", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_path", homeless)
    assert cache_folder() == Path(tempfile.gettempdir()) / "artune"


def test_what_a_killed_download_left_is_removed_and_a_running_one_is_not(server):
    with atomic(cache_folder() / "thing.bin") as killed, atomic(cache_folder() / "thing.bin") as running:
        past = time.time() - ABANDONED - 1
        os.utime(killed, (past, past))
        path, _ = fetch(asset(f"{server}/good"), network="vgg19")
        assert path.read_bytes() == DATA
        assert {*cache_folder().iterdir()} == {path, running}
        killed.touch()  # atomic takes it away again


def test_a_left_over_that_another_process_removes_meanwhile_stops_no_download(server):
    """Seen from here, such a file is listed and cannot be looked at, as a link to nothing."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    (cache_folder() / ".thing.bin.0123abcd").symlink_to("gone")
    path, _ = fetch(asset(f"{server}/good"), network="vgg19")
    assert path.read_bytes() == DATA


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 cut short", bytes(64)])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_damaged_weights(content, suffix, tmp_path):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged or not a weights file"):
        read_weights(path)


def test_a_pickle_with_code_is_refused(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/boom",)

    path = tmp_path / "bomb.pth"
    path.write_bytes(pickle.dumps({"features.0.weight": Bomb()}))
    with pytest.raises(WeightsError):
        read_weights(path)
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_pickle_that_torch_does_not_read_is_refused_without_its_warning(tmp_path, protocol):
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps({"a": Path("b")}, protocol))
    with pytest.raises(WeightsError, match=rf"a pickle of protocol {protocol}, .*give safetensors"):
        read_weights(path)
    for archive in (True, False):
        torch.save(WEIGHTS, path, pickle_protocol=protocol, _use_new_zipfile_serialization=archive)
        with pytest.raises(WeightsError, match=rf"a pickle of protocol {protocol}, .*give safetensors"):
            read_weights(path)


WEIGHTS = {"conv1_1.weight": torch.ones(2, 3), "conv1_1.bias": torch.zeros(2)}


@pytest.mark.parametrize("name", [None, "state_dict", "model", "net", "params_ema", "anything"])
def test_one_level_of_wrapping_is_unwrapped(name, tmp_path):
    path = tmp_path / "checkpoint.pth"
    optimiser = {"state": {0: {"step": torch.ones(1)}}, "param_groups": [{"lr": 0.1}]}
    torch.save(WEIGHTS if name is None else {name: WEIGHTS, "epoch": 3, "optimizer": optimiser}, path)
    found = read_weights(path)
    assert found.keys() == WEIGHTS.keys()
    assert torch.equal(found["conv1_1.weight"], WEIGHTS["conv1_1.weight"])


def test_several_state_dicts_are_named(tmp_path):
    path = tmp_path / "checkpoint.pth"
    torch.save({"params": WEIGHTS, "params_ema": WEIGHTS}, path)
    with pytest.raises(WeightsError, match=r"several state dicts \(params, params_ema\)"):
        read_weights(path)
    torch.save({"state_dict": WEIGHTS, "params_ema": {}}, path)
    assert read_weights(path).keys() == WEIGHTS.keys()
    torch.save({"a": {"b": WEIGHTS}}, path)
    with pytest.raises(
        WeightsError, match=r"no state dict .*; take it out .*torch\.save\(model\.state_dict\(\), path\)"
    ):
        read_weights(path)


def test_a_folder_or_nothing_is_no_file(tmp_path):
    for path, message in ((tmp_path, "is a folder"), (tmp_path / "none.pth", "there is no weights file")):
        with pytest.raises(WeightsError, match=message):
            read_weights(path)
