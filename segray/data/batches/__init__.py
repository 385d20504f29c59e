"""Training samples and batches, made from decoded images."""
