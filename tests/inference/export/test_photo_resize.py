"""Photos resized in tensor operations, held against OpenCV."""

import numpy as np
import pytest
import torch

from segray.data.files.decode import resize_photo
from segray.data.scenes import draw_scene
from segray.inference.export.photo_resize import resize_photos


@pytest.fixture(scope="module")
def photo():
    """Return a drawn photo."""
    return draw_scene(np.random.default_rng(0), (240, 320))[0]


@pytest.mark.parametrize("source_px", [(120, 160), (60, 80), (121, 163), (50, 65), (97, 131), (200, 40)])
@pytest.mark.parametrize("size_px", [(60, 80), (48, 100), (31, 47), (120, 160)])
def test_a_photo_is_resized_as_opencv_does_it(photo, source_px, size_px):
    source_HWC = resize_photo(photo, source_px)
    expected_HWC = resize_photo(source_HWC, size_px)
    found_BCHW = resize_photos(torch.from_numpy(source_HWC.copy()).permute(2, 0, 1)[None], size_px)
    difference = np.abs(found_BCHW[0].permute(1, 2, 0).numpy() - expected_HWC)
    # OpenCV's vector code rounds a few values to the other side; plain bilinear formulas differ on 9 % of them.
    assert difference.max() <= 1
    assert (difference > 0).mean() < 6e-3
