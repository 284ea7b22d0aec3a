"""Ceph's managers: one active, the others standing by."""
