"""Ceph's pools, and the last word on its health."""
