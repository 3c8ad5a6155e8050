"""``artune train``: train a network for one style."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from artune.cli.arguments import choices_shown, layers_from
from artune.cli.display import (
    CANCELLED,
    Checkpoints,
    check_unfinished,
    download_bar,
    interruptible,
    loading,
    partial_of,
    say,
    taken,
    training_display,
    write_beside,
)
from artune.errors import InputError, OutputError
from artune.recipes.training import find_training
from artune.spec.checked import checked
from artune.spec.train_style import STYLE_DEFAULTS, StyleTrainSpec

if TYPE_CHECKING:
    from artune.learning.page import TrainingPage
    from artune.learning.processes import Processes
    from artune.learning.training import StyleTraining

MODEL, LOSSES, PICTURES, RUN = "The network", "The losses", "The pictures", "The run"
PREVIEW = "cat"
"""Name of the sample photograph that previews show."""


def option(name: str, panel: str, *flags: str, **more: Any) -> Any:
    """An option with the help, the choices and the default of the spec's field."""
    field = StyleTrainSpec.model_fields[name]
    text = (field.description or "").replace("`", "")
    default = field.default
    shown = "" if default is None else f" (default: {', '.join(default) if hasattr(default, 'keys') else default})"
    more = {"metavar": choices_shown(field)} | more
    return typer.Option(*flags, help=text + shown, show_default=False, rich_help_panel=panel, **more)


