"""``artune recipes``: the settings that others published, for ``artune style --recipe``."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from artune.recipes import Published


def recipes(
    name: Annotated[str | None, typer.Argument(help="Recipe that is shown in full.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show published recipes: their sources, what they set, and where they depart from the source."""
    from artune.recipes import find_recipe, published
    from artune.spec.style import optimise_of

    chosen = list(published().values()) if name is None else [find_recipe(name)]
    if as_json:
        typer.echo(json.dumps([_plain(recipe) for recipe in chosen]))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if name is None:
        table = Table("recipe", "network", "what it is", "source")
        for recipe in chosen:
            table.add_row(recipe.name, optimise_of(recipe.spec).network, recipe.title, recipe.source)
        table.caption = "artune recipes NAME shows all of one; artune style ... --recipe NAME uses it"
        console.print(table)
        return
    import yaml

    (recipe,) = chosen
    console.print(f"[bold]{recipe.name}[/bold]: {recipe.title}\nSource: {recipe.source}\nDepartures:", highlight=False)
    for departure in recipe.departures:
        console.print(f"  - {departure}", highlight=False, markup=False)
    typer.echo(yaml.safe_dump(_plain(recipe)["spec"], sort_keys=False).rstrip())


def _plain(recipe: "Published") -> dict[str, Any]:
    spec = recipe.spec.model_dump(mode="json", exclude_unset=True)
    return {
        "name": recipe.name,
        "title": recipe.title,
        "source": recipe.source,
        "departures": list(recipe.departures),
        "spec": spec,
    }
