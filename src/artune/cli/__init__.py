"""The command line: a thin shell around the library."""

from typing import Annotated

import typer

from artune import __version__
from artune.cli import (
    apply,
    classes,
    dissect,
    export,
    human,
    info,
    judge,
    morph,
    networks,
    recipes,
    reconstruct,
    segment,
    study,
    style,
    train,
    tune,
    video,
)
from artune.cli.display import guarded

app = typer.Typer(
    name="artune",
    help="Neural style transfer: a photograph in the style of a painting.",
    no_args_is_help=True,
    invoke_without_command=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _about(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"artune {__version__}")
        raise typer.Exit


app.command(epilog=style.EXAMPLES)(guarded(style.style))
app.command()(guarded(tune.tune))
app.command(epilog=video.EXAMPLES)(guarded(video.video))
app.command()(guarded(morph.morph))
app.command()(guarded(style.demo))
app.command()(guarded(train.train))
app.command()(guarded(apply.apply))
app.command()(guarded(networks.networks))
app.command()(guarded(info.info))
app.command()(guarded(recipes.recipes))
app.command()(guarded(segment.segment))
app.command()(guarded(export.export))
app.add_typer(judge.app, name="judge")
app.command()(guarded(classes.classes))
app.command()(guarded(reconstruct.reconstruct))
app.command(epilog=dissect.EXAMPLES)(guarded(dissect.dissect))
app.add_typer(human.app, name="human")
app.add_typer(study.app, name="study")
