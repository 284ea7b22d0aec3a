# What is on disks: read-only, POSIX sh, and nothing beyond the essential packages. Other scripts follow it.
# Prints sections that start with a line "@@ NAME DISK".

section() { printf '\n@@ %s\n' "$*"; }

disk() {
    section disk "$1"; readlink -f "$1"
    if [ -b "$1" ]; then echo block; elif [ -e "$1" ]; then echo other; else echo missing; fi
    [ -b "$1" ] || return 0
    section lsblk "$1"; lsblk -J -b -p -o NAME,TYPE,SIZE,RO,MOUNTPOINTS,FSTYPE,MODEL,SERIAL "$1"
    section wipefs "$1"; wipefs --no-act --json "$1" || echo failed
    section head "$1"; head -c 4096 "$1" | base64 -w0
    section tags "$1"; pvs --readonly --noheadings --separator '|' -o vg_name,lv_tags "$1"
}

# Who has a disk open. The kernel is asked for an exclusive opening, which it refuses for what is mounted, swap, or part
# of an array or a pool; processes (an OSD, a virtual machine) are found by their file descriptors. Who is not there at
# each of several looks only reads it for a moment: udev does, and so does the look of another role at the same time.
users() {
    [ -b "$1" ] || return 0
    section users "$1"
    found=$(holders "$1")
    for _ in 1 2 3; do
        [ -n "$found" ] || return 0
        sleep 0.2
        found=$(echo "$found" | grep -Fx -e "$(holders "$1")") || return 0
    done
    echo "$found"
}

holders() {
    wipefs --all --no-act "$1" >/dev/null 2>&1 || echo "kernel 0"
    real=$(readlink -f "$1")
    case $real in *[0-9]) part=p ;; *) part= ;; esac
    find /proc/[0-9]*/fd '(' -lname "$real" -o -lname "$real$part[0-9]*" ')' 2>/dev/null | cut -d/ -f3 | sort -u |
        while read -r pid; do echo "$(cat "/proc/$pid/comm" 2>/dev/null) $pid"; done
}
