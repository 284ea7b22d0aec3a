"""Layer 0: names, packages, clocks and kernel settings that all other layers take for granted."""
