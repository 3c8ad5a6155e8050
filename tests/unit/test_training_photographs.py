"""The photographs of a training: drawn by seed and step, divided among processes, without the broken ones."""

import numpy as np
import pytest
import torch
from PIL import Image

from artune.errors import InputError, PictureError
from artune.learning.photographs import TrainingPhotographs
from tests.trained import folder_of_photographs


@pytest.fixture
def folder(tmp_path):
    """Twelve grey photographs, whose levels are 0, 20, 40 ... 220; one of them in a sub-folder."""
    for number in range(12):
        place = tmp_path / ("more" if number == 11 else ".") / f"{number:02d}.png"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((40, 50, 3), 20 * number, np.uint8)).save(place)
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def photographs(folder, side=32, *, augment=False, seed=0):
    return TrainingPhotographs(folder, side, augment=augment, seed=seed)


def levels(images):
    return [round(255 * float(each.mean()) / 20) for each in images]


def test_a_pass_takes_every_photograph_once_in_a_new_order(folder):
    found = photographs(folder)
    assert (found.count, len(found.held)) == (11, 1)
    first, second = (
        [level for step in steps for level in levels(found.batch(step, 11).images)] for steps in ([0], [1])
    )
    assert sorted(first) == sorted(second)
    assert len(set(first)) == 11
    assert first != second
    (held,) = levels(found.validation())
    assert {*first, held} == {*range(12)}


def test_a_batch_depends_on_seed_and_step_alone(folder):
    one, other = (photographs(folder, augment=True) for _ in range(2))
    one.batch(0, 4)
    torch.testing.assert_close(one.batch(5, 4), other.batch(5, 4), rtol=0, atol=0)
    assert levels(one.batch(5, 4).images) != levels(photographs(folder, seed=1).batch(5, 4).images)


def test_processes_share_a_batch(folder):
    found = photographs(folder, augment=True)
    whole = found.batch(3, 6)
    parts = [found.batch(3, 6, rank, 2) for rank in range(2)]
    assert [[*part.places] for part in parts] == [[0, 2, 4], [1, 3, 5]]
    for part in parts:
        torch.testing.assert_close(part.images, whole.images[[*part.places]], rtol=0, atol=0)


def test_parts_of_photographs_are_drawn_and_mirrored(tmp_path):
    found = TrainingPhotographs(folder_of_photographs(tmp_path, 1, (64, 64)), 32, augment=True, seed=0)
    drawn = [found.batch(step, 1).images for step in range(12)]
    assert {each.shape for each in drawn} == {(1, 3, 32, 32)}
    assert len({each.numpy().tobytes() for each in drawn}) > 8
    still = TrainingPhotographs(tmp_path, 32, augment=False, seed=0)
    assert torch.equal(still.batch(0, 1).images, still.batch(7, 1).images)
    assert still.batch(0, 1).images.shape == (1, 3, 32, 32)


def test_broken_photographs_are_left_out_and_counted(folder):
    for number in (3, 4):
        (folder / f"{number:02d}.png").write_bytes(b"broken")
    (folder / "link.png").symlink_to(folder / "gone.png")
    found = photographs(folder)
    drawn = [level for step in range(12) for level in levels(found.batch(step, 1).images)]
    assert not {3, 4} & {*drawn, *levels(found.validation())}
    assert {path.name for path in found.skipped} == {"03.png", "04.png", "link.png"}
    again = photographs(folder)
    torch.testing.assert_close(found.batch(9, 4), again.batch(9, 4), rtol=0, atol=0)


def test_a_folder_of_broken_photographs_is_refused(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"no picture in .* can be read"):
        photographs(tmp_path).batch(0, 2)
    with pytest.raises(InputError, match="no picture in"):
        photographs(tmp_path).validation()


def test_a_folder_without_photographs_is_refused(tmp_path):
    with pytest.raises(PictureError, match="no picture in"):
        photographs(tmp_path)
    with pytest.raises(PictureError, match="cannot read the folder"):
        photographs(tmp_path / "nothing")


def test_the_digest_tells_other_files(folder):
    before = photographs(folder).digest
    assert photographs(folder).digest == before
    (folder / "00.png").write_bytes(b"another")
    assert photographs(folder).digest != before


def test_memory_is_bounded(folder, monkeypatch):
    monkeypatch.setattr("artune.learning.photographs.KEPT_BYTES", 2 * 3 * 32 * 32)
    found, whole = photographs(folder), TrainingPhotographs(folder, 32, augment=False, seed=0)
    torch.testing.assert_close(found.batch(0, 11), whole.batch(0, 11), rtol=0, atol=0)
    torch.testing.assert_close(found.batch(1, 11), whole.batch(1, 11), rtol=0, atol=0)
    assert len(found._kept) == 2
