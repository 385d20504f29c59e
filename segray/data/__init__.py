"""Data sets, decoded shards, augmentation and loaders."""
