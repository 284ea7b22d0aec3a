"""Ceph's pools."""
