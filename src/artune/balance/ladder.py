"""Search for the balance: the strength at which photograph and painting are both recognised, for given pictures.

Small pictures are painted at several strengths (``artune.transfer.ladder``), and a judge scores all of them.
"""

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor
from torch.nn import functional as F

from artune.backbones.registry import taught_judge
from artune.balance.curve import (
    KEPT_SHARE,
    LADDER_LOG_ODDS,
    PHOTOGRAPH_LOG_ODDS,
    Balance,
    Curve,
    balance,
    check_kept,
    strength_at,
)
from artune.errors import ArtuneWarning, InputError
from artune.images.picture import Floats, Picture
from artune.judges.embedding import Judge
from artune.losses.protocol import Mask
from artune.regions.masks import resized_mask
from artune.transfer.inputs import Inputs
from artune.transfer.methods import method_of
from artune.transfer.plan import Plan
from artune.transfer.sizes import fitted
from artune.transfer.task import NO_OPEN_STRENGTH, Task

OnLadder = Callable[[int, int], None]
"""Called after every step of the search, with the number of steps done and of all steps."""


@dataclass(frozen=True, eq=False)
class Tuning:
    """The result of the search for the balance.

    Attributes:
        balance: the strength, the safe interval, and how they were found.
        curve: the judge's scores of the photograph, which has the lowest strength, and of the painted pictures.
        pictures: these pictures.
        seconds: duration of the search.
    """

    balance: Balance
    curve: Curve
    pictures: tuple[Picture, ...] = ()
    seconds: float = 0.0

    def summary(self) -> dict[str, Any]:
        """Plain data for a record or a checkpoint."""
        found = {**asdict(self.balance), "reason": str(self.balance.reason)}
        return {**found, "curve": TypeAdapter(Curve).dump_python(self.curve, mode="json")}

    @classmethod
    def of(cls, summary: Mapping[str, Any], seconds: float = 0.0) -> "Tuning":
        """The tuning of a ``summary``, without pictures.

        Args:
            summary: plain data, as ``summary`` returns them.
            seconds: duration of the search.

        Raises:
            InputError: the data are not those of a tuning.
        """
        try:
            curve = TypeAdapter(Curve).validate_python(summary["curve"])
            found = TypeAdapter(Balance).validate_python({**summary})
        except (KeyError, ValidationError, InputError) as error:
            raise InputError("the data of the balance are incomplete or wrong") from error
        if not 0 < found.strength < 1:
            raise InputError(f"the balance has strength {found.strength}, which is not inside (0, 1)")
        return cls(found, curve, seconds=seconds)


def find_balance(
    task: Task[Any], judge: Judge | None = None, *, kept: float = KEPT_SHARE, on_step: OnLadder | None = None
) -> Tuning:
    """Search for the balance of a task whose strength is open; see ``artune.tune``."""
    check_kept(kept)
    began = time.perf_counter()
    method = method_of(task.spec)
    if method.ladder is None:
        raise InputError(NO_OPEN_STRENGTH)
    plan = method.plan(task, None, None)  # raises if the run itself does not fit
    if judge is None and taught_judge(task.network.name):
        warnings.warn(
            f"the judge that finds the balance was trained with {task.network.name}, which now makes the "
            "pictures: the judge is not independent, and may score them too high; look at the result, or set the "
            "`strength`",
            ArtuneWarning,
            stacklevel=2,
        )
    ladder = method.ladder(task, plan)
    photograph = task.inputs.photograph
    untouched = photograph.resized(*fitted(*photograph.size, ladder.size))
    done = count(1)

    def after_step() -> None:
        if on_step:
            on_step(next(done), ladder.steps)

    strengths = tuple(map(strength_at, LADDER_LOG_ODDS))
    pictures = (untouched, *ladder.pictures(strengths, after_step))
    with task.cores.in_use():
        style, content = Scorer.of(task.inputs, plan, judge or Judge.load()).scores(pictures)
    curve = Curve((strength_at(PHOTOGRAPH_LOG_ODDS), *strengths), tuple(style), tuple(content))
    return Tuning(_rounded(balance(curve, kept=kept)), curve, pictures, time.perf_counter() - began)


def _rounded(found: Balance) -> Balance:
    """The balance with numbers of three digits; the strength stays within the safe interval."""
    low = None if found.low is None else math.floor(found.low * 1000) / 1000
    high = None if found.high is None else math.ceil(found.high * 1000) / 1000
    return replace(found, strength=round(found.strength, 3), low=low, high=high)


@dataclass(frozen=True, eq=False)
class Scorer:
    """A judge together with the embeddings of a run's photograph and paintings, to score results of that run.

    Attributes:
        judge: gives the embeddings and the scores.
        inputs: the pictures of the run.
        content: content embedding of the photograph, ``[1, c]``.
        paintings: content embeddings of all paintings, ``[n, c]``.
        own: for each region, the style embedding of its paintings, and that of the photograph in this region.
    """

    judge: Judge
    inputs: Inputs
    content: Tensor
    paintings: Tensor
    own: tuple[tuple[Tensor, Tensor], ...]

    @classmethod
    def of(cls, inputs: Inputs, plan: Plan, judge: Judge) -> "Scorer":
        """Compute the embeddings of a run's pictures.

        Args:
            inputs: the pictures as they were read.
            plan: has the weights of several paintings, and the mode of colour.
            judge: gives the embeddings.
        """
        shown = inputs.coloured(plan)
        photograph = inputs.photograph.tensor()
        contents, own = [], []
        for region, seen in zip(inputs.regions, shown.regions, strict=True):
            found = [
                judge.embed(painting.picture.tensor(), _mask(painting.weight(), painting.picture))
                for painting in seen.paintings
            ]
            contents += [each.content for each in found]
            shares = plan.style_weights if len(found) > 1 else (1.0,)
            weights = torch.tensor(shares)[:, None, None]
            mixed = F.normalize((torch.stack([each.style for each in found]) * weights).sum(0), dim=1)
            here = judge.embed(photograph, _mask(inputs.weight(region), inputs.photograph))
            own.append((mixed, here.style))
        return cls(judge, inputs, judge.embed(photograph).content, torch.cat(contents), tuple(own))

    def scores(self, pictures: Sequence[Picture]) -> tuple[list[float], list[float]]:
        """Style scores and content scores of results, which must have the same size; 0 is chance, 1 is certain."""
        images = torch.cat([picture.tensor() for picture in pictures])
        masks = [_mask(self.inputs.weight(region), pictures[0]) for region in self.inputs.regions]
        areas = torch.tensor([1.0 if mask is None else float(mask.mean()) for mask in masks])
        found = [self.judge.embed(images, mask) for mask in masks]
        styles = torch.stack(
            [self.judge.style_score(each.style, *own) for each, own in zip(found, self.own, strict=True)]
        )
        style = (areas[:, None] * styles).sum(0) / areas.sum()
        content = self.judge.content_score(found[0].content, self.content, self.paintings)  # of the whole
        return style.tolist(), content.tolist()


def _mask(weight: Floats | None, picture: Picture) -> Mask | None:
    width, height = picture.size
    return None if weight is None else torch.from_numpy(resized_mask(weight, width, height))[None, None]
