"""Blind sets: nothing of a picture is given away."""

import csv
import json
import os
import resource
from pathlib import Path

import numpy as np
import pytest

from artune.errors import InputError, OutputError
from artune.files import file_digest
from artune.images.border import without_border
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.write import encoded, write_picture
from artune.record import Record
from artune.spec.options import with_options
from artune.spec.study import Example, RunSpec
from artune.spec.style import StyleSpec
from artune.studies.answers import read_key
from artune.studies.axis import with_ratios
from artune.studies.blind_set import key_file, make_blind_set
from artune.studies.entries import Entry, Measured, picture_file
from artune.studies.store import Store
from artune.transfer.inputs import Inputs
from tests.studies import png

SPECS = with_ratios(StyleSpec(), [(1, 10), (10, 1)])


def made(key, run):
    """The entry of a picture, with the digests that a run keeps."""
    digests = Inputs.read(run.content.file, [run.style.file]).digests
    return Entry(key=key, run=run, record=Record(key=key, spec=run.spec, digests=digests))


@pytest.fixture
def study(tmp_path):
    """Two contents in two styles at two weights; at the higher one the pictures are noise, and larger as files."""
    rng = np.random.default_rng(0)
    for label in ("zebra", "yak", "xylograph", "woodcut"):
        write_picture(Picture(rng.random((4, 4, 3)).astype(np.float32)), tmp_path / label / "0.png")
    with Store.open(tmp_path / "results") as store:
        for content in ("zebra", "yak"):
            for style in ("xylograph", "woodcut"):
                for spec in SPECS:
                    run = RunSpec(
                        content=Example(file=tmp_path / content / "0.png", label=content),
                        style=Example(file=tmp_path / style / "0.png", label=style),
                        spec=spec,
                    )
                    key = f"{content}{style}{spec.method.style_weight:g}"
                    noise = rng.random((16, 16, 3)) if spec is SPECS[1] else np.full((16, 16, 3), 0.5)
                    picture = Picture(noise.astype(np.float32))
                    said = {
                        f"{side}_class": Measured(1.0, "j", {"classes": (own, "other"), "probabilities": (0.9, 0.1)})
                        for side, own in (("content", content), ("style", style))
                    }
                    store.add(made(key, run), encoded(picture, ".png"), said)
        store.add(Entry(key="failed", run=run, failed="it did"))
    return tmp_path / "results"


def test_a_set_gives_nothing_away(study, tmp_path):
    key = make_blind_set(tmp_path / "set", study)
    folder = tmp_path / "set"
    assert len(key.questions) == 8
    assert read_key(tmp_path / "set.key.json") == key
    pictures = sorted((folder / "pictures").iterdir())
    assert [path.name for path in pictures] == list(key.questions)
    assert len({path.stat().st_size for path in pictures}) == 1
    assert len({path.stat().st_mtime for path in (*pictures, *folder.glob("*.*"))}) == 1
    for path in pictures:
        question = key.questions[path.name]
        copy, original = read_picture(path), read_picture(picture_file(study, question.picture))
        assert np.array_equal(copy.pixels, original.pixels)
        assert (copy.note, copy.exif) == ({}, b"")
    words = ("1:10", "10:1", "strength", *(question.picture for question in key.questions.values()))
    for path in (*pictures, *folder.glob("*.*")):
        data = path.read_bytes()
        assert not any(word.encode() in data for word in words), path
    assert len({name.partition("-")[0] for name in key.questions}) == 1


def test_the_order_is_drawn(study, tmp_path):
    keys = [make_blind_set(tmp_path / f"set{seed}", study, seed=seed) for seed in (0, 1)]
    orders = [[question.picture for question in key.questions.values()] for key in keys]
    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[0] != orders[1]
    assert not {*keys[0].questions} & {*keys[1].questions}  # an answer sheet of one is none of the other


def test_a_choice_shows_no_pair_twice_where_it_can(study, tmp_path):
    key = make_blind_set(tmp_path / "set", study, per_weight=2)
    weights = [question.weight for question in key.questions.values()]
    assert (weights.count("1:10"), weights.count("10:1")) == (2, 2)
    assert len({(question.content, question.style) for question in key.questions.values()}) == 4
    with pytest.raises(InputError, match=r"4 pictures at weight .*, not 5"):
        make_blind_set(tmp_path / "other", study, per_weight=5)
    assert not (tmp_path / "other").exists()


def test_the_sheet_and_the_choices(study, tmp_path):
    key = make_blind_set(tmp_path / "set", study)
    rows = list(csv.DictReader((tmp_path / "set" / "answers.csv").read_text().splitlines()))
    assert [row["picture"] for row in rows] == list(key.questions)
    assert {(row["content"], row["style"]) for row in rows} == {("", "")}
    choices = (tmp_path / "set" / "choices.csv").read_text().splitlines()
    assert choices[1:4] == ["content,yak", "content,zebra", "content,cannot tell"]


def test_the_page_holds_all_that_it_needs(study, tmp_path):
    references = [Example(file=path, label="woodcut") for path in (tmp_path / "woodcut").iterdir()]
    write_picture(Picture(np.zeros((4, 4, 3), np.float32)), tmp_path / "more" / "1.png")
    references.append(Example(file=tmp_path / "more" / "1.png", label="woodcut"))
    key = make_blind_set(tmp_path / "set", study, references=references)
    html = (tmp_path / "set" / "index.html").read_text()
    assert html.count('alt="by woodcut"') == 1  # the other one styled pictures of the set
    assert "http" not in html.replace("http-equiv", "")
    start = html.index("const pictures = ") + len("const pictures = ")
    shown = json.loads(html[start : html.index(";\n", start)])
    assert [picture["name"] for picture in shown] == list(key.questions)
    assert all(picture["uri"].startswith("data:image/jpeg;base64,") for picture in shown)


