"""What a network's weights expect of a picture, and how weights that expect something else are brought to it.

Most weights expect red, green, blue in [0, 1], less a mean and divided by a deviation. Caffe's expect blue, green, red
in [0, 255], less a mean. Such files go by the same names and shapes, and give wrong colours where nobody notices.
"""

import warnings
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from artune.errors import ArtuneWarning, WeightsError

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class InputConvention:
    """A picture as weights expect it: ``(image - mean) / std``, for an sRGB image in [0, 1].

    Attributes:
        mean: of red, green and blue.
        std: of red, green and blue.
        bgr: whether blue comes first.
    """

    mean: Triple
    std: Triple
    bgr: bool = False

    def __str__(self) -> str:
        top = 255 if max(self.std) <= 1 / 255 else 1
        mean, std = (tuple(top * value for value in each) for each in (self.mean, self.std))
        text = f"{'blue' if self.bgr else 'red'} first, pixels of 0 to {top}"
        text += f" less ({', '.join(f'{value:.4g}' for value in mean)})" if any(mean) else ""
        return text + (f" over ({', '.join(f'{value:.4g}' for value in std)})" if {*std} != {1.0} else "")


IMAGENET = InputConvention((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of ImageNet's pictures: torchvision's networks."""
CENTRED = InputConvention((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""[-1, 1]: networks that were trained in TensorFlow."""
UNIT = InputConvention((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
"""[0, 1], as it is."""
CAFFE = InputConvention((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 1 / 255), bgr=True)
"""[0, 255] less ImageNet's mean, blue first: the VGG networks as Oxford published them, in Caffe."""

OXFORD = (
    (0.075, 0.072, 0.064), (-0.120, 0.077, 0.194), (0.113, 0.230, 0.155), (-0.399, -0.427, -0.379),
    (0.241, 0.194, 0.167), (-0.101, -0.226, 0.251), (-0.082, -0.043, -0.046), (-0.030, -0.111, -0.159),
)  # fmt: skip
"""The first eight filters of the Oxford VGG networks at their centre, for red, green and blue in [0, 255]: means over
VGG-16 and VGG-19, which are nearly the same (Simonyan and Zisserman 2015; University of Oxford, CC BY 4.0)."""
SAME = 0.9
"""Cosine similarity above which filters are taken for Oxford's. The two networks' own is 0.995, with red and blue
exchanged 0.71 and 0.76, that of other networks 0.3 at most."""
NEAR = 1.3
"""Largest factor between the size of Oxford's filters and the size that a convention asks for. Conventions are at least
a factor of 2 apart."""
DEVIATION = 0.26
"""Standard deviation of the pixels of photographs in [0, 1]."""
TOO_LARGE = 100.0
"""Variance after the first layer over that of photographs, above which the weights expect values up to 255: such
weights have a ratio of 3,000 and more, those of the right convention 0.5 to 1.4."""


def adapt_input(network: nn.Module, convention: InputConvention, where: str) -> None:
    """Change the first layer, in place, so that the weights of a file expect what the network gives them.

    What a file expects can be told in two cases. The Oxford VGG networks are known by their filters, in any convention;
    their first layer is converted, with a warning. Batch norm after the first layer holds the variance of what the
    network was trained with; where that is of values up to 255, the file is refused, for nothing tells the order of its
    colours. All other weights are taken as they are.

    Args:
        network: with the weights of the file.
        convention: what the network gives its first layer.
        where: the file, for messages.

    Raises:
        WeightsError: the file expects another convention, and it cannot be told which.
    """
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d)]
    first, after = [*layers, None, None][:2]
    if not isinstance(first, nn.Conv2d) or first.in_channels != len(convention.mean):
        return
    found = oxford_convention(first.weight, where)
    if found is not None and found != convention:
        convert(first, found, convention)
        warnings.warn(
            f"{where}: its weights expect another input ({found}), as files from Caffe do; the first layer "
            "was converted, and results are those of the original network",
            ArtuneWarning,
            stacklevel=3,
        )
    if isinstance(after, nn.BatchNorm2d) and _variance_ratio(first, after, convention) > TOO_LARGE:
        raise WeightsError(
            f"{where}: its weights expect pixels of 0 to 255, as files from Caffe do, and cannot be used as they are; "
            f"convert the first layer to torchvision's input ({convention}), or give torchvision's weights"
        )


def oxford_convention(weight: Float[Tensor, "c 3 _ _"], where: str) -> InputConvention | None:
    """The convention of a first layer of the Oxford VGG networks, also of fine-tuned ones.

    Args:
        weight: of the first convolution.
        where: the file, for messages.

    Returns:
        The convention, or ``None`` for other networks.

    Raises:
        WeightsError: Oxford's filters, of a size that no convention asks for.
    """
    known = weight.new_tensor(OXFORD, dtype=torch.float64)
    if len(weight) < len(known):
        return None
    height, width = weight.shape[2:]
    centre = weight.detach()[: len(known), :, height // 2, width // 2].double()
    for bgr, filters in ((False, centre), (True, centre.flip(1))):
        along = float((filters * known).sum())
        if along > SAME * float(filters.norm() * known.norm()):
            size = along / float(known.square().sum())
            ratios = {each: size / (255 * sum(each.std) / len(each.std)) for each in (CAFFE, IMAGENET, CENTRED, UNIT)}
            near = [each for each, ratio in ratios.items() if 1 / NEAR < ratio < NEAR]
            if not near:
                raise WeightsError(
                    f"{where}: the filters of its first layer are those of the Oxford VGG, {size:.3g} times as large "
                    f"as Caffe's, and fit no known input; convert them to torchvision's ({IMAGENET})"
                )
            return InputConvention(near[0].mean, near[0].std, bgr)
    return None


@torch.no_grad()
def convert(layer: nn.Conv2d, given: InputConvention, wanted: InputConvention) -> None:
    """Change a first convolution, in place, so that it gives for the wanted input what it gave for its own.

    The two agree to rounding; where zeros are padded, their meaning moves by the difference of the means.
    """
    shift = torch.tensor(wanted.mean, dtype=torch.float64) - torch.tensor(given.mean, dtype=torch.float64)
    given_std, wanted_std = (torch.tensor(each.std, dtype=torch.float64) for each in (given, wanted))
    weight = layer.weight.double()
    weight = weight.flip(1) if given.bgr else weight  # now red first
    moved = torch.einsum("oihw,i->o", weight, shift / given_std)
    weight = weight * (wanted_std / given_std).view(1, -1, 1, 1)
    layer.weight.copy_(weight.flip(1) if wanted.bgr else weight)
    if layer.bias is not None:
        layer.bias.add_(moved)


@torch.no_grad()
def _variance_ratio(layer: nn.Conv2d, norm: nn.BatchNorm2d, convention: InputConvention) -> float:
    """Variance that batch norm saw in training over that of photographs: a median over the filters.

    Pixels of photographs are taken to correlate as ``exp(-distance / 10)``, and their colours by 0.9.
    """
    if norm.running_var is None or bool((norm.running_var == norm.running_var[0]).all()):  # folded into the weights
        return 1.0
    height, width = layer.kernel_size
    places = torch.cartesian_prod(torch.arange(float(height)), torch.arange(float(width)))
    pixels = torch.exp(-torch.cdist(places, places) / 10)
    colours = torch.full((3, 3), 0.9).fill_diagonal_(1.0)
    filters = layer.weight.float().flatten(2) * (DEVIATION / torch.tensor(convention.std)).view(1, -1, 1)
    expected = torch.einsum("fap,fbq,ab,pq->f", filters, filters, colours, pixels)
    return float((norm.running_var.float() / expected)[expected > 0].nanmedian())
