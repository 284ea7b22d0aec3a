"""The last word on Ceph: all placement groups active+clean and HEALTH_OK."""
