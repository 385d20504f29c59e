"""Figures of a sweep and the offline HTML report."""
