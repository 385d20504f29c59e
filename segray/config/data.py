"""The config sections about data: data set, sizes, splits, augmentation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from segray.config.mark import IMAGES, LABELS, LOADING, PLACE, SAMPLING, SPLITS, Decides, Mark, Use
from segray.config.section import Section, SizePx
from segray.values import Values


def _reads_clusters(values: Values) -> bool:
    return bool(values["data.dataset"] == "cityscapes_pairs" and values["data.pairs.labels"] == "kmeans")


OF_CLUSTERS = Mark(
    Decides.TARGETS,
    uses=(
        Use(
            key="data.pairs.labels",
            rule="must be 'kmeans' on cityscapes_pairs",
            fix="set it to 'kmeans', since palette labels have no clusters",
            is_met=_reads_clusters,
        ),
    ),
)
OF_CUSTOM_POLICY = Mark(
    Decides.SAMPLING,
    uses=(
        Use(
            key="data.policy",
            rule="must be 'custom'",
            fix="set it to 'custom', since a named policy has fixed strengths",
            is_met=lambda values: values["data.policy"] == "custom",
        ),
    ),
)


class FolderConfig(Section):
    """Layout of the `folder` data set; the other data sets have a fixed layout."""

    images: str = "images/{split}"
    """Images folder below data.root; `{split}` stands for train, val and test, without it data.split divides"""
    labels: str = "labels/{split}"
    """Labels folder below data.root, may equal images; a label has its image's stem and one class id per pixel"""
    image_suffix: str = ""
    """Ending of an image's stem that its label's stem lacks, such as _sat"""
    label_suffix: str = ""
    """Ending of a label's stem that its image's stem lacks, such as _mask"""
    classes: tuple[str, ...] = ()
    """Class names, in the order of their ids"""
    class_ids: tuple[int, ...] = ()
    """Id of each class in the label files, 0 to 255; empty counts from 0 and skips void_ids"""
    void_ids: tuple[int, ...] = (255,)
    """Label values that loss and metrics ignore, 0 to 255"""

    @field_validator("images", "labels", mode="before")
    @classmethod
    def _pattern(cls, value: object) -> object:
        # YAML reads {split} without quotes as a mapping.
        return "{split}" if value == {"split": None} else value


class CityscapesConfig(Section):
    """Options of the `cityscapes` data set."""

    labels: Literal["fine", "coarse", "fine+extra", "coarse+extra"] = "fine"
    """Labels of the training images: gtFine or gtCoarse; extra adds train_extra with its coarse labels"""


class PairsConfig(Section):
    """Options of the `cityscapes_pairs` data set, whose labels are blurred colours."""

    labels: Literal["palette", "kmeans"] = "palette"
    """palette: nearest Cityscapes colour; kmeans: nearest colour that K-Means found in the masks"""
    max_distance: float = Field(default=60.0, gt=0)
    """Euclidean RGB distance (0 to 441) to the nearest colour above which a pixel is void (palette)"""
    num_clusters: Annotated[int, OF_CLUSTERS] = Field(default=10, ge=2, le=64)
    """Number of clusters K (kmeans)"""
    kmeans_seed: Annotated[int, OF_CLUSTERS] = 0
    """Seed of the K-Means fit (kmeans)"""


class SplitConfig(Section):
    """Division of the images into training, validation and test split."""

    kind: Literal["auto", "official", "ratio", "kfold"] = "auto"
    """official: by the data set's folders; ratio, kfold: by seed; auto: official if there is one, else ratio"""
    sizes: tuple[float, float, float] | None = None
    """train, val, test as shares that sum to 1 or as counts (ratio); null takes the data set's own sizes"""
    folds: int = Field(default=5, ge=2)
    """Number of folds (kfold)"""
    fold: int = Field(default=0, ge=0)
    """Fold that validates, from 0 (kfold)"""
    seed: int = 0
    """Seed of ratio, kfold and holdout; the same for all trials of a sweep"""


