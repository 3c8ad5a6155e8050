"""``artune judge``: train a judge of classes, and see how well it does."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    training_display,
)
from artune.errors import InputError, OutputError, SpecError
from artune.spec.train import TRUNKS, Edges, Options, find_kind

if TYPE_CHECKING:
    from artune.judges.classes import ClassJudge
    from artune.judges.training import ClassTraining

app = typer.Typer(help="Judges of classes: painters, animals.", no_args_is_help=True)
DEFAULT = Options("resnet18")
MODEL, PICTURES, RUN = "The judge", "The pictures", "The run"


def train(
    kind: Annotated[
        str,
        typer.Option(
            help="resnet18; gram: Gram matrix of one layer; binary: one class against all others.",
            rich_help_panel=MODEL,
        ),
    ],
    data: Annotated[Path, typer.Option(help="Folder with train/CLASS/* and val/CLASS/*.", rich_help_panel=PICTURES)],
    out: Annotated[Path, typer.Option("--out", "-o", help="The judge, a .safetensors file.", rich_help_panel=RUN)],
    network: Annotated[
        str | None,
        typer.Option(
            help=f"Trunk (default: {TRUNKS['gram']} for gram, {TRUNKS['binary']} for binary).", rich_help_panel=MODEL
        ),
    ] = DEFAULT.network,
    weights: Annotated[Path | None, typer.Option(help="File with the trunk's weights.", rich_help_panel=MODEL)] = None,
    tap: Annotated[
        str | None,
        typer.Option(help="Layer that is looked at (default: the deepest; gram: relu3_1).", rich_help_panel=MODEL),
    ] = DEFAULT.tap,
    train_from: Annotated[
        str | None,
        typer.Option(
            help="Part of the trunk that is trained: head (none), all, or the module where it begins, such as layer4 "
            "(default: the last stage; gram: head; binary: all).",
            rich_help_panel=MODEL,
        ),
    ] = DEFAULT.train_from,
    positive: Annotated[
        str | None, typer.Option(help="binary: the class that is told from all others.", rich_help_panel=MODEL)
    ] = DEFAULT.positive,
    save_backbone: Annotated[
        Path | None,
        typer.Option(
            help="binary: also write the trunk, as weights for artune style --weights.", rich_help_panel=MODEL
        ),
    ] = None,
    size: Annotated[
        int,
        typer.Option(help="Side of the squares, pixels; best the size that will be styled.", rich_help_panel=PICTURES),
    ] = DEFAULT.size,
    per_class: Annotated[
        int | None, typer.Option(help="Train with so many pictures of each class.", rich_help_panel=PICTURES)
    ] = DEFAULT.per_class,
    styled: Annotated[
        Path | None,
        typer.Option(help="Folder of CLASS/*: styled pictures to train with too.", rich_help_panel=PICTURES),
    ] = None,
    augment: Annotated[
        int,
        typer.Option(
            help="Extra pictures: noise, saturation, contrast, sharpness, mirror, rotation, RGB to BGR in turn.",
            rich_help_panel=PICTURES,
        ),
    ] = DEFAULT.augment,
    edges: Annotated[bool, typer.Option("--edges", help="Look at edges alone.", rich_help_panel=PICTURES)] = False,
    edges_after_denoising: Annotated[
        bool,
        typer.Option("--edges-after-denoising", help="The same, noise taken away first.", rich_help_panel=PICTURES),
    ] = False,
    mirror: Annotated[
        bool, typer.Option(help="Mirror a picture one time in two.", rich_help_panel=PICTURES)
    ] = DEFAULT.mirror,
    epochs: Annotated[int, typer.Option(help="At most.", rich_help_panel=RUN)] = DEFAULT.epochs,
    patience: Annotated[
        int, typer.Option(help="Epochs without a better validation, at which it ends.", rich_help_panel=RUN)
    ] = DEFAULT.patience,
    batch: Annotated[int, typer.Option(help="Pictures in a step.", rich_help_panel=RUN)] = DEFAULT.batch,
    rate: Annotated[
        float, typer.Option(help="Step size of the head; the trunk takes a tenth.", rich_help_panel=RUN)
    ] = DEFAULT.rate,
    seed: Annotated[int, typer.Option(help="Of every random draw.", rich_help_panel=RUN)] = DEFAULT.seed,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.", rich_help_panel=RUN)] = "auto",
    overwrite: Annotated[bool, typer.Option(help="Replace an existing judge.", rich_help_panel=RUN)] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from OUT.partial.", rich_help_panel=RUN)] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.", rich_help_panel=RUN)] = False,
) -> None:
    """Train a judge that tells the classes of a folder apart."""
    if edges and edges_after_denoising:
        raise SpecError("--edges and --edges-after-denoising exclude each other; give one")
    seen: Edges = "denoised" if edges_after_denoising else "plain" if edges else "none"
    options = Options(
        find_kind(kind),
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
    if save_backbone is not None:
        _check_weights(save_backbone)
        if save_backbone.exists() and not (resume or overwrite):
            raise OutputError(f"{save_backbone} exists; --overwrite replaces it")
    with loading():
        from artune.backbones.registry import load_network
        from artune.data.folders import Folder
        from artune.judges.training import ClassTraining
        from artune.machine import choose_device, keep_freed_memory

    keep_freed_memory()
    folder = Folder.read(data, ("train", "val"))
    if positive is not None:
        folder.against(positive)  # there is such a class: to be known before a download
    where = choose_device(device)
    with download_bar(quiet) as told:
        trunk, digest = load_network(
            options.trunk,
            weights=weights,
            smooth=False,
            device=where,
            progress=told,
            taps=[tap] if tap else [],
        )
    training = ClassTraining(folder, options, trunk, digest, styled)
    partial = partial_of(out)
    if resume and partial.exists():
        training.resume(partial)
    elif resume and not quiet:
        say(f"there is no {partial} to resume; starting anew")
    if not quiet:
        say(_plan(training))
    _run(training, out, quiet=quiet)
    judge = training.judge()
    replace = overwrite or resume
    judge.save(out, replace=replace)
    if save_backbone is not None:
        judge.save_trunk(save_backbone, replace=replace)
    partial.unlink(missing_ok=True)
    if not quiet:
        found = training.fitting.found
        best = 1 + found.index(min(found))
        validated = f"best after epoch {best} of {len(found)}, {training.fitting.end}"
        say(f"{out}: {judge.about.name}, {validated}; validation {_share(training.confusion())}")


def evaluate(
    judge: Annotated[Path, typer.Argument(help="A judge made by artune judge train.")],
    data: Annotated[Path, typer.Option(help="Folder with SPLIT/CLASS/*.")],
    split: Annotated[str, typer.Option(help="Which of its folders.")] = "test",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show how often a judge is right, and what it takes for what."""
    with loading():
        from artune.data.folders import Folder
        from artune.judges.classes import ClassJudge
        from artune.machine import choose_device

    loaded = ClassJudge.load(judge, choose_device(device))
    if loaded.about.kind == "binary":
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
    about, trained = training.about, len(training.train.labels)
    shortened = ""
    if about.kind == "resnet18" and about.tap != "layer4" and training.options.tap is None:
        shortened = f" (the weights end at {about.tap}: its features are averaged there)"
    return (
        f"{about.name}{shortened}: {len(about.classes)} classes, {trained} pictures to train and "
        f"{len(training.val.labels)} to validate with, {about.size}x{about.size}, {training.epoch} steps an epoch"
    )


