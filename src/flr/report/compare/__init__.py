"""The report of a comparison of policies, from its results alone."""
