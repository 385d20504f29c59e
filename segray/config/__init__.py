"""The config of a run: its sections, and RunConfig, which holds them all."""

from segray.config.data import AugmentConfig, CityscapesConfig, DataConfig, FolderConfig, PairsConfig, SplitConfig
from segray.config.document import QUOTING, parse_value, parse_yaml
from segray.config.model import FcnConfig, GeneratorConfig, ModelConfig, UnetConfig
from segray.config.option import one_line, set_options
from segray.config.run import RunConfig, flatten, read_yaml, run_config, to_yaml
from segray.config.section import Section, SizePx
from segray.config.training import GanConfig, LossConfig, OptimConfig, TrainConfig

__all__ = [
    "QUOTING",
    "AugmentConfig",
    "CityscapesConfig",
    "DataConfig",
    "FcnConfig",
    "FolderConfig",
    "GanConfig",
    "GeneratorConfig",
    "LossConfig",
    "ModelConfig",
    "OptimConfig",
    "PairsConfig",
    "RunConfig",
    "Section",
    "SizePx",
    "SplitConfig",
    "TrainConfig",
    "UnetConfig",
    "flatten",
    "one_line",
    "parse_value",
    "parse_yaml",
    "read_yaml",
    "run_config",
    "set_options",
    "to_yaml",
]
