# Builds a container image from this host's static busybox and imports it. $1: project, $2: alias, $3: marker.
# It boots in under a second: init brings eth0 up and stays as its DHCP client.
set -e
umask 022
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
cd "$d"
for folder in bin sbin etc dev proc sys tmp run root var usr; do mkdir -p "rootfs/$folder"; done
cp /bin/busybox rootfs/bin/busybox
for name in sh ip ping cat sleep; do ln -s busybox "rootfs/bin/$name"; done
cat > rootfs/sbin/init <<'INIT'
#!/bin/sh
ip link set lo up
ip link set eth0 up
exec /bin/busybox udhcpc -f -i eth0 -s /etc/udhcpc.script -t 3 -T 1 -A 1
INIT
cat > rootfs/etc/udhcpc.script <<'SCRIPT'
#!/bin/sh
case $1 in bound | renew) ;; *) exit 0 ;; esac
ip address replace "$ip/$mask" dev eth0
[ -z "$router" ] || ip route replace default via "${router%% *}"
SCRIPT
chmod 755 rootfs/sbin/init rootfs/etc/udhcpc.script
printf 'architecture: %s\ncreation_date: 1\nproperties: {description: %s}\n' "$(uname -m)" "$3" > metadata.yaml
tar -cf image.tar metadata.yaml rootfs
incus image import -q --project "$1" image.tar --alias "$2"
