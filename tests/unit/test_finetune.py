import pytest
import torch
from torch import nn
from torchvision.models.mobilenetv2 import InvertedResidual

from artune.images.write import write_picture
from tests.scripts import imported


@pytest.fixture(scope="module")
def script():
    with imported("finetune_mobilenet") as module:
        yield module


def test_least_squares_find_the_convolution_that_made_the_outputs(script, generator):
    teacher = InvertedResidual(3, 4, 1, 2).eval()
    nn.init.constant_(teacher.conv[-1].bias, 0.3)
    student = InvertedResidual(3, 4, 1, 2).eval()
    student.conv[:-2].load_state_dict(teacher.conv[:-2].state_dict())
    x = torch.rand((8, 3, 12, 12), generator=generator)
    with torch.no_grad():
        script.solve(student, x, teacher(x))
        error = (student(x) - teacher(x)).square().mean() / teacher(x).var()
    assert error < 0.03  # but for the ridge


def test_painters_of_the_validation_are_not_trained_on(script, photo, tmp_path):
    for style in ("impressionism", "cubism"):
        for painter in range(12):
            for number in range(2):
                write_picture(photo, tmp_path / style / f"painter-{painter}_{number}.png")
    train, val = script.split(tmp_path)
    assert len(train) + len(val) == 48
    painters = [{path.name.split("_")[0] for path, _ in part} for part in (train, val)]
    assert painters[1]
    assert not painters[0] & painters[1]
    assert all(label == int(path.parent.name == "impressionism") for path, label in train)


def test_crops_are_of_one_size_and_drawn_by_the_seed(script):
    pixels = torch.arange(2 * 3 * 160 * 160).view(2, 3, 160, 160).remainder(256).byte()
    one, same = (script.crops(pixels, torch.Generator().manual_seed(5)) for _ in range(2))
    assert one.shape == (2, 3, 128, 128)
    assert torch.equal(one, same)
