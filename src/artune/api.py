"""The straight line: read, find the strength where it is open, plan, run, finish."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from artune.balance.curve import KEPT_SHARE
from artune.balance.ladder import OnLadder, Tuning, find_balance
from artune.engine.modes import own_mode
from artune.errors import InputError, SpecError
from artune.judges.embedding import Judge
from artune.networks.trained import read_style
from artune.recipes import find_recipe
from artune.spec.options import with_options
from artune.spec.style import Instant, StyleSpec
from artune.transfer.checkpoint import Checkpoint, StrengthSearch
from artune.transfer.inputs import Keep, Masked, Painting, RegionStyle, Source, read_source
from artune.transfer.methods import method_of, plan_run, steps
from artune.transfer.prepared import Prepared
from artune.transfer.result import Result, result_of
from artune.transfer.run import Progress, Run
from artune.transfer.task import NO_OPEN_STRENGTH, Loaded, Task, check_types
from artune.transfer.trained_style import TrainedStyle

OnStep = Callable[[Progress], bool | None]
"""Called after every step; returning true cancels the run."""
OnTile = Callable[[Progress], bool | None]
"""Called after every tile of a size that is computed in tiles; returning true cancels the run. ``Progress.part`` says
how many tiles of the current step are done; the rest of the progress is that of the last step."""


def style(
    content: Source,
    *styles: Source | Masked,
    spec: StyleSpec | None = None,
    regions: Sequence[RegionStyle] = (),
    keeps: Sequence[Keep] = (),
    weights: Path | str | None = None,
    network: Loaded | str | None = None,
    first: Source | Result | None = None,
    resume: Path | str | None = None,
    on_step: OnStep | None = None,
    on_tile: OnTile | None = None,
    on_tune: OnLadder | None = None,
    allow_huge: bool = False,
    recipe: str | None = None,
    **options: Any,
) -> Result:
    """Paint a photograph in the style of one or more paintings.

    Args:
        content: the photograph: a picture, a file, or anything else that a picture can be read from.
        styles: one or more paintings. With ``regions``, they are for the rest of the photograph; without paintings, the
            rest stays as it is.
        spec: how the photograph is to be styled; default: ``StyleSpec()``.
        regions: parts of the photograph with paintings of their own.
        keeps: parts in which more of the photograph is kept.
        weights: file with the network's weights.
        network: name of a network, as in the spec; or a loaded network, instead of ``weights``.
        first: picture to start from: a picture, a file or an earlier result; instead of the spec's ``start``.
        resume: checkpoint of the same run, to resume it.
        on_step: called after every step. If it returns true, the run ends, and its result is the picture so far.
        on_tile: called after every tile of a picture that does not fit into memory as a whole; likewise.
        on_tune: called during the search for the strength, with the number of steps done and of all steps.
        allow_huge: whether to read pictures above 100 million pixels.
        recipe: name of a published recipe, instead of ``spec``.
        options: fields of the spec or of its method, instead of ``spec`` or to change it:
            ``style(a, b, strength=0.7)``.

    Returns:
        the picture and its record.

    Raises:
        InputError: a picture, a mask, the spec or an option cannot be used.
        WeightsError: weights are missing or do not fit.
        ResourceError: there is not enough memory.
    """
    check_types(
        ("spec", spec, isinstance(spec, StyleSpec | None), "an artune.StyleSpec, or the options by name"),
        ("network", network, isinstance(network, Loaded | str | None), "a name, or an artune.Network"),
        ("on_step", on_step, on_step is None or callable(on_step), "a function"),
        ("on_tile", on_tile, on_tile is None or callable(on_tile), "a function"),
        ("on_tune", on_tune, on_tune is None or callable(on_tune), "a function"),
        ("resume", resume, isinstance(resume, Path | str | None), "a checkpoint's file"),
    )
    wanted, loaded = _wanted(spec, recipe, network, options)
    checkpoint = None if resume is None else Checkpoint.load(resume)
    task = read(
        content,
        styles,
        wanted,
        regions=regions,
        keeps=keeps,
        weights=weights,
        network=loaded,
        first=first,
        allow_huge=allow_huge,
    )
    tuning = find_strength(task, checkpoint=checkpoint, on_step=on_tune)
    run = plan(task, tuning, checkpoint=checkpoint)
    return finish(run, checkpoint=checkpoint, on_step=on_step, on_tile=on_tile)


def tune(
    content: Source,
    *styles: Source | Masked,
    spec: StyleSpec | None = None,
    regions: Sequence[RegionStyle] = (),
    keeps: Sequence[Keep] = (),
    weights: Path | str | None = None,
    network: Loaded | str | None = None,
    first: Source | Result | None = None,
    judge: Judge | None = None,
    kept: float = KEPT_SHARE,
    on_step: OnLadder | None = None,
    allow_huge: bool = False,
    recipe: str | None = None,
    **options: Any,
) -> Tuning:
    """Find the strength that ``style`` would choose for these pictures.

    Args:
        content: the photograph: a picture, a file, or anything else that a picture can be read from.
        styles: one or more paintings.
        spec: how the photograph is to be styled; its strength must be open.
        regions: parts of the photograph with paintings of their own.
        keeps: parts in which more of the photograph is kept.
        weights: file with the network's weights.
        network: name of a network, as in the spec; or a loaded network, instead of ``weights``.
        first: picture to start from, instead of the spec's ``start``.
        judge: the judge that scores the pictures; default: the one that is installed with the package.
        kept: share of its best score, in [0, 1], that either curve keeps in the safe interval. The strength lies in
            this interval if there is one.
        on_step: called after every step of the search, with the number of steps done and of all steps.
        allow_huge: whether to read pictures above 100 million pixels.
        recipe: name of a published recipe, instead of ``spec``.
        options: fields of the spec or of its method, instead of ``spec`` or to change it: ``tune(a, b, size=256)``.

    Returns:
        the balance, both curves, and the small pictures of the ladder.

    Raises:
        InputError: a picture, a mask, the spec or an option cannot be used, or the spec leaves no strength open.
        WeightsError: weights are missing or do not fit.
        ResourceError: there is not enough memory.
    """
    check_types(
        ("spec", spec, isinstance(spec, StyleSpec | None), "an artune.StyleSpec, or the options by name"),
        ("network", network, isinstance(network, Loaded | str | None), "a name, or an artune.Network"),
        ("judge", judge, isinstance(judge, Judge | None), "an artune.Judge"),
        ("kept", kept, isinstance(kept, float | int), "a share"),
        ("on_step", on_step, on_step is None or callable(on_step), "a function"),
    )
    wanted, loaded = _wanted(spec, recipe, network, options)
    task = read(
        content,
        styles,
        wanted,
        regions=regions,
        keeps=keeps,
        weights=weights,
        network=loaded,
        first=first,
        allow_huge=allow_huge,
    )
    tuning = find_strength(task, judge=judge, kept=kept, on_step=on_step)
    if tuning is None:
        raise InputError(NO_OPEN_STRENGTH)
    return tuning


def prepare(
    content: Source,
    *styles: Source | Masked,
    spec: StyleSpec | None = None,
    regions: Sequence[RegionStyle] = (),
    keeps: Sequence[Keep] = (),
    weights: Path | str | None = None,
    network: Loaded | None = None,
    allow_huge: bool = False,
    **options: Any,
) -> Prepared:
    """Read a photograph and paintings, to paint them at many strengths.

    ``painter = prepare(a, b); painter(0.3); painter(0.6)`` reads the pictures once. ``painter.paintings(c)`` has the
    same photograph with another painting.

    Args:
        content: the photograph.
        styles: one or more paintings.
        spec: how the photograph is to be styled; its method must be ``instant``. Its strength does not matter.
        regions: parts of the photograph with paintings of their own; a strength of their own stays as it is.
        keeps: parts in which more of the photograph is kept.
        weights: file with the painter's weights.
        network: a loaded painter, instead of ``weights``.
        allow_huge: whether to read pictures above 100 million pixels.
        options: fields of the spec or of its method, instead of ``spec`` or to change it.

    Raises:
        InputError: a picture, a mask, the spec or an option cannot be used.
        WeightsError: weights are missing or do not fit.
    """
    check_types(
        ("spec", spec, isinstance(spec, StyleSpec | None), "an artune.StyleSpec, or the options by name"),
        ("network", network, isinstance(network, Loaded | None), "what an earlier `artune.prepare` loaded"),
    )
    _check_weights(weights, network)
    if "strength" in options:
        raise SpecError("`strength` is given, but the painter is called with it: leave it out here")
    given = {"method": Instant(), **options} if spec is None else options
    wanted, loaded = _wanted(spec, None, network, given)
    if not isinstance(wanted.method, Instant):
        raise SpecError(f"the spec's method is {wanted.method.kind}; pictures are prepared for the method instant")
    photograph = read_source(content, allow_huge, "photograph")
    painter = loaded or method_of(wanted).load(wanted, None if weights is None else Path(weights), None)

    def read_with(paintings: Sequence[Source | Masked]) -> Task[Any]:
        return read(photograph, paintings, wanted, regions=regions, keeps=keeps, network=painter, allow_huge=allow_huge)

    return Prepared(read_with(styles), read_with)


def load_style(path: Path | str, *, device: str = "auto") -> TrainedStyle:
    """Load a style that ``artune train`` has made.

    ``load_style("monet.safetensors")("photo.jpg").save("out.png")`` needs no painting.

    Args:
        path: the file.
        device: where it runs: auto, cpu, cuda, cuda:1, mps.

    Raises:
        WeightsError: the file is missing or damaged, or holds no trained style.
        UnknownNameError: there is no such device.
    """
    check_types(("path", path, isinstance(path, Path | str), "a file"))
    return TrainedStyle(read_style(path), StyleSpec(device=device), _apply)


def _apply(content: Source, style: TrainedStyle, spec: StyleSpec, keeps: Sequence[Keep], allow_huge: bool) -> Result:
    """A photograph in a trained style."""
    task = read(content, style.paintings, spec, keeps=keeps, network=style.network, allow_huge=allow_huge)
    return finish(plan(task, find_strength(task)))


def read(
    content: Source,
    styles: Sequence[Source | Masked | Painting],
    spec: StyleSpec,
    *,
    regions: Sequence[RegionStyle] = (),
    keeps: Sequence[Keep] = (),
    weights: Path | str | None = None,
    network: Loaded | None = None,
    first: Source | Result | None = None,
    allow_huge: bool = False,
) -> Task[Any]:
    """Read and check the pictures, and load the network; the arguments are those of ``style``."""
    check_types(
        ("regions", regions, isinstance(regions, Sequence), "a list of artune.RegionStyle"),
        ("keeps", keeps, isinstance(keeps, Sequence), "a list of artune.Keep"),
    )
    _check_weights(weights, network)
    file = None if weights is None else Path(weights)
    start = first.picture if isinstance(first, Result) else first

    def load() -> Any:
        return network or method_of(spec).load(spec, file, None)

    with own_mode():
        return Task.read(content, styles, spec, load, regions=regions, keeps=keeps, first=start, allow_huge=allow_huge)


def find_strength(
    task: Task[Any],
    *,
    judge: Judge | None = None,
    kept: float = KEPT_SHARE,
    checkpoint: Checkpoint | None = None,
    on_step: OnLadder | None = None,
) -> Tuning | None:
    """Find the strength of a task that leaves it open.

    Args:
        task: pictures and spec.
        judge: the judge that scores the pictures; default: the one that is installed with the package.
        kept: see ``tune``.
        checkpoint: checkpoint of the run, which has the strength; then nothing is searched.
        on_step: called after every step of the search, with the number of steps done and of all steps.

    Returns:
        the result of the search; ``None`` if the strength is not open.

    Raises:
        InputError: the spec does not fit the pictures or the network.
        CheckpointError: the checkpoint is damaged, or belongs to another run.
        ResourceError: there is not enough memory for the run itself.
    """
    if not task.open:
        return None
    if checkpoint is None:
        with own_mode():
            return find_balance(task, judge, kept=kept, on_step=on_step)
    if checkpoint.search is None:
        raise checkpoint.other_run()
    try:
        return Tuning.of(checkpoint.search.summary, checkpoint.search.seconds)
    except InputError as error:
        raise checkpoint.damaged(str(error)) from None


def plan(task: Task[Any], tuning: Tuning | None = None, *, checkpoint: Checkpoint | None = None) -> Run[Any, Any]:
    """Make every choice that a task leaves open, and return the run.

    Args:
        task: pictures and spec.
        tuning: how the strength was found, if it was open.
        checkpoint: checkpoint to be resumed, which must belong to this run.

    Raises:
        InputError: the spec does not fit the pictures or the network.
        CheckpointError: the checkpoint belongs to another run.
        ResourceError: there is not enough memory.
    """
    strength = None if tuning is None else tuning.balance.strength
    search = None if tuning is None else StrengthSearch(tuning.summary(), tuning.seconds)
    if checkpoint is None:
        return plan_run(task, strength, search)
    run = plan_run(task, strength, search, checkpoint.memory)
    checkpoint.check_key(run.key)
    return run


def finish(
    run: Run[Any, Any],
    *,
    checkpoint: Checkpoint | None = None,
    on_step: OnStep | None = None,
    on_tile: OnTile | None = None,
) -> Result:
    """Run a plan to its end, or until it is cancelled.

    To do more between two steps, iterate over ``artune.transfer.methods.steps``, as this function does.

    Args:
        run: the run.
        checkpoint: checkpoint of this run, to resume it.
        on_step: see ``style``.
        on_tile: see ``style``.
    """
    for progress in steps(run, checkpoint):
        watch = {"step": on_step, "part": on_tile}.get(progress.event)
        if watch is not None and watch(progress):
            return result_of(progress, cancelled=True)
    return result_of(progress)


def _check_weights(weights: object, network: Loaded | None) -> None:
    """Raise if weights are no file, or are given beside a loaded network."""
    check_types(("weights", weights, isinstance(weights, Path | str | None), "a file"))
    if network is not None and weights is not None:
        raise SpecError("both `network` and `weights` are given; leave out either")


def _wanted(
    spec: StyleSpec | None, recipe: str | None, network: Loaded | str | None, options: Mapping[str, Any]
) -> tuple[StyleSpec, Loaded | None]:
    """The spec that was given, or that of a recipe, with the options in place of its fields; and the loaded network.

    The name of a network is an option like the others.
    """
    if recipe is not None:
        if spec is not None:
            raise SpecError("`spec` and `recipe` are both given, and each is a whole spec; leave out either")
        spec = find_recipe(recipe).spec
    if isinstance(network, str):
        options, network = {**options, "network": network}, None
    return with_options(spec or StyleSpec(), options), network
