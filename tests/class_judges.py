"""What the tests of class judges share: pictures of three colours, and small trainings on them."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from artune.backbones.registry import load_network
from artune.data.folders import Folder
from artune.images.picture import Picture
from artune.images.write import write_picture
from artune.judges.training import ClassTraining
from artune.spec.train import TrainSpec

COLOURS = {"blue": (0.1, 0.2, 0.8), "green": (0.2, 0.7, 0.1), "red": (0.8, 0.1, 0.2)}
SMALL = TrainSpec(kind="gram", size=32, epochs=8, batch=4, rate=3e-3)


def colour_classes(root):
    """Noise around three colours: 8 blue, 6 green, 4 red to train with, 3 of each to validate, 2 to test."""
    rng = np.random.default_rng(0)
    for split, counts in (("train", (8, 6, 4)), ("val", (3, 3, 3)), ("test", (2, 2, 2))):
        for (name, colour), count in zip(COLOURS.items(), counts, strict=True):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(colour + rng.normal(0, 0.1, (36, 48, 3)), 0, 1).astype(np.float32)
                write_picture(Picture(pixels), root / split / name / f"{number}.png")
    return root


def training(root, spec=SMALL, **more):
    trunk, digest = load_network(spec.trunk, smooth=False)
    return ClassTraining(Folder.read(root, ("train", "val")), spec, trunk, digest, **more)


def right(judge, pictures):
    return judge.confusion(pictures).accuracy.share


def trained(root, spec=SMALL):
    begun = training(root, spec)
    list(begun.run())
    return begun


def resnet(folder: Path, last="layer3", seed=0):
    """ResNet-18 with random weights that end at a stage."""
    from torchvision.models import resnet18

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        whole = resnet18(weights=None).state_dict()
    kept = {k: v for k, v in whole.items() if k != "fc.weight" and (last == "layer4" or not k.startswith("layer4"))}
    save_file({k: v for k, v in kept.items() if not k.startswith("fc")}, folder / "resnet.safetensors")
    return load_network("resnet18", weights=folder / "resnet.safetensors", smooth=False)[0]
