"""Pictures from paths, bytes, file objects, arrays, tensors and images of Pillow."""

import io
import os
import re
import sys
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from artune.errors import PictureError
from artune.images.picture import Floats, Picture
from artune.images.read import check_size, decode_picture, from_pillow, read_picture
from artune.images.samples import check_range, scaled

_CHANNELS = (1, 3, 4)
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:(//|.*;base64,)")


@runtime_checkable
class ArrayLike(Protocol):
    """An array or a tensor: an object that NumPy can make an array of; Python lists do not count."""

    def __array__(self) -> Any: ...


@runtime_checkable
class Readable(Protocol):
    """A file object that is open for reading."""

    def read(self) -> Any: ...


Source = Picture | str | os.PathLike[str] | bytes | bytearray | memoryview | Readable | Image.Image | ArrayLike
"""What ``as_picture`` takes."""


def as_picture(source: Source, *, allow_huge: bool = False, role: str = "picture") -> Picture:
    """A picture from anything that holds one.

    Args:
        source: one of

            - a path (``~`` is the user's home);
            - the bytes of a picture file, or a file object that is open in binary mode, read from where it stands;
            - an image of Pillow, with its profile, rotation and transparency;
            - a NumPy array, a PyTorch tensor, or any other array: ``[h, w]``, ``[h, w, c]``, ``[c, h, w]``, or a batch
              of one of these, with 1 (grey), 3 (RGB) or 4 (RGBA) channels; ``uint8``, ``uint16``, or floats in [0, 1];
            - a ``Picture``, which is returned as it is.
        allow_huge: take more than ``artune.images.read.HUGE`` pixels.
        role: what the picture is for, in messages (``photograph``).

    Raises:
        PictureError: it is none of these, cannot be read, or has values beyond [0, 1].
    """
    where = f"the {role}"
    if isinstance(source, Picture):
        return _checked(source, where)
    if isinstance(source, str | os.PathLike):
        name = os.fspath(source)
        if _URL.match(name):
            raise PictureError(
                f"{where} is a URL, {name[:60]!r}: artune downloads nothing; save it to a file and give that, "
                "or give the bytes of the file"
            )
        return read_picture(name, allow_huge=allow_huge, role=role)
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_bytes(bytes(source), where, allow_huge)
    if isinstance(source, Image.Image):
        return from_pillow(source, where=where, allow_huge=allow_huge)
    if isinstance(source, Readable):
        where = f"{where} ({getattr(source, 'name', 'a file object')})"
        return _from_bytes(_file_data(source, where), where, allow_huge)
    if hasattr(source, "__array__"):
        return _from_array(source, where, allow_huge)
    several = "; several styles are given one by one: style(photo, a, b)" if isinstance(source, list | tuple) else ""
    raise PictureError(
        f"{where}: type {type(source).__name__} is no picture; give a path, the bytes of a file, a file "
        f"object, a NumPy array, a tensor, an image of Pillow, or an artune.Picture{several}"
    )


def _file_data(file: Readable, where: str) -> bytes:
    """What a file object holds, from where it stands.

    Raises:
        PictureError: it is closed, open as text, or fails.
    """
    text = PictureError(f"{where} is a file that is open as text; open it with mode 'rb': open(path, 'rb')")
    if isinstance(file, io.TextIOBase):  # reading a picture as text would fail on its first bytes
        raise text
    try:
        data = file.read()
    except Exception as error:  # a file object of another library raises of any kind
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise PictureError(
            f"cannot read {where}: {reason}; give a path, or a file that is open for reading: open(path, 'rb')"
        ) from error
    if not isinstance(data, bytes | bytearray):
        raise text
    return bytes(data)


def _from_bytes(data: bytes, where: str, allow_huge: bool) -> Picture:
    if not data:
        raise PictureError(f"{where} is empty (0 bytes); a file object that was read before needs seek(0)")
    return decode_picture(data, where=where, allow_huge=allow_huge)


def _checked(picture: Picture, where: str) -> Picture:
    for values in (picture.pixels, picture.alpha):
        if values is not None:
            check_range(values, where)
    return picture


# ---------------------------------------------------------------------------------- arrays


def _from_array(source: ArrayLike, where: str, allow_huge: bool) -> Picture:
    values = _channels_last(_to_numpy(source, where), where)
    height, width, channels = values.shape
    check_size(width, height, where, allow_huge)
    if values.dtype.kind == "f":
        values = values.astype(np.float32, copy=False)
        check_range(values, where)
        samples: Floats = np.clip(values, 0, 1)
    elif values.dtype in (np.uint8, np.uint16):
        samples = scaled(values, where)
    else:
        raise PictureError(
            f"{where} is an array of {values.dtype}; give uint8 (0 to 255), uint16 (0 to 65535), or floats from 0 to 1"
        )
    colours = samples[..., :3] if channels > 1 else np.repeat(samples, 3, axis=2)
    alpha = np.ascontiguousarray(samples[..., 3]) if channels == 4 else None
    return Picture(np.ascontiguousarray(colours), None if alpha is None or alpha.min() >= 1 else alpha)


def _to_numpy(source: Any, where: str) -> NDArray[Any]:
    try:
        torch = sys.modules.get("torch")  # where it is not loaded, nobody has a tensor
        if torch is not None and isinstance(source, torch.Tensor):
            source = source.detach().cpu()
            source = (source.float() if source.is_floating_point() else source).numpy()
        return np.asarray(source)
    except Exception as error:  # sparse ones, those without data, arrays of another library's device
        raise PictureError(f"{where} cannot be made a NumPy array: {error}") from error


def _channels_last(values: NDArray[Any], where: str) -> NDArray[Any]:
    """The array as ``[h, w, c]``, whichever of the shapes it has."""
    shape = list(values.shape)
    if values.ndim == 4:
        if shape[0] != 1:
            raise PictureError(f"{where} has shape {shape}, a batch of {shape[0]}; give its pictures one by one")
        values = values[0]
    if values.ndim == 2:
        values = values[..., None]
    elif values.ndim != 3:
        raise PictureError(f"{where} has shape {shape}; give [height, width, 3] or [3, height, width]")
    else:
        first, last = values.shape[0] in _CHANNELS, values.shape[2] in _CHANNELS
        if first and last:
            raise PictureError(
                f"{where} has shape {shape}, where channels may be first or last; say which by giving "
                "artune.Picture(x) of float32 [height, width, 3], or artune.Picture(x.transpose(1, 2, 0)) of "
                "[3, height, width]"
            )
        if not (first or last):
            raise PictureError(
                f"{where} has shape {shape}, with neither 1, 3 nor 4 channels first or last; give [height, width, 3] "
                "or [3, height, width]"
            )
        values = np.moveaxis(values, 0, -1) if first else values
    if 0 in values.shape:
        raise PictureError(f"{where} has shape {shape}: no pixels")
    return values
