"""`python -m batchrunner` is the command `batchrunner`."""

from batchrunner.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
