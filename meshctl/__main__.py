"""`python -m meshctl` and the console script."""

import atexit
import os
import sys
from contextlib import suppress


def main() -> None:
    """Run the command line and exit with its code."""
    from meshctl.cli.main import run  # noqa: PLC0415  (imports happen where they are needed)

    code = run(sys.argv[1:])
    # Everything is closed by now. Python would take every module apart first: 0.2 s after a bootstrap.
    atexit._run_exitfuncs()  # noqa: SLF001  (there is no public name; the interpreter's own way to call it)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # nobody reads any more
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
