"""Engines: what gives the log-likelihood of a span of tokens after the tokens before it."""
