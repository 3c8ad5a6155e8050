"""The page in Debian's Chromium, from a plain static server: it paints, saves, works offline, and tells what is wrong.

The model is a tiny one of the same contract, whose pictures can be computed by hand: halfway from the photograph to the
painting's mean colour at strength 1.
"""

import json
import re
import shutil
import socket
import struct
import subprocess
from functools import partial
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image

from tests.scripts import ROOT, imported

BROWSER = ROOT / "web/browser"
REASON = next(
    (
        f"{what} is missing: {how}"
        for what, there, how in (
            ("node", shutil.which("node"), "install nodejs"),
            ("Chromium", shutil.which("chromium") or shutil.which("google-chrome"), "install chromium"),
            ("web/browser/node_modules", (BROWSER / "node_modules").exists(), "run `make browser`"),
        )
        if not there
    ),
    None,
)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(REASON is not None, reason=str(REASON))]

LOADED = "document.querySelector('#status')?.textContent.startsWith('Choose')"
READY = f"crossOriginIsolated && {LOADED}"
"""Once it is isolated, the page no longer loads itself anew; see ``offline.ts``."""
PROBLEM = "document.querySelector('#problem').hidden ? '' : document.querySelector('#problem').textContent"
COUNT = "Number(document.querySelector('#result').dataset.pictures ?? 0)"
ROUNDING = 1.6
"""Of 8 bits, twice: in the resizing of neither, but on the way in and out of a canvas."""


def write_model(folder: Path) -> Path:
    """The tiny model: ``picture = photograph + strength / 2 * (mean of the painting - photograph)``."""
    onnx = pytest.importorskip("onnx", reason="onnx is missing: pip install onnx")
    from onnx import TensorProto, helper

    def value(name: str, *shape: object) -> object:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    def constant(name: str, kind: int, *values: float) -> object:
        return helper.make_tensor(name, kind, [len(values)], values)

    image = (1, 3, "h", "w")
    axes = constant("axes", TensorProto.INT64, 2, 3)
    reading = helper.make_graph(
        [helper.make_node("ReduceMean", ["painting", "axes"], ["style"], keepdims=0)],
        "reading",
        [value("painting", *image)],
        [value("style", 1, 3)],
        [axes],
    )
    painting = helper.make_graph(
        [
            helper.make_node("Unsqueeze", ["style", "axes"], ["colour"]),
            helper.make_node("Sub", ["colour", "photograph"], ["way"]),
            helper.make_node("Mul", ["strength", "half"], ["share"]),
            helper.make_node("Mul", ["way", "share"], ["part"]),
            helper.make_node("Add", ["photograph", "part"], ["picture"]),
        ],
        "painting",
        [value("photograph", *image), value("style", 1, 3), value("strength", 1)],
        [value("picture", *image)],
        [axes, constant("half", TensorProto.FLOAT, 0.5)],
    )
    folder.mkdir()
    for name, graph in (("painting.onnx", reading), ("painter.onnx", painting)):
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), folder / name)
    about = {"format": "artune-onnx", "version": 1, "kind": "painter", "K": 3}
    (folder / "model.json").write_text(json.dumps(about))
    return folder


