"""Benchmark sets: what they are made of, and how each is read."""
