"""Exports of a trained model: a model folder, ONNX, torch.export. Nothing is written that does not agree with PyTorch."""
