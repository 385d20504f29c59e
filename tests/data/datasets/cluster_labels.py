"""What two processes at once are asked for; light to import, since each of them does."""

import numpy as np

from segray.config import DataConfig, PairsConfig
from segray.data.datasets.cityscapes_pairs import cityscapes_pairs


def labels_of(root):
    """Label space and training ids of a data set with K-Means labels."""
    pairs = PairsConfig(labels="kmeans")
    dataset = cityscapes_pairs(DataConfig(dataset="cityscapes_pairs", root=str(root), pairs=pairs))
    labels = [dataset.reader.read(pair)[1] for pair in dataset.pairs()]
    return dataset.label_space.model_dump(), np.stack(labels)


def send_labels(root, barrier, queue):
    barrier.wait(timeout=60)
    queue.put(labels_of(root))
