"""Model soups: one model whose weights are the mean of several trials' weights (Wortsman et al., ICML 2022).

A soup costs as much to run as one model. It helps where the trials were fine-tuned from the same weights; the mean of
networks that were trained from different starts is no better than chance, which the scores then show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import torch
from torch import Tensor

from segray.engine.checkpoint import load_checkpoint, save_model
from segray.errors import ConfigError, StorageError
from segray.folder import Folder
from segray.inference.ensemble import best_models
from segray.inference.location import ModelLocation
from segray.inference.scorer import Scorer
from segray.labels import LabelSpace
from segray.models import SegmentationModel
from segray.objective import Objective

Method = Literal["greedy", "uniform"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)

SOUP_FILE: Final = "soup.json"
"""File in the folder of a soup that says what it was made of"""


@dataclass(frozen=True)
class Ingredient:
    """A trial that a soup was offered."""

    trial: str
    recorded: float | None
    """Its validation score when it was trained, by the sweep's objective"""
    tried: float | None
    """Validation score of the soup with it; None if that was not measured"""
    is_in: bool


@dataclass(frozen=True)
class Soup:
    """A soup, and what it gained over the best of its trials. Scores are by the sweep's objective."""

    objective: Objective
    method: Method
    ingredients: tuple[Ingredient, ...]
    """The best trial first"""
    left_out: tuple[str, ...]
    """Trials with another network than the best one"""
    best_val: float | None
    """Score of the best trial, measured here as the soup's"""
    val: float | None
    best_test: float | None
    """None without test images"""
    test: float | None

    @property
    def num_in(self) -> int:
        """Number of trials whose weights the soup averages."""
        return sum(ingredient.is_in for ingredient in self.ingredients)


def parse_method(method: str) -> Method:
    """Return the method of a name.

    Raises:
        ConfigError: There is no such method.
    """
    if method not in METHODS:
        raise ConfigError(f"--method must be {' or '.join(METHODS)}, but got {method!r}")
    return method


def check_empty(to: Folder) -> None:
    """Check that a folder can take a model.

    Raises:
        StorageError: The folder has files.
    """
    if to.exists() and to.names():
        raise StorageError(f"{to.path!r} has files already; choose another folder in --to")


def soup_members(run: Folder, k: int | None) -> tuple[list[ModelLocation], list[str]]:
    """Return the best trials of a run whose networks are that of the best one, and the better trials with others.

    Args:
        run: The run's folder.
        k: Number of trials; None for all.

    Raises:
        StorageError: There is no run, or it has no model.
        ConfigError: Fewer than two trials have the best one's network, or ``k`` is below 2.
    """
    if k is not None and k < 2:
        raise ConfigError(f"--top must be at least 2, since a soup is a mean of several trials, but got {k}")
    found: list[ModelLocation] = []
    others: list[ModelLocation] = []
    ranked = best_models(run)
    first = _network(ranked[0])
    for location in ranked:
        if k is not None and len(found) == k:
            break
        (found if _network(location) == first else others).append(location)
    if len(found) < 2:
        raise ConfigError(
            f"a soup needs two trials with one network, but trial {_id(ranked[0])}, the best, has the only model of "
            "its section `model`; make a sweep that searches other keys, or average predictions with --ensemble"
        )
    return found, [_id(location) for location in others]


def make_soup(
    members: Sequence[ModelLocation],
    left_out: Sequence[str],
    method: Method,
    scorer: Scorer,
    to: Folder,
    announce: Callable[[str], None] = print,
) -> Soup:
    """Average the weights of trials, score the result, and write it as a model folder.

    The uniform soup averages all trials. The greedy soup goes through them, the best first, and keeps each one that
    does not lower the validation score. BatchNorm statistics are averaged like weights.

    Args:
        members: Trials of one network, the best first.
        left_out: Ids of trials that have other networks.
        method: How trials are chosen.
        scorer: Scores models on the run's data.
        to: The folder to write.
        announce: Called with a line for each model that is scored.

    Raises:
        StorageError: A model is damaged, or the folder has files already or cannot be written.
        ConfigError: The models' classes or normalisation differ.
    """
    check_empty(to)
    loaded = [load_checkpoint(location.folder) for location in members]
    models = [model for model, _, _ in loaded]
    label_space = loaded[0][2]
    _check_alike(members, models, [label_space for _, _, label_space in loaded])
    best_val, best_test = scorer.val(models[0]), scorer.test(models[0])
    announce(f"trial {_id(members[0])}: {scorer.objective.label} {scorer.objective.shown(best_val)}")
    weights = [_on_cpu(model.state_dict()) for model in models]
    model = models[0]
    choose = _greedy if method == "greedy" else _uniform
    chosen, tried = choose(model, weights, scorer, best_val, [_id(location) for location in members], announce)
    mean = mean_weights([weights[index] for index in chosen])
    model.load_state_dict(mean)
    soup = Soup(
        objective=scorer.objective,
        method=method,
        ingredients=tuple(
            Ingredient(_id(location), _recorded(location, scorer.objective), tried.get(index), index in chosen)
            for index, location in enumerate(members)
        ),
        left_out=tuple(left_out),
        best_val=best_val,
        val=tried[chosen[-1]] if len(chosen) > 1 else best_val,
        best_test=best_test,
        test=scorer.test(model) if len(chosen) > 1 else best_test,
    )
    save_model(to, mean, loaded[0][1], label_space, model.normalisation)
    to.write_json(SOUP_FILE, _as_json(soup, members[0]))
    return soup


