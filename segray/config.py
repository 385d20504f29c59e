"""RunConfig: one training run, complete and typed. What a trial searches are dotted keys of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt, ValidationError
from pydantic_core import PydanticCustomError

from segray.errors import ConfigError, unknown_name

SizePx = tuple[PositiveInt, PositiveInt]
"""(height, width) in pixels."""


class Section(BaseModel):
    """Base of every config section: frozen, keyword-only, unknown keys, NaN and infinity refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class FolderConfig(Section):
    """Where the `folder` data set finds its files; the other data sets know their own layout."""

    images: str = "images/{split}"
    """Images folder below data.root; `{split}` stands for train, val and test, without it data.split divides"""
    labels: str = "labels/{split}"
    """Labels folder below data.root; a label has its image's stem and is an 8-bit PNG of class ids"""
    classes: tuple[str, ...] = ()
    """Class names; the position is the id in the label files"""
    void_ids: tuple[int, ...] = (255,)
    """Label values that loss and metrics ignore"""


class CityscapesConfig(Section):
    """Options of the `cityscapes` data set."""

    labels: Literal["fine", "coarse", "fine+extra", "coarse+extra"] = "fine"
    """Labels of the training images: gtFine or gtCoarse; extra adds train_extra with its coarse labels"""


class PairsConfig(Section):
    """Options of the `cityscapes_pairs` data set, whose labels are blurred colours."""

    labels: Literal["palette", "kmeans"] = "palette"
    """palette: the nearest Cityscapes colour; kmeans: the nearest of the colours that K-Means found in the masks"""
    max_distance: float = Field(default=60.0, gt=0)
    """Euclidean RGB distance (0 to 441) to the nearest colour beyond which a pixel is void (palette)"""
    num_clusters: int = Field(default=10, ge=2, le=64)
    """K (kmeans)"""
    kmeans_seed: int = 0
    """Seed of the K-Means fit (kmeans)"""


class SplitConfig(Section):
    """Which images train, validate, and are kept for the end."""

    kind: Literal["auto", "official", "ratio", "kfold"] = "auto"
    """official: by the data set's folders; ratio, kfold: by seed; auto: official where there is one, else ratio"""
    sizes: tuple[float, float, float] | None = None
    """train, val, test as shares that sum to 1 or as counts (ratio); null takes the data set's own"""
    folds: int = Field(default=5, ge=2)
    """Parts of the images, each of which validates once (kfold)"""
    fold: int = Field(default=0, ge=0)
    """The part that validates, from 0 (kfold)"""
    seed: int = 0
    """Seed of ratio, kfold and holdout; the same for all trials of a sweep"""


class AugmentConfig(Section):
    """Strengths of the `custom` policy; 0 switches a part off, zoom 1."""

    zoom: float = Field(default=1.0, ge=1, le=4)
    """Largest zoom: crops are scaled by 1/zoom to zoom, evenly on a log scale"""
    mirror: float = Field(default=0.5, ge=0, le=1)
    """Probability of a left-right mirror"""
    brightness: float = Field(default=0.0, ge=0, le=1)
    """Largest change of brightness, as a share of the range"""
    contrast: float = Field(default=0.0, ge=0, le=1)
    """Largest change of contrast, as a share"""
    hue: float = Field(default=0.0, ge=0, le=0.5)
    """Largest turn of the hue, in turns of the colour circle"""
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
    """Which data, at which size, how augmented."""

    dataset: str = "cityscapes"
    """Name of the data set: cityscapes, cityscapes_pairs, camvid, carla, kitti_road, gta5, trainA, folder"""
    root: str = ""
    """Folder of the data set"""
    classes: str = ""
    """Which of the data set's class lists: docs/data.md names them; empty takes the first"""
    exclude: tuple[str, ...] = ()
    """Names of images to leave out, such as ones known to be damaged"""
    folder: FolderConfig = FolderConfig()
    cityscapes: CityscapesConfig = CityscapesConfig()
    pairs: PairsConfig = PairsConfig()
    split: SplitConfig = SplitConfig()
    holdout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the training images kept as test split, which no trial is chosen by"""
    resize_px: SizePx | None = None
    """(height, width) to which photos and labels are resized when they are decoded; null keeps their size"""
    crop_px: SizePx | None = None
    """(height, width) of the training crop, padded with void where the image is smaller; null trains on whole images"""
    policy: str = "light"
    """Augmentation policy: none, light, medium, strong, custom"""
    augment: AugmentConfig = AugmentConfig()
    rare_class_crops: float = Field(default=0.0, ge=0, le=1)
    """Share of training crops placed on a pixel of a class drawn by rarity instead of anywhere"""
    num_loader_workers: int | None = Field(default=None, ge=0)
    """Loader processes per training worker; null takes the CPUs that the worker has beyond one"""
    cache_dir: str | None = None
    """Where decoded shards lie on each node; null takes $SEGRAY_CACHE or ~/.cache/segray"""
    cache_limit_gb: float | None = Field(default=None, gt=0)
    """Most that all decoded shards in that folder take, in 10^9 bytes; null sets no limit"""


class FcnConfig(Section):
    """Options of the `fcn8s` model."""

    output_stride: Literal[8, 16, 32] = 8
    """Stride of the finest scores, in pixels: 8 is FCN-8s, 16 is FCN-16s, 32 is FCN-32s"""
    head_width: PositiveInt = 4096
    """Channels of the fully connected layers fc6 and fc7; weights files hold them at 4096"""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share of the values dropped after fc6 and fc7"""
    score_std: float = Field(default=0.01, gt=0)
    """Standard deviation of the truncated normal that the 1x1 score convolutions start from"""


