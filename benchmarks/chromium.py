"""Chromium without a window, driven over the DevTools protocol; every request to another machine is aborted."""

import base64
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # the programs that the tests run in are often root's
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-sync",
    "--disable-features=OptimizationHints,MediaRouter,Translate",
    "--use-fake-device-for-media-stream",  # a camera that shows a pattern
    "--use-fake-ui-for-media-stream",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # nor does the browser itself reach other machines
    "--remote-debugging-pipe",
)
PATIENCE = 60.0
"""A call or a condition may take so long, seconds."""
Answer = dict[str, Any]


class Files(SimpleHTTPRequestHandler):
    """A folder as a plain static host serves it: no headers of its own, no compression."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".wasm": "application/wasm", ".mjs": "text/javascript"}

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Says nothing."""


class _Patient(ThreadingHTTPServer):
    """A server that says nothing where a client leaves early, as browsers do."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Server:
    """A server of 127.0.0.1, in a thread."""

    def __init__(self, handler: Any) -> None:
        self._server = _Patient(("127.0.0.1", 0), handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def serve(folder: Path) -> Server:
    """A server of the files in a folder."""
    return Server(partial(Files, directory=str(folder)))


class Chromium:
    """A browser with one page.

    Args:
        flags: of the command line, beside the usual ones.
        program: the browser.

    Attributes:
        foreign: the addresses outside this machine that were asked for; none was reached.
        messages: what page and workers complained of in the console, and the errors that nobody caught.
        workers: sessions of the page's workers, in which expressions can be evaluated, too.
        downloads: the folder of the files that the page saved.
    """

    def __init__(self, flags: Sequence[str] = (), program: str | None = PROGRAM) -> None:
        if program is None:
            raise FileNotFoundError("There is no Chromium: install it, as by `apt-get install chromium`.")
        self.foreign: list[str] = []
        self.messages: list[str] = []
        self._folder = Path(tempfile.mkdtemp(prefix="artune-chromium-"))
        self.downloads = self._folder / "downloads"
        self.downloads.mkdir()
        self.workers: list[str] = []
        self._buffer = b""
        self._answers: dict[int, Answer] = {}
        self._last = 0
        self._start([program, *FLAGS, f"--user-data-dir={self._folder}/profile", *flags])
        self.call("Fetch.enable", root=True, patterns=[{"urlPattern": "http*"}])  # of pages and all their workers
        pages = self.call("Target.getTargets", root=True)["targetInfos"]
        target = next(page["targetId"] for page in pages if page["type"] == "page")
        self._session = ""
        self._session = self.call("Target.attachToTarget", root=True, targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM", "Performance"):
            self.call(f"{domain}.enable")
        self.call("Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=False, flatten=True)
        self.call("Browser.setDownloadBehavior", root=True, behavior="allow", downloadPath=str(self.downloads))

    def _start(self, command: list[str]) -> None:
        """Starts the browser, which reads commands from file 3 and writes answers to file 4."""
        reads, self._write = os.pipe()
        self._read, writes = os.pipe()
        quiet = os.open(self._folder / "log", os.O_WRONLY | os.O_CREAT)
        actions = [
            (os.POSIX_SPAWN_DUP2, quiet, 1),
            (os.POSIX_SPAWN_DUP2, quiet, 2),
            # by way of numbers that nobody has, as one end may be 3 or 4 itself
            (os.POSIX_SPAWN_DUP2, reads, 103),
            (os.POSIX_SPAWN_DUP2, writes, 104),
            (os.POSIX_SPAWN_DUP2, 103, 3),
            (os.POSIX_SPAWN_DUP2, 104, 4),
            (os.POSIX_SPAWN_CLOSE, 103),
            (os.POSIX_SPAWN_CLOSE, 104),
        ]
        self.process = os.posix_spawn(command[0], command, os.environ, file_actions=actions, setpgroup=0)
        for end in (reads, writes, quiet):
            os.close(end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the browser, and removes its files."""
        with suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        os.close(self._read)
        os.close(self._write)
        shutil.rmtree(self._folder, ignore_errors=True)

    def call(self, method: str, root: bool = False, session: str | None = None, **parameters: Any) -> Answer:
        """Calls a method of the protocol, of the page unless ``root``, and waits for the answer."""
        number = self._send(method, "" if root else session or self._session, parameters)
        until = time.monotonic() + PATIENCE
        while number not in self._answers:
            self._receive(until - time.monotonic(), method)
        answer = self._answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        found: Answer = answer["result"]
        return found

    def _send(self, method: str, session: str, parameters: Answer) -> int:
        """Calls a method without waiting. Returns the number of its answer."""
        self._last += 1
        request: Answer = {"id": self._last, "method": method, "params": parameters}
        if session:
            request["sessionId"] = session
        data = json.dumps(request).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        return self._last

    def _receive(self, seconds: float, waiting: str) -> None:
        if not select.select([self._read], [], [], max(seconds, 0))[0]:
            raise TimeoutError(f"{waiting} takes more than {PATIENCE:g} s; the browser said {self.messages}")
        data = os.read(self._read, 1 << 20)
        if not data:
            raise ConnectionError(f"Chromium has ended: {(self._folder / 'log').read_text(errors='replace')[-2000:]}")
        *whole, self._buffer = (self._buffer + data).split(b"\0")
        for message in map(json.loads, whole):
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self._happened(message["method"], message["params"])

    def _happened(self, event: str, parameters: Mapping[str, Any]) -> None:
        match event:
            case "Fetch.requestPaused":
                self._decide(parameters["requestId"], parameters["request"]["url"])
            case "Target.attachedToTarget" if "worker" in parameters["targetInfo"]["type"]:
                self.workers.append(parameters["sessionId"])
            case "Target.detachedFromTarget" if parameters["sessionId"] in self.workers:
                self.workers.remove(parameters["sessionId"])
            case "Runtime.exceptionThrown":
                details = parameters["exceptionDetails"]
                self.messages.append(details.get("exception", {}).get("description", details["text"]))
            case "Log.entryAdded" if parameters["entry"]["level"] == "error":
                entry = parameters["entry"]
                self.messages.append(f"{entry['text']} {entry.get('url', '')}")
            case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "warning"):
                self.messages.append(" ".join(str(each.get("value", each)) for each in parameters["args"]))

    def _decide(self, request: str, address: str) -> None:
        if urlsplit(address).hostname == "127.0.0.1":
            self._send("Fetch.continueRequest", "", {"requestId": request})
        else:
            self.foreign.append(address)
            self._send("Fetch.failRequest", "", {"requestId": request, "errorReason": "BlockedByClient"})

    def open(self, address: str) -> None:
        """Goes to an address."""
        failed = self.call("Page.navigate", url=address).get("errorText")
        if failed:
            raise ConnectionError(f"{address}: {failed}")

    def evaluate(self, expression: str, session: str | None = None) -> Any:
        """The value of an expression of JavaScript in the page, or in a worker, once it is there."""
        answer = self.call(
            "Runtime.evaluate", session=session, expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"].get("description", expression))
        return answer["result"].get("value")

    def wait(self, expression: str, seconds: float = PATIENCE) -> Any:
        """Waits until an expression is true; also while the page is being loaded. Returns its value."""
        until = time.monotonic() + seconds
        while True:
            with suppress(RuntimeError):
                if found := self.evaluate(expression):
                    return found
            if time.monotonic() > until:
                text = self.evaluate("document.body.innerText")
                raise TimeoutError(f"{expression} is not true after {seconds:g} s; {self.messages}; the page: {text}")
            time.sleep(0.03)

    def choose(self, selector: str, path: Path) -> None:
        """Gives a file to an ``<input type=file>``."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def press(self, key: str, code: int, kind: str) -> None:
        """Presses a key (``kind`` is ``keyDown``), or lets it go (``keyUp``)."""
        text = key if kind == "keyDown" and len(key) == 1 else ""
        self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, text=text)

    def saved(self, name: str) -> Path:
        """The file that the page saves by a name, once it is whole."""
        path = self.downloads / name
        until = time.monotonic() + PATIENCE
        while not path.exists() or any(self.downloads.glob("*.crdownload")):
            if time.monotonic() > until:
                raise TimeoutError(f"{name} was not saved; there is {[*self.downloads.iterdir()]}")
            time.sleep(0.03)
        return path

    def heap(self) -> tuple[int, int]:
        """Bytes of page and workers after a collection: of the JavaScript heaps, and of the buffers beside them.

        WebAssembly's memory is in neither where threads share it; it is in ``resident``.
        """
        used, buffers = 0, 0
        for session in (self._session, *self.workers):
            self.call("HeapProfiler.collectGarbage", session=session)
            usage = self.call("Runtime.getHeapUsage", session=session)
            used += int(usage["usedSize"])
            buffers += int(usage["backingStorageSize"])
        return used, buffers

    def resident(self) -> int:
        """Resident bytes of the processes that hold pages and workers."""
        pages = 0
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                ours = os.getpgid(int(folder.name)) == self.process
                if ours and b"--type=renderer" in (folder / "cmdline").read_bytes():
                    pages += int((folder / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def look(self, width: int, height: int, *, dark: bool = False, scale: float = 1, phone: bool = False) -> None:
        """Gives the page a size in CSS pixels, and light or dark colours."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def screenshot(self, path: Path) -> None:
        """Writes a picture (PNG) of the whole page."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))
