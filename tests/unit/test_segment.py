import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from artune.assets import fetch
from artune.errors import InputError, OutputError, PictureError, UnknownNameError, WeightsError
from artune.images.picture import Picture
from artune.regions.masks import read_mask
from artune.regions.segment import DEEPLABS, Segmenter, class_masks, load_segmenter, write_masks

DEEPLAB = "deeplabv3_mobilenet_v3_large"
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def by_colour(names=("background", "Shirt", "dress", "sofa"), side=64):
    """Black is class 0, red 1, green 2, blue 3; it answers at a quarter of the size."""

    def network(image):
        rgb = image * image.new_tensor(DEVIATION).view(3, 1, 1) + image.new_tensor(MEAN).view(3, 1, 1)
        logits = torch.cat([0.5 - rgb.amax(1, keepdim=True), rgb - 0.5], 1)
        return 200 * torch.nn.functional.avg_pool2d(logits, 4)

    return Segmenter(network, names, side=side)


@pytest.fixture
def quarters():
    """Black, red, green and black again, side by side, 64x32."""
    pixels = np.zeros((32, 64, 3), np.float32)
    pixels[:, 16:32, 0] = 1
    pixels[:, 32:48, 1] = 1
    return Picture(pixels)


# ------------------------------------------------------------------------------------- masks


def test_probabilities_by_hand():
    """Two pixels, three classes; enlarging by two to 4x1 mixes the logits 3:1 in the middle."""
    odds = torch.tensor([[[1.0, 1.0]], [[1.0, 3.0]], [[2.0, 4.0]]])
    (mask,) = class_masks(odds.log(), (4, 1), [[1, 0]])
    middle = [3**0.25, 3**0.75]
    want = [2 / 4, *((1 + m) / (1 + m + 2 * 2**k) for m, k in zip(middle, (0.25, 0.75), strict=True)), 4 / 8]
    np.testing.assert_allclose(mask[0], (np.array(want) - 0.05) / 0.9, rtol=1e-5)


def test_doubts_are_nothing_and_near_certainty_is_all():
    shares = torch.tensor([0.001, 0.04, 0.5, 0.96, 0.999])
    one, other = class_masks(torch.stack([shares, 1 - shares])[:, None].log(), (5, 1), [[0], [1]])
    np.testing.assert_allclose(one[0], [0, 0, 0.5, 1, 1], atol=1e-6)
    np.testing.assert_allclose(one + other, 1, atol=1e-6)


def test_what_is_absent_may_have_an_empty_mask(quarters):
    masks = by_colour().masks(quarters, ["sofa", "shirt"], absent=True)
    assert not masks["sofa"].any()
    assert masks["shirt"].any()
    with pytest.raises(PictureError, match="finds no sofa"):
        by_colour().masks(quarters, ["sofa", "shirt"])


def test_every_class_is_where_it_is(quarters):
    masks = by_colour().masks(quarters, ["shirt", " DRESS", "shirt+dress"])
    assert [mask.shape for mask in masks.values()] == 3 * [(32, 64)]
    assert masks["shirt"].dtype == np.float32
    for x, shirt, dress in ((8, 0, 0), (24, 1, 0), (40, 0, 1), (56, 0, 0)):
        found = [mask[16, x] for mask in masks.values()]
        np.testing.assert_array_equal(found, [shirt, dress, shirt + dress])


@pytest.mark.parametrize("size", [(64, 32), (7, 5), (300, 20), (20, 300)])
def test_masks_have_the_pictures_size(quarters, size):
    mask = by_colour().masks(quarters.resized(*size), ["shirt"])["shirt"]
    assert mask.shape == size[::-1]
    assert mask.mean() == pytest.approx(0.25, abs=0.05)


def test_the_background_is_what_no_other_is(quarters):
    masks = by_colour().masks(quarters, ["Background", "shirt"])
    np.testing.assert_allclose(masks["Background"] + masks["shirt"], 1, atol=1e-6)
    assert masks["Background"][16, 40] == 1  # the dress, of which nothing was said


