"""Files that artune fetches: weights of networks and sample pictures.

They are looked for in the package, then in the cache, then downloaded, and checked against their sha256. This is the
only code of ours that uses the internet.
"""

import contextlib
import hashlib
import http.client
import io
import os
import pickle
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import platformdirs

from artune.errors import UnknownNameError, WeightsError
from artune.files import atomic, expanded, file_digest, temporary_files

if TYPE_CHECKING:
    from torch import Tensor

OnBytes = Callable[[int, int], None]
"""Called with the bytes received so far and in all (0 where unknown)."""

TIMEOUT = 30
"""Seconds without an answer after which a download fails."""
ABANDONED = 600
"""Seconds without a change after which the temporary file of a download is removed: its process was killed."""
NEWEST_PICKLE = 3
"""Newest protocol of a pickle that ``torch.load`` reads without executing code; its own is 2."""


@dataclass(frozen=True)
class Asset:
    """A file that travels with the package or is downloaded.

    Attributes:
        name: file name in the package or in the cache.
        sha256: its digest in hexadecimal, or the beginning of it where the publisher gives no more.
        licence: the terms under which it may be used.
        url: where it is downloaded from; ``None`` if it travels with the package.
        source: who made it.
    """

    name: str
    sha256: str
    licence: str
    url: str | None = None
    source: str = "artune"


JUDGE = Asset("judge.safetensors", "d58f3d5d4692870de886bfc7d006dc70e0c1b3990e7fb3406d82f84188a43e95", "MIT")
"""The judge with its bank of other paintings and its calibrations (``artune.judges.embedding``)."""
PAINTER = Asset("painter.safetensors", "9fa47b33493434b5f09691885098d8b47aed4ed0c2aaf8b58f6f2ce960c1bfec", "MIT")
"""The painter (``artune.networks.painter``)."""
FILM_PAINTER = Asset(
    "film-painter.safetensors", "eed453d7da408d8738cb5a672e850ea4db57c281913c005fbdd7e1da0034f2ba", "MIT"
)
"""The painter of films, which flickers less."""

SAMPLE_STYLES = ("strokes", "mosaic", "woodcut", "washes")
"""Names of the style pictures that travel with the package (``training/samples.py``)."""
SAMPLE_PHOTOS = {
    "astronaut": "astronaut.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "rocket": "rocket.jpg",
    "motorcycle": "motorcycle_left.png",
}
"""Names of the sample photographs -> files of scikit-image, which installs them."""


def sample_style(name: str) -> Path:
    """The file of a style picture that travels with the package.

    Raises:
        UnknownNameError: with the names there are.
    """
    if name not in SAMPLE_STYLES:
        raise UnknownNameError("sample style", name, SAMPLE_STYLES)
    return _bundled(f"{name}.jpg")


def sample_photo(name: str) -> Path:
    """The file of a photograph from scikit-image's own data; scikit-image itself is not imported.

    Raises:
        UnknownNameError: with the names there are.
        WeightsError: scikit-image is missing.
    """
    if name not in SAMPLE_PHOTOS:
        raise UnknownNameError("sample photograph", name, SAMPLE_PHOTOS)
    home = find_spec("skimage")
    if home is None or home.origin is None:
        raise WeightsError("scikit-image is missing; reinstall artune")
    return Path(home.origin).parent / "data" / SAMPLE_PHOTOS[name]


def _bundled(name: str) -> Path:
    return Path(str(resources.files("artune") / "bundled" / name))


def cache_folder() -> Path:
    """The folder of downloads: ``$ARTUNE_CACHE``, or ``artune`` in the system's folder for caches of the user."""
    if given := os.environ.get("ARTUNE_CACHE"):
        return expanded(given)
    try:
        folder = platformdirs.user_cache_path("artune", appauthor=False)
    except RuntimeError:  # a user without a home, as in containers
        folder = Path()
    return folder if folder.is_absolute() else Path(tempfile.gettempdir()) / "artune"


def locate(asset: Asset) -> Path | None:
    """The file of an asset in the package or the cache, unchecked; ``None`` where it must be downloaded."""
    return next((path for path in (_bundled(asset.name), cache_folder() / asset.name) if path.is_file()), None)


