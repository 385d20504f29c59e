"""Sweeps on Ray Tune: their declaration, samplers, schedulers, checks and run."""