def test_of_several_judges_one_is_named(study, tmp_path):
    judge = tmp_path / "other.judge"
    judge.write_text("other")
    with Store.open(study) as store:
        said = Measured(0.0, file_digest(judge), {"classes": ["woodcut", "b"], "probabilities": [0.4, 0.6]})
        store.add_all_values(
            {entry.key: {"style_class": said} for entry in store.entries() if entry.record is not None}
        )
    with pytest.raises(InputError, match=r"2 judges have judged the style of these pictures; .* `style_judge`"):
        make_blind_set(tmp_path / "set", study)
    assert not (tmp_path / "set").exists()
    key = make_blind_set(tmp_path / "set", study, style_judge=judge)
    assert {question.machine["style"] for question in key.questions.values()} == {"b"}
    assert {question.machine["content"] for question in key.questions.values()} == {"zebra", "yak"}
    assert key.judges == {"content": "j", "style": file_digest(judge)}
    judge.write_text("a third")
    with pytest.raises(InputError, match="has not judged these pictures"):
        make_blind_set(tmp_path / "new", study, style_judge=judge)
    with pytest.raises(InputError, match="cannot read the judge"):
        make_blind_set(tmp_path / "new", study, content_judge=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"size": 64}, r"in size \(512, 64\);"),
        ({"network": "vgg19"}, r"in network \(compact, vgg19\);"),
        ({"strength": 0.5, "style_weight": None, "content_weight": None}, r"in axis \(ratios, strengths\);"),
    ],
)
def test_pictures_of_several_studies_are_no_set(study, tmp_path, change, named):
    with Store.open(study) as store:
        entry = next(entry for entry in store.entries() if entry.record is not None)
        run = entry.run.model_copy(update={"spec": with_options(entry.run.spec, change)})
        other = entry.model_copy(update={"key": "other", "run": run})
        store.add(other, png(0, 16))
    with pytest.raises(InputError, match=f"holds pictures of several studies, which differ {named}"):
        make_blind_set(tmp_path / "set", study)


def test_pictures_of_several_algorithms_are_no_set(study, tmp_path):
    with Store.open(study) as store:
        entry = next(entry for entry in store.entries() if entry.record is not None)
        record = entry.record.model_copy(update={"versions": {"algorithm": "1"}})
        store.add(entry.model_copy(update={"key": "o", "record": record}), png(0, 9))
    with pytest.raises(InputError, match="artune's algorithm"):
        make_blind_set(tmp_path / "set", study)


def test_a_set_that_cannot_be_written_leaves_nothing(study, tmp_path):
    """Files end at 2000 bytes: the pictures fit, the page does not."""
    before = set(tmp_path.iterdir())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(OutputError, match="File too large"):
            make_blind_set(tmp_path / "set", study)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert set(tmp_path.iterdir()) == before


def test_paintings_that_were_used_are_known_from_anywhere(study, tmp_path):
    """By their pixels: the study holds the paths that it was given."""
    (tmp_path / "woodcut" / "0.png").rename(tmp_path / "woodcut" / "moved.png")
    references = [Example(file=tmp_path / "woodcut" / "moved.png", label="woodcut")]
    make_blind_set(tmp_path / "set", study, references=references)
    assert 'alt="by woodcut"' not in (tmp_path / "set" / "index.html").read_text()


@pytest.mark.filterwarnings("ignore:.*has a border")
def test_a_painting_with_a_mat_that_was_used_is_known(study, tmp_path, rng):
    """A record holds the digest of the painting without its border; the page would show the whole file."""
    for label in ("mat", "unused"):
        mat = np.ones((96, 96, 3), np.float32)
        mat[12:-12, 12:-12] = 0.5 * rng.random((72, 72, 3))
        write_picture(Picture(mat), tmp_path / label / "0.png")
        assert without_border(Picture(mat)).size == (72, 72)
    with Store.open(study) as store:
        run = next(store.entries()).run
        painting = Example(file=tmp_path / "mat" / "0.png", label="woodcut")
        run = run.model_copy(update={"style": painting})
        store.add(made("framed", run), png(0, 16))
    unused = Example(file=tmp_path / "unused" / "0.png", label="xylograph")
    make_blind_set(tmp_path / "set", study, references=[painting, unused])
    html = (tmp_path / "set" / "index.html").read_text()
    assert 'alt="by woodcut"' not in html
    assert html.count('alt="by xylograph"') == 1


def test_what_is_there_is_not_lost(study, tmp_path):
    make_blind_set(tmp_path / "set", study)
    with pytest.raises(OutputError, match="may be the key of a set that is in use"):
        make_blind_set(tmp_path / "set", study)
    os.remove(tmp_path / "set.key.json")
    with pytest.raises(OutputError, match="not an empty folder"):
        make_blind_set(tmp_path / "set", study)
    with pytest.raises(OutputError, match="would be handed out with the set"):
        make_blind_set(tmp_path / "new", study, key=tmp_path / "new" / "key.json")
    with pytest.raises(InputError, match="there are no results in"):
        make_blind_set(tmp_path / "new", tmp_path / "nowhere")
    assert not (tmp_path / "new").exists()


def test_the_key_lies_beside_the_set():
    assert key_file(Path("/somewhere/set/")) == Path("/somewhere/set.key.json")
