"""Class judges that were made by hand, and pictures of the classes that they tell apart."""

import numpy as np
import torch

from artune.backbones.compact import RGB, Compact
from artune.images.picture import Picture
from artune.images.write import write_picture
from artune.judges.classes import ClassJudge, ClassNetwork, JudgeInfo

CONTENTS, STYLES = ("dark", "light"), ("coarse", "fine")
SIZE = 32


def judge_of(side):
    """A judge of contents: dark or light. Of styles: coarse or fine, by how much neighbours in a row differ."""
    classes = CONTENTS if side == "content" else STYLES
    network = ClassNetwork(Compact(), "relu1_1", "binary", len(classes)).eval().requires_grad_(False)
    first, last = network.trunk.stages[0][0], network.head[-1]
    first.weight.zero_()
    first.bias.zero_()
    last.weight.zero_()
    for colour in range(RGB):
        first.weight[colour, colour, 1, 1] = 1.0
        for place, sign in ((RGB + colour, 1.0), (2 * RGB + colour, -1.0)):  # both signs of the difference, by the ReLU
            first.weight[place, colour, 1, 1], first.weight[place, colour, 1, 0] = sign, -sign
    if side == "content":
        seen, scale, even = slice(0, RGB), 8.0, 0.5
    else:
        seen, scale, even = slice(RGB, 3 * RGB), 60.0, 0.12
    signs = torch.tensor([-1.0, 1.0])
    last.weight[:, seen] = scale / RGB * signs[:, None]
    last.bias.copy_(-scale * even * signs)
    return ClassJudge(network, JudgeInfo("binary", classes, "compact", "relu1_1", SIZE))


def made_folders(folder):
    """Contents and styles by class, and a judge of each; options of the command line that name them."""
    rng = np.random.default_rng(0)
    for label, level in zip(CONTENTS, (0.2, 0.8), strict=True):
        noise = rng.normal(0, 0.01, (SIZE, SIZE, 3))
        pixels = np.clip(level + noise + np.linspace(-0.1, 0.1, SIZE)[:, None, None], 0, 1)
        write_picture(Picture(pixels.astype(np.float32)), folder / "contents" / label / "0.png")
    for label, side in zip(STYLES, (16, 2), strict=True):
        cells = rng.random((SIZE // side, SIZE // side, 3)).astype(np.float32)
        pixels = np.kron(cells, np.ones((side, side, 1), np.float32))
        write_picture(Picture(pixels), folder / "styles" / label / "0.png")
    files = {f"{side}-judge": f"{side}.safetensors" for side in ("content", "style")}
    for side in ("content", "style"):
        judge_of(side).save(folder / files[f"{side}-judge"])
    named = {"contents": "contents", "styles": "styles", **files}
    return [text for option, name in named.items() for text in (f"--{option}", str(folder / name))]
