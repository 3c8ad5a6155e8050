"""What the tests of studies share: folders of classes, runs, a maker of pictures that needs no network, answers."""

from pathlib import Path

import numpy as np

from artune.errors import PictureError
from artune.images.picture import Picture
from artune.images.write import encoded, write_picture
from artune.recipes import find_recipe
from artune.record import Record
from artune.spec.study import Example, RunSpec
from artune.spec.style import StyleSpec
from artune.studies.axis import with_ratios, with_strengths
from artune.studies.entries import Verdict
from artune.studies.executors import InProcess
from artune.studies.findings import Judged
from artune.studies.grid import examples, grid
from artune.studies.keys import keyed
from artune.studies.run import Outcome, Task, run
from artune.studies.store import Store, open_for_reading

SPEC = StyleSpec(strength=0.5)
CLASSES = {"content": ("cat", "dog"), "style": ("ink", "oil")}


def grey_classes(root):
    """Three classes of five pictures, each of another grey."""
    for place, label in enumerate("abc"):
        for number in range(5):
            grey = np.full((4, 4, 3), (5 * place + number) / 20, np.float32)
            write_picture(Picture(grey), root / label / f"{number}.png")
    return root


def three_runs(folder):
    """Three runs, by key."""
    first, *others = examples(folder, 1)
    return keyed(grid([first], others, with_strengths(SPEC, [0.3])) + grid([first], others[:1], [SPEC]))


def png(level=0.5, side=2):
    """A grey picture, as a file."""
    return encoded(Picture(np.full((side, side, 3), level, np.float32)), ".png")


class GreyPictures:
    """Makes a grey picture of each run, and counts; fails for what it is told."""

    def __init__(self, failing=()):
        self.calls, self.failing = [], failing

    def __call__(self, task):
        self.calls.append(task.run)
        if task.run.style.label in self.failing:
            raise PictureError("it is torn")
        return Outcome(png(), Record(key="k", spec=task.run.spec, digests={}))


def tasks(runs):
    """Tasks to make the pictures of some runs."""
    return {key: Task(each) for key, each in runs.items()}


def kept(runs, folder):
    """Make grey pictures of some runs, and keep them."""
    with Store.open(folder) as store:
        return list(run(tasks(runs), store, InProcess(), GreyPictures()))


def entries_in(folder):
    """The entries of a folder of results, by key."""
    with open_for_reading(folder) as store:
        return {entry.key: entry for entry in store.entries()}


def verdict(side, answer, probability=0.8):
    """An answer of a judge of two classes."""
    other = 1 - probability
    probabilities = (probability, other) if answer == CLASSES[side][0] else (other, probability)
    return Verdict(picture="p", side=side, judge="j", classes=CLASSES[side], probabilities=probabilities)


def judged(specs, content_hits, style_hits):
    """Two contents of one class each in two styles; how many of the four are right at each weight."""
    out = []
    for spec, content_right, style_right in zip(specs, content_hits, style_hits, strict=True):
        pairs = [(content, style) for content in CLASSES["content"] for style in CLASSES["style"]]
        for place, (content, style) in enumerate(pairs):
            verdicts = [
                verdict(side, label if place < right else next(c for c in CLASSES[side] if c != label))
                for side, label, right in (("content", content, content_right), ("style", style, style_right))
            ]
            run_spec = RunSpec(
                content=Example(file=Path(f"{content}.png"), label=content),
                style=Example(file=Path(f"{style}.png"), label=style),
                spec=spec,
            )
            out.append(Judged(f"{place}", run_spec, *verdicts))
    return out


def ratios(*pairs):
    """The tutorial's spec with pairs of weights."""
    return with_ratios(find_recipe("tutorial").spec, pairs)
