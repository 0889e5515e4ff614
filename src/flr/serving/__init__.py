"""The reward server: `flr serve`, one follow-up model for many clients."""
