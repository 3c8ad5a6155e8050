"""The command line: a thin shell around :mod:`artune.transfer`."""

import functools
import glob
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer

from artune.errors import ArtuneError, InputError, OutputError, SpecError
from artune.spec import Optimise, StyleSpec

if TYPE_CHECKING:
    from artune.backbones.base import Backbone
    from artune.transfer.network import Network
    from artune.transfer.style import Progress, Result

app = typer.Typer(
    name="artune",
    help="Style transfer: the photograph in the style of the painting.",
    no_args_is_help=True,
    invoke_without_command=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _about(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.", is_eager=True)] = False,
) -> None:
    if version:
        from importlib.metadata import version as of

        typer.echo(f"artune {of('artune')}")
        raise typer.Exit


P = ParamSpec("P")
R = TypeVar("R")

CANCELLED, BAD_INPUT = 130, 2
MOST_STYLES = 4
DEMO = Path("artune-demo.png")
KEEP_EVERY = 10


def _say(message: str) -> None:
    typer.echo(message, err=True)


def _guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Turn errors raised on purpose into one message and exit code 2."""

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except ArtuneError as error:
            _say(f"artune: {error}")
            raise typer.Exit(BAD_INPUT) from None
        except MemoryError:
            _say("artune: memory ran out; choose a smaller --size, or reduce the pictures")
            raise typer.Exit(BAD_INPUT) from None

    return guarded


def _field(name: str, *flags: str, panel: str | None = None, **more: Any) -> Any:
    """An option whose help and default are those of the spec."""
    info = Optimise.model_fields.get(name) or StyleSpec.model_fields[name]
    shown = "" if info.default is None else f" (default: {info.default})"
    text = (info.description or "").replace("`", "")
    return typer.Option(*flags, help=text + shown, show_default=False, rich_help_panel=panel, **more)


LOOK, RUN, OUTPUT = "The look", "The run", "The output"


@app.command(
    epilog="[bold]Examples[/bold]\n\n"
    "artune style photo.jpg painting.jpg -o out.png\n\n"
    "artune style photo.jpg a.jpg b.jpg --style-weights 2,1 --strength 0.7 -o out.png\n\n"
    "artune style 'holiday/*.jpg' painting.jpg --size original --quality best -o styled/"
)
@_guarded
def style(
    content: Annotated[str, typer.Argument(help="Photograph; or a folder or a quoted glob, with a folder as OUT.")],
    styles: Annotated[list[Path], typer.Argument(help="Paintings, one or more.", metavar="STYLE...")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Result; the suffix chooses the format.")],
    size: Annotated[str | None, _field("size", panel=LOOK)] = None,
    enlarge: Annotated[bool | None, _field("enlarge", "--enlarge/--no-enlarge", panel=LOOK)] = None,
    strength: Annotated[float | None, _field("strength", panel=LOOK)] = None,
    style_weights: Annotated[str | None, _field("style_weights", panel=LOOK, metavar="W,W...")] = None,
    style_scale: Annotated[float | None, _field("style_scale", panel=LOOK)] = None,
    network: Annotated[str | None, _field("network", panel=LOOK)] = None,
    weights: Annotated[Path | None, typer.Option(help="File with the network's weights.", rich_help_panel=LOOK)] = None,
    pooling: Annotated[str | None, _field("pooling", panel=LOOK)] = None,
    content_layers: Annotated[str | None, _field("content_layers", panel=LOOK, metavar="TAP[:W],...")] = None,
    style_layers: Annotated[str | None, _field("style_layers", panel=LOOK, metavar="TAP[:W],...")] = None,
    loss: Annotated[str | None, _field("loss", panel=LOOK)] = None,
    scale: Annotated[str | None, _field("scale", panel=LOOK)] = None,
    content_weight: Annotated[float | None, _field("content_weight", panel=LOOK)] = None,
    style_weight: Annotated[float | None, _field("style_weight", panel=LOOK)] = None,
    tv: Annotated[float | None, _field("tv", panel=LOOK)] = None,
    quality: Annotated[str | None, _field("quality", panel=RUN)] = None,
    steps: Annotated[int | None, _field("steps", panel=RUN)] = None,
    optimiser: Annotated[str | None, _field("optimiser", panel=RUN)] = None,
    rate: Annotated[float | None, _field("rate", panel=RUN)] = None,
    start: Annotated[str | None, _field("start", panel=RUN)] = None,
    seed: Annotated[int | None, _field("seed", panel=RUN)] = None,
    device: Annotated[str | None, _field("device", panel=RUN)] = None,
    precision: Annotated[str | None, _field("precision", panel=RUN)] = None,
    spec: Annotated[
        Path | None, typer.Option(help="YAML or JSON file with the options; flags override.", rich_help_panel=RUN)
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing result.", rich_help_panel=OUTPUT)] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from OUT.partial.", rich_help_panel=OUTPUT)] = False,
    keep_steps: Annotated[
        Path | None, typer.Option(help="Folder for the picture after every tenth step.", rich_help_panel=OUTPUT)
    ] = None,
    sixteen: Annotated[bool, typer.Option("--16", help="16 bits (PNG, TIFF).", rich_help_panel=OUTPUT)] = False,
    allow_huge: Annotated[
        bool, typer.Option("--allow-huge", help="Read pictures above 100 million pixels.", rich_help_panel=OUTPUT)
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing but errors.", rich_help_panel=OUTPUT)
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the record of the run as JSON.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Style a photograph, or a folder of them."""
    given = {
        "size": None if size is None else _whole(size),
        "enlarge": enlarge,
        "strength": strength,
        "style_weights": None if style_weights is None else _numbers(style_weights, "--style-weights"),
        "style_scale": style_scale,
        "network": network,
        "pooling": pooling,
        "content_layers": None if content_layers is None else _layers(content_layers, "--content-layers"),
        "style_layers": None if style_layers is None else _layers(style_layers, "--style-layers"),
        "loss": None if loss is None else _layers(loss, "--loss"),
        "scale": scale,
        "content_weight": content_weight,
        "style_weight": style_weight,
        "tv": tv,
        "quality": quality,
        "steps": steps,
        "optimiser": optimiser,
        "rate": rate,
        "start": start,
        "seed": seed,
        "device": device,
        "precision": precision,
    }
    from artune.spec import with_options

    wanted = with_options(_read_spec(spec), {name: value for name, value in given.items() if value is not None})
    if len(styles) > MOST_STYLES and wanted.style_weights is None:
        raise InputError(
            f"{len(styles)} style pictures were given; did the shell expand a glob? Quote it to style a folder of "
            f"photographs, or give --style-weights to mix more than {MOST_STYLES} styles"
        )
    contents = _contents(content)
    call = _Call(
        wanted,
        tuple(styles),
        weights,
        overwrite=overwrite,
        resume=resume,
        keep_steps=keep_steps,
        bits=16 if sixteen else 8,
        allow_huge=allow_huge,
        quiet=quiet,
        as_json=as_json,
    )
    if contents is None:
        call.one(Path(content), out)
    else:
        call.many(contents, out)


@dataclass(frozen=True)
class _Call:
    """What is the same for every picture of a call."""

    spec: StyleSpec
    styles: tuple[Path, ...]
    weights: Path | None = None
    overwrite: bool = False
    resume: bool = False
    keep_steps: Path | None = None
    bits: int = 8
    allow_huge: bool = False
    quiet: bool = False
    as_json: bool = False

    def one(self, content: Path, out: Path, network: "Network | None" = None) -> "Result":
        """Style one picture; everything that can be refused is refused before the work."""
        from artune.files import check_writable
        from artune.images import check_suffix

        if not out.name:
            raise OutputError(f"the name of the result is missing in {str(out)!r}; give one such as -o out.png")
        check_suffix(out, self.bits, self.spec.size if self.spec.enlarge and self.spec.size != "original" else 1)
        check_writable(out)
        partial = out.with_name(out.name + ".partial")
        check_writable(partial)
        for source in (content, *self.styles, Path(self.spec.method.start), *([self.weights] if self.weights else [])):
            if os.path.exists(source) and os.path.exists(out) and os.path.samefile(source, out):
                raise OutputError(f"{out} is one of the inputs; it would be lost. Choose another place with -o")
        if self.resume and not self.overwrite and out.exists() and not partial.exists():
            raise OutputError(f"{out} is finished: there is no {partial.name} to resume; --overwrite makes it anew")
        if not (self.resume or self.overwrite):
            if out.exists():
                raise OutputError(f"{out} exists; --overwrite replaces it")
            if partial.exists():
                raise OutputError(
                    f"{partial} is left of an earlier run; go on with --resume, or start anew with --overwrite"
                )

        network = network or self.network()
        from artune.transfer.style import Job

        job = Job.prepare(content, self.styles, self.spec, network=network, allow_huge=self.allow_huge)
        check_suffix(out, self.bits, int(job.spec.size))
        self._check_steps(content)
        checkpoint = _Checkpoint(partial)
        with _interruptible() as interrupted, _display(self.quiet) as show:

            def on_step(progress: "Progress") -> bool:
                show(progress)
                self._keep(progress)
                stop = interrupted()
                checkpoint(progress, now=stop)
                return stop

            started = partial if self.resume and partial.exists() else None
            if self.resume and started is None and not self.quiet:
                _say(f"there is no {partial} to resume; starting anew")
            result = job.run(resume=started, on_step=on_step)
            result.save(out, bits=self.bits, replace=self.overwrite or self.resume)
        if result.record.end == "cancelled":
            rest = "Go on with --resume" if partial.exists() else "There is no checkpoint to go on from"
            _say(f"cancelled after {result.record.steps} steps; {out} is the picture so far. {rest}")
            if self.as_json:
                self._report(result, out)
            raise typer.Exit(CANCELLED)
        if result.record.end == "diverged":
            partial.unlink(missing_ok=True)
            raise InputError(
                f"the descent diverged after {result.record.steps} steps; {out} is the last good picture. Choose "
                "smaller weights or a smaller --rate"
            )
        partial.unlink(missing_ok=True)
        self._report(result, out)
        return result

    def many(self, contents: list[Path], folder: Path) -> None:
        """Style every picture into a folder; a failed one does not stop the rest."""
        from artune.images import READABLE

        if folder.suffix.lower() in READABLE and not folder.is_dir():
            raise OutputError(f"{len(contents)} photographs need a folder as OUT, not {folder}")
        outs = _targets(contents, folder)
        if os.path.exists(folder) and any(os.path.samefile(folder, content.parent) for content in contents):
            raise OutputError(f"{folder} is the folder of the photographs; choose another one with -o")
        network = self.network()
        failed: list[str] = []
        for content, out in zip(contents, outs, strict=True):
            call = self
            if self.keep_steps:
                call = replace(self, keep_steps=self.keep_steps / out.relative_to(folder).with_suffix(""))
            begun = out.with_name(out.name + ".partial").exists()
            if begun and not (self.resume or self.overwrite):
                failed.append(f"{content}: begun and not finished; go on with --resume, or start anew with --overwrite")
                continue
            if out.exists() and not (self.overwrite or begun):
                if not self.quiet:
                    _say(f"{out} exists, left as it is")
                continue
            try:
                call.one(content, out, network)
            except ArtuneError as error:
                failed.append(f"{content}: {error}")
            except typer.Exit:
                _say("\n".join(["cancelled; failed before:", *failed] if failed else ["cancelled"]))
                raise
        if failed:
            raise InputError(f"{len(failed)} of {len(contents)} pictures failed:\n  " + "\n  ".join(failed))

    def network(self) -> "Network":
        """The loss network, downloaded with a progress bar if need be."""
        with _loading():
            from artune.transfer.machine import keep_freed_memory
            from artune.transfer.network import Network

        keep_freed_memory()
        with _download_bar(self.quiet) as told:
            return Network.load(self.spec, self.weights, told)

    def _check_steps(self, content: Path) -> None:
        """The folder of steps can be written, and nothing in it is lost."""
        from artune.files import check_writable

        if self.keep_steps is None:
            return
        check_writable(self.keep_steps / "00010.png")
        there = sorted(self.keep_steps.glob("[0-9]*.png")) if self.keep_steps.is_dir() else []
        if there and not (self.overwrite or self.resume):
            raise OutputError(f"{there[0]} exists; --overwrite replaces what is in {self.keep_steps}")
        for source in (content, *self.styles):
            if any(os.path.samefile(source, picture) for picture in there):
                raise OutputError(f"{source} is one of the inputs, and would be lost; choose another --keep-steps")

    def _keep(self, progress: "Progress") -> None:
        last = progress.step.index == progress.rung.steps
        if self.keep_steps and (progress.done % KEEP_EVERY == 0 or last):
            from artune.images import write_picture

            write_picture(progress.picture(), self.keep_steps / f"{progress.done:05d}.png")

    def _report(self, result: "Result", out: Path) -> None:
        if self.as_json:
            typer.echo(json.dumps({"out": str(out), **result.record.model_dump(mode="json")}))
        elif not self.quiet:
            width, height = result.picture.size
            seconds, end = result.record.timings["total"], result.record.end
            _say(f"{out}: {width}x{height}, {result.record.steps} steps in {seconds:.1f} s, {end}")


class _Checkpoint:
    """Writes a checkpoint at most once a second and in at most a twentieth of the time."""

    def __init__(self, path: Path) -> None:
        self.path, self.due, self.well = path, time.monotonic() + 1, True

    def __call__(self, progress: "Progress", *, now: bool) -> None:
        began = time.monotonic()
        if not now and (began < self.due or not self.well):
            return
        try:
            progress.save(self.path)
        except OutputError as error:  # the picture is worth more than its checkpoint
            _say(f"artune: going on without checkpoints: {error}")
            self.well = False
        ended = time.monotonic()
        self.due = ended + max(1.0, 20 * (ended - began))


@contextmanager
def _loading() -> Iterator[None]:
    """Ctrl-C ends the process on the spot: an exception out of a library's loading can abort it with a traceback."""
    try:
        before = signal.signal(signal.SIGINT, lambda number, frame: os._exit(CANCELLED))
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Ctrl-C once asks to stop after the step; twice stops at once."""
    asked = False

    def ask(number: int, frame: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    try:
        before = signal.signal(signal.SIGINT, ask)
    except ValueError:  # not the main thread
        yield lambda: False
        return
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _display(quiet: bool) -> "Iterator[Callable[[Progress], None]]":
    """A line with size, step, losses and time left."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda progress: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.fields[size]:>5} px"),
        BarColumn(),
        TextColumn("step {task.completed}/{task.total}"),
        TextColumn("{task.fields[losses]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, size="", losses="")

        def show(progress: "Progress") -> None:
            losses: dict[str, list[float]] = {}
            for name, value in progress.step.losses.items():
                losses.setdefault(name.split()[0], []).append(float(value[0]))
            text = "  ".join(f"{name} {sum(values) / len(values):.3f}" for name, values in losses.items())
            bar.update(task, completed=progress.done, total=progress.total, size=progress.rung.size, losses=text)

        yield show


@contextmanager
def _download_bar(quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

    with Progress(
        *Progress.get_default_columns(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = None

        def told(done: int, total: int) -> None:
            nonlocal task
            if task is None:
                task = bar.add_task("weights", total=total or None)
            bar.update(task, completed=done)

        yield told


@app.command()
@_guarded
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Result.")] = DEMO,
    photo: Annotated[str, typer.Option(help="One of the sample photographs.")] = "astronaut",
    style: Annotated[str, typer.Option(help="One of the sample styles.")] = "strokes",
    size: Annotated[str, typer.Option(help="Longer side, pixels.")] = "512",
    overwrite: Annotated[bool, typer.Option(help="Replace an existing result (the default one always is).")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Style a sample photograph: no file and no download needed."""
    from artune.assets import sample_photo, sample_style
    from artune.spec import with_options

    spec = with_options(StyleSpec(), {"size": _whole(size)})
    painting = sample_style(style)
    photograph = sample_photo(photo)
    if not quiet:
        _say(f"{photo} in the style {style}")
    _Call(spec, (painting,), overwrite=overwrite or out == DEMO, quiet=quiet).one(photograph, out)
    if not quiet:
        _say(f"The picture is at {out.resolve()}")


@app.command()
@_guarded
def networks(
    name: Annotated[str | None, typer.Argument(help="List every tap of this network.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show the loss networks: taps, cost per pixel, and whether the weights are at hand."""
    from artune.assets import WEIGHTS, locate
    from artune.backbones.load import NETWORKS
    from artune.errors import UnknownNameError

    if name is not None and name not in NETWORKS:
        raise UnknownNameError("network", name, NETWORKS)
    made = {key: network.make("max") for key, network in NETWORKS.items() if name in (None, key)}
    where = {key: _weights_state(key, WEIGHTS, locate) for key in made}
    if as_json:
        typer.echo(json.dumps({key: _taps(backbone) | {"weights": where[key]} for key, backbone in made.items()}))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if name is None:
        table = Table(
            caption="cost: thousand multiply-adds per pixel, to the last tap; `artune networks NAME` lists taps"
        )
        for heading in ("network", "weights", "cost", "taps"):
            table.add_column(heading, no_wrap=True)
        table.add_column("what it is")
        for key, backbone in made.items():
            deepest = max(info.cost for info in backbone.taps.values())
            table.add_row(key, where[key], f"{deepest / 1000:.1f}", str(len(backbone.taps)), NETWORKS[key].about)
    else:
        table = Table("tap", "channels", "stride", "receptive field", "cost", title=f"{name}: {where[name]}")
        table.caption = "cost: thousand multiply-adds per pixel, up to the tap; receptive field: pixels"
        for tap, info in made[name].taps.items():
            numbers = (info.channels, info.stride, info.receptive_field)
            table.add_row(tap, *map(str, numbers), f"{info.cost / 1000:.1f}")
    console.print(table)


def _weights_state(name: str, known: dict[str, Any], locate: Callable[[Any], Path | None]) -> str:
    if name not in known:
        return "by --weights FILE"
    if known[name].url is None:
        return "in the package"
    return "in the cache" if locate(known[name]) else "to be downloaded"


def _taps(backbone: "Backbone") -> dict[str, Any]:
    from dataclasses import asdict

    return {"taps": {tap: asdict(info) for tap, info in backbone.taps.items()}}


@app.command()
@_guarded
def info(picture: Annotated[Path, typer.Argument(help="A picture made by artune.")]) -> None:
    """Print the spec that a picture carries; it can be given back with --spec."""
    from artune.images import read_picture

    note = read_picture(picture, allow_huge=True).note
    if "spec" not in note:
        raise InputError(
            f"{picture} carries no spec: it was not written by artune, the spec was removed, or the format (GIF, BMP) "
            "holds none"
        )
    typer.echo(json.dumps(note["spec"], indent=2))


# ------------------------------------------------------------------------------------------ arguments


def _contents(given: str) -> list[Path] | None:
    """The photographs of a folder or a glob; ``None`` for a single file."""
    from artune.images import READABLE, find_pictures

    if not given:
        raise InputError("the photograph's name is empty")
    path = Path(given)
    if os.path.isdir(path):
        return find_pictures(path)
    if os.path.exists(path) or not glob.has_magic(given):
        return None
    found = [Path(p) for p in sorted(glob.glob(given, recursive=True))]
    found = [p for p in found if p.is_file() and p.suffix.lower() in READABLE]
    if not found:
        raise InputError(f"no picture matches {given!r}")
    return found


def _targets(contents: list[Path], folder: Path) -> list[Path]:
    """Where each result goes: its photograph's name, with as much before and after it as makes it the only one."""
    schemes: list[Callable[[Path], str]] = [
        lambda path: f"{path.stem}.png",
        lambda path: f"{path.name}.png",
        lambda path: f"{path.parent.name}/{path.name}.png",
    ]
    counts = [Counter(scheme(path) for path in contents) for scheme in schemes]
    outs = []
    for path in contents:
        alone = (scheme(path) for scheme, count in zip(schemes, counts, strict=True) if count[scheme(path)] == 1)
        outs.append(folder / next(alone, ""))
    if len(set(outs)) < len(outs) or folder in outs:
        raise InputError("photographs of one name would overwrite each other's results; style them one by one")
    return outs


def _read_spec(path: Path | None) -> StyleSpec:
    """The spec of a YAML or JSON file."""
    if path is None:
        return StyleSpec()
    import yaml

    from artune.spec import parse_spec

    if os.path.exists(path) and not os.path.isfile(path):
        raise SpecError(f"{path} is no regular file; give a YAML or JSON file")
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _unique(yaml.SafeLoader))  # JSON is YAML
    except OSError as error:
        raise SpecError(f"cannot read the spec {path}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SpecError(f"{path} is neither YAML nor JSON: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise SpecError(f"{path} must hold names and values (size: 512), not {type(data).__name__}")
    return parse_spec(data, where=str(path))


def _unique(loader: type[Any]) -> type[Any]:
    """A YAML loader that refuses what is said twice, where YAML takes the last."""

    class Unique(loader):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [str(key.value) for key, _ in node.value]
            if twice := [key for key, count in Counter(keys).items() if count > 1]:
                raise ValueError(f"{', '.join(twice)} is given twice")
            return super().construct_mapping(node, deep)

    return Unique


def _whole(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text


def _numbers(text: str, flag: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise SpecError(f"{flag}: {text!r} is not a list of numbers such as 2,1") from None


def _layers(text: str, flag: str) -> dict[str, float]:
    layers: dict[str, float] = {}
    for part in text.split(","):
        tap, colon, weight = part.strip().partition(":")
        if tap in layers:
            raise SpecError(f"{flag}: {tap} is given twice")
        try:
            layers[tap] = float(weight) if colon else 1.0
        except ValueError:
            raise SpecError(f"{flag}: {weight!r} is not a weight; write {tap}:0.5") from None
    return layers
