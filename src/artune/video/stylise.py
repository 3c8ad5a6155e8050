"""A film, from reading to writing: its scenes, their strengths, its frames one by one."""

import hashlib
import json
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np

from artune import api
from artune.balance.shared import common_strength
from artune.errors import ArtuneError, CheckpointError, PictureError
from artune.images.picture import Picture
from artune.record import ALGORITHM, versions
from artune.video.formats import FilmFormat
from artune.video.frames import Film, Frame
from artune.video.partial import FilmPlan, PartialFilm
from artune.video.scenes import SceneFinder
from artune.video.styler import Look, Styler, present
from artune.video.write import write_film, write_segment

SAVED_EVERY = 2.0
"""Seconds after which what the next frame needs is saved."""
LEAST_SEGMENT, MOST_SEGMENT = 8, 60
"""Least and largest number of frames of a segment, which else lasts a second."""


@dataclass(frozen=True, eq=False)
class FilmRun:
    """Everything that the styling of a film needs.

    Attributes:
        film: the film.
        out: file or folder of the result.
        format: how it is written.
        look: how its frames are styled.
        digests: sha256 of the paintings and masks, by role.
        start: time of the first frame, in seconds.
        end: time before which the last frame is; ``None``: the end of the film.
        every: each frame is styled, or each second, each third and so on.
        sound: the file whose sound is copied; ``None``: none.
        inputs: files, patterns and folders that are read.
        masks: folders with a mask for each frame, and how many they hold.
    """

    film: Film
    out: Path
    format: FilmFormat
    look: Look
    digests: Mapping[str, str] = field(default_factory=dict)
    start: Fraction = Fraction(0)
    end: Fraction | None = None
    every: int = 1
    sound: Path | None = None
    inputs: tuple[Path, ...] = ()
    masks: Mapping[Path, int] = field(default_factory=dict)

    def parts(self) -> dict[str, str]:
        """All that the frames depend on: options as text, the rest as digests; the film is read for it."""
        spec = self.look.spec.model_dump(mode="json", exclude={"automatic"})
        method = spec.pop("method")
        film = {"`start` of the film": self.start, "`end`": self.end, "`every`": self.every}
        parts = {
            "film": self.film.digest(),
            "format": repr(self.format),
            "weights": self.look.network.digest,
            "timeline": repr(self.look.timeline),
            "version": ALGORITHM,
            **self.digests,
        }
        digests = {name: hashlib.sha256(str(part).encode()).hexdigest() for name, part in parts.items()}
        options = {f"`{name}`": value for name, value in (spec | method).items()} | film
        return {name: str(value) for name, value in options.items()} | digests

    def frames(self, after: Fraction | None = None, number: int = 0) -> Iterator[Frame]:
        """The frames that are styled, or those after a time, of which the first has a number."""
        return self.film.frames(self.start, self.end, after, self.every, number)

    @property
    def partial(self) -> PartialFilm:
        """The folder of what is finished."""
        return PartialFilm(self.out.with_name(f"{self.out.name}.partial"))

    @property
    def segment_length(self) -> int:
        """Number of frames of a segment."""
        rate = round(self.film.info.rate / self.every)
        return min(max(rate, LEAST_SEGMENT), MOST_SEGMENT)


FilmEvent = Literal["scanned", "scene", "begins", "frame", "ends"]


@dataclass(frozen=True)
class FilmProgress:
    """How far a film has come.

    Attributes:
        event: ``scanned``: a frame was looked at, to find the scenes; ``scene``: the strength of a scene is found;
            ``begins``: the first segment is written, and can be looked at; ``frame``: a frame is finished; ``ends``:
            the result is written.
        done: number of frames, or of scenes, that are done.
        total: number of all of them, as far as it is known.
        seconds: time since the film began, or was resumed.
        strength: of the scene; ``None`` where the method has none.
        file: what was written.
        picture: the finished frame.
    """

    event: FilmEvent
    done: int
    total: int | None
    seconds: float
    strength: float | None = None
    file: Path | None = None
    picture: Picture | None = None


def style_frames(run: FilmRun, *, resume: bool = False) -> Generator[FilmProgress, None, None]:
    """Style a film, frame by frame; close the iterator to stop early.

    Args:
        run: the film and how it is styled.
        resume: go on with what is in ``OUT.partial/``; the frames have the same bits as without the interruption.

    Raises:
        InputError: the film cannot be read, or the options do not fit it.
        CheckpointError: what is in ``OUT.partial/`` belongs to another film, or is damaged.
        OutputError: no permission, no space.
    """
    began = time.perf_counter()
    partial_film = run.partial
    found, parts = partial_film.plan() if resume else None, run.parts()
    if found is not None and found.parts != parts:
        other = sorted(name for name in {*parts, *found.parts} if parts.get(name) != found.parts.get(name))
        names = [
            f"{name} ({found.parts.get(name)}, here {parts.get(name)})" if name.startswith("`") else name
            for name in other
        ]
        raise CheckpointError(
            f"{partial_film.folder} was begun with another {' and '.join(names)}; give the same, or start anew"
        )
    if found is None:
        found = yield from _planned(run, parts, began)
        partial_film.begin(found)
    try:
        yield from _styled(run, found, began)
    except ArtuneError:
        if not partial_film.has_frames():  # what was wrong can be mended, and nothing is lost
            partial_film.remove()
        raise
    _write_result(run, found, len(found.times))
    partial_film.remove()
    yield FilmProgress("ends", len(found.times), len(found.times), time.perf_counter() - began, file=run.out)


