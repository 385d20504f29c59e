"""Freeze-thaw search: a model of learning curves decides which config trains on, a new one or one that was paused."""
