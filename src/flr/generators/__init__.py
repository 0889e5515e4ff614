"""Engines that write responses: token rows of prompts in, token rows of responses out."""
