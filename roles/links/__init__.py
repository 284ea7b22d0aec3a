"""Layer 1: addresses and MTU on both ends of every cable, and the loopback, by systemd-networkd."""
