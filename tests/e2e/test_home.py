"""``~`` is the user's home in every path that artune takes."""

import inspect
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import artune
from artune.assets import JUDGE, PAINTER, locate
from artune.backbones.registry import NETWORKS
from artune.data.folders import Folder, class_folder
from artune.errors import InputError, OutputError, WeightsError
from artune.files import file_digest
from artune.images.find import find_pictures
from artune.judges.classes import ClassJudge
from artune.regions.segment import Segmenter, write_masks
from artune.spec.study import ClassStudySpec, Example
from artune.studies.answers import read_answers, read_key
from artune.studies.blind_set import key_file, make_blind_set
from artune.studies.entries import picture_file, read_result
from artune.studies.grid import examples
from artune.studies.measured import Tools
from artune.studies.store import Store, check_folder
from tests.class_judges import colour_classes, trained
from tests.films import film_file, panned
from tests.studies import entries_in, grey_classes, kept, three_runs
from tests.trained import write_johnson

PAIR = ("~/photo.png", "~/painting.png")
FAST = artune.StyleSpec(size=32, strength=0.5, precision="fp32", method=artune.Optimise(steps=2))


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    return trained(colour_classes(tmp_path_factory.mktemp("colours")))


@pytest.fixture
def home(files, monkeypatch):
    """The home folder, with a photograph and a painting. The folder to work in is another, and stays empty."""
    work = files / "work"
    work.mkdir()
    monkeypatch.setenv("HOME", str(files))
    monkeypatch.chdir(work)
    yield files
    assert list(work.iterdir()) == []


def styled(*pictures, **options):
    return artune.style(*(pictures or PAIR), spec=options.pop("spec", FAST), **options)


def refused_tuning(*pictures, **options):
    """Everything is read before it is seen that there is no strength to find."""
    with pytest.raises(InputError, match="no strength to be found"):
        artune.tune(*pictures, spec=FAST, **options)


def with_weights(home):
    shutil.copy(locate(NETWORKS["compact"].weights), home / "compact.safetensors")
    return "~/compact.safetensors"


def with_checkpoint(home):
    def save(progress):
        progress.save("~/run.partial")
        return True

    styled(on_step=save)
    assert (home / "run.partial").is_file()
    return "~/run.partial"


def with_mask(home, size=(32, 48)):
    """A mask of numbers, which have names only where the file beside it is found."""
    half = np.zeros(size, np.uint8)
    half[:, :20] = 3
    Image.fromarray(half).save(home / "mask.png")
    (home / "mask.json").write_text('{"0": "sky", "3": "sea"}')
    return "~/mask.png#sea"


def saved(save, home, name):
    save(f"~/{name}")
    assert (home / name).is_file()


def loaded_segmenter(home):
    """Files that are found and do not fit."""
    torch.save({"a": torch.zeros(1)}, home / "a.pth")
    with pytest.raises(WeightsError, match="does not fit"):
        artune.load_segmenter(weights=Path("~/a.pth"))


def film(home, source="~/film.mkv", out="~/out.mkv", painting=PAIR[1], **given):
    """A film of two frames, styled."""
    film_file(home / "film.mkv", panned(artune.read_picture(home / "photo.png").pixels, 2, 40))
    assert artune.style_film(source, out, painting, size=32, strength=0.5, **given) == home / "out.mkv"
    assert (home / "out.mkv").is_file()


def not_exported(model, out):
    """Refused before the work, which takes minutes: the file is no painter's, or the folder holds something."""
    if model != "painter":
        shutil.copy(locate(JUDGE), Path(model).expanduser())
    with pytest.raises((WeightsError, OutputError), match=r"painter.safetensors holds no painter|is not empty"):
        artune.export(model, out)


def not_exported_network(out):
    with pytest.raises(OutputError, match="is not empty"):
        artune.export_network(torch.nn.Identity(), out, licence="MIT")


