"""Model soups: one model whose weights are the mean of several trials' weights (Wortsman et al., ICML 2022).

A soup costs as much to run as one model. It helps where the trials were fine-tuned from the same weights; the mean of
networks that were trained from different starts is no better than chance, which the scores then show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from torch import Tensor

from segray.engine.checkpoint import (
    load_checkpoint,
    read_label_space,
    read_normalisation,
    read_weights,
    save_model,
)
from segray.errors import ConfigError, StorageError
from segray.files import check_new_folder
from segray.folder import Folder
from segray.inference.ensemble import best_models
from segray.inference.location import ModelLocation
from segray.inference.scorer import Scorer
from segray.inference.soup_record import SOUP_FILE, Gain, SoupRecord
from segray.models import SegmentationModel
from segray.objective import Objective

Method = Literal["greedy", "uniform"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)


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
    where: str
    """The size that the labels of both splits are resized to, in words; empty if they have their own size"""
    best_val: float | None
    """Score of the best trial on the validation images, measured here as the soup's"""
    val: float | None
    """Score of the soup on the validation images"""
    best_test: float | None
    """Score of the best trial on the test images; None without them"""
    test: float | None
    """Score of the soup on the test images; None without them"""

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


def check_place(to: Folder, data_root: str = "") -> None:
    """Check that a folder can take a model.

    Args:
        to: The folder.
        data_root: Folder of the data set, where no model may lie; empty if it is not known yet.

    Raises:
        StorageError: The folder has files, or lies in the data set or among a sweep's files.
    """
    if to.is_local:
        check_new_folder(Path(to.path), data_root)
    if to.exists() and to.names():
        raise StorageError(f"{to.path!r} has files already; choose another folder in --to")


def soup_members(run: Folder, k: int | None) -> tuple[list[ModelLocation], list[str]]:
    """Return the best trials of a run whose networks are that of the best one, and the better trials with others.

    Args:
        run: The run's folder.
        k: Number of trials; None for all.

    Raises:
        StorageError: There is no run, or it has no model.
        ConfigError: Fewer than two trials, or than ``k``, have the best one's network, or ``k`` is below 2.
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
    if k is not None and 2 <= len(found) < k:
        raise ConfigError(
            f"--top asks for {k} trials, but only {len(found)} have the network of trial {_id(ranked[0])}, the best; "
            f"give at most {len(found)}"
        )
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
        StorageError: A model is damaged, or the folder has files already or cannot be written; nothing is left then.
        ConfigError: The models' classes or normalisation differ.
    """
    check_place(to)
    _check_alike(members)
    model, config, label_space = load_checkpoint(members[0].folder)
    best_val, best_test = scorer.val(model), scorer.test(model)
    announce(f"trial {_id(members[0])}: {scorer.objective.label} {scorer.objective.shown(best_val)}")
    choose = _greedy if method == "greedy" else _uniform
    mean, chosen, tried = choose(model, members, scorer, best_val, announce)
    model.load_state_dict(mean)
    soup = Soup(
        objective=scorer.objective,
        method=method,
        ingredients=tuple(
            Ingredient(_id(location), _recorded(location, scorer.objective), tried.get(index), index in chosen)
            for index, location in enumerate(members)
        ),
        left_out=tuple(left_out),
        where=scorer.where,
        best_val=best_val,
        val=tried[chosen[-1]] if len(chosen) > 1 else best_val,
        best_test=best_test,
        test=scorer.test(model) if len(chosen) > 1 else best_test,
    )
    try:
        save_model(to, mean, config, label_space, model.normalisation)
        to.write_json(SOUP_FILE, _record(soup, members[0]).model_dump(mode="json"))
    except BaseException:
        # Part of a model would take the place of the next attempt.
        to.delete()
        raise
    return soup