def build(model: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = ["node", BROWSER / "build.mjs", "--model", model, "--out", out, "--brotli", "1"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def chromium():
    with imported("chromium") as module:
        yield module


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    done = build(write_model(folder / "model"), folder / "site")
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def browser(chromium):
    with chromium.Chromium() as browser:
        yield browser
        assert browser.foreign == []
        with pytest.raises(ConnectionError):
            browser.open("https://example.org/")  # the count would have seen one
        assert browser.foreign == ["https://example.org/"]


@pytest.fixture(scope="module")
def server(chromium, site):
    server = chromium.serve(site)
    yield server
    server.close()


@pytest.fixture
def page(browser, server):
    """The page, newly loaded; it complains of nothing in the console."""
    browser.messages.clear()
    browser.open(f"http://{server.address}/")
    browser.wait(READY)
    yield browser
    assert browser.messages == []


@pytest.fixture
def photograph(tmp_path):
    """A photograph of 90 x 60 pixels, red from left to right, green from top to bottom."""
    red, green = np.meshgrid(np.linspace(0, 255, 90), np.linspace(0, 255, 60))
    pixels = np.stack([red, green, np.full_like(red, 40)], axis=-1).round().astype(np.uint8)
    path = tmp_path / "hill.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def painting(tmp_path):
    path = tmp_path / "blue.png"
    Image.new("RGB", (48, 64), (20, 60, 220)).save(path)
    return path


def pixels(path: Path, mode: str = "RGB") -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert(mode), dtype=np.float64)


def expected(photograph: np.ndarray, strength: float) -> np.ndarray:
    return photograph + strength / 2 * (np.array([20, 60, 220]) - photograph)


def choose(page, photograph: Path, painting: Path) -> None:
    """Chooses both, and waits for the picture."""
    count = page.evaluate(COUNT)
    page.choose("#photograph-file", photograph)
    page.choose("#painting-file", painting)
    painted(page, count + 1)


def painted(page, count: int) -> None:
    page.wait(f"{COUNT} >= {count} || ({PROBLEM})")
    assert page.evaluate(PROBLEM) == ""


def slide(page, *strengths: float) -> None:
    """Moves the slider over all the strengths at once, and waits for the picture of the last one."""
    page.evaluate(
        "{ const slider = document.querySelector('#strength');"
        f" for (const value of {[round(100 * strength) for strength in strengths]})"
        " { slider.value = value; slider.dispatchEvent(new Event('input')); } }"
    )
    page.wait("document.querySelector('#stage').getAttribute('aria-busy') === 'false'")


def saved(page, kind: str, name: str) -> Path:
    (page.downloads / name).unlink(missing_ok=True)
    page.evaluate(f"document.querySelector('[data-format={kind}]').click()")
    return page.saved(name)


def test_two_pictures_become_one_that_is_saved(page, photograph, painting):
    assert page.evaluate("crossOriginIsolated")  # the server sends no headers: the service worker adds them
    choose(page, photograph, painting)
    result = pixels(saved(page, "png", "hill-blue.png"))
    assert result.shape == (60, 90, 3)
    assert np.abs(result - expected(pixels(photograph), 0.8)).max() < ROUNDING
    assert np.abs(result - pixels(photograph)).mean() > 10
    assert "90 × 60 pixels, painted in" in page.evaluate("document.querySelector('#status').textContent")


def test_the_slider_repaints_and_the_last_strength_wins(page, photograph, painting):
    choose(page, photograph, painting)
    slide(page, *np.linspace(0, 0.5, 40))
    assert page.evaluate("document.querySelector('#strength-shown').value") == "0.50"
    result = pixels(saved(page, "png", "hill-blue.png"))
    assert np.abs(result - expected(pixels(photograph), 0.5)).max() < ROUNDING
    assert page.evaluate(COUNT) < 10  # of 41 orders
    slide(page, 0)
    assert np.abs(pixels(saved(page, "png", "hill-blue.png")) - pixels(photograph)).max() < ROUNDING


def test_jpeg(page, photograph, painting):
    choose(page, photograph, painting)
    path = saved(page, "jpeg", "hill-blue.jpg")
    assert path.read_bytes().startswith(b"\xff\xd8\xff")
    assert np.abs(pixels(path) - expected(pixels(photograph), 0.8)).mean() < 4


def test_offline_the_page_paints_the_same(chromium, browser, site, photograph, painting):
    server = chromium.serve(site)
    browser.open(f"http://{server.address}/")
    browser.wait(READY)
    server.close()
    browser.evaluate("window.old = true; location.reload()")
    browser.wait(f"!window.old && {READY}")
    choose(browser, photograph, painting)
    result = pixels(saved(browser, "png", "hill-blue.png"))
    assert np.abs(result - expected(pixels(photograph), 0.8)).max() < ROUNDING
    browser.evaluate("document.querySelector('[data-sample=woodcut]').click()")
    painted(browser, 2)


def test_a_new_version_is_there_at_the_visit_after_next(chromium, browser, site, tmp_path):
    folder = Path(shutil.copytree(site, tmp_path / "site", ignore=shutil.ignore_patterns("*.br", "*.gz")))
    server = chromium.serve(folder)
    browser.open(f"http://{server.address}/")
    browser.wait(READY)
    page, worker = folder / "index.html", folder / "service-worker.js"
    digest = re.search(r'"?index\.html"?:"(\w+)"', worker.read_text())
    assert digest is not None
    page.write_text(page.read_text().replace("<h1>artune</h1>", "<h1>new</h1>"))
    worker.write_text(worker.read_text().replace(digest[1], "0" * 16))
    browser.open(f"http://{server.address}/?visit=2")
    browser.wait("navigator.serviceWorker.getRegistration().then((found) => found.waiting?.state === 'installed')")
    assert browser.evaluate("document.querySelector('h1').textContent") == "artune"
    browser.open(f"http://{server.address}/?visit=3")
    browser.wait(f"document.querySelector('h1').textContent === 'new' && {READY}")
    kept = browser.evaluate(
        "caches.open('artune').then((cache) => cache.keys()).then((keys) => keys.map((k) => k.url))"
    )
    assert [name for name in kept if "index.html" in name] == [f"http://{server.address}/index.html?{'0' * 16}"]
    assert browser.evaluate("crossOriginIsolated")
    server.close()


def test_sizes_are_the_longer_side_and_nothing_is_enlarged(page, tmp_path, photograph, painting):
    large = tmp_path / "large.png"
    Image.fromarray(pixels(photograph).astype(np.uint8)).resize((900, 600)).save(large)
    choose(page, large, painting)
    for size, shape in ((512, (341, 512, 3)), (640, (427, 640, 3)), (384, (256, 384, 3))):
        count = page.evaluate(COUNT)
        page.evaluate(f"document.querySelector('[name=size][value=\"{size}\"]').click()")
        painted(page, count + 1)
        assert pixels(saved(page, "png", "large-blue.png")).shape == shape
    choose(page, photograph, painting)
    assert pixels(saved(page, "png", "hill-blue.png")).shape == (60, 90, 3)


def test_a_rotated_photograph_is_upright(page, tmp_path, photograph, painting):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    turned = tmp_path / "turned.jpg"
    Image.fromarray(pixels(photograph).astype(np.uint8)).save(turned, exif=exif, quality=98)
    choose(page, turned, painting)
    slide(page, 0)
    result = pixels(saved(page, "png", "turned-blue.png"))
    assert result.shape == (90, 60, 3)
    assert np.abs(result - np.rot90(pixels(photograph), -1)).mean() < 3


def test_transparency_is_kept_in_png_and_white_in_jpeg(page, tmp_path, photograph, painting):
    clear = tmp_path / "clear.png"
    data = pixels(photograph, "RGBA").astype(np.uint8)
    data[:, :45] = 0
    Image.fromarray(data).save(clear)
    choose(page, clear, painting)
    alpha = pixels(saved(page, "png", "clear-blue.png"), "RGBA")[..., 3]
    assert (alpha[:, :45] == 0).all()
    assert (alpha[:, 45:] == 255).all()
    assert (pixels(saved(page, "jpeg", "clear-blue.jpg"))[:, :35] > 245).all()


def test_a_picture_is_dropped_or_pasted(page, painting):
    page.choose("#painting-file", painting)
    page.wait("document.querySelector('#painting').classList.contains('filled')")
    receive = """(async () => {
        const canvas = new OffscreenCanvas(%d, 40);
        canvas.getContext('2d').fillRect(0, 0, 9, 9);
        const data = new DataTransfer();
        data.items.add(new File([await canvas.convertToBlob()], 'x.png', {type: 'image/png'}));
        %s
    })()"""
    drop = "document.querySelector('#photograph').dispatchEvent(new DragEvent('drop', {%s}));"
    paste = "document.dispatchEvent(new ClipboardEvent('paste', {%s}));"
    page.evaluate(receive % (50, paste % "clipboardData: data"))
    painted(page, 1)
    assert page.evaluate("document.querySelector('#result').width") == 50
    page.evaluate(receive % (60, drop % "dataTransfer: data, bubbles: true, cancelable: true"))
    painted(page, 2)
    assert page.evaluate("document.querySelector('#result').width") == 60


def test_the_camera_takes_the_photograph(page, painting):
    page.choose("#painting-file", painting)
    camera = "document.querySelector('#photograph-camera').click()"
    page.evaluate(camera)
    page.wait("document.querySelector('#camera').open")
    page.evaluate("document.querySelector('#camera-cancel').click()")
    page.wait("!document.querySelector('#camera').open")
    assert page.evaluate(COUNT) == 0
    page.evaluate(camera)
    page.wait("document.querySelector('#camera').open && !document.querySelector('#shutter').disabled")
    page.evaluate("document.querySelector('#shutter').click()")
    painted(page, 1)
    assert page.evaluate("document.querySelector('#camera-view').srcObject === null")


def test_by_the_keyboard_alone(page, photograph, painting):
    choose(page, photograph, painting)
    page.evaluate("document.querySelector('#compare').focus()")
    comparing = "document.querySelector('#stage').classList.contains('comparing')"
    page.press(" ", 32, "keyDown")
    assert page.evaluate(comparing)
    assert page.evaluate("getComputedStyle(document.querySelector('#result')).visibility") == "hidden"
    page.press(" ", 32, "keyUp")
    assert not page.evaluate(comparing)
    page.evaluate("document.querySelector('#strength').focus()")
    page.press("ArrowRight", 39, "keyDown")
    page.press("ArrowRight", 39, "keyUp")
    page.wait(f"{COUNT} === 2")
    assert page.evaluate("document.querySelector('#strength-shown').value") == "0.81"


def test_neither_page_nor_worker_can_speak_to_other_machines(page):
    ask = "fetch('https://example.org/').then(() => 'an answer', () => 'refused')"
    assert page.evaluate(ask) == "refused"
    assert page.evaluate(ask, session=worker_of(page)) == "refused"
    assert page.foreign == []  # the policy stopped both before they were requests
    page.open("about:blank")  # the last complaints come with it at the latest
    assert page.messages != []
    assert all("Content Security Policy" in message for message in page.messages)
    page.messages.clear()


def test_every_control_has_a_name(page):
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = ("button", "slider", "radio", "image", "group", "region")
    named = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    controls = [(role, name) for role, name in named if role in roles]
    assert len([role for role, _ in controls if role == "button"]) >= 11
    assert [role for role, name in controls if not name] == []


def test_a_file_that_cannot_be_used_is_told(page, tmp_path, photograph, painting):
    path = tmp_path / "notes.png"
    for content, sentence in (
        (b"not a picture", "“notes.png” is not a picture that this browser can read"),
        ((8, 30), "“notes.png” has 8 × 30 pixels: it needs 16 a side"),
        (b"", "“notes.png” is not a picture that this browser can read"),
        ((400, 20), "“notes.png” has 400 × 20 pixels: it needs 16 a side, and to be at most 16 times as long as wide"),
    ):
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            Image.new("RGB", content).save(path)
        page.choose("#photograph-file", path)
        page.wait(f"({PROBLEM}).startsWith('{sentence}')")
    choose(page, photograph, painting)  # and work goes on


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ({"model/model.json": '{"format": "artune-onnx", "version": 2}'}, "version 2, but this page needs version 1"),
        ({"model/model.json": "{"}, 'format is missing, but this page needs "artune-onnx"'),
        (
            {"model/model.json": '{"format": "artune-onnx", "version": 1, "kind": "trained"}'},
            'kind "trained", but this page needs "painter"',
        ),
        (
            {"model/model.json": '{"format": "artune-onnx", "version": 1, "kind": "painter", "K": 4}'},
            'in painting.onnx, "style" has the shape [1, 3], not [1, 4]',
        ),
        ({"model/painter.onnx": None}, "model/painter.onnx is missing beside the page (404)"),
        ({"model/painter.onnx": "damaged"}, "painter.onnx could not be used: it is damaged"),
        ({"ort/ort-wasm-simd-threaded.wasm": None}, "ort/ort-wasm-simd-threaded.wasm is missing beside the page (404)"),
        ({"ort/ort-wasm-simd-threaded.wasm": "damaged"}, "ort/ort-wasm-simd-threaded.wasm could not be used"),
        ({"ort/ort-wasm-simd-threaded.mjs": None}, "ort/ort-wasm-simd-threaded.mjs could not be loaded"),
    ],
)
def test_a_model_or_a_runtime_that_does_not_fit_is_told(chromium, browser, site, tmp_path, damage, sentence):
    folder = Path(shutil.copytree(site, tmp_path / "site", ignore=shutil.ignore_patterns("*.br", "*.gz")))
    for name, text in damage.items():
        (folder / name).unlink()
        if text is not None:
            (folder / name).write_text(text)
    server = chromium.serve(folder)
    browser.open(f"http://{server.address}/")
    browser.wait(f"document.readyState === 'complete' && ({PROBLEM})")
    assert sentence in browser.evaluate(PROBLEM)
    server.close()


