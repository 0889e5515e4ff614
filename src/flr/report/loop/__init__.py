"""The results of a loop as a page."""
