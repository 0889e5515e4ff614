"""Reward functions for trainers of others: TRL, verl, OpenRLHF; none of them is imported."""
