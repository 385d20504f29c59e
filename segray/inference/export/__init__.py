"""Exports of a trained model: model folders, ONNX and torch.export; files are compared with PyTorch first."""
