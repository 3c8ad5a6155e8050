"""Self-contained HTML pages: pictures and charts are part of the file."""

import base64
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from artune.images.picture import Picture
from artune.images.write import encoded


def page(package: str, template: str, **values: Any) -> str:
    """An HTML page from a template.

    Args:
        package: whose folder ``templates`` holds the template; ``base.css``, which it may include, is here.
        template: name of the file.
        values: the template's variables; pictures by ``picture_uri``, charts by ``drawing``.
    """

    def source(name: str) -> str | None:
        for home in (package, "artune.report"):
            file = resources.files(home) / "templates" / name
            if file.is_file():
                return file.read_text(encoding="utf-8")
        return None

    environment = Environment(
        loader=FunctionLoader(source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


def picture_uri(picture: Picture, longer: int | None = None) -> str:
    """A picture as a data URI (JPEG), reduced to the longer side ``longer`` where it is larger."""
    small = picture if longer is None else picture.reduced(longer)
    bare = Picture(small.pixels, small.alpha)
    return "data:image/jpeg;base64," + base64.b64encode(encoded(bare, ".jpg")).decode()


def drawing(svg: str) -> Markup:
    """A chart as part of the page, which is not escaped: for charts of ``artune.report.charts`` alone."""
    return Markup(svg[svg.index("<svg") :])
