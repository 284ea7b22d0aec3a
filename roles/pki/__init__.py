"""The layer of certificates: every host can prove that it belongs to this cluster, and to no other."""