class MeanWeights:
    """The mean of state dicts, of which only the sum is kept; counters, as of BatchNorm, are the first's.

    Args:
        first: The first state dict.
    """

    def __init__(self, first: Mapping[str, Tensor]) -> None:
        self._first, self._count = first, 1
        self._sums = {name: tensor.double() for name, tensor in first.items() if tensor.is_floating_point()}

    def add(self, weights: Mapping[str, Tensor]) -> None:
        """Take another state dict in."""
        self._count += 1
        self._sums = {name: total + weights[name] for name, total in self._sums.items()}

    def mean(self, another: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Return the mean, with another state dict if one is given."""
        count = self._count + (another is not None)
        means = {
            name: (total if another is None else total + another[name]) / count for name, total in self._sums.items()
        }
        return {name: means[name].to(tensor.dtype) if name in means else tensor for name, tensor in self._first.items()}


_Choice = tuple[dict[str, Tensor], list[int], dict[int, float | None]]
"""The mean weights, the indices of the chosen trials, and index -> validation score of the soup with that trial"""


def _uniform(
    model: SegmentationModel,
    members: Sequence[ModelLocation],
    scorer: Scorer,
    best: float | None,  # noqa: ARG001 - the greedy soup needs it
    announce: Callable[[str], None],
) -> _Choice:
    found = MeanWeights(read_weights(members[0].folder))
    for location in members[1:]:
        found.add(read_weights(location.folder))
    model.load_state_dict(found.mean())
    score = scorer.val(model)
    announce(f"mean of {len(members)} trials: {scorer.objective.label} {scorer.objective.shown(score)}")
    return found.mean(), list(range(len(members))), {len(members) - 1: score}


def _greedy(
    model: SegmentationModel,
    members: Sequence[ModelLocation],
    scorer: Scorer,
    best: float | None,
    announce: Callable[[str], None],
) -> _Choice:
    objective, chosen, tried = scorer.objective, [0], {0: best}
    found = MeanWeights(read_weights(members[0].folder))
    for index, location in enumerate(members[1:], start=1):
        weights = read_weights(location.folder)
        model.load_state_dict(found.mean(weights))
        tried[index] = scorer.val(model)
        is_kept = objective.rank(tried[index]) >= objective.rank(best)
        if is_kept:
            found.add(weights)
            chosen.append(index)
            best = tried[index]
        announce(
            f"with trial {_id(location)}: {objective.label} {objective.shown(tried[index])}, "
            f"{'kept' if is_kept else 'left out'}"
        )
    return found.mean(), chosen, tried


def _check_alike(members: Sequence[ModelLocation]) -> None:
    for location in members:
        for what, read in (("classes", read_label_space), ("normalisation of photos", read_normalisation)):
            if read(location.folder) != read(members[0].folder):
                raise ConfigError(
                    f"the trials of a soup must have the same {what}, but those of trial {_id(members[0])} and trial "
                    f"{_id(location)} differ; average their predictions with --ensemble instead"
                )


def _network(location: ModelLocation) -> object:
    """Return what decides a network's shape; where its weights come from does not."""
    config = location.folder.read_json("config.json")
    model = dict(config.get("model", {})) if isinstance(config, dict) else {}
    return {key: value for key, value in model.items() if key not in ("encoder_weights", "weights")}


def _id(location: ModelLocation) -> str:
    assert location.trial is not None
    return location.trial.id


def _recorded(location: ModelLocation, objective: Objective) -> float | None:
    assert location.pointer is not None
    return location.pointer.record.scores.get(objective.name)


def _record(soup: Soup, best: ModelLocation) -> SoupRecord:
    return SoupRecord(
        run=best.sweep.name if best.sweep else "",
        method=soup.method,
        objective=soup.objective.name,
        trials=tuple(ingredient.trial for ingredient in soup.ingredients if ingredient.is_in),
        val=Gain(best_trial=soup.best_val, soup=soup.val),
        test=Gain(best_trial=soup.best_test, soup=soup.test),
        batch_norm="averaged",
    )
