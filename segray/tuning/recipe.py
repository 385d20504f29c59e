"""The first trial of a sweep that starts from a recipe: its values follow from the base config."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import optuna

from segray.config import DataConfig, RunConfig
from segray.errors import ConfigError, DataError, listed, unknown_name
from segray.recipes import RECIPES, Recipe
from segray.tuning.space import Choice, Distribution, Space, contains, describe, draw_from


def recipe_values(space: Space, base: RunConfig) -> dict[str, object]:
    """Return the recipe's values for the searched keys, including keys that depend on earlier choices.

    Args:
        space: The search space.
        base: The recipe's config.

    Raises:
        ConfigError: The space cannot draw one of the values, or returns a value that is not the recipe's.
    """
    trial = _RecipeTrial(base)
    draw = draw_from(space, trial)  # type: ignore[arg-type]
    before, now = base.flat(), base.with_values(draw.values).flat()
    changed = [f"{key}: {before[key]!r}, but {now[key]!r} returned" for key in now if before[key] != now[key]]
    if changed:
        raise ConfigError(
            "the first trial must be the recipe, but the space returns other values than the recipe's; return these "
            f"only with other drawn values, or suggest them:{listed(changed)}"
        )
    return dict(draw.drawn)


class _RecipeTrial:
    """A trial whose every suggestion is the value of a config."""

    def __init__(self, base: RunConfig) -> None:
        self._values = base.flat()
        self._trial = optuna.trial.FixedTrial(self._values)

    def __getattr__(self, name: str) -> object:
        # A space may ask its trial for more than values, such as the parameters drawn so far.
        return getattr(self._trial, name)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        self._check(name, optuna.distributions.FloatDistribution(low, high, log=log, step=step))
        return self._trial.suggest_float(name, low, high, step=step, log=log)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        self._check(name, optuna.distributions.IntDistribution(low, high, log=log, step=step))
        return self._trial.suggest_int(name, low, high, step=step, log=log)

    def suggest_categorical(self, name: str, choices: Sequence[Choice]) -> Choice:
        self._check(name, optuna.distributions.CategoricalDistribution(choices))
        return self._trial.suggest_categorical(name, choices)

    def _check(self, name: str, distribution: Distribution) -> None:
        if name not in self._values:
            raise ConfigError(unknown_name("config key", name, self._values))
        if not contains(distribution, self._values[name]):
            raise ConfigError(
                f"the recipe's {name} is {self._values[name]!r}, but the space draws it as {describe(distribution)}; "
                "widen the space"
            )


@contextmanager
def naming_recipe(name: str, data: DataConfig) -> Iterator[None]:
    """Add to an error on data: the data set that the recipe is for, and the folder that it needs.

    An error on another option of the recipe's own data set, such as a class list, stays as it is.

    Args:
        name: Name of the recipe; errors stay as they are if it is empty or not published.
        data: The data that is opened.
    """
    try:
        yield
    except (ConfigError, DataError) as error:
        is_folder = isinstance(error, DataError) or not data.root
        if name not in RECIPES or not (is_folder or RECIPES[name].dataset != data.dataset):
            raise
        message = f"{error}\n{_needed(RECIPES[name], data.dataset)}"
        if isinstance(error, DataError):
            raise DataError(message, error.problems) from None
        raise ConfigError(message) from None


def _needed(recipe: Recipe, dataset: str) -> str:
    # It imports OpenCV and scikit-learn, which would delay the error on a wrong option.
    from segray.data.datasets import dataset_kind

    layout = (dataset_kind(dataset).__doc__ or "").split("\n")[0]
    other = "" if dataset == recipe.dataset else f", and this run is on {dataset}"
    return (
        f"recipe {recipe.name!r} is for the data set {recipe.dataset}{other}: --data must hold {layout} "
        f"docs/datasets/{dataset}.md has more."
    )
