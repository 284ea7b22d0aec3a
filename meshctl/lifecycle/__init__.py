"""What happens to a cluster after its first day: absences, replacements, renewals, backups, its end."""
