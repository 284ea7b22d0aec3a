"""Empties the disks that the operator named with --wipe."""
