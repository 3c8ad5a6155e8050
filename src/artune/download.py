"""Download of a file, whole or not at all: the only code of ours that uses the internet."""

import contextlib
import hashlib
import http.client
import io
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from artune.errors import WeightsError
from artune.files import atomic, temporary_files

TIMEOUT = 30
"""Seconds without an answer after which a download fails."""
ABANDONED = 600
"""Seconds without a change after which the temporary file of a download is removed: its process was killed."""


class NoConnectionError(Exception):
    """The server cannot be reached, or refuses; with the reason."""


def download(url: str, path: Path, sha256: str, on_bytes: Callable[[int, int], None] | None) -> str:
    """Download a file, and return its sha256.

    Args:
        url: where it is.
        path: where it goes.
        sha256: its digest, or the beginning of it.
        on_bytes: called with the bytes received so far and in all (0 where unknown).

    Raises:
        NoConnectionError: see there.
        WeightsError: the download broke off, or brought another file.
        OutputError: the file cannot be written.
    """
    try:
        return _download(url, path, sha256, on_bytes)
    except urllib.error.HTTPError as error:
        error.close()
        raise NoConnectionError(str(error)) from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise NoConnectionError(str(getattr(error, "reason", error))) from error


def _download(url: str, path: Path, sha256: str, on_bytes: Callable[[int, int], None] | None) -> str:
    _remove_abandoned(path)
    request = urllib.request.Request(url, headers={"User-Agent": "artune"})
    seen = hashlib.sha256()
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer, atomic(path) as temporary:
        total, done = int(answer.headers.get("Content-Length") or 0), 0
        with temporary.open("wb") as file:
            while block := _receive(answer, url):
                file.write(block)
                seen.update(block)
                done += len(block)
                if on_bytes:
                    on_bytes(done, total)
        if total and done < total:
            raise WeightsError(f"the download of {url} ended after {done} of {total} bytes; try again")
        digest = seen.hexdigest()
        if not digest.startswith(sha256):
            raise WeightsError(
                f"what came from {url} is not the file that was asked for: its sha256 begins with "
                f"{digest[:12]}, {sha256[:12]} is needed"
            )
    return digest


def _remove_abandoned(path: Path) -> None:
    """Remove the temporary files that killed downloads left beside a file; a running one changes at least every
    ``TIMEOUT`` seconds."""
    for old in temporary_files(path.parent, path.name):
        with contextlib.suppress(OSError):  # such as one that another process has just removed
            if time.time() - old.stat().st_mtime > ABANDONED:
                old.unlink()


def _receive(answer: io.BufferedIOBase, url: str) -> bytes:
    """The next piece of a download; a lost connection must not look like a full disk."""
    try:
        return answer.read(1 << 20)
    except OSError as error:
        raise WeightsError(f"the download of {url} broke off ({error}); try again") from error
