"""The scores of the Cityscapes benchmark: IoU and instance-weighted IoU (iIoU) of classes and categories.

Source: Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016, and the official
evaluator, evaluation/evalPixelLevelSemanticLabeling.py of the package cityscapesscripts. iIoU weighs the pixels of each
labelled instance by the mean size of its class over the size of the instance, so that far and near ones count alike.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segray.data.datasets.cityscapes import CATEGORIES, LABELS
from segray.data.files.decode import damage_error
from segray.errors import DataError
from segray.foreign import PICTURE_DAMAGE
from segray.inference.scores.image import JudgedImage
from segray.labels import IGNORE_INDEX, LabelSpace
from segray.metrics import confusion_matrix
from segray.split_scores import BenchmarkScores

MEAN_PIXELS: Final[dict[str, float]] = {
    "person": 3462.4756337644,
    "rider": 3930.4788056518,
    "car": 12794.0202738185,
    "truck": 27855.1264367816,
    "bus": 35732.1511111111,
    "train": 67583.7075812274,
    "motorcycle": 6298.7200839748,
    "bicycle": 4672.3249222261,
}
"""Class whose instances are labelled -> mean size of an instance, from the official evaluator"""

WITH_INSTANCES: Final = ("human", "vehicle")
"""Categories all of whose classes have instances"""

CATEGORY_OF: Final = {label_id: name for name, ids in CATEGORIES.items() for label_id in ids}
IS_JUDGED: Final = np.array([train_id != IGNORE_INDEX for _, _, train_id, _ in LABELS])
"""Whether the benchmark judges pixels of a label id"""
NOTE: Final = (
    "As the official evaluator counts: a class that is predicted but not labelled has an IoU of 0 and is in the mean."
)
WITHOUT_INSTANCES: Final = " There is no iIoU, because not every label file has its *_instanceIds.png beside it."


class CityscapesScores:
    """Counts pixels by label id, and the weighted pixels of instances.

    Args:
        label_ids: The label id of each class, in the order of training ids.
    """

    def __init__(self, label_ids: list[int]) -> None:
        self._label_ids = np.array(label_ids)
        self._confusion = np.zeros((len(LABELS),) * 2, np.int64)
        self._hits: dict[str, float] = dict.fromkeys((*MEAN_PIXELS, *WITH_INSTANCES), 0.0)
        self._misses = dict(self._hits)
        self._has_instances = True

    @classmethod
    def of(cls, label_space: LabelSpace) -> Self | None:
        """Return the scores for these classes; None if one of them is no class of Cityscapes."""
        ids = {name: label_id for label_id, name, _, _ in LABELS}
        is_known = set(label_space.names) <= set(ids)
        return cls([ids[name] for name in label_space.names]) if is_known else None

    def add(self, image: JudgedImage) -> None:
        """Count an image; its instances are read from the file beside its label."""
        found = confusion_matrix(image.predicted_HW, image.judged_HW, len(self._label_ids)).cpu().numpy()
        self._confusion[np.ix_(self._label_ids, self._label_ids)] += found
        path = instance_file(image.pair.label)
        self._has_instances = self._has_instances and path is not None
        if path is not None and self._has_instances:
            self._add_instances(self._label_ids[image.predicted_array], read_instances(path, image.judged_array.shape))

    def _add_instances(self, predicted: NDArray[np.int64], instances: NDArray[np.int64]) -> None:
        """Count the hits and misses of each instance.

        Args:
            predicted: Label ids, (H, W).
            instances: 1000 times the label id plus the number of the instance, (H, W); below 1000 without instances.
        """
        is_part = instances > 1000
        # By instance and predicted id at once, because a look at the whole image for each instance takes seconds.
        pairs, counts = np.unique(instances[is_part] * 256 + predicted[is_part], return_counts=True)
        for instance in np.unique(pairs // 256):
            ids, pixels = pairs[pairs // 256 == instance] % 256, counts[pairs // 256 == instance]
            label_id = int(instance) // 1000
            name = LABELS[label_id][1] if label_id < len(LABELS) else ""
            if name not in MEAN_PIXELS:
                continue
            weight = MEAN_PIXELS[name] / pixels.sum()
            category = CATEGORIES[CATEGORY_OF[label_id]]
            in_category = np.isin(ids, list(category))
            for group, is_hit in ((name, ids == label_id), (CATEGORY_OF[label_id], in_category)):
                self._hits[group] += weight * float(pixels[is_hit].sum())
                self._misses[group] += weight * float(pixels[~is_hit].sum())

    def result(self) -> BenchmarkScores:
        """Return IoU and iIoU of classes and categories, and their means."""
        classes = {name: [label_id] for label_id, name, train_id, _ in LABELS if train_id != IGNORE_INDEX}
        categories = {name: list(ids) for name, ids in CATEGORIES.items() if name != "void"}
        rows = {f"class {name}": self._row(name, ids) for name, ids in classes.items()}
        rows |= {f"category {name}": self._row(name, ids) for name, ids in categories.items()}
        summary = {
            f"{kind} {score}": _mean([row[score] for name, row in rows.items() if name.startswith(kind)])
            for kind in ("class", "category")
            for score in ("IoU", "iIoU")
        }
        note = NOTE if self._has_instances else NOTE + WITHOUT_INSTANCES
        return BenchmarkScores(title="Cityscapes", note=note, summary=summary, table=rows)

    def _row(self, name: str, ids: list[int]) -> dict[str, float | None]:
        own = [label_id for label_id in ids if IS_JUDGED[label_id]]
        others = [label_id for label_id, _, _, _ in LABELS if IS_JUDGED[label_id] and label_id not in ids]
        hits = float(self._confusion[np.ix_(own, own)].sum())
        misses = float(self._confusion[own].sum()) - hits
        weighted = (self._hits[name], self._misses[name]) if name in self._hits and self._has_instances else None
        # For iIoU of a category, predictions of its classes that are not judged count too, as in the evaluator.
        return {
            "IoU": _iou(hits, misses, self._confusion[np.ix_(others, own)].sum()),
            "iIoU": None if weighted is None else _iou(*weighted, self._confusion[np.ix_(others, ids)].sum()),
        }


def instance_file(label: Path) -> Path | None:
    """Return the file of instance ids beside a file of label ids; None if there is none."""
    path = label.with_name(label.name.replace("labelIds", "instanceIds"))
    return path if path != label and path.exists() else None


def read_instances(path: Path, size_px: tuple[int, ...]) -> NDArray[np.int64]:
    """Read a file of instance ids, (H, W).

    Raises:
        DataError: The file does not decode, or has another size than the label.
    """
    try:
        with Image.open(path) as image:
            instances = np.asarray(image).astype(np.int64)
    except PICTURE_DAMAGE as error:
        raise damage_error(path, error) from None
    if instances.shape != size_px:
        raise DataError(f"{path}: instance ids must have their label's size {size_px}, but have {instances.shape}")
    return instances


def _iou(hits: float, misses: float, false_alarms: float) -> float | None:
    union = hits + misses + float(false_alarms)
    return hits / union if union else None


def _mean(scores: list[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else None
