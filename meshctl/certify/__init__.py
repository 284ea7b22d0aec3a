"""Measured links: what every cable carries, and how long traffic is lost when one goes down."""
