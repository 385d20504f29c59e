"""The commands `segray data check`, `segray data show` and `segray data sample`."""