def test_the_background_alone_is_the_networks_own(quarters):
    mask = by_colour().masks(quarters, ["background"])["background"]
    assert (mask[16, 8], mask[16, 24], mask[16, 40]) == (1, 0, 0)
    with pytest.raises(UnknownNameError, match=r"no class 'background' .*: .*name another class beside it"):
        by_colour(names=("wall", "shirt", "dress", "sofa")).masks(quarters, ["background"])


def test_unknown_classes_get_a_hint(quarters):
    with pytest.raises(
        UnknownNameError, match="there is no class 'shrit' in the segmentation network; did you mean shirt"
    ):
        by_colour().masks(quarters, ["dress+shrit"])


def test_a_class_that_is_not_in_the_picture(quarters):
    with pytest.raises(PictureError, match=r"finds no sofa .*finds background \(5.*%\), .*dress \(2.*%\)"):
        by_colour().masks(quarters, ["sofa"])


def test_the_short_side_is_the_networks(quarters):
    seen = []

    def network(image):
        seen.append(tuple(image.shape))
        return image.new_zeros(1, 2, 4, 4)

    segmenter = Segmenter(network, ("a", "b"), side=520)
    for size in ((64, 32), (1000, 2000), (30, 3000)):
        segmenter.masks(quarters.resized(*size), ["a"])
    assert seen == [(1, 3, 520, 1040), (1, 3, 1040, 520), (1, 3, 2048, 64)]


def test_masks_are_written_by_name(quarters, tmp_path):
    segmenter = by_colour(names=("background", "Upper-clothes", "dress; long", "sofa"))
    written = write_masks(segmenter, quarters, tmp_path)
    assert sorted(path.name for path in written) == ["background.png", "dress_long.png", "upper-clothes.png"]
    assert sum(written.values()) == pytest.approx(1, abs=0.02)
    with Image.open(tmp_path / "upper-clothes.png") as opened:
        assert opened.mode == "L"
    want = segmenter.masks(quarters, ["upper-clothes"])["upper-clothes"]
    np.testing.assert_allclose(read_mask(tmp_path / "upper-clothes.png"), want, atol=0.51 / 255)
    with pytest.raises(OutputError, match="exists; `overwrite` replaces it"):
        write_masks(segmenter, quarters, tmp_path, overwrite=False)


def test_answers_that_are_no_numbers(photo):
    segmenter = Segmenter(lambda x: x.new_full((1, 2, 4, 4), float("nan")), ("a", "b"), side=64)
    with pytest.raises(WeightsError, match="not finite"):
        segmenter.masks(photo, ["a"])


# ------------------------------------------------------------------------------------- DeepLabV3


@pytest.fixture(scope="module")
def random_deeplab():
    """Random weights that see a cat everywhere."""
    from torchvision.models import get_model

    torch.manual_seed(0)
    network = get_model(DEEPLAB, weights=None, weights_backbone=None, num_classes=21, aux_loss=True)
    with torch.no_grad():
        network.classifier[4].bias[8] += 1000
    return network.eval()


