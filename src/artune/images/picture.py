"""A picture: pixels, transparency and metadata."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import DTypeLike, NDArray
from PIL import Image

from artune.errors import PictureError
from artune.images.resize import LANCZOS, NO_WRAPS, Wraps, reduced, resized_plane

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float32]


def floats(values: NDArray[Any]) -> Floats:
    """The values as float32, contiguous in memory."""
    return np.ascontiguousarray(values, np.float32)


_FAINT = np.float32(1 / 255)  # alpha below which the colour of a resized pixel is not known
_WHITES = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}
_SHOWN = 1024  # longest side in a notebook, pixels


@runtime_checkable
class Writable(Protocol):
    """A file object that is open for writing."""

    def write(self, data: bytes, /) -> Any: ...


@dataclass(frozen=True, eq=False, repr=False)
class Picture:
    """Pixels, transparency and metadata of a picture.

    Attributes:
        pixels: ``[h, w, 3]``, float32, sRGB in [0, 1].
        alpha: ``[h, w]``, float32 in [0, 1], or ``None`` where all is opaque.
        exif: EXIF data worth keeping, without rotation, place and preview.
        note: plain data embedded by artune.
    """

    pixels: Floats
    alpha: Floats | None = None
    exif: bytes = b""
    note: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or 0 in self.pixels.shape:
            raise PictureError(f"pixels of shape {self.pixels.shape} are no picture; [height, width, 3] is needed")
        if self.alpha is not None and self.alpha.shape != self.pixels.shape[:2]:
            raise PictureError(f"alpha of shape {self.alpha.shape} does not fit pixels of {self.pixels.shape[:2]}")
        for array in (self.pixels, self.alpha):
            if array is not None and array.dtype != np.float32:
                raise PictureError(f"a picture of {array.dtype} values; float32 in [0, 1] is needed (divide by 255)")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def __repr__(self) -> str:
        """The size, in one line; the arrays would fill the screen."""
        width, height = self.size
        return f"Picture({width}x{height}{'' if self.alpha is None else ', transparent in parts'})"

    def digest(self) -> str:
        """sha256 of the pixels and the transparency."""
        seen = hashlib.sha256(f"{self.pixels.shape}".encode())
        for array in (self.pixels, self.alpha):
            if array is not None:
                seen.update(np.ascontiguousarray(array).data)
        return seen.hexdigest()

    def filled(self) -> Floats:
        """Pixels in which transparent areas have the mean colour of the visible ones (grey if nothing is visible)."""
        if self.alpha is None:
            return self.pixels
        weight = self.alpha[..., None]
        mass = float(weight.sum())
        colour = (self.pixels * weight).sum((0, 1)) / mass if mass > 0 else np.full(3, 0.5, np.float32)
        return np.where(weight > 0, self.pixels, colour.astype(np.float32))

    def tensor(self) -> "Tensor":
        """``[1, 3, h, w]``, transparent areas filled."""
        import torch

        return torch.from_numpy(np.ascontiguousarray(self.filled().transpose(2, 0, 1)))[None]

    def to_numpy(self, dtype: DTypeLike = np.uint8) -> NDArray[Any]:
        """The pixels as an array, height first.

        Args:
            dtype: ``uint8`` (0 to 255), ``uint16`` (0 to 65535) or ``float32`` (0 to 1).

        Returns:
            ``[h, w, 3]`` RGB, or ``[h, w, 4]`` RGBA where something is transparent; a copy.

        Raises:
            PictureError: any other type.
        """
        kind = np.dtype(dtype)
        if kind not in _WHITES and kind != np.float32:
            raise PictureError(f"a picture is no array of {kind}; choose uint8, uint16 or float32")
        planes = [self.pixels] if self.alpha is None else [self.pixels, self.alpha[..., None]]
        if kind == np.float32:
            return np.concatenate(planes, 2)
        samples = np.empty((*self.pixels.shape[:2], sum(plane.shape[2] for plane in planes)), kind)
        for row, *parts in zip(samples, *planes, strict=True):  # all rows at once would take several times the memory
            row[:] = np.clip(np.concatenate(parts, 1), 0, 1) * _WHITES[kind] + 0.5
        return samples

    def to_pil(self) -> Image.Image:
        """The picture as one of Pillow's, in mode RGB, or RGBA where something is transparent."""
        image = Image.fromarray(self.to_numpy())
        if self.exif:
            image.info["exif"] = self.exif
        return image

    def save(
        self,
        target: Path | str | Writable,
        format: str | None = None,  # noqa: A002  (Pillow's name for it)
        *,
        bits: int = 8,
        quality: int | None = None,
        replace: bool = True,
    ) -> None:
        """Write the picture to a file or a binary file object; see ``artune.images.write.write_picture``."""
        from artune.images.write import write_picture

        write_picture(self, target, format=format, bits=bits, quality=quality, replace=replace)

    def _repr_png_(self) -> bytes:
        """What a notebook shows: the picture as PNG, reduced where it is large."""
        from artune.images.write import encoded

        return encoded(self.reduced(_SHOWN), ".png")

    def resized(self, width: int, height: int, *, wraps: Wraps = NO_WRAPS) -> "Picture":
        """The picture at another size, antialiased (Lanczos).

        Args:
            width: new width, pixels.
            height: new height, pixels.
            wraps: axes along which the picture repeats; the result repeats along the same.
        """
        if (width, height) == self.size:
            return self
        if self.alpha is None:
            return Picture(_resize(self.pixels, width, height, wraps), None, self.exif, self.note)
        # colours of what cannot be seen must not bleed in: they are weighted by alpha
        filled, weight = self.filled(), self.alpha[..., None]
        alpha = _resize(weight, width, height, wraps)
        shown = _resize(filled * weight, width, height, wraps) / np.maximum(alpha, _FAINT)
        pixels = np.where(alpha > _FAINT, np.minimum(shown, 1), _resize(filled, width, height, wraps))
        return Picture(pixels, alpha[..., 0], self.exif, self.note)

    def reduced(self, longer: int) -> "Picture":
        """The picture at a longer side of at most ``longer`` pixels; a smaller one stays as it is."""
        return self.resized(*reduced(*self.size, longer))

    def repeated(self, down: int = 2, across: int = 2) -> "Picture":
        """The picture several times, one beside the other: what repeats shows its seams, if it has any.

        Args:
            down: how many times one above the other.
            across: how many times side by side.
        """
        alpha = None if self.alpha is None else np.tile(self.alpha, (down, across))
        return Picture(np.tile(self.pixels, (down, across, 1)), alpha)


def from_tensor(image: "Tensor", like: Picture | None = None) -> Picture:
    """A picture of ``[1, 3, h, w]``, clamped to [0, 1], with another's transparency and metadata."""
    planes = image.detach()[0].float().cpu().numpy()
    pixels = np.empty((*planes.shape[1:], len(planes)), np.float32)
    for index, plane in enumerate(planes):
        np.clip(plane, 0, 1, out=pixels[..., index])
    return Picture(pixels) if like is None else Picture(pixels, like.alpha, like.exif)


def _resize(array: Floats, width: int, height: int, wraps: Wraps) -> Floats:
    """Resize plane by plane, so that a large picture needs memory for one plane alone."""
    out = np.empty((height, width, array.shape[2]), np.float32)
    for index in range(array.shape[2]):
        resized = resized_plane(array[..., index], width, height, LANCZOS, wraps)
        np.clip(resized, 0, 1, out=out[..., index])
    return out
