"""Gauges for Ray's dashboard and Prometheus: the last epoch of every trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segray.tuning.callbacks.kind import Callback

if TYPE_CHECKING:
    from segray.records import EpochRecord, SweepInfo
    from segray.storage import SweepFiles


class Gauges(Callback):
    """The gauges ``segray_val_miou`` and so on, with the tags ``sweep`` and ``trial``; Ray adds the prefix ``ray_``."""

    NAMES = ("val_miou", "best_score", "train_loss", "images_per_second", "epoch")

    def sweep_begins(self, info: SweepInfo, files: SweepFiles) -> None:  # noqa: ARG002 - Callback's signature
        """Make the gauges."""
        from ray.util.metrics import Gauge

        self._sweep = info.name
        self._gauges = {
            name: Gauge(f"segray_{name}", description=f"{name} of the last epoch", tag_keys=("sweep", "trial"))
            for name in self.NAMES
        }

    def epoch_done(self, trial_id: str, record: EpochRecord) -> None:
        """Set every gauge to the record's value."""
        for name, gauge in self._gauges.items():
            value = record.scores[name] if name in record.scores else getattr(record, name)
            if value is not None:
                gauge.set(float(value), tags={"sweep": self._sweep, "trial": trial_id})