PUBLIC = {
    "FilmProgress.file": lambda home: artune.FilmProgress("ends", 1, 1, 0.0, file=home / "out.mkv"),
    "Judge.load.path": lambda home: (
        shutil.copy(locate(JUDGE), home / "judge.safetensors"),
        artune.Judge.load(Path("~/judge.safetensors")),
    ),
    "Keep.mask": lambda home: styled(keeps=[artune.Keep(with_mask(home), 0.5)]),
    "Masked.mask": lambda home: styled(PAIR[0], artune.Masked(PAIR[1], with_mask(home, (40, 40)))),
    "Masked.picture": lambda home: styled(PAIR[0], artune.Masked(PAIR[1], np.ones((40, 40)))),
    "Network.load.weights": lambda home: artune.Network.load(FAST, with_weights(home)),
    "Picture.save.target": lambda home: saved(artune.read_picture(PAIR[0]).save, home, "a.png"),
    "Progress.save.path": with_checkpoint,
    "RegionStyle.mask": lambda home: styled(PAIR[0], regions=[artune.RegionStyle(with_mask(home), PAIR[1])]),
    "RegionStyle.style": lambda home: styled(PAIR[0], regions=[artune.RegionStyle(np.ones((32, 48)), PAIR[1])]),
    "Result.save.target": lambda home: saved(styled().save, home, "a.png"),
    "export.model": lambda home: not_exported("~/painter.safetensors", "~/out"),
    "export.out": lambda home: not_exported("painter", "~"),
    "export_network.out": lambda home: not_exported_network("~"),
    "load_segmenter.weights": loaded_segmenter,
    "load_style.path": lambda home: (
        write_johnson(home / "a.safetensors", artune.read_picture(home / "photo.png")),
        artune.load_style("~/a.safetensors"),
    ),
    "Prepared.paintings.styles": lambda home: artune.prepare(*PAIR, size=32).paintings(PAIR[1]),
    "prepare.content": lambda home: artune.prepare(*PAIR, size=32),
    "prepare.styles": lambda home: artune.prepare(Path(PAIR[0]), Path(PAIR[1]), PAIR[1], size=32),
    "prepare.weights": lambda home: (
        shutil.copy(locate(PAINTER), home / "painter.safetensors"),
        artune.prepare(*PAIR, size=32, weights="~/painter.safetensors"),
    ),
    "read_picture.path": lambda home: artune.read_picture(PAIR[0]),
    "style.content": lambda home: styled(),
    "style_film.out": lambda home: film(home, out=Path("~/out.mkv")),
    "style_film.source": lambda home: film(home, source=Path("~/film.mkv")),
    "style_film.styles": lambda home: film(home, painting=Path(PAIR[1])),
    "style_film.weights": lambda home: (
        shutil.copy(locate(PAINTER), home / "painter.safetensors"),
        film(home, weights="~/painter.safetensors"),
    ),
    "style.first": lambda home: styled(first=PAIR[1]),
    "style.resume": lambda home: styled(resume=with_checkpoint(home)),
    "style.styles": lambda home: styled(Path(PAIR[0]), Path(PAIR[1]), PAIR[1]),
    "style.weights": lambda home: styled(weights=with_weights(home)),
    "tune.content": lambda home: refused_tuning(*PAIR),
    "tune.first": lambda home: refused_tuning(*PAIR, first=PAIR[1]),
    "tune.styles": lambda home: refused_tuning(Path(PAIR[0]), Path(PAIR[1]), PAIR[1]),
    "tune.weights": lambda home: refused_tuning(*PAIR, weights=with_weights(home)),
}
"""A call for each parameter of a public name that may be a path."""


def parameters():
    """Each parameter of a public name that may be a path."""
    for name in artune.__all__:
        public = getattr(artune, name)
        if public is artune.ArtuneError:
            continue
        callables = {name: public}
        if inspect.isclass(public):
            found = inspect.getmembers(public, lambda each: inspect.isfunction(each) or inspect.ismethod(each))
            own = {method: each for method, each in found if each.__module__.startswith("artune") and method[0] != "_"}
            callables |= {f"{name}.{method}": each for method, each in own.items()}
        for place, each in callables.items():
            for parameter in inspect.signature(each).parameters.values():
                if "Path" in str(parameter.annotation):
                    yield f"{place}.{parameter.name}"


