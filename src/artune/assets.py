"""Weights and sample pictures: bundled, then cached, then downloaded; the only code of ours that uses the network.

Everything is checked against its sha256 before it is used.
"""

import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING

from artune.errors import UnknownNameError, WeightsError
from artune.files import atomic, file_digest

if TYPE_CHECKING:
    from torch import Tensor

OnBytes = Callable[[int, int], None]
"""Called with the bytes received so far and in all (0 where unknown)."""


@dataclass(frozen=True)
class Asset:
    """A file that artune knows.

    Attributes:
        name: file name, in the package or in the cache.
        sha256: its digest, or the beginning of it where the publisher gives no more.
        licence: under which terms it may be used.
        url: where it is downloaded from; ``None`` for what travels with the package.
        source: who made it.
    """

    name: str
    sha256: str
    licence: str
    url: str | None = None
    source: str = "artune"


def _torchvision(name: str, entry: str) -> Asset:
    """Weights of torchvision; the beginning of their digest is in the name of the file."""
    return Asset(
        name,
        name.rsplit("-", 1)[-1].removesuffix(".pth"),
        "BSD-3-Clause (torchvision); trained on ImageNet, whose terms apply",
        url=f"https://download.pytorch.org/models/{name}",
        source=f"torchvision, {entry}",
    )


WEIGHTS = {
    "compact": Asset("compact.safetensors", "661dac1c9c1a0f2d90834dab5c28762175059bc878c43d2242d5957f065ea1b9", "MIT"),
    "vgg16": _torchvision("vgg16-397923af.pth", "VGG16_Weights.IMAGENET1K_V1"),
    "vgg19": _torchvision("vgg19-dcbb9e9d.pth", "VGG19_Weights.IMAGENET1K_V1"),
    "resnet18": _torchvision("resnet18-f37072fd.pth", "ResNet18_Weights.IMAGENET1K_V1"),
    "resnet50": _torchvision("resnet50-0676ba61.pth", "ResNet50_Weights.IMAGENET1K_V1"),
    "resnext50_32x4d": _torchvision("resnext50_32x4d-7cdf4587.pth", "ResNeXt50_32X4D_Weights.IMAGENET1K_V1"),
    "resnext101_32x8d": _torchvision("resnext101_32x8d-8ba56ff5.pth", "ResNeXt101_32X8D_Weights.IMAGENET1K_V1"),
    "inception_v3": _torchvision("inception_v3_google-0cc3c7bd.pth", "Inception_V3_Weights.IMAGENET1K_V1"),
    "alexnet": _torchvision("alexnet-owt-7be5be79.pth", "AlexNet_Weights.IMAGENET1K_V1"),
    "squeezenet1_1": _torchvision("squeezenet1_1-b8a52dc0.pth", "SqueezeNet1_1_Weights.IMAGENET1K_V1"),
    "mobilenet_v2": _torchvision("mobilenet_v2-b0353104.pth", "MobileNet_V2_Weights.IMAGENET1K_V1"),
    "mobilenet_v2_flat": _torchvision("mobilenet_v2-b0353104.pth", "MobileNet_V2_Weights.IMAGENET1K_V1"),
}
"""Weights of the loss networks, by network. A network that is missing here takes ``--weights`` alone. Of torchvision's,
those that the literature used, where there are several."""

JUDGE = Asset("judge.safetensors", "bf7f83fa0d0eb442f1336a293e47301ce1599882e8c5c2162ca65954031b52c9", "MIT")
"""The judge with its banks (``artune.judges.embedding``)."""

SAMPLE_STYLES = ("strokes", "mosaic", "woodcut", "washes")
"""Style pictures of our own (``training/samples.py``)."""
SAMPLE_PHOTOS = {
    "astronaut": "astronaut.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "rocket": "rocket.jpg",
    "motorcycle": "motorcycle_left.png",
}
"""Photographs that scikit-image installs with itself."""


def sample_style(name: str) -> Path:
    """A style picture that travels with the package.

    Raises:
        UnknownNameError: with the names there are.
    """
    if name not in SAMPLE_STYLES:
        raise UnknownNameError("sample style", name, SAMPLE_STYLES)
    return Path(str(resources.files("artune") / "bundled" / f"{name}.jpg"))


def sample_photo(name: str) -> Path:
    """A photograph from scikit-image's own data; scikit-image itself is not imported.

    Raises:
        UnknownNameError: with the names there are.
    """
    if name not in SAMPLE_PHOTOS:
        raise UnknownNameError("sample photograph", name, SAMPLE_PHOTOS)
    home = find_spec("skimage")
    if home is None or home.origin is None:
        raise WeightsError("scikit-image is missing; reinstall artune")
    return Path(home.origin).parent / "data" / SAMPLE_PHOTOS[name]


