"""Draws the frames of a video: caption, photo beside prediction, legend; all frames have one size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segray.config import SizePx
from segray.data.tools.lettering import cut_end, cut_start, text_width, write_text
from segray.inference.legend import DARK, draw_legend
from segray.inference.prediction import Prediction
from segray.labels import LabelSpace

_PANELS: Final[dict[str, Callable[[Prediction], NDArray[np.uint8]]]] = {
    "photo": lambda prediction: prediction.photo,
    "overlay": lambda prediction: prediction.overlay(),
    "labels": lambda prediction: prediction.colors(),
}
VIEWS: Final[dict[str, tuple[str, ...]]] = {"side": ("photo", "overlay"), **{name: (name,) for name in _PANELS}}
"""View -> its panels, from left to right"""
LEGENDS: Final = ("all", "present", "none")
GAP: Final = 4
"""Pixels between two panels"""
MIN_WIDTH: Final = 160
"""Width at which a caption and a legend can be read"""
PRESENT_SHARE: Final = 0.0005
"""Share of a frame's pixels from which on a class is marked as present in the legend"""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """The layout that all frames of a video share."""

    view: str
    """A key of VIEWS"""
    panel_px: SizePx
    """(height, width) of each panel; photos of another shape are centred in it"""
    title: str
    """The model, at the left of the caption"""
    name: str
    """A frame's name; longer ones are cut"""
    label_space: LabelSpace
    legend: str = "all"
    """One of LEGENDS"""

    @classmethod
    def of(
        cls,
        photo_px: SizePx,
        *,
        view: str,
        max_width: int,
        title: str,
        name: str,
        label_space: LabelSpace,
        legend: str,
    ) -> Sheet:
        """Return a sheet that shows photos of a size at this size, or smaller if the sheet would be too wide.

        Args:
            photo_px: (height, width) of the first photo.
            view: A key of VIEWS.
            max_width: Largest width of the sheet; panels are no higher than this either.
            title: The model in a few words.
            name: Name of the first frame.
            label_space: The classes.
            legend: The classes in the legend: all, all with those marked that a frame shows, or none.
        """
        num_panels = len(VIEWS[view])
        max_width -= max_width % 2  # an odd width would be made even by one pixel more
        room = (max_width - GAP * (num_panels - 1)) / num_panels
        scale = min(1.0, room / photo_px[1], max_width / photo_px[0])
        height, width = (max(int(side * scale), 1) for side in photo_px)
        return cls(view=view, panel_px=(height, width), title=title, name=name, label_space=label_space, legend=legend)

    @property
    def size_px(self) -> SizePx:
        """(height, width) of a frame, both even, as 4:2:0 chroma needs."""
        height = self.caption_px + self.panel_px[0] + self._legend_px
        return height + height % 2, self.width_px

    @cached_property
    def width_px(self) -> int:
        """Width of a frame."""
        num_panels = len(VIEWS[self.view])
        width = max(num_panels * self.panel_px[1] + GAP * (num_panels - 1), MIN_WIDTH)
        return width + width % 2

    @property
    def text_px(self) -> int:
        """Height of the letters."""
        return min(max(self.width_px // 64, 12), 24)

    @property
    def caption_px(self) -> int:
        """Height of the caption."""
        return round(self.text_px * (2 if self._fits_one_line else 3.3))

    def draw(self, prediction: Prediction, name: str) -> NDArray[np.uint8]:
        """Draw a frame (height, width, 3), RGB, of ``size_px``.

        Args:
            prediction: The prediction of a photo of any size.
            name: The frame's name, at the right of the caption.
        """
        canvas = np.full((*self.size_px, 3), DARK.background, np.uint8)
        self._write_caption(canvas, name)
        panels = [_PANELS[panel](prediction) for panel in VIEWS[self.view]]
        used = len(panels) * (self.panel_px[1] + GAP) - GAP
        left = (self.width_px - used) // 2
        for panel in panels:
            self._paste(canvas, panel, left)
            left += self.panel_px[1] + GAP
        if self._shows_legend:
            strip = self._legend_of(prediction)
            canvas[self.caption_px + self.panel_px[0] :][: len(strip)] = strip
        return canvas

    def _paste(self, canvas: NDArray[np.uint8], panel: NDArray[np.uint8], left: int) -> None:
        scale = min(room / side for room, side in zip(self.panel_px, panel.shape[:2], strict=True))
        height, width = (
            min(max(round(side * scale), 1), room) for room, side in zip(self.panel_px, panel.shape[:2], strict=True)
        )
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        shown = panel if scale == 1 else cv2.resize(panel, (width, height), interpolation=how)
        top = self.caption_px + (self.panel_px[0] - height) // 2
        left += (self.panel_px[1] - width) // 2
        canvas[top : top + height, left : left + width] = shown

    @cached_property
    def _fits_one_line(self) -> bool:
        used = text_width(self.title, self.text_px) + text_width(self.name, self.text_px) + 4 * self.text_px
        return used <= self.width_px

    def _write_caption(self, canvas: NDArray[np.uint8], name: str) -> None:
        size, margin = self.text_px, self.text_px // 2
        room = self.width_px - 2 * margin
        if not self._fits_one_line:
            write_text(canvas, cut_end(self.title, room, size), margin, round(1.35 * size), size, DARK.ink)
            write_text(canvas, cut_start(name, room, size), margin, round(2.65 * size), size, DARK.ink)
            return
        baseline = round(1.35 * size)
        write_text(canvas, self.title, margin, baseline, size, DARK.ink)
        shown = cut_start(name, room - text_width(self.title, size) - 2 * margin, size)
        write_text(canvas, shown, self.width_px - margin - text_width(shown, size), baseline, size, DARK.ink)

    @property
    def _shows_legend(self) -> bool:
        return self.legend != "none" and self.view != "photo"

    @property
    def _legend_px(self) -> int:
        return len(self._whole_legend) if self._shows_legend else 0

    @cached_property
    def _whole_legend(self) -> NDArray[np.uint8]:
        return self._draw_legend(())

    def _draw_legend(self, faint: Sequence[int]) -> NDArray[np.uint8]:
        margin = self.text_px // 2
        return draw_legend(
            self.label_space, width_px=self.width_px, text_px=self.text_px, dark=True, margin_px=margin, faint=faint
        )

    def _legend_of(self, prediction: Prediction) -> NDArray[np.uint8]:
        if self.legend == "all":
            return self._whole_legend
        shares = prediction.shares
        names = enumerate(self.label_space.names)
        return self._draw_legend([train_id for train_id, name in names if shares.get(name, 0) < PRESENT_SHARE])
