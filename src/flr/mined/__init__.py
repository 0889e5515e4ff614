"""What `flr mine` makes of rewarded responses: rows, figures about them, the files they fill."""
