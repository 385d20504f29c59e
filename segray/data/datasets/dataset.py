"""An open data set: its classes, its files, and the reader that decodes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from segray.data.datasets.scoring import Scoring, by_classes_of_training
from segray.data.datasets.unused_files import Unused, unused_in_short
from segray.data.files.pair import MISSING, Pair, normal
from segray.data.files.readers import Reader
from segray.errors import ConfigError, DataError, listed, unknown_name
from segray.labels import LabelSpace

Split = Literal["train", "val", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set, opened from a DataConfig: its files are listed, but not read yet."""

    label_space: LabelSpace
    reader: Reader
    official: Mapping[Split, Sequence[Pair]]
    """The labelled images as the layout divides them, in order of their names; a split that the layout lacks is not a
    key. Without `val`, validation takes the share `split_sizes[1]` of the training images by seed"""
    undivided: Sequence[Pair] = ()
    """The labelled images in order of their names, if the layout does not divide them; then `official` is empty"""
    split_sizes: tuple[float, float, float] = (0.8, 0.2, 0.0)
    """Shares of train, val and test if the images are divided by seed and `data.split.sizes` is null"""
    unlabelled: Sequence[Path] = ()
    """Photos whose labels are secret or missing by design, such as an official test split's"""
    own_scoring: Scoring | None = None
    """Scoring by other labels than those of training, if there is one. The reader's key covers what it depends on"""
    unused: Sequence[Unused] = ()
    """Files in the data set's folders that belong to no image, and are no known companions of such files"""
    void_hint: str = ""
    """Fix for a data set in which void turns out to be a class, as the end of an error message"""
    notes: Sequence[str] = ()
    """Notes on what is no problem but worth a look, one line each"""

    def __post_init__(self) -> None:
        if self.label_space.num_classes < 2:
            raise ConfigError(
                f"a data set must have at least 2 classes, but has only {self.label_space.names[0]!r}, on which every "
                "model scores 100 %; add a class for all other pixels, such as data.folder.classes: [background, "
                f"{self.label_space.names[0]}], with the ids of both in the label files"
            )
        first: dict[str, Pair] = {}
        twice = [
            f"{pair.name}: {first[pair.name].photo} and {pair.photo}"
            for pair in self.pairs()
            if first.setdefault(pair.name, pair) is not pair
        ]
        if twice:
            raise DataError(
                f"an image must occur once in a data set, or it may both train and validate, but {len(twice)} occur "
                f"twice; remove one of each:{listed(twice)}",
                twice,
            )

    @property
    def scoring(self) -> Scoring:
        """The classes that predictions are judged by, and the way to them from the classes of training."""
        return self.own_scoring or by_classes_of_training(self.label_space)

    def without(self, names: Collection[str]) -> Dataset:
        """Return the data set without some images; the name of a photo without a label is the stem of its file.

        Raises:
            ConfigError: The data set has no image of such a name.
        """
        if not names:
            return self
        known = {pair.name for pair in self.pairs()} | {normal(path.stem) for path in self.unlabelled}
        names = [normal(name) for name in names]
        for name in names:
            if name not in known:
                raise ConfigError(unknown_name("image in data.exclude", name, known))
        left_out = frozenset(names)

        def kept(pairs: Sequence[Pair]) -> list[Pair]:
            return [pair for pair in pairs if pair.name not in left_out]

        official = {split: kept(pairs) for split, pairs in self.official.items()}
        unlabelled = [path for path in self.unlabelled if normal(path.stem) not in left_out]
        return replace(self, official=official, undivided=kept(self.undivided), unlabelled=unlabelled)

    def whole(self) -> Dataset:
        """Return the data set without the photos and labels that lack their partner."""
        return self.without([pair.name for pair in self.pairs() if MISSING in (pair.photo, pair.label)])

    def check_whole(self) -> None:
        """Check that every photo has its label, and every label its photo.

        Raises:
            DataError: Some lack their partner; the error names all of them.
        """
        without_label = [str(pair.photo) for pair in self.pairs() if pair.label == MISSING]
        without_image = [str(pair.label) for pair in self.pairs() if pair.photo == MISSING]
        if without_label or without_image:
            gaps = [
                f"{len(alone)} {kind}:{listed(alone)}"
                for alone, kind in (
                    (without_label, "images without a label"),
                    (without_image, "labels without an image"),
                )
                if alone
            ]
            raise DataError(
                "every image needs one label of the same name, but there are " + "\nand ".join(gaps),
                [f"{path}: has no label{self._instead(path)}" for path in without_label]
                + [f"{path}: has no image{self._instead(path)}" for path in without_image],
            )

    def _instead(self, path: str) -> str:
        """Return a hint at a file of the same stem that is not used; empty if there is none."""
        alike = [file for file in self.unused if normal(file.path.stem) == normal(Path(path).stem)]
        return f"; {alike[0].path.name} is there, but is not used ({alike[0].why})" if alike else ""

    def notes_in_short(self) -> list[str]:
        """Return what a person should know before training starts, a line each."""
        return [*self.notes, *([unused_in_short(self.unused)] if self.unused else [])]

    def pairs(self) -> list[Pair]:
        """Return every labelled image, ordered by split and name."""
        return [pair for split in SPLITS for pair in self.official.get(split, ())] + list(self.undivided)
