"""Confusion matrix -> mIoU, per-class IoU, accuracies; pure functions."""
