"""Count the labels that the palette recovers from JPEG masks, by the distance beyond which pixels are void.

    python benchmarks/pairs_labels.py [--scenes 20]

Drawn label maps of 2048x1024 become 256x256 twice: the labels by nearest pixel, which is the truth, and their official
colours by area, as a photo would shrink. The colours are saved as JPEG and decoded. Of the pixels whose true label is
one of the 19 classes, some come back right, some as another class, and the rest as void. Takes 15 seconds.
"""

from __future__ import annotations

import argparse
import io

import cv2
import numpy as np
from PIL import Image

from segray.data.datasets.cityscapes import PALETTE as COLORS
from segray.data.datasets.nearest_color import nearest_color
from segray.data.datasets.pairs_reader import PALETTE as TRAIN_ID_OF_COLOR
from segray.data.scenes import draw_scene
from segray.data.synthetic.folder import TRAIN_IDS
from segray.labels import IGNORE_INDEX

DRAWN_PX, STORED_PX = (1024, 2048), (256, 256)
QUALITIES = (75, 90, 95)
DISTANCES = (20, 40, 60, 80, 442)


def jpeg(colors: np.ndarray, quality: int, *, full_chroma: bool) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(colors).save(stream, "JPEG", quality=quality, subsampling=0 if full_chroma else 2)
    return np.asarray(Image.open(stream))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=20)
    rng = np.random.default_rng(0)
    labels = [draw_scene(rng, DRAWN_PX)[1] for _ in range(parser.parse_args().scenes)]
    truth = TRAIN_IDS[
        np.stack([cv2.resize(label, STORED_PX, interpolation=cv2.INTER_NEAREST_EXACT) for label in labels])
    ]
    masks = [cv2.resize(COLORS[label], STORED_PX, interpolation=cv2.INTER_AREA) for label in labels]
    train_ids = np.array(list(TRAIN_ID_OF_COLOR.values()), np.uint8)
    labelled = truth != IGNORE_INDEX
    print("quality  chroma  exact colour   right / another class, by max_distance " + str(DISTANCES))
    for full_chroma in (False, True):
        for quality in QUALITIES:
            decoded = np.stack([jpeg(mask, quality, full_chroma=full_chroma) for mask in masks])
            index, squared_distance = nearest_color(decoded, tuple(TRAIN_ID_OF_COLOR))
            cells = []
            for distance in DISTANCES:
                ids = np.where(squared_distance <= distance**2, train_ids[index], IGNORE_INDEX)
                right = (ids == truth)[labelled].mean()
                void = (ids == IGNORE_INDEX)[labelled].mean()
                cells.append(f"{100 * right:.1f} / {100 * (1 - right - void):.1f} %")
            exact = (squared_distance == 0).mean()
            print(f"{quality:7}  {'full' if full_chroma else 'half':6}  {100 * exact:10.1f} %   {'   '.join(cells)}")


if __name__ == "__main__":
    main()
