"""A sweep's files as pandas frames; needs neither torch nor ray."""
