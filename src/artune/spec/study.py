"""What a study asks for: which pictures are made, from which photographs and paintings, at which weights."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from artune.files import expanded
from artune.spec.style import Model, StyleSpec

UserPath = Annotated[Path, AfterValidator(expanded)]
"""A path; ``~`` is the user's home."""

SIZE = 128
"""Default longer side of a study's results, pixels."""


class Example(Model):
    """A picture of a known class."""

    file: UserPath
    """Where it is."""
    label: str
    """Its class: the name of its folder."""


class RunSpec(Model):
    """One picture to be made."""

    content: Example
    """The photograph."""
    style: Example
    """The painting."""
    spec: StyleSpec
    """How the photograph is styled."""


class StudySpec(Model):
    """A class study: photographs and paintings of known classes, every pair of them styled at every weight.

    The weights are either ``strengths`` or ``ratios``.
    """

    contents: UserPath
    """Photographs: a folder with a folder for each class."""
    styles: UserPath
    """Paintings: a folder with a folder for each class."""
    per_class: Annotated[int, Field(ge=1)] | None = None
    """Photographs, and paintings, of each class; default: all."""
    styles_per_class: Annotated[int, Field(ge=1)] | None = None
    """Paintings of each class; default: as `per_class`."""
    choice: Annotated[int, Field(ge=0)] = 0
    """Seed of the choice of pictures."""
    strengths: Annotated[tuple[float, ...], Field(min_length=1)] | None = None
    """Strengths, between 0 and 1."""
    ratios: Annotated[tuple[tuple[float, float], ...], Field(min_length=1)] | None = None
    """Pairs of style weight and content weight, in the units of the spec's scale."""
    spec: StyleSpec = StyleSpec(size=SIZE)
    """What all pictures share."""
    weights: UserPath | None = None
    """File with the network's weights; default: the published ones."""

    @model_validator(mode="after")
    def _weights_given(self) -> Self:
        if (self.strengths is None) == (self.ratios is None):
            raise ValueError("give either `strengths` such as 0.1,0.5,0.9 or `ratios` such as 1e4,1e5")
        _ = self.size  # raises
        return self

    @property
    def size(self) -> int:
        """Longer side of the results, pixels."""
        if self.spec.size == "original":
            raise ValueError("the results of a study are of one size; give `size` in pixels")
        return self.spec.size