def test_every_parameter_that_may_be_a_path_is_tried():
    assert {*parameters()} == PUBLIC.keys()


@pytest.mark.parametrize("parameter", PUBLIC)
def test_the_home_folder_in_public_names(parameter, home):
    PUBLIC[parameter](home)


def test_the_home_folder_in_a_spec(home):
    from_painting = styled(spec=FAST.model_copy(update={"method": artune.Optimise(steps=2, start=PAIR[1])}))
    assert from_painting.record.digests["start"] == artune.read_picture(home / "painting.png").digest()
    spec = ClassStudySpec(contents="~/a", styles="~/b", weights="~/c", strengths=(0.5,))
    assert (spec.contents, spec.styles, spec.weights) == (home / "a", home / "b", home / "c")
    assert Example(file="~/d", label="e").file == home / "d"


def test_the_home_folder_in_class_judges(training, home):
    judge = training.judge()
    judge.save(Path("~/judge.safetensors"))
    judge.save_trunk(Path("~/trunk.safetensors"))
    training.save(Path("~/judge.partial"))
    training.resume(Path("~/judge.partial"))
    digest = file_digest(home / "judge.safetensors")
    assert ClassJudge.load(Path("~/judge.safetensors")).digest == digest
    assert Tools(judges={"content": Path("~/judge.safetensors")}).by("content_class") == digest
    assert artune.Network.load(FAST, "~/trunk.safetensors").digest == file_digest(home / "trunk.safetensors")


def test_the_home_folder_in_folders_of_pictures(home):
    colour_classes(home / "colours")
    assert Folder.read(Path("~/colours")).root == home / "colours"
    assert [*class_folder(Path("~/colours/test"))] == ["blue", "green", "red"]
    assert examples(Path("~/colours/test"))[0].file == home / "colours" / "test" / "blue" / "0.png"
    assert find_pictures("~/colours", recursive=True).pictures


def test_the_home_folder_in_studies(home):
    kept(three_runs(grey_classes(home / "classes")), Path("~/results"))
    check_folder(Path("~/results"))
    with Store.open(Path("~/results")) as store:
        (key, *_) = (entry.key for entry in store.entries())
        assert store.finished(key)
    assert len(entries_in(Path("~/results"))) == 3
    assert read_result(picture_file(Path("~/results"), key)).size == (2, 2)
    assert key_file(Path("~/set")) == home / "set.key.json"
    made = make_blind_set(Path("~/set"), Path("~/results"))
    assert read_key(Path("~/set.key.json")) == made
    with pytest.raises(InputError, match="holds no answers"):
        read_answers(Path("~/set/answers.csv"), made)
    make_blind_set(Path("~/other"), Path("~/results"), key=Path("~/other.json"))
    assert (home / "other.json").is_file()


def test_the_home_folder_for_masks_that_a_network_finds(home):
    def dress(image):
        return torch.stack([torch.zeros(image.shape[-2:]), torch.full(image.shape[-2:], 9.0)])[None]

    segmenter = Segmenter(dress, ("wall", "dress"), side=32)
    assert [*write_masks(segmenter, artune.read_picture(PAIR[0]), Path("~/masks"))] == [home / "masks" / "dress.png"]
    with pytest.raises(Exception, match="exists"):
        write_masks(segmenter, artune.read_picture(PAIR[0]), Path("~/masks"), overwrite=False)


def test_the_home_folder_of_a_segformer(home):
    pytest.importorskip("transformers")
    (home / "segformer").mkdir()
    with pytest.raises(WeightsError, match=r"segformer is no SegFormer: its config\.json is missing"):
        artune.load_segmenter("~/segformer")
