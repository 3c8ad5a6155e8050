"""Judges of classes that need no training, and pictures of the classes that they tell apart."""

import numpy as np
import torch

from artune.files import file_digest
from artune.images.picture import Picture
from artune.images.write import write_picture
from artune.studies.measures import StudyJudge

CONTENTS, STYLES = ("dark", "light"), ("coarse", "fine")


class Judge:
    """Of contents: dark or light. Of styles: coarse or fine, by how much neighbours differ."""

    def __init__(self, classes):
        self.classes, self.seen = classes, 0

    def probabilities(self, images):
        self.seen += len(images)
        if self.classes == CONTENTS:
            value = 8 * (images.mean((1, 2, 3)) - 0.5)
        else:
            value = 60 * ((images[..., 1:] - images[..., :-1]).abs().mean((1, 2, 3)) - 0.12)
        return torch.stack([-value, value], 1).softmax(1)


def load_judge(side, file):
    """In place of a judge that is loaded from a file."""
    return StudyJudge(side, Judge(CONTENTS if side == "content" else STYLES), file_digest(file), file.name)


def judge_by_hand():
    """From here on these judges are loaded."""
    StudyJudge.load = load_judge


def made_folders(folder):
    """Contents and styles by class, and files in place of judges; options of the command line that name them."""
    rng = np.random.default_rng(0)
    for label, level in zip(CONTENTS, (0.2, 0.8), strict=True):
        noise = rng.normal(0, 0.01, (32, 32, 3))
        pixels = np.clip(level + noise + np.linspace(-0.1, 0.1, 32)[:, None, None], 0, 1)
        write_picture(Picture(pixels.astype(np.float32)), folder / "contents" / label / "0.png")
    for label, side in zip(STYLES, (16, 2), strict=True):
        cells = rng.random((32 // side, 32 // side, 3)).astype(np.float32)
        pixels = np.kron(cells, np.ones((side, side, 1), np.float32))
        write_picture(Picture(pixels), folder / "styles" / label / "0.png")
    for side in ("content", "style"):
        (folder / f"{side}.judge").write_text(side)
    named = {"contents": "contents", "styles": "styles", "content-judge": "content.judge", "style-judge": "style.judge"}
    return [text for option, name in named.items() for text in (f"--{option}", str(folder / name))]
