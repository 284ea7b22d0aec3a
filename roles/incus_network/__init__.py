"""Networks of the Incus cluster: the uplink and the overlay on OVN."""