class AugmentConfig(Section):
    """Strengths of the `custom` policy; 0 switches a transform off, and 1 switches zoom off."""

    zoom: float = Field(default=1.0, ge=1, le=4)
    """Largest zoom: crops are scaled by 1/zoom to zoom, uniformly on a log scale"""
    mirror: float = Field(default=0.5, ge=0, le=1)
    """Probability of a left-right mirror"""
    brightness: float = Field(default=0.0, ge=0, le=1)
    """Largest change of brightness, as a share of the range"""
    contrast: float = Field(default=0.0, ge=0, le=1)
    """Largest change of contrast, as a share"""
    hue: float = Field(default=0.0, ge=0, le=0.5)
    """Largest rotation of the hue, in turns of the colour circle"""
    saturation: float = Field(default=0.0, ge=0, le=1)
    """Largest change of saturation, as a share"""
    gamma: float = Field(default=0.0, ge=0, le=1)
    """Probability of a gamma between 0.7 and 1.4"""
    blur: float = Field(default=0.0, ge=0, le=1)
    """Probability of a Gaussian or motion blur"""
    noise: float = Field(default=0.0, ge=0, le=1)
    """Probability of sensor noise"""
    weather: float = Field(default=0.0, ge=0, le=1)
    """Probability of rain, snow, fog or sun flare"""


class DataConfig(Section):
    """Data set, sizes, splits and augmentation."""

    dataset: Annotated[str, Mark(Decides.LABELS, registry="segray.data.datasets:DATASETS")] = "cityscapes"
    """Name of the data set: cityscapes, cityscapes_pairs, camvid, carla, kitti_road, gta5, trainA, folder"""
    root: Annotated[str, PLACE] = ""
    """Folder of the data set"""
    classes: Annotated[str, LABELS] = ""
    """Class list of the data set, one of those in docs/data.md; empty takes the first"""
    exclude: Annotated[tuple[str, ...], IMAGES] = ()
    """Names of images to leave out, such as damaged ones"""
    folder: Annotated[FolderConfig, LABELS] = FolderConfig()
    cityscapes: Annotated[CityscapesConfig, LABELS] = CityscapesConfig()
    pairs: Annotated[PairsConfig, LABELS] = PairsConfig()
    split: Annotated[SplitConfig, SPLITS] = SplitConfig()
    holdout: Annotated[float, SPLITS] = Field(default=0.0, ge=0, lt=1)
    """Share of the training images held out as test split, which never chooses a trial"""
    all_data: Annotated[bool, SPLITS] = False
    """Whether the validation images train too; their scores then choose nothing, and the last weights are kept"""
    resize_px: Annotated[SizePx | None, IMAGES] = None
    """(height, width) to which decoding resizes photos and labels; null keeps their size"""
    crop_px: Annotated[SizePx | None, SAMPLING] = None
    """(height, width) of training crops; smaller images are padded with void; null trains on whole images"""
    policy: Annotated[str, Mark(Decides.SAMPLING, registry="segray.data.batches.augmentation:POLICY_NAMES")] = "light"
    """Augmentation policy: none, light, medium, strong, custom"""
    augment: Annotated[AugmentConfig, OF_CUSTOM_POLICY] = AugmentConfig()
    rare_class_crops: Annotated[float, SAMPLING] = Field(default=0.0, ge=0, le=1)
    """Share of training crops placed on a pixel of a class drawn by rarity; other crops lie anywhere"""
    num_loader_workers: Annotated[int | None, LOADING] = Field(default=None, ge=0)
    """Loader processes per training worker; null takes one less than the worker's CPUs"""
    cache_dir: Annotated[str | None, PLACE] = None
    """Folder of decoded shards on each node; null takes $SEGRAY_CACHE or ~/.cache/segray"""
    cache_limit_gb: Annotated[float | None, PLACE] = Field(default=None, gt=0)
    """Most space for all decoded shards in that folder, in 10^9 bytes; null sets no limit"""
