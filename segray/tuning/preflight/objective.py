"""Checks of the objective: every trial must have the score, and the scores of all trials must be comparable."""

from __future__ import annotations

from collections.abc import Sequence

from segray.config import RunConfig
from segray.config.keys import values_deciding
from segray.config.mark import Decides
from segray.data.preparation import PreparedData
from segray.errors import ConfigError, unknown_name
from segray.objective import CLASS_IOU, MIOU, Objective

LOSS = "val_loss"
ON_CLUSTERS = ("val_cluster_accuracy", "val_cluster_miou")


def check_comparable_scores(objective: Objective, configs: Sequence[RunConfig]) -> None:
    """Refuse an objective that has another meaning in other trials of the space.

    Raises:
        ConfigError: The objective is the loss and the loss is searched, or both depend on training targets that vary.
    """
    meanings = [_meaning(objective, config) for config in configs]
    varied = [key for key, value in meanings[0].items() if any(other[key] != value for other in meanings)]
    if varied:
        raise ConfigError(
            f"--objective {objective.name} cannot compare trials that differ in {', '.join(varied)}: the score means "
            f"another thing in each; search other keys, or choose another objective, such as {MIOU.name}"
        )


def check_has_score(objective: Objective, data: PreparedData) -> None:
    """Check that the validation labels give the objective a value.

    Raises:
        ConfigError: No validation image has the objective's class, or the model is not trained on clusters.
    """
    name = objective.name.removeprefix(CLASS_IOU)
    if objective.name.startswith(CLASS_IOU) and name not in data.scored_space.names:
        raise ConfigError(unknown_name("class in --objective", name, data.scored_space.names))
    if objective.name.startswith(CLASS_IOU) and name not in data.val_classes:
        raise ConfigError(
            f"--objective {objective.name} needs a validation image with {name}, but none has it; choose one of "
            f"{', '.join(data.val_classes)}, or put such images into validation"
        )
    if objective.name in ON_CLUSTERS and not data.scoring.differs:
        raise ConfigError(
            f"--objective {objective.name} needs a model that is trained on K-Means clusters, but this one is trained "
            f"on the classes themselves; choose {MIOU.name}"
        )


def _meaning(objective: Objective, config: RunConfig) -> dict[str, object]:
    """Return the values that decide what the score means, by dotted key; none if it means the same in all trials."""
    targets = values_deciding(config.data, Decides.TARGETS)
    if objective.name == LOSS:
        return {f"loss.{name}": value for name, value in config.loss} | targets
    return targets if objective.name in ON_CLUSTERS else {}
