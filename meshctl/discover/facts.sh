# What a topology, and whoever reads it, wants to know about a host: read-only, POSIX sh, and nothing beyond the essential
# packages but iproute2. meshctl/roles/disks.sh stands before it. Prints sections that start with a line "@@ NAME".

facts() {
    section hostname; cat /proc/sys/kernel/hostname
    section os; cat /etc/os-release
    section kernel; uname -r
    section architecture; uname -m
    section memory; grep MemTotal: /proc/meminfo
    section cpus; nproc --all
    section cpu; sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1
    section addresses; ip -j -d addr show
    section devices
    for nic in /sys/class/net/*; do device "$nic"; done
    for at in /dev/sd[a-z] /dev/sd[a-z][a-z] /dev/vd[a-z] /dev/xvd[a-z] /dev/hd[a-z] /dev/mmcblk[0-9] \
        /dev/nvme[0-9]n[0-9] /dev/nvme[0-9][0-9]n[0-9]; do
        [ -b "$at" ] || continue
        disk "$at"
        real=$(readlink -f "$at")
        section removable "$at"; cat "/sys/block/${real##*/}/removable"
        section ids "$at"; find /dev/disk/by-id -lname "*/${real##*/}"
    done
}

# NIC, driver, place on the bus; a virtual function is not a NIC of its own.
device() {
    [ -e "$1/device" ] && [ ! -e "$1/device/physfn" ] || return 0
    driver=$(readlink -f "$1/device/driver") at=$(readlink -f "$1/device")
    echo "${1##*/} ${driver##*/} ${at##*/}"
}

facts 2>/dev/null </dev/null
exit 0
