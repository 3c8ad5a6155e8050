"""``artune human``: a blind set of pictures for people, and the scores of their answers."""

import os
from pathlib import Path
from typing import Annotated

import typer

from artune.cli.display import CANCELLED, guarded, loading, say
from artune.errors import InputError, OutputError

app = typer.Typer(
    no_args_is_help=True, help="Let people answer what judges answer: content and style of the pictures of a study."
)


def make(
    folder: Annotated[Path, typer.Argument(help="New folder for the blind set.", metavar="FOLDER")],
    study: Annotated[Path, typer.Option(help="Folder that artune classes wrote.")],
    per_weight: Annotated[int | None, typer.Option(help="Pictures at each weight (default: all).", min=1)] = None,
    references: Annotated[
        Path | None, typer.Option(help="Folder of paintings, CLASS/*, of which the page shows a few of each class.")
    ] = None,
    content_judge: Annotated[
        Path | None,
        typer.Option(help="Content judge to compare people with; needed if several have judged the pictures."),
    ] = None,
    style_judge: Annotated[Path | None, typer.Option(help="Style judge to compare people with; likewise.")] = None,
    key: Annotated[
        Path | None, typer.Option(help="File for the right answers (default: FOLDER.key.json, beside FOLDER).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed for the choice and the order of pictures.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Write a blind set: pictures in random order, the choices, an answer sheet, and a page to answer on."""
    with loading():
        from artune.studies.blind_set import PAGE, key_file, make_blind_set
        from artune.studies.grid import examples

    try:
        found = make_blind_set(
            folder,
            study,
            per_weight=per_weight,
            seed=seed,
            key=key,
            references=() if references is None else examples(references),
            content_judge=content_judge,
            style_judge=style_judge,
        )
    except KeyboardInterrupt:
        say("cancelled; nothing was written")
        raise typer.Exit(CANCELLED) from None
    if not quiet:
        say(
            f"{len(found.questions)} pictures. Hand out {folder}, with its page {folder / PAGE}; keep the key "
            f"{key or key_file(folder)}"
        )


def score(
    answers: Annotated[list[Path], typer.Argument(help="Answer sheets of one set, filled in.")],
    key: Annotated[
        Path | None, typer.Option(help="File with the right answers (default: beside the folder of the first sheet).")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="CSV file for the scores.")] = None,
) -> None:
    """Print how often people and judges were right at each weight, with Wilson's 95 % intervals."""
    with loading():
        from artune.files import write
        from artune.studies.answers import read_answers, read_key, score_rows, score_table, scores
        from artune.studies.blind_set import key_file

    if csv is not None and os.path.lexists(csv):
        raise OutputError(f"{csv} exists; choose another file for the numbers")
    if missing := [sheet for sheet in answers if not sheet.is_file()]:
        raise InputError(f"there are no answers in {missing[0]}; give the sheet that was filled in")
    for place, sheet in enumerate(answers):
        if any(sheet.samefile(other) for other in answers[:place]):
            raise InputError(f"{sheet} is given twice, and would count twice; give each sheet once")
    right = read_key(key or key_file(answers[0].parent))
    given = [answer for sheet in answers for answer in read_answers(sheet, right)]
    found = scores(given, right)
    if csv is not None:
        write(csv, score_rows(found).csv().encode())
    typer.echo(score_table(found).markdown(), nl=False)


app.command()(guarded(make))
app.command()(guarded(score))
