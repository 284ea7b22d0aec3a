"""From live hosts to a topology: what is in them, how they are wired, and the file that says so."""
