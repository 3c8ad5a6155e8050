"""The strength at which both photograph and painting are recognised, found for the pictures at hand.

A ladder of strengths is optimised as one batch at a small size, and every picture of it is judged; then the one at
which they balance goes on, larger where the result is, and what is said of it puts the curves right.
"""

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor
from torch.nn import functional as F

from artune.backbones.base import Image
from artune.backbones.registry import defaults_of, taught_judge
from artune.balance.curve import KEPT_SHARE, Balance, Curve, LadderScores, check_kept, score_ladder
from artune.engine.descend import descend, run_to_end
from artune.engine.optimisers import Adam
from artune.errors import ArtuneWarning, InputError
from artune.images.picture import Floats, Picture
from artune.judges.embedding import Judge
from artune.losses.protocol import Mask
from artune.regions.masks import resized_mask
from artune.spec.style import Rung
from artune.transfer.finish import finished
from artune.transfer.inputs import Inputs, Painting
from artune.transfer.objective import ObjectiveBuilder, covered_at, photograph_at, strengths_by_region
from artune.transfer.optimise import OptimiseTask, plan_unchecked
from artune.transfer.plan import OptimisePlan
from artune.transfer.rates import result_shares
from artune.transfer.sizes import fitted
from artune.transfer.start import enlarged, start


@dataclass(frozen=True)
class Stage:
    """How the pictures are made that a judge looks at.

    Attributes:
        size: longer side, pixels.
        steps: whatever the run costs: in fewer, the strong ones show too little of the style to be told from the weak.
        rate: what multiplies the network's.
    """

    size: int
    steps: int
    rate: float


FIRST_STAGE = Stage(128, 32, 1.0)
"""The first ladder: several strengths, small and quick."""
SECOND_STAGE = Stage(256, 30, 1.6)
"""The second look: the one strength that balances the first ladder, at twice the size, where a strength has the effect
that it has in a whole run. The larger rate brings it as far in few steps."""
MAX_STEPS_FACTOR = 2.0
"""Largest factor by which the second look of a small result gets more steps: with fewer pixels, more steps cost no more
work."""
MAX_AVERAGE = 0.8
"""Largest decay of the average of the iterates: the usual decay would still show the start after so few steps."""

OnLadder = Callable[[int, int], None]
"""Called with the steps done and all steps of the search."""


@dataclass(frozen=True, eq=False)
class Tuning:
    """How a strength was found.

    Attributes:
        balance: the strength, the safe interval, and why it is the one.
        scores: what the judge said of the ladder.
        pictures: the photograph, small, those of the first ladder, and that of the second look.
        seconds: that the search took.
    """

    balance: Balance
    scores: LadderScores
    pictures: tuple[Picture, ...] = ()
    seconds: float = 0.0

    def summary(self) -> dict[str, Any]:
        """Plain data, for a record."""
        found = {**asdict(self.balance), "reason": str(self.balance.reason)}
        first, curve = (TypeAdapter(Curve).dump_python(each, mode="json") for each in (self.scores.first, self.curve))
        return {**found, "first": first, "second": self.scores.second._asdict(), "curve": curve}

    @property
    def curve(self) -> Curve:
        """From which the balance was read."""
        return self.scores.curve

    @classmethod
    def of(cls, summary: Mapping[str, Any], seconds: float = 0.0) -> "Tuning":
        """From a ``summary``; without pictures.

        Args:
            summary: the plain data.
            seconds: that it took.

        Raises:
            InputError: it is something else.
        """
        try:
            scores = TypeAdapter(LadderScores).validate_python({**summary})
            found = TypeAdapter(Balance).validate_python({**summary})
        except (ValidationError, InputError) as error:
            raise InputError("what is said of the balance is not whole") from error
        if not 0 < found.strength < 1:
            raise InputError("what is said of the balance holds a strength that is none")
        return cls(found, scores, seconds=seconds)


def find_balance(
    task: OptimiseTask, judge: Judge | None = None, *, kept: float = KEPT_SHARE, on_step: OnLadder | None = None
) -> Tuning:
    """The strength of a task that leaves it open; see ``artune.tune``."""
    check_kept(kept)
    began = time.perf_counter()
    if judge is None and taught_judge(task.spec.method.network):
        warnings.warn(
            f"{task.spec.method.network} taught the judge that finds the balance, and now makes the pictures: it is "
            "not independent here, and may find its own work too good; look at the result, or set the strength",
            ArtuneWarning,
            stacklevel=2,
        )
    scorer = Scorer.of(task.inputs, plan_unchecked(task), judge or Judge.load())
    ladder = Ladder(task, on_step)
    pictures = [ladder.untouched()]
    (style,), (content,) = scorer.scores(pictures)

    def probe(strengths: tuple[float, ...], first: bool) -> tuple[list[float], list[float]]:
        found = ladder.pictures(strengths, ladder.first if first else ladder.second)
        pictures.extend(found)
        return scorer.scores(found)

    scores = score_ladder(probe, (style, content), kept=kept)
    seconds = time.perf_counter() - began
    return Tuning(_readable(scores.balance(kept=kept)), scores, tuple(pictures), seconds)


def _readable(found: Balance) -> Balance:
    """With numbers that can be read, and typed again; the strength stays within the interval."""
    low = None if found.low is None else math.floor(found.low * 1000) / 1000
    high = None if found.high is None else math.ceil(found.high * 1000) / 1000
    return replace(found, strength=round(found.strength, 3), low=low, high=high)


