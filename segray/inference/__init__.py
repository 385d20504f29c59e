"""Using a trained model; needs no ray."""
