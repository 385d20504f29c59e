"""Latency, throughput, size and memory of a trained model, by backend, photo size and batch."""

from __future__ import annotations

from typing import Final

BACKENDS: Final = ("eager", "compiled", "onnx")
"""Ways to run a model: PyTorch as it is, torch.compile, ONNX Runtime."""
