"""The legend of pictures of predictions."""

import numpy as np
import pytest

from segray.data.datasets.cityscapes import label_space
from segray.inference.legend import draw_legend

SPACE = label_space()


def colors_in(picture):
    return {tuple(color) for color in np.unique(picture.reshape(-1, 3), axis=0).tolist()}


@pytest.mark.parametrize("width_px", [40, 200, 500, 2048])
def test_every_class_has_its_swatch_at_any_width(width_px):
    legend = draw_legend(SPACE, width_px=width_px)
    assert (legend.dtype, legend.shape[1:]) == (np.uint8, (width_px, 3))
    assert set(SPACE.colors) <= colors_in(legend)


def test_only_the_classes_that_are_asked_for_are_shown_in_their_order():
    legend = draw_legend(SPACE, [13, 0], width_px=60)
    assert {SPACE.colors[13], SPACE.colors[0]} <= colors_in(legend)
    assert SPACE.colors[10] not in colors_in(legend)
    rows = [np.flatnonzero((legend == SPACE.colors[train_id]).all(axis=2).any(axis=1))[0] for train_id in (13, 0)]
    assert rows[0] < rows[1]


def test_a_wide_legend_is_low_and_a_narrow_one_high():
    assert len(draw_legend(SPACE, width_px=3000)) < 60
    assert len(draw_legend(SPACE, width_px=100)) > 19 * 15


def test_nothing_is_drawn_past_the_margin():
    legend = draw_legend(SPACE, width_px=90)
    assert (legend[:, :12] == 255).all()
    assert (legend[:, -12:] == 255).all()
    assert (legend[:12] == 255).all()
    assert (legend[-12:] == 255).all()


def test_void_is_hatched_and_the_dark_legend_is_dark():
    assert (0, 0, 0) in colors_in(draw_legend(SPACE, [255], width_px=200))
    assert draw_legend(SPACE, width_px=500, dark=True).mean() < 70


def test_a_legend_without_classes_is_a_narrow_strip():
    assert draw_legend(SPACE, [], width_px=300).shape == (24, 300, 3)
