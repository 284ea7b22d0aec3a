"""NICs that are pinned by their MAC address keep the names of the topology."""
