"""Forward and backward pass of a chain of convolutions in one function, with buffers that are kept from step to step.

Autograd would copy features to pad them, to crop the margin and to change their layout, and would read them once more
for every activation, slope and sum. At full resolution such traffic costs as much as the convolutions. Here the
activation of a convolution goes straight into the padded input of the next one. A tap is worked off in strips that stay
in the processor's cache: activation, sums and pooling on the way forward; the gradients of the pooling, of the tap and
of its sums, and the slope of the activation on the way back.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from artune.backbones.sums import Sums, add_sums, empty_sums, slope_of_sums

STRIP = 2**19
"""Bytes of a strip of a tap."""
aten = torch.ops.aten


@dataclass(frozen=True)
class Chain:
    """A chain of stages of 3x3 convolutions; a stage after the first begins with 2x2 average pooling.

    Attributes:
        stages: the convolutions of each stage. The tap of a stage is the activation of its last one.
        slope: slope of the leaky ReLU below zero, in [0, 1).
        margin: width in pixels of the margin around a picture, whose features do not count.
        widths: height and width of a picture to the widths of the border that is repeated around it, in the order of
            ``F.pad``: the margin, and what the first convolution needs.
    """

    stages: Sequence[Sequence[nn.Conv2d]]
    slope: float
    margin: int
    widths: Callable[[int, int], tuple[int, int, int, int]]


@dataclass
class _Kept:
    """What the way back needs of the way forward.

    Attributes:
        image: the picture.
        padded: the picture with its border repeated: the input of the first convolution.
        taps: the activations of each stage's last convolution.
        inputs: the padded inputs of each stage's convolutions.
    """

    image: Tensor
    padded: Tensor
    taps: list[Tensor] = field(default_factory=list)
    inputs: list[list[Tensor]] = field(default_factory=list)


class ChainPass:
    """A pass through a chain, for many steps.

    It keeps the padded inputs of the convolutions, so that a step allocates little.

    Args:
        chain: the convolutions.
        taps: stages, counted from 0, whose activations it finds.
        summed: stages whose sums over positions it finds.
    """

    def __init__(self, chain: Chain, taps: Collection[int], summed: Collection[int]) -> None:
        self.chain, self.taps, self.summed = chain, sorted(taps), sorted(summed)
        self.stages = chain.stages[: max((*taps, *summed)) + 1]
        self.buffers: dict[tuple[int, int], Tensor] = {}
        self.scratch = torch.empty(0)

    def __call__(self, image: Tensor) -> tuple[dict[int, Tensor], dict[int, Sums]]:
        """Activations and sums by stage.

        Args:
            image: ``[b, 3, h, w]``.
        """
        found = _Chain.apply(image, self)
        features = dict(zip(self.taps, found, strict=False))
        pairs = zip(found[len(self.taps) :: 2], found[len(self.taps) + 1 :: 2], strict=True)
        cores = [self.cores(image)[stage] for stage in self.summed]
        counts = [(rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in cores]
        sums = [Sums(count, *pair) for count, pair in zip(counts, pairs, strict=True)]
        return features, dict(zip(self.summed, sums, strict=True))

    def cores(self, image: Tensor) -> list[tuple[slice, slice]]:
        """Rows and columns of the features of the picture itself, among those with the margin, of each stage."""
        height, width = image.shape[-2:]
        left, right, above, below = self.chain.widths(height, width)
        sides = (height, height + above + below - 2), (width, width + left + right - 2)
        found = []
        for number in range(len(self.stages)):
            first = self.chain.margin >> number
            rows, columns = (slice(first, min(first - (-side >> number), whole >> number)) for side, whole in sides)
            found.append((rows, columns))
        return found

    def forward(self, image: Tensor) -> tuple[_Kept, list[Tensor]]:
        """The activations and the sums, in the order of ``taps`` and ``summed``."""
        height, width = image.shape[-2:]
        # padding comes before the change of precision: that is faster for three channels
        x = F.pad(image, self.chain.widths(height, width), mode="replicate")
        x = x.to(self.stages[0][0].weight.dtype, memory_format=torch.channels_last)
        kept = _Kept(image, x)
        sums: list[Tensor] = []
        cores = self.cores(image)
        for number, stage in enumerate(self.stages):
            kept.inputs.append([x])
            for place, conv in enumerate(stage[:-1], start=1):
                out = F.conv2d(x, conv.weight, conv.bias)
                x = self.bordered(number, place, out.shape, out)
                aten.leaky_relu.out(out, self.chain.slope, out=x[:, :, 1:-1, 1:-1])
                repeat_border(x)
                kept.inputs[-1].append(x)
            tap = F.conv2d(x, stage[-1].weight, stage[-1].bias)
            kept.taps.append(tap)
            height, width = tap.shape[-2:]
            pooled = number + 1 < len(self.stages)
            if pooled:
                x = self.bordered(number + 1, 0, (*tap.shape[:2], height // 2, width // 2), tap)
            if number in self.summed:
                sums += empty_sums(tap)
            for rows in strips(tap):
                part = tap[:, :, rows]
                aten.leaky_relu_(part, self.chain.slope)
                if number in self.summed:
                    add_sums(sums[-2], sums[-1], core(part, rows, cores[number]))
                if pooled and part.shape[2] > 1:
                    half = F.avg_pool2d(part, 2)
                    x[:, :, 1 + rows.start // 2 : 1 + rows.start // 2 + half.shape[2], 1:-1] = half
            if pooled:
                repeat_border(x)
        features = [kept.taps[stage][(..., *cores[stage])] for stage in self.taps]
        return kept, features + sums

    def backward(self, kept: _Kept, slopes: Sequence[Tensor | None]) -> Tensor:
        """The gradient of the picture, from those of the activations and the sums."""
        of_taps = dict(zip(self.taps, slopes, strict=False))
        pairs = zip(slopes[len(self.taps) :: 2], slopes[len(self.taps) + 1 :: 2], strict=True)
        of_sums = dict(zip(self.summed, pairs, strict=True))
        cores = self.cores(kept.image)
        of_half: Tensor | None = None
        for number in reversed(range(len(self.stages))):
            slope = self.of_tap(kept.taps[number], of_half, of_taps.get(number), of_sums.get(number), cores[number])
            stage, inputs = self.stages[number], kept.inputs[number]
            for place in reversed(range(len(stage))):
                of_input = input_gradient(slope, inputs[place], stage[place].weight)
                if (number, place) == (0, 0):
                    break
                fold_border(of_input)
                of_half = of_input[:, :, 1:-1, 1:-1]
                if place:
                    slope = self.like(of_half)
                    aten.leaky_relu_backward.grad_input(
                        of_half, inputs[place][:, :, 1:-1, 1:-1], self.chain.slope, True, grad_input=slope
                    )
        widths = self.chain.widths(*kept.image.shape[-2:])
        found: Tensor = aten.replication_pad2d_backward(of_input.to(kept.image.dtype), kept.image, widths)
        return found

    def of_tap(
        self,
        tap: Tensor,
        of_half: Tensor | None,
        of_core: Tensor | None,
        of_sums: tuple[Tensor | None, Tensor | None] | None,
        cores: tuple[slice, slice],
    ) -> Tensor:
        """Gradient of the output of a stage's last convolution."""
        slope = self.like(tap)
        first, second = of_sums or (None, None)
        both = None
        if first is not None or second is not None:
            batch, channels = tap.shape[:2]
            first = tap.new_zeros((batch, channels)) if first is None else first.to(tap.dtype)
            second = tap.new_zeros((batch, channels, channels)) if second is None else second
            both = (second + second.transpose(1, 2)).to(tap.dtype)
        for rows in strips(tap):
            part, below = slope[:, :, rows], tap[:, :, rows]
            if of_half is None:
                part.zero_()
            else:
                enlarge(of_half[:, :, rows.start // 2 : rows.stop // 2], part)
            inside, seen = core(part, rows, cores), core(below, rows, cores)
            if of_core is not None:
                begin = max(rows.start - cores[0].start, 0)
                inside += of_core[:, :, begin : begin + inside.shape[2]]
            if first is not None and both is not None:
                inside += slope_of_sums(first, both, seen)
            aten.leaky_relu_backward.grad_input(part, below, self.chain.slope, True, grad_input=part)
        return slope

    def bordered(self, number: int, place: int, shape: Sequence[int], like: Tensor) -> Tensor:
        """The kept input of a convolution, with room for the border."""
        batch, channels, height, width = shape
        wanted = (batch, channels, height + 2, width + 2)
        found = self.buffers.get((number, place))
        if found is None or found.shape != wanted or found.dtype != like.dtype:
            found = like.new_empty(wanted).to(memory_format=torch.channels_last)
            self.buffers[number, place] = found
        return found

    def like(self, x: Tensor) -> Tensor:
        """Kept room for a gradient shaped like ``x``; it is overwritten by the next one."""
        batch, channels, height, width = x.shape
        if self.scratch.numel() < x.numel() or self.scratch.dtype != x.dtype:
            self.scratch = x.new_empty(x.numel())
        return self.scratch[: x.numel()].view(batch, height, width, channels).permute(0, 3, 1, 2)


class _Chain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, chain: ChainPass) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.chain = chain
        ctx.kept, found = chain.forward(image)
        return tuple(found)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: Tensor | None) -> tuple[Tensor, None]:
        return ctx.chain.backward(ctx.kept, slopes), None


