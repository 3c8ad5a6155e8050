"""``artune classes``: how often two class judges recognise content and style at several weights."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from artune.cli.arguments import base_spec, given_options, numbers_from, spec_option
from artune.cli.display import CANCELLED, counting, download_bar, loading, say
from artune.errors import InputError, SpecError
from artune.spec.checked import checked
from artune.spec.options import with_options
from artune.spec.study import SIZE, StudySpec
from artune.spec.style import StyleSpec

if TYPE_CHECKING:
    from artune.backbones.network import Network
    from artune.studies.classes import ClassStudy, OnProgress, StudyResult
    from artune.studies.entries import Side
    from artune.studies.store import Store

DATA, RUN = "The pictures", "The run"


def classes(
    context: typer.Context,
    contents: Annotated[Path, typer.Option(help="Folder of photographs, CLASS/*.", rich_help_panel=DATA)],
    styles: Annotated[Path, typer.Option(help="Folder of paintings, CLASS/*.", rich_help_panel=DATA)],
    content_judge: Annotated[Path, typer.Option(help="Class judge of the photographs, made by artune judge train.")],
    style_judge: Annotated[Path, typer.Option(help="Class judge of the paintings, made by artune judge train.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the results; an unfinished study in it is continued.")
    ],
    strengths: Annotated[
        str | None, typer.Option(help="Strengths to try, between 0 and 1.", metavar="S,S...", rich_help_panel=DATA)
    ] = None,
    ratios: Annotated[
        str | None,
        typer.Option(
            help="Instead of strengths: style weight:content weight, in the units of the losses; 5e4 is 5e4:1.",
            metavar="W[:W],...",
            rich_help_panel=DATA,
        ),
    ] = None,
    per_class: Annotated[
        int | None,
        typer.Option(
            help="Photographs of each class; without --styles-per-class paintings, too (default: all).",
            min=1,
            rich_help_panel=DATA,
        ),
    ] = None,
    styles_per_class: Annotated[
        int | None,
        typer.Option(help="Paintings of each class (default: as --per-class).", min=1, rich_help_panel=DATA),
    ] = None,
    choice: Annotated[int, typer.Option(help="Seed for the choice of pictures.", min=0, rich_help_panel=DATA)] = 0,
    size: Annotated[
        str | None,
        typer.Option(help=f"Longer side of the results, pixels (default: the spec's, or {SIZE}).", rich_help_panel=RUN),
    ] = None,
    network: Annotated[str | None, spec_option("network", panel=RUN)] = None,
    weights: Annotated[Path | None, typer.Option(help="File with the network's weights.", rich_help_panel=RUN)] = None,
    quality: Annotated[str | None, spec_option("quality", panel=RUN)] = None,
    steps: Annotated[int | None, spec_option("steps", panel=RUN)] = None,
    optimiser: Annotated[str | None, spec_option("optimiser", panel=RUN)] = None,
    seed: Annotated[int | None, spec_option("seed", panel=RUN)] = None,
    device: Annotated[str | None, spec_option("device", panel=RUN)] = None,
    precision: Annotated[str | None, spec_option("precision", panel=RUN)] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Published recipe (artune recipes lists them); options override it.", rich_help_panel=RUN),
    ] = None,
    spec: Annotated[
        Path | None, typer.Option(help="YAML or JSON file with more options; options override it.", rich_help_panel=RUN)
    ] = None,
    workers: Annotated[
        int, typer.Option(help="Number of processes that make pictures.", min=1, max=256, rich_help_panel=RUN)
    ] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Find which weight balances content and style, by two judges of classes.

    Every photograph is styled like every painting at every weight. One judge recognises the class of the photograph,
    the other the class of the painting.

    Every finished picture is kept. The same command continues where it was stopped, and makes no picture twice.
    """
    asked = checked(
        StudySpec,
        contents=contents,
        styles=styles,
        per_class=per_class,
        styles_per_class=styles_per_class,
        choice=choice,
        strengths=None if strengths is None else numbers_from(strengths, "--strengths"),
        ratios=None if ratios is None else [_ratio(part) for part in ratios.split(",")],
        spec=_base(spec, recipe, given_options(context.params)),
        weights=weights,
    )
    with loading():
        from artune.studies import executors
        from artune.studies.classes import ClassStudy, listed, run_classes
        from artune.studies.measures import StudyJudge
        from artune.studies.report import write_report
        from artune.studies.store import Store

        judges: dict[Side, StudyJudge] = {
            "content": StudyJudge.load("content", content_judge),
            "style": StudyJudge.load("style", style_judge),
        }
    try:
        study = ClassStudy.prepare(asked, judges)
        with Store.open(out) as store, executors.workers(_useful(workers, study, store)) as executor:
            with _progress(quiet) as on_progress:
                result = run_classes(study, store, executor, on_progress, partial(_network, quiet))
            write_report(out, result)
    except KeyboardInterrupt:
        say(f"stopped; what is finished is kept in {out}, and the same command continues")
        raise typer.Exit(CANCELLED) from None
    if not quiet:
        say(_summary(result, out))
    if result.failures:
        failed = f"{result.failed} of {len(study.runs)} pictures failed, and are tried again next time"
        raise InputError(f"{failed}:{listed(result.failures)}")


def _base(spec: Path | None, recipe: str | None, options: dict[str, object]) -> StyleSpec:
    """What all runs share."""
    base = base_spec(spec, recipe)
    sized = recipe is None and "size" in base.model_fields_set  # the size of a recipe is meant for single pictures
    return with_options(base, {**({} if sized else {"size": SIZE}), **options})


def _ratio(text: str) -> tuple[float, float]:
    """Style weight and content weight from ``5e4:1``; the content weight is 1 where it is left out."""
    style, _, content = text.partition(":")
    try:
        return float(style), float(content or 1)
    except ValueError:
        raise SpecError(f"--ratios: {text!r} is not a ratio; write 5e4, or 1e6:10") from None


def _useful(workers: int, study: "ClassStudy", store: "Store") -> int:
    """No more processes than there are pictures to be made."""
    return max(1, min(workers, len(store.missing(study.runs))))


def _network(quiet: bool, spec: StyleSpec, weights: Path | None) -> "Network":
    """Load the network, with a bar for its download."""
    from artune.backbones.network import Network
    from artune.machine import keep_freed_memory

    keep_freed_memory()
    with loading(), download_bar(quiet) as on_bytes:
        return Network.load(spec, weights, on_bytes)


@contextmanager
def _progress(quiet: bool) -> Iterator["OnProgress"]:
    """A line that counts what is being done; one thing after the other."""
    with ExitStack() as shown:
        counts = {}

        def on_progress(what: str, done: int, total: int) -> None:
            if what not in counts:
                shown.close()
                counts[what] = shown.enter_context(counting(what, quiet))
            counts[what](done, total)

        yield on_progress


def _summary(result: "StudyResult", out: Path) -> str:
    parts = [f"{len(result.judged)} pictures, {result.made} of them new"]
    if result.findings.equilibrium:
        parts.append(str(result.findings.equilibrium))
    return "; ".join(parts) + f". The page is at {(out / 'index.html').resolve()}"
