"""Exit codes of what is no error (docs/cli.md); errors carry their own (`meshctl/errors.py`)."""

CHANGES = 2
"""`plan`: there is something to do."""
INVALID = 3
"""A topology was found or written that can't be used."""
UNHEALTHY = 4
REFUSED = 6
INTERRUPTED = 130
"""128 and SIGINT's number, as shells have it."""
