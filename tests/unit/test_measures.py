"""Judges' answers: every picture is judged once."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from artune.errors import PictureError, UnknownNameError
from artune.images.picture import Picture
from artune.images.write import write_picture
from artune.record import Record
from artune.spec.study import Example, RunSpec
from artune.spec.style import StyleSpec
from artune.studies.entries import Entry, Verdict
from artune.studies.measures import StudyJudge, judge_pictures
from artune.studies.store import Store

CONTENTS = ("dark", "light")


class Judge:
    """Tells dark pictures from light ones, and counts what it sees."""

    def __init__(self, classes):
        self.classes, self.seen = classes, 0

    def probabilities(self, images):
        self.seen += len(images)
        value = 8 * (images.mean((1, 2, 3)) - 0.5)
        return torch.stack([-value, value], 1).softmax(1)


@pytest.fixture
def seen(tmp_path):
    """A store with two results, and two pictures as they are."""
    light, dark = (Picture(np.full((8, 6, 3), level, np.float32)) for level in (0.9, 0.1))
    plain = []
    for label, picture in (("light", light), ("dark", dark)):
        write_picture(picture, tmp_path / label / "0.png")
        plain.append(Example(file=tmp_path / label / "0.png", label=label))
    spec = StyleSpec(strength=0.5)
    run = RunSpec(content=plain[0], style=plain[1], spec=spec)
    with Store.open(tmp_path / "out") as store:
        for key, picture in (("a", light), ("b", dark)):
            store.add(Entry(key=key, run=run, record=Record(key=key, spec=spec, digests={})), picture)
        yield store, plain


def test_a_judge_sees_each_picture_once(seen):
    store, plain = seen
    judge, told = Judge(CONTENTS), []
    first = StudyJudge("content", judge, "first")
    found = judge_pictures(first, "ab", plain, 8, store, lambda *count: told.append(count))
    assert (found.accuracy, found.count, found.known) == (1.0, 2, 2)
    assert store.verdicts["a", "content", "first"].answer == "light"
    assert store.verdicts["b", "content", "first"].probability("dark") == pytest.approx(
        torch.tensor(6.4).sigmoid().item(), abs=0.01
    )
    assert judge.seen == 4
    assert told[-1] == (4, 4)
    judge_pictures(first, "ab", plain, 8, store)
    assert judge.seen == 4
    judge_pictures(first, "ab", plain, 16, store)  # the unchanged pictures at another size, but not the results
    assert judge.seen == 6
    judge_pictures(StudyJudge("content", judge, "another"), "ab", plain, 8, store)
    assert judge.seen == 10


def test_a_damaged_result_is_named_with_what_to_do(seen):
    store, plain = seen
    data = bytearray(store.picture("a").read_bytes())
    data[len(data) // 2] ^= 255
    store.picture("a").write_bytes(data)
    with pytest.raises(PictureError, match="remove the file and run the study again, which makes it anew"):
        judge_pictures(StudyJudge("content", Judge(CONTENTS), "first"), "ab", plain, 8, store)


def test_a_picture_that_cannot_be_read_is_left_out_of_those_as_they_are(seen, tmp_path):
    store, plain = seen
    (tmp_path / "torn.png").write_bytes(b"torn")
    torn = Example(file=tmp_path / "torn.png", label="dark")
    found = judge_pictures(StudyJudge("content", Judge(CONTENTS), "first"), "ab", [torn, *plain], 8, store)
    assert (found.accuracy, found.count) == (1.0, 2)


def test_what_a_judge_said_with_other_classes_does_not_count(seen):
    store, plain = seen
    said = {"picture": "a", "side": "content", "judge": "first"}
    store.add_verdicts([Verdict(**said, classes=("wet", "dry"), probabilities=(0.9, 0.1))])
    judge_pictures(StudyJudge("content", Judge(CONTENTS), "first"), "ab", plain, 8, store)
    assert store.verdicts["a", "content", "first"].answer == "light"
    for classes, probabilities in (((), ()), (("wet", "dry"), (1.0,))):
        with pytest.raises(ValidationError, match="a probability for each class"):
            Verdict(**said, classes=classes, probabilities=probabilities)


def test_a_judge_of_other_classes_is_refused():
    with pytest.raises(UnknownNameError, match="no class 'ligth' in the content judge; did you mean light"):
        StudyJudge("content", Judge(CONTENTS), "").check_classes(["dark", "ligth"])
