"""``artune classes``: how often two class judges recognise content and style at several weights."""

from pathlib import Path
from typing import Annotated

import typer

from artune.cli.arguments import base_spec, given_options, numbers_from, spec_option
from artune.cli.display import loading
from artune.cli.study import carry_out, command_line
from artune.errors import SpecError
from artune.spec.checked import checked
from artune.spec.options import with_options
from artune.spec.study import SIZE, ClassStudySpec
from artune.spec.style import StyleSpec

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
        ClassStudySpec,
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
        from artune.studies.classes import class_study
        from artune.studies.conduct import Note
        from artune.studies.study import Study

        study = class_study(asked, {"content": content_judge, "style": style_judge})
        prepared = Study.prepare(study)
    carry_out(prepared, out, Note.of(prepared, command_line()), workers=workers, quiet=quiet)


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
