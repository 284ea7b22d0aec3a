"""From live hosts to a topology, or from answers: what is in them, how they are wired, and the file that says so."""