@pytest.fixture(scope="module")
def weights(random_deeplab, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "deeplab.pth"
    torch.save(random_deeplab.state_dict(), path)
    return path


def test_deeplab_from_a_file(weights, photo):
    segmenter = load_segmenter(DEEPLAB, weights=weights)
    assert len(segmenter.names) == 21
    assert segmenter.names[::15] == ("background", "person")
    segmenter.side = 64
    assert (segmenter.masks(photo, ["cat"])["cat"] == 1).all()
    assert [name for name, _ in segmenter.found(photo)] == ["cat"]


def test_deeplab_sees_what_torchvision_shows_it(weights, random_deeplab, photo):
    """Its own preprocessing, and its own way from logits to the picture's size."""
    from torchvision.transforms._presets import SemanticSegmentation

    segmenter = load_segmenter(DEEPLAB, weights=weights)
    segmenter.side = 96
    with torch.no_grad():
        want = random_deeplab(SemanticSegmentation(resize_size=96)(photo.tensor()))["out"][0]
        found = torch.nn.functional.interpolate(segmenter._logits(photo)[None], size=want.shape[1:], mode="bilinear")[0]
    torch.testing.assert_close(found, want, rtol=1e-4, atol=1e-4)


def test_weights_that_do_not_fit(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=rf"a\.pth does not fit {DEEPLAB} with the 21 classes"):
        load_segmenter(DEEPLAB, weights=tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="there is no weights file"):
        load_segmenter(DEEPLAB, weights=tmp_path / "b.pth")


def test_without_internet(monkeypatch):
    def refuse(*args, **kwargs):
        raise ConnectionError("no route")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    message = r"cannot download the weights of deeplabv3_resnet50 .*deeplabv3_resnet50_coco-cd0a2569\.pth, or give one "
    with pytest.raises(WeightsError, match=message + r".*`weights`, or draw the masks"):
        load_segmenter()
    with pytest.raises(WeightsError, match="a file as `weights`, or use `network` compact"):
        fetch(DEEPLABS[DEEPLAB], network=DEEPLAB)


def test_the_published_files_are_torchvisions():
    from torchvision.models import get_model_weights

    for model, asset in DEEPLABS.items():
        published = get_model_weights(model).COCO_WITH_VOC_LABELS_V1
        assert asset.url == published.url
        assert asset.url.endswith(asset.name)
        assert asset.name.endswith(f"-{asset.sha256}.pth")


def test_names_of_models():
    with pytest.raises(
        UnknownNameError, match=r"no segmentation model 'deeplabv3_resnet5'.*did you mean deeplabv3_resnet50"
    ):
        load_segmenter("deeplabv3_resnet5")


# ------------------------------------------------------------------------------------- SegFormer


@pytest.fixture(scope="module")
def segformer(tmp_path_factory):
    """A folder with a small one; random weights that see a dress everywhere."""
    transformers = pytest.importorskip("transformers")
    config = transformers.SegformerConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 8, 8],
        num_attention_heads=[1, 1, 1, 1],
        decoder_hidden_size=8,
        id2label={0: "Background", 1: "Upper-clothes", 2: "Dress"},
    )
    torch.manual_seed(0)
    network = transformers.SegformerForSemanticSegmentation(config)
    with torch.no_grad():
        network.decode_head.classifier.bias[2] += 1000
    folder = tmp_path_factory.mktemp("segformer")
    network.save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_segformer_from_a_folder(segformer, photo):
    segmenter = load_segmenter(str(segformer))
    assert segmenter.names == ("Background", "Upper-clothes", "Dress")
    assert segmenter.side == 512
    segmenter.side = 64
    assert (segmenter.masks(photo, ["dress"])["dress"] == 1).all()


@pytest.mark.slow
def test_segformers_that_cannot_be_used(segformer, tmp_path):
    def changed(name, **fields):
        folder = tmp_path / name
        folder.mkdir()
        config = json.loads((segformer / "config.json").read_text()) | fields
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "model.safetensors").write_bytes((segformer / "model.safetensors").read_bytes())
        return folder

    with pytest.raises(WeightsError, match=r"other is no SegFormer: its config\.json says vit"):
        load_segmenter(str(changed("other", model_type="vit")))
    (changed("cut") / "model.safetensors").write_bytes(b"none")
    with pytest.raises(WeightsError, match=r"cannot load the segmentation model .*cut: .*model\.safetensors"):
        load_segmenter(str(tmp_path / "cut"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match=r"empty is no SegFormer: its config\.json is missing"):
        load_segmenter(str(tmp_path / "empty"))
    (changed("bare") / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"cannot load .*bare: .*without internet, a folder with its config\.json"):
        load_segmenter(str(tmp_path / "bare"))
    with pytest.raises(InputError, match="weights belong to deeplabv3_resnet50"):
        load_segmenter(str(segformer), weights=tmp_path / "a.pth")


@pytest.mark.slow
def test_an_encoder_alone_is_no_segmenter(segformer, tmp_path):
    from safetensors.torch import load_file, save_file

    encoder = {k: v for k, v in load_file(segformer / "model.safetensors").items() if "decode_head" not in k}
    save_file(encoder, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_text((segformer / "config.json").read_text())
    with pytest.raises(WeightsError, match="was not trained to segment: it has no decode_head"):
        load_segmenter(str(tmp_path))


def test_transformers_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"pip install 'artune\[segformer\]'"):
        load_segmenter("owner/name")
