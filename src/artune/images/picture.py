"""A picture: pixels, transparency and what else a file carries."""

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from artune.errors import PictureError

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float32]


_FAINT = np.float32(1 / 255)  # of alpha: less of a colour is not known


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels, transparency and what else a file carries.

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

    def digest(self) -> str:
        """sha256 of the pixels and the transparency."""
        seen = hashlib.sha256(f"{self.pixels.shape}".encode())
        for array in (self.pixels, self.alpha):
            if array is not None:
                seen.update(np.ascontiguousarray(array).data)
        return seen.hexdigest()

    def filled(self) -> Floats:
        """Pixels with transparent areas filled by the mean of what can be seen (grey where nothing can)."""
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

    def resized(self, width: int, height: int) -> "Picture":
        """The picture at another size, antialiased (Lanczos)."""
        if (width, height) == self.size:
            return self
        if self.alpha is None:
            return Picture(_resize(self.pixels, width, height), None, self.exif, self.note)
        # colours of what cannot be seen must not bleed in: they are weighted by alpha
        filled, weight = self.filled(), self.alpha[..., None]
        alpha = _resize(weight, width, height)
        shown = _resize(filled * weight, width, height) / np.maximum(alpha, _FAINT)
        pixels = np.where(alpha > _FAINT, np.minimum(shown, 1), _resize(filled, width, height))
        return Picture(pixels, alpha[..., 0], self.exif, self.note)


def from_tensor(image: "Tensor", like: Picture | None = None) -> Picture:
    """A picture of ``[1, 3, h, w]``, clamped to [0, 1], with another's transparency and metadata."""
    planes = image.detach()[0].float().cpu().numpy()
    pixels = np.empty((*planes.shape[1:], len(planes)), np.float32)
    for index, plane in enumerate(planes):
        np.clip(plane, 0, 1, out=pixels[..., index])
    return Picture(pixels) if like is None else Picture(pixels, like.alpha, like.exif)


def _resize(array: Floats, width: int, height: int) -> Floats:
    """By planes, each clamped into its place: of a large picture there is room for one."""
    out = np.empty((height, width, array.shape[2]), np.float32)
    for index in range(array.shape[2]):
        plane = Image.fromarray(np.ascontiguousarray(array[..., index]))
        resized = np.asarray(plane.resize((width, height), Image.Resampling.LANCZOS))
        np.clip(resized, 0, 1, out=out[..., index])
    return out
