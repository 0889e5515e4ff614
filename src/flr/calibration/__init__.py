"""Weights of a follow-up set learned from labels: fitting, choosing, pruning, measuring."""