def mean_weights(weights: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of state dicts; counters, such as BatchNorm's number of batches, are the first's."""
    first, *_ = weights
    return {name: _mean([item[name] for item in weights]) for name in first}


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    first = tensors[0]
    if not first.is_floating_point():
        return first
    return torch.stack([tensor.double() for tensor in tensors]).mean(dim=0).to(first.dtype)


_Choice = tuple[list[int], dict[int, float | None]]
"""Indices of the chosen trials, and index -> validation score of the soup with that trial"""


def _uniform(
    model: SegmentationModel,
    weights: Sequence[Mapping[str, Tensor]],
    scorer: Scorer,
    best: float | None,  # noqa: ARG001 - the greedy soup needs it
    ids: Sequence[str],
    announce: Callable[[str], None],
) -> _Choice:
    model.load_state_dict(mean_weights(weights))
    score = scorer.val(model)
    announce(f"mean of {len(ids)} trials: {scorer.objective.label} {scorer.objective.shown(score)}")
    return list(range(len(weights))), {len(weights) - 1: score}


def _greedy(
    model: SegmentationModel,
    weights: Sequence[Mapping[str, Tensor]],
    scorer: Scorer,
    best: float | None,
    ids: Sequence[str],
    announce: Callable[[str], None],
) -> _Choice:
    objective, chosen, tried = scorer.objective, [0], {0: best}
    for index in range(1, len(weights)):
        model.load_state_dict(mean_weights([weights[item] for item in (*chosen, index)]))
        tried[index] = scorer.val(model)
        is_kept = objective.rank(tried[index]) >= objective.rank(best)
        if is_kept:
            chosen.append(index)
            best = tried[index]
        announce(
            f"with trial {ids[index]}: {objective.label} {objective.shown(tried[index])}, "
            f"{'kept' if is_kept else 'left out'}"
        )
    return chosen, tried


def _check_alike(
    members: Sequence[ModelLocation], models: Sequence[SegmentationModel], label_spaces: Sequence[LabelSpace]
) -> None:
    for location, model, label_space in zip(members, models, label_spaces, strict=True):
        for what, here, first in (
            ("classes", label_space, label_spaces[0]),
            ("normalisation of photos", model.normalisation, models[0].normalisation),
        ):
            if here != first:
                raise ConfigError(
                    f"the trials of a soup must have the same {what}, but those of trial {_id(members[0])} and trial "
                    f"{_id(location)} differ; average their predictions with --ensemble instead"
                )


def _network(location: ModelLocation) -> object:
    """Return what decides a network's shape; where its weights come from does not."""
    config = location.folder.read_json("config.json")
    model = dict(config.get("model", {})) if isinstance(config, dict) else {}
    return {key: value for key, value in model.items() if key not in ("encoder_weights", "weights")}


def _on_cpu(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}


def _id(location: ModelLocation) -> str:
    assert location.trial is not None
    return location.trial.id


def _recorded(location: ModelLocation, objective: Objective) -> float | None:
    assert location.pointer is not None
    return location.pointer.record.scores.get(objective.name)


def _as_json(soup: Soup, best: ModelLocation) -> dict[str, object]:
    return {
        "run": best.sweep.name if best.sweep else "",
        "method": soup.method,
        "objective": soup.objective.name,
        "trials": [ingredient.trial for ingredient in soup.ingredients if ingredient.is_in],
        "val": {"best_trial": soup.best_val, "soup": soup.val},
        "test": {"best_trial": soup.best_test, "soup": soup.test},
        "batch_norm": "averaged",
    }
