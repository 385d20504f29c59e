"""Which images train, which validate and which are kept for the end."""
