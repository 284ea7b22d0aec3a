"""The Incus cluster."""
