"""Trained styles that nobody trained, and folders to train on."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from artune.images.picture import Picture
from artune.networks.johnson import Johnson, JohnsonConfig
from artune.networks.loaded import PainterNetwork, encoder_digest
from artune.networks.trained import StyleInfo, write_style
from artune.spec.style import StyleSpec
from artune.spec.train_style import STYLE_DEFAULTS

DIGESTS = {"style 0": "a" * 64}


def johnson(seed: int = 0, widths: tuple[int, int, int] = (4, 6, 8)) -> Johnson:
    """A narrow network with weights of a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Johnson(JohnsonConfig(widths, blocks=1)).eval().requires_grad_(False)


def info(network, paintings=("a.png",), encoder=""):
    """What a file says of a style."""
    return StyleInfo(
        shape=network.config.plain(),
        spec=STYLE_DEFAULTS["painter" if encoder else "johnson"],
        steps=3,
        validation=0.5,
        paintings=paintings,
        photographs=12,
        licences={"paintings": "CC0"},
        digests=DIGESTS,
        encoder=encoder,
    )


def write_johnson(path: Path, thumbnail: Picture, seed: int = 0) -> Johnson:
    """Write a style of Johnson's network, and return the network."""
    network = johnson(seed)
    write_style(path, info(network), network, [], thumbnail)
    return network


def write_painter(path: Path, painting: Picture) -> PainterNetwork:
    """Write a style of the painter as it is installed, and return it."""
    network = PainterNetwork.load(StyleSpec(device="cpu"))
    about = info(network.painter, encoder=encoder_digest(network.painter.encoder))
    write_style(path, about, network.painter, [painting], painting)
    return network


def folder_of_photographs(folder: Path, count: int = 12, size: tuple[int, int] = (50, 40)) -> Path:
    """A folder of made photographs."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    for number in range(count):
        waves = 127 + 100 * np.sin((x * rng.random() + y * rng.random()) / 2)[..., None] * rng.random(3)
        Image.fromarray((waves + rng.normal(0, 5, waves.shape)).clip(0, 255).astype(np.uint8)).save(
            folder / f"{number:02d}.png"
        )
    return folder
