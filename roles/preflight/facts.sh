# All that preflight wants to know about a host, in one go: read-only, POSIX sh, and nothing beyond the essential
# packages but iproute2 (which is one of the things to find out). Arguments: the disks that the topology names.
# Prints sections that start with a line "@@ NAME" or "@@ NAME DISK".

section() { printf '\n@@ %s\n' "$*"; }

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
    section ours; grep -hs '^Address=' /etc/systemd/network/*-meshctl-*.network
    for disk; do disk "$disk"; done
    section clock.end; date +%s.%N
}

disk() {
    section disk "$1"; readlink -f "$1"
    if [ -b "$1" ]; then echo block; elif [ -e "$1" ]; then echo other; else echo missing; fi
    [ -b "$1" ] || return 0
    section lsblk "$1"; lsblk -J -b -p -o NAME,TYPE,SIZE,RO,MOUNTPOINTS,FSTYPE "$1"
    section wipefs "$1"; wipefs --no-act --json "$1" || echo failed
    section head "$1"; head -c 4096 "$1" | base64 -w0
    section tags "$1"; pvs --readonly --noheadings -o lv_tags "$1"
}

facts "$@" 2>/dev/null </dev/null
exit 0
