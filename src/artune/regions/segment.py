"""Semantic segmentation: networks that find masks by the names of classes.

DeepLabV3 of torchvision knows the twenty classes of Pascal VOC, a SegFormer of Hugging Face those that it was trained
for.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from artune.assets import Asset, OnBytes, fetch, read_weights
from artune.blank import Blank
from artune.errors import InputError, MissingExtraError, OutputError, PictureError, UnknownNameError, WeightsError
from artune.files import expanded, file_digest
from artune.images.picture import Floats, Picture
from artune.images.write import write_grey
from artune.regions.label_names import VOC

DOUBT = 0.05
"""Probability below which a mask is 0; above ``1 - DOUBT`` it is 1. No network gives a probability of exactly 0, and
without this the picture would change where the class is absent."""

PRESENT = 0.001
"""Share of a picture above which a class counts as found."""

BACKGROUND = "background"
"""Name of what belongs to none of the other classes that are asked for."""

DEEPLABS = {
    "deeplabv3_resnet50": Asset(
        "deeplabv3_resnet50_coco-cd0a2569.pth",
        "cd0a2569",
        "BSD-3-Clause",
        url="https://download.pytorch.org/models/deeplabv3_resnet50_coco-cd0a2569.pth",
        source="torchvision, DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1",
    ),
    "deeplabv3_mobilenet_v3_large": Asset(
        "deeplabv3_mobilenet_v3_large-fc3c493d.pth",
        "fc3c493d",
        "BSD-3-Clause",
        url="https://download.pytorch.org/models/deeplabv3_mobilenet_v3_large-fc3c493d.pth",
        source="torchvision, DeepLabV3_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1",
    ),
}
"""The networks of DeepLabV3 (Chen et al. 2017) that torchvision publishes, by its names for them: 160 and 42 MB."""

_DEEPLAB_SIDE, _SEGFORMER_SIDE = 520, 512  # pixels of the shorter side in training
_LONGEST, _SMALLEST = 2048, 64  # pixels of the longer side at most, of each side at least
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet; both kinds use them

Logits = Float[Tensor, "n h w"]


class Segmenter:
    """A segmentation network, ready to use.

    Args:
        network: gives logits ``[1, n, h', w']`` of a normalised picture ``[1, 3, h, w]``.
        names: of its n classes.
        side: shorter side of the pictures that it was trained with, pixels.
        device: where it runs.
        digest: what tells its weights from others.
    """

    def __init__(
        self,
        network: Callable[[Float[Tensor, "1 3 h w"]], Float[Tensor, "1 n _ _"]],
        names: Sequence[str],
        *,
        side: int,
        device: torch.device | str = "cpu",
        digest: str = "",
    ) -> None:
        self.network, self.names, self.side, self.device = network, tuple(names), side, device
        self.digest = digest

    def masks(self, picture: Picture, classes: Sequence[str], *, absent: bool = False) -> dict[str, Floats]:
        """The mask of each class.

        Args:
            picture: the picture.
            classes: names in any case; ``shirt+dress`` is the mask of both. ``background`` is the rest beside the other
                classes; alone, it is the network's own class of that name.
            absent: whether the picture may have nothing of a class, whose mask is then 0 everywhere.

        Returns:
            A mask ``[h, w]`` in [0, 1] at the picture's size for each name.

        Raises:
            UnknownNameError: the network knows no such class.
            PictureError: the picture has nothing of a class; the message lists those it has.
            WeightsError: the network's output is not finite.
        """
        rest = [name for name in classes if name.strip().lower() == BACKGROUND]
        named = [name for name in classes if name not in rest] or rest
        groups = [members(name, self.names) for name in named]
        logits = self._logits(picture)
        masks = dict(zip(named, class_masks(logits, picture.size, groups), strict=True))
        for name in rest:
            if name not in named:
                masks[name] = np.maximum(1 - np.sum([masks[other] for other in dict.fromkeys(named)], axis=0), 0)
        for name, mask in masks.items():
            if not (mask.any() or absent):
                shares = logits.softmax(0).mean((1, 2)).tolist()
                found = sorted(((s, n) for s, n in zip(shares, self.names, strict=True) if s > PRESENT), reverse=True)
                seen = ", ".join(f"{n} ({s:.1%})" for s, n in found)
                raise PictureError(
                    f"the network finds no {name} in the picture; it finds {seen}. Name one of these, or give a mask"
                )
        return masks

    def found(self, picture: Picture) -> Iterator[tuple[str, Floats]]:
        """Name and mask ``[h, w]`` of each class that covers more than ``PRESENT`` of the picture."""
        groups = [[i] for i in range(len(self.names))]
        for name, mask in zip(self.names, class_masks(self._logits(picture), picture.size, groups), strict=True):
            if mask.mean() > PRESENT:
                yield name, mask

    @torch.no_grad()
    def _logits(self, picture: Picture) -> Logits:
        width, height = picture.size
        scale = min(self.side / min(width, height), _LONGEST / max(width, height))
        size = [max(_SMALLEST, round(side * scale)) for side in (height, width)]
        image = F.interpolate(picture.tensor().to(self.device), size=size, mode="bilinear", antialias=True)
        mean, deviation = (image.new_tensor(v).view(3, 1, 1) for v in (_MEAN, _DEVIATION))
        logits = self.network((image - mean) / deviation)[0].float()
        if not logits.isfinite().all():
            raise WeightsError("the output of the segmentation network is not finite; give other weights")
        return logits


def members(asked: str, names: Sequence[str]) -> list[int]:
    """Indices of the classes of a name such as ``shirt`` or ``shirt+dress``, in any case.

    Raises:
        UnknownNameError: there is no such class.
    """
    known = {name.lower(): i for i, name in enumerate(names)}
    found = []
    for name in asked.split("+"):
        if (plain := name.strip().lower()) not in known:
            alone = f"the network has no such class; name another class beside it, and {BACKGROUND} is the rest"
            why = alone if plain == BACKGROUND else ""
            raise UnknownNameError("class", name.strip(), sorted(known), where="the segmentation network", why=why)
        found.append(known[plain])
    return found


def check_classes(model: str, classes: Sequence[str]) -> None:
    """Check the names of classes before a network is loaded; those of a SegFormer are only known afterwards.

    Raises:
        UnknownNameError: DeepLabV3 has no such class.
    """
    if model in DEEPLABS:
        for name in classes:
            members(name, VOC)


def class_masks(logits: Logits, size: tuple[int, int], groups: Sequence[Sequence[int]]) -> Iterator[Floats]:
    """The mask of each group of classes: its probability, where values near 0 and 1 become 0 and 1 (``DOUBT``).

    The logits are enlarged, not the probabilities: borders stay sharp. Classes are enlarged one by one, so that memory
    does not grow with their number.

    Args:
        logits: of all classes.
        size: width and height of the masks, pixels.
        groups: indices of the classes that make one mask.

    Yields:
        ``[h, w]`` in [0, 1] for each group.
    """

    def large(plane: Float[Tensor, "h w"]) -> Float[Tensor, "height width"]:
        return F.interpolate(plane[None, None], size=size[::-1], mode="bilinear")[0, 0]

    total = large(logits[0])
    for plane in logits[1:]:
        total = torch.logaddexp(total, large(plane))
    for group in groups:
        probability = torch.zeros_like(total)
        for i in dict.fromkeys(group):
            probability += torch.exp(large(logits[i]) - total)
        yield ((probability - DOUBT) / (1 - 2 * DOUBT)).clamp(0, 1).cpu().numpy()


def write_masks(segmenter: Segmenter, picture: Picture, folder: Path, *, overwrite: bool = True) -> dict[Path, float]:
    """Write the mask of each class that is found as a grey PNG, named after the class.

    Returns:
        The share of the picture that each file's mask covers.

    Raises:
        OutputError: a file cannot be written or, without ``overwrite``, exists.
    """
    folder = expanded(folder)

    def place(name: str) -> Path:
        return folder / (re.sub(r"[^\w+-]+", "_", name.lower()).strip("_") + ".png")

    there = [path for path in map(place, segmenter.names) if os.path.lexists(path)]
    if there and not overwrite:
        raise OutputError(f"{there[0]} exists; `overwrite` replaces it")
    written = {}
    for name, mask in segmenter.found(picture):
        write_grey(mask, place(name), replace=overwrite)
        written[place(name)] = float(mask.mean())
    return written


# ------------------------------------------------------------------------------------- loading


def load_segmenter(
    model: str = "deeplabv3_resnet50",
    *,
    weights: Path | None = None,
    device: torch.device | str = "cpu",
    on_bytes: OnBytes | None = None,
) -> Segmenter:
    """A segmentation network ready to use.

    Args:
        model: a key of ``DEEPLABS``, or a SegFormer: a folder, or OWNER/NAME at Hugging Face.
        weights: a file with DeepLabV3's weights; default: from the cache, or downloaded.
        device: where it runs.
        on_bytes: called during DeepLabV3's download.

    Raises:
        UnknownNameError: there is no such network.
        InputError: a package is missing, or weights were given for a SegFormer.
        WeightsError: missing, damaged or unfit weights.
    """
    if model in DEEPLABS:
        return _deeplab(model, weights, device, on_bytes)
    model = os.path.expanduser(model)
    if "/" not in model and not os.path.isdir(model):
        raise UnknownNameError("segmentation model", model, [*DEEPLABS, "OWNER/NAME of a SegFormer", "a folder"])
    if weights is not None:
        raise InputError(f"weights belong to {' or '.join(DEEPLABS)}; {model} brings its own: leave them out")
    return _segformer(model, device)


def _deeplab(model: str, weights: Path | None, device: torch.device | str, on_bytes: OnBytes | None) -> Segmenter:
    from torchvision.models import get_model

    otherwise = "give one as `weights`, or draw the masks yourself"
    path = weights or fetch(DEEPLABS[model], network=model, on_bytes=on_bytes, otherwise=otherwise)[0]
    state = {k: v for k, v in read_weights(path).items() if not k.startswith("aux_classifier.")}  # used in training
    with Blank():
        network = get_model(model, weights=None, weights_backbone=None, num_classes=len(VOC), aux_loss=False)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip().split(",")[0]  # the first of hundreds
        raise WeightsError(
            f"{path} does not fit {model} with the {len(VOC)} classes of Pascal VOC: {reason}"
        ) from error
    network.eval().to(device)
    return Segmenter(
        lambda x: network.classifier(network.backbone(x)["out"]),
        VOC,
        side=_DEEPLAB_SIDE,
        device=device,
        digest=file_digest(path),
    )


def _segformer(model: str, device: torch.device | str) -> Segmenter:
    """A SegFormer (Xie et al. 2021). Its own preprocessing makes pictures square; here they keep their shape."""
    try:
        from transformers import SegformerConfig, SegformerForSemanticSegmentation
    except ImportError as error:
        raise MissingExtraError(model, "transformers", "segformer") from error
    local = os.path.isdir(model)
    try:
        kind = SegformerConfig.get_config_dict(model, local_files_only=local)[0].get("model_type")
        if kind != "segformer":
            says = f"says {kind}" if kind else "is missing, or says nothing"
            raise WeightsError(f"{model} is no SegFormer: its config.json {says}; give another")
        with Blank():
            network, report = SegformerForSemanticSegmentation.from_pretrained(
                model, use_safetensors=True, local_files_only=local, output_loading_info=True
            )
    except WeightsError:
        raise
    except Exception as error:  # any type: no internet, no such model, a damaged file
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise WeightsError(
            f"cannot load the segmentation model {model}: {reason}. Give OWNER/NAME of a SegFormer at Hugging Face or, "
            "without internet, a folder with its config.json and model.safetensors"
        ) from error
    if report["missing_keys"]:  # such as the head: its output would be random
        some = sorted(report["missing_keys"])[0]
        raise WeightsError(f"{model} was not trained to segment: it has no {some}; give a fine-tuned SegFormer")
    network.eval().to(device)
    names = [network.config.id2label[i].strip() for i in range(network.config.num_labels)]
    return Segmenter(lambda x: network(x).logits, names, side=_SEGFORMER_SIDE, device=device, digest=model)
