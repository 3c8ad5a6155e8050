"""The page in Chromium: how fast it paints, how much it loads, whether its memory grows, and how it looks.

    make browser
    python benchmarks/browser.py [--size 384] [--pictures 50] [--runtime wasm] [--screenshots FOLDER]
    python benchmarks/browser.py --photograph FILE --painting FILE --save OUT.png

The server sends the compressed copies that the build has made, and counts what it sends. Each picture has another
strength, as when the slider is moved. ``--runtime webgpu --flags=--enable-unsafe-webgpu`` measures a graphics
processor. ``--screenshots`` writes the page before and after, light, dark and on a phone.
"""

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from chromium import Chromium, Files, Server

from artune.assets import sample_photo, sample_style

PAGE = Path(__file__).parents[1] / "build/browser"
READY = "document.querySelector('#status')?.textContent.startsWith('Choose')"
FAILED = "!(document.querySelector('#problem')?.hidden ?? true)"


class Compressed(Files):
    """Sends the compressed copy that lies beside a file, where the browser takes it, and counts the bytes.

    Attributes:
        sent: bytes of each file that was sent, by its address.
    """

    sent: dict[str, int]

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        path = path / "index.html" if path.is_dir() else path
        if not path.is_file():
            self.send_error(404)
            return
        accepted = self.headers.get("Accept-Encoding", "")
        copies = {name: path.with_name(f"{path.name}.{name}") for name in ("br", "gz")}
        encoding = next((name for name, copy in copies.items() if name in accepted and copy.exists()), None)
        data = (copies[encoding] if encoding else path).read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Length", str(len(data)))
        if encoding:
            self.send_header("Content-Encoding", {"br": "br", "gz": "gzip"}[encoding])
        self.end_headers()
        self.wfile.write(data)
        name = str(path.relative_to(self.directory))
        self.sent[name] = self.sent.get(name, 0) + len(data)


@dataclass(frozen=True)
class Memory:
    """Bytes after a number of pictures: JavaScript's heaps, buffers beside them, the processes' resident memory."""

    pictures: int
    heap: int
    buffers: int
    resident: int

    def __str__(self) -> str:
        sizes = f"{self.heap / 1e6:.1f}, {self.buffers / 1e6:.1f}, {self.resident / 1e6:.0f}"
        return f"MB after {self.pictures} pictures, JavaScript's heaps, buffers, resident: {sizes}"


@dataclass(frozen=True)
class Visit:
    """What was measured.

    Attributes:
        milliseconds: the median of the pictures but the first.
        first: the first picture, which also prepares the network, milliseconds.
        by: the page's own words about the last picture.
        sent: bytes over the wire, by file.
        memory: after the first picture, and after the last.
        foreign: requests to other machines.
    """

    milliseconds: float
    first: float
    by: str
    sent: dict[str, int]
    memory: tuple[Memory, Memory]
    foreign: int

    def __str__(self) -> str:
        lines = [f"{count:>10} bytes {name}" for name, count in sorted(self.sent.items(), key=lambda each: -each[1])]
        return "\n".join(
            [
                *lines,
                f"{sum(self.sent.values()):>10} bytes over the wire, in the first visit",
                self.by,
                f"{self.milliseconds:.0f} ms per picture, {self.first:.0f} ms the first",
                *map(str, self.memory),
                f"{self.foreign} requests to other machines",
            ]
        )


def settled(browser: Chromium, condition: str) -> None:
    """Waits for a condition. Raises where the page tells of a problem instead."""
    browser.wait(f"({condition}) || {FAILED}", seconds=600)
    if browser.evaluate(FAILED):
        raise SystemExit(browser.evaluate("document.querySelector('#problem').textContent"))


def painted(browser: Chromium, count: int) -> float:
    """Waits for the picture of a number, from 1, and returns how long it took, milliseconds."""
    settled(browser, f"document.querySelector('#result').dataset.pictures == {count}")
    return float(browser.evaluate("document.querySelector('#result').dataset.milliseconds"))


def remember(browser: Chromium, pictures: int) -> Memory:
    return Memory(pictures, *browser.heap(), browser.resident())


def measure(
    page: Path,
    photograph: Path,
    painting: Path,
    size: int,
    pictures: int,
    runtime: str | None = None,
    flags: Sequence[str] = (),
    screenshots: Path | None = None,
    save: Path | None = None,
) -> Visit:
    """Visits the page once, and paints a number of pictures, two at least."""
    sent: dict[str, int] = {}
    handler: Any = type("Counted", (Compressed,), {"sent": sent})
    server = Server(partial(handler, directory=str(page)))
    try:
        with Chromium(flags) as browser:
            browser.look(1280, 960)
            browser.open(f"http://{server.address}/{f'?runtime={runtime}' if runtime else ''}")
            settled(browser, READY)
            if screenshots is not None:
                screenshots.mkdir(parents=True, exist_ok=True)
                browser.screenshot(screenshots / "empty.png")
            browser.evaluate(f"document.querySelector('[name=size][value=\"{size}\"]').click()")
            browser.choose("#photograph-file", photograph)
            browser.choose("#painting-file", painting)
            first = painted(browser, 1)
            before = remember(browser, 1)
            times = []
            for count in range(2, pictures + 1):
                strength = 100 if count == pictures else count % 100
                browser.evaluate(
                    "{ const slider = document.querySelector('#strength');"
                    f" slider.value = {strength}; slider.dispatchEvent(new Event('input')); }}"
                )
                times.append(painted(browser, count))
            memory = (before, remember(browser, pictures))
            if save is not None:
                browser.evaluate("document.querySelector('[data-format=png]').click()")
                shutil.copyfile(browser.saved(f"{photograph.stem}-{painting.stem}.png"), save)
            if screenshots is not None:
                take_screenshots(browser, screenshots)
            by = str(browser.evaluate("document.querySelector('#status').textContent"))
            return Visit(median(times), first, by, sent, memory, len(browser.foreign))
    finally:
        server.close()


def take_screenshots(browser: Chromium, folder: Path) -> None:
    for name, dark in (("", False), ("-dark", True)):
        browser.look(1280, 960, dark=dark)
        browser.screenshot(folder / f"desktop{name}.png")
        browser.look(390, 844, scale=2, phone=True, dark=dark)
        browser.screenshot(folder / f"phone{name}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--photograph", type=Path, default=sample_photo("cat"))
    parser.add_argument("--painting", type=Path, default=sample_style("mosaic"))
    parser.add_argument("--size", type=int, default=384, choices=[384, 512, 640])
    parser.add_argument("--pictures", type=int, default=50)
    parser.add_argument("--runtime", choices=["wasm", "webgpu"])
    parser.add_argument("--flags", action="append", default=[], help="of Chromium's command line")
    parser.add_argument("--screenshots", type=Path)
    parser.add_argument("--save", type=Path, help="where the last picture is written, at strength 1")
    given = vars(parser.parse_args())
    if not (given["page"] / "index.html").exists():
        raise SystemExit(f"{given['page']} has no page: run `make browser` first.")
    if given["pictures"] < 2:
        raise SystemExit(f"--pictures is {given['pictures']}: 2 is the least.")
    print(measure(**given))


if __name__ == "__main__":
    main()