def worker_of(page) -> str:
    """The session of the worker that paints."""
    (found,) = [each for each in page.workers if page.evaluate("location.pathname", session=each) == "/worker.js"]
    return found


def test_a_worker_that_stops_is_told_and_the_next_picture_has_a_new_one(page, photograph, painting):
    choose(page, photograph, painting)
    page.evaluate("setTimeout(() => { throw new Error('on purpose'); })", session=worker_of(page))
    page.wait("new Promise((resolve) => setTimeout(() => resolve(true), 200))")
    page.evaluate("document.querySelector('#strength').dispatchEvent(new Event('input'))")
    page.wait(f"({PROBLEM}).startsWith('The part of the page that paints has stopped: try again')")
    slide(page, 0.5)
    painted(page, 2)
    result = pixels(saved(page, "png", "hill-blue.png"))
    assert np.abs(result - expected(pixels(photograph), 0.5)).max() < ROUNDING
    page.messages.clear()


def test_where_webgpu_fails_the_model_is_not_loaded_again(chromium, site, tmp_path, photograph, painting):
    """A graphics processor that promises all and can do nothing."""
    folder = Path(shutil.copytree(site, tmp_path / "site", ignore=shutil.ignore_patterns("*.br", "*.gz")))
    gpu = "{requestAdapter: async () => ({info: {}, requestDevice: async () => { throw new Error('none'); }})}"
    worker = folder / "worker.js"
    worker.write_text(f"Object.defineProperty(navigator, 'gpu', {{value: {gpu}}});\n" + worker.read_text())
    (folder / "service-worker.js").unlink()  # it would hide what is loaded twice
    asked: list[str] = []

    class Noted(chromium.Files):
        def do_GET(self) -> None:
            asked.append(self.path)
            super().do_GET()

    server = chromium.Server(partial(Noted, directory=str(folder)))
    with chromium.Chromium() as browser:
        browser.open(f"http://{server.address}/")
        browser.wait(LOADED)  # without a service worker it is not isolated
        choose(browser, photograph, painting)
        assert "thread" in browser.evaluate("document.querySelector('#status').textContent")
    server.close()
    large = [name for name in asked if name.endswith((".onnx", ".wasm"))]
    assert sorted(large) == [
        "/model/painter.onnx",
        "/model/painting.onnx",
        "/ort/ort-wasm-simd-threaded.jspi.wasm",
        "/ort/ort-wasm-simd-threaded.wasm",
    ]


