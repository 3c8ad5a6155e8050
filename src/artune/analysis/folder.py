"""The folder of a dissection: results by network and layer, each with the key of what it was made of."""

import io
import json
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from artune.errors import OutputError
from artune.files import expanded, write

Array = np.ndarray
MARK = "dissection.json"
"""File that says that a folder is one of a dissection."""
KEY = "key"
"""Name of the key among the arrays of a file."""


@dataclass(frozen=True)
class Results:
    """The folder of a dissection.

    Attributes:
        folder: the folder.
    """

    folder: Path

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a folder, which may be new.

        Raises:
            OutputError: it cannot be written, or holds something else.
        """
        folder = expanded(folder)
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder} is not a folder; choose another place")
        there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        if there and MARK not in there:
            raise OutputError(f"{folder} holds other files ({there[0]}) and no dissection; choose a new folder")
        if not there:
            write(folder / MARK, json.dumps({"artune": "dissection"}).encode())
        return cls(folder)

    @property
    def painted(self) -> Path:
        """Folder of the painted pictures."""
        return self.folder / "painted"

    def _file(self, label: str, layer: str) -> Path:
        return self.folder / "layers" / (re.sub(r"[^\w.]+", "_", f"{label}-{layer}") + ".npz")

    def read(self, label: str, layer: str, key: str) -> dict[str, Array] | None:
        """The arrays of a layer; ``None`` where there are none of that key.

        Args:
            label: of the network.
            layer: the layer.
            key: digest of all that the arrays depend on.
        """
        try:
            with np.load(self._file(label, layer), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error):  # missing, or damaged
            return None
        return arrays if str(arrays.pop(KEY, "")) == key else None

    def write(self, label: str, layer: str, key: str, arrays: Mapping[str, Array]) -> None:
        """Keep the arrays of a layer; see ``read``.

        Raises:
            OutputError: no permission, no space.
        """
        data = io.BytesIO()
        stored: dict[str, Any] = {KEY: np.array(key), **arrays}
        np.savez_compressed(data, **stored)
        write(self._file(label, layer), data.getvalue())
