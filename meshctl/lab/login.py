"""The command that logs in to a host of a lab."""

from collections.abc import Sequence

from meshctl.lab.names import NETNS, lab_namespace, paths
from meshctl.lab.running import existing


def ssh_argv(name: str, node: str, command: Sequence[str] = ()) -> list[str]:
    """OpenSSH inside the lab's namespace with the lab's key and known hosts, ready for `os.execvp`."""
    lab, at = existing(name), paths(name)
    options = {
        "UserKnownHostsFile": str(at.known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "IdentitiesOnly": "yes",
        "IdentityFile": str(at.ssh_key),
        "Port": str(lab.ssh_port),
        "User": lab.ssh_user,
        "LogLevel": "ERROR",
    }
    argv = ["nsenter", f"--net={NETNS / lab_namespace(name)}", "ssh", "-F", "/dev/null"]
    for key, value in options.items():
        argv += ["-o", f"{key}={value}"]
    return [*argv, lab.host(node).management.split("/")[0], *command]