def test_a_small_painting_is_enlarged_to_the_result(page, tmp_path, photograph, painting):
    page.evaluate(
        "window.seen = []; const send = Worker.prototype.postMessage;"
        "Worker.prototype.postMessage = function (request, transfer) {"
        " if (request.pixels) seen.push([request.kind, request.pixels.width, request.pixels.height]);"
        " return send.call(this, request, transfer); }"
    )
    choose(page, photograph, painting)  # 90 x 60, and 48 x 64
    assert page.evaluate("seen") == [["photograph", 90, 60], ["painting", 68, 90]]


def test_a_client_that_leaves_early_is_no_error(chromium, tmp_path, capfd):
    (tmp_path / "large").write_bytes(bytes(50_000_000))
    server = chromium.serve(tmp_path)
    host, _, port = server.address.partition(":")
    for _ in range(3):
        with socket.create_connection((host, int(port))) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # it hangs up
            client.sendall(b"GET /large HTTP/1.0\r\n\r\n")
            client.recv(100)
    with urlopen(f"http://{server.address}/large") as answer:
        assert len(answer.read()) == 50_000_000
    server.close()
    assert capfd.readouterr().err == ""


def test_without_webassembly_the_page_says_so(chromium, site):
    server = chromium.serve(site)
    with chromium.Chromium(["--js-flags=--jitless"]) as browser:
        browser.open(f"http://{server.address}/")
        browser.wait(f"document.readyState === 'complete' && ({PROBLEM})")
        assert "needs WebAssembly" in browser.evaluate(PROBLEM)
    server.close()


