"""Fine-tune MobileNetV2 to tell impressionist paintings from others, as it is and without its residual additions.

    python training/finetune_mobilenet.py normal --assets DIR -o FILE
    python training/finetune_mobilenet.py flat --assets DIR -o FILE

``DIR`` holds ``weights/mobilenet_v2.safetensors``, ``data/paintings/<style>`` and ``data/photos``. ``FILE`` has
torchvision's keys, so that ``--weights`` takes it: the normal network's for ``mobilenet_v2``, the flat one's for
``mobilenet_v2_flat``. The head has two outputs: other, impressionist.

Without its additions the network's own weights give poor features. So the flat one first learns the outputs of the
blocks of the normal one: each block's last convolution by least squares, one block after the other, then all weights
by descent. Batch norm keeps its statistics; its shift is the bias of the convolution before it, and is trained.

Painters of the validation pictures are not among those of the training pictures. Both classes are drawn equally often,
so that a constant answer has accuracy 0.5.
"""

import argparse
import json
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import MobileNetV2, mobilenet_v2
from torchvision.models.mobilenetv2 import InvertedResidual

from artune.backbones.conventions import IMAGENET
from artune.data.folders import read_squares, to_image
from artune.files import atomic
from artune.images.find import find_pictures

SIDE, CROP = 160, 128
"""Side of the squares that are kept in memory, and of the crops that the network sees; pixels."""
SHIFT = (SIDE - CROP) // 2
SMALLEST = 96
"""Side of the smallest crop, which is enlarged; pixels."""
SMOOTHED = 0.1
"""Share of a label that is spread over both classes."""
BATCH = 16
HELD_OUT = 5
"""One painter of so many is held out for validation."""
RIDGE = 1e-3
"""Of the least squares, relative to the mean energy of the inputs."""
POSITIVE = "impressionism"

Log = Callable[..., None]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("kind", choices=("normal", "flat"))
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--log", type=Path, default=Path(__file__).parent / "logs" / "finetune-mobilenet.jsonl")
    parser.add_argument("--match-steps", type=int, default=400)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--rate", type=float, default=5e-5)
    arguments = parser.parse_args()
    began = time.monotonic()

    def log(**said: object) -> None:
        line = {"run": arguments.kind, **said, "seconds": round(time.monotonic() - began, 1)}
        with arguments.log.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(line, flush=True)

    torch.manual_seed(0)
    weights = load_file(arguments.assets / "weights" / "mobilenet_v2.safetensors")
    network = classifier(weights, flat=arguments.kind == "flat")
    paintings = arguments.assets / "data" / "paintings"
    train, val = split(paintings)
    if arguments.kind == "flat":
        photos = find_pictures(arguments.assets / "data" / "photos").pictures[::3]
        pictures = read_squares([*photos, *(path for path, _ in train[::2])], SIDE)
        match(network, classifier(weights), pictures, arguments.match_steps, arguments.rate, log)
        del pictures
    fit(network, train, val, arguments.steps, arguments.rate, log)
    save(network, arguments.out, arguments.kind)


def classifier(weights: dict[str, Tensor], *, flat: bool = False) -> MobileNetV2:
    """MobileNetV2 with a head of two outputs; batch norm in evaluation mode for good."""
    network: MobileNetV2 = mobilenet_v2(num_classes=2)
    body = {key: value.float() for key, value in weights.items() if not key.startswith("classifier")}
    network.load_state_dict(body, strict=False)
    if flat:
        for block in network.modules():
            if isinstance(block, InvertedResidual):
                block.use_res_connect = False
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.requires_grad_(False)
    network.eval()
    return network


def split(folder: Path) -> tuple[list[tuple[Path, int]], list[tuple[Path, int]]]:
    """Paintings and whether they are impressionist, for training and for validation, by painter."""
    train: list[tuple[Path, int]] = []
    val: list[tuple[Path, int]] = []
    for style in sorted(path for path in folder.iterdir() if path.is_dir()):
        for path in find_pictures(style).pictures:
            held_out = zlib.crc32(path.name.split("_")[0].encode()) % HELD_OUT == 0
            (val if held_out else train).append((path, int(style.name == POSITIVE)))
    return train, val


def normalised(pixels: Tensor) -> Tensor:
    """What the network expects, of bytes ``[b, 3, h, w]``."""
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (IMAGENET.mean, IMAGENET.std))
    return (to_image(pixels) - mean) / std


def middle(pixels: Tensor) -> Tensor:
    """What the network expects of the middle of pictures."""
    return normalised(pixels[..., SHIFT : SHIFT + CROP, SHIFT : SHIFT + CROP])


