"""Who the Ceph cluster is: fsid, keys, ceph.conf, and each monitor's first store."""
