"""Training of policies, by TRL."""
