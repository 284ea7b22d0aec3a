"""Ceph's first manager; those that stand by are ceph_standby's."""
