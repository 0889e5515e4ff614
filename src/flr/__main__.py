"""`python -m flr`."""

from flr.cli.main import main

if __name__ == "__main__":
    main()
