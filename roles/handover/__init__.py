"""What another operator needs to go on with the cluster, kept in its own replicated store."""
