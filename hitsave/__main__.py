"""`python -m hitsave …`, the same as the command `hitsave …`."""

from hitsave.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
