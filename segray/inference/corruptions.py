"""Corruptions of photos: weather, night, blur, noise and compression, each at five strengths.

They ask how a model fares where photos get worse, as in Hendrycks and Dietterich, "Benchmarking Neural Network
Robustness to Common Corruptions and Perturbations", ICLR 2019, and Kamann and Rother, "Benchmarking the Robustness of
Semantic Segmentation Models", CVPR 2020. The functions and strengths are segray's own: figures compare between models
that segray evaluates, but not with these papers. Sizes are shares of the photo's height, so a strength looks the same
in small and large photos.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from segray.errors import ConfigError

Photo_HWC = NDArray[np.uint8]
Corruption = Callable[[Photo_HWC, int, int], Photo_HWC]
"""Maps an RGB photo (H, W, 3), a strength from 1 to 5 and a seed to a new photo; the same seed gives the same photo"""

T = TypeVar("T")

STRENGTHS: Final = (1, 2, 3, 4, 5)


def _at(strength: int, values: Sequence[T]) -> T:
    if strength not in STRENGTHS:
        raise ConfigError(f"the strength of a corruption must be a whole number from 1 to 5, but got {strength}")
    return values[strength - 1]


def _blended(
    photo_HWC: NDArray[np.generic], share_HW: NDArray[np.float32], color: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Return the photo blended with a colour, by a share of 0 to 1 at each pixel."""
    float_HWC = photo_HWC.astype(np.float32)
    blended: NDArray[np.float32] = float_HWC + (np.array(color, np.float32) - float_HWC) * share_HW[..., None]
    return blended


def _rounded(photo_HWC: NDArray[np.floating]) -> Photo_HWC:
    rounded: Photo_HWC = np.rint(np.clip(photo_HWC, 0, 255)).astype(np.uint8)
    return rounded


