"""Ceph's monitors: one on every host, all in quorum."""
