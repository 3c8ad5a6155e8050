"""The straight line: read, find the strength where it is open, plan, run, finish."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from artune.backbones.network import Network
from artune.balance.curve import KEPT_SHARE
from artune.balance.ladder import OnLadder, Tuning, find_balance
from artune.errors import InputError, SpecError
from artune.judges.embedding import Judge
from artune.recipes import find_recipe
from artune.spec.options import with_options
from artune.spec.style import StyleSpec
from artune.transfer.checkpoint import StrengthSearch, damaged_error, other_run_error, read_origin
from artune.transfer.inputs import Masked, RegionStyle, Source
from artune.transfer.methods import method_of, plan_run, steps
from artune.transfer.result import Result, result_of
from artune.transfer.run import Progress, Run
from artune.transfer.task import NO_OPEN_STRENGTH, Task, check_types

OnStep = Callable[[Progress], bool | None]
"""Called after every step; returning true cancels the run."""
OnTile = Callable[[Progress], bool | None]
"""Called after every tile of a size that is computed in tiles, with the progress until the last step, whose ``part``
says how many tiles of the step at work are done; returning true cancels the run there."""


def style(
    content: Source,
    *styles: Source | Masked,
    spec: StyleSpec | None = None,
    regions: Sequence[RegionStyle] = (),
    weights: Path | str | None = None,
    network: Network | str | None = None,
    first: Source | Result | None = None,
    resume: Path | str | None = None,
    on_step: OnStep | None = None,
    on_tile: OnTile | None = None,
    on_tune: OnLadder | None = None,
    allow_huge: bool = False,
    recipe: str | None = None,
    **options: Any,
) -> Result:
    """The photograph in the style of the paintings.

    Args:
        content: the photograph: a picture or a file.
        styles: one or more paintings; with ``regions``, they style the rest, and without one the rest stays as it is.
        spec: how; default: all defaults.
        regions: parts of the photograph with styles of their own.
        weights: file with the network's weights.
        network: the name of one, as in the spec; or a loaded one, instead of ``weights``.
        first: what to start from: a picture, a file or an earlier result; instead of the spec's ``start``.
        resume: a checkpoint of the same run to go on from.
        on_step: called after every step; returning true cancels, and the picture so far is the result.
        on_tile: called between the tiles of a picture that does not fit as a whole; returning true cancels.
        on_tune: called while the strength is looked for, with the steps done and all steps of that.
        allow_huge: read pictures above 100 million pixels.
        recipe: a published recipe by name, in place of ``spec``.
        options: fields of the spec or of its method, in place of ``spec``: ``style(a, b, strength=0.7)``.

    Raises:
        InputError: something given cannot be used.
        WeightsError: missing or unfit weights.
        ResourceError: not enough memory.
    """
    check_types(
        ("spec", spec, isinstance(spec, StyleSpec | None), "an artune.StyleSpec, or the options by name"),
        ("network", network, isinstance(network, Network | str | None), "a name, or an artune.Network"),
        ("on_step", on_step, on_step is None or callable(on_step), "a function"),
        ("on_tile", on_tile, on_tile is None or callable(on_tile), "a function"),
        ("resume", resume, isinstance(resume, Path | str | None), "a checkpoint's file"),
    )
    if isinstance(network, str):
        options["network"], network = network, None
    wanted, left = _wanted(spec, recipe, options), None if resume is None else Path(resume)

    task = read(
        content, styles, wanted, regions=regions, weights=weights, network=network, first=first, allow_huge=allow_huge
    )
    tuning = find_strength(task, resume=left, on_step=on_tune)
    run = plan(task, tuning, resume=left)
    return finish(run, resume=left, on_step=on_step, on_tile=on_tile)


def tune(
    content: Source,
    *styles: Source | Masked,
    spec: StyleSpec | None = None,
    regions: Sequence[RegionStyle] = (),
    weights: Path | str | None = None,
    network: Network | None = None,
    first: Source | Result | None = None,
    judge: Judge | None = None,
    kept: float = KEPT_SHARE,
    on_step: OnLadder | None = None,
    allow_huge: bool = False,
) -> Tuning:
    """The strength that ``style`` would choose, with its curves and its ladder of small pictures.

    Args:
        content: the photograph: a picture or a file.
        styles: one or more paintings.
        spec: how it is to be styled; its strength must be open.
        regions: parts of the photograph with styles of their own.
        weights: file with the network's weights.
        network: a loaded one, instead of ``weights``.
        first: what to start from, instead of the spec's ``start``.
        judge: default: the one that travels with the package.
        kept: share of its best that either keeps in the safe interval, in which the strength lies where there is one.
        on_step: called with the steps done and all steps of the search.
        allow_huge: read pictures above 100 million pixels.

    Raises:
        InputError: something given cannot be used, or there is no strength to be found.
        WeightsError: missing or unfit weights.
        ResourceError: not enough memory.
    """
    check_types(
        ("spec", spec, isinstance(spec, StyleSpec | None), "an artune.StyleSpec"),
        ("network", network, isinstance(network, Network | None), "an artune.Network; its name belongs to the spec"),
        ("judge", judge, isinstance(judge, Judge | None), "an artune.Judge"),
        ("kept", kept, isinstance(kept, float | int), "a share"),
    )
    task = read(
        content,
        styles,
        spec or StyleSpec(),
        regions=regions,
        weights=weights,
        network=network,
        first=first,
        allow_huge=allow_huge,
    )
    tuning = find_strength(task, judge=judge, kept=kept, on_step=on_step)
    if tuning is None:
        raise InputError(NO_OPEN_STRENGTH)
    return tuning


def read(
    content: Source,
    styles: Sequence[Source | Masked],
    spec: StyleSpec,
    *,
    regions: Sequence[RegionStyle] = (),
    weights: Path | str | None = None,
    network: Network | None = None,
    first: Source | Result | None = None,
    allow_huge: bool = False,
) -> Task[Any]:
    """Read and check the pictures, and load the network; the arguments are those of ``style``."""
    check_types(
        ("weights", weights, isinstance(weights, Path | str | None), "a file"),
        ("regions", regions, isinstance(regions, Sequence), "a list of artune.RegionStyle"),
    )
    if network is not None and weights is not None:
        raise SpecError("both `network` and `weights` are given; leave out either")
    file = None if weights is None else Path(weights)
    start = first.picture if isinstance(first, Result) else first

    def load() -> Any:
        return network or method_of(spec).load(spec, file, None)

    with torch.inference_mode(False):
        return Task.read(content, styles, spec, load, regions=regions, first=start, allow_huge=allow_huge)


def find_strength(
    task: Task[Any],
    *,
    judge: Judge | None = None,
    kept: float = KEPT_SHARE,
    resume: Path | None = None,
    on_step: OnLadder | None = None,
) -> Tuning | None:
    """The strength of a task that leaves it open, as it balances; ``None`` where it is decided.

    Args:
        task: what was read.
        judge: who judges; default: the one that travels with the package.
        kept: see ``tune``.
        resume: a checkpoint: its strength is the one that it was begun with.
        on_step: called with the steps done and all steps of the search.

    Raises:
        InputError: something given cannot be used.
        CheckpointError: the checkpoint is damaged, or of another run.
        ResourceError: not enough memory for the run that follows.
    """
    check_types(("on_tune", on_step, on_step is None or callable(on_step), "a function"))
    plan_run(task)  # what does not fit is refused before the search
    search = None if resume is None else read_origin(resume)[1]
    if not task.open:
        return None
    if resume is not None:
        if search is None:
            raise other_run_error(resume)
        try:
            return Tuning.of(search.summary, search.seconds)
        except InputError as error:
            raise damaged_error(resume, str(error)) from None
    with torch.inference_mode(False):
        return find_balance(task, judge, kept=kept, on_step=on_step)


def plan(task: Task[Any], tuning: Tuning | None = None, *, resume: Path | None = None) -> Run[Any, Any]:
    """The run of a task, every choice made.

    Args:
        task: what was read.
        tuning: how its strength was found, where it was open.
        resume: a checkpoint that must be of this run.

    Raises:
        InputError: something does not fit the pictures or the network.
        CheckpointError: the checkpoint is of another run.
        ResourceError: not enough memory.
    """
    strength = None if tuning is None else tuning.balance.strength
    search = None if tuning is None else StrengthSearch(tuning.summary(), tuning.seconds)
    run = plan_run(task, strength, search)
    if resume is not None and run.key != read_origin(resume)[0]:
        raise other_run_error(resume)
    return run


def finish(
    run: Run[Any, Any],
    *,
    resume: Path | None = None,
    on_step: OnStep | None = None,
    on_tile: OnTile | None = None,
) -> Result:
    """Run a plan to its end, or until it is cancelled; the arguments are those of ``style``.

    Who wants to do more between two steps iterates over ``artune.transfer.methods.steps``, as this does.
    """
    for progress in steps(run, resume):
        watch = {"step": on_step, "part": on_tile}.get(progress.event)
        if watch is not None and watch(progress):
            return result_of(progress, cancelled=True)
    return result_of(progress)


def _wanted(spec: StyleSpec | None, recipe: str | None, options: dict[str, Any]) -> StyleSpec:
    """The spec that was asked for: as a whole, by the name of a recipe, or by options laid on either."""
    if recipe is not None:
        if spec is not None:
            raise SpecError("`spec` and `recipe` are both given, and each says everything; leave out either")
        spec = find_recipe(recipe).spec
    return with_options(spec or StyleSpec(), options)
