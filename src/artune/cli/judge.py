"""``artune judge``: train a class judge, and evaluate it."""

import json
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from artune.cli.arguments import choices_shown
from artune.cli.display import (
    CANCELLED,
    Checkpoints,
    check_unfinished,
    download_bar,
    guarded,
    interruptible,
    loading,
    partial_of,
    say,
    taken,
    training_display,
    write_beside,
)
from artune.errors import InputError, OutputError, SpecError
from artune.spec.checked import checked
from artune.spec.train import Edges, TrainSpec, find_kind

if TYPE_CHECKING:
    from artune.judges.accuracy import Accuracy, Confusion
    from artune.judges.classes import ClassJudge
    from artune.judges.training import ClassTraining

app = typer.Typer(help="Train and evaluate class judges, which recognise painters or animals.", no_args_is_help=True)
MODEL, PICTURES, RUN = "The judge", "The pictures", "The run"


def option(name: str, panel: str) -> Any:
    """An option of the command line with the help and the choices of the spec's field."""
    field = TrainSpec.model_fields[name]
    return typer.Option(help=field.description, rich_help_panel=panel, metavar=choices_shown(field))


def default(name: str) -> Any:
    """The default of the spec's field."""
    return TrainSpec.model_fields[name].default


def train(
    kind: Annotated[str, option("kind", MODEL)],
    data: Annotated[
        Path, typer.Option(help="Folder of pictures, train/CLASS/* and val/CLASS/*.", rich_help_panel=PICTURES)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File for the judge, .safetensors.", rich_help_panel=RUN)],
    network: Annotated[str | None, option("network", MODEL)] = None,
    weights: Annotated[
        Path | None, typer.Option(help="File with the weights of the trunk.", rich_help_panel=MODEL)
    ] = None,
    tap: Annotated[str | None, option("tap", MODEL)] = None,
    train_from: Annotated[str | None, option("train_from", MODEL)] = None,
    positive: Annotated[str | None, option("positive", MODEL)] = None,
    save_backbone: Annotated[
        Path | None,
        typer.Option(
            help="For binary: also write the trunk, as weights for artune style --weights.", rich_help_panel=MODEL
        ),
    ] = None,
    size: Annotated[int, option("size", PICTURES)] = default("size"),
    per_class: Annotated[int | None, option("per_class", PICTURES)] = None,
    styled: Annotated[
        Path | None,
        typer.Option(help="Folder of styled pictures, CLASS/*, to train on as well.", rich_help_panel=PICTURES),
    ] = None,
    augment: Annotated[int, option("augment", PICTURES)] = default("augment"),
    edges: Annotated[
        bool, typer.Option("--edges", help="Reduce pictures to their edges.", rich_help_panel=PICTURES)
    ] = False,
    edges_after_denoising: Annotated[
        bool,
        typer.Option(
            "--edges-after-denoising", help="Reduce pictures to their edges after denoising.", rich_help_panel=PICTURES
        ),
    ] = False,
    mirror: Annotated[bool, option("mirror", PICTURES)] = default("mirror"),
    epochs: Annotated[int, option("epochs", RUN)] = default("epochs"),
    patience: Annotated[int, option("patience", RUN)] = default("patience"),
    batch: Annotated[int, option("batch", RUN)] = default("batch"),
    rate: Annotated[float, option("rate", RUN)] = default("rate"),
    seed: Annotated[int, option("seed", RUN)] = default("seed"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.", rich_help_panel=RUN)] = "auto",
    overwrite: Annotated[bool, typer.Option(help="Replace an existing judge.", rich_help_panel=RUN)] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the checkpoint OUT.partial.", rich_help_panel=RUN)
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.", rich_help_panel=RUN)] = False,
) -> None:
    """Train a judge on a folder of classes."""
    if edges and edges_after_denoising:
        raise SpecError("--edges and --edges-after-denoising exclude each other; give one")
    seen: Edges = "denoised" if edges_after_denoising else "plain" if edges else "none"
    spec = checked(
        TrainSpec,
        kind=find_kind(kind),
        network=network,
        tap=tap,
        train_from=train_from,
        positive=positive,
        size=size,
        augment=augment,
        edges=seen,
        mirror=mirror,
        per_class=per_class,
        epochs=epochs,
        patience=patience,
        batch=batch,
        rate=rate,
        seed=seed,
    )
    if save_backbone is not None and kind != "binary":
        raise SpecError(
            f"a trunk of kind {kind} judges, and must not make the pictures that it judges; leave out --save-backbone"
        )
    if save_backbone is not None and save_backbone.resolve() == out.resolve():
        raise OutputError(f"the judge and its trunk cannot both be {out}; give two names")
    _check_out(out, resume=resume, overwrite=overwrite)
    begun = partial_of(out)
    resumed = resume and begun.exists()
    checkpoints = Checkpoints(begun, resumed=resumed)
    if save_backbone is not None:
        _check_weights(save_backbone)
        if save_backbone.exists() and not (resume or overwrite):
            raise OutputError(f"{save_backbone} exists; --overwrite replaces it")
    there = {place for place in (out, save_backbone) if place is not None and os.path.lexists(place)}
    with loading():
        from artune.backbones.registry import load_network
        from artune.data.folders import Folder
        from artune.judges.training import ClassTraining
        from artune.machine import choose_device, keep_freed_memory

    keep_freed_memory()
    folder = Folder.read(data, ("train", "val"))
    if positive is not None:
        folder.against(positive)  # raises if there is no such class, before a download
    where = choose_device(device)
    with download_bar(quiet) as on_bytes:
        trunk, digest = load_network(
            spec.trunk,
            weights=weights,
            smooth=False,
            device=where,
            on_bytes=on_bytes,
            taps=[tap] if tap else [],
        )
    training = ClassTraining(folder, spec, trunk, digest, styled)
    if resumed:
        training.resume(begun)
    elif resume and not quiet:
        say(f"there is no {begun} to resume; starting anew")
    if not quiet:
        say(_plan(training))
    _run(training, checkpoints, quiet=quiet)
    judge = training.judge()
    writers = {out: judge.save} | ({} if save_backbone is None else {save_backbone: judge.save_trunk})
    written = {}
    for place, write in writers.items():
        replace = overwrite or place in there
        written[place] = write_beside(partial(write, replace=replace), place, replace=replace)
    checkpoints.remove()
    if not quiet:
        found = training.fitting.validations
        best = 1 + found.index(min(found))
        validated = f"best after epoch {best} of {len(found)}, {training.fitting.end}"
        say(f"{written[out]}: {judge.info.name}, {validated}; validation {_in_words(training.confusion().accuracy)}")
    for chosen, place in written.items():
        if place != chosen:
            raise taken(chosen, place)


def evaluate(
    judge: Annotated[Path, typer.Argument(help="Judge made by artune judge train.")],
    data: Annotated[Path, typer.Option(help="Folder of pictures, SPLIT/CLASS/*.")],
    split: Annotated[str, typer.Option(help="Split to evaluate on: train, val or test.")] = "test",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Print how often a judge is right, and what each class is taken for."""
    with loading():
        from artune.data.folders import Folder
        from artune.judges.classes import ClassJudge
        from artune.machine import choose_device

    loaded = ClassJudge.load(judge, choose_device(device))
    if loaded.info.kind == "binary":
        folder = Folder.read(data, (split,)).against(loaded.classes[0])
    else:
        folder = Folder.read(data, (split,), loaded.classes)
    table = loaded.confusion(folder.splits[split])
    if as_json:
        typer.echo(json.dumps(_figures(loaded, table)))
    else:
        _print(loaded, table)


app.command()(guarded(train))
app.command()(guarded(evaluate))


def _check_out(path: Path, *, resume: bool, overwrite: bool) -> None:
    from artune.files import check_writable

    _check_weights(path)
    check_writable(partial_of(path))
    check_unfinished(path, resume=resume, overwrite=overwrite)


def _check_weights(path: Path) -> None:
    from artune.files import check_writable

    if path.suffix != ".safetensors":
        raise OutputError(f"cannot write {path}: weights are written as .safetensors; give such a name")
    check_writable(path)


def _plan(training: "ClassTraining") -> str:
    about, trained = training.info, len(training.train.labels)
    shortened = ""
    if about.kind == "resnet18" and about.tap != "layer4" and training.spec.tap is None:
        shortened = f" (the weights end at {about.tap}: its features are averaged there)"
    return (
        f"{about.name}{shortened}: {len(about.classes)} classes, {trained} pictures to train and "
        f"{len(training.val.labels)} to validate with, {about.size}x{about.size}, {training.epoch} steps an epoch"
    )


def _run(training: "ClassTraining", checkpoints: Checkpoints, *, quiet: bool) -> None:
    """Train with progress and checkpoints; Ctrl-C leaves a checkpoint."""
    steps = training.fitting.settings.steps
    with interruptible() as interrupted, training_display(quiet, steps, training.epoch) as show:
        for progress in training.run():
            show(progress)
            stop = interrupted()
            checkpoints(training, now=stop)
            if stop and progress.end is None:
                say(f"cancelled after {progress.step} of at most {steps} steps. {checkpoints.advice()}")
                raise typer.Exit(CANCELLED)
    if training.fitting.end == "diverged":
        raise InputError("the training diverged; choose a smaller --rate, and start anew with --overwrite")


def _figures(judge: "ClassJudge", found: "Confusion") -> dict[str, Any]:
    accuracy = found.accuracy
    return {
        "judge": judge.info.name,
        "pictures": accuracy.count,
        "accuracy": accuracy.share,
        "interval": accuracy.interval,
        "classes": {
            name: {"pictures": own.count, "accuracy": own.share if own.count else None, "interval": own.interval}
            for name, own in found.by_class.items()
        },
        "confusion": found.table.tolist(),
    }


def _in_words(found: "Accuracy") -> str:
    low, high = found.interval
    return f"accuracy {found.share:.3f} ({low:.3f} .. {high:.3f}), {found.right} of {found.count}"


def _print(judge: "ClassJudge", found: "Confusion") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    shown.add_column("class", overflow="fold")
    for name in judge.classes:
        shown.add_column(escape(name), justify="right")
    shown.add_column("right", justify="right")
    for row, (name, own) in zip(found.table, found.by_class.items(), strict=True):
        shown.add_row(escape(name), *map(str, row), f"{own.share:.2f}" if own.count else "-")
    console = Console()
    Console(width=None if console.is_terminal else 400).print(shown)
    typer.echo("rows: what a picture shows; columns: what it is taken for")
    typer.echo(f"{judge.info.name}: {_in_words(found.accuracy)} (interval of 95 %)")
