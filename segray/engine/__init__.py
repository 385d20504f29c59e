"""Training one run: fit(), what it needs, and the checkpoints it leaves; knows nothing of Ray."""
