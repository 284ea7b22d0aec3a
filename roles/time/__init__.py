"""Do the hosts agree on the time? A gate without steps; chrony is configured by the system role."""
