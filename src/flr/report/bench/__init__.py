"""What a benchmark found, as a page and as Markdown, from its result files alone."""