def strips(tap: Tensor) -> Iterator[slice]:
    """Ranges of an even number of rows, of about ``STRIP`` bytes, that cover a tap."""
    batch, channels, height, width = tap.shape
    rows = max(2, STRIP // (batch * channels * width * tap.element_size()) // 2 * 2)
    return (slice(begin, min(begin + rows, height)) for begin in range(0, height, rows))


def core(part: Tensor, rows: slice, cores: tuple[slice, slice]) -> Tensor:
    """What some rows of a tap have in common with the features of the picture itself."""
    begin, end = (min(max(at - rows.start, 0), part.shape[2]) for at in (cores[0].start, cores[0].stop))
    return part[:, :, begin:end, cores[1]]


def repeat_border(x: Tensor) -> None:
    """Fill the border of width 1 with the values beside it."""
    x[:, :, 0, 1:-1] = x[:, :, 1, 1:-1]
    x[:, :, -1, 1:-1] = x[:, :, -2, 1:-1]
    x[..., 0] = x[..., 1]
    x[..., -1] = x[..., -2]


def fold_border(slope: Tensor) -> None:
    """Add the gradient of a border that ``repeat_border`` filled to that of the values beside it."""
    slope[..., 1] += slope[..., 0]
    slope[..., -2] += slope[..., -1]
    slope[:, :, 1] += slope[:, :, 0]
    slope[:, :, -2] += slope[:, :, -1]


def input_gradient(slope: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Gradient of the input of a convolution without padding."""
    found: Tensor = aten.convolution_backward(
        slope, x, weight, None, (1, 1), (0, 0), (1, 1), False, (0, 0), 1, (True, False, False)
    )[0]
    return found


def enlarge(half: Tensor, out: Tensor) -> None:
    """Gradient of 2x2 average pooling, without an odd last row or column.

    Args:
        half: gradient of the pooled features, ``[b, c, h // 2, w // 2]``.
        out: is overwritten, ``[b, c, h, w]``.
    """
    rows = (0.25 * half).permute(0, 2, 3, 1).repeat_interleave(2, dim=2)  # b h/2 w c
    height, width = 2 * half.shape[2], 2 * half.shape[3]
    if out.shape[-2:] != (height, width):
        out.zero_()
    if not rows.numel():
        return
    pairs = out[..., :height, :width].permute(0, 2, 3, 1)
    pairs.unflatten(1, (rows.shape[1], 2)).copy_(rows.unsqueeze(2))  # type: ignore[no-untyped-call]