class UnetConfig(Section):
    """Options of the `unet` model."""

    widths: tuple[PositiveInt, ...] = (64, 128, 256, 512, 512)
    """Channels of the encoder's stages; each but the last halves the map, so their number is the depth"""
    convolutions: tuple[PositiveInt, ...] = (2, 2, 3, 3, 3)
    """3x3 convolutions of each encoder stage, as many numbers as widths"""
    decoder_widths: tuple[PositiveInt, ...] = (256, 128, 64, 32)
    """Channels of the decoder's stages from the coarsest, one number fewer than widths"""
    width_multiplier: float = Field(default=1.0, gt=0, le=8)
    """Factor on all widths: one number that a search can draw"""
    batch_norm: bool = False
    """Batch normalisation after every 3x3 convolution"""


class GeneratorConfig(Section):
    """Options of the `pix2pix`, `unet_instance_norm` and `resnet` models."""

    width: PositiveInt = 64
    """Channels of the first stage; later ones have up to 8 times (U-Nets) or 4 times (resnet) as many"""
    depth: int = Field(default=8, ge=2, le=10)
    """How often the map is halved: 8 is the U-Net 256 of pix2pix, 7 its U-Net 128 (pix2pix, unet_instance_norm)"""
    num_blocks: PositiveInt = 9
    """Residual blocks (resnet)"""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share of the values dropped in the decoder's three coarsest stages (pix2pix, unet_instance_norm)"""


class ModelConfig(Section):
    """Which network."""

    name: str = "smp"
    """Model family: smp, fcn8s, unet, pix2pix, unet_instance_norm, resnet"""
    output: Literal["logits", "rgb"] = "logits"
    """logits: one per class; rgb: a colour, which stands for the class of the nearest colour"""
    arch: str = "Unet"
    """Architecture of segmentation-models-pytorch, such as Unet, FPN, DeepLabV3Plus, Segformer (smp)"""
    encoder: str = "resnet18"
    """Encoder of SMP, or of timm with the prefix tu- (smp); vgg16, vgg16_bn, tu-vgg16, tu-vgg16_bn (fcn8s)"""
    encoder_weights: str = "auto"
    """none, imagenet, a weights file, or auto: imagenet where it can be fetched, else none (smp, fcn8s)"""
    fcn: FcnConfig = FcnConfig()
    unet: UnetConfig = UnetConfig()
    generator: GeneratorConfig = GeneratorConfig()


