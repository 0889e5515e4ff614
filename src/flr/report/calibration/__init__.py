"""What a calibration came to: in the terminal, and as a page."""
