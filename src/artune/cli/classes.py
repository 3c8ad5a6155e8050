"""``artune classes``: accuracy of two class judges against the weight, over folders of classes."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from artune.cli.arguments import base_spec, given_options, numbers_from, spec_option
from artune.cli.display import CANCELLED, counting, download_bar, loading, say
from artune.errors import InputError, SpecError
from artune.spec.options import with_options
from artune.spec.style import StyleSpec

if TYPE_CHECKING:
    from artune.studies.measures import Witness
    from artune.studies.store import Failure, Side

SIZE = 128
"""Longer side of the results where nothing says it, pixels."""
MOST_SAID = 5
"""Reasons of failed pictures that a message tells of."""
DATA, RUN = "The pictures", "The run"


def classes(
    context: typer.Context,
    contents: Annotated[Path, typer.Option(help="Photographs: FOLDER/CLASS/*.", rich_help_panel=DATA)],
    styles: Annotated[Path, typer.Option(help="Paintings: FOLDER/CLASS/*.", rich_help_panel=DATA)],
    content_judge: Annotated[Path, typer.Option(help="Network that tells the classes of the photographs.")],
    style_judge: Annotated[Path, typer.Option(help="Network that tells the classes of the paintings.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the results; one that is begun is gone on with.")
    ],
    strengths: Annotated[
        str | None, typer.Option(help="Strengths between 0 and 1.", metavar="S,S...", rich_help_panel=DATA)
    ] = None,
    ratios: Annotated[
        str | None,
        typer.Option(
            help="Weights instead, style:content, in the units of the recipe; 5e4 is 5e4:1.",
            metavar="W[:W],...",
            rich_help_panel=DATA,
        ),
    ] = None,
    per_class: Annotated[
        int | None, typer.Option(help="Pictures of each class (default: all).", min=1, rich_help_panel=DATA)
    ] = None,
    styles_per_class: Annotated[
        int | None,
        typer.Option(help="Paintings of each class (default: as --per-class).", min=1, rich_help_panel=DATA),
    ] = None,
    choice: Annotated[int, typer.Option(help="Seed of the choice of pictures.", min=0, rich_help_panel=DATA)] = 0,
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
        str | None, typer.Option(help="A published recipe (artune recipes); flags override.", rich_help_panel=RUN)
    ] = None,
    spec: Annotated[
        Path | None, typer.Option(help="YAML or JSON file with more options; flags override.", rich_help_panel=RUN)
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes at work.", min=1, max=256, rich_help_panel=RUN)] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Style photographs of classes like paintings of classes at several weights, and let two judges recognise both.

    Every finished picture is kept: the same command goes on where it was stopped, and computes nothing twice.
    """
    specs = _axis(_base(spec, recipe, given_options(context.params)), strengths, ratios)
    with loading():
        from artune.backbones.network import Network
        from artune.machine import keep_freed_memory
        from artune.studies import executors
        from artune.studies.classes import findings, matched
        from artune.studies.grid import examples, grid
        from artune.studies.measures import hear
        from artune.studies.report import write_findings
        from artune.studies.run import Make, run
        from artune.studies.store import Store, keyed, manner

    photographs = examples(contents, per_class, choice)
    paintings = examples(styles, per_class if styles_per_class is None else styles_per_class, choice)
    with loading():
        witnesses = [witness("content", content_judge), witness("style", style_judge)]
    for each, used in zip(witnesses, (photographs, paintings), strict=True):
        each.check(sorted({example.label for example in used}))
    runs = keyed(grid(photographs, paintings, specs), weights)
    try:
        with Store.open(out) as store:
            todo = store.missing(runs)
            if todo:
                keep_freed_memory()
                with loading(), download_bar(quiet) as told:  # what it refuses, it would refuse for every picture
                    loaded = Network.load(specs[0], weights, told)
                store.check_alike(manner(specs[0], {"weights": loaded.digest, **_start(specs[0])}))
                with executors.workers(min(workers, len(todo))) as executor, counting("pictures", quiet) as count:
                    count(0, len(todo))
                    for done, _ in enumerate(run(runs, store, executor, Make(weights)), 1):
                        count(done, len(todo))
            there = [key for key in runs if store.finished(key)]
            missing = store.missing(runs)
            failed = store.failures(missing)
            if not there:
                raise InputError(f"all {len(missing)} pictures failed:{_some(failed)}")
            untouched = {}
            for each, used in zip(witnesses, (photographs, paintings), strict=True):
                with counting(f"the judge of {each.side}", quiet) as count:
                    untouched[each.side] = hear(each, there, used, int(specs[0].size), store, count)
            judged = matched(runs, store.verdicts, {each.side: each.digest for each in witnesses})
            found = findings(judged)
            write_findings(out, found, judged, untouched, failed)
    except KeyboardInterrupt:
        say(f"stopped; what is finished is kept in {out}, and the same command goes on")
        raise typer.Exit(CANCELLED) from None
    if not quiet:
        said = [f"{len(judged)} pictures, {len(todo) - len(missing)} of them new"]
        if found.equilibrium:
            said.append(str(found.equilibrium))
        say("; ".join(said) + f". The page is at {(out / 'index.html').resolve()}")
    if failed:
        raise InputError(
            f"{len(missing)} of {len(runs)} pictures failed, and are tried again next time:{_some(failed)}"
        )


def _base(spec: Path | None, recipe: str | None, options: dict[str, object]) -> StyleSpec:
    """What is the same in every run."""
    base = base_spec(spec, recipe)
    said = recipe is None and "size" in base.model_fields_set  # a recipe's size is for single pictures
    wanted = with_options(base, {**({} if said else {"size": SIZE}), **options})
    if wanted.size == "original":
        raise SpecError("the results of an experiment are of one size; give --size in pixels")
    return wanted


def _axis(base: StyleSpec, strengths: str | None, ratios: str | None) -> list[StyleSpec]:
    from artune.studies.grid import weight_of, with_ratios, with_strengths

    if (strengths is None) == (ratios is None):
        raise SpecError("the axis is missing or there are two; give either --strengths 0.1,0.5,0.9 or --ratios 1e4,1e5")
    if strengths is not None:
        specs = with_strengths(base, numbers_from(strengths, "--strengths"))
    else:
        specs = with_ratios(base, [_ratio(part) for part in (ratios or "").split(",")])
    labels = Counter(weight_of(spec).label for spec in specs)
    if twice := [label for label, count in labels.items() if count > 1]:
        raise SpecError(f"the weight {twice[0]} is given twice")
    return specs


def _ratio(text: str) -> tuple[float, float]:
    """Style and content of ``5e4:1``; 1 where there is no second."""
    style, _, content = text.partition(":")
    try:
        return float(style), float(content or 1)
    except ValueError:
        raise SpecError(f"--ratios: {text!r} is no ratio; write 5e4, or 1e6:10") from None


def witness(side: "Side", file: Path) -> "Witness":
    """A judge from its file."""
    from artune.files import file_digest
    from artune.judges.classes import ClassJudge
    from artune.studies.measures import Witness

    return Witness(side, ClassJudge.load(file), file_digest(file), file.name)


def _start(spec: StyleSpec) -> dict[str, str]:
    """Digest of the picture to start from, if there is one."""
    from artune.transfer.start import given_start

    given = given_start(spec.method.start)
    return {} if given is None else {"start": given.digest()}


def _some(failed: Sequence["Failure"]) -> str:
    more = [f"further reasons: {len(failed) - MOST_SAID}"] if len(failed) > MOST_SAID else []
    return "\n  " + "\n  ".join([*map(str, failed[:MOST_SAID]), *more])
