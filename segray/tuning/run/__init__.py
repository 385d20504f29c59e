"""A sweep that runs: the driver, Ray Tune over warm worker groups, and what earlier starts left."""
