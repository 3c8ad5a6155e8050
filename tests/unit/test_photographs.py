"""Which pictures of a call are photographs, and where their results go."""

from pathlib import Path

import pytest

from artune.cli.photographs import Photographs, check_there, divide_pictures, find_photographs, is_folder, name_results
from artune.errors import InputError, PictureError


@pytest.fixture
def holiday(tmp_path, monkeypatch):
    """A folder of files that are pictures by their names, with sub-folders, as the current one's child."""
    monkeypatch.chdir(tmp_path)
    names = ["a.jpg", "b.JPG", "notes.txt", ".hidden.jpg", "2023/x.jpg", "2024/x.jpg", "2024/film.mov", "out/a.png"]
    for name in names:
        place = tmp_path / "holiday" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"x")
    (tmp_path / "painting.jpg").write_bytes(b"x")
    return Path("holiday")


def listed(paths):
    return [str(path) for path in paths]


# ------------------------------------------------------------------------------------- photographs and styles


@pytest.mark.parametrize(
    ("pictures", "out", "photographs", "styles"),
    [
        ("a.jpg p.jpg", "out.png", "a.jpg", "p.jpg"),
        ("a.jpg", "out.png", "a.jpg", ""),
        ("a.jpg p.jpg q.jpg", "out.png", "a.jpg", "p.jpg q.jpg"),
        ("a.jpg b.jpg c.jpg p.jpg", "styled/", "a.jpg b.jpg c.jpg", "p.jpg"),
        ("a.jpg p.jpg", "styled/", "a.jpg", "p.jpg"),
        ("a.jpg p.jpg", "holiday", "a.jpg", "p.jpg"),  # a folder that exists
        ("a.jpg", "styled/", "a.jpg", ""),
        ("holiday p.jpg", "styled", "holiday", "p.jpg"),
        ("holiday/*.jpg p.jpg", "styled", "holiday/*.jpg", "p.jpg"),  # a glob that was quoted
        ("holiday/*.jpg", "styled", "holiday/*.jpg", ""),
    ],
)
def test_photographs_and_styles_are_told_apart(holiday, pictures, out, photographs, styles):
    assert divide_pictures(pictures.split(), out) == (photographs.split(), styles.split())


@pytest.mark.parametrize(
    ("pictures", "out", "weights", "photographs", "styles"),
    [
        ("a.jpg b.jpg p.jpg q.jpg", "styled/", 2, "a.jpg b.jpg", "p.jpg q.jpg"),
        ("a.jpg p.jpg", "styled/", 2, "a.jpg", "p.jpg"),  # one style is missing, which is said elsewhere
        ("holiday p.jpg q.jpg", "styled/", 2, "holiday", "p.jpg q.jpg"),
        ("a.jpg 1.jpg 2.jpg 3.jpg 4.jpg 5.jpg", "out.png", 5, "a.jpg", "1.jpg 2.jpg 3.jpg 4.jpg 5.jpg"),
    ],
)
def test_weights_say_how_many_styles_there_are(holiday, pictures, out, weights, photographs, styles):
    assert divide_pictures(pictures.split(), out, weights=weights) == (photographs.split(), styles.split())


@pytest.mark.parametrize(
    ("pictures", "out"),
    [
        ("a.jpg b.jpg p.jpg", "styled"),  # a folder to be made, or a picture without its suffix?
        ("a.jpg b.jpg c.jpg d.jpg e.jpg p.jpg", "out.png"),
        ("holiday a.jpg p.jpg", "styled/"),
        ("holiday/*.jpg a.jpg p.jpg", "styled/"),
    ],
)
def test_what_could_mean_either_is_refused_with_both_forms(holiday, pictures, out):
    with pytest.raises(InputError, match=r"not clear which are photographs") as refused:
        divide_pictures(pictures.split(), out)
    assert "-o styled/" in str(refused.value)
    assert "-o styled.png" in str(refused.value)


def test_beside_regions_several_photographs_are_a_folder_or_a_glob(holiday):
    with pytest.raises(InputError, match="the last picture could be a photograph or the style of the rest"):
        divide_pictures(["a.jpg", "p.jpg"], "styled/", regions=True)
    assert divide_pictures(["a.jpg"], "styled/", regions=True) == (["a.jpg"], [])
    assert divide_pictures(["a.jpg", "p.jpg"], "out.png", regions=True) == (["a.jpg"], ["p.jpg"])


def test_a_folder_exists_or_ends_in_a_slash(holiday):
    assert is_folder("holiday")
    assert is_folder("new/")
    assert is_folder("new.png/")
    for file in ("new", "painting.jpg", "out.png", ""):
        assert not is_folder(file)


# ------------------------------------------------------------------------------------- finding them


def test_a_folder_stands_for_its_pictures(holiday):
    found = find_photographs(["holiday"])
    assert listed(found.files) == ["holiday/a.jpg", "holiday/b.JPG"]
    assert found.notes() == [
        "1 file is no picture that artune reads: notes.txt",
        "folders are left out without --recursive: 2023, 2024, out",
    ]


def test_sub_folders_are_walked_but_not_that_of_the_results(holiday):
    found = find_photographs(["holiday"], recursive=True, out=Path("./holiday/out"))
    assert listed(found.files) == ["holiday/2023/x.jpg", "holiday/2024/x.jpg", "holiday/a.jpg", "holiday/b.JPG"]
    assert found.notes() == ["2 files are no pictures that artune reads: film.mov, notes.txt"]


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        ("holiday/*.jpg", "holiday/a.jpg"),
        ("holiday/*/x.jpg", "holiday/2023/x.jpg holiday/2024/x.jpg"),
        ("holiday/**/x.jpg", "holiday/2023/x.jpg holiday/2024/x.jpg"),
        ("./holiday/20[2]?/x.jpg", "holiday/2023/x.jpg holiday/2024/x.jpg"),
    ],
)
def test_a_glob_stands_for_what_it_matches(holiday, pattern, files):
    found = find_photographs([pattern])
    assert listed(found.files) == files.split()
    assert found.root == Path("holiday")  # the part before the wildcard
    assert found.notes() == []