def test_memory_does_not_grow(page, photograph, painting):
    choose(page, photograph, painting)
    slide(page, 0.1)
    before = page.heap()
    for step in range(20):
        slide(page, step / 20)
    grown = [after - first for after, first in zip(page.heap(), before, strict=True)]
    assert max(grown) < 20 * 90 * 60 * 4 / 2  # less than half of the pictures' bytes


def test_a_page_that_is_large_is_built_quickly_and_told(tmp_path):
    model = write_model(tmp_path / "model")
    (model / "painter.onnx").write_bytes(np.random.default_rng(0).bytes(8_000_000))
    done = build(model, tmp_path / "quick")
    assert done.returncode == 0
    assert "compressed by brotli 1: more than 8000000, which is refused at 11 alone" in done.stdout


def test_a_page_without_its_model_is_not_built(tmp_path):
    done = build(tmp_path / "none", tmp_path / "out")
    assert done.returncode == 2
    assert "model.json is missing: --model needs a folder with" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_page_is_not_built_of_a_model_that_it_would_refuse(tmp_path):
    model = write_model(tmp_path / "model")
    for text, sentence in (
        ('{"format": "artune-onnx", "version": 1, "kind": "trained"}', 'kind "trained", but this page needs "painter"'),
        ("{", "model.json is not JSON: it is damaged."),
    ):
        (model / "model.json").write_text(text)
        done = build(model, tmp_path / "out")
        assert done.returncode == 2
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1
        assert [*tmp_path.glob("out*")] == []


