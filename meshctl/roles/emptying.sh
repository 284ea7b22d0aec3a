# Empty a disk: `sh -c … sh DISK SHA256`, the sum being that of its first 4 KiB when it was looked at.
# What tells that the disk isn't empty goes last: killed anywhere, it is seen again and done again.
set -eu
disk=$1 seen=$2
exec 9<"$disk"
flock -w 10 9 || { echo "$disk is locked: an OSD runs on it" >&2; exit 1; }
now=$(head -c 4096 "$disk" | sha256sum)
if [ "${now%% *}" != "$seen" ]; then
    echo "what is on $disk has changed since it was looked at; nothing was wiped" >&2
    exit 1
fi
wipefs --all --no-act "$disk" >/dev/null # opens it exclusively: fails while anything uses it or a part of it
size=$(blockdev --getsize64 "$disk")
zero() { dd if=/dev/zero of="$disk" bs=4096 seek=$(($1 / 4096)) count=$(($2 / 4096)) conv=notrunc,nocreat,fsync status=none; }
# Ceph 19 and later keep copies of an OSD's label there; RAID and GPT have theirs at the end.
for gib in 1 10 100 1000; do
    if [ $(((gib << 30) + 4096)) -le "$size" ]; then zero $((gib << 30)) 4096; fi
done
zero $(((size - 1048576) / 4096 * 4096)) 1048576
lsblk -nrpo NAME,TYPE "$disk" | while read -r part type; do
    if [ "$type" = part ] && [ -b "$part" ]; then wipefs --all "$part" >/dev/null; fi
done
wipefs --all "$disk" >/dev/null
zero 0 10485760
blockdev --rereadpt "$disk" 2>/dev/null || partx --delete --nr 1:128 "$disk" 2>/dev/null || : # loop devices need partx
if command -v udevadm >/dev/null; then udevadm settle --timeout=10 || :; fi
