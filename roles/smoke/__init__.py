"""The last gate: instances on every host reach each other, the uplink's gateway, and Ceph."""
