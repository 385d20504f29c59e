"""Where a model comes from: its sweep, trial, data and versions, as far as their files are at hand."""

from __future__ import annotations

import hashlib
import json

from segray.config import RunConfig
from segray.inference.location import ModelLocation
from segray.inference.soup_record import soup_record
from segray.model_record import Provenance
from segray.records import SplitRecord, SweepInfo
from segray.split_scores import SplitScores
from segray.storage import SweepFiles
from segray.trial_files import undamaged


def find_lineage(location: ModelLocation, config: RunConfig) -> Provenance:
    """Return where a model comes from; of an exported model, what its record says."""
    if location.record is not None:
        return location.record.lineage
    if soup := soup_record(location.folder):
        return Provenance(sweep=soup.run, soup_of=soup.trials, dataset=config.data.dataset)
    info, splits = _sweep_info(location.sweep), _splits(location.sweep)
    values = undamaged(location.trial.values) if location.trial else None
    seeds = {"trial": config.seed}
    if info is None:
        sweep_fields = {}
    else:
        seeds["sweep"] = info.seed
        sweep_fields = {"sweep": info.name, "recipe": info.recipe, "git_revision": info.git_revision}
    return Provenance(
        trial=location.trial.id if location.trial else "",
        values=values or {},
        seeds=seeds,
        dataset=config.data.dataset,
        data_fingerprint=data_fingerprint(splits) if splits else "",
        num_images={name: len(getattr(splits, name)) for name in ("train", "val", "test")} if splits else {},
        trained_with=info.versions if info else {},
        **sweep_fields,
    )


def find_test_scores(location: ModelLocation) -> SplitScores | None:
    """Return the scores of these very weights on the test split, if they were evaluated on it."""
    if location.record is not None:
        return location.record.test_scores
    if location.sweep is None or location.trial is None or location.pointer is None:
        return None
    found = location.sweep.test_scores()
    is_same = found is not None and (found.trial, found.epoch) == (location.trial.id, location.pointer.record.epoch)
    return found if is_same else None


def data_fingerprint(splits: SplitRecord) -> str:
    """Return a hash of the data set's name, and of the names and sizes of the images of each split."""
    content = [splits.dataset, *(sorted(getattr(splits, name).items()) for name in ("train", "val", "test"))]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _sweep_info(files: SweepFiles | None) -> SweepInfo | None:
    # A model whose sweep is damaged is still a model.
    return undamaged(files.info) if files else None


def _splits(files: SweepFiles | None) -> SplitRecord | None:
    return undamaged(files.splits) if files else None
