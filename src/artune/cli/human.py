"""``artune human``: a blind set of pictures for people, and the score of their answers."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from artune.cli.display import CANCELLED, guarded, loading, say
from artune.errors import InputError, OutputError

if TYPE_CHECKING:
    from artune.studies.store import Side

app = typer.Typer(no_args_is_help=True, help="Let people recognise what judges recognised.")


def make(
    folder: Annotated[Path, typer.Argument(help="Of the set; new.", metavar="FOLDER")],
    experiment: Annotated[Path, typer.Option(help="Folder of results of artune classes.")],
    per_weight: Annotated[int | None, typer.Option(help="Pictures at each weight (default: all).", min=1)] = None,
    references: Annotated[
        Path | None, typer.Option(help="Paintings, FOLDER/CLASS/*: a few of each are shown on the page.")
    ] = None,
    content_judge: Annotated[
        Path | None, typer.Option(help="Whose answers stand beside the people's, where several judges have spoken.")
    ] = None,
    style_judge: Annotated[Path | None, typer.Option(help="The same for the style.")] = None,
    key: Annotated[
        Path | None, typer.Option(help="File of what is right (default: FOLDER.key.json, beside the set).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of choice and order.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Prepare a blind set: pictures in random order, the choices, an answer sheet, and a page to answer on."""
    with loading():
        from artune.studies import people as human
        from artune.studies.grid import examples

    shown = () if references is None else examples(references)
    judges: dict[Side, Path] = {}
    if content_judge is not None:
        judges["content"] = content_judge
    if style_judge is not None:
        judges["style"] = style_judge
    try:
        found = human.make(
            folder, experiment, per_weight=per_weight, seed=seed, key=key, references=shown, judges=judges
        )
    except KeyboardInterrupt:
        say("cancelled; nothing was written")
        raise typer.Exit(CANCELLED) from None
    if not quiet:
        say(
            f"{len(found.questions)} pictures. Hand out {folder}, with its page {folder / human.PAGE}; keep the key "
            f"{key or human.key_file(folder)}"
        )


def score(
    answers: Annotated[list[Path], typer.Argument(help="Answer sheets that were filled in, of one set.")],
    key: Annotated[
        Path | None, typer.Option(help="The key of the set (default: beside the folder of the first sheet).")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="File for the numbers.")] = None,
) -> None:
    """Print what people recognised at each weight beside what the judges did, with Wilson's 95 % intervals."""
    with loading():
        from artune.files import write
        from artune.studies import people as human

    if csv is not None and os.path.lexists(csv):
        raise OutputError(f"{csv} exists; choose another file for the numbers")
    if missing := [sheet for sheet in answers if not sheet.is_file()]:
        raise InputError(f"there are no answers in {missing[0]}; name the sheet that was filled in")
    for place, sheet in enumerate(answers):
        if any(sheet.samefile(other) for other in answers[:place]):
            raise InputError(f"{sheet} is given twice, and would count twice; give each sheet once")
    right = human.read_key(key or human.key_file(answers[0].parent))
    given = [answer for sheet in answers for answer in human.read_answers(sheet, right)]
    found = human.scores(given, right)
    if csv is not None:
        write(csv, human.score_rows(found).csv().encode())
    typer.echo(human.score_table(found).markdown(), nl=False)


app.command()(guarded(make))
app.command()(guarded(score))
