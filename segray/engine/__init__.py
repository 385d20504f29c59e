"""The training of one run: fit(), the parts it is made of, and checkpoints. Nothing here imports Ray."""
