"""Feedback in natural language: read, cleaned, rewritten, as conversations to train on."""
