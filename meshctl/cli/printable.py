"""Text from hosts, made fit for a terminal."""


def one_line(text: str) -> str:
    """The text on one line and without control characters, which a host's output may hold. Inner blanks stay."""
    return "".join(c if c.isprintable() else " " for c in text.strip())
