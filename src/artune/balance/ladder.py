"""Search for the balance: the strength at which photograph and painting are both recognised, for given pictures.

Small pictures are made at several strengths (``artune.transfer.ladder``), and a judge scores all of them.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from pydantic import TypeAdapter, ValidationError
from torch import Tensor
from torch.nn import functional as F

from artune.balance.curve import (
    KEPT_SHARE,
    PHOTOGRAPH_LOG_ODDS,
    Balance,
    Curve,
    balance,
    check_kept,
    log_odds,
    strength_at,
)
from artune.errors import InputError
from artune.images.picture import Floats, Picture
from artune.images.resize import fitted
from artune.judges.embedding import COPY, Calibrations, Judge, change, margin
from artune.losses.protocol import Mask
from artune.regions.masks import resized_mask
from artune.transfer.inputs import Inputs
from artune.transfer.methods import method_of
from artune.transfer.plan import Plan
from artune.transfer.task import NO_OPEN_STRENGTH, Task

LEAST_CHANGE = 0.2
"""Change of the layout that the strongest picture has at least, or the strength changes nothing: of 60 pairs of
pictures, the least has 0.29."""
BETWEEN = 10
"""Parts into which the search divides the way from one picture of the ladder to the next."""
OnLadder = Callable[[int, int], None]
"""Called after every step of the search, with the number of steps done and of all steps."""


@dataclass(frozen=True, eq=False)
class Tuning:
    """The result of the search for the balance.

    Attributes:
        balance: the strength, the safe interval, and how they were found.
        curve: the judge's scores of the photograph, which has the lowest strength, and of the pictures of the ladder.
        finer: the scores at strengths between theirs, too, from which the balance was found.
        pictures: these pictures.
        seconds: duration of the search.
    """

    balance: Balance
    curve: Curve
    finer: Curve
    pictures: tuple[Picture, ...] = ()
    seconds: float = 0.0

    def summary(self) -> dict[str, Any]:
        """Plain data for a record or a checkpoint."""
        found = {**asdict(self.balance), "reason": str(self.balance.reason)}
        return {**found, "curve": TypeAdapter(Curve).dump_python(self.curve, mode="json")}

    @classmethod
    def of(cls, summary: Mapping[str, Any], seconds: float = 0.0) -> "Tuning":
        """The tuning of a ``summary``, which holds neither pictures nor the finer curve.

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
        return cls(found, curve, curve, seconds=seconds)


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
    ladder = method.ladder(task, plan)
    photograph = task.inputs.photograph
    untouched = photograph.resized(*fitted(*photograph.size, ladder.size))
    done = count(1)

    def after_step() -> None:
        if on_step:
            on_step(next(done), ladder.steps)

    strengths = tuple(map(strength_at, ladder.log_odds))
    pictures = (untouched, *ladder.pictures(strengths, after_step))
    places = (PHOTOGRAPH_LOG_ODDS, *map(ladder.told, strengths))
    strengths = (strength_at(PHOTOGRAPH_LOG_ODDS), *strengths)
    with task.cores.in_use():
        scorer = Scorer.of(task.inputs, plan, judge or Judge.load())
        seen = scorer.seen(pictures)
    style, content = scorer.scores(seen, places)
    curve = Curve(strengths, tuple(style), tuple(content))
    changed = float(seen.changes.max()) >= LEAST_CHANGE and not scorer.alike
    finer = scorer.finer(seen, places, strengths)
    found = balance(finer, kept=kept, changed=changed)
    return Tuning(_rounded(found), curve, finer, pictures, time.perf_counter() - began)


def _rounded(found: Balance) -> Balance:
    """The balance with numbers of three digits; the strength stays within the safe interval."""
    low = None if found.low is None else math.floor(found.low * 1000) / 1000
    high = None if found.high is None else math.ceil(found.high * 1000) / 1000
    return replace(found, strength=round(found.strength, 3), low=low, high=high)


class Seen(NamedTuple):
    """What the judge sees in pictures of a run.

    Attributes:
        margins: of the style, ``[n]``: means over the regions, weighted by their areas.
        changes: of the layout, ``[n]``.
    """

    margins: Float[Tensor, "n"]
    changes: Float[Tensor, "n"]


