"""Latency, throughput, size and memory of a trained model, by backend, photo size and batch."""