def _check_alpha(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value != "balanced" and not (is_number and 0 < value <= 1):
        raise PydanticCustomError("focal_alpha", "must be a number above 0 and at most 1, or balanced")
    return value


FocalAlpha = Annotated[float | Literal["balanced"], BeforeValidator(_check_alpha)]


class LossConfig(Section):
    """What is minimised; void pixels never count."""

    name: str = "cross_entropy"
    """cross_entropy, ohem, focal, boundary, dice, jaccard, tversky, focal_tversky, lovasz, or 0.5*cross_entropy+dice"""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced weighs cross_entropy, ohem, focal, boundary by inverse log class frequency of the training split"""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the target spread over all classes (cross_entropy)"""
    focal_gamma: float = Field(default=2.0, ge=0)
    """Focusing exponent (focal)"""
    focal_alpha: FocalAlpha = 1.0
    """Factor of every pixel's loss, above 0 and at most 1, or balanced: by its class as class_weights does (focal)"""
    ohem_fraction: float = Field(default=0.25, gt=0, le=1)
    """Share of the hardest pixels kept (ohem)"""
    tversky_alpha: float = Field(default=0.3, ge=0)
    """Weight of false positives (tversky, focal_tversky)"""
    tversky_beta: float = Field(default=0.7, ge=0)
    """Weight of false negatives (tversky, focal_tversky)"""
    tversky_gamma: float = Field(default=4 / 3, ge=1)
    """A class's loss is raised to 1 / gamma; 1 is tversky (focal_tversky)"""
    boundary_weight: float = Field(default=5.0, ge=0)
    """What a pixel at a boundary counts more than one far from it, which counts 1 (boundary)"""
    boundary_width_px: int = Field(default=3, ge=1, le=100)
    """Distance to another class, in pixels of the crop, up to which a pixel is near a boundary (boundary)"""
    boundary_kind: Literal["hard", "soft"] = "hard"
    """hard: all near pixels count alike; soft: less with distance (boundary)"""


class OptimConfig(Section):
    """Optimiser and learning-rate schedule, stepped once a batch."""

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    """Optimiser"""
    lr: float = Field(default=1e-3, gt=0)
    """Peak learning rate"""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Weight decay; not applied to biases and normalisation"""
    l2: float = Field(default=0.0, ge=0)
    """Factor c of a penalty c * sum(w^2) on chosen kernels, in the gradient as 2 * c * w (adam, sgd)"""
    l2_layers: str = ""
    """Start of the names of the kernels that l2 holds for, as network.decoder., or a regular expression; empty: all"""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum (sgd)"""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the mean of gradients, around which onecycle moves it by 0.05 (adam, adamw)"""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the mean of squared gradients (adam, adamw)"""
    schedule: Literal["cosine", "poly", "linear", "onecycle", "constant"] = "onecycle"
    """Learning-rate schedule over the whole run; linear is constant for the first half, then falls evenly"""
    final_lr: float = Field(default=0.0, ge=0)
    """Learning rate at the end (cosine, poly, linear)"""
    warmup_epochs: float = Field(default=0.0, ge=0)
    """Epochs of linear warm-up before all schedules but onecycle, which has its own"""
    poly_power: float = Field(default=0.9, gt=0)
    """Exponent (poly)"""
    grad_clip: float | None = Field(default=None, gt=0)
    """Largest gradient norm; null does not clip"""


class TrainConfig(Section):
    """How long, how large, in which precision."""

    epochs: int = Field(default=20, ge=1)
    """Passes over the training split"""
    batch_size: int = Field(default=8, ge=1)
    """Images a step over all workers of the run together"""
    patience: int | None = Field(default=None, ge=1)
    """Stop after so many epochs without a better val mIoU; null never does"""
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    """Decay of an exponential moving average of the weights, which is then what is validated and kept; null for none"""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """auto is bfloat16 autocast where the hardware has it, else float32"""
    channels_last: bool = True
    """Store tensors channels-last: faster convolutions on CPUs and on GPUs with tensor cores"""
    deterministic: bool = False
    """On a GPU, use deterministic kernels where PyTorch has them, which are slower; a CPU's records repeat anyway"""


class GanConfig(Section):
    """Training against a discriminator, which tells the model's label images from those made of the labels."""

    discriminator: Literal["none", "patchgan", "semantic"] = "none"
    """none trains without; patchgan judges patches; semantic has a judgement per class, and takes the label's"""
    receptive_field_px: Literal[16, 70, 286] = 70
    """Side of the patches, in pixels"""
    width: PositiveInt = 64
    """Channels of the discriminator's first layer"""
    norm: Literal["batch", "instance", "none"] = "batch"
    """Normalisation in the discriminator"""
    spectral_norm: bool = False
    """Spectral normalisation of the discriminator's kernels"""
    conditioned: bool = True
    """Whether the discriminator sees the photo beside the label image"""
    loss: Literal["bce", "lsgan", "hinge"] = "bce"
    """What both minimise: binary cross-entropy, least squares, or hinge"""
    adversarial_weight: float = Field(default=1.0, ge=0)
    """Weight of the adversarial loss in what the model minimises; 0 leaves the discriminator out"""
    segmentation_weight: float = Field(default=1.0, ge=0)
    """Weight of the segmentation loss, section loss, in what the model minimises"""
    l1_weight: float = Field(default=0.0, ge=0)
    """Weight of the mean absolute difference between the model's label image and the label's"""
    gradient_weight: float = Field(default=0.0, ge=0)
    """Weight of the gradient-sensitive loss: label images shall have the same edges"""
    gradient_kind: Literal["hard", "soft"] = "hard"
    """hard: edges count at class boundaries alone; soft: 0.9 more there than elsewhere, where they count 0.1"""
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """What the discriminator's target for real label images is below 1 (bce, lsgan)"""
    r1_weight: float = Field(default=0.0, ge=0)
    """Weight gamma of the penalty gamma / 2 * |gradient of a patch's score by the real label image|^2"""
    pool_size: int = Field(default=0, ge=0)
    """Label images of the model kept per worker from the epoch's earlier batches; half of what is shown are such"""
    optim: OptimConfig = OptimConfig(name="adam", lr=2e-4, weight_decay=0.0, beta1=0.5, schedule="constant")
    """The discriminator's"""


class RunConfig(Section):
    """One training run."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    gan: GanConfig = GanConfig()
    train: TrainConfig = TrainConfig()
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of initial weights, data order and augmentation"""

    def flat(self) -> dict[str, Any]:
        """All values under dotted keys, such as ``{"model.encoder": "resnet18", ...}``; JSON types only."""
        return flatten(self.model_dump(mode="json"))

    def with_values(self, values: Mapping[str, Any]) -> RunConfig:
        """A copy with some dotted keys replaced.

        Args:
            values: Dotted key -> new value.

        Raises:
            ConfigError: A key does not exist, or a value breaks its rule.
        """
        if not values:
            return self
        tree = self.model_dump(mode="json")
        for key, value in values.items():
            *parents, last = key.split(".")
            node: Any = tree
            for parent in parents:
                node = node.get(parent) if isinstance(node, dict) else None
            if not isinstance(node, dict) or last not in node or isinstance(node[last], dict):
                raise ConfigError(unknown_name("config key", key, self.flat()))
            node[last] = value
        return run_config(tree)


def run_config(tree: Mapping[str, Any]) -> RunConfig:
    """RunConfig from a nested mapping, missing keys at their defaults.

    Raises:
        ConfigError: A key is unknown or a value breaks its rule; every such key is named.
    """
    try:
        return RunConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigError("\n".join(_problem(detail) for detail in error.errors())) from None


def read_yaml(path: str | Path) -> RunConfig:
    """RunConfig from a YAML file as ``segray config`` prints it; keys may be left out.

    Raises:
        ConfigError: The file cannot be read, is not YAML, or holds an unknown key or value.
    """
    try:
        tree = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read config file {str(path)!r}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{str(path)!r} is not YAML: {error}") from None
    if tree is not None and not isinstance(tree, dict):
        raise ConfigError(f"{str(path)!r} must hold a mapping of config keys, but holds {type(tree).__name__}")
    return run_config(tree or {})


def to_yaml(config: RunConfig, notes: Mapping[str, str] | None = None) -> str:
    """The config as YAML with one line of help above every field; ``read_yaml`` reads it back.

    Args:
        config: What to write.
        notes: Dotted key -> a further comment above that field.
    """
    return "\n".join(_yaml_lines(config, notes or {})) + "\n"


def _yaml_lines(section: Section, notes: Mapping[str, str], prefix: str = "") -> list[str]:
    lines = []
    indent = "  " * prefix.count(".")
    for name, field in type(section).model_fields.items():
        key, value = prefix + name, getattr(section, name)
        if isinstance(value, Section):
            lines += [f"{indent}# {(type(value).__doc__ or '').strip()}", f"{indent}{name}:"]
            lines += _yaml_lines(value, notes, f"{key}.")
        else:
            plain = section.model_dump(mode="json", include={name})[name]
            text = yaml.safe_dump(plain, default_flow_style=True, width=10**6).removesuffix("\n...\n").strip()
            comments = [field.description, notes[key]] if key in notes else [field.description]
            lines += [f"{indent}# {comment}" for comment in comments] + [f"{indent}{name}: {text}"]
    return lines


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of a nested mapping under dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _problem(detail: Any) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        section, _, name = key.partition(".")
        if len(detail["loc"]) == 1 and key in RunConfig().flat():
            return f"config key {key!r} must be nested in YAML, as {section}: {{{name}: ...}}"
        return unknown_name("config key", key, RunConfig().flat())
    return f"{key}: {detail['msg'][0].lower()}{detail['msg'][1:]}, but got {detail['input']!r}"
