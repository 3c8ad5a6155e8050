"""Search for the balance: the strength at which photograph and painting are both recognised, for given pictures.

The search has two stages. The first one makes a ladder of small pictures at several strengths, as one batch, and judges
all of them. The second one continues with the strength at which the first one balances, at a larger size, and corrects
the curves by the scores of this picture.
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
from artune.spec.style import Rung, optimise_of
from artune.threads import on_free_cores
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
    """Settings of one stage of the search.

    Attributes:
        size: longer side of the pictures, pixels.
        steps: number of steps. It does not depend on the steps of the run: after fewer steps, pictures of high strength
            show too little of the style to differ from those of low strength.
        rate: factor of the network's default rate.
    """

    size: int
    steps: int
    rate: float


FIRST_STAGE = Stage(128, 32, 1.0)
"""The first stage: several strengths, small and quick."""
SECOND_STAGE = Stage(256, 30, 1.6)
"""The second stage: the one strength that balances the first stage, at twice the size. At this size, a strength has the
same effect as in a whole run. The larger rate makes up for the few steps."""
MAX_STEPS_FACTOR = 2.0
"""Largest factor of the steps of the second stage if the result is smaller than that stage: with fewer pixels, more
steps take the same time."""
MAX_AVERAGE = 0.8
"""Largest decay of the average of the iterates. With the default decay, the start would still be visible after so few
steps."""

OnLadder = Callable[[int, int], None]
"""Called after every step of the search, with the number of steps done and of all steps."""


@dataclass(frozen=True, eq=False)
class Tuning:
    """The result of the search for the balance.

    Attributes:
        balance: the strength, the safe interval, and how they were found.
        scores: the judge's scores of both stages.
        pictures: the photograph at the size of the first stage, the pictures of the first stage, and that of the
            second.
        seconds: duration of the search.
    """

    balance: Balance
    scores: LadderScores
    pictures: tuple[Picture, ...] = ()
    seconds: float = 0.0

    def summary(self) -> dict[str, Any]:
        """Plain data for a record or a checkpoint."""
        found = {**asdict(self.balance), "reason": str(self.balance.reason)}
        first, curve = (TypeAdapter(Curve).dump_python(each, mode="json") for each in (self.scores.first, self.curve))
        return {**found, "first": first, "second": self.scores.second._asdict(), "curve": curve}

    @property
    def curve(self) -> Curve:
        """The curve from which the balance was computed."""
        return self.scores.curve

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
            scores = TypeAdapter(LadderScores).validate_python({**summary})
            found = TypeAdapter(Balance).validate_python({**summary})
        except (ValidationError, InputError) as error:
            raise InputError("the data of the balance are incomplete or wrong") from error
        if not 0 < found.strength < 1:
            raise InputError(f"the balance has strength {found.strength}, which is not inside (0, 1)")
        return cls(found, scores, seconds=seconds)


def find_balance(
    task: OptimiseTask, judge: Judge | None = None, *, kept: float = KEPT_SHARE, on_step: OnLadder | None = None
) -> Tuning:
    """Search for the balance of a task whose strength is open; see ``artune.tune``."""
    check_kept(kept)
    began = time.perf_counter()
    network = optimise_of(task.spec).network
    if judge is None and taught_judge(network):
        warnings.warn(
            f"the judge that finds the balance was trained with {network}, which now makes the "
            "pictures: the judge is not independent, and may score them too high; look at the result, or set the "
            "`strength`",
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
    return Tuning(_rounded(scores.balance(kept=kept)), scores, tuple(pictures), seconds)


def _rounded(found: Balance) -> Balance:
    """The balance with numbers of three digits; the strength stays within the safe interval."""
    low = None if found.low is None else math.floor(found.low * 1000) / 1000
    high = None if found.high is None else math.ceil(found.high * 1000) / 1000
    return replace(found, strength=round(found.strength, 3), low=low, high=high)


class Ladder:
    """Pictures of one task at several strengths, optimised as one batch.

    Args:
        task: the photograph, the paintings and the spec.
        on_step: called after every step.
    """

    def __init__(self, task: OptimiseTask, on_step: OnLadder | None = None) -> None:
        self.task, self.on_step, self.done = task, on_step, 0
        self.plan = plan_unchecked(task)
        self.shown = task.inputs.coloured(self.plan)
        self.first, size = replace(FIRST_STAGE, size=self.size(FIRST_STAGE.size)), self.size(SECOND_STAGE.size)
        more = min(max(1.0, SECOND_STAGE.size / size) ** 2, MAX_STEPS_FACTOR)
        self.second = replace(SECOND_STAGE, size=size, steps=round(more * SECOND_STAGE.steps))
        self.last: tuple[Tensor, Image, Image] | None = None

    def pictures(self, strengths: Sequence[float], stage: Stage) -> list[Picture]:
        """Make the pictures of one stage. In the second stage, each starts from the first picture nearest in strength.

        Args:
            strengths: inside (0, 1).
            stage: ``first``, then ``second``.
        """
        task, network = self.task, self.task.network
        plans = tuple(plan_unchecked(task, strength) for strength in strengths)
        method = plans[0].method
        content = photograph_at(self.shown, stage.size, network.device)
        rung = Rung(size=stage.size, steps=stage.steps)
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
        defaults = defaults_of(method.network, network.backbone.taps)
        optimiser = Adam(rate=stage.rate * defaults.rate * torch.tensor(rates, device=x.device))
        average = min(defaults.average, MAX_AVERAGE)
        descent = descend(objective, x.contiguous(), optimiser, steps=stage.steps, average=average)
        for step in on_free_cores(descent):
            x = step.image
            self.done += 1
            if self.on_step:
                self.on_step(self.done, self.first.steps + self.second.steps)
        self.last = places, x, content
        # a low strength blends with the photograph, as it does in a run
        blended = [task.inputs.blended(result_shares(strengths_by_region(plan, task.inputs))) for plan in plans]
        return [finished(x[i : i + 1], plan, blended[i], self.shown) for i, plan in enumerate(plans)]

    def untouched(self) -> Picture:
        """The photograph at the size of the first stage."""
        photograph = self.task.inputs.photograph
        return photograph.resized(*fitted(*photograph.size, self.first.size))

    def size(self, wanted: int) -> int:
        """The wanted longer side, but at least what the network needs, and at most that of the result."""
        photograph = self.task.inputs.photograph
        least = -(-self.task.network.backbone.smallest * max(photograph.size) // min(photograph.size))
        return min(max(wanted, least), self.plan.size)


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
    def of(cls, inputs: Inputs, plan: OptimisePlan, judge: Judge) -> "Scorer":
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
