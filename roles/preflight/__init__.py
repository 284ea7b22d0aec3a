"""Layer 0: may this host become a node? Looks at everything, changes nothing."""