def fetch(
    asset: Asset,
    *,
    network: str = "",
    what: str = "",
    on_bytes: OnBytes | None = None,
    otherwise: str = "give a file as `weights`, or use `network` compact, which needs no download",
) -> tuple[Path, str]:
    """The file of an asset, bundled, cached or downloaded, and its sha256, which is checked.

    A download appears in the cache whole or not at all.

    Args:
        asset: the asset.
        network: whose weights they are, for messages.
        what: what else it is, for messages.
        on_bytes: called during a download.
        otherwise: what to do without internet, for the message.

    Raises:
        WeightsError: the file is damaged, or cannot be found and downloaded; with where it was looked for and what to
            do.
        OutputError: the cache cannot be written.
    """
    path = locate(asset)
    if path is not None:
        found = file_digest(path)
        if not found.startswith(asset.sha256):
            remedy = "reinstall artune" if asset.url is None else f"remove {path} and try again"
            raise WeightsError(
                f"{path} is damaged: its sha256 begins with {found[:12]}, {asset.sha256[:12]} is needed; {remedy}"
            )
        return path, found
    if asset.url is None:
        raise WeightsError(f"{asset.name} is missing from the package; reinstall artune")
    path = cache_folder() / asset.name
    try:
        digest = _download(asset.url, path, asset.sha256, on_bytes)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(error, urllib.error.HTTPError):
            reason = str(error)
            error.close()
        raise WeightsError(
            f"cannot download {what or f'the weights of {network}'} from {asset.url} ({reason}). Without internet: put "
            f"the file at {path}, or {otherwise}"
        ) from error
    return path, digest


def _download(url: str, path: Path, sha256: str, on_bytes: OnBytes | None) -> str:
    """Download a file, and return its sha256."""
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


def read_weights(path: Path) -> "Mapping[str, Tensor]":
    """The tensors of a safetensors or a PyTorch file, by name; no code in it is executed.

    PyTorch files may hold the tensors in one entry among others (``state_dict``, ``model``, ...).

    Raises:
        WeightsError: the file is missing, damaged or of another kind, or holds several sets of tensors.
    """
    import torch
    from safetensors.torch import load_file

    path = expanded(path)
    if os.path.isdir(path):
        raise WeightsError(f"{path} is a folder; give a file with weights")
    if not os.path.isfile(path):  # a forbidden folder is a no, too
        raise WeightsError(f"there is no weights file {path}, or no permission to see it")
    _check_pickle(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises of every kind
        raise WeightsError(
            f"{path} is damaged or not a weights file ({type(error).__name__}); give safetensors, or a state dict "
            "saved by torch.save, which holds tensors alone"
        ) from error
    if _is_state_dict(loaded):
        return loaded
    held = {key: value for key, value in loaded.items() if _is_state_dict(value)} if isinstance(loaded, dict) else {}
    if "state_dict" in held:
        return held["state_dict"]
    if len(held) > 1:
        raise WeightsError(
            f"{path} holds several state dicts ({', '.join(map(str, held))}); save the one that is meant"
        )
    if not held:
        raise WeightsError(
            f"{path} holds no state dict (names and tensors), at the top or one level below; take it out of what is "
            "around it, and save it alone: torch.save(model.state_dict(), path)"
        )
    return next(iter(held.values()))


def _check_pickle(path: Path) -> None:
    """Raise for a pickle that ``torch.load`` refuses, after a warning that asks the user to report it to PyTorch.

    Raises:
        WeightsError: its protocol is above ``NEWEST_PICKLE``.
    """
    head = b""
    with contextlib.suppress(Exception):  # of every kind, from a damaged archive; it is refused where it is read
        with path.open("rb") as file:
            head = file.read(2)
        if head == b"PK":
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    if name.endswith("/data.pkl"):
                        with archive.open(name) as file:
                            head = file.read(2)
    if len(head) == 2 and head[:1] == pickle.PROTO and head[1] > NEWEST_PICKLE and path.suffix != ".safetensors":
        raise WeightsError(
            f"{path} is a pickle of protocol {head[1]}, which is not read without executing its code; "
            "give safetensors, or a state dict saved by torch.save with its usual protocol"
        )


def _is_state_dict(value: Any) -> TypeGuard["Mapping[str, Tensor]"]:
    from torch import Tensor

    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(isinstance(key, str) and isinstance(tensor, Tensor) for key, tensor in value.items())
    )


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file; empty for other files.

    Raises:
        WeightsError: missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    path = expanded(path)
    if path.suffix != ".safetensors":
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} is missing or damaged ({error}); give another file") from error