def _streak(length_px: int, degrees: float) -> NDArray[np.float32]:
    """Return a kernel that smears a drop into a streak, (length, length), slanted from the vertical."""
    kernel = np.zeros((length_px, length_px), np.float32)
    kernel[:, length_px // 2] = 1
    turn = cv2.getRotationMatrix2D(((length_px - 1) / 2, (length_px - 1) / 2), degrees, 1)
    return cv2.warpAffine(kernel, turn, (length_px, length_px)).astype(np.float32, copy=False)


def rain(photo_HWC: Photo_HWC, strength: int, seed: int) -> Photo_HWC:
    """Return the photo in rain: slanted streaks before a darker, greyer scene."""
    amount, length, dimming = _at(
        strength, [(0.1, 0.03, 0.1), (0.2, 0.04, 0.16), (0.35, 0.05, 0.22), (0.55, 0.06, 0.28), (0.8, 0.08, 0.34)]
    )
    random, (height, width) = np.random.default_rng(seed), photo_HWC.shape[:2]
    # Drops are drawn at a coarse size, in which a streak is about a pixel wide.
    scale = max(height / 360, 1.0)
    rows, columns = max(round(height / scale), 1), max(round(width / scale), 1)
    drops = (random.random((rows, columns)) < 0.02 * amount).astype(np.float32)
    streak_px = max(round(length * rows), 2)
    streaks = cv2.filter2D(drops, -1, _streak(streak_px, random.uniform(-20, 20)), borderType=cv2.BORDER_REFLECT)
    veil = cv2.resize(np.minimum(streaks * 0.6, 0.6), (width, height), interpolation=cv2.INTER_LINEAR)
    grey = photo_HWC.mean(axis=2, keepdims=True)
    dull = (photo_HWC * 0.75 + grey * 0.25) * (1 - dimming)
    return _rounded(_blended(dull, veil, (200, 205, 210)))


def snow(photo_HWC: Photo_HWC, strength: int, seed: int) -> Photo_HWC:
    """Return the photo in snow: soft flakes of several sizes before a paler scene."""
    amount, pale = _at(strength, [(0.1, 0.08), (0.25, 0.14), (0.5, 0.2), (0.85, 0.26), (1.3, 0.32)])
    random, (height, width) = np.random.default_rng(seed), photo_HWC.shape[:2]
    flakes = np.zeros((height, width), np.float32)
    for radius in (height / 300, height / 140, height / 70):
        sigma = max(radius, 0.5)
        points = np.zeros((height, width), np.float32)
        number = max(int(amount * height * width / (60 * sigma**2) / 3), 1)
        points.flat[random.integers(0, height * width, number)] = 1
        # Divided by the peak of the Gaussian, so that the centre of a flake is white.
        flakes = np.maximum(flakes, cv2.GaussianBlur(points, (0, 0), sigma) * np.float32(2 * np.pi * sigma**2))
    return _rounded(_blended(photo_HWC, np.maximum(np.minimum(flakes, 0.9), pale), (240, 242, 245)))


def fog(photo_HWC: Photo_HWC, strength: int, seed: int) -> Photo_HWC:
    """Return the photo in fog: a pale veil that is denser at the top, where a street scene is far."""
    density = _at(strength, [0.3, 0.45, 0.58, 0.7, 0.82])
    random, (height, width) = np.random.default_rng(seed), photo_HWC.shape[:2]
    uneven = random.uniform(0.85, 1.1, (3, 4)) * np.array([1.1, 1.0, 0.6])[:, None]
    veil = cv2.resize(uneven.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC) * np.float32(density)
    return _rounded(_blended(photo_HWC, np.clip(veil, 0, 0.97), (215, 217, 220)))


def night(photo_HWC: Photo_HWC, strength: int, seed: int) -> Photo_HWC:
    """Return the photo at night: dark, with little colour, and with the noise of a camera in the dark."""
    light, noise_share = _at(strength, [(0.62, 0.008), (0.47, 0.013), (0.35, 0.018), (0.26, 0.024), (0.19, 0.03)])
    random = np.random.default_rng(seed)
    linear = (photo_HWC / np.float32(255)) ** 2.2
    grey = linear.mean(axis=2, keepdims=True)
    moonlit = (0.5 * linear + 0.5 * grey) * np.array([0.8, 0.9, 1.1], np.float32) * np.float32(light) ** 2.2
    seen = 255 * np.clip(moonlit, 0, 1) ** np.float32(1 / 2.2)
    return _rounded(seen + 255 * noise_share * random.standard_normal(photo_HWC.shape, np.float32))


def blur(photo_HWC: Photo_HWC, strength: int, seed: int) -> Photo_HWC:  # noqa: ARG001 - nothing is drawn
    """Return the photo out of focus."""
    sigma = _at(strength, [0.002, 0.0035, 0.0055, 0.008, 0.012]) * photo_HWC.shape[0]
    return cv2.GaussianBlur(photo_HWC, (0, 0), max(sigma, 0.3)).astype(np.uint8, copy=False)


def noise(photo_HWC: Photo_HWC, strength: int, seed: int) -> Photo_HWC:
    """Return the photo with Gaussian noise in every channel."""
    deviation = _at(strength, [0.04, 0.08, 0.12, 0.18, 0.26])
    drawn = np.random.default_rng(seed).standard_normal(photo_HWC.shape, np.float32)
    return _rounded(photo_HWC + np.float32(255 * deviation) * drawn)


def jpeg(photo_HWC: Photo_HWC, strength: int, seed: int) -> Photo_HWC:  # noqa: ARG001 - nothing is drawn
    """Return the photo after JPEG compression of low quality."""
    quality = _at(strength, [40, 25, 15, 10, 6])
    _, content = cv2.imencode(".jpg", photo_HWC[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(content, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.ascontiguousarray(decoded[..., ::-1]).astype(np.uint8, copy=False)


CORRUPTIONS: Final[dict[str, Corruption]] = {
    "rain": rain,
    "snow": snow,
    "fog": fog,
    "night": night,
    "blur": blur,
    "noise": noise,
    "jpeg": jpeg,
}
