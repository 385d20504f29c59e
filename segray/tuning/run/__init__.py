"""The run of a sweep: its driver, Ray Tune over warm worker groups, and what earlier starts left."""