def cache_folder() -> Path:
    """Where downloads are kept: ``$ARTUNE_CACHE``, or ``artune`` in the user's cache folder."""
    if "ARTUNE_CACHE" in os.environ:
        return Path(os.environ["ARTUNE_CACHE"])
    try:
        home = Path.home()
    except RuntimeError:  # a user that the system does not know, as in containers
        home = Path(tempfile.gettempdir())
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "artune"


def locate(asset: Asset) -> Path | None:
    """Where an asset is on this machine, unchecked; ``None`` if it is not."""
    path = Path(str(resources.files("artune") / "bundled" / asset.name))
    if path.is_file():
        return path
    path = cache_folder() / asset.name
    return path if path.is_file() else None


def fetch(
    asset: Asset,
    *,
    network: str,
    progress: OnBytes | None = None,
    otherwise: str = "give one with --weights FILE, or use --network compact, which needs no download",
) -> Path:
    """An asset's file: bundled, cached or downloaded, with its digest checked.

    Args:
        asset: which.
        network: whose weights they are, for messages.
        progress: told of a download.
        otherwise: what to do without internet, for the message.

    Raises:
        WeightsError: damaged; or not there and not to be had, with where it was looked for and what to do.
    """
    path = locate(asset)
    if path is not None:
        found = file_digest(path)
        if not found.startswith(asset.sha256):
            remedy = "reinstall artune" if asset.url is None else f"remove {path} and try again"
            raise WeightsError(
                f"{path} is damaged: its sha256 begins with {found[:12]}, {asset.sha256[:12]} is needed; {remedy}"
            )
        return path
    if asset.url is None:
        raise WeightsError(f"{asset.name} is missing from the package; reinstall artune")
    path = cache_folder() / asset.name
    try:
        _download(asset.url, path, asset.sha256, progress)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(error, urllib.error.HTTPError):
            reason = str(error)
            error.close()
        raise WeightsError(
            f"cannot download the weights of {network} from {asset.url} ({reason}). Without internet: put the file "
            f"at {path}, or {otherwise}"
        ) from error
    return path


def _download(url: str, path: Path, sha256: str, progress: OnBytes | None) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "artune"})
    seen = hashlib.sha256()
    with urllib.request.urlopen(request, timeout=30) as answer, atomic(path) as temporary:
        total, done = int(answer.headers.get("Content-Length") or 0), 0
        with temporary.open("wb") as file:
            while block := _receive(answer, url):
                file.write(block)
                seen.update(block)
                done += len(block)
                if progress:
                    progress(done, total)
        if total and done < total:
            raise WeightsError(f"the download of {url} ended after {done} of {total} bytes; try again")
        if not seen.hexdigest().startswith(sha256):
            raise WeightsError(
                f"what came from {url} is not the file that was asked for: its sha256 begins with "
                f"{seen.hexdigest()[:12]}, {sha256[:12]} is needed"
            )


def _receive(answer: IO[bytes], url: str) -> bytes:
    """The next piece; a lost connection must not look like a full disk."""
    try:
        return answer.read(1 << 20)
    except OSError as error:
        raise WeightsError(f"the download of {url} broke off ({error}); try again") from error


def read_weights(path: Path) -> "Mapping[str, Tensor]":
    """Tensors of a safetensors or a weights-only PyTorch file; nothing in it is executed.

    Raises:
        WeightsError: missing, or neither.
    """
    import warnings

    import torch
    from safetensors.torch import load_file

    if os.path.isdir(path):
        raise WeightsError(f"{path} is a folder; give a file with weights")
    if not os.path.isfile(path):  # a forbidden folder is a no, too
        raise WeightsError(f"there is no weights file {path}, or no permission to see it")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it then refuses anyway
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises of every kind
        raise WeightsError(
            f"{path} is damaged or not a weights file ({type(error).__name__}); give safetensors, or a state dict "
            "saved by torch.save, which holds tensors alone"
        ) from error
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise WeightsError(f"{path} holds no state dict (names and tensors)")
    return loaded


def read_metadata(path: Path) -> dict[str, str]:
    """What a safetensors file says of itself; nothing for other files.

    Raises:
        WeightsError: missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    if path.suffix != ".safetensors":
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} is missing or damaged ({error}); give another file") from error
