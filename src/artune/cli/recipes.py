"""``artune recipes``: the settings that others published, for ``--recipe`` of ``artune style`` and ``artune train``."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from artune.recipes import Published
    from artune.spec.style import StyleSpec
    from artune.spec.train_style import StyleTrainSpec

    AnyRecipe = Published[StyleSpec] | Published[StyleTrainSpec]


def recipes(
    name: Annotated[str | None, typer.Argument(help="Recipe that is shown in full.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show published recipes: their sources, what they set, and where they depart from the source."""
    from artune.recipes import find_recipe, published
    from artune.recipes.training import TRAINING_RECIPES

    chosen: list[AnyRecipe] = [*published().values(), *TRAINING_RECIPES.values()]
    if name is not None:
        chosen = [TRAINING_RECIPES[name] if name in TRAINING_RECIPES else find_recipe(name)]
    if as_json:
        typer.echo(json.dumps([_plain(recipe) for recipe in chosen]))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if name is None:
        table = Table("recipe", "for", "network", "what it is", "source")
        for recipe in chosen:
            table.add_row(recipe.name, command_of(recipe), network_of(recipe), recipe.title, recipe.source)
        table.caption = "artune recipes NAME shows all of one; artune style or train ... --recipe NAME uses it"
        console.print(table)
        return
    import yaml

    (recipe,) = chosen
    console.print(f"[bold]{recipe.name}[/bold]: {recipe.title}\nSource: {recipe.source}\nDepartures:", highlight=False)
    for departure in recipe.departures:
        console.print(f"  - {departure}", highlight=False, markup=False)
    typer.echo(yaml.safe_dump(_plain(recipe)["spec"], sort_keys=False).rstrip())


def command_of(recipe: "AnyRecipe") -> str:
    """The command whose recipe it is."""
    from artune.spec.style import StyleSpec

    return "style" if isinstance(recipe.spec, StyleSpec) else "train"


def network_of(recipe: "AnyRecipe") -> str:
    """The name of its loss network."""
    from artune.spec.style import StyleSpec, optimise_of

    return optimise_of(recipe.spec).network if isinstance(recipe.spec, StyleSpec) else recipe.spec.network


def _plain(recipe: "AnyRecipe") -> dict[str, Any]:
    spec = recipe.spec.model_dump(mode="json", exclude_unset=True)
    return {
        "name": recipe.name,
        "for": command_of(recipe),
        "title": recipe.title,
        "source": recipe.source,
        "departures": list(recipe.departures),
        "spec": spec,
    }
