"""Published recipes of trainings: what others did, stated as exactly as artune can, with source and departures."""

from collections.abc import Mapping

from artune.errors import UnknownNameError
from artune.recipes import Published
from artune.spec.train_style import StyleTrainSpec

STYLE_LAYERS = {"relu1_2": 1.0, "relu2_2": 1.0, "relu3_3": 1.0, "relu4_3": 1.0}
SHARED = (
    "instance norm has an epsilon of 1e-3 instead of 1e-5; convolutions follow an enlargement instead of being "
    "transposed; every convolution mirrors the border, where the authors pad the photograph once by 40 pixels",
    "photographs are cut to their middle squares, where the authors' are resized to squares",
)

TRAINING_RECIPES: Mapping[str, Published[StyleTrainSpec]] = {
    "johnson": Published(
        "johnson",
        "Johnson's own settings",
        'Johnson, Alahi and Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV 2016, '
        "and the defaults of the authors' code (fast-neural-style): VGG-16, content relu3_3, style relu1_2 to relu4_3 "
        "with weight 5, total variation 1e-6, batch 4, Adam 1e-3, 40,000 steps, about two passes over MS COCO",
        (
            *SHARED,
            "two passes over the photographs given, which may be fewer than COCO's 80,000",
            "total variation is a mean of squares in [0, 1] instead of half a sum of squares in [0, 255]: its weight "
            "17,000 is the same as 1e-6 at 256 pixels and batch 4",
        ),
        StyleTrainSpec(
            width="full",
            network="vgg16",
            content_layers={"relu3_3": 1.0},
            style_layers=STYLE_LAYERS,
            loss="gram",  # type: ignore[arg-type]  # a name is one with weight 1
            scale="tutorial",
            content_weight=1.0,
            style_weight=5.0,
            tv=17_000.0,
            size=256,
            style_size=256,
            augment=False,
            batch=4,
            rate=1e-3,
            schedule="constant",
            passes=2.0,
        ),
    ),
    "stylist": Published(
        "stylist",
        "The report Stylist: larger batches, a larger rate, fewer steps",
        "Stylist, progress report of Bilkent's CS-464: Johnson's network, losses of VGG-16, MS COCO 2014, batch 16, "
        "rate 0.0075, content 10, style 75, 1,600 iterations",
        (
            *SHARED,
            "the report names no layers and no units for this training: they are Johnson's, and content relu2_2, which "
            "it prefers when it optimises; no total variation, of which it says nothing",
            "the rate rises over 40 steps and falls as a cosine: constant, it drove whole parts of pictures into black",
        ),
        StyleTrainSpec(
            width="full",
            network="vgg16",
            content_layers={"relu2_2": 1.0},
            style_layers=STYLE_LAYERS,
            loss="gram",  # type: ignore[arg-type]
            scale="tutorial",
            content_weight=10.0,
            style_weight=75.0,
            tv=0.0,
            size=256,
            style_size=256,
            augment=False,
            batch=16,
            rate=7.5e-3,
            steps=1600,
        ),
    ),
}
"""The recipes by name. Without one, the defaults of ``StyleTrainSpec`` hold, which are artune's own."""


def find_training(name: str) -> Published[StyleTrainSpec]:
    """The recipe of a training of that name.

    Raises:
        UnknownNameError: with the names there are.
    """
    if name not in TRAINING_RECIPES:
        raise UnknownNameError("recipe of a training", name, TRAINING_RECIPES)
    return TRAINING_RECIPES[name]
