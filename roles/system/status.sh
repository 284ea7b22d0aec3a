# What a host says about itself: read-only. Prints sections that start with a line "@@ NAME".
section() { printf '\n@@ %s\n' "$1"; }
{
    section versions
    dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' frr ovn-central openvswitch-switch ceph-mon incus
    section kernel; uname -r
    section kernels; ls /lib/modules
    section uptime; ps -p 1 -o etimes=  # of this host, also in a container
    section required; cat /run/reboot-required /run/reboot-required.pkgs
    # Libraries that were replaced while a daemon had them open: it runs the old code until it starts again.
    section replaced
    for maps in /proc/[0-9]*/maps; do
        grep -qE '/(usr/)?lib/.*\.so[^ ]* \(deleted\)$' "$maps" && cat "${maps%maps}comm"
    done | sort -u
    section dns
    # RFC 6761: every resolver answers "no such name" to .invalid at once. 124: it took longer.
    timeout 1 getent ahosts meshctl.invalid >/dev/null; echo $?
    grep '^nameserver' /etc/resolv.conf
} 2>/dev/null </dev/null
exit 0