@pytest.mark.parametrize(("words", "says"), [(["--foo"], "Unknown option '--foo'"), (["--out"], "argument missing")])
def test_options_that_there_are_not_are_told_in_a_line(words, says):
    done = subprocess.run(["node", BROWSER / "build.mjs", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.endswith(": node build.mjs --model DIR [--out DIR] [--brotli 0..11]\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(shutil.which("make") is None, reason="make is missing")
def test_with_a_model_that_is_there_python_is_not_installed(tmp_path):
    command = ["make", "--dry-run", "browser", f"VENV={tmp_path / 'none'}"]
    without, given = (
        subprocess.run([*command, *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for words in ([], ["MODEL=folder"])
    )
    assert "pip install" in without
    assert "pip install" not in given
    assert "build.mjs --model folder" in given


@pytest.mark.parametrize("script", ["check", "test"])
def test_types_and_parts(script):
    done = subprocess.run(["npm", "run", script], cwd=BROWSER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_measuring_script_measures(site, photograph, painting, tmp_path):
    with imported("browser") as module:
        visit = module.measure(
            site, photograph, painting, 512, 2, screenshots=tmp_path / "looks", save=tmp_path / "saved.png"
        )
    assert visit.sent["ort/ort-wasm-simd-threaded.wasm"] > 1e6
    assert visit.foreign == 0
    assert visit.milliseconds > 0
    assert "MB after 2 pictures" in str(visit)
    assert pixels(tmp_path / "saved.png").shape == (60, 90, 3)
    assert len([*(tmp_path / "looks").glob("*.png")]) == 5
