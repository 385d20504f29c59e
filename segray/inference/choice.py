"""The choice of a trained model, or of several, and of the way of predicting, by name; loads neither it nor torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from segray.config.section import SizePx
from segray.errors import ConfigError

if TYPE_CHECKING:
    from segray.inference.predictor import Predictor


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """A trained model and its way of predicting, by name; picklable.

    The fields are those of ``load_model``, and the number of trials of ``load_ensemble``.

    Raises:
        ConfigError: Both a trial and an ensemble are asked for.
    """

    location: str
    trial: str | None = None
    ensemble: int | None = None
    """Number of the run's best trials that predict together; None for one trial"""
    device: str | None = None
    window_px: SizePx | None = None
    overlap: float = 0.5
    tta: str = ""

    def __post_init__(self) -> None:
        if self.ensemble is not None and self.trial is not None:
            raise ConfigError(
                f"--ensemble takes the best trials of a run, so leave --trial out, but got {self.trial!r}"
            )

    def load(self) -> Predictor:
        """Load the model or models.

        Raises:
            SegrayError: As ``load_model`` or ``load_ensemble``.
        """
        from segray.inference.ensemble import load_ensemble
        from segray.inference.predictor import load_model

        if self.ensemble is not None:
            return load_ensemble(
                self.location,
                self.ensemble,
                device=self.device,
                window_px=self.window_px,
                overlap=self.overlap,
                tta=self.tta,
            )
        return load_model(
            self.location,
            trial=self.trial,
            device=self.device,
            window_px=self.window_px,
            overlap=self.overlap,
            tta=self.tta,
        )
