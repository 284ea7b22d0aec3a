# All that preflight wants to know about a host, in one go: read-only, POSIX sh, and nothing beyond the essential
# packages but iproute2 (which is one of the things to find out). Arguments: the disks that the topology names; then, after
# another "--", those among them that are to be emptied.
# meshctl/roles/disks.sh stands before it.

facts() {
    section clock.start; date +%s.%N
    section uid; id -u
    section os; cat /etc/os-release
    section architecture; uname -m
    section machine; cat /etc/machine-id
    section boot; cat /proc/sys/kernel/random/boot_id
    section hostname; cat /proc/sys/kernel/hostname
    section memory; grep MemTotal: /proc/meminfo
    section space; df -Pk / /var/lib
    section init; readlink /proc/1/exe; ls -d /run/systemd/system
    section ssh; systemctl is-enabled ssh.service ssh.socket sshd.service
    section fsid; grep -E '^[[:space:]]*fsid[[:space:]]*=' /etc/ceph/ceph.conf
    section nics; ip -j -d addr show
    section ours; grep -hsE '^(Address=|# has: )' /etc/systemd/network/*-meshctl-*.network /etc/netplan/90-meshctl.yaml \
        /etc/network/interfaces.d/meshctl /etc/rc.d/*meshctl
    while [ $# -gt 0 ] && [ "$1" != -- ]; do disk "$1"; shift; done
    for disk; do users "$disk"; done
    section clock.end; date +%s.%N
}

facts "$@" 2>/dev/null </dev/null
exit 0
