"""The commands that use a trained model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from segray.cli.bench import bench
from segray.cli.evaluate import evaluate
from segray.cli.export import export
from segray.cli.predict import predict
from segray.cli.soup import soup
from segray.cli.submit import submit
from segray.cli.video import video

USE: Final[tuple[Callable[..., None], ...]] = (predict, evaluate, submit, video, export, bench, soup)
"""In the order in which `segray --help` lists them"""
