"""Scores of predictions beyond those of a confusion matrix, each summed image by image."""
