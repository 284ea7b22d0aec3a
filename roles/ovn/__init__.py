"""The layer of OVN: clustered databases over TLS, and every host a chassis."""
