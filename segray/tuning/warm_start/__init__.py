"""Warm start: what a new sweep takes from earlier ones, and from a small portfolio of good configs."""
