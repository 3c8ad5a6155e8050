"""``artune study``: pictures that are made in several ways, measured and compared."""

import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from artune.cli.display import CANCELLED, counting, guarded, loading, say, time_left
from artune.errors import InputError, SpecError
from artune.words import counted

if TYPE_CHECKING:
    from artune.spec.study import Choice, StudySpec
    from artune.studies.conduct import Note
    from artune.studies.study import Study

app = typer.Typer(no_args_is_help=True, help="Make pictures in several ways, measure them, and compare.")

WEIGHTS = "File with weights, by the name of a network, of a method, or one of the study; random for untrained ones."
SETTING = "A field of the spec for all pictures, in place of the study's own: --set size=128."


def run(
    study: Annotated[
        str, typer.Argument(help="YAML file of a study, or the name of a published one.", metavar="STUDY")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for the results; an unfinished study in it is continued."),
    ] = None,
    contents: Annotated[
        list[Path] | None,
        typer.Option(help="Photographs, in place of the study's own: files, a folder, or a folder of classes."),
    ] = None,
    styles: Annotated[
        list[Path] | None,
        typer.Option(help="Paintings, in place of the study's own: files, a folder, or a folder of classes."),
    ] = None,
    weights: Annotated[list[str] | None, typer.Option(help=WEIGHTS, metavar="NAME=FILE")] = None,
    content_judge: Annotated[Path | None, typer.Option(help="Class judge of the photographs.")] = None,
    style_judge: Annotated[Path | None, typer.Option(help="Class judge of the paintings.")] = None,
    pairs: Annotated[
        str | None,
        typer.Option(help="Each photograph with all paintings, or one each, in turn.", metavar="all | in-turn"),
    ] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help=SETTING, metavar="FIELD=VALUE")] = None,
    sample: Annotated[
        int | None,
        typer.Option(help="Photographs and paintings, of each class; a larger number holds every smaller one.", min=1),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Largest number of pictures.", min=1)] = None,
    workers: Annotated[int, typer.Option(help="Number of processes that make pictures.", min=1, max=256)] = 1,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Make the pictures on a cluster: local:N processes, a scheduler's address, or a job queue's file.",
            metavar="local:N | tcp://HOST:PORT | FILE.yaml",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many pictures there are, and how long they take here.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Make the pictures of a study, measure them, and write its page.

    Every finished picture is kept. The same command continues where it was stopped, and makes no picture twice.
    """
    with loading():
        from artune.studies.conduct import Note
        from artune.studies.declared import find_study
        from artune.studies.study import Study

        asked = _changed(find_study(study).spec, contents, styles, weights, content_judge, style_judge, pairs, setting)
        prepared = None if asked.judge else Study.prepare(asked, sample, limit)
    if cluster is not None and workers > 1:
        raise SpecError("`workers` are processes of this machine, and `cluster` is another place; leave out either")
    if prepared is None:
        given = {"limit": limit, "cluster": cluster, "workers": workers if workers > 1 else None}
        if unused := [name for name, value in given.items() if value is not None]:
            raise SpecError(f"a study of judges has no use for `{unused[0]}`; leave it out")
        _train_judges(asked, out, sample, dry_run, quiet)
    elif dry_run:
        _say_duration(prepared, out, cluster)
    elif out is None:
        raise InputError("give a folder for the results with `out`")
    else:
        note = Note.of(prepared, command_line())
        carry_out(prepared, out, note, workers=workers, cluster=cluster, quiet=quiet)


def carry_out(
    study: "Study", out: Path, note: "Note", *, workers: int = 1, cluster: str | None = None, quiet: bool = False
) -> None:
    """Conduct a study into a folder, and write its page.

    Args:
        study: the study.
        out: the folder.
        note: what the folder keeps of it.
        workers: number of processes.
        cluster: where else it runs.
        quiet: whether nothing but errors is said.

    Raises:
        InputError: pictures failed; the page is written.
    """
    with loading():
        from artune.extras import require
        from artune.studies.conduct import conduct
        from artune.studies.executors import workers as processes
        from artune.studies.store import Store
        from artune.studies.study import listed

        if cluster is not None:
            require("cluster", "a study on a cluster")
    try:
        with Store.open(out, note.spec.title) as store, ExitStack() as stack:
            store.keep_study(note.text())
            if cluster is None:
                executor = stack.enter_context(processes(max(1, min(workers, len(store.missing(study.runs))))))
            else:
                from artune.studies.cluster import cluster as on_cluster

                executor = stack.enter_context(on_cluster(cluster))
            with counting("pictures", quiet) as on_progress:
                found = conduct(study, store, executor, on_progress)
        found.write(out, note.command)
    except KeyboardInterrupt:
        say(f"stopped; what is finished is kept in {out}, and the same command continues")
        raise typer.Exit(CANCELLED) from None
    if not quiet:
        say(_closing(str(found), out))
    result = found.result
    if result.failures:
        failed = f"{result.failed} of {len(study.runs)} pictures failed, and are tried again next time"
        raise InputError(f"{failed}:{listed(result.failures)}")


def _train_judges(asked: "StudySpec", out: Path | None, per_class: int | None, dry_run: bool, quiet: bool) -> None:
    """Run a study of judges, whose points are class judges in place of pictures."""
    from artune.studies.conduct import Conducted, Note
    from artune.studies.judge_study import prepared_judges, run_judges
    from artune.studies.store import Store

    if dry_run:
        points, data = prepared_judges(asked, per_class)
        typer.echo(f"{counted(len(points), 'judge')}, of {counted(sum(map(len, data.splits.values())), 'picture')}")
        return
    if out is None:
        raise InputError("give a folder for the results with `out`")
    try:
        with Store.open(out, asked.title) as store, counting("judges", quiet) as on_progress:
            store.keep_study(Note(asked, command_line()).text())
            found = Conducted(run_judges(asked, store, per_class, on_progress))
        found.write(out, command_line())
    except KeyboardInterrupt:
        say(f"stopped; what is finished is kept in {out}, and the same command continues")
        raise typer.Exit(CANCELLED) from None
    if not quiet:
        say(_closing(str(found), out))


def report(
    folder: Annotated[Path, typer.Argument(help="Folder that artune study run wrote.", metavar="FOLDER")],
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Write the page of a study again, from what its folder holds; nothing is made or measured."""
    with loading():
        from artune.studies.conduct import reported

        found, note = reported(folder)
        found.write(folder, note.command)
    if not quiet:
        say(_closing(str(found), folder))


def list_studies(
    measures: Annotated[bool, typer.Option("--measures", help="List the measures instead.")] = False,
) -> None:
    """List the published studies: what each asks, and where the question comes from."""
    with loading():
        from artune.studies.declared import published
        from artune.studies.measured import MEASURES

    lines = (
        [(name, f"{measure.title}: {measure.about}") for name, measure in MEASURES.items()]
        if measures
        else [(name, f"{each.spec.question} ({each.spec.source})") for name, each in published().items()]
    )
    wide = max(len(name) for name, _ in lines)
    for name, text in lines:
        typer.echo(f"{name:{wide}}  {text}")


def show(
    name: Annotated[str, typer.Argument(help="Name of a published study, or a file.", metavar="NAME")],
) -> None:
    """Print the YAML of a published study, to be changed and run as a file."""
    with loading():
        from artune.studies.declared import find_study

    typer.echo(find_study(name).text, nl=False)


def _changed(
    spec: "StudySpec",
    contents: list[Path] | None,
    styles: list[Path] | None,
    weights: list[str] | None,
    content_judge: Path | None,
    style_judge: Path | None,
    pairs: str | None,
    setting: list[str] | None,
) -> "StudySpec":
    """The study with what the options replace."""
    from artune.spec.study import StudySpec

    data: dict[str, Any] = {}
    if contents:
        data["contents"] = _choice(contents, spec.contents)
    if styles:
        data["styles"] = _choice(styles, spec.styles)
    if weights:
        data["weights"] = {**spec.weights, **dict(_weights(text) for text in weights)}
    judges = {"content": content_judge, "style": style_judge}
    data["judges"] = {**spec.judges, **{side: judge for side, judge in judges.items() if judge is not None}}
    if pairs is not None:
        if pairs not in ("all", "in-turn"):
            raise SpecError(f"--pairs is all or in-turn, not {pairs!r}")
        data["pairs"] = pairs.replace("-", " ")
    if setting:
        data["base"] = {**spec.base, **dict(_setting(text) for text in setting)}
    return StudySpec.model_validate(spec.model_dump() | data)


def _choice(paths: list[Path], own: "Choice") -> dict[str, Any]:
    """Where pictures come from, with the number and the seed of the study."""
    from artune.images.find import search_folder

    drawn = {"count": own.count, "seed": own.seed}
    if len(paths) == 1 and paths[0].is_dir():
        found = search_folder(paths[0])
        classes = not found.pictures and any(path.is_dir() for path in found.skipped)
        if found.pictures and own.count is not None:
            drawn["count"] = min(own.count, len(found.pictures))
        return {"classes" if classes else "folder": paths[0], **drawn}
    if folders := [path for path in paths if path.is_dir()]:
        raise InputError(f"{folders[0]} is a folder among files; give one folder, or files")
    return {"files": paths}


def _weights(text: str) -> tuple[str, str]:
    name, equals, file = text.partition("=")
    if not (name and equals and file):
        raise SpecError(f"--weights: {text!r} names no file; write vgg16=FILE, or vgg16=random")
    if file != "random" and not Path(file).expanduser().is_file():
        raise InputError(f"--weights {name}: there is no file {file}")
    return name, file if file == "random" else str(Path(file).expanduser().resolve())


def _setting(text: str) -> tuple[str, Any]:
    from artune.studies.declared import value_of

    name, equals, value = text.partition("=")
    if not (name and equals):
        raise SpecError(f"--set: {text!r} has no value; write size=128")
    return name.replace("-", "_"), value_of(value)


def _say_duration(study: "Study", out: Path | None, cluster: str | None) -> None:
    from artune.extras import require
    from artune.studies.duration import estimated
    from artune.studies.store import open_for_reading

    if cluster is not None and Path(cluster).suffix in (".yaml", ".yml"):
        require("cluster", "a study on a cluster")
        from artune.studies.cluster import job_script

        typer.echo(job_script(Path(cluster)))
    cells = study.cells
    there = 0
    if out is not None and out.is_dir() and any(out.iterdir()):
        with open_for_reading(out) as store:
            store.check_title(study.spec.title)
            missing = store.missing(study.runs)
        there = len(study.runs) - len(missing)
        cells = tuple(cell for cell in cells if cell.key in missing)
    with loading():
        found = estimated(cells)
    typer.echo(
        f"{counted(len(study.runs), 'picture')}: {counted(len(study.points), 'point')}, "
        f"{counted(len(study.contents), 'photograph')}, {counted(len(study.styles), 'painting')}"
        + (f"; {there} of them are there" if there else "")
    )
    typer.echo(f"{time_left(found.seconds)} on this machine in one process, without measures")


def command_line() -> str:
    """The command that was typed."""
    return shlex.join(["artune", *sys.argv[1:]])


def _closing(text: str, out: Path) -> str:
    return f"{text} The page is at {(out / 'index.html').resolve()}"


app.command()(guarded(run))
app.command()(guarded(report))
app.command("list")(guarded(list_studies))
app.command()(guarded(show))
