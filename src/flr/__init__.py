"""Follow-up likelihood as reward."""
