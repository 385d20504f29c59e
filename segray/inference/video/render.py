"""Makes a video of predictions; memory does not grow with its length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from segray.config import SizePx
from segray.errors import ConfigError, unknown_name
from segray.inference.corruptions import CORRUPTIONS, STRENGTHS
from segray.inference.video.drawing import LEGENDS, VIEWS, Sheet
from segray.inference.video.sources import FrameSource
from segray.inference.video.writers import check_fps, storable_fps, video_writer

if TYPE_CHECKING:  # torch takes seconds to import; a wrong option is told before
    from segray.inference.predictor import Predictor

MAX_WIDTHS: Final = {".mp4": 1920, ".gif": 960}
"""Largest width if none is asked for. A GIF has about a byte for a pixel, so a wide one is too large for a page."""
STEADY: Final = frozenset({"fog"})
"""Weather that stands still: drawn anew for each frame, it would flicker"""


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """The content and the form of a video.

    Raises:
        ConfigError: A value cannot work.
    """

    view: str = "side"
    """A key of VIEWS"""
    legend: str = "all"
    """The classes in the legend: all, all with those marked that a frame shows, or none"""
    fps: float | None = None
    """Frames a second; None takes the source's"""
    max_frames: int | None = None
    """Number of frames after which the video ends; None takes all"""
    max_width: int | None = None
    """Largest width in pixels, but frames are never narrower than MIN_WIDTH; None takes that of MAX_WIDTHS"""
    weather: str | None = None
    """A key of CORRUPTIONS, applied to the photos before they are predicted"""
    strength: int = 3
    """Strength of the weather, from 1 to 5"""

    def __post_init__(self) -> None:
        if self.view not in VIEWS:
            raise ConfigError(unknown_name("view", self.view, VIEWS))
        if self.legend not in LEGENDS:
            raise ConfigError(unknown_name("legend", self.legend, LEGENDS))
        if self.weather is not None and self.weather not in CORRUPTIONS:
            raise ConfigError(unknown_name("weather", self.weather, CORRUPTIONS))
        if self.strength not in STRENGTHS:
            raise ConfigError(f"--strength must be a whole number from 1 to 5, but got {self.strength}")
        if self.max_frames is not None and self.max_frames < 1:
            raise ConfigError(f"--frames must be at least 1, but got {self.max_frames}")
        if self.max_width is not None and not 16 <= self.max_width <= 8192:
            raise ConfigError(f"--max-width must lie from 16 to 8192 pixels, but got {self.max_width}")
        if self.fps is not None:
            check_fps(self.fps)


@dataclass(frozen=True, kw_only=True)
class WrittenVideo:
    """The video that was written."""

    num_frames: int
    size_px: SizePx
    """(height, width) of a frame"""
    fps: float
    """Frames a second"""


def make_video(
    model: Predictor,
    source: FrameSource,
    target: Path,
    options: VideoOptions,
    progress: Callable[[int, int], None] | None = None,
) -> WrittenVideo:
    """Predict frames one by one and write them as a video, which appears at its place when it is complete.

    Args:
        model: The trained model.
        source: The frames.
        target: File that ``check_video`` returned.
        options: The content and the form.
        progress: Hears the number of written frames and the expected total after each frame.

    Raises:
        DataError: There is no frame, or one cannot be read.
        StorageError: The video cannot be written.
        ResourceError: PyAV cannot encode it.
    """
    frames = islice(source.read(), options.max_frames)
    first = next(frames)
    title = f"{model.title}, {options.weather} {options.strength} of 5" if options.weather else model.title
    sheet = Sheet.of(
        (first.photo_HWC.shape[0], first.photo_HWC.shape[1]),
        view=options.view,
        max_width=options.max_width or MAX_WIDTHS[target.suffix.lower()],
        title=title,
        name=first.name,
        label_space=model.label_space,
        legend=options.legend,
    )
    fps = storable_fps(target, check_fps(options.fps or source.fps))
    total = min(count for count in (source.count, options.max_frames, 2**31) if count is not None)
    number = 0
    with video_writer(target, sheet.size_px, fps) as write:
        for number, frame in enumerate(chain([first], frames), 1):
            prediction = model.predict(_weathered(frame.photo_HWC, options, number))
            write(sheet.draw(prediction, frame.name))
            if progress:
                progress(number, max(number, total))
    return WrittenVideo(num_frames=number, size_px=sheet.size_px, fps=float(fps))


def _weathered(photo_HWC: NDArray[np.uint8], options: VideoOptions, number: int) -> NDArray[np.uint8]:
    if options.weather is None:
        return photo_HWC
    seed = 0 if options.weather in STEADY else number
    return CORRUPTIONS[options.weather](photo_HWC, options.strength, seed)
