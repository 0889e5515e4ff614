"""Conversations written for the demonstration."""
