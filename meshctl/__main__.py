"""`python -m meshctl` and the console script."""

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from meshctl.cli.main import run  # noqa: PLC0415  (imports happen where they are needed)

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
