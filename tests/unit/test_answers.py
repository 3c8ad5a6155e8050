"""Answers of people: read as spreadsheets write them, and counted by hand."""

import pytest

from artune.errors import InputError, UnknownNameError
from artune.studies.answers import read_answers, read_key, score_rows, score_table, scores
from artune.studies.blind_set import Key, Question, key_file

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
    assert [(each.weight, each.side, each.who, each.accuracy.right, each.accuracy.count) for each in found] == [
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
    with pytest.raises(InputError, match="is not a table of answers"):
        read_answers(sheet(tmp_path, f"picture,content,style\n0.bmp,{'c' * 200_000},ink\n"), KEY)
    with pytest.raises(InputError, match="is not a table of answers"):
        read_answers(sheet(tmp_path, f"picture,content,{'c' * 200_000}\n0.bmp,cat,ink\n"), KEY)


def test_files_that_are_missing_or_no_key(tmp_path):
    with pytest.raises(InputError, match="cannot read the answers"):
        read_answers(tmp_path / "nothing.csv", KEY)
    with pytest.raises(InputError, match=r"cannot read the key .* give its file with `key`"):
        read_key(key_file(tmp_path / "set"))
    whole = KEY.model_dump_json()
    for text in ("{}", whole.replace('"content":["cat","dog"],', ""), whole.replace('"ink","oil"', '"oil"')):
        (tmp_path / "set.key.json").write_text(text)
        with pytest.raises(InputError, match="is not the key"):
            read_key(key_file(tmp_path / "set"))
    (tmp_path / "set.key.json").write_text(whole)
    assert read_key(key_file(tmp_path / "set")) == KEY