def test_a_glob_follows_no_links_to_folders(holiday):
    (holiday / "2023/loop").symlink_to("..", target_is_directory=True)
    (holiday / "2024/loop").symlink_to("..", target_is_directory=True)
    for pattern in ("holiday/**/x.jpg", "holiday/**/**/x.jpg", "holiday/2*/**/x.jpg"):
        assert listed(find_photographs([pattern]).files) == ["holiday/2023/x.jpg", "holiday/2024/x.jpg"]


def test_a_folder_may_have_brackets_in_its_name(holiday):
    holiday.rename("Trip [1]")
    assert listed(find_photographs(["Trip [1]/*.jpg"]).files) == ["Trip [1]/a.jpg"]


def test_what_a_shell_makes_of_a_glob(holiday):
    """``holiday/*``: files that are no pictures, and folders, are left out and told of."""
    given = sorted(map(str, holiday.glob("[!.]*")))
    found = find_photographs(given)
    assert listed(found.files) == ["holiday/a.jpg", "holiday/b.JPG"]
    assert found.notes() == [
        "1 file is no picture that artune reads: notes.txt",
        "folders are left out without --recursive: 2023, 2024, out",
    ]
    assert len(find_photographs(given, recursive=True, out=holiday / "out").files) == 4


@pytest.mark.parametrize("given", ["holiday/**", "holiday/*/*.jpg", "holiday/2023/x.jpg holiday/2024/x.jpg"])
def test_photographs_may_lie_in_the_folder_of_the_results(holiday, given):
    """Results are no photographs, but ``-o .`` is above all of them."""
    inside = find_photographs(given.split(), out=Path("holiday/out")).files
    assert {"holiday/2023/x.jpg", "holiday/2024/x.jpg"} <= {*listed(inside)}
    assert "holiday/out/a.png" not in listed(inside)
    assert {*inside} <= {*find_photographs(given.split(), out=Path()).files}


def test_a_file_that_is_named_twice_is_one(holiday):
    assert listed(find_photographs(["holiday/a.jpg", "./holiday/../holiday/a.jpg"]).files) == [
        "holiday/../holiday/a.jpg"
    ]


def test_one_file_is_a_picture_whatever_its_name(holiday):
    assert listed(find_photographs(["holiday/notes.txt"]).files) == ["holiday/notes.txt"]


def test_of_many_names_the_first_are_told():
    names = tuple(Path(f"{i}.txt") for i in range(9))
    (note,) = Photographs((), Path(), names).notes()
    assert note == "9 files are no pictures that artune reads: 0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 4 more"


def test_styles_and_masks_among_the_photographs_are_no_photographs(holiday):
    (holiday / "link.jpg").symlink_to(holiday.resolve() / "b.JPG")
    found = find_photographs(["holiday"]).without([Path("./holiday/a.jpg"), holiday / "link.jpg"])
    assert listed(found.files) == []
    assert found.notes()[-1] == "used as a style or a mask, and not styled: a.jpg, b.JPG, link.jpg"


def test_nothing_found_says_what_there_was(holiday):
    (holiday / "empty").mkdir()
    with pytest.raises(InputError, match=r"there is no picture in holiday/empty$"):
        find_photographs(["holiday/empty"])
    (holiday / "empty/a.txt").write_text("")
    with pytest.raises(InputError, match=r"in holiday/empty; 1 file is no picture that artune reads: a.txt"):
        find_photographs(["holiday/empty"])
    with pytest.raises(InputError, match=r"there is no picture in holiday/\*.gif"):
        find_photographs(["holiday/*.gif"])


def test_missing_pictures_are_named(holiday):
    with pytest.raises(PictureError, match=r"there is no picture holiday/c.jpg; did you mean holiday/a.jpg"):
        find_photographs(["holiday/a.jpg", "holiday/c.jpg"])
    with pytest.raises(PictureError, match="the name of a picture is empty"):
        check_there("")
    with pytest.raises(PictureError, match=r"https://e.org/a.jpg is a web address; download"):
        check_there("https://e.org/a.jpg")
    check_there("painting.jpg")


# ------------------------------------------------------------------------------------- naming results


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ("a.jpg b.jpg", "a.png b.png"),
        ("a.jpg a.png b.jpg", "a.jpg.png a.png.png b.png"),
        ("A.jpg a.png", "A.jpg.png a.png.png"),  # one name on some disks
        ("1/a.jpg 2/a.jpg a.jpg", "1/a.png 2/a.png a.png"),
        ("a.jpg a.tif a.jpg.png", "a.jpg.png a.tif.png a.jpg.png.png"),
        ("a.b.jpg a.c.jpg", "a.b.png a.c.png"),
    ],
)
def test_results_are_named_as_their_photographs(files, names):
    photographs = Photographs(tuple(Path("in", file) for file in files.split()), Path("in"))
    found = name_results(photographs, Path("out"))
    if "a.jpg.png.png" in names:  # whichever of the twins keeps its name, none is lost
        assert len(set(found)) == 3
    else:
        assert listed(found) == [f"out/{name}" for name in names.split()]


def test_results_of_several_folders_lie_below_what_these_have_in_common(holiday):
    found = find_photographs(["holiday/2023/x.jpg", "holiday/2024/x.jpg"])
    assert listed(name_results(found, Path("out"), "jpg")) == ["out/2023/x.jpg", "out/2024/x.jpg"]