class Ladder:
    """Pictures of one task at several strengths, optimised together.

    Args:
        task: what is asked for.
        on_step: told of every step.
    """

    def __init__(self, task: OptimiseTask, on_step: OnLadder | None = None) -> None:
        self.task, self.on_step, self.done = task, on_step, 0
        self.plan = plan_unchecked(task)
        self.shown = task.inputs.coloured(self.plan)
        self.first, size = replace(FIRST_STAGE, size=self.size(FIRST_STAGE.size)), self.size(SECOND_STAGE.size)
        more = min(max(1.0, SECOND_STAGE.size / size) ** 2, MAX_STEPS_FACTOR)
        self.second = replace(SECOND_STAGE, size=size, steps=round(more * SECOND_STAGE.steps))
        self.last: tuple[Tensor, Image, Image] | None = None

    def pictures(self, strengths: Sequence[float], look: Stage) -> list[Picture]:
        """Each begins where the nearest strength of the look before ended.

        Args:
            strengths: inside (0, 1).
            look: how they are made: ``first``, then ``second``.
        """
        task, network = self.task, self.task.network
        plans = tuple(plan_unchecked(task, strength) for strength in strengths)
        method = plans[0].method
        content = photograph_at(self.shown, look.size, network.device)
        rung = Rung(size=look.size, steps=look.steps)
        sized = ObjectiveBuilder(plans, self.shown, network, rung)
        objective = run_to_end(sized.objective(content, run_to_end(sized.paintings())))
        places = torch.tensor(strengths).logit()
        if self.last is None:
            first = Painting(task.first) if task.first else self.shown.paintings[0]
            x = start(method.start, content, first, plans[0].seed)
            covered = covered_at(self.shown, content)
            x = (x if covered is None else torch.where(covered > 0, x, content)).expand(len(plans), -1, -1, -1)
        else:
            before, images, photograph = self.last
            nearest = (places[:, None] - before[None]).abs().argmin(1)
            given = method.start == "content"
            x = enlarged(images[nearest], content, photograph if given else None)
        gentle = method.start == "content"
        rates = result_shares([plan.strength for plan in plans]) if gentle else [1.0] * len(plans)
        recipe = defaults_of(method.network, network.backbone.taps)
        optimiser = Adam(rate=look.rate * recipe.rate * torch.tensor(rates, device=x.device))
        for step in descend(
            objective, x.contiguous(), optimiser, steps=look.steps, average=min(recipe.average, MAX_AVERAGE)
        ):
            x = step.image
            self.done += 1
            if self.on_step:
                self.on_step(self.done, self.first.steps + self.second.steps)
        self.last = places, x, content
        # the photograph shines through as in a run of each
        blended = [task.inputs.blended(result_shares(strengths_by_region(plan, task.inputs))) for plan in plans]
        return [finished(x[i : i + 1], plan, blended[i], self.shown) for i, plan in enumerate(plans)]

    def untouched(self) -> Picture:
        """The photograph at the first size."""
        photograph = self.task.inputs.photograph
        return photograph.resized(*fitted(*photograph.size, self.first.size))

    def size(self, wanted: int) -> int:
        """A longer side that the network takes, and not above that of the result."""
        photograph = self.task.inputs.photograph
        least = -(-self.task.network.backbone.smallest * max(photograph.size) // min(photograph.size))
        return min(max(wanted, least), self.plan.size)


@dataclass(frozen=True, eq=False)
class Scorer:
    """A judge who has seen the photograph and the paintings of a run.

    Attributes:
        judge: who judges.
        inputs: the pictures.
        content: embedding of the photograph's content, ``[1, c]``.
        paintings: of the contents of all paintings, ``[n, c]``.
        own: of each place: the embedding of the style that it gets, and that of the photograph's there.
    """

    judge: Judge
    inputs: Inputs
    content: Tensor
    paintings: Tensor
    own: tuple[tuple[Tensor, Tensor], ...]

    @classmethod
    def of(cls, inputs: Inputs, plan: OptimisePlan, judge: Judge) -> "Scorer":
        """Stage at the pictures of a run.

        Args:
            inputs: as they were read.
            plan: proportions of several styles, and whose colours count.
            judge: who judges.
        """
        shown = inputs.coloured(plan)
        photograph = inputs.photograph.tensor()
        contents, own = [], []
        for place, seen in zip(inputs.regions, shown.regions, strict=True):
            found = [
                judge.embed(painting.picture.tensor(), _mask(painting.weight(), painting.picture))
                for painting in seen.paintings
            ]
            contents += [each.content for each in found]
            shares = plan.style_weights if len(found) > 1 else (1.0,)
            weights = torch.tensor(shares)[:, None, None]
            mixed = F.normalize((torch.stack([each.style for each in found]) * weights).sum(0), dim=1)
            here = judge.embed(photograph, _mask(inputs.weight(place), inputs.photograph))
            own.append((mixed, here.style))
        return cls(judge, inputs, judge.embed(photograph).content, torch.cat(contents), tuple(own))

    def scores(self, pictures: Sequence[Picture]) -> tuple[list[float], list[float]]:
        """How surely the style and the content of results, all of one size, are recognised; 0 is chance."""
        images = torch.cat([picture.tensor() for picture in pictures])
        masks = [_mask(self.inputs.weight(place), pictures[0]) for place in self.inputs.regions]
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
