"""``segray recipes``: list the published systems that a run or a study can start from."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(invoke_without_command=True, add_completion=False)


@app.callback()
def table(context: typer.Context) -> None:
    """List the published systems; `show` prints a recipe as a config with the source of every value."""
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console
    from rich.table import Table

    from segray.recipes import RECIPES

    listed = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("recipe", "data set", "model"):
        listed.add_column(column, no_wrap=True)
    listed.add_column("summary")
    for recipe in RECIPES.values():
        listed.add_row(recipe.name, recipe.dataset, recipe.config.model.name, recipe.summary)
    Console(highlight=False).print(listed)


@app.command()
def show(name: Annotated[str, typer.Argument(metavar="NAME", help="A recipe, such as kitti_fcn8s")]) -> None:
    """Print a recipe as YAML for `segray config` and `segray train --config`."""
    from segray.recipes import find_recipe, recipe_yaml

    print(recipe_yaml(find_recipe(name)), end="")