def train(
    context: typer.Context,
    styles: Annotated[list[Path], typer.Argument(help="Paintings; several are mixed.", metavar="STYLE...")],
    photos: Annotated[
        Path, typer.Option(help="Folder of photographs to train on, with its sub-folders.", rich_help_panel=PICTURES)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File for the style, .safetensors.", rich_help_panel=RUN)],
    recipe: Annotated[
        str | None,
        typer.Option(help="Published recipe: johnson or stylist; other options override it.", rich_help_panel=MODEL),
    ] = None,
    base: Annotated[str | None, option("base", MODEL, "--from")] = None,
    width: Annotated[str | None, option("width", MODEL)] = None,
    network: Annotated[str | None, option("network", LOSSES)] = None,
    weights: Annotated[
        Path | None, typer.Option(help="File with the loss network's weights.", rich_help_panel=LOSSES)
    ] = None,
    content_layers: Annotated[str | None, option("content_layers", LOSSES, metavar="TAP[:W],...")] = None,
    style_layers: Annotated[str | None, option("style_layers", LOSSES, metavar="TAP[:W],...")] = None,
    loss: Annotated[str | None, option("loss", LOSSES, metavar="LOSS[:W],...")] = None,
    content_loss: Annotated[str | None, option("content_loss", LOSSES)] = None,
    scale: Annotated[str | None, option("scale", LOSSES)] = None,
    strength: Annotated[float | None, option("strength", LOSSES)] = None,
    content_weight: Annotated[float | None, option("content_weight", LOSSES)] = None,
    style_weight: Annotated[float | None, option("style_weight", LOSSES)] = None,
    tv: Annotated[float | None, option("tv", LOSSES)] = None,
    size: Annotated[int | None, option("size", PICTURES)] = None,
    style_size: Annotated[int | None, option("style_size", PICTURES)] = None,
    augment: Annotated[bool | None, option("augment", PICTURES, "--augment/--no-augment")] = None,
    preview: Annotated[
        Path | None, typer.Option(help="Photograph of the previews (default: a sample).", rich_help_panel=PICTURES)
    ] = None,
    batch: Annotated[int | None, option("batch", RUN)] = None,
    rate: Annotated[float | None, option("rate", RUN)] = None,
    schedule: Annotated[str | None, option("schedule", RUN)] = None,
    passes: Annotated[float | None, option("passes", RUN)] = None,
    steps: Annotated[int | None, option("steps", RUN)] = None,
    every: Annotated[int | None, option("every", RUN)] = None,
    seed: Annotated[int | None, option("seed", RUN)] = None,
    precision: Annotated[str | None, option("precision", RUN)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.", rich_help_panel=RUN)] = "auto",
    page: Annotated[
        Path | None,
        typer.Option(help="Folder for previews, and a page with them and the losses.", rich_help_panel=RUN),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(help="Terms of the paintings, which the file of the style carries.", rich_help_panel=RUN),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing style.", rich_help_panel=RUN)] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the checkpoint OUT.partial.", rich_help_panel=RUN)
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.", rich_help_panel=RUN)] = False,
) -> None:
    """Train a network for one style, to be applied by artune apply."""
    quiet = quiet or os.environ.get("RANK", "0") != "0"  # the first process of several speaks for all
    spec = _spec(context.params, recipe)
    there = os.path.lexists(out)
    for picture in (*styles, *([preview] if preview else [])):
        _check_there(picture)
    _check_out(out, resume=resume, overwrite=overwrite)
    for source in (*styles, preview, weights):
        if source is not None and source.exists() and out.exists() and os.path.samefile(source, out):
            raise OutputError(f"{out} is one of the inputs and would be lost; choose another file with -o")
    if page is not None:
        _check_page(page, overwrite=overwrite or resume)
    begun = partial_of(out)
    resumed = resume and begun.exists()
    checkpoints = Checkpoints(begun, resumed=resumed)
    with loading():
        from artune.learning.processes import joined
        from artune.machine import keep_freed_memory

    keep_freed_memory()
    with joined() as processes:
        training = _training(spec, styles, photos, preview, weights, device, licence, processes, quiet=quiet)
        if resumed:
            training.resume(begun)
        elif resume and not quiet:
            say(f"there is no {begun} to resume; starting anew")
        if not quiet:
            say(_plan(training))
        _run(training, checkpoints, _page(page, out.name, training), quiet=quiet)
        if processes.rank:
            return
        replace = overwrite or there
        written = write_beside(partial(training.write, replace=replace), out, replace=replace)
    checkpoints.remove()
    if not quiet:
        _report(training, written, page)
    if written != out:
        raise taken(out, written)


def _spec(params: dict[str, Any], recipe: str | None) -> StyleTrainSpec:
    """The settings of a recipe, or artune's own, with what was typed in their place."""
    given = {name: params[name] for name in StyleTrainSpec.model_fields if params.get(name) is not None}
    for name in ("content_layers", "style_layers", "loss"):
        if name in given:
            given[name] = layers_from(given[name], "--" + name.replace("_", "-"))
    if recipe is not None:
        start = find_training(recipe).spec
    else:
        start = STYLE_DEFAULTS.get(given.get("base", "johnson"), StyleTrainSpec())
    if "passes" in given and "steps" not in given:
        given["steps"] = None
    return checked(StyleTrainSpec, **{**start.model_dump(), **given})


def _check_there(picture: Path) -> None:
    from artune.cli.photographs import check_there

    check_there(picture)


def _check_out(path: Path, *, resume: bool, overwrite: bool) -> None:
    from artune.files import check_writable

    if path.suffix != ".safetensors":
        raise OutputError(f"cannot write {path}: a style is written as .safetensors; give such a name")
    if not path.parent.exists():
        raise OutputError(f"cannot write {path}: there is no folder {path.parent}; make it, or choose another")
    check_writable(path)
    check_writable(partial_of(path))
    check_unfinished(path, resume=resume, overwrite=overwrite)


def _check_page(folder: Path, *, overwrite: bool) -> None:
    from artune.extras import require

    require("report", "the page of a training (--page)")
    from artune.learning.page import check_folder

    check_folder(folder, overwrite=overwrite)


def _page(folder: Path | None, name: str, training: "StyleTraining") -> "TrainingPage | None":
    """The page, which the first process writes."""
    if folder is None or training.processes.rank:
        return None
    from artune.learning.page import TrainingPage

    return TrainingPage(folder, name, training)


def _training(
    spec: StyleTrainSpec,
    styles: list[Path],
    photos: Path,
    preview: Path | None,
    weights: Path | None,
    device: str,
    licence: str | None,
    processes: "Processes",
    *,
    quiet: bool,
) -> "StyleTraining":
    from artune.assets import sample_photo
    from artune.learning.start import start_training

    with download_bar(quiet) as on_bytes:
        return start_training(
            spec,
            styles,
            photos,
            preview or sample_photo(PREVIEW),
            weights=weights,
            device=device,
            licence=licence,
            processes=processes,
            on_bytes=on_bytes,
        )


def _plan(training: "StyleTraining") -> str:
    spec, photographs = training.spec, training.photographs
    what = f"Johnson's network ({spec.width}), losses of {spec.network}" if spec.base == "johnson" else "the painter"
    held = f", {len(photographs.held)} to validate with" if photographs.held else ""
    together = f" in {training.processes.count} processes" if training.processes.count > 1 else ""
    return (
        f"{what}: {photographs.count} photographs{held}, {spec.size}x{spec.size}, {training.steps} steps of "
        f"{spec.batch}{together}"
    )


def _run(training: "StyleTraining", checkpoints: Checkpoints, page: "TrainingPage | None", *, quiet: bool) -> None:
    """Train with progress, previews and checkpoints; Ctrl-C leaves a checkpoint."""
    with interruptible() as interrupted, training_display(quiet, training.steps, training.epoch) as show:
        for progress in training.run():
            show(progress)
            stop = training.processes.any(interrupted())
            if page is not None and progress.end != "diverged" and len(progress.validations) > page.shown:
                page.add(progress)
            checkpoints(training, now=stop)
            if stop and progress.end is None:
                say(f"cancelled after {progress.step} of {training.steps} steps. {checkpoints.advice()}")
                raise typer.Exit(CANCELLED)
    if training.fitting.end == "diverged":
        checkpoints.remove()  # it could only diverge again
        raise InputError(
            f"the training diverged after step {training.fitting.step}: the loss is no finite number; choose a smaller "
            "--rate"
        )


def _report(training: "StyleTraining", written: Path, page: Path | None) -> None:
    found, skipped = training.fitting.validations, training.photographs.skipped
    if skipped:
        first = next(iter(skipped.values()))
        what = "1 picture was" if len(skipped) == 1 else f"{len(skipped)} pictures were"
        say(f"{what} skipped, which cannot be read; the first: {first}")
    best = min(training.spec.every * (1 + found.index(min(found))), training.steps)
    say(f"{written}: best after step {best} of {training.steps}, validation {min(found):.4g}")
    if min(found) >= training.baseline:
        other = "photographs as they are" if training.spec.base == "johnson" else "the painter as it is installed"
        say(
            f"this is no better than {other}, whose validation is {training.baseline:.4g}: train for more --steps, or "
            "choose a smaller --rate"
        )
    if page is not None:
        say(f"The page is at {(page / 'index.html').resolve()}")
