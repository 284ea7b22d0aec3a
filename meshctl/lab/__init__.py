"""The rehearsal lab: any topology, booted as real Debian hosts on one Linux machine, in namespaces of its own.

The parts are imported from their modules, where each is described: `running` (up, down, power_on, power_off),
`cables` (cut, heal), `status`, `login` (ssh_argv), `sockets` (connect), `names` (paths), `capabilities`.
This file stays empty of imports: the supervisors of the hosts start faster that way.
"""