def _run(training: "ClassTraining", out: Path, *, quiet: bool) -> None:
    """Train with progress and checkpoints; Ctrl-C leaves a checkpoint."""
    partial = partial_of(out)
    checkpoint = Checkpoints(partial)
    plan = training.fitting.plan
    with interruptible() as interrupted, training_display(quiet, plan.steps, training.epoch) as show:
        for progress in training.run():
            show(progress)
            stop = interrupted()
            checkpoint(training, now=stop)
            if stop and progress.end is None:
                rest = "Go on with --resume" if partial.exists() else "There is no checkpoint to go on from"
                say(f"cancelled after {progress.step} of at most {plan.steps} steps. {rest}")
                raise typer.Exit(CANCELLED)
    if training.fitting.end == "diverged":
        raise InputError("the training diverged; choose a smaller --rate, and start anew with --overwrite")


def _figures(judge: "ClassJudge", table: Any) -> dict[str, Any]:
    from artune.metrics.intervals import wilson

    counts = {name: (int(table[i, i]), int(table[i].sum())) for i, name in enumerate(judge.classes)}
    right, of = int(table.trace()), int(table.sum())
    return {
        "judge": judge.about.name,
        "pictures": of,
        "accuracy": right / of,
        "interval": wilson(right, of),
        "classes": {
            name: {"pictures": n, "accuracy": r / n if n else None, "interval": wilson(r, n)}
            for name, (r, n) in counts.items()
        },
        "confusion": table.tolist(),
    }


def _share(table: Any) -> str:
    """Accuracy, with its interval of 95 %."""
    from artune.metrics.intervals import wilson

    right, of = int(table.trace()), int(table.sum())
    low, high = wilson(right, of)
    return f"accuracy {right / of:.3f} ({low:.3f} .. {high:.3f}), {right} of {of}"


def _print(judge: "ClassJudge", table: Any) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    shown.add_column("class", overflow="fold")
    for name in judge.classes:
        shown.add_column(escape(name), justify="right")
    shown.add_column("right", justify="right")
    for name, row, own in zip(judge.classes, table, table.diagonal(), strict=True):
        shown.add_row(escape(name), *map(str, row), f"{own / row.sum():.2f}" if row.sum() else "-")
    console = Console()
    Console(width=None if console.is_terminal else 400).print(shown)
    typer.echo("rows: what it is; columns: what it is taken for")
    typer.echo(f"{judge.about.name}: {_share(table)} (interval of 95 %)")
