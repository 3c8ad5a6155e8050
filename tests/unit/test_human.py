"""Sets for people: nothing of a picture is given away, and answers are counted by hand."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from artune.errors import InputError, OutputError, UnknownNameError
from artune.files import file_digest
from artune.images.picture import Picture
from artune.images.read import read_picture
from artune.images.write import write_picture
from artune.metrics.intervals import wilson
from artune.record import Record
from artune.spec.options import with_options
from artune.spec.study import Example, RunSpec
from artune.spec.style import StyleSpec
from artune.studies.grid import with_ratios
from artune.studies.people import Key, Question, key_file, make, read_answers, read_key, score_rows, score_table, scores
from artune.studies.store import Entry, Store, Verdict

SPECS = with_ratios(StyleSpec(), [(1, 10), (10, 1)])


@pytest.fixture
def experiment(tmp_path):
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
                    digest = read_picture(run.style.file).digest()
                    store.add(
                        Entry(key=key, run=run, record=Record(key=key, spec=spec, digests={"style 0": digest})), picture
                    )
                    store.add_verdicts(
                        Verdict(picture=key, side=side, judge="j", classes=(own, "other"), probabilities=(0.9, 0.1))
                        for side, own in (("content", content), ("style", style))
                    )
        store.add(Entry(key="failed", run=run, failed="it did"), None)
    return tmp_path / "results"


def test_a_set_gives_nothing_away(experiment, tmp_path):
    key = make(tmp_path / "set", experiment)
    folder = tmp_path / "set"
    assert len(key.questions) == 8
    assert read_key(tmp_path / "set.key.json") == key
    pictures = sorted((folder / "pictures").iterdir())
    assert [path.name for path in pictures] == list(key.questions)
    assert len({path.stat().st_size for path in pictures}) == 1
    assert len({path.stat().st_mtime for path in (*pictures, *folder.glob("*.*"))}) == 1
    for path in pictures:
        question = key.questions[path.name]
        copy, original = read_picture(path), read_picture(experiment / "pictures" / f"{question.picture}.png")
        assert np.array_equal(copy.pixels, original.pixels)
        assert (copy.note, copy.exif) == ({}, b"")
    words = ("1:10", "10:1", "strength", *(question.picture for question in key.questions.values()))
    for path in (*pictures, *folder.glob("*.*")):
        data = path.read_bytes()
        assert not any(word.encode() in data for word in words), path
    assert len({name.partition("-")[0] for name in key.questions}) == 1


def test_the_order_is_drawn(experiment, tmp_path):
    keys = [make(tmp_path / f"set{seed}", experiment, seed=seed) for seed in (0, 1)]
    orders = [[question.picture for question in key.questions.values()] for key in keys]
    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[0] != orders[1]
    assert not {*keys[0].questions} & {*keys[1].questions}  # an answer sheet of one is none of the other


def test_a_choice_shows_no_pair_twice_where_it_can(experiment, tmp_path):
    key = make(tmp_path / "set", experiment, per_weight=2)
    weights = [question.weight for question in key.questions.values()]
    assert (weights.count("1:10"), weights.count("10:1")) == (2, 2)
    assert len({(question.content, question.style) for question in key.questions.values()}) == 4
    with pytest.raises(InputError, match=r"4 pictures at weight .*, not 5"):
        make(tmp_path / "other", experiment, per_weight=5)
    assert not (tmp_path / "other").exists()


def test_the_sheet_and_the_choices(experiment, tmp_path):
    key = make(tmp_path / "set", experiment)
    rows = list(csv.DictReader((tmp_path / "set" / "answers.csv").read_text().splitlines()))
    assert [row["picture"] for row in rows] == list(key.questions)
    assert {(row["content"], row["style"]) for row in rows} == {("", "")}
    choices = (tmp_path / "set" / "choices.csv").read_text().splitlines()
    assert choices[1:4] == ["content,yak", "content,zebra", "content,cannot tell"]


def test_the_page_holds_all_that_it_needs(experiment, tmp_path):
    references = [Example(file=path, label="woodcut") for path in (tmp_path / "woodcut").iterdir()]
    write_picture(Picture(np.zeros((4, 4, 3), np.float32)), tmp_path / "more" / "1.png")
    references.append(Example(file=tmp_path / "more" / "1.png", label="woodcut"))
    key = make(tmp_path / "set", experiment, references=references)
    html = (tmp_path / "set" / "index.html").read_text()
    assert html.count('alt="by woodcut"') == 1  # the other one styled pictures of the set
    assert "http" not in html.replace("http-equiv", "")
    start = html.index("const pictures = ") + len("const pictures = ")
    shown = json.loads(html[start : html.index(";\n", start)])
    assert [picture["name"] for picture in shown] == list(key.questions)
    assert all(picture["uri"].startswith("data:image/jpeg;base64,") for picture in shown)


def test_of_several_judges_one_is_named(experiment, tmp_path):
    judge = tmp_path / "other.judge"
    judge.write_text("other")
    with Store.open(experiment) as store:
        store.add_verdicts(
            Verdict(
                picture=key, side="style", judge=file_digest(judge), classes=("woodcut", "b"), probabilities=(0.4, 0.6)
            )
            for key, entry in store.entries.items()
            if entry.record is not None
        )
    with pytest.raises(InputError, match=r"2 judges said what the style of these pictures is; .* --style-judge"):
        make(tmp_path / "set", experiment)
    assert not (tmp_path / "set").exists()
    key = make(tmp_path / "set", experiment, judges={"style": judge})
    assert {question.machine["style"] for question in key.questions.values()} == {"b"}
    assert {question.machine["content"] for question in key.questions.values()} == {"zebra", "yak"}
    assert key.judges == {"content": "j", "style": file_digest(judge)}
    judge.write_text("a third")
    with pytest.raises(InputError, match="has not seen these pictures"):
        make(tmp_path / "new", experiment, judges={"style": judge})
    with pytest.raises(InputError, match="cannot read the judge"):
        make(tmp_path / "new", experiment, judges={"content": tmp_path / "nowhere"})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"size": 64}, "in size;"),
        ({"network": "vgg19"}, "in network;"),
        ({"strength": 0.5, "style_weight": None, "content_weight": None}, "in strengths beside ratios;"),
    ],
)
def test_pictures_of_several_experiments_are_no_set(experiment, tmp_path, change, named):
    with Store.open(experiment) as store:
        entry = next(entry for entry in store.entries.values() if entry.record is not None)
        run = entry.run.model_copy(update={"spec": with_options(entry.run.spec, change)})
        other = entry.model_copy(update={"key": "other", "run": run})
        store.add(other, Picture(np.zeros((16, 16, 3), np.float32)))
    with pytest.raises(InputError, match=f"holds pictures of several experiments, which differ {named}"):
        make(tmp_path / "set", experiment)


def test_pictures_of_several_algorithms_are_no_set(experiment, tmp_path):
    with Store.open(experiment) as store:
        entry = next(entry for entry in store.entries.values() if entry.record is not None)
        record = entry.record.model_copy(update={"versions": {"algorithm": "1"}})
        store.add(entry.model_copy(update={"key": "o", "record": record}), Picture(np.zeros((9, 9, 3), np.float32)))
    with pytest.raises(InputError, match="artune's algorithm"):
        make(tmp_path / "set", experiment)


def test_an_interrupted_set_leaves_nothing(experiment, tmp_path, monkeypatch):
    before = set(tmp_path.iterdir())

    def stop(*_):
        assert set(tmp_path.iterdir()) > before
        raise KeyboardInterrupt

    monkeypatch.setattr("artune.studies.people._page", stop)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "set", experiment)
    assert set(tmp_path.iterdir()) == before


def test_paintings_that_were_used_are_known_from_anywhere(experiment, tmp_path, monkeypatch):
    """By their pixels: the experiment holds the paths that it was given."""
    (tmp_path / "woodcut" / "0.png").rename(tmp_path / "woodcut" / "moved.png")
    references = [Example(file=tmp_path / "woodcut" / "moved.png", label="woodcut")]
    make(tmp_path / "set", experiment, references=references)
    assert 'alt="by woodcut"' not in (tmp_path / "set" / "index.html").read_text()


def test_what_is_there_is_not_lost(experiment, tmp_path):
    make(tmp_path / "set", experiment)
    with pytest.raises(OutputError, match="perhaps the key of a set that is still out"):
        make(tmp_path / "set", experiment)
    os.remove(tmp_path / "set.key.json")
    with pytest.raises(OutputError, match="no empty folder"):
        make(tmp_path / "set", experiment)
    with pytest.raises(OutputError, match="would be handed out with the set"):
        make(tmp_path / "new", experiment, key=tmp_path / "new" / "key.json")
    with pytest.raises(InputError, match="there are no results in"):
        make(tmp_path / "new", tmp_path / "nowhere")
    assert not (tmp_path / "new").exists()


KEY = Key(
    choices={"content": ("cat", "dog"), "style": ("ink", "oil")},
    questions={
        f"{place}.bmp": Question(
            picture=f"{place}",
            place=float(place > 2),
            weight="high" if place > 2 else "low",
            content=("cat", "dog")[place % 2],
            style="ink",
            machine={"content": "cat"} if place else {},
        )
        for place in range(5)
    },
)


def sheet(tmp_path, text, name="answers.csv"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


def test_scores_by_hand(tmp_path):
    """Low: 0 cat, 1 dog, 2 cat; high: 3 dog, 4 cat. The machine says cat, and nothing of 0."""
    one = sheet(tmp_path, "picture,content,style\n0.bmp,cat,oil\n1.bmp,CAT , ink\n2.bmp,cannot tell,\n3.bmp,dog,ink\n")
    two = sheet(tmp_path, "\ufeffpicture;style;content\n1.bmp;ink;dog\n4.bmp;;\n", "two.csv")
    found = scores([*read_answers(one, KEY), *read_answers(two, KEY)], KEY)
    assert [(each.weight, each.side, each.who, each.right, each.count) for each in found] == [
        ("low", "content", "people", 2, 4),
        ("low", "content", "machine", 1, 2),
        ("low", "style", "people", 2, 3),
        ("low", "style", "machine", 0, 0),
        ("high", "content", "people", 1, 1),
        ("high", "content", "machine", 0, 1),
        ("high", "style", "people", 1, 1),
        ("high", "style", "machine", 0, 0),
    ]
    table = score_table(found)
    sides = ("content, people", "content, machine", "style, people", "style, machine")
    assert table.head == ("weight", "answers (content / style)", *sides)
    assert table.rows[0] == ("low", "4 / 3", "0.50 [0.15, 0.85]", "0.50 [0.09, 0.91]", "0.67 [0.21, 0.94]", "-")
    assert score_rows(found).rows[3] == ("low", "style", "machine", "0", "0", "", "", "")
    assert score_rows(found).rows[0][:6] == ("low", "content", "people", "2", "4", "0.5000")


@pytest.mark.parametrize(("right", "count"), [(0, 10), (8, 10), (10, 10), (1, 1), (37, 200)])
def test_wilson_as_scipy_has_it(right, count):
    other = binomtest(right, count).proportion_ci(method="wilson")
    assert wilson(right, count) == pytest.approx((other.low, other.high), abs=1e-6)


def test_wilson_as_it_is_printed():
    """8 of 10, in Newcombe 1998 and elsewhere: 0.4902 to 0.9433."""
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=5e-5)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("picture,content\n0.bmp,cat\n", InputError, "has no column style"),
        ("picture,content,style\n9.bmp,cat,ink\n", InputError, "no picture '9.bmp' in this set; does the key belong"),
        ("picture,content,style\n0.bmp,cat,ink\n0.bmp,dog,ink\n", InputError, "0.bmp is answered twice"),
        ("picture,content,style\n0.bmp,cta,ink\n", UnknownNameError, "no choice of content 'cta' .* did you mean cat"),
        ("picture,content,style\n0.bmp,,\n", InputError, "holds no answers"),
        ("", InputError, "has no column picture"),
    ],
)
def test_answers_that_cannot_be_scored(tmp_path, text, error, said):
    with pytest.raises(error, match=said):
        read_answers(sheet(tmp_path, text), KEY)


def test_answers_as_spreadsheets_write_them(tmp_path):
    assert read_answers(sheet(tmp_path, "picture,content,style\n0.bmp,cat,ink\n,,\n , ,\n"), KEY) == [
        ("0.bmp", {"content": "cat", "style": "ink"})
    ]
    latin = tmp_path / "latin.csv"
    latin.write_bytes("picture,content,style\n0.bmp,caf\xe9,ink\n".encode("latin-1"))
    with pytest.raises(InputError, match="save the sheet as CSV in UTF-8"):
        read_answers(latin, KEY)
    with pytest.raises(InputError, match="is no table of answers"):
        read_answers(sheet(tmp_path, f"picture,content,style\n0.bmp,{'c' * 200_000},ink\n"), KEY)
    with pytest.raises(InputError, match="is no table of answers"):
        read_answers(sheet(tmp_path, f"picture,content,{'c' * 200_000}\n0.bmp,cat,ink\n"), KEY)


def test_files_that_are_missing_or_no_key(tmp_path):
    with pytest.raises(InputError, match="cannot read the answers"):
        read_answers(tmp_path / "nothing.csv", KEY)
    with pytest.raises(InputError, match=r"cannot read the key .* name it with --key"):
        read_key(key_file(tmp_path / "set"))
    whole = KEY.model_dump_json()
    for text in ("{}", whole.replace('"content":["cat","dog"],', ""), whole.replace('"ink","oil"', '"oil"')):
        (tmp_path / "set.key.json").write_text(text)
        with pytest.raises(InputError, match="is no key"):
            read_key(key_file(tmp_path / "set"))
    (tmp_path / "set.key.json").write_text(whole)
    assert read_key(key_file(tmp_path / "set")) == KEY


def test_the_key_lies_beside_the_set():
    assert key_file(Path("/somewhere/set/")) == Path("/somewhere/set.key.json")
