"""Decoded images: one copy per node, shared by all trials and workers."""
