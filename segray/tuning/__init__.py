"""Ray Tune: search spaces, searcher, scheduler and the sweep."""
