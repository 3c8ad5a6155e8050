"""Forward and backward pass of a chain of convolutions in one function, with buffers that are kept from step to step.

Autograd would copy features to pad them, to crop the margin and to change their layout, and would read them once more
for every activation, slope and sum. Here the activation of a convolution goes straight into the padded input of the
next one. A tap is worked off in strips that stay in the processor's cache: activation, sums and pooling on the way
forward; the gradients of the pooling, of the tap and of its sums, and the slope of the activation on the way back.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from artune.backbones.sums import Sums, add_sums, empty_sums, gradient_of_sums, row_chunks

STRIP = 2**22
"""Bytes of a strip of a tap: of 1/4 to 16 MB the fastest at 512 pixels on two cores with AVX-512."""
_SCRATCH = (-1, 0)
"""Key of the kept buffer for the gradient that the next convolution backwards reads."""
aten = torch.ops.aten

Core = tuple[slice, slice]
"""Rows and columns of a tap that are features of the picture itself, and not of the margin around it."""


@dataclass
class _Kept:
    """What the way back needs of the way forward.

    Attributes:
        call: number of the call; buffers of a later one overwrite these.
        cores: of every stage.
        taps: the activations of each stage's last convolution.
        inputs: the padded inputs of each stage's convolutions.
    """

    call: int
    cores: Sequence[Core]
    taps: list[Tensor] = field(default_factory=list)
    inputs: list[list[Tensor]] = field(default_factory=list)


class ChainPass:
    """A pass through stages of 3x3 convolutions with leaky ReLU, and 2x2 average pooling between the stages.

    It keeps the padded inputs of the convolutions, so that a step allocates little. A call overwrites what the last
    one kept: the gradient must be taken before the next call.

    Args:
        stages: the convolutions of each stage, without padding of their own. The tap of a stage is the activation of
            its last one.
        slope: of the activation below zero, in [0, 1).
        taps: stages, counted from 0, whose activations it finds.
        summed: stages whose sums over positions it finds.

    Raises:
        ValueError: a weight requires a gradient, of which there is none here.
    """

    def __init__(
        self, stages: Sequence[Sequence[nn.Conv2d]], slope: float, taps: Collection[int], summed: Collection[int]
    ) -> None:
        self.taps, self.summed, self.slope = sorted(taps), sorted(summed), slope
        self.stages = stages[: max((*taps, *summed)) + 1]
        self.check_frozen()
        self.buffers: dict[tuple[int, int], Tensor] = {}
        self.calls = 0

    def check_frozen(self) -> None:
        """Raise a ``ValueError`` if a weight requires a gradient."""
        if any(parameter.requires_grad for stage in self.stages for conv in stage for parameter in conv.parameters()):
            raise ValueError("this pass has no gradient of weights; use the network itself, or freeze it first")

    def __call__(self, x: Tensor, cores: Sequence[Core]) -> tuple[dict[int, Tensor], dict[int, Sums]]:
        """Activations and sums of the cores, by stage.

        Args:
            x: the picture with its border repeated, ``[b, 3, h + 2, w + 2]``, in the precision of the weights.
            cores: of every stage.
        """
        self.check_frozen()
        found = _Chain.apply(x, cores, self)
        features = dict(zip(self.taps, found, strict=False))
        pairs = zip(found[len(self.taps) :: 2], found[len(self.taps) + 1 :: 2], strict=True)
        sums: dict[int, Sums] = {}
        for stage, (first, second) in zip(self.summed, pairs, strict=True):
            sides = zip(x.shape[2:], cores[stage], strict=True)
            height, width = (len(range((side - 2) >> stage)[part]) for side, part in sides)
            sums[stage] = Sums(height * width, first, second)
        return features, sums

    def forward(self, x: Tensor, cores: Sequence[Core]) -> tuple[_Kept, list[Tensor]]:
        """The activations and the sums, in the order of ``taps`` and ``summed``."""
        self.calls += 1
        kept = _Kept(self.calls, cores)
        sums: list[Tensor] = []
        for number, stage in enumerate(self.stages):
            kept.inputs.append([x])
            for place, conv in enumerate(stage[:-1], start=1):
                out = F.conv2d(x, conv.weight, conv.bias)
                x = self.bordered(number, place, out)
                aten.leaky_relu.out(out, self.slope, out=x[:, :, 1:-1, 1:-1])
                repeat_border(x)
                kept.inputs[-1].append(x)
            tap = F.conv2d(x, stage[-1].weight, stage[-1].bias)
            kept.taps.append(tap)
            pooled = number + 1 < len(self.stages)
            if pooled:
                x = self.bordered(number + 1, 0, tap, halved=True)
            if number in self.summed:
                sums += empty_sums(tap)
            for rows in row_chunks(tap, STRIP, multiple=2):
                part = tap[:, :, rows]
                aten.leaky_relu_(part, self.slope)
                if number in self.summed:
                    add_sums(sums[-2], sums[-1], inside(part, rows, cores[number]))
                if pooled and part.shape[2] > 1:
                    half = F.avg_pool2d(part, 2)
                    x[:, :, 1 + rows.start // 2 : 1 + rows.start // 2 + half.shape[2], 1:-1] = half
            if pooled:
                repeat_border(x)
        features = [kept.taps[stage][(..., *cores[stage])] for stage in self.taps]
        return kept, features + sums

    def backward(self, kept: _Kept, grads: Sequence[Tensor | None]) -> Tensor:
        """The gradient of the padded picture, from those of the activations and the sums."""
        if kept.call != self.calls:
            raise RuntimeError("this pass was called again before the gradient of its last call was taken")
        of_taps = dict(zip(self.taps, grads, strict=False))
        pairs = zip(grads[len(self.taps) :: 2], grads[len(self.taps) + 1 :: 2], strict=True)
        of_sums = dict(zip(self.summed, pairs, strict=True))
        inner: Tensor | None = None  # gradient of an input without its border
        while True:
            number = len(kept.taps) - 1
            tap, inputs = kept.taps.pop(), kept.inputs.pop()  # freed once they are used
            grad = self.of_tap(tap, inner, of_taps.get(number), of_sums.get(number), kept.cores[number])
            del tap
            for place in reversed(range(len(inputs))):
                weight = self.stages[number][place].weight
                if number and not place:
                    weight = weight * 0.25  # pooling averages four pixels: the cheapest place for its factor
                of_input = gradient_of_input(grad, inputs[place], weight)
                if (number, place) == (0, 0):
                    return of_input
                fold_border(of_input)
                inner = of_input[:, :, 1:-1, 1:-1]
                if place:
                    grad = self.buffer(_SCRATCH, inner, inner.shape)
                    below = inputs[place][:, :, 1:-1, 1:-1]
                    aten.leaky_relu_backward.grad_input(inner, below, self.slope, True, grad_input=grad)

    def of_tap(
        self,
        tap: Tensor,
        of_pooled: Tensor | None,
        of_core: Tensor | None,
        of_sums: tuple[Tensor | None, Tensor | None] | None,
        core: Core,
    ) -> Tensor:
        """Gradient of the output of a stage's last convolution.

        Args:
            tap: its activation.
            of_pooled: a quarter of the gradient of the tap after pooling; ``None`` for the last stage.
            of_core: gradient of the tap's core.
            of_sums: gradients of its sums.
            core: rows and columns of the core.
        """
        grad = self.buffer(_SCRATCH, tap, tap.shape)
        of_positions = _of_sums(tap, *(of_sums or (None, None)))
        for rows in row_chunks(tap, STRIP, multiple=2):
            part, below = grad[:, :, rows], tap[:, :, rows]
            if of_pooled is None:
                part.zero_()
            else:
                enlarge(of_pooled[:, :, rows.start // 2 : rows.stop // 2], part)
            middle = inside(part, rows, core)
            if of_core is not None:
                begin = max(rows.start - core[0].start, 0)
                middle += of_core[:, :, begin : begin + middle.shape[2]]
            if of_positions is not None:
                middle += gradient_of_sums(*of_positions, inside(below, rows, core))
            aten.leaky_relu_backward.grad_input(part, below, self.slope, True, grad_input=part)
        return grad

    def bordered(self, number: int, place: int, out: Tensor, *, halved: bool = False) -> Tensor:
        """The kept input of a convolution: the size of an output, or half of it, and a border of width 1."""
        batch, channels, height, width = out.shape
        sides = (side // 2 if halved else side for side in (height, width))
        return self.buffer((number, place), out, (batch, channels, *(side + 2 for side in sides)))

    def buffer(self, key: tuple[int, int], like: Tensor, shape: Sequence[int]) -> Tensor:
        """Kept memory of a shape, channels last; it grows with the largest picture.

        Args:
            key: stage and place of the convolution whose input it holds; or ``_SCRATCH``.
            like: a tensor of its precision and device.
            shape: ``[b, c, h, w]``.
        """
        batch, channels, height, width = shape
        count = batch * channels * height * width
        found = self.buffers.get(key)
        if found is None or found.numel() < count or (found.dtype, found.device) != (like.dtype, like.device):
            with torch.inference_mode(False):  # a later step may run outside the mode of this one
                found = torch.empty(count, dtype=like.dtype, device=like.device)
            self.buffers[key] = found
        return found[:count].view(batch, height, width, channels).permute(0, 3, 1, 2)


class _Chain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cores: Sequence[Core], chain: ChainPass) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.chain = chain
        with torch.autocast(x.device.type, enabled=False):  # the weights have the precision that was chosen
            ctx.kept, found = chain.forward(x, cores)
        return tuple(found)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor, None, None]:
        kept, ctx.kept = ctx.kept, None
        if kept is None:
            raise RuntimeError("the gradient of this pass was taken already; call it again for another one")
        with torch.autocast(kept.taps[0].device.type, enabled=False):
            return ctx.chain.backward(kept, grads), None, None


def _of_sums(tap: Tensor, first: Tensor | None, second: Tensor | None) -> tuple[Tensor, Tensor] | None:
    """The first two arguments of ``gradient_of_sums``; ``None`` if nothing depends on the sums of the tap."""
    if first is None and second is None:
        return None
    batch, channels = tap.shape[:2]
    first = tap.new_zeros((batch, channels)) if first is None else first.to(tap.dtype)
    second = tap.new_zeros((batch, channels, channels)) if second is None else second
    return first, (second + second.transpose(1, 2)).to(tap.dtype)


def inside(part: Tensor, rows: slice, core: Core) -> Tensor:
    """What some rows of a tap have in common with its core."""
    begin, end = (min(max(at - rows.start, 0), part.shape[2]) for at in (core[0].start, core[0].stop))
    return part[:, :, begin:end, core[1]]


def repeat_border(x: Tensor) -> None:
    """Fill the border of width 1 with the values beside it."""
    x[:, :, 0, 1:-1] = x[:, :, 1, 1:-1]
    x[:, :, -1, 1:-1] = x[:, :, -2, 1:-1]
    x[..., 0] = x[..., 1]
    x[..., -1] = x[..., -2]


def fold_border(grad: Tensor) -> None:
    """Add the gradient of a border that ``repeat_border`` filled to that of the values beside it."""
    grad[..., 1] += grad[..., 0]
    grad[..., -2] += grad[..., -1]
    grad[:, :, 1] += grad[:, :, 0]
    grad[:, :, -2] += grad[:, :, -1]


def gradient_of_input(grad: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Gradient of the input of a convolution without padding."""
    found: Tensor = aten.convolution_backward(
        grad, x, weight, None, (1, 1), (0, 0), (1, 1), False, (0, 0), 1, (True, False, False)
    )[0]
    return found


def enlarge(half: Tensor, out: Tensor) -> None:
    """Repeat every value in a square of 2x2; an odd last row or column is zero.

    Args:
        half: ``[b, c, h // 2, w // 2]``.
        out: is overwritten, ``[b, c, h, w]``.
    """
    height, width = 2 * half.shape[2], 2 * half.shape[3]
    if len(out) == 1 and out.shape[-2:] == (height, width):  # rows of a batch have gaps, which `out` must not have
        aten.upsample_nearest2d.out(half, (height, width), out=out)
        return
    out.zero_()
    if half.numel():
        out[..., :height, :width] = F.interpolate(half, scale_factor=2)
