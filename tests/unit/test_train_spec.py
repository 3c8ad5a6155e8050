"""What a class judge is trained for: every field is checked."""

import pytest

from artune.errors import SpecError, UnknownNameError
from artune.spec.checked import checked
from artune.spec.study import ClassStudySpec
from artune.spec.style import StyleSpec
from artune.spec.train import TrainSpec, find_kind


def gram(**fields):
    return checked(TrainSpec, kind="gram", **fields)


def test_every_field_is_checked():
    with pytest.raises(UnknownNameError, match="no kind of class judge 'resnet'; did you mean resnet18"):
        find_kind("resnet")
    assert find_kind("gram") == "gram"
    with pytest.raises(SpecError, match="name that class with `positive`"):
        checked(TrainSpec, kind="binary")
    with pytest.raises(SpecError, match="leave out `positive`"):
        gram(positive="red")
    with pytest.raises(SpecError, match=r"leave out `network` \(vgg19\)"):
        checked(TrainSpec, kind="resnet18", network="vgg19")
    for name in ("size", "augment", "epochs", "patience", "batch", "seed", "per_class"):
        with pytest.raises(SpecError, match=f"`{name}` must be a whole number .*, not -1"):
            gram(**{name: -1})
    with pytest.raises(SpecError, match="`seed` must be a whole number of at least 0 and below 9223372036854775808"):
        gram(seed=2**63)
    with pytest.raises(SpecError, match="`size` must be a whole number from 1 to 4096, not 5000"):
        gram(size=5000)
    with pytest.raises(
        SpecError, match=r"`batch` must be a whole number of at least 2, not 1; `rate` must be .*, not 0\.0"
    ):
        gram(rate=0.0, batch=1)
    with pytest.raises(SpecError, match="`edges` must be 'none', 'plain' or 'denoised', not 'some'"):
        gram(edges="some")
    with pytest.raises(SpecError, match="`epochs` cannot be true"):
        gram(epochs=True)


def test_trunks():
    assert gram().trunk == "compact"
    assert gram(network="vgg19").trunk == "vgg19"
    assert checked(TrainSpec, kind="binary", positive="red").trunk == "mobilenet_v2"


def test_a_study_has_strengths_or_ratios_and_one_size(tmp_path):
    folders = {"contents": tmp_path, "styles": tmp_path}
    assert checked(ClassStudySpec, **folders, strengths=(0.5,)).spec.size == 128
    for weights in ({}, {"strengths": (0.5,), "ratios": ((1, 1),)}):
        with pytest.raises(SpecError, match=r"give either `strengths` .* or `ratios`"):
            checked(ClassStudySpec, **folders, **weights)
    with pytest.raises(SpecError, match="give `size` in pixels"):
        checked(ClassStudySpec, **folders, strengths=(0.5,), spec=StyleSpec(size="original"))
    with pytest.raises(SpecError, match="`strengths`"):
        checked(ClassStudySpec, **folders, strengths=())