def _planned(run: FilmRun, parts: Mapping[str, str], began: float) -> Generator[FilmProgress, None, FilmPlan]:
    """Look at all frames, find the scenes, and the strength of each."""
    finder = SceneFinder()
    for frame in run.frames():
        finder.add(frame)
        yield FilmProgress("scanned", len(finder.times), run.film.info.frames, time.perf_counter() - began)
    scenes, times = finder.scenes(), finder.times
    if not times:
        raise PictureError("there is no frame between `start` and `end`; choose other times")
    for folder, count in run.masks.items():
        cut = run.end is not None and run.start == 0 and run.every == 1  # the masks may be those of the whole film
        if count < len(times) or (count > len(times) and not cut):
            raise PictureError(
                f"{folder} has {count} masks for {len(times)} frames that are styled; give one for each of them"
            )
    strengths: list[float] = []
    for number, scene in enumerate(scenes, start=1):
        strengths.append(_strength(run, [(each, times[each]) for each in scene.samples]))
        strength = strengths[-1] if run.look.spec.method.leaves_strength else None
        yield FilmProgress("scene", number, len(scenes), time.perf_counter() - began, strength=strength)
    return FilmPlan(parts, tuple(times), finder.last, tuple(scenes), tuple(strengths))


def _strength(run: FilmRun, samples: Sequence[tuple[int, Fraction]]) -> float:
    """The strength of a scene: that of the spec, or one that is found on a few of its frames.

    Args:
        run: the film.
        samples: numbers and times of these frames.
    """
    spec = run.look.spec
    if spec.strength != "auto":
        return spec.strength
    found = []
    for number, moment in samples:
        frame = next(run.film.frames(moment, number=number))
        task = run.look.task(frame, present([*run.look.parts(frame), *run.look.found(frame)], frame))
        tuning = api.find_strength(task)
        if tuning is None:
            return float(api.plan(task).plan.strength)
        found.append(tuning.balance.strength)
    return common_strength(found)


def _styled(run: FilmRun, plan: FilmPlan, began: float) -> Iterator[FilmProgress]:
    """Style the frames that are not finished, and keep them."""
    kept, length, total = run.partial, run.segment_length, len(plan.times)
    done, earlier = kept.load()
    for number in range(-(-done // length) if done == total else done // length):
        if not kept.segment(number).exists():  # a kill came between the last frame of the segment and its file
            _write_segment(run, plan, number)
    firsts = {scene.first: number for number, scene in enumerate(plan.scenes)}
    scene = max((number for first, number in firsts.items() if first < done), default=0)
    styler = Styler(run.look.at(plan.strengths[scene]))
    saved = time.perf_counter()
    frames = run.frames(plan.times[done - 1] if done else None, done) if done < total else iter(())
    for number, frame in enumerate(frames, start=done):
        if number >= total:
            break
        if number in firsts:
            earlier = []
            styler = Styler(run.look.at(plan.strengths[firsts[number]]))
        styled = styler.style(frame, earlier)
        earlier = [styled.kept, *earlier][: max(run.look.reach)]
        kept.keep(number, styled.picture.to_numpy(np.uint16 if run.format.bits > 8 else np.uint8))
        if (number + 1) % length == 0 or number + 1 == total:
            kept.save(number + 1, earlier)
            _write_segment(run, plan, number // length)
            if number < length:
                yield FilmProgress("begins", number + 1, total, time.perf_counter() - began, file=kept.segment(0))
        elif time.perf_counter() - saved > SAVED_EVERY:
            kept.save(number + 1, earlier)
            saved = time.perf_counter()
        try:
            yield FilmProgress("frame", number + 1, total, time.perf_counter() - began, picture=styled.picture)
        except GeneratorExit:  # the caller stops here
            kept.save(number + 1, earlier)
            raise


def _write_segment(run: FilmRun, plan: FilmPlan, number: int) -> None:
    """Write a whole segment of the frames that were kept, and delete these."""
    kept, length = run.partial, run.segment_length
    numbers = range(number * length, min((number + 1) * length, len(plan.times)))
    write_segment(kept.segment(number), kept.kept(numbers), run.format)
    kept.forget(numbers)


def write_so_far(run: FilmRun) -> int:
    """Write a film of the frames that are finished, with their sound; it can still be resumed.

    Returns:
        number of frames; 0 if none is finished, and nothing was written.

    Raises:
        OutputError: no permission, no space.
    """
    plan = run.partial.plan()
    done = 0 if plan is None else run.partial.load()[0]
    if plan is not None and done:
        _write_result(run, plan, done)
    return done


def _write_result(run: FilmRun, plan: FilmPlan, done: int) -> None:
    """Write a film of the first ``done`` frames."""
    kept, length, total = run.partial, run.segment_length, len(plan.times)
    whole = -(-done // length) if done == total else done // length
    segments = [kept.segment(number) for number in range(whole)]
    numbers = range(min(whole * length, done), done)
    if numbers:
        segments.append(kept.folder / "so-far.mkv")
        write_segment(segments[-1], kept.kept(numbers), run.format)
    last = plan.times[done] if done < total else plan.last
    note = {"artune": versions()["artune"], "spec": run.look.at(plan.strengths[0]).spec.model_dump(mode="json")}
    write_film(
        run.out,
        segments,
        plan.times[:done],
        last,
        run.format,
        sound_from=run.sound,
        start=run.start,
        end=run.end if done == total else last,
        metadata={**run.film.info.metadata, "comment": json.dumps(note)},
    )
