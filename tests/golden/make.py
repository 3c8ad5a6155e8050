"""Make the golden pictures anew: python -m tests.golden.make. Look at them before they are committed."""

from pathlib import Path

from artune.api import style
from artune.assets import sample_photo, sample_style
from artune.images.picture import Picture
from artune.images.write import write_picture
from artune.spec.style import Instant, Optimise, StyleSpec

HERE = Path(__file__).parent
CASES = {
    "default": StyleSpec(size=192, strength=0.5, precision="fp32"),
    "instant": StyleSpec(size=192, strength=0.5, precision="fp32", method=Instant()),
    "w2-adam": StyleSpec(
        size=96, strength=0.5, precision="fp32", method=Optimise(start="content", steps=40, optimiser="adam")
    ),
    "gram-lbfgs": StyleSpec(
        size=96,
        strength=0.5,
        precision="fp32",
        method=Optimise(start="content", steps=40, loss="gram", optimiser="lbfgs"),
    ),
}


def render(name: str) -> Picture:
    return style(sample_photo("cat"), sample_style("strokes"), spec=CASES[name]).picture


def main() -> None:
    for name in CASES:
        write_picture(render(name), HERE / f"{name}.png")


if __name__ == "__main__":
    main()
