"""Storage of the Incus cluster: the pool on Ceph."""
