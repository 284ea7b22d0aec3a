"""Ceph's OSDs: one per disk that the topology names."""