@dataclass(frozen=True, eq=False)
class Scorer:
    """A judge together with what it sees of a run's photograph and paintings, to score pictures of that run.

    Attributes:
        judge: sees the pictures.
        calibrations: from what is seen to the scores.
        inputs: the pictures of the run.
        layout: of the photograph, ``[1, n]``.
        own: for each region, the style embedding of its paintings, and that of the photograph in this region.
    """

    judge: Judge
    calibrations: Calibrations
    inputs: Inputs
    layout: Tensor
    own: tuple[tuple[Tensor, Tensor], ...]

    @classmethod
    def of(cls, inputs: Inputs, plan: Plan, judge: Judge) -> "Scorer":
        """Look at a run's pictures.

        Args:
            inputs: the pictures as they were read.
            plan: has the method, the weights of several paintings, and the mode of colour.
            judge: sees the pictures.
        """
        shown = inputs.coloured(plan)
        photograph, own = judge.see(inputs.photograph.tensor()), []
        for region, seen in zip(inputs.regions, shown.regions, strict=True):
            found = [
                judge.style(judge.see(painting.picture.tensor()), _mask(painting.weight(), painting.picture))
                for painting in seen.paintings
            ]
            shares = plan.style_weights if len(found) > 1 else (1.0,)
            weights = torch.tensor(shares)[:, None, None]
            mixed = F.normalize((torch.stack(found) * weights).sum(0), dim=1)
            own.append((mixed, judge.style(photograph, _mask(inputs.weight(region), inputs.photograph))))
        return cls(judge, judge.calibrations[plan.method.kind], inputs, judge.layout(photograph), tuple(own))

    @property
    def alike(self) -> bool:
        """Whether the photograph has the style of the paintings already, in every region."""
        return all(float(painting @ photograph.T) >= COPY for painting, photograph in self.own)

    def seen(self, pictures: Sequence[Picture]) -> Seen:
        """What the judge sees in pictures of the same size."""
        images = self.judge.see(torch.cat([picture.tensor() for picture in pictures]))
        masks = [_mask(self.inputs.weight(region), pictures[0]) for region in self.inputs.regions]
        areas = torch.tensor([1.0 if mask is None else float(mask.mean()) for mask in masks])
        margins = [
            margin(self.judge.style(images, mask), *own, self.judge.styles)
            for mask, own in zip(masks, self.own, strict=True)
        ]
        mean = (areas[:, None] * torch.stack(margins)).sum(0) / areas.sum()
        return Seen(mean, change(self.judge.layout(images), self.layout))

    def scores(self, seen: Seen, places: Sequence[float]) -> tuple[list[float], list[float]]:
        """Style scores and content scores: probabilities that the results at some strengths are recognised.

        Args:
            seen: in pictures that were made at these strengths.
            places: log odds of the strengths.
        """
        style = self.calibrations.style.probability(seen.margins)
        content = self.calibrations.content.probability(seen.changes, torch.tensor(places))
        return style.tolist(), content.tolist()

    def finer(self, seen: Seen, places: Sequence[float], strengths: Sequence[float]) -> Curve:
        """The curve with strengths between those of the pictures.

        What is seen is interpolated, and not the scores: they have steep parts, which few pictures would miss.

        Args:
            seen: in the pictures.
            places: see ``scores``.
            strengths: of the pictures, ascending.
        """
        number = len(strengths)
        at = np.linspace(0, number - 1, BETWEEN * (number - 1) + 1)

        def between(values: Sequence[float] | Tensor) -> list[float]:
            found: list[float] = np.interp(at, range(number), np.asarray(values)).tolist()
            return found

        style, content = self.scores(Seen(*(torch.tensor(between(values)) for values in seen)), between(places))
        odds = between([log_odds(strength) for strength in strengths])
        return Curve(tuple(map(strength_at, odds)), tuple(style), tuple(content))


def _mask(weight: Floats | None, picture: Picture) -> Mask | None:
    width, height = picture.size
    return None if weight is None else torch.from_numpy(resized_mask(weight, width, height))[None, None]
