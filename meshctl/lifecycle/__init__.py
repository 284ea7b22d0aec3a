"""What happens to a cluster after its first day: planned absences of hosts."""
