"""The command line: one small file a verb, each a thin door to one library function."""
