"""Several processes that train one network together, each on a part of every batch (torchrun, gloo)."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from artune.errors import SpecError


@dataclass(frozen=True)
class Processes:
    """The processes of a training.

    Attributes:
        rank: number of this process, from 0; the first one writes files.
        count: number of all processes.
    """

    rank: int = 0
    count: int = 1

    def check(self, batch: int) -> None:
        """Raise unless a batch can be divided among the processes.

        Raises:
            SpecError: it cannot.
        """
        if batch % self.count:
            raise SpecError(
                f"`batch` {batch} cannot be divided among {self.count} processes; give a multiple of {self.count}"
            )

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their means over all processes, in one message for each type."""
        if self.count == 1:
            return
        for kind in {tensor.dtype for tensor in tensors}:
            own = [tensor for tensor in tensors if tensor.dtype == kind]
            flat = torch.cat([tensor.detach().flatten() for tensor in own])
            distributed.all_reduce(flat)
            flat /= self.count
            for tensor, mean in zip(own, torch.split(flat, [each.numel() for each in own]), strict=True):
                tensor.detach().copy_(mean.view_as(tensor))

    def any(self, flag: bool) -> bool:
        """Whether a flag is set in any process."""
        if self.count == 1:
            return flag
        found = torch.tensor(float(flag))
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return bool(found)


ALONE = Processes()


@contextmanager
def joined() -> Iterator[Processes]:
    """The processes that ``torchrun`` has begun; this one alone without it.

    Within the block they are connected. It begins in all of them at the same time.

    Raises:
        SpecError: the environment tells of several processes that ``torchrun`` has not begun.
    """
    count = os.environ.get("WORLD_SIZE", "1")
    if not count.isdigit():
        raise SpecError(
            f"the environment says WORLD_SIZE={count}, which is no number; begin several processes by torchrun"
        )
    if int(count) == 1:
        yield ALONE
        return
    try:
        distributed.init_process_group("gloo")
    except ValueError as error:
        raise SpecError(
            f"the environment says WORLD_SIZE={count}, but not what torchrun says beside it ({error}); begin several "
            "processes by torchrun, or unset WORLD_SIZE"
        ) from error
    try:
        distributed.barrier()
        yield Processes(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
