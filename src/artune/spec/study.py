"""What an experiment asks for: pictures of classes, each to be made in one way."""

from pathlib import Path

from artune.spec.style import Model, StyleSpec


class Example(Model):
    """A picture of a class."""

    file: Path
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
    """How."""