def crops(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """A random square of each picture, mirrored half of the time, at the side ``CROP``; normalised."""
    found = []
    for picture in pixels:
        side = int(torch.randint(SMALLEST, SIDE + 1, (), generator=generator))
        top, left = torch.randint(SIDE - side + 1, (2,), generator=generator).tolist()
        part = normalised(picture[None, :, top : top + side, left : left + side])
        part = F.interpolate(part, (CROP, CROP), mode="bilinear", antialias=True)
        found.append(part.flip(-1) if torch.randint(2, (), generator=generator) else part)
    return torch.cat(found)


def batches(groups: Sequence[Tensor], steps: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Normalised pictures and the place of their group; as many of each group."""
    generator = torch.Generator().manual_seed(seed)
    share = BATCH // len(groups)
    for _ in range(steps):
        drawn = [group[torch.randint(len(group), (share,), generator=generator)] for group in groups]
        yield crops(torch.cat(drawn), generator), torch.arange(len(groups)).repeat_interleave(share)


# ------------------------------------------------------------------------------------- matching


def match(student: MobileNetV2, teacher: MobileNetV2, pictures: Tensor, steps: int, rate: float, log: Log) -> None:
    """Let the flat network learn the block outputs of the normal one."""
    teacher.requires_grad_(False)
    with torch.no_grad():
        log(stage="before", error=apart(student, teacher, middle(pictures[:32])))
        x = y = middle(pictures[torch.randperm(len(pictures))[:96]])
        for own, other in zip(student.features, teacher.features, strict=True):
            y = torch.cat([other(part) for part in torch.split(y, BATCH)])
            if isinstance(other, InvertedResidual) and other.use_res_connect:
                solve(own, x, y)
            x = torch.cat([own(part) for part in torch.split(x, BATCH)])
        log(stage="least squares", error=apart(student, teacher, middle(pictures[:32])))
    optimiser = torch.optim.Adam([p for p in student.features.parameters() if p.requires_grad], lr=10 * rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step, (image, _) in enumerate(batches([pictures], steps, seed=1), start=1):
        loss = torch.stack(errors(student, teacher, image)).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            with torch.no_grad():
                error = apart(student, teacher, middle(pictures[:32]))
            log(stage="matching", step=step, loss=round(loss.item(), 4), error=error)


def solve(block: nn.Module, x: Tensor, y: Tensor) -> None:
    """Set the last convolution of a block, by least squares, to make ``y`` of ``x``."""
    conv = cast(nn.Sequential, block.conv)
    hidden, last, shift = conv[:-2], cast(nn.Conv2d, conv[-2]), cast(nn.BatchNorm2d, conv[-1])
    width = last.in_channels + 1
    gram, right = torch.zeros(width, width, dtype=torch.float64), torch.zeros(width, y.shape[1], dtype=torch.float64)
    for part, wanted in zip(torch.split(x, BATCH), torch.split(y, BATCH), strict=True):
        values = hidden(part).permute(0, 2, 3, 1).flatten(0, 2)
        values = torch.cat([values, torch.ones(len(values), 1)], 1).double()
        gram += values.T @ values
        right += values.T @ wanted.permute(0, 2, 3, 1).flatten(0, 2).double()
    gram += RIDGE * gram.diagonal().mean() * torch.eye(width, dtype=torch.float64)
    found = torch.linalg.solve(gram, right)
    last.weight.copy_(found[:-1].T[..., None, None])
    shift.bias.copy_(found[-1])


def errors(student: MobileNetV2, teacher: MobileNetV2, image: Tensor) -> list[Tensor]:
    """Mean squared error of each block's output, over the variance of the teacher's."""
    found, x, y = [], image, image
    for own, other in zip(student.features, teacher.features, strict=True):
        x, y = own(x), other(y)
        found.append(F.mse_loss(x, y) / y.var())
    return found


def apart(student: MobileNetV2, teacher: MobileNetV2, image: Tensor) -> dict[str, float]:
    """The errors of some blocks."""
    found = errors(student, teacher, image)
    return {f"layer_{block}": round(float(found[block]), 4) for block in (2, 4, 8, 14, 18)}


# ------------------------------------------------------------------------------------- classes


def fit(
    network: nn.Module, train: Sequence[tuple[Path, int]], val: Sequence[tuple[Path, int]], steps: int, rate: float,
    log: Log,
) -> None:  # fmt: skip
    """Train the classes; the weights of the best validation are kept."""
    groups = [read_squares([path for path, label in train if label == kind], SIDE) for kind in (0, 1)]
    held_out = [read_squares([path for path, label in val if label == kind], SIDE) for kind in (0, 1)]
    log(stage="classes", train=[*map(len, groups)], val=[*map(len, held_out)])
    named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    body, head = ([p for name, p in named if name.startswith(part)] for part in ("features", "classifier"))
    optimiser = torch.optim.Adam([{"params": body, "lr": rate}, {"params": head, "lr": 10 * rate}])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    best, kept = 0.0, dict[str, Tensor]()
    for step, (image, label) in enumerate(batches(groups, steps, seed=2), start=1):
        loss = F.cross_entropy(network(image), label, label_smoothing=SMOOTHED)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % 25 == 0 or step == steps:
            shares = recalls(network, held_out)
            score = sum(shares) / 2
            log(stage="classes", step=step, loss=round(loss.item(), 4), accuracy=round(score, 4), recalls=shares)
            if score >= best:
                best, kept = score, {key: value.clone() for key, value in network.state_dict().items()}
    network.load_state_dict(kept)
    log(stage="kept", accuracy=round(best, 4), by_chance=0.5)


@torch.no_grad()
def recalls(network: MobileNetV2, groups: Sequence[Tensor]) -> list[float]:
    """The share of each class that is recognised; their mean is the accuracy on as many pictures of each."""
    shares = []
    for kind, group in enumerate(groups):
        answers = torch.cat([network(middle(part)).argmax(1) for part in torch.split(group, BATCH)])
        shares.append(round(float((answers == kind).float().mean()), 4))
    return shares


def save(network: nn.Module, out: Path, kind: str) -> None:
    """Write the weights by torchvision's keys, fp16."""
    tensors = {key: value.half() if value.is_floating_point() else value for key, value in network.state_dict().items()}
    about = {"keys": "torchvision mobilenet_v2", "run": kind, "classes": f"other, {POSITIVE}"}
    with atomic(out) as place:
        save_file({key: value.contiguous() for key, value in tensors.items()}, place, about)


if __name__ == "__main__":
    main()
