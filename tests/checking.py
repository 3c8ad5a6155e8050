"""The check of types that the tests put around every function of the package."""

from typing import Any, Self

import typer
from beartype import BeartypeConf, FrozenDict, beartype

check_types = beartype(
    conf=BeartypeConf(
        is_pep484_tower=True,  # an int will do for a float, as for mypy
        hint_overrides=FrozenDict(
            {
                Self: Any,  # beartype knows it in classes that it decorates as a whole, and is given functions
                typer.Context: Any,  # typer itself hands over a parent class of it
            }
        ),
    )
)
"""As mypy, at run time; given to jaxtyping, which has it check shapes too."""
