"""Ceph's managers on the hosts other than the first: one takes over when the active one is gone."""
