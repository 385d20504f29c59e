"""The use of a trained model: prediction and evaluation. Nothing here imports ray."""
