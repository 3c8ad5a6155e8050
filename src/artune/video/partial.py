"""A film that is begun: the frames that are finished, kept beside the result until it is whole.

``OUT.partial/`` holds the plan of the film, segments of finished frames, the single frames of the present segment, and
what the next frame needs. Each file is written whole or not at all, so a kill loses the last seconds alone.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from artune.errors import CheckpointError
from artune.files import atomic, write
from artune.images.picture import Floats
from artune.tensors import load_checkpoint, save_checkpoint
from artune.video.scenes import Scene
from artune.video.steady import Earlier

PLAN, STATE, FRAMES = "film.json", "state.safetensors", "frames"


@dataclass(frozen=True)
class FilmPlan:
    """What is known of a film before its first frame is styled.

    Attributes:
        parts: all options, and digests of the film and the pictures, by what it is; a film that is resumed must have
            the same.
        times: of the frames, in seconds.
        last: when the last frame ends.
        scenes: the scenes, in order.
        strengths: strength of each scene.
    """

    parts: Mapping[str, str]
    times: tuple[Fraction, ...]
    last: Fraction
    scenes: tuple[Scene, ...]
    strengths: tuple[float, ...]

    def plain(self) -> dict[str, Any]:
        """Plain data that ``of`` reads."""
        return {
            "parts": dict(self.parts),
            "times": [*map(str, self.times)],
            "last": str(self.last),
            "scenes": [[each.first, *each.samples] for each in self.scenes],
            "strengths": [*self.strengths],
        }

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "FilmPlan":
        """A plan from plain data."""
        times = tuple(map(Fraction, data["times"]))
        scenes = tuple(Scene(first, tuple(samples)) for first, *samples in data["scenes"])
        return cls(data["parts"], times, Fraction(data["last"]), scenes, tuple(data["strengths"]))


class PartialFilm:
    """The folder of a film that is begun.

    Args:
        folder: the folder; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, plan: FilmPlan) -> None:
        """Make the folder anew.

        Raises:
            OutputError: no permission, no space.
        """
        self.remove()
        write(self.folder / PLAN, json.dumps(plan.plain()).encode())

    def plan(self) -> FilmPlan | None:
        """The plan of the film that is begun; ``None`` if there is none.

        Raises:
            CheckpointError: the folder is no film that is begun.
        """
        if not self.folder.exists():
            return None
        try:
            return FilmPlan.of(json.loads((self.folder / PLAN).read_text()))
        except (OSError, ValueError, KeyError, TypeError):
            raise CheckpointError(
                f"{self.folder} is no film that is begun, or it is damaged; remove it to start anew"
            ) from None

    def segment(self, number: int) -> Path:
        """The file of a segment."""
        return self.folder / f"{number:05d}.mkv"

    def keep(self, number: int, pixels: NDArray[Any]) -> None:
        """Keep a finished frame until its segment is written.

        Raises:
            OutputError: no space.
        """
        with atomic(self._frame(number), sync=False) as temporary, temporary.open("wb") as file:
            np.save(file, pixels, allow_pickle=False)

    def kept(self, numbers: Sequence[int]) -> list[NDArray[Any]]:
        """Frames that were kept.

        Raises:
            CheckpointError: one is missing or damaged.
        """
        try:
            return [np.load(self._frame(number), allow_pickle=False) for number in numbers]
        except (OSError, ValueError):
            raise CheckpointError(f"{self.folder} is damaged: a frame is missing; remove it to start anew") from None

    def forget(self, numbers: Sequence[int]) -> None:
        """Delete frames whose segment is written."""
        for number in numbers:
            self._frame(number).unlink(missing_ok=True)

    def save(self, done: int, earlier: Sequence[Earlier]) -> None:
        """Save what the next frame needs.

        Args:
            done: number of frames that are finished.
            earlier: the last of them, from near to far.

        Raises:
            OutputError: no space.
        """
        arrays = {
            f"{place}.{name}": array for place, each in enumerate(earlier) for name, array in _arrays(each).items()
        }
        tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
        save_checkpoint(self.folder / STATE, tensors, {"done": done, "earlier": len(earlier)})

    def load(self) -> tuple[int, list[Earlier]]:
        """Number of finished frames, and the last of them; none if the film has just begun.

        Raises:
            CheckpointError: the file is damaged.
        """
        if not (self.folder / STATE).exists():
            return 0, []
        tensors, about = load_checkpoint(self.folder / STATE)
        earlier = []
        for place in range(about["earlier"]):
            named = {
                name.partition(".")[2]: tensor.numpy()
                for name, tensor in tensors.items()
                if name.startswith(f"{place}.")
            }
            masks = [named[name] for name in sorted(name for name in named if name.startswith("mask"))]
            earlier.append(Earlier(named["frame"], named["painted"], tuple(masks)))
        return about["done"], earlier

    def has_frames(self) -> bool:
        """Whether a frame is finished."""
        return self.segment(0).exists() or self._frame(0).exists()

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _frame(self, number: int) -> Path:
        return self.folder / FRAMES / f"{number:08d}.npy"


def _arrays(earlier: Earlier) -> dict[str, Floats]:
    masks = {f"mask {number:03d}": mask for number, mask in enumerate(earlier.masks)}
    return {"frame": earlier.frame, "painted": earlier.painted, **masks}
