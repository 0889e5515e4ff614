"""What explains a reward, as a page and for a terminal."""
