"""Self-contained HTML pages: pictures and charts are inside the file."""

import base64
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from artune.images.picture import Picture
from artune.images.write import encoded


def page(template: str, **values: Any) -> str:
    """A page from a template of ``report/templates``.

    Args:
        template: its file.
        values: what the template names; pictures by :func:`picture_uri`, charts by :func:`drawing`.
    """

    def source(name: str) -> str:
        return (resources.files("artune.report") / "templates" / name).read_text(encoding="utf-8")

    environment = Environment(
        loader=FunctionLoader(source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


def picture_uri(picture: Picture, longer: int | None = None) -> str:
    """A picture as a JPEG inside an address; with ``longer``, reduced to that longer side where it is larger."""
    width, height = picture.size
    if longer is not None and max(width, height) > longer:
        scale = longer / max(width, height)
        picture = picture.resized(max(1, round(width * scale)), max(1, round(height * scale)))
    bare = Picture(picture.pixels, picture.alpha)
    return "data:image/jpeg;base64," + base64.b64encode(encoded(bare, ".jpg")).decode()


def drawing(svg: str) -> Markup:
    """A chart of ours, put into the page as it is."""
    return Markup(svg[svg.index("<svg") :])
