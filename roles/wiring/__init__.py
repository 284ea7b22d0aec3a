"""Where the cables are plugged, compared with the topology."""
